"""Storage commitment by DICOMweb (PS3.18 13)."""

import json
import signal
import time

import httpx
import pytest

import make
from conftest import eventually
from gantry import Archive
from web import JSON, XML, failed, sop_uids

WHERE = "/commitment-requests/"


def ui(*values) -> dict:
    return {"vr": "UI", "Value": list(values)}


def sq(*items) -> dict:
    return {"vr": "SQ", "Value": list(items)}


def plain(*references) -> dict:
    """Referenced SOP Sequence of SOP Class and SOP Instance UIDs."""
    return {"00081199": sq(*[{"00081150": ui(sop_class), "00081155": ui(instance)} for sop_class, instance in references])}


def references(data_sets):
    return [(data_set.SOPClassUID, data_set.SOPInstanceUID) for data_set in data_sets]


def by_study(data_sets) -> dict:
    """Referenced Study Sequence: study, series, SOP Class, instance; one item of each for each."""
    return {"00081110": sq(*[{
        "0020000D": ui(data_set.StudyInstanceUID),
        "00081115": sq({
            "0020000E": ui(data_set.SeriesInstanceUID),
            "00081112": sq({"00081150": ui(data_set.SOPClassUID), "0008114A": sq({"00081155": ui(data_set.SOPInstanceUID)})}),
        }),
    } for data_set in data_sets])}


def in_studies(module: dict, tag: str) -> dict:
    """(study, series, class, instance) → Failure Reason of a sequence by study."""
    found = {}
    for study in module.get(tag, {}).get("Value", []):
        for series in study["00081115"]["Value"]:
            for of_class in series["00081112"]["Value"]:
                for item in of_class["0008114A"]["Value"]:
                    place = [study["0020000D"], series["0020000E"], of_class["00081150"], item["00081155"]]
                    found[tuple(value["Value"][0] for value in place)] = item.get("00081197", {}).get("Value", [None])[0]
    return found


def place(data_set):
    return data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPClassUID, data_set.SOPInstanceUID


def post(archive, transaction, module, accept=JSON, **headers) -> httpx.Response:
    with archive.client() as client:
        headers = {"Content-Type": JSON, "Accept": accept} | headers
        content = module if isinstance(module, bytes) else json.dumps(module).encode()
        return client.post(WHERE + transaction, content=content, headers=headers)


def get(archive, transaction, accept=JSON) -> httpx.Response:
    with archive.client() as client:
        return client.get(WHERE + transaction, headers={"Accept": accept})


def finished(archive, transaction) -> httpx.Response:
    """Asks as long as there is no result."""
    def answer():
        found = get(archive, transaction)
        if found.status_code == 202:
            assert not found.content and int(found.headers["retry-after"]) > 0
            return None
        return found

    return eventually(answer, seconds=60)


def test_all_that_is_stored_is_committed_at_once(shared):
    data_sets = make.study(3)
    shared.store(*data_sets)
    transaction = make.uid()
    answer = post(shared, transaction, plain(*references(data_sets)))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    assert sop_uids(answer.json(), "00081199") == [data_set.SOPInstanceUID for data_set in data_sets]
    # The transaction is in the path, not in the module (13.4.1.1).
    assert set(answer.json()) == {"00081199"}
    assert get(shared, transaction).json() == answer.json()


def test_failures_have_their_reasons(shared):
    data_sets = make.study(2)
    shared.store(*data_sets)
    unknown = make.uid()
    asked = references(data_sets[:1]) + [(make.CT, unknown), (make.MR, data_sets[1].SOPInstanceUID)]
    answer = post(shared, make.uid(), plain(*asked))
    assert answer.status_code == 200
    assert sop_uids(answer.json(), "00081199") == [data_sets[0].SOPInstanceUID]
    assert failed(answer) == {unknown: 0x0112, data_sets[1].SOPInstanceUID: 0x0119}
    none = post(shared, make.uid(), plain((make.CT, unknown)))
    assert none.status_code == 200 and "00081199" not in none.json()


