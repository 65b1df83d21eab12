"""The OpenAPI document against the server that serves it, and Retrieve Capabilities (PS3.18 8.9)."""

import json
import re
import xml.etree.ElementTree

import httpx
import pytest

import make
from web import DICOM, JSON, media_type, multipart

WADL = "application/vnd.sun.wadl+xml"
METHODS = {"get", "post", "put", "delete", "patch", "options"}
# Logins, people and what is theirs: there are none where nobody logs in; test_identity.py has them.
PEOPLE = re.compile(r"^/api/(?!me$|login$)(login|logout|set-up|me|people|roles|tokens|shares|break-glass|password|providers)\b|^/api/login$")


@pytest.fixture(scope="module")
def document(shared):
    return httpx.get(f"{shared.http}/api/openapi.json", timeout=30).json()


@pytest.fixture(scope="module")
def stored(shared):
    """An image, an encapsulated document's place and a deletion: what the paths can be filled with."""
    one, gone = make.instance(edge=32, WindowCenter=100, WindowWidth=200), make.instance()
    assert shared.store(one, gone) == [0, 0]
    answer = httpx.delete(f"{shared.web}/studies/{gone.StudyInstanceUID}", timeout=30)
    one.deletion = re.search(r"\d+", answer.headers["location"].rsplit("/deletions/")[1])[0]
    one.transaction = make.uid()
    answer = httpx.post(f"{shared.web}/commitment-requests/{one.transaction}", content=commitment(one), headers={"Content-Type": JSON}, timeout=30)
    assert answer.status_code == 200
    return one


def commitment(one) -> bytes:
    """A request for the commitment of an instance."""
    return json.dumps({"00081199": {"vr": "SQ", "Value": [{
        "00081150": {"vr": "UI", "Value": [one.SOPClassUID]},
        "00081155": {"vr": "UI", "Value": [one.SOPInstanceUID]},
    }]}}).encode()


def fill(path: str, one) -> str:
    """A path of the document that leads to something stored."""
    values = {
        "study": one.StudyInstanceUID,
        "series": one.SeriesInstanceUID,
        "instance": one.SOPInstanceUID,
        "frames": "1",
        "path": "7FE00010",
        "deletion": one.deletion,
        "transaction": one.transaction,
        "file": "icon.svg",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "1"), path)


def query(path: str, one) -> dict:
    if not path.endswith("/wado"):
        return {}
    return {
        "requestType": "WADO",
        "studyUID": one.StudyInstanceUID,
        "seriesUID": one.SeriesInstanceUID,
        "objectUID": one.SOPInstanceUID,
    }


# They need a person, a peer or an authority that these archives do not have.
OTHERS = {"/api/studies/{study}/explanation", "/api/peers/{ae_title}/echo", "/tls/ca.pem", "/tls/ca.crl"}


