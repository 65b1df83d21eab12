"""Who may do what: every route of the OpenAPI document and every DIMSE service, for every role, on a
study inside of their scope and on one outside. A route without a row here fails."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet, Verification

import make
from test_identity import PASSWORD, Site, basic
from test_openapi import commitment, fill, query
from web import JSON, stow

RIGHTS = {
    "administrator": {"view", "download", "store", "modify", "delete", "export", "share", "administer", "audit"},
    "radiologist": {"view", "download", "export", "share"},
    "clinician": {"view"},
    "technologist": {"view", "store", "modify"},
    "researcher": {"view"},
    "auditor": {"audit"},
}

STUDY = "/dicom-web/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"

#: Everybody.
PUBLIC = "public"
#: Whoever has logged in, about themselves or about the server.
ANYBODY = "anybody"


def on_study(right: str) -> tuple[str, str]:
    """Needs a right over the study in the path; another study is not there."""
    return ("study", right)


def lists(right: str) -> tuple[str, str]:
    """Needs a right, and shows the studies over which it is held."""
    return ("list", right)


def holding(*rights: str) -> tuple[str, ...]:
    """Needs one of the rights, whatever the studies."""
    return ("right", *rights)


TABLE: dict[tuple[str, str], object] = {
    **{("get", path): PUBLIC for path in ("/", "/start/{file}", "/favicon.ico", "/livez", "/readyz", "/api/login", "/app/{*file}", "/app/{file}", "/assets/{file}", "/api/providers/{provider}/login", "/api/providers/{provider}/callback")},
    **{("post", path): PUBLIC for path in ("/api/login", "/api/login/second-factor", "/api/set-up", "/api/password-strength", "/api/password-link", "/api/shares/open", "/api/login/passkey", "/api/login/passkey/options")},
    **{("get", path): ANYBODY for path in ("/api/openapi.json", "/api/status", "/dicom-web", "/dicom-web/", "/api/me", "/api/me/sessions", "/api/me/tokens", "/api/me/passkeys")},
    **{("options", path): ANYBODY for path in ("/dicom-web", "/dicom-web/")},
    **{("post", path): ANYBODY for path in ("/api/logout", "/api/me/recovery-codes", "/api/me/tokens", "/api/me/totp", "/api/me/totp/confirm", "/api/me/totp/remove", "/api/me/passkeys", "/api/me/passkeys/options", "/api/break-glass", "/api/break-glass/{access}/close")},
    **{("put", path): ANYBODY for path in ("/api/me/password",)},
    **{("patch", path): ANYBODY for path in ("/api/me/passkeys/{passkey}",)},
    **{("delete", path): ANYBODY for path in ("/api/me/sessions", "/api/me/sessions/{session}", "/api/me/tokens/{token}", "/api/me/passkeys/{passkey}")},
    # Whose own are shown where the right over all is missing.
    **{(method, path): ANYBODY for method, path in (("get", "/api/shares"), ("delete", "/api/shares/{share}"), ("get", "/api/break-glass"))},
    ("post", "/api/shares"): on_study("share"),
    ("get", "/api/audit"): holding("audit"),
    ("post", "/api/audit/search"): holding("audit"),
    ("get", "/api/audit/verify"): holding("audit"),
    ("post", "/api/audit/patients/report"): holding("audit"),
    ("post", "/api/break-glass/{access}/review"): holding("audit"),
    ("get", "/api/people"): holding("administer"),
    ("post", "/api/people"): holding("administer"),
    ("get", "/api/people/{person}"): holding("administer"),
    ("patch", "/api/people/{person}"): holding("administer"),
    ("delete", "/api/people/{person}"): holding("administer"),
    ("post", "/api/people/{person}/grants"): holding("administer"),
    ("delete", "/api/people/{person}/grants/{grant}"): holding("administer"),
    ("post", "/api/people/{person}/password-link"): holding("administer"),
    ("delete", "/api/people/{person}/sessions"): holding("administer"),
    ("post", "/api/people/{person}/tokens"): holding("administer"),
    ("delete", "/api/people/{person}/totp"): holding("administer"),
    ("delete", "/api/people/{person}/passkeys"): holding("administer"),
    ("get", "/api/roles"): holding("administer"),
    ("post", "/api/roles"): holding("administer"),
    ("put", "/api/roles/{role}"): holding("administer"),
    ("delete", "/api/roles/{role}"): holding("administer"),
    ("get", "/api/tokens"): holding("administer"),
    ("delete", "/api/tokens/{token}"): holding("administer"),
    ("get", "/api/peers"): holding("administer"),
    ("post", "/api/peers/{ae_title}/echo"): holding("administer"),
    ("get", "/tls/ca.pem"): PUBLIC,
    ("get", "/tls/ca.crl"): PUBLIC,
    ("get", "/api/statistics"): lists("view"),
    ("get", "/api/studies"): lists("view"),
    ("get", "/api/studies/{study}/marks"): on_study("view"),
    ("put", "/api/studies/{study}/labels/{label}"): on_study("modify"),
    ("delete", "/api/studies/{study}/labels/{label}"): on_study("modify"),
    ("put", "/api/studies/{study}/restriction"): on_study("modify"),
    ("delete", "/api/studies/{study}/restriction"): on_study("modify"),
    ("get", "/api/studies/{study}/explanation"): holding("administer", "audit"),
    ("get", "/api/studies/{study}/series/{series}/instances/{instance}/header"): on_study("view"),
    ("get", "/api/deletions"): lists("delete"),
    ("post", "/api/deletions/{deletion}/restore"): on_study("delete"),
    **{("get", f"/dicom-web/{what}"): lists("view") for what in ("studies", "series", "instances", "patients")},
    ("post", "/dicom-web/studies"): ("store", "store"),
    ("post", STUDY): ("store", "store"),
    ("post", "/dicom-web/commitment-requests/{transaction}"): holding("store"),
    ("get", "/dicom-web/commitment-requests/{transaction}"): holding("store"),
    **{("get", level): on_study("download") for level in (STUDY, SERIES, INSTANCE)},
    **{("delete", level): on_study("delete") for level in (STUDY, SERIES, INSTANCE)},
    **{("get", level + "/metadata"): on_study("view") for level in (STUDY, SERIES, INSTANCE)},
    **{("get", level + "/bulkdata"): on_study("view") for level in (STUDY, SERIES, INSTANCE)},
    **{("get", level + "/pixeldata"): on_study("view") for level in (STUDY, SERIES, INSTANCE)},
    **{("get", level + "/rendered"): on_study("view") for level in (STUDY, SERIES, INSTANCE)},
    **{("get", level + "/thumbnail"): on_study("view") for level in (STUDY, SERIES, INSTANCE)},
    ("get", STUDY + "/series"): ("within", "view"),
    ("get", STUDY + "/instances"): ("within", "view"),
    ("get", SERIES + "/instances"): ("within", "view"),
    ("get", INSTANCE + "/bulkdata/{path}"): on_study("view"),
    ("get", INSTANCE + "/bulkdata/{*path}"): on_study("view"),
    **{("get", INSTANCE + "/frames/{frames}" + what): on_study("view") for what in ("", "/rendered", "/thumbnail")},
    ("get", "/wado"): on_study("view"),
    ("get", "/dicom-web/wado"): on_study("view"),
}


#: What can be understood: rights are asked for after that.
BODIES = {
    ("post", "/api/audit/patients/report"): lambda: {"patient_id": "nobody"},
    ("post", "/api/people"): lambda: {"login": f"p{make.uid()[-12:]}"},
    ("post", "/api/people/{person}/grants"): lambda: {"rights": ["view"]},
    ("post", "/api/people/{person}/tokens"): lambda: {"name": "t", "rights": ["view"]},
    ("post", "/api/roles"): lambda: {"name": f"r{make.uid()[-12:]}", "description": "d", "rights": ["view"]},
    ("put", "/api/roles/{role}"): lambda: {"description": "d", "rights": ["view"]},
}


def study_of(site_name: str, **attributes):
    return make.instance(edge=32, WindowCenter=100, WindowWidth=200, InstitutionName=site_name, ReferringPhysicianName="Weber^Ina", **attributes)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("permissions") / "archive", config='[archive]\nunknown_peers = "accept"\n').start()
    root = site.administrator()
    for role in RIGHTS:
        rights = sorted(RIGHTS[role])
        new = {"name": f"north-{role}", "description": "of one site", "rights": rights, "scope": {"sites": ["North"]}, "only_own_studies": False}
        assert root.post("/api/roles", json=new).status_code == 201
        site.add(role, f"north-{role}")
    site.document = root.get("/api/openapi.json").json()
    root.close()
    yield site
    site.close()


def store(site, *instances) -> None:
    with httpx.Client(base_url=site.web, headers=basic("root"), timeout=60) as client:
        for one in instances:
            assert stow(client, [make.part10(one)]).status_code == 200


def operations(document):
    for path, item in document["paths"].items():
        for method in item:
            yield method, path


def test_every_route_has_a_row(site):
    missing = [one for one in operations(site.document) if one not in TABLE]
    assert not missing, f"who may do this? {missing}"


def ask(site, role: str, method: str, path: str, one) -> httpx.Response:
    where = site.http + re.sub(r"\{(person|role|grant|token|share|access|session|passkey|label|provider|ae_title)\}", "999999", path)
    options: dict = {"headers": basic(role)}
    if method in ("post", "put", "patch"):
        options["json"] = BODIES.get((method, path), dict)() if path != "/api/shares" else {"study": one.StudyInstanceUID, "days": 1}
    if path.endswith("/studies") or path == STUDY:
        if method == "post":
            options.pop("json")
            boundary = "part"
            body = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + make.part10(one) + f"\r\n--{boundary}--\r\n".encode()
            options["content"] = body
            options["headers"] |= {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}', "Accept": JSON}
    if "commitment" in path and method == "post":
        options.pop("json")
        options["content"] = commitment(one)
        options["headers"] |= {"Content-Type": JSON}
    if path.endswith("/explanation"):
        options["params"] = {"person": "999999"}
    return httpx.request(method, fill(where, one), params=options.pop("params", None) or query(path, one), timeout=60, **options)


@pytest.mark.parametrize("role", RIGHTS)
def test_the_table_over_http(site, role):
    held = RIGHTS[role]
    wrong = []
    # Nothing that ends or changes the one who asks, and deletions last.
    skipped = {("post", "/api/logout"), ("put", "/api/me/password"), ("delete", "/api/me/sessions")}
    rows = sorted(operations(site.document), key=lambda row: (row[0] == "delete", "restriction" in row[1], row[1]))
    for method, path in rows:
        rule = TABLE.get((method, path))
        if (method, path) in skipped or rule is None:
            continue
        for name in ("North", "South"):
            one = study_of(name)
            one.deletion, one.transaction = "1", make.uid()
            if rule not in (PUBLIC, ANYBODY):
                store(site, one)
            problem = judge(rule, held, name, one, ask(site, role, method, path, one))
            if problem:
                wrong.append(f"{role}: {method} {path} on {name}: {problem}")
    assert not wrong, "\n".join(wrong)


def judge(rule, held: set[str], name: str, one, answer: httpx.Response) -> str:
    """What is wrong with an answer; nothing when it is right."""
    status = answer.status_code
    told = f"{status} {answer.text[:160]!r}"
    if status >= 500:
        return told
    if rule in (PUBLIC, ANYBODY):
        # Of people and shares that are not there, or with an empty body: but never for the lack of a right.
        return "" if status not in (401, 403) or rule == PUBLIC else told
    kind, *rights = rule
    if not held & set(rights):
        return "" if status == 403 else f"the right is missing: {told}"
    if kind == "right":
        return "" if status not in (401, 403) else told
    if kind == "list":
        if status not in (200, 204):
            return told
        if one.StudyInstanceUID in answer.text and name == "South":
            return "a study outside of the scope is listed"
        return ""
    if kind == "within":
        is_there = status == 200 and one.SOPInstanceUID in answer.text or status == 200 and one.SeriesInstanceUID in answer.text
        return "" if is_there == (name == "North") and status in (200, 204) else told
    if kind == "store":
        return "" if (status == 200) == (name == "North") else told
    if name == "South":
        return "" if status == 404 else f"outside of the scope: {told}"
    if "deletions" in str(answer.url):
        return "" if status == 404 else told
    return "" if status in (200, 201, 204, 406) else told


def test_lists_counts_and_direct_requests_agree(site):
    root = httpx.Client(base_url=site.http, headers=basic("root"), timeout=60)
    north, south = study_of("North"), study_of("South")
    store(site, north, south)
    for role in ("radiologist", "clinician", "technologist", "researcher"):
        client = httpx.Client(base_url=site.http, headers=basic(role) | {"Accept": JSON}, timeout=60)
        listed = client.get("/dicom-web/studies", params={"limit": 5000}).json()
        uids = {one["0020000D"]["Value"][0] for one in listed}
        assert north.StudyInstanceUID in uids and south.StudyInstanceUID not in uids
        statistics = client.get("/api/statistics").json()
        assert statistics["studies"] == len(uids)
        everything = root.get("/api/statistics").json()
        assert everything["studies"] > statistics["studies"]
        patients = client.get("/dicom-web/patients", params={"limit": 5000}).json()
        assert sum(int(one["00201200"]["Value"][0]) for one in patients) == len(uids)
        for uid in [*list(uids)[:5], south.StudyInstanceUID]:
            status = client.get(f"/dicom-web/studies/{uid}/metadata").status_code
            assert (status == 200) == (uid in uids)


# ---- the same on associations ---------------------------------------------------------------


def association(site, role: str, password: str = PASSWORD):
    ae = AE("SOMEBODY")
    for abstract_syntax in (Verification, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet):
        ae.add_requested_context(abstract_syntax)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    from pynetdicom import build_role

    item = UserIdentityNegotiation()
    item.user_identity_type = 2
    item.primary_field = role.encode()
    item.secondary_field = password.encode()
    return ae.associate("127.0.0.1", site.port, ext_neg=[item, build_role(CTImageStorage, scp_role=True, scu_role=True)])


def test_a_wrong_password_is_no_association(site):
    assert association(site, "radiologist", "wrong").is_rejected


@pytest.mark.parametrize("role", RIGHTS)
def test_the_table_over_dimse(site, role):
    from pydicom.dataset import Dataset

    held = RIGHTS[role]
    kinds = {name: make.instance(edge=32, SOPClassUID=CTImageStorage, InstitutionName=name) for name in ("North", "South")}
    store(site, *kinds.values())
    known = association(site, role)
    assert known.is_established
    try:
        assert known.send_c_echo().Status == 0x0000
        for name, one in kinds.items():
            identifier = Dataset()
            identifier.QueryRetrieveLevel = "STUDY"
            identifier.StudyInstanceUID = one.StudyInstanceUID
            answers = [(status.Status, found) for status, found in known.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind)]
            if "view" not in held:
                assert answers[-1][0] == 0x0124, answers
            else:
                found = [found for status, found in answers if status in (0xFF00, 0xFF01)]
                assert len(found) == (name == "North"), f"C-FIND {name}"
            *_, (last, _) = known.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet)
            if "download" not in held:
                assert last.Status == 0x0124, hex(last.Status)
            else:
                assert last.get("NumberOfCompletedSuboperations", 0) + last.get("NumberOfFailedSuboperations", 0) == (name == "North"), f"C-GET {name}"
            # One more of the same study.
            other = make.instance(edge=32, SOPClassUID=CTImageStorage, InstitutionName=name, StudyInstanceUID=one.StudyInstanceUID)
            status = known.send_c_store(other).Status
            may = "store" in held and name == "North"
            assert (status == 0x0000) == may and (may or status == 0x0124), f"C-STORE {name}: {status:04x}"
    finally:
        known.release()


def test_who_is_no_peer_may_only_echo(tmp_path):
    site = Site(tmp_path / "archive").start()
    try:
        ae = AE("STRANGER")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        stranger = ae.associate("127.0.0.1", site.port)
        assert stranger.send_c_echo().Status == 0x0000
        assert stranger.send_c_store(make.instance(edge=32, SOPClassUID=CTImageStorage)).Status == 0x0124
        stranger.release()
        site.administrator().close()
        seen = httpx.get(f"{site.http}/api/peers", headers=basic("root")).json()["peers"]
        [seen] = [peer for peer in seen if peer["ae_title"] == "STRANGER"]
        assert seen["known"] is None and seen["calls"][0]["address"] == "127.0.0.1"
        assert json.dumps(seen)
    finally:
        site.close()
