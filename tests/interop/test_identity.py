"""Logins, people, tokens and shares, on a server that wants to know who asks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import time
from pathlib import Path

import httpx
import pytest

import gantry
import make
from gantry import Archive
from test_openapi import check, fill, query
from web import DICOM, JSON, stow

PASSWORD = "walnut-Trombone-47-glacier"
SET_UP = re.compile(r"set up\s+(http://\S+/#/set-up/(\w+))")

# What answers those who have not logged in; everything else has to refuse them.
PUBLIC = {
    ("get", "/"),
    ("get", "/start/{file}"),
    ("get", "/favicon.ico"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/tls/ca.crl"),
    ("get", "/tls/ca.pem"),
    ("get", "/api/login"),
    ("post", "/api/login"),
    ("post", "/api/login/second-factor"),
    ("post", "/api/set-up"),
    ("post", "/api/password-strength"),
    ("post", "/api/password-link"),
    ("post", "/api/shares/open"),
    ("post", "/api/login/passkey"),
    ("post", "/api/login/passkey/options"),
    ("get", "/api/providers/{provider}/login"),
    ("get", "/api/providers/{provider}/callback"),
}


class Site(Archive):
    """An archive that people log in to, with an administrator."""

    def __init__(self, data, **options) -> None:
        # All tests come from one address.
        config = "[http]\nlogins_per_minute_per_address = 0\n" + options.pop("config", "")
        super().__init__(data, demo=False, config=config, **options)
        self.set_up = ""

    def start(self, *arguments: str, seconds: float = 60) -> "Site":
        super().start(*arguments, seconds=seconds)
        found = SET_UP.search(self.rest())
        self.set_up = found[2] if found else ""
        return self

    def rest(self) -> str:
        """What the server prints after the line that says it is ready."""
        text = self.greeting
        deadline = time.monotonic() + 10
        os.set_blocking(self.process.stdout.fileno(), False)
        while time.monotonic() < deadline and "works once" not in text:
            text += (self.process.stdout.read() or b"").decode()
            if self.process.poll() is not None or (time.monotonic() > deadline - 8 and "DICOMweb" in text):
                break
            time.sleep(0.02)
        return text

    def browser(self) -> "Browser":
        # Requests that are refused before their body was read end their connection.
        return Browser(base_url=self.http, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def administrator(self) -> "Browser":
        """Somebody who has just set the archive up, or logs in."""
        browser = self.browser()
        if self.set_up:
            told = {"secret": self.set_up, "login": "root", "password": PASSWORD}
            browser.keep(browser.post("/api/set-up", json=told))
            self.set_up = ""
        else:
            browser.log_in("root")
        return browser

    def user(self, *arguments: str, **options) -> str:
        command, *rest = arguments
        return gantry.run("user", command, "--config", self.config_file, "--data", self.data, *rest, **options).stdout

    def add(self, login: str, *roles: str, more: tuple[str, ...] = ()) -> None:
        flags = [flag for role in roles for flag in ("--role", role)]
        self.user("add", login, *flags, *more, "--password-stdin", input=PASSWORD + "\n")


class Browser(httpx.Client):
    """Keeps cookies, and shows with every change what belongs to its session."""

    def keep(self, answer: httpx.Response) -> dict:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["status"] == "logged-in", body
        self.headers["X-CSRF-Token"] = body["csrf_token"]
        return body

    def log_in(self, login: str, password: str = PASSWORD) -> dict:
        return self.keep(self.post("/api/login", json={"login": login, "password": password}))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site") / "archive").start()
    site.administrator().close()
    for login, role in [("rada", "radiologist"), ("tech", "technologist"), ("audra", "auditor")]:
        site.add(login, role)
    yield site
    site.close()


@pytest.fixture
def root(site):
    browser = site.administrator()
    yield browser
    browser.close()


def basic(login: str, password: str = PASSWORD) -> dict:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def store(site, headers, one=None):
    one = one or make.instance()
    with httpx.Client(base_url=site.web, headers=headers, timeout=60) as client:
        answer = stow(client, [make.part10(one)])
    return one, answer


# ---- the first start ------------------------------------------------------------------------


def test_the_first_start(tmp_path):
    site = Site(tmp_path / "archive").start()
    try:
        assert site.set_up
        assert httpx.get(f"{site.http}/api/login").json()["needs_set_up"]
        assert httpx.get(f"{site.web}/studies").status_code == 401
        mode = stat.S_IMODE(os.stat(site.data / "identity.sqlite").st_mode)
        assert mode == 0o600
        assert stat.S_IMODE(os.stat(site.data / "server.json").st_mode) == 0o600
        told = {"secret": site.set_up, "login": "root", "password": PASSWORD}
        wrong = httpx.post(f"{site.http}/api/set-up", json=told | {"secret": "a" * 52})
        assert wrong.status_code == 401 and wrong.json()["type"] == "urn:gantry:problem:wrong-credentials"
        weak = httpx.post(f"{site.http}/api/set-up", json=told | {"password": "root2024!!"})
        assert weak.status_code == 400 and weak.json()["type"] == "urn:gantry:problem:weak-password"
        meter = httpx.post(f"{site.http}/api/password-strength", json={"password": "password1"}).json()
        assert not meter["is_enough"] and meter["warning"]
        browser = site.administrator()
        me = browser.get("/api/me").json()
        assert me["person"]["login"] == "root" and "administer" in me["rights"]
        assert any("every study, restricted ones too" in grant["text"] for grant in me["grants"])
        again = httpx.post(f"{site.http}/api/set-up", json=told)
        assert again.status_code in (401, 409)
        site.terminate()
        site.start()
        assert not site.set_up, "the link is gone once there is an administrator"
        # Sessions outlive a restart.
        assert Browser(base_url=site.http, cookies=browser.cookies).get("/api/me").status_code == 200
    finally:
        site.close()


def test_headless_set_up(tmp_path):
    data = tmp_path / "archive"
    done = gantry.run("user", "add", "--data", data, "anna", "--role", "administrator", "--password-stdin", input=PASSWORD + "\n")
    assert "anna can log in" in done.stdout
    site = Site(data).start()
    try:
        assert not site.set_up
        site.browser().log_in("anna")
    finally:
        site.close()


# ---- who may come in ------------------------------------------------------------------------


def test_without_credentials_everything_else_is_401(site, root):
    document = root.get("/api/openapi.json").json()
    nobody = make.instance()
    nobody.deletion, nobody.transaction = "1", make.uid()
    public = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = site.http + fill(path, nobody)
            for headers in ({}, bearer("gantry_nonsense"), basic("root", "wrong") if method == "get" and path == "/dicom-web/studies" else bearer("x.y.z"), {"Cookie": "gantry_session=nonsense"}):
                answer = httpx.request(method, where, params=query(path, nobody), headers=headers, timeout=60)
                if operation.get("security") == []:
                    public.add((method, path))
                    assert "www-authenticate" not in answer.headers
                    continue
                assert answer.status_code == 401, f"{method} {path} {headers}: {answer.status_code} {answer.text[:200]}"
                assert "Basic" in answer.headers["www-authenticate"], path
                check(answer, operation, f"{method} {path}")
                problem = answer.json()
                assert problem["type"] == "urn:gantry:problem:not-logged-in" and problem["detail"]
    assert public == PUBLIC


def test_browsers_are_not_asked_by_a_window_of_their_own(site):
    answer = httpx.get(f"{site.http}/api/me", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 401 and "Basic" not in answer.headers["www-authenticate"]


def test_every_route_of_people_answers_as_described(site, root):
    """As an administrator, with nothing in the body: whatever comes has to be described."""
    from test_openapi import PEOPLE

    document = root.get("/api/openapi.json").json()
    nobody = make.instance()
    nobody.deletion, nobody.transaction = "1", make.uid()
    count = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not (PEOPLE.match(path) or path == "/api/me") or path in ("/api/logout",) or (method == "delete" and path == "/api/me/sessions"):
                continue
            where = re.sub(r"\{\w+\}", "999999", path)
            for body in ({}, {"nonsense": 1}, []):
                answer = root.request(method, where, json=body) if operation.get("requestBody") else root.request(method, where)
                check(answer, operation, f"{method} {path}")
                if method == "get" and "{" not in path:
                    assert answer.status_code == 200
                elif operation.get("requestBody"):
                    assert answer.status_code in (400, 404), f"{method} {path}: {answer.text}"
            if operation.get("requestBody"):
                answer = root.request(method, where, content=b"x", headers={"Content-Type": "text/plain"})
                assert answer.status_code == 415
            count += 1
    assert count > 30


# ---- logging in -----------------------------------------------------------------------------


def test_login_and_logout(site):
    browser = site.browser()
    answer = browser.post("/api/login", json={"login": "rada", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    browser.keep(answer)
    assert browser.get("/api/me").json()["person"]["roles"] == ["radiologist"]
    assert browser.get("/dicom-web/studies").status_code in (200, 204)
    [session] = [one for one in browser.get("/api/me/sessions").json()["sessions"] if one["is_this"]]
    assert session["method"] == "password" and "httpx" in session["user_agent"]
    kept = dict(browser.cookies)
    assert browser.post("/api/logout").status_code == 204
    assert httpx.get(f"{site.http}/api/me", cookies=kept).status_code == 401


def test_wrong_logins_look_the_same(site):
    one = httpx.post(f"{site.http}/api/login", json={"login": "rada", "password": "wrong"})
    other = httpx.post(f"{site.http}/api/login", json={"login": "no-such-person", "password": "wrong"})
    assert one.status_code == other.status_code == 401
    assert one.json() == other.json()
    site.browser().log_in("rada")


def test_too_many_failures_wait_longer_and_longer(tmp_path):
    site = Site(tmp_path / "archive").start()
    try:
        site.administrator().close()
        site.add("mole", "clinician")

        def attempt(password: str) -> httpx.Response:
            return httpx.post(f"{site.http}/api/login", json={"login": "mole", "password": password})

        for _ in range(5):
            assert attempt("wrong").status_code == 401
        waits = []
        for _ in range(3):
            refused = attempt(PASSWORD)
            assert refused.status_code == 429 and refused.json()["type"] == "urn:gantry:problem:too-many-attempts"
            waits.append(int(refused.headers["retry-after"]))
            time.sleep(waits[-1] + 0.05)
            assert attempt("wrong").status_code == 401
        assert waits == [1, 2, 4]
        time.sleep(8.1)
        assert attempt(PASSWORD).status_code == 200
        # Basic is no way round.
        for _ in range(5):
            httpx.get(f"{site.web}/studies", headers=basic("mole", "wrong"))
    finally:
        site.close()


def test_other_sites_pages_change_nothing(site):
    browser = site.browser()
    browser.log_in("rada")
    token = browser.headers.pop("X-CSRF-Token")
    assert browser.get("/api/me").status_code == 200
    new = {"name": "t", "rights": ["view"]}
    assert browser.post("/api/me/tokens", json=new).status_code == 403
    assert browser.post("/api/me/tokens", json=new, headers={"X-CSRF-Token": "x" * 52}).status_code == 403
    for field in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        refused = browser.post("/api/me/tokens", json=new, headers={"X-CSRF-Token": token} | field)
        assert refused.status_code == 403 and refused.json()["type"] == "urn:gantry:problem:cross-site"
        assert browser.post("/api/login", json={"login": "rada", "password": PASSWORD}, headers=field).status_code == 403
        assert httpx.delete(f"{site.web}/studies/1.2.3", headers=basic("root") | field).status_code == 403
    made = browser.post("/api/me/tokens", json=new, headers={"X-CSRF-Token": token, "Origin": site.http})
    assert made.status_code == 201


def test_a_password_is_changed_and_other_sessions_end(site):
    site.add("pam", "clinician")
    one, two = site.browser(), site.browser()
    one.log_in("pam"), two.log_in("pam")
    new = "glacier-91-Walnut-bassoon"
    assert one.put("/api/me/password", json={"present": "wrong", "new": new}).status_code == 401
    assert one.put("/api/me/password", json={"present": PASSWORD, "new": "pam"}).status_code == 400
    assert one.put("/api/me/password", json={"present": PASSWORD, "new": new}).status_code == 204
    assert one.get("/api/me").status_code == 200
    assert two.get("/api/me").status_code == 401
    site.browser().log_in("pam", new)


def test_a_link_sets_a_password_once(site, root):
    added = root.post("/api/people", json={"login": "nora", "roles": ["clinician"], "dicom_names": ["NORA^N"]})
    assert added.status_code == 201
    person = added.json()["person"]
    assert not person["has_password"]
    link = root.post(f"/api/people/{person['id']}/password-link").json()
    assert link["link"].endswith(f"/#/password/{link['secret']}")
    told = {"secret": link["secret"], "password": PASSWORD}
    assert httpx.post(f"{site.http}/api/password-link", json=told).json() == {"login": "nora"}
    assert httpx.post(f"{site.http}/api/password-link", json=told).status_code == 401
    nora = site.browser()
    nora.log_in("nora")
    grants = nora.get("/api/me").json()["grants"]
    assert [grant["scope"]["own_names"] for grant in grants] == [["NORA^N"]]


# ---- the second factor ----------------------------------------------------------------------


def totp(secret: str, step: int = 0) -> str:
    """RFC 6238, by another hand than the server's."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_a_second_factor(site):
    site.add("toto", "radiologist")
    browser = site.browser()
    browser.log_in("toto")
    enrolment = browser.post("/api/me/totp").json()
    assert enrolment["uri"].startswith("otpauth://totp/Gantry:toto?secret=")
    secret = enrolment["secret"]
    assert browser.post("/api/me/totp/confirm", json={"code": "12"}).status_code == 400
    confirmed = browser.post("/api/me/totp/confirm", json={"code": totp(secret, -1)})
    assert confirmed.status_code == 200, confirmed.text
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10

    fresh = site.browser()
    asked = fresh.post("/api/login", json={"login": "toto", "password": PASSWORD})
    assert asked.json()["status"] == "second-factor" and "set-cookie" not in asked.headers
    ticket = asked.json()["ticket"]
    answer = lambda code: fresh.post("/api/login/second-factor", json={"ticket": ticket, "code": code})
    assert answer(totp(secret, -1)).status_code == 401, "a code works once"
    code = totp(secret)
    fresh.keep(answer(code))
    assert answer(code).status_code == 401

    other = site.browser()
    ticket = other.post("/api/login", json={"login": "toto", "password": PASSWORD}).json()["ticket"]
    other.keep(other.post("/api/login/second-factor", json={"ticket": ticket, "code": codes[3]}))
    assert other.get("/api/me").json()["recovery_codes_left"] == 9

    # The password alone does not do over Basic either; a token does.
    refused = httpx.get(f"{site.web}/studies", headers=basic("toto"))
    assert refused.status_code == 403 and "token" in refused.json()["detail"]
    token = other.post("/api/me/tokens", json={"name": "viewer", "rights": ["view"]}).json()["secret"]
    assert httpx.get(f"{site.web}/studies", headers=basic("toto", token)).status_code in (200, 204)

    assert other.post("/api/me/totp/remove", json={"password": "wrong"}).status_code == 401
    assert other.post("/api/me/totp/remove", json={"password": PASSWORD}).status_code == 204
    site.browser().log_in("toto")


