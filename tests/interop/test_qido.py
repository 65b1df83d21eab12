"""QIDO-RS (PS3.18 10.6)."""

import xml.etree.ElementTree as ElementTree

import pytest
from dicomweb_client.api import DICOMwebClient

import make
from web import JSON, dumped


@pytest.fixture(scope="module")
def people(shared):
    plans = [
        dict(PatientName="DOE^JOHN", PatientID="W100", StudyDate="20260101", StudyTime="101530", AccessionNumber="ACC_1"),
        dict(PatientName="DOERING^JANE", PatientID="W101", StudyDate="20260102", StudyTime="093000", Modality="MR", PatientWeight="71.50", KVP="120"),
        dict(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", PatientID="W102", StudyDate="20260103", StudyTime="120000"),
        dict(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう", PatientID="W103", StudyDate="20260104", StudyTime="120000"),
    ]
    made = [make.instance(**plan) for plan in plans]
    made.append(make.instance(study=made[0].StudyInstanceUID, series=made[0].SeriesInstanceUID, **plans[0]))
    made.append(make.instance(study=made[0].StudyInstanceUID, SeriesNumber=2, Modality="SR", **plans[0]))
    made[1].add_new(0x00090010, "LO", "INTEROP PRIVATE")
    made[1].add_new(0x00091001, "LO", "kept private")
    assert set(shared.store(*made)) == {0}
    shared.people = made
    return shared


@pytest.fixture
def client(people):
    with people.client(headers={"Accept": JSON}) as client:
        yield client


def value(item, tag):
    return item.get(tag, {}).get("Value", [None])[0]


def found(answer, tag="00100020"):
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, dumped(answer)
    return sorted(value(item, tag) for item in answer.json())


def search(client, path="/studies", **parameters):
    return found(client.get(path, params={key.rstrip("_"): text for key, text in parameters.items()} | {"includefield": "00100020"}))


# ---- resources --------------------------------------------------------------------------------


def test_all_six_resources(client, people):
    study, series = people.people[0].StudyInstanceUID, people.people[0].SeriesInstanceUID
    expected = {
        "/studies?PatientID=W10*": 4, f"/studies/{study}/series": 2, f"/studies/{study}/series/{series}/instances": 2,
        f"/studies/{study}/instances": 3, "/series?PatientID=W100": 2, "/instances?PatientID=W100": 3,
    }
    for path, count in expected.items():
        answer = client.get(path)
        assert answer.status_code == 200, f"{path} {dumped(answer)}"
        assert len(answer.json()) == count, path


def test_default_attributes_of_a_study(client):
    [study] = client.get("/studies", params={"PatientID": "W100"}).json()
    for tag in ("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"):
        assert tag in study, tag
    assert sorted(study["00080061"]["Value"]) == ["CT", "SR"]
    assert (value(study, "00201206"), value(study, "00201208")) == (2, 3)
    assert value(study, "00080056") == "ONLINE"
    assert value(study, "00081190").endswith(f"/dicom-web/studies/{value(study, '0020000D')}")


def test_default_attributes_of_series_and_instances(client, people):
    study, series = people.people[0].StudyInstanceUID, people.people[0].SeriesInstanceUID
    [one, _] = sorted(client.get(f"/studies/{study}/series").json(), key=lambda item: value(item, "00200011"))
    for tag in ("00080060", "0020000E", "00200011", "00201209", "00081190"):
        assert tag in one, tag
    [instance, _] = client.get(f"/studies/{study}/series/{series}/instances").json()
    for tag in ("00080016", "00080018", "00200013", "00280010", "00280011", "00280100", "00081190"):
        assert tag in instance, tag
    at_all = client.get("/instances", params={"PatientID": "W101"}).json()[0]
    assert {"0020000D", "0020000E", "00080060", "00100010"} <= at_all.keys()


def test_retrieve_urls_work(client):
    [study] = client.get("/studies", params={"PatientID": "W101"}).json()
    answer = client.get(value(study, "00081190"), headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert answer.status_code == 200


def test_no_match_is_204_without_a_body(client):
    answer = client.get("/studies", params={"PatientID": "NOBODY"})
    assert answer.status_code == 204 and answer.content == b""


# ---- matching ---------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters, expected", [
    ({"PatientID": "W101"}, ["W101"]),
    ({"00100020": "W101"}, ["W101"]),
    ({"PatientID": "W10?"}, ["W100", "W101", "W102", "W103"]),
    ({"PatientName": "DOE*", "PatientID": "W*"}, ["W100", "W101"]),
    ({"PatientName": "doe^john", "PatientID": "W*"}, None),
    ({"PatientName": "", "PatientID": "W101"}, ["W101"]),
    ({"StudyDate": "20260101-20260102", "PatientID": "W*"}, ["W100", "W101"]),
    ({"StudyDate": "20260103-", "PatientID": "W*"}, ["W102", "W103"]),
    ({"StudyTime": "1000-1200", "PatientID": "W*"}, ["W100", "W102", "W103"]),
    ({"ModalitiesInStudy": "SR", "PatientID": "W*"}, ["W100"]),
    ({"ModalitiesInStudy": "MR", "PatientID": "W*"}, ["W101"]),
    ({"AccessionNumber": "ACC_1"}, ["W100"]),
    ({"AccessionNumber": "ACC%1"}, []),
    ({"PatientName": "Müller*"}, ["W102"]),
    ({"PatientName": "*=山田*"}, ["W103"]),
    ({"PatientName": "Yamada^Tarou"}, ["W103"]),
    ({"PatientID": "W'; DROP TABLE study; --"}, []),
])
def test_matching(client, parameters, expected):
    answer = client.get("/studies", params=parameters | {"includefield": "PatientID"})
    # Case in names is the server's choice; either is allowed.
    assert found(answer) == expected or expected is None


@pytest.mark.parametrize("separator", [",", "\\", "%2C", "%5C"])
def test_lists_of_uids(client, people, separator):
    one, other = people.people[0].StudyInstanceUID, people.people[1].StudyInstanceUID
    answer = client.get(f"/studies?StudyInstanceUID={one}{separator}{other}")
    assert found(answer) == ["W100", "W101"]


def test_sequence_paths(client, people):
    """A dotted path reaches into a sequence."""
    answer = client.get("/studies", params={"ProcedureCodeSequence.CodeValue": "NOTHING"})
    assert answer.status_code == 204, dumped(answer)


def test_parameters_are_decoded_before_they_are_read(client):
    assert found(client.get("/studies?Patient%4Eame=DOE%5EJOHN&PatientID=W%2A")) == ["W100"]
    assert found(client.get("/studies?PatientName=DOE^JOHN&PatientID=W100")) == ["W100"]


def test_fuzzy_matching_is_done_or_declared(client):
    answer = client.get("/studies", params={"PatientName": "muller", "fuzzymatching": "true", "PatientID": "W*"})
    if answer.status_code == 200 and "Warning" not in answer.headers:
        assert found(answer) == ["W102"]
    else:
        assert "299" in answer.headers["Warning"] and "fuzzymatching" in answer.headers["Warning"]


@pytest.mark.parametrize("query", [
    "NoSuchKeyword=1", "PatientID=a&PatientID=b", "limit=-1", "limit=x", "offset=-3", "offset=1.5", "0010002=1", "includefield=NoSuchKeyword",
    "fuzzymatching=maybe", "PatientID=a&00100020=b",
])
def test_wrong_parameters_are_400_and_say_why(client, query):
    answer = client.get(f"/studies?{query}")
    assert answer.status_code == 400, dumped(answer)
    assert len(answer.text) > 10


# ---- what is returned -------------------------------------------------------------------------


def test_includefield(client, people):
    for query in ("includefield=KVP,00101030", "includefield=KVP&includefield=00101030", "includefield=all"):
        [instance] = client.get(f"/instances?PatientID=W101&{query}").json()
        assert value(instance, "00101030") is not None, query
        assert value(instance, "00180060") is not None, query
    [with_private] = client.get("/instances?PatientID=W101&includefield=00091001").json()
    assert value(with_private, "00091001") == "kept private"


def test_attributes_of_lower_levels_are_not_an_error(client):
    assert client.get("/studies?PatientID=W101&includefield=SOPInstanceUID").status_code == 200


def test_json_model(client, people):
    [instance] = client.get("/instances?PatientID=W101&includefield=all").json()
    assert list(instance) == sorted(instance)
    for tag, element in instance.items():
        assert len(tag) == 8 and tag == tag.upper()
        assert "vr" in element
        assert not tag.endswith("0000"), "group length"
        assert element.get("Value") != [], "an empty Value"
    assert value(instance, "00101030") in (71.5, "71.50", "71.5")
    assert instance.get("00080005", {}).get("Value", ["ISO_IR 192"]) == ["ISO_IR 192"]
    [yamada] = client.get("/studies?PatientID=W103").json()
    assert value(yamada, "00100010") == {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}


def test_paging_repeats_and_skips_nothing(client):
    whole = [value(item, "0020000D") for item in client.get("/studies").json()]
    paged = []
    while True:
        answer = client.get("/studies", params={"limit": 2, "offset": len(paged)})
        if answer.status_code == 204:
            break
        page = [value(item, "0020000D") for item in answer.json()]
        assert len(page) <= 2
        paged += page
        if len(page) < 2:
            break
    assert paged == whole


def test_paging_while_data_arrive(people, client):
    """Studies that were there before the first page come exactly once."""
    before = {value(item, "0020000D") for item in client.get("/studies").json()}
    seen = []
    while True:
        answer = client.get("/studies", params={"limit": 2, "offset": len(seen)})
        if answer.status_code == 204 or not answer.json():
            break
        seen += [value(item, "0020000D") for item in answer.json()]
        if len(seen) < 6:
            people.store(make.instance(PatientID="ARRIVING"))
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_a_limit_above_the_maximum_is_capped_with_a_warning(tmp_path):
    from gantry import Archive

    archive = Archive(tmp_path / "capped", config="[http]\nsearch_limit_max = 3\n").start()
    try:
        archive.store(*[make.instance() for _ in range(5)])
        with archive.client(headers={"Accept": JSON}) as client:
            answer = client.get("/studies", params={"limit": 100})
            assert len(answer.json()) == 3
            assert "299" in answer.headers["Warning"] and "2 additional results" in answer.headers["Warning"]
            assert len(client.get("/studies", params={"limit": 2}).json()) == 2
    finally:
        archive.close()


# ---- media types, HTTP ------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [JSON, "application/json", "*/*", "application/*", "application/dicom+json;q=0.5, text/html;q=0.1", ""])
def test_json_is_what_most_accept_headers_get(client, accept):
    answer = client.get("/studies?PatientID=W101", headers={"Accept": accept})
    assert answer.status_code == 200 and answer.headers["content-type"].split(";")[0] in (JSON, "application/json")
    assert answer.json()


def test_xml_when_asked(client):
    from web import parts

    answer = client.get("/studies?PatientID=W10*", headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    found = parts(answer)
    assert len(found) == 4
    root = ElementTree.fromstring(found[0].body)
    assert root.tag.endswith("NativeDicomModel")
    keywords = {attribute.get("keyword") for attribute in root}
    assert {"PatientName", "StudyInstanceUID"} <= keywords


def test_what_cannot_be_given_is_406(client):
    answer = client.get("/studies?PatientID=W101", headers={"Accept": "image/png"})
    assert answer.status_code == 406


def test_the_accept_parameter_wins(client):
    answer = client.get("/studies", params={"PatientID": "W101", "accept": JSON}, headers={"Accept": "image/png"})
    assert answer.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_json_is_compressed_on_request(people, coding):
    import socket

    host, port = people.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET /dicom-web/instances HTTP/1.1\r\nHost: {host}\r\nAccept: {JSON}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n".encode())
        raw = b""
        while chunk := connection.recv(65536):
            raw += chunk
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert f"content-encoding: {coding}".encode() in head.lower(), head
    assert b"vary" in head.lower()


def test_gzip_decodes_to_the_same(client):
    plain = client.get("/studies", headers={"Accept-Encoding": "identity"})
    assert client.get("/studies", headers={"Accept-Encoding": "gzip"}).json() == plain.json()


def test_head_has_the_header_fields_without_a_body(client):
    answer = client.head("/studies?PatientID=W101")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["content-type"].startswith("application/")


def test_unknown_paths_and_methods(client, people):
    assert client.get("/nonsense").status_code == 404
    assert client.put("/studies").status_code == 405
    assert client.get(f"/studies/{make.uid()}/series").status_code in (204, 404)


# ---- other clients ----------------------------------------------------------------------------


def test_dicomweb_client(people):
    client = DICOMwebClient(people.web)
    studies = client.search_for_studies(search_filters={"PatientID": "W10*"}, fields=["StudyDescription"], limit=10)
    assert len(studies) == 4
    series = client.search_for_series(people.people[0].StudyInstanceUID)
    assert len(series) == 2
    instances = client.search_for_instances(people.people[0].StudyInstanceUID, people.people[0].SeriesInstanceUID)
    assert len(instances) == 2


def test_ohif_list_query(client):
    """As OHIF asks for its study list."""
    answer = client.get("/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060,00080090,00100030&00100020=W100")
    assert len(answer.json()) == 1


def test_ohif_lists_studies_without_a_modality(people):
    """OHIF 3.13 reads `ModalitiesInStudy.Value.length`: an attribute without values stops its list."""
    one = make.instance(PatientID="NOMODALITY")
    del one.Modality
    assert people.store(one) == [0]
    with people.client(headers={"Accept": JSON}) as client:
        for more in ("", "&includefield=00080061,00080060"):
            [item] = client.get(f"/studies?PatientID=NOMODALITY{more}").json()
            assert item.get("00080061", {"Value": []}).get("Value") is not None
            assert item["00201208"]["Value"] == [1]


# ---- CORS -------------------------------------------------------------------------------------


def test_cors_only_when_configured(people, tmp_path):
    from gantry import Archive

    with people.client() as client:
        answer = client.get("/studies", headers={"Origin": "https://viewer.example"})
        assert "access-control-allow-origin" not in answer.headers
    archive = Archive(tmp_path / "cors", config='[http]\ncors_origins = ["https://viewer.example"]\n').start()
    try:
        with archive.client() as client:
            answer = client.get("/studies", headers={"Origin": "https://viewer.example"})
            assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
            assert "access-control-allow-origin" not in client.get("/studies", headers={"Origin": "https://evil.example"}).headers
            preflight = client.options("/studies", headers={"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "accept, authorization, content-type"})
            assert preflight.status_code in (200, 204)
            allowed = preflight.headers["access-control-allow-headers"].lower()
            assert "authorization" in allowed or allowed == "*"
            exposed = client.get("/studies", headers={"Origin": "https://viewer.example"}).headers.get("access-control-expose-headers", "").lower()
            assert "content-type" in exposed or exposed == "*" or "content-location" in exposed
    finally:
        archive.close()
