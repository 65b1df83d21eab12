"""Malformed and hostile files, by C-STORE, by STOW-RS and by import.

Whatever happens to a file, the archive answers, stays up, stays small, and stores it whole or not at
all."""

from __future__ import annotations

import struct

import pydicom
import pytest

import dimse
import make
import part10
from gantry import Archive, run
from sources import SHARED, hostile_expectations, shared_manifest
from web import dumped, failed, stored, stow

EXPECTED = hostile_expectations()
KINDS = sorted({entry["kind"] for entry in EXPECTED.values() if entry["kind"] != "dicomdir"})
pytestmark = pytest.mark.skipif(not EXPECTED, reason="the shared collection is not there")

# Sent first, so that "the same UID" has something to be the same as.
ORDER = {"identity/same_uid_1_first.dcm": 0}


@pytest.fixture(scope="module")
def web_archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("hostile-web")).start()
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def dimse_archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("hostile-dimse")).start()
    yield archive
    archive.close()


def files_of(kind):
    names = [name for name, entry in EXPECTED.items() if entry["kind"] == kind]
    return sorted(names, key=lambda name: (ORDER.get(name, 1), name))


@pytest.mark.parametrize("kind", KINDS)
def test_by_stow(web_archive, kind):
    """Each alone in a request: taken, or refused with a reason."""
    problems = []
    with web_archive.client() as client:
        for name in files_of(kind):
            raw = (SHARED / "hostile" / name).read_bytes()
            answer = stow(client, [raw])
            expect = EXPECTED[name]["expect"]
            was_taken = answer.status_code in (200, 202) and bool(stored(answer))
            if answer.status_code >= 500:
                problems.append(f"{name}: {dumped(answer)}")
            elif expect == "accept" and not was_taken:
                problems.append(f"{name} must be taken: {dumped(answer)}")
            elif expect == "reject" and was_taken:
                problems.append(f"{name} must be refused: {dumped(answer)}")
            elif was_taken:
                problems += seen_whole(client, name, stored(answer)[0])
    assert web_archive.is_running()
    assert not problems, "\n".join(problems)