# ---- tokens ---------------------------------------------------------------------------------


def test_a_token_has_its_rights_until_it_is_revoked(site):
    browser = site.browser()
    browser.log_in("tech")
    made = browser.post("/api/me/tokens", json={"name": "modality", "rights": ["store"], "days": 30}).json()
    secret = made["secret"]
    assert secret.startswith("gantry_")
    one, answer = store(site, bearer(secret))
    assert answer.status_code == 200, answer.text
    me = httpx.get(f"{site.http}/api/me", headers=bearer(secret)).json()
    assert me["rights"] == ["store"] and me["credential"] == f"token {made['token']['id']}"
    # A token makes no tokens, and changes no password.
    for method, path, body in [("POST", "/api/me/tokens", {"name": "x", "rights": ["store"]}), ("PUT", "/api/me/password", {"present": PASSWORD, "new": "x"})]:
        assert httpx.request(method, site.http + path, json=body, headers=bearer(secret)).status_code == 403
    refused = browser.post("/api/me/tokens", json={"name": "x", "rights": ["delete"]})
    assert refused.status_code == 403 and "delete" in refused.json()["detail"]
    [listed] = [token for token in browser.get("/api/me/tokens").json()["tokens"] if token["name"] == "modality"]
    assert listed["last_used"] and listed["last_address"] == "127.0.0.1" and "secret" not in json.dumps(listed)
    assert browser.delete(f"/api/me/tokens/{listed['id']}").status_code == 204
    assert httpx.get(f"{site.http}/api/me", headers=bearer(secret)).status_code == 401
    assert browser.delete(f"/api/me/tokens/{listed['id']}").status_code == 404