def test_by_study(shared):
    data_sets = make.study(2) + make.study(1)
    shared.store(*data_sets)
    elsewhere = make.instance()
    shared.store(elsewhere)
    real = elsewhere.StudyInstanceUID
    elsewhere.StudyInstanceUID = make.uid()
    answer = post(shared, make.uid(), by_study([*data_sets, elsewhere]))
    assert answer.status_code == 200, answer.text
    assert in_studies(answer.json(), "00081110") == {place(data_set): None for data_set in data_sets}
    # It is stored, but not there.
    assert in_studies(answer.json(), "0008119B") == {place(elsewhere): 0x0112}
    assert len(answer.json()["00081110"]["Value"]) == 2
    assert "00081199" not in answer.json() and "00081198" not in answer.json()
    elsewhere.StudyInstanceUID = real
    assert set(post(shared, make.uid(), by_study([elsewhere])).json()) == {"00081110"}


def test_xml_in_and_out(shared):
    data_sets = make.study(1)
    shared.store(*data_sets)
    [(sop_class, instance)] = references(data_sets)
    unknown = make.uid()

    def item(number, instance):
        return f"""<Item number="{number}">
            <DicomAttribute tag="00081150" vr="UI" keyword="ReferencedSOPClassUID"><Value number="1">{sop_class}</Value></DicomAttribute>
            <DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">{instance}</Value></DicomAttribute>
        </Item>"""

    body = f"""<?xml version="1.0" encoding="UTF-8"?>
        <NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
        <DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence">{item(1, instance)}{item(2, unknown)}</DicomAttribute>
        </NativeDicomModel>""".encode()
    transaction = make.uid()
    answer = post(shared, transaction, body, accept=XML, **{"Content-Type": XML})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == XML
    assert instance in answer.text and "FailedSOPSequence" in answer.text
    found = get(shared, transaction)
    assert sop_uids(found.json(), "00081199") == [instance]
    assert failed(found) == {unknown: 0x0112}
    # The same content in JSON is the same request.
    assert post(shared, transaction, plain((sop_class, instance), (sop_class, unknown))).json() == found.json()


def test_a_transaction_uid_in_use(shared):
    data_sets = make.study(2)
    shared.store(*data_sets)
    transaction = make.uid()
    first = post(shared, transaction, plain(*references(data_sets)))
    assert first.status_code == 200
    again = post(shared, transaction, plain(*references(data_sets)))
    assert (again.status_code, again.json()) == (200, first.json())
    other = post(shared, transaction, plain(*references(data_sets[:1])))
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert get(shared, transaction).json() == first.json()