def seen_whole(client, name, uid) -> list[str]:
    """What was taken can be found and fetched."""
    answer = client.get("/instances", params={"SOPInstanceUID": uid}, headers={"Accept": "application/dicom+json"})
    if answer.status_code != 200 or len(answer.json()) != 1:
        return [f"{name} was taken and is not found: {dumped(answer)}"]
    item = answer.json()[0]
    url = item["00081190"]["Value"][0]
    got = client.get(url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    if got.status_code != 200:
        return [f"{name} was taken and does not come back: {dumped(got)}"]
    problems = []
    for more, accept in [("metadata", "application/dicom+json"), ("rendered", "image/jpeg"), ("thumbnail", "image/jpeg"), ("frames/1", "multipart/related; type=application/octet-stream")]:
        answer = client.get(f"{url}/{more}", headers={"Accept": accept}, timeout=60)
        if answer.status_code >= 500:
            problems.append(f"{name} {more}: {dumped(answer)}")
        if "html" in answer.headers.get("content-type", "") and more == "rendered":
            problems.append(f"{name}: rendered as a page")
    return problems


@pytest.mark.parametrize("kind", KINDS)
def test_by_c_store(dimse_archive, kind):
    problems = []
    before = dimse_archive.resident_mib()
    for name in files_of(kind):
        raw = (SHARED / "hostile" / name).read_bytes()
        try:
            file = part10.read(raw)
            file = part10.File(file.sop_class_uid or make.CT, file.sop_instance_uid or make.uid(), file.transfer_syntax_uid or "1.2.840.10008.1.2.1", file.data_set)
            command_uid(file.sop_class_uid), command_uid(file.sop_instance_uid), command_uid(file.transfer_syntax_uid)
        except (ValueError, struct.error):
            continue  # no meta information: nothing to announce
        status = send_alone(dimse_archive, file)
        if EXPECTED[name]["expect"] == "accept" and status not in (0x0000, 0xB000, 0xB006, 0xB007):
            problems.append(f"{name} must be taken: {status:04X}")
        if EXPECTED[name]["expect"] == "reject" and status in (0x0000, 0xB000, 0xB006, 0xB007):
            problems.append(f"{name} must be refused: {status:04X}")
    assert dimse_archive.is_running()
    assert dimse_archive.resident_mib() - before < 300
    assert not problems, "\n".join(problems)


def command_uid(text: str) -> str:
    """What pynetdicom lets into a command."""
    if not text or len(text) > 64 or not all(part.isdigit() for part in text.split(".")):
        raise ValueError(text)
    return text


def send_alone(archive, file) -> int:
    from pynetdicom import build_context

    association = archive.associate([build_context(file.sop_class_uid, file.transfer_syntax_uid)])
    try:
        if not association.accepted_contexts:
            return 0x0122
        return dimse.send_raw(association, 1, file)
    except ConnectionError:
        return 0xFFFF
    finally:
        if association.is_established:
            association.release()


def test_by_import(tmp_path):
    """A folder full of them: what is skipped is reported with its reason."""
    data = tmp_path / "archive"
    done = run("import", SHARED / "hostile", "--data", data, check=False, timeout=280)
    assert done.returncode in (0, 1), f"{done.returncode} {done.stderr[-3000:]}"
    assert "panicked" not in done.stderr
    archive = Archive(data)
    archive.start()
    try:
        assert len(archive.instances()) > 20
        # A DICOMDIR that points outside its folder brings nothing in from there.
        # One of the files has such a name itself.
        named = pydicom.dcmread(SHARED / "hostile" / "identity" / "patient_id_traversal.dcm", force=True)
        found = {one.SOPInstanceUID for one in archive.instances(PatientID="*passwd*")}
        assert found <= {named.SOPInstanceUID}
    finally:
        archive.close()


def test_preambles_are_cleared(web_archive):
    """What leaves the archive is DICOM and nothing else at the same time."""
    for name in files_of("polyglot"):
        if not name.startswith("polyglot/preamble_"):
            continue
        sent = pydicom.dcmread(SHARED / "hostile" / name)
        with web_archive.client() as client:
            stow(client, [(SHARED / "hostile" / name).read_bytes()])
        raw = web_archive.retrieve(sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
        assert raw[:128] == bytes(128), name
        assert part10.read(raw).data_set == part10.read(SHARED / "hostile" / name).data_set, name


def test_documents_are_not_served_as_pages(web_archive):
    """HTML, SVG and scripts in encapsulated documents must not run in a reader's browser."""
    for name in files_of("polyglot"):
        if not name.startswith("polyglot/encapsulated_"):
            continue
        try:
            sent = pydicom.dcmread(SHARED / "hostile" / name)
        except Exception:
            continue
        base = f"/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}"
        with web_archive.client() as client:
            if not stored(stow(client, [(SHARED / "hostile" / name).read_bytes()])):
                continue
            for path in (f"{base}/rendered", f"{base}/bulkdata/00420011"):
                answer = client.get(path, headers={"Accept": "text/html,application/xhtml+xml,image/svg+xml,*/*;q=0.8"})
                kind = answer.headers.get("content-type", "").split(";")[0]
                is_page = kind in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml")
                is_caged = "sandbox" in answer.headers.get("content-security-policy", "") or "attachment" in answer.headers.get("content-disposition", "")
                assert answer.status_code != 200 or not is_page or is_caged, f"{name} {path} {kind}"
                if answer.status_code == 200:
                    assert answer.headers.get("x-content-type-options") == "nosniff", f"{name} {path}"


def test_a_deflate_bomb_takes_no_memory(web_archive):
    before = web_archive.resident_mib()
    with web_archive.client() as client:
        for _ in range(3):
            stow(client, [(SHARED / "hostile" / "encapsulated" / "deflate_bomb_100mb.dcm").read_bytes()])
    assert web_archive.resident_mib() - before < 150


def test_files_called_broken_do_not_hurt(tmp_path):
    """The broken and odd files of the rest of the collection, all in one request each."""
    archive = Archive(tmp_path / "archive").start()
    try:
        with archive.client() as client:
            for entry in shared_manifest():
                if entry.expect and not entry.name.startswith("hostile/"):
                    raw = entry.file.read_bytes()
                    answer = stow(client, [raw])
                    assert answer.status_code < 500, f"{entry.name} {dumped(answer)}"
                    assert stored(answer) or failed(answer) or "0008119A" in answer.text or answer.status_code >= 400
        assert archive.is_running()
    finally:
        archive.close()