def test_tokens_on_the_command_line_are_felt_by_the_running_server(site):
    site.user("add", "robot", "--service", "--role", "technologist")
    where = ("--config", site.config_file, "--data", site.data)
    done = gantry.run("token", "make", *where, "robot", "--name", "ris", "--right", "view", "--days", "1")
    token = done.stdout.strip()
    assert httpx.get(f"{site.web}/studies", headers=bearer(token)).status_code in (200, 204)
    [listed] = [one for one in json.loads(gantry.run("token", "list", *where, "--json").stdout) if one["login"] == "robot"]
    gantry.run("token", "revoke", *where, listed["id"])
    time.sleep(1.1)
    assert httpx.get(f"{site.web}/studies", headers=bearer(token)).status_code == 401
    # Nor can somebody who is disabled do anything from then on.
    site.add("leaver", "radiologist")
    leaver = site.browser()
    leaver.log_in("leaver")
    site.user("disable", "leaver")
    time.sleep(1.1)
    assert leaver.get("/api/me").status_code == 401
    assert leaver.post("/api/login", json={"login": "leaver", "password": PASSWORD}).status_code == 401


def test_commands_on_this_machine_reach_the_running_server(site, tmp_path):
    one = make.instance()
    file = tmp_path / "one.dcm"
    file.write_bytes(make.part10(one))
    done = gantry.run("import", file, "--data", site.data)
    assert done.returncode == 0
    with pytest.raises(AssertionError):
        gantry.run("import", file, "--to", site.http)
    token = site.administrator().post("/api/me/tokens", json={"name": "import", "rights": ["store"]}).json()["secret"]
    gantry.run("import", file, "--to", site.http, env=os.environ | {"GANTRY_TOKEN": token})