def test_what_was_committed_stays_said(shared):
    """The result is that of its time, and not found out anew."""
    [data_set] = make.study(1)
    shared.store(data_set)
    transaction = make.uid()
    before = post(shared, transaction, plain(*references([data_set])))
    with shared.client() as client:
        assert client.delete(f"/studies/{data_set.StudyInstanceUID}").status_code == 204
    assert get(shared, transaction).json() == before.json()
    assert failed(post(shared, make.uid(), plain(*references([data_set])))) == {data_set.SOPInstanceUID: 0x0112}


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"[{},{}]", b"{}", b'{"00081199":{"vr":"SQ"}}',
    json.dumps({"00081199": sq({"00081150": ui(make.CT)})}).encode(),
    json.dumps({"00081199": sq({"00081155": ui("1.2")})}).encode(),
    json.dumps({"00081199": sq({"00081150": ui(make.CT), "00081155": ui("a b")})}).encode(),
    json.dumps({"00081110": sq({"0020000D": ui("1.2")})}).encode(),
])
def test_malformed_requests_are_400(shared, body):
    transaction = make.uid()
    answer = post(shared, transaction, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert get(shared, transaction).status_code == 404


def test_other_refusals(shared):
    module = plain((make.CT, make.uid()))
    assert post(shared, "no%20uid", module).status_code == 400
    assert get(shared, "no%20uid").status_code == 400
    assert get(shared, make.uid()).status_code == 404
    assert post(shared, make.uid(), module, accept="image/png").status_code == 406
    assert post(shared, make.uid(), module, **{"Content-Type": "text/plain"}).status_code == 415


def test_damaged_bytes_are_not_committed(tmp_path):
    # Plain, so that the bytes can be found.
    archive = Archive(tmp_path / "archive", config="[archive]\nsmall_object_bytes = 1000\n[encryption]\nenabled = false\n").start()
    good, bad = make.instance(edge=64), make.instance(edge=64)
    archive.store(good, bad)
    pixels, damaged = bytes(bad.PixelData), 0
    for file in archive.data.rglob("*"):
        if file.is_file() and pixels in (content := file.read_bytes()):
            file.chmod(0o600)
            file.write_bytes(content.replace(pixels, bytes(len(pixels))))
            damaged += 1
    assert damaged == 1
    answer = post(archive, make.uid(), plain(*references([good, bad])))
    assert sop_uids(answer.json(), "00081199") == [good.SOPInstanceUID]
    assert failed(answer) == {bad.SOPInstanceUID: 0x0110}
    archive.close()


def test_a_client_that_will_not_wait_looks_later(archive):
    data_sets = make.study(20)
    archive.store(*data_sets)
    transaction = make.uid()
    answer = post(archive, transaction, plain(*references(data_sets)), Prefer="respond-async")
    assert answer.status_code in (200, 202)
    if answer.status_code == 202:
        assert answer.headers["preference-applied"] == "respond-async"
        assert int(answer.headers["retry-after"]) > 0 and not answer.content
    assert len(sop_uids(finished(archive, transaction).json(), "00081199")) == 20


def test_a_request_is_worked_on_after_the_server_died_at_it(tmp_path, monkeypatch):
    """202, then the server dies while it checks; started again it finds out what it owes."""
    archive = Archive(tmp_path / "archive")
    archive.start()
    data_sets = make.study(150)
    archive.store(*data_sets)
    archive.terminate()
    # Late enough that the answer is out before the server dies.
    monkeypatch.setenv("GANTRY_FAILPOINT", "commitment.check:abort:145")
    archive.start()
    monkeypatch.delenv("GANTRY_FAILPOINT")
    transaction, unknown = make.uid(), make.uid()
    asked = references(data_sets) + [(make.CT, unknown)]
    answer = post(archive, transaction, plain(*asked), Prefer="respond-async")
    assert answer.status_code == 202, answer.text
    assert archive.process.wait(60) == -signal.SIGABRT
    archive.start()
    done = finished(archive, transaction)
    assert done.status_code == 200
    assert sop_uids(done.json(), "00081199") == [instance for _, instance in asked[:-1]]
    assert failed(done) == {unknown: 0x0112}
    archive.close()


def test_killed_between_the_answer_and_the_look(archive):
    """kill -9, at whatever step of the work it comes."""
    data_sets = make.study(30)
    archive.store(*data_sets)
    transactions = {}
    for round_number in range(4):
        transaction = make.uid()
        # An instance may be named more than once.
        asked = references(data_sets) * 3
        answer = post(archive, transaction, plain(*asked), Prefer="respond-async")
        assert answer.status_code in (200, 202), answer.text
        time.sleep(0.03 * round_number)
        archive.kill()
        archive.start()
        transactions[transaction] = [instance for _, instance in asked]
    for transaction, instances in transactions.items():
        assert sop_uids(finished(archive, transaction).json(), "00081199") == instances


def test_it_is_described(shared):
    document = httpx.get(f"{shared.http}/api/openapi.json", timeout=30).json()
    path = document["paths"]["/dicom-web/commitment-requests/{transaction}"]
    assert set(path) == {"get", "post"}
    assert {"200", "202", "400", "409", "503"} <= set(path["post"]["responses"])
    assert {"200", "202", "404", "503"} <= set(path["get"]["responses"])
    wadl = httpx.request("OPTIONS", shared.web, timeout=30).text
    assert 'path="commitment-requests/{transaction}"' in wadl
