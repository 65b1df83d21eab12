"""Set-up, login, profile, people, roles, peers, tokens, audit and emergency access in a browser."""

from __future__ import annotations

import time

import httpx
import make
import pyotp
import pytest
from conftest import CHROMIUM
from pages import PASSWORD, Site, findings, is_in, log_in, too_wide
from playwright.sync_api import Page, expect, sync_playwright


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium, tmp_path):
    """Makes browsers of people who share nothing; what their pages complain of fails the test."""
    contexts, problems = [], []

    def visit() -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None)
        return page

    yield visit
    for number, context in enumerate(contexts):
        for page in context.pages:
            page.screenshot(path=tmp_path / f"last-{number}.png")
        context.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with an administrator `root`, a peer that does not answer, and two studies."""
    site = Site(tmp_path_factory.mktemp("pages") / "archive", peers={"SILENT": 9}).start()
    site.root = site.administrator()
    for modality, patient in (("CT", "PAT-CT"), ("MR", "PAT-MR")):
        made = make.instance(Modality=modality, PatientID=patient, PatientName=f"{modality}^Patient", StudyDate="20261122")
        answer = site.root.post("/dicom-web/studies", content=multipart(made), headers=MULTIPART)
        assert answer.status_code == 200, answer.text
    yield site
    site.close()


MULTIPART = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut', "Accept": "application/dicom+json"}


def multipart(data_set) -> bytes:
    import io

    file = io.BytesIO()
    data_set.save_as(file, enforce_file_format=True)
    return b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + file.getvalue() + b"\r\n--cut--\r\n"


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def row(page: Page, text: str):
    return page.get_by_role("row").filter(has_text=text)


def test_the_first_administrator_is_made_with_the_link(tmp_path, visitor):
    site = Site(tmp_path / "new").start()
    try:
        page = visitor()
        page.goto(site.url())
        heading(page, "Not set up yet")
        link = site.url(f"/set-up/{site.set_up_secret()}")
        page.goto(link)
        page.get_by_label("Login").fill("root")
        page.get_by_label("New password", exact=True).fill("gantry1")
        expect(page.get_by_text("easy to guess")).to_be_visible()
        expect(page.get_by_role("button", name="Make the account")).to_be_disabled()
        page.get_by_label("New password", exact=True).fill(PASSWORD)
        page.get_by_label("New password once more").fill(PASSWORD + "x")
        expect(page.get_by_text("The two are not the same")).to_be_visible()
        page.get_by_label("New password once more").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        heading(page, "root")
        expect(page.get_by_text("role administrator")).to_be_visible()
        again = visitor()
        again.goto(link)
        heading(again, "Set up already")
        wrong = httpx.post(f"{site.http}/api/set-up", json={"secret": link.rsplit("/", 1)[1], "login": "eve", "password": PASSWORD})
        assert wrong.status_code in (401, 409)
    finally:
        site.close()


def test_a_wrong_password_is_refused_and_many_have_to_wait(site, visitor):
    site.root.add("locked", "radiologist")
    page = visitor()
    log_in(page, site, "locked", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    said = page.get_by_role("alert").inner_text()
    other = visitor()
    log_in(other, site, "nobody-of-that-name", "wrong")
    expect(other.get_by_role("alert")).to_have_text(said)
    for password in ["wrong"] * 6 + [PASSWORD]:
        # A wrong password is wiped once its answer is there.
        expect(page.get_by_label("Password")).to_have_value("")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
    # The right one has to wait as well.
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_role("alert")).to_contain_text("Try again in")
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)


def test_who_has_to_log_in_comes_to_the_page_that_was_asked_for(site, visitor):
    page = visitor()
    log_in(page, site, "root", at="/roles")
    heading(page, "Roles")
    # The session ends behind the page's back.
    page.context.clear_cookies()
    page.goto(site.url("/people"))
    heading(page, "Log in")
    assert page.url.endswith("#/people")
    assert "PAT-CT" not in page.content()


def test_an_authenticator_app_is_asked_for_once_it_was_added(site, visitor):
    site.root.add("careful", "radiologist")
    page = visitor()
    log_in(page, site, "careful", at="/profile")
    page.get_by_role("button", name="Add an app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.get_by_label("Secret of the app").inner_text()
    app = pyotp.TOTP(secret)
    page.get_by_label("Code that the app shows now").fill(app.now())
    page.get_by_role("button", name="Confirm").click()
    codes = page.get_by_role("status", name="Recovery codes").inner_text().split()
    assert len(codes) >= 8
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("Your app is asked for when you log in")).to_be_visible()
    page.get_by_role("button", name="Log out").click()

    log_in(page, site, "careful")
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(codes[0])
    page.get_by_role("button", name="Go on").click()
    is_in(page)
    page.get_by_role("button", name="Log out").click()

    log_in(page, site, "careful")
    # The next one: no code is taken twice.
    page.get_by_label("Code", exact=True).fill(app.at(int(time.time()) + 30))
    page.get_by_role("button", name="Go on").click()
    is_in(page)


def test_a_passkey_is_made_and_used(site, visitor):
    site.root.add("keyed", "radiologist")
    page = visitor()
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True}})
    log_in(page, site, "keyed", at="/profile")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name of the passkey").fill("Test key")
    page.get_by_role("button", name="Go on").click()
    expect(row(page, "Test key")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Use a passkey").click()
    is_in(page)
    expect(page.get_by_role("link", name="keyed")).to_be_visible()
    page.goto(site.url("/profile"))
    page.get_by_role("button", name="Remove: Test key").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No passkey yet")).to_be_visible()


def test_a_session_is_ended_from_another(site, visitor):
    site.root.add("twice", "radiologist")
    here, there = visitor(), visitor()
    log_in(there, site, "twice")
    is_in(there)
    log_in(here, site, "twice", at="/profile")
    here.get_by_role("button", name="End the session of").click()
    expect(here.get_by_role("button", name="End the session of")).to_have_count(0)
    there.goto(site.url("/profile"))
    there.reload()
    heading(there, "Log in")


def test_the_password_is_changed(site, visitor):
    site.root.add("changer", "radiologist")
    other = "Quartz.ladder.88.mosaic"
    page = visitor()
    log_in(page, site, "changer", at="/profile")
    page.get_by_role("button", name="Change the password").click()
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(other)
    page.get_by_label("New password once more").fill(other)
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    again = visitor()
    log_in(again, site, "changer", other)
    is_in(again)


def test_a_token_is_made_shown_once_used_and_revoked(site, visitor):
    page = visitor()
    log_in(page, site, "root", at="/profile")
    page.get_by_role("button", name="New token").click()
    page.get_by_label("What it is for").fill("nightly script")
    page.get_by_role("button", name="Make the token").click()
    token = page.get_by_label("Token", exact=True).inner_text()
    ask = lambda: httpx.get(f"{site.http}/dicom-web/studies", headers={"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"})
    assert ask().status_code == 200
    page.get_by_role("button", name="Done").click()
    expect(row(page, "nightly script")).to_be_visible()
    assert token not in page.content()
    page.goto(site.url("/tokens"))
    page.get_by_role("button", name="Revoke: nightly script").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(page, "nightly script")).to_contain_text("revoked")
    assert ask().status_code == 401


def test_a_role_with_a_scope_shows_only_its_studies(site, visitor):
    page = visitor()
    log_in(page, site, "root", at="/roles")
    page.get_by_role("button", name="New role").click()
    page.get_by_label("Name", exact=True).fill("only-ct")
    page.get_by_label("Modalities").fill("CT")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("listitem").filter(has_text="only-ct")).to_contain_text("with the modality CT")

    page.goto(site.url("/people"))
    page.get_by_role("button", name="Add somebody").click()
    page.get_by_label("Login", exact=True).fill("ctonly")
    page.get_by_label("Name", exact=True).fill("Carla Tee")
    page.get_by_role("checkbox", name="only-ct").check()
    page.get_by_role("button", name="Add", exact=True).click()
    heading(page, "Carla Tee")
    page.get_by_role("button", name="Make a password link").click()
    link = page.get_by_label("Link that sets the password").inner_text()
    assert "#/password/" in link

    carla = visitor()
    carla.goto(site.url(link.split("#")[1]))
    carla.get_by_label("New password", exact=True).fill(PASSWORD)
    carla.get_by_label("New password once more").fill(PASSWORD)
    carla.get_by_role("button", name="Set the password").click()
    expect(carla.get_by_text("Your login is ctonly")).to_be_visible()
    log_in(carla, site, "ctonly")
    expect(carla.get_by_text("PAT-CT")).to_be_visible()
    assert "PAT-MR" not in carla.content()
    expect(carla.locator("#counts")).to_contain_text("Studies1")
    expect(carla.get_by_role("link", name="People")).to_have_count(0)
    carla.goto(site.url("/people"))
    heading(carla, "No such page")


def test_a_grant_is_given_and_why_somebody_sees_a_study_is_told(site, visitor):
    person = site.root.add("granted", name="Greta Granted")
    page = visitor()
    log_in(page, site, "root", at=f"/people/{person['id']}")
    page.get_by_role("button", name="Grant something").click()
    page.get_by_label("Patient IDs").fill("PAT-MR")
    page.get_by_label("Why", exact=True).fill("second opinion")
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(row(page, "second opinion")).to_contain_text("PAT-MR")

    page.goto(site.url())
    page.get_by_role("link", name="MR, Patient").or_(page.get_by_role("link", name="Patient, MR")).first.click()
    page.get_by_role("link", name="Why can somebody see it?").click()
    page.get_by_label("Person").select_option(label="Greta Granted")
    expect(page.get_by_text("They see this study.")).to_be_visible()


def test_an_account_is_disabled(site, visitor):
    person = site.root.add("leaver", "radiologist")
    page, leaver = visitor(), visitor()
    log_in(leaver, site, "leaver")
    is_in(leaver)
    log_in(page, site, "root", at=f"/people/{person['id']}")
    page.get_by_label("May log in").uncheck()
    page.get_by_role("button", name="Save").click()
    page.goto(site.url("/people"))
    expect(row(page, "leaver")).to_contain_text("disabled")
    leaver.reload()
    heading(leaver, "Log in")


def test_emergency_access_is_taken_shown_and_reviewed(site, visitor):
    site.root.add("doctor", "clinician", name="Doc Torr")
    doctor, root = visitor(), visitor()
    log_in(doctor, site, "doctor")
    is_in(doctor)
    assert "PAT-MR" not in doctor.content()
    doctor.goto(site.url("/emergency"))
    doctor.get_by_label("Patient ID").fill("PAT-MR")
    doctor.get_by_label("Why you need it").fill("unconscious in the emergency room")
    doctor.get_by_role("button", name="Open access").click()
    expect(doctor.get_by_text("It is recorded and will be reviewed")).to_be_visible()
    doctor.goto(site.url())
    expect(doctor.get_by_text("PAT-MR")).to_be_visible()
    expect(doctor.get_by_text("It is recorded and will be reviewed")).to_be_visible()

    log_in(root, site, "root", at="/emergency")
    root.get_by_role("button", name="Review: Doc Torr").click()
    root.get_by_label("What you found").fill("justified")
    root.get_by_role("button", name="Reviewed").click()
    expect(row(root, "Doc Torr")).to_contain_text("justified")

    doctor.get_by_role("button", name="End it").click()
    expect(doctor.get_by_text("It is recorded and will be reviewed")).to_have_count(0)


def test_a_share_is_made_opened_with_its_pin_and_revoked(site, visitor):
    study = site.root.get("/api/studies", params={"search": "PAT-CT"}).json()["studies"][0]["study_instance_uid"]
    page, guest = visitor(), visitor()
    log_in(page, site, "root", at="/tokens")
    page.get_by_role("button", name="Share a study").click()
    page.get_by_label("Study Instance UID").fill(study)
    page.get_by_label("For whom").fill("the family doctor")
    page.get_by_label("PIN").fill("7531")
    page.get_by_role("button", name="Share", exact=True).click()
    link = page.get_by_label("Link of the share").inner_text()
    page.get_by_role("button", name="Done").click()
    guest.goto(site.url(link.split("#")[1]))
    guest.get_by_label("PIN").fill("0000")
    guest.get_by_role("button", name="Open").click()
    expect(guest.get_by_role("alert")).to_be_visible()
    guest.get_by_label("PIN").fill("7531")
    guest.get_by_role("button", name="Open").click()
    expect(guest.get_by_role("heading", level=1)).to_contain_text("CT")
    page.get_by_role("button", name="Revoke: the family doctor").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(page, "the family doctor")).to_contain_text("revoked")
    guest.reload()
    heading(guest, "Log in")


def test_the_audit_page_tells_what_was_done(site, visitor):
    site.root.add("watched", "radiologist")
    watched, page = visitor(), visitor()
    log_in(watched, site, "watched")
    watched.get_by_role("link", name="Patient").first.click()
    watched.wait_for_timeout(500)
    log_in(page, site, "root", at="/audit")
    heading(page, "Audit trail")
    page.get_by_label("What did this person do").fill("watched")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("table", name="Events")).to_contain_text("Logged in")
    assert all("watched" in text for text in page.get_by_role("row").all_inner_texts()[1:])
    page.get_by_label("What", exact=True).select_option(label="Logins")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("row").filter(has_text="Queried")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert "watched" in download.value.path().read_text()
    page.get_by_role("button", name="Verify the trail").click()
    expect(page.get_by_text("Nothing was changed, deleted or reordered")).to_be_visible()
    page.get_by_label("What did this person do").fill("nobody-at-all")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("Nothing was recorded that matches")).to_be_visible()


def test_who_saw_a_patient_is_asked_without_an_address(site, visitor):
    page = visitor()
    log_in(page, site, "root", at="/audit")
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.get_by_label("Who saw this patient").fill("PAT-CT")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("button", name="Show everything about this patient").click()
    expect(page.get_by_role("table", name="Events")).to_contain_text("PAT-CT")
    assert not [address for address in addresses if "PAT-CT" in address]


def test_pages_are_read_a_part_at_a_time(site, visitor):
    for _ in range(60):
        assert site.root.get("/api/studies").status_code == 200
    page = visitor()
    log_in(page, site, "root", at="/audit?person=root")
    expect(page.get_by_role("row")).to_have_count(51)
    first = page.get_by_role("row").nth(1).inner_text()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    assert page.get_by_role("row").nth(1).inner_text() != first


def test_a_peer_that_does_not_answer_is_told(site, visitor):
    page = visitor()
    log_in(page, site, "root", at="/peers")
    expect(row(page, "SILENT")).to_contain_text("127.0.0.1:9")
    page.get_by_role("button", name="Echo: SILENT").click()
    expect(row(page, "SILENT").get_by_role("status")).to_be_visible()
    expect(row(page, "SILENT").get_by_role("status")).not_to_contain_text("answers in")


def test_labels_and_restriction_of_a_study(site, visitor):
    page = visitor()
    log_in(page, site, "root")
    page.get_by_role("link", name="Patient").first.click()
    page.get_by_label("New label of the study").fill("teaching")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take the label teaching away")).to_be_visible()
    page.get_by_role("button", name="Restrict").click()
    expect(page.get_by_text("restricted", exact=True)).to_be_visible()
    page.get_by_role("button", name="Lift the restriction").click()
    expect(page.get_by_text("restricted", exact=True)).to_have_count(0)


def test_the_demo_says_so_on_every_page(archive, visitor):
    page = visitor()
    for at in ("/", "/audit", "/peers"):
        page.goto(f"{archive.http}/#{at}")
        expect(page.get_by_text("nobody has to log in")).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)


PAGES = ["/", "/profile", "/people", "/people/1", "/roles", "/peers", "/tokens", "/audit", "/emergency", "/nonsense"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody(site, visitor, theme):
    """Nothing that axe calls serious, and nothing wider than a phone."""
    page = visitor()
    page.emulate_media(color_scheme=theme)
    page.goto(site.url())
    heading(page, "Log in")
    assert findings(page) == []
    log_in(page, site, "root")
    is_in(page)
    for at in PAGES:
        page.goto(site.url(at))
        page.wait_for_load_state("networkidle")
        assert findings(page) == [], at
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_timeout(100)
        assert not too_wide(page), at
        page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dialogs_can_be_used_by_everybody(site, visitor, theme):
    page = visitor()
    page.emulate_media(color_scheme=theme)
    log_in(page, site, "root")
    is_in(page)
    for at, button in (("/people", "Add somebody"), ("/roles", "New role"), ("/people/1", "Grant something"), ("/tokens", "Share a study"), ("/profile", "New token")):
        page.goto(site.url(at))
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert findings(page) == [], at
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name=button)).to_be_focused()


def test_the_pages_can_be_used_by_keyboard(site, visitor):
    page = visitor()
    page.goto(site.url())
    heading(page, "Log in")
    page.get_by_label("Login").focus()
    page.keyboard.type("root")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    is_in(page)
    page.evaluate("document.activeElement.blur()")
    page.reload()
    is_in(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Roles").focus()
    page.keyboard.press("Enter")
    heading(page, "Roles")


def test_the_theme_can_be_switched_and_stays(site, visitor):
    page = visitor()
    page.goto(site.url())
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = ground()
    page.get_by_role("button", name="Change between light and dark").click()
    dark = ground()
    assert dark != light
    page.reload()
    heading(page, "Log in")
    assert ground() == dark


def test_files_of_the_app_are_small_and_kept(site):
    with httpx.Client(base_url=site.http) as client:
        page = client.get("/", headers={"Accept-Encoding": "br"})
        assert page.headers["cache-control"] == "private, no-cache"
        assert page.headers["content-encoding"] == "br"
        script = next(part for part in client.get("/", headers={"Accept-Encoding": "identity"}).text.split('"') if part.endswith(".js"))
        sizes = {}
        for coding in ("br", "gzip", "identity"):
            with client.stream("GET", "/" + script.removeprefix("./"), headers={"Accept-Encoding": coding}) as answer:
                sizes[coding] = len(b"".join(answer.iter_raw()))
                assert "immutable" in answer.headers["cache-control"]
                assert answer.headers["content-type"].startswith("text/javascript")
                assert answer.headers.get("content-encoding", "identity") == coding
                assert "unsafe" not in answer.headers["content-security-policy"]
        assert sizes["br"] < sizes["gzip"] < sizes["identity"]