def test_basic_with_dicomweb_client(site, root):
    from dicomweb_client import DICOMwebClient
    from dicomweb_client.session_utils import create_session_from_auth
    from requests.auth import HTTPBasicAuth

    one, answer = store(site, basic("tech"))
    assert answer.status_code == 200, answer.text
    session = create_session_from_auth(HTTPBasicAuth("rada", PASSWORD))
    client = DICOMwebClient(url=site.web, session=session)
    [found] = client.search_for_studies(search_filters={"StudyInstanceUID": one.StudyInstanceUID})
    assert found["0020000D"]["Value"] == [one.StudyInstanceUID]
    got = client.retrieve_instance(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    assert got.SOPInstanceUID == one.SOPInstanceUID


# ---- people and roles -----------------------------------------------------------------------


def test_only_administrators_look_after_people(site, root):
    rada = site.browser()
    rada.log_in("rada")
    for path in ("/api/people", "/api/roles", "/api/tokens", "/api/people/1"):
        assert rada.get(path).status_code == 403
    assert rada.post("/api/people", json={"login": "evil"}).status_code == 403
    people = root.get("/api/people").json()["people"]
    [me] = [person for person in people if person["login"] == "root"]
    last = root.patch(f"/api/people/{me['id']}", json={"is_active": False})
    assert last.status_code == 409 and "last administrator" in last.json()["detail"]

    role = {"name": "night", "rights": ["view"], "scope": {"sites": ["North"]}, "description": "Night shift"}
    assert root.post("/api/roles", json=role).status_code == 201
    assert root.post("/api/roles", json=role).status_code == 409
    assert root.post("/api/roles", json=role | {"name": "x", "rights": ["fly"]}).status_code == 400
    assert root.post("/api/roles", json=role | {"name": "x", "scope": {"planets": ["Mars"]}}).status_code == 400
    changed = root.put("/api/roles/night", json={"rights": ["view", "store"], "scope": {"sites": ["South"]}})
    assert changed.json()["role"]["rights"] == ["view", "store"]
    assert root.put("/api/roles/auditor", json={"rights": ["view"]}).status_code == 409
    names = [one["name"] for one in root.get("/api/roles").json()["roles"]]
    assert names[:6] == ["administrator", "radiologist", "clinician", "technologist", "researcher", "auditor"]

    owl = root.post("/api/people", json={"login": "owl", "roles": ["night"]}).json()["person"]
    shown = root.get(f"/api/people/{owl['id']}").json()
    assert shown["rights"] == ["view", "store"] and "site South" in shown["grants"][0]["text"]
    until = int((time.time() + 3600) * 1e6)
    granted = root.post(f"/api/people/{owl['id']}/grants", json={"rights": ["audit"], "ends": until, "reason": "holiday cover"})
    assert granted.status_code == 201
    assert "audit" in root.get(f"/api/people/{owl['id']}").json()["rights"]
    assert root.delete(f"/api/people/{owl['id']}/grants/{granted.json()['grant']}").status_code == 204
    assert "audit" not in root.get(f"/api/people/{owl['id']}").json()["rights"]
    assert root.delete("/api/roles/night").status_code == 409
    assert root.delete(f"/api/people/{owl['id']}").status_code == 204
    assert root.delete("/api/roles/night").status_code == 204


def test_the_command_line_shows_rights_with_their_reasons(site):
    assert "every study that is not restricted (role radiologist)" in site.user("show", "rada")
    assert "auditor" in site.user("role", "rada", "--add", "auditor")
    assert "May audit" in site.user("show", "rada")
    site.user("role", "rada", "--remove", "auditor")
    listed = {person["login"]: person for person in json.loads(site.user("list", "--json"))}
    assert listed["rada"]["roles"] == ["radiologist"]
    assert "/#/password/" in site.user("reset", "rada")
    wrong = gantry.run("user", "show", "--data", site.data, "nobody", check=False)
    assert wrong.returncode == 2 and "nobody" in wrong.stderr


# ---- shares ---------------------------------------------------------------------------------


def test_a_share_shows_one_study_to_who_has_link_and_pin(site):
    shared_one, answer = store(site, basic("tech"))
    other, _ = store(site, basic("tech"))
    rada = site.browser()
    rada.log_in("rada")
    new = {"study": shared_one.StudyInstanceUID, "pin": "4711", "days": 7, "note": "family doctor"}
    made = rada.post("/api/shares", json=new)
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert rada.post("/api/shares", json=new | {"study": make.uid()}).status_code == 404
    assert rada.post("/api/shares", json=new | {"days": 1000}).status_code == 400
    tech = site.browser()
    tech.log_in("tech")
    assert tech.post("/api/shares", json=new).status_code == 403

    guest = site.browser()
    opening = lambda **more: guest.post("/api/shares/open", json={"secret": secret} | more)
    assert opening().json() == {"status": "pin"}
    assert opening(pin="0000").status_code == 401
    opened = opening(pin="4711")
    assert opened.json()["study"] == shared_one.StudyInstanceUID
    assert "HttpOnly" in opened.headers["set-cookie"]
    me = guest.get("/api/me").json()
    assert me["person"] is None and me["rights"] == ["view"]
    assert me["grants"][0]["scope"]["studies"] == [shared_one.StudyInstanceUID]
    assert guest.delete(f"/dicom-web/studies/{shared_one.StudyInstanceUID}").status_code == 403
    assert guest.get("/api/people").status_code == 403
    [listed] = [share for share in rada.get("/api/shares").json()["shares"] if share["note"] == "family doctor"]
    assert listed["uses"] == 1 and listed["has_pin"] and "4711" not in json.dumps(listed)
    assert rada.delete(f"/api/shares/{listed['id']}").status_code == 204
    assert guest.get("/api/me").status_code == 401
    assert opening(pin="4711").status_code == 401


def test_a_share_of_a_series_shows_no_other_series(site):
    one = make.instance()
    two = make.instance(study=one.StudyInstanceUID)
    for each in (one, two):
        assert store(site, basic("tech"), each)[1].status_code == 200
    rada = site.browser()
    rada.log_in("rada")
    new = {"study": one.StudyInstanceUID, "series": one.SeriesInstanceUID, "days": 1}
    secret = rada.post("/api/shares", json=new).json()["secret"]
    guest = site.browser()
    assert guest.post("/api/shares/open", json={"secret": secret}).status_code == 200
    series = f"/dicom-web/studies/{one.StudyInstanceUID}/series"
    assert guest.get(f"{series}/{one.SeriesInstanceUID}/metadata").status_code == 200
    for hidden in (f"{series}/{two.SeriesInstanceUID}/metadata", series, f"{series}/{one.SeriesInstanceUID}.1/metadata", "/dicom-web/instances", "/api/studies", f"{series}/{one.SeriesInstanceUID}/../{two.SeriesInstanceUID}/metadata"):
        assert guest.get(hidden).status_code == 404, hidden


# ---- break-glass ----------------------------------------------------------------------------


def test_break_glass_is_opened_and_reviewed(site):
    site.add("clara", "clinician")
    clara, audra = site.browser(), site.browser()
    clara.log_in("clara"), audra.log_in("audra")
    assert clara.get("/api/me").json()["rights"] == []
    told = {"reason": "unconscious in the emergency room", "study": make.uid(), "minutes": 30}
    for wrong in ({"reason": " "}, {"minutes": 0}, {"minutes": 100000}, {"study": None}):
        assert clara.post("/api/break-glass", json=told | wrong).status_code == 400
    opened = clara.post("/api/break-glass", json=told)
    assert opened.status_code == 201, opened.text
    access = opened.json()["access"]
    me = clara.get("/api/me").json()
    assert me["rights"] == ["view", "download"]
    assert me["grants"][0]["source"] == f"break-glass {access['id']}" and me["grants"][0]["until"] == access["ends"]
    assert audra.post("/api/break-glass", json=told).status_code == 403
    waiting = audra.get("/api/break-glass?waiting=true").json()["accesses"]
    assert [one["login"] for one in waiting] == ["clara"] and waiting[0]["reason"] == told["reason"]
    assert clara.post(f"/api/break-glass/{access['id']}/review", json={"note": "all fine"}).status_code == 403
    reviewed = audra.post(f"/api/break-glass/{access['id']}/review", json={"note": "plausible"})
    assert reviewed.json()["access"]["reviewed_by"] == "audra"
    assert audra.get("/api/break-glass?waiting=true").json()["accesses"] == []
    assert clara.post(f"/api/break-glass/{access['id']}/close").status_code == 204
    assert clara.get("/api/me").json()["rights"] == []


# ---- the demo -------------------------------------------------------------------------------


def test_the_demo_is_for_this_machine_only(tmp_path):
    for where in (["--http", "0.0.0.0:0"], ["--dicom", "0.0.0.0:0", "--http", "127.0.0.1:0"]):
        done = gantry.run("serve", "--demo", "--data", tmp_path / "demo", *where, check=False, timeout=30)
        assert done.returncode == 2 and "this machine only" in done.stderr
    archive = Archive(tmp_path / "demo").start()
    try:
        me = httpx.get(f"{archive.http}/api/me").json()
        assert me["is_demo"] and "administer" in me["rights"]
        assert httpx.get(f"{archive.http}/api/login").json()["is_demo"]
    finally:
        archive.close()


# ---- an identity provider -------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider_folder() -> Path:
    """A folder outside of the tree with a real provider in it."""
    folder = Path(os.environ.get("GANTRY_TOOLS", Path.home() / ".cache" / "gantry-tools")) / "oidc-provider"
    if not (folder / "node_modules" / "oidc-provider").is_dir():
        if shutil.which("npm") is None:
            pytest.skip("npm is not there")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), "oidc-provider@9"], capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            pytest.skip(f"oidc-provider cannot be installed: {done.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def provided(provider_folder, tmp_path_factory):
    """A site whose people log in at a provider."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, web = free.getsockname()[1], other.getsockname()[1]
    redirect = f"http://127.0.0.1:{web}/api/providers/house/callback"
    process = subprocess.Popen(["node", str(Path(__file__).with_name("oidc_provider.mjs")), str(port), redirect], cwd=provider_folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert b"listening" in process.stdout.readline()
        site = Site(tmp_path_factory.mktemp("provided") / "archive", config=f"""
[[identity.provider]]
name = "house"
title = "House account"
issuer = "http://127.0.0.1:{port}"
client_id = "gantry"
client_secret = "a secret: of + the test"
audiences = ["http://gantry.example"]
[identity.provider.roles]
radiology = "radiologist"
""")
        site.http = f"http://127.0.0.1:{web}"
        site.issuer = f"http://127.0.0.1:{port}"
        site.start()
        yield site
        site.close()
    finally:
        process.terminate()
        process.wait(20)


def log_in_at_provider(site, login: str) -> tuple["Browser", httpx.Response]:
    """As a browser would: there, through its pages, and back with a code."""
    browser = site.browser()
    [way] = browser.get("/api/login").json()["providers"]
    assert way["title"] == "House account"
    answer = browser.get(way["url"])
    assert answer.status_code == 303, answer.text
    where = answer.headers["location"]
    asked = httpx.URL(where).params
    assert asked["code_challenge_method"] == "S256" and asked["state"] and asked["nonce"] and asked["response_type"] == "code"
    there = httpx.Client(timeout=30)
    for _ in range(10):
        answer = there.get(where)
        if answer.status_code == 200:
            prompt = "login" if 'value="login"' in answer.text else "consent"
            answer = there.post(where, data={"prompt": prompt, "login": login, "password": "any"})
        where = str(answer.url.join(answer.headers["location"]))
        if where.startswith(site.http):
            return browser, where
    raise AssertionError(f"still at {where}")


def test_people_log_in_at_an_identity_provider(provided):
    browser, back = log_in_at_provider(provided, "olga")
    # Not in another browser, which has not begun it.
    assert provided.browser().get(back).status_code == 400
    answer = browser.get(back)
    assert answer.status_code == 303 and answer.headers["location"] == f"{provided.http}/", answer.text
    me = browser.get("/api/me").json()
    assert me["person"]["login"] == "olga" and me["person"]["external_roles"] == ["radiologist"]
    assert me["person"]["issuer"] == provided.issuer and me["person"]["email"] == "olga@example.org"
    assert "view" in me["rights"] and not me["person"]["has_password"]
    # A code and a state work once.
    assert browser.get(back).status_code in (400, 401)
    # Who has no group that is mapped has an account and no right.
    other, back = log_in_at_provider(provided, "oscar")
    assert other.get(back).status_code == 303
    assert other.get("/api/me").json()["rights"] == []
    # The same person comes back to the same account.
    again, back = log_in_at_provider(provided, "olga")
    again.get(back)
    assert again.get("/api/me").json()["person"]["id"] == me["person"]["id"]


def test_bearer_tokens_of_the_provider(provided):
    def token(resource: str) -> str:
        told = {"grant_type": "client_credentials", "resource": resource, "scope": "api"}
        answer = httpx.post(f"{provided.issuer}/token", data=told, auth=("robot", "robot"))
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    good = token("http://gantry.example")
    me = httpx.get(f"{provided.http}/api/me", headers=bearer(good))
    assert me.status_code == 200, me.text
    assert me.json()["person"]["login"] == "robot" and me.json()["credential"] == "provider house"
    assert httpx.get(f"{provided.http}/api/me", headers=bearer(token("http://other.example"))).status_code == 401
    head, claims, signature = good.split(".")
    unsigned = Authenticator.text(b'{"alg":"none"}')
    for forged in (f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims}.", f"{unsigned}.{claims}."):
        assert httpx.get(f"{provided.http}/api/me", headers=bearer(forged)).status_code == 401


# ---- passkeys -------------------------------------------------------------------------------


class Authenticator:
    """A device that keeps one passkey; openssl signs for it."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.key, self.origin, self.count = folder / "passkey.pem", origin, 0
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.key)], check=True, capture_output=True)
        public = subprocess.run(["openssl", "ec", "-in", str(self.key), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.x, self.y = public[-64:-32], public[-32:]
        self.handle = ""

    @staticmethod
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def data(self, site: str, flags: int) -> bytes:
        self.count += 1
        return hashlib.sha256(site.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def create(self, options: dict) -> dict:
        assert options["authenticatorSelection"]["residentKey"] == "required"
        self.handle = options["user"]["id"]
        cose = bytes.fromhex("a5010203262001215820") + self.x + bytes.fromhex("225820") + self.y
        data = self.data(options["rp"]["id"], 0x45) + bytes(16) + (4).to_bytes(2, "big") + b"key1" + cose
        attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59" + len(data).to_bytes(2, "big") + data
        response = {"clientDataJSON": self.text(self.client_data("webauthn.create", options["challenge"])), "attestationObject": self.text(attestation), "transports": ["internal"]}
        return {"id": self.text(b"key1"), "rawId": self.text(b"key1"), "type": "public-key", "response": response, "clientExtensionResults": {}}

    def get(self, options: dict) -> dict:
        data, client_data = self.data(options["rpId"], 0x05), self.client_data("webauthn.get", options["challenge"])
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.key)], input=data + hashlib.sha256(client_data).digest(), check=True, capture_output=True).stdout
        response = {"clientDataJSON": self.text(client_data), "authenticatorData": self.text(data), "signature": self.text(signed), "userHandle": self.handle}
        return {"id": self.text(b"key1"), "rawId": self.text(b"key1"), "type": "public-key", "response": response, "clientExtensionResults": {}}