def operations(document, *methods):
    """What can be asked of an archive where nobody logs in."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in methods and path not in OTHERS and not (PEOPLE.match(path) and (path, method) != ("/api/login", "get")):
                yield path, method, operation


def test_where_nobody_logs_in_there_are_no_people(shared, document, stored):
    count = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not PEOPLE.match(path) or (path, method) == ("/api/login", "get"):
                continue
            answer = httpx.request(method, shared.http + fill(path, stored), timeout=30)
            assert answer.status_code == 409, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
            check(answer, operation, f"{method} {path}")
            assert answer.json()["type"] == "urn:gantry:problem:demo"
            count += 1
    assert count > 30


def essence(content_type: str) -> str:
    """`multipart/related; type="a/b"` or `a/b`, whatever the other parameters."""
    kind, parameters = media_type(content_type)
    return f'{kind}; type="{parameters["type"]}"' if kind.startswith("multipart/") else kind


def check(answer: httpx.Response, operation: dict, where: str) -> None:
    status = str(answer.status_code)
    assert status in operation["responses"], f"{where}: {status} is not in {list(operation['responses'])}: {answer.text[:300]}"
    listed = operation["responses"][status].get("content", {})
    if answer.content:
        assert essence(answer.headers["content-type"]) in listed, f"{where}: {answer.headers['content-type']} is not in {list(listed)}"


def test_every_get_answers_as_described(shared, document, stored):
    """With no wish, with each media type that is listed, and with one that nobody has."""
    count = 0
    for path, method, operation in operations(document, "get", "options"):
        wishes = [None, "application/x-nobody-has-this"]
        wishes += operation["responses"]["200"].get("content", {})
        for wish in wishes:
            headers = {"Accept": wish} if wish else {}
            answer = httpx.request(method, shared.http + fill(path, stored), params=query(path, stored), headers=headers, timeout=60)
            check(answer, operation, f"{method} {path} {wish}")
            if wish is None:
                assert answer.status_code in (200, 204), f"{path}: {answer.status_code} {answer.text[:300]}"
            count += 1
    assert count > 150


def test_every_get_of_what_is_not_there_answers_as_described(shared, document):
    nobody = make.instance()
    nobody.deletion, nobody.transaction = "999999", make.uid()
    for path, method, operation in operations(document, "get"):
        if "{" not in path:
            continue
        filled = fill(path, nobody).replace("icon.svg", "nothing.svg")
        answer = httpx.get(shared.http + filled, timeout=60)
        assert answer.status_code in (204, 404), f"{path}: {answer.status_code}"
        check(answer, operation, f"{method} {path}")
        answer = httpx.get(shared.http + fill(path, nobody).replace(nobody.StudyInstanceUID, "no uid!"), timeout=60)
        check(answer, operation, f"{method} {path} with a wrong UID")


def test_head_is_answered_wherever_get_is(shared, document, stored):
    for path, _, _ in operations(document, "get"):
        where, params = shared.http + fill(path, stored), query(path, stored)
        get = httpx.get(where, params=params, timeout=60)
        head = httpx.head(where, params=params, timeout=60)
        assert head.status_code == get.status_code, path
        assert head.content == b"", path
        for name in ("content-type", "etag", "content-encoding", "content-range", "vary"):
            assert head.headers.get(name) == get.headers.get(name), f"{path}: {name}"


def test_posts_and_deletes_answer_as_described(shared, document):
    for path, method, operation in operations(document, "post", "delete"):
        if path.startswith("/api/audit"):
            continue  # It takes JSON of its own: test_audit.py.
        one = make.instance()
        if method == "delete":
            assert shared.store(one) == [0]
        one.deletion, one.transaction = "999999", make.uid()
        body, headers = b"", {}
        if "{transaction}" in path:
            body, headers = commitment(one), {"Content-Type": JSON}
        elif operation.get("requestBody"):
            body = multipart([({"Content-Type": DICOM}, make.part10(one))])
            headers = {"Content-Type": f'multipart/related; type="{DICOM}"; boundary=gantry-interop-boundary'}
        where = shared.http + fill(path, one)
        answer = httpx.request(method, where, content=body, headers=headers, timeout=60)
        check(answer, operation, f"{method} {path}")
        assert answer.status_code in (200, 204) or "{deletion}" in path, f"{path}: {answer.text[:300]}"
        if operation.get("requestBody"):
            for wish in operation["responses"]["200"]["content"]:
                answer = httpx.request(method, where, content=body, headers=headers | {"Accept": wish}, timeout=60)
                assert answer.status_code == 200 and essence(answer.headers["content-type"]) == wish
            answer = httpx.request(method, where, content=b"x", headers={"Content-Type": "text/plain"}, timeout=60)
            assert answer.status_code == 415
            check(answer, operation, f"{method} {path} with text")


def test_other_methods_are_405_with_what_there_is(shared, document, stored):
    """The router's own list of methods is the document's: no route is left out of it."""
    for path, item in document["paths"].items():
        listed = {method.upper() for method in item} | ({"HEAD"} if "get" in item else set())
        for method in METHODS - set(item) - {"options"}:
            answer = httpx.request(method, shared.http + fill(path, stored), timeout=30)
            assert answer.status_code == 405, f"{method} {path}: {answer.status_code}"
            assert {name.strip() for name in answer.headers["allow"].split(",")} == listed, f"{method} {path}"
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/nonsense", "/dicom-web/nonsense", "/dicom-web/studies/1.2.3/nonsense", "/api/", "/dicom-web//studies"])
def test_what_is_no_path_is_404_with_a_problem(shared, path):
    for method in ("GET", "POST", "DELETE"):
        answer = httpx.request(method, shared.http + path, timeout=30)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 404


@pytest.mark.parametrize("path", ["/dicom-web", "/dicom-web/"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_capabilities(shared, document, method, path):
    answer = httpx.request(method, shared.http + path, headers={"Accept": WADL}, timeout=30)
    assert answer.status_code == 200 and answer.headers["content-type"] == WADL
    described = xml.etree.ElementTree.fromstring(answer.content)
    name = "{http://wadl.dev.java.net/2009/02}"
    [resources] = described.findall(f"{name}resources")
    assert resources.get("base") == shared.web
    found = {resource.get("path") for resource in resources}
    expected = {path.removeprefix("/dicom-web/") for path in document["paths"] if path.startswith("/dicom-web/")} - {""}
    assert found == expected
    answer = httpx.request(method, shared.http + path, headers={"Accept": "application/json"}, timeout=30)
    listed = answer.json()["application"]["resources"]["resource"]
    assert {resource["path"] for resource in listed} == expected
    assert httpx.request(method, shared.http + path, headers={"Accept": "image/png"}, timeout=30).status_code == 406


def test_capabilities_for_a_browser_and_for_head(shared):
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    assert httpx.get(shared.web, headers=browser, timeout=30).headers["content-type"] == WADL
    answer = httpx.head(shared.web, timeout=30)
    assert answer.status_code == 200 and answer.content == b""


def test_search_documents_are_json_by_default(shared, stored):
    answer = httpx.get(f"{shared.web}/studies", timeout=30)
    assert essence(answer.headers["content-type"]) == JSON