def test_a_passkey_logs_in(site, tmp_path):
    site.add("paki", "radiologist")
    browser = site.browser()
    browser.log_in("paki")
    device = Authenticator(tmp_path, site.http)
    made = browser.post("/api/me/passkeys", json={"name": "Laptop", "credential": device.create(browser.post("/api/me/passkeys/options").json())})
    assert made.status_code == 201, made.text
    assert [one["name"] for one in browser.get("/api/me/passkeys").json()["passkeys"]] == ["Laptop"]

    fresh = site.browser()
    credential = device.get(fresh.post("/api/login/passkey/options").json())
    assert fresh.keep(fresh.post("/api/login/passkey", json={"credential": credential}))["me"]["person"]["login"] == "paki"
    assert fresh.post("/api/login/passkey", json={"credential": credential}).status_code == 401, "a challenge is used once"
    device.origin = "http://evil.example"
    evil = device.get(fresh.post("/api/login/passkey/options").json())
    assert fresh.post("/api/login/passkey", json={"credential": evil}).status_code == 401
    passkey = made.json()["passkey"]["id"]
    assert browser.delete(f"/api/me/passkeys/{passkey}").status_code == 204
    device.origin = site.http
    gone = device.get(fresh.post("/api/login/passkey/options").json())
    assert fresh.post("/api/login/passkey", json={"credential": gone}).status_code == 401
