"""The commands, and starting and stopping."""

import csv
import json
import re
import subprocess
import time
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest

import gantry
import make
import part10
from conftest import eventually
from gantry import Archive, run
from sources import SHARED, pydicom_files

COMMANDS = ["serve", "import", "export", "echo", "send", "commit", "find", "get", "move", "reindex", "verify", "check-config", "stats", "demo", "cat", "user", "token"]


def test_help_names_every_command_and_has_examples():
    text = run("--help").stdout
    for command in COMMANDS:
        assert command in text, command
        help_text = run(command, "--help").stdout
        assert "gantry " + command in help_text
        assert "Example" in help_text, f"{command} has no examples"


def test_wrong_use_is_told_on_stderr():
    done = run("nonsense", check=False)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_the_ready_line_and_a_clean_stop(tmp_path):
    archive = Archive(tmp_path / "archive").start()
    started = time.monotonic()
    assert archive.terminate() == 0
    assert time.monotonic() - started < 10
    archive.close()


def test_settings_from_the_environment(tmp_path):
    import os
    import select

    process = subprocess.Popen([str(gantry.BINARY), "serve", "--demo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {
        "GANTRY_DATA": str(tmp_path / "from-environment"), "GANTRY_HTTP": "127.0.0.1:0", "GANTRY_DICOM": "127.0.0.1:0", "GANTRY_AE_TITLE": "FROMENV"})
    try:
        assert select.select([process.stdout], [], [], 30)[0]
        line = process.stdout.readline().decode()
        while line and not line.startswith("gantry ready"):
            line = process.stdout.readline().decode()
        assert "ae=FROMENV" in line
        assert (tmp_path / "from-environment").is_dir()
    finally:
        process.terminate()
        process.wait(20)


def test_check_config(tmp_path):
    good = tmp_path / "good.toml"
    good.write_text('[[peer]]\nae_title = "CT1"\nhost = "ct.example"\nport = 104\n')
    done = run("check-config", "--config", good, "--data", tmp_path / "data", "--ae-title", "OTHER")
    assert 'ae_title = "OTHER"' in done.stdout and "ct.example" in done.stdout and "no problems" in done.stderr
    # What is printed is a configuration.
    (tmp_path / "effective.toml").write_text(done.stdout)
    again = run("check-config", "--config", tmp_path / "effective.toml")
    assert again.stdout == done.stdout
    for text in ("nonsense = 1\n", '[archive]\nnonsense = 1\n', '[[peer]]\nae_title = "A\\\\B"\nhost = "x"\nport = 104\n', "[[peer]]\nport = 99999\n", "this is not TOML"):
        bad = tmp_path / "bad.toml"
        bad.write_text(text)
        done = run("check-config", "--config", bad, check=False)
        assert done.returncode != 0 and done.stderr.strip(), text


def test_import_of_folders_zips_and_media(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep" / "er").mkdir(parents=True)
    study = make.study(4)
    (folder / "a.dcm").write_bytes(make.part10(study[0]))
    (folder / "deep" / "er" / "no-extension").write_bytes(make.part10(study[1]))
    (folder / "readme.txt").write_text("not DICOM")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("x/y/z", make.part10(study[2]))
        archive.writestr("notes.txt", "not DICOM")
    done = run("import", folder, "--data", tmp_path / "data")
    archive = Archive(tmp_path / "data").start()
    try:
        assert {found.SOPInstanceUID for found in archive.instances()} == {one.SOPInstanceUID for one in study[:3]}
        # Into the running server, and again: nothing twice.
        (folder / "b.dcm").write_bytes(make.part10(study[3]))
        run("import", folder, "--to", archive.http)
        run("import", folder, "--data", tmp_path / "data")
        assert len(archive.instances()) == 4
        text = done.stdout + done.stderr
        assert "3" in text
    finally:
        archive.close()


def test_import_of_a_dicomdir(tmp_path):
    import pydicom.data

    medium = pydicom.data.get_testdata_file("DICOMDIR")
    done = run("import", medium, "--data", tmp_path / "data", "--json")
    counts = json.loads(done.stdout)
    archive = Archive(tmp_path / "data").start()
    try:
        # Those that the directory names, and what lies beside them.
        assert len(archive.instances()) == counts["stored"] >= 31
    finally:
        archive.close()


def test_an_import_of_a_dicomdir_tells_what_the_medium_lacks(tmp_path):
    from pydicom.fileset import FileSet

    medium = FileSet()
    for data_set in make.study(3):
        data_set.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        medium.add(pydicom.dcmread(BytesIO(make.part10(data_set))))
    medium.write(tmp_path / "medium")
    gone = next(path for path in (tmp_path / "medium").rglob("*") if path.is_file() and path.name != "DICOMDIR")
    gone.unlink()
    done = run("import", tmp_path / "medium" / "DICOMDIR", "--data", tmp_path / "data", "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"stored": 2, "failed": 1, "skipped": 1}
    done = run("import", tmp_path / "medium", "--data", tmp_path / "data", check=False)
    assert "listed in DICOMDIR but not on the medium" in done.stdout


def import_counts(*arguments, status=0):
    done = run("import", *arguments, "--json", check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_an_import_is_resumed(tmp_path):
    """What an earlier run has stored is passed over, also when files have come meanwhile."""
    folder = tmp_path / "in"
    folder.mkdir()
    study = make.study(30)
    for number, data_set in enumerate(study[:20]):
        (folder / f"{number}.dcm").write_bytes(make.part10(data_set))
    data = tmp_path / "data"
    assert import_counts(folder, "--data", data) == {"stored": 20}
    for number, data_set in enumerate(study[20:], 20):
        (folder / f"{number}.dcm").write_bytes(make.part10(data_set))
    assert import_counts(folder, "--data", data) == {"imported-before": 20, "stored": 10}
    assert import_counts(folder, "--data", data) == {"imported-before": 30}
    assert import_counts(folder, "--data", data, "--again") == {"identical": 30}
    # A changed file is another one; the archive keeps what it had.
    study[0].PatientComments = "changed"
    (folder / "0.dcm").write_bytes(make.part10(study[0]))
    assert import_counts(folder, "--data", data) == {"imported-before": 29, "different-kept-first": 1}


def test_an_import_that_is_killed_is_resumed(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, data_set in enumerate(make.study(400, edge=64)):
        (folder / f"{number}.dcm").write_bytes(make.part10(data_set))
    data, journal = tmp_path / "data", tmp_path / "data" / "import-journal"
    process = subprocess.Popen([str(gantry.BINARY), "import", str(folder), "--data", str(data), "--parallel", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: journal.exists() and journal.read_text().count("\n") > 20, every=0.005)
    process.kill()
    process.wait()
    counts = import_counts(folder, "--data", data)
    assert counts["imported-before"] >= 20 and sum(counts.values()) == 400
    # Stored, but killed before it was noted: a few at most.
    assert counts.get("identical", 0) < 10
    assert json.loads(run("stats", "--data", data, "--json").stdout)["instances"] == 400


@pytest.fixture
def mixed(tmp_path):
    """A folder with what is good, what is nothing, and what is damaged in different ways."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = make.study(2)
    (folder / "good.dcm").write_bytes(make.part10(good[0]))
    (folder / "text.txt").write_text("not DICOM")
    (folder / "empty").write_bytes(b"")
    (folder / "cut.dcm").write_bytes(make.part10(make.instance(edge=128))[:9000])
    (folder / "no-study.dcm").write_bytes(make.part10(without(make.instance(), "StudyInstanceUID")))
    (folder / "no-series.dcm").write_bytes(make.part10(without(make.instance(), "SeriesInstanceUID")))
    (folder / "clash.dcm").write_bytes(make.part10(make.instance(SOPInstanceUID=good[0].SOPInstanceUID, SOPClassUID=make.CT)))
    with zipfile.ZipFile(folder / "zipped.zip", "w") as archive:
        archive.writestr("good", make.part10(good[1]))
        archive.writestr("notes.txt", "not DICOM")
    return folder


def without(data_set, keyword):
    delattr(data_set, keyword)
    return data_set


def outcomes(folder, report, *arguments) -> dict[str, tuple[str, str]]:
    """File → outcome and reason."""
    done = run("import", folder, "--report", report, *arguments, check=False)
    assert done.returncode == 1, done.stderr
    rows = list(csv.DictReader(report.open()))
    # Every reason is also shown to people.
    for row in rows:
        assert row["reason"] in done.stdout, f"{row} is not in {done.stdout}"
    return {row["file"].removeprefix(f"{folder}/"): (row["outcome"], row["reason"]) for row in rows}


def test_an_import_says_why_it_skips_and_fails(mixed, tmp_path):
    """Straight into a data folder, and the same through a server."""
    run("import", mixed / "good.dcm", "--data", tmp_path / "data")
    direct = outcomes(mixed, tmp_path / "direct.csv", "--data", tmp_path / "data", "--again")
    server = Archive(tmp_path / "server").start()
    try:
        run("import", mixed / "good.dcm", "--to", server.http)
        served = outcomes(mixed, tmp_path / "served.csv", "--to", server.http)
    finally:
        server.close()
    assert direct.keys() == served.keys()
    assert direct["good.dcm"][0] == "identical" and direct["zipped.zip!good"][0] == "stored"
    for name in ("text.txt", "empty", "zipped.zip!notes.txt"):
        assert direct[name][0] == "skipped" and direct[name][1], name
        assert served[name] == direct[name]
    for name in ("cut.dcm", "no-study.dcm", "no-series.dcm", "clash.dcm"):
        assert direct[name][0] == "failed" and direct[name][1], name
        assert served[name][0] == "failed" and served[name][1], name
        assert direct[name][1] in served[name][1], f"{served[name]} does not say {direct[name][1]!r}"


# ---- export -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data folder with two patients; one has two studies, one of them two series, one compressed."""
    folder = tmp_path_factory.mktemp("kept")
    one = make.study(3, PatientID="ONE", Modality="CT")
    more = make.instance(study=one[0].StudyInstanceUID, PatientID="ONE", PatientName=one[0].PatientName, SeriesNumber=2)
    prior = make.study(2, PatientID="ONE", StudyDate="20200101")
    other = make.study(2, PatientID="TWO")
    (folder / "in").mkdir()
    for number, data_set in enumerate([*one, more, *prior, *other]):
        (folder / "in" / f"{number}").write_bytes(make.part10(data_set))
    jpeg = next(path for path in pydicom_files() if path.name == "SC_rgb_jpeg_dcmtk.dcm")
    run("import", folder / "in", jpeg, "--data", folder / "data")
    read = [*one, more, *prior, *other, pydicom.dcmread(jpeg)]
    return SimpleNamespace(data=folder / "data", one=one, more=more, prior=prior, other=other, jpeg=read[-1], all=read)


def uids(data_sets) -> set[str]:
    return {str(data_set.SOPInstanceUID) for data_set in data_sets}


def in_folder(folder) -> dict[str, part10.File]:
    return {file.sop_instance_uid: file for file in map(part10.read, files(folder))}


def choices(kept):
    return {
        "study": (("--study", kept.one[0].StudyInstanceUID), [*kept.one, kept.more]),
        "series": (("--series", kept.one[0].SeriesInstanceUID), kept.one),
        "patient": (("--patient", "ONE"), [*kept.one, kept.more, *kept.prior]),
        "instance": (("--instance", kept.more.SOPInstanceUID), [kept.more]),
        "find": (("--find", "PatientID=TWO"), kept.other),
    }


@pytest.mark.parametrize("choice", ["study", "series", "patient", "instance", "find"])
def test_export_to_a_folder(kept, tmp_path, choice):
    arguments, expected = choices(kept)[choice]
    done = run("export", "--data", kept.data, *arguments, "--out", tmp_path / "out", "--json")
    assert json.loads(done.stdout) == {"written": len(expected), "failed": 0}
    written = in_folder(tmp_path / "out")
    assert written.keys() == uids(expected)
    for data_set in expected:
        assert written[data_set.SOPInstanceUID].data_set == part10.read(make.part10(data_set)).data_set


@pytest.mark.parametrize("choice", ["study", "series", "patient"])
def test_export_to_a_zip_file(kept, tmp_path, choice):
    arguments, expected = choices(kept)[choice]
    run("export", "--data", kept.data, *arguments, "--zip", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as zipped:
        assert zipped.testzip() is None
        got = {file.sop_instance_uid for file in map(part10.read, map(zipped.read, zipped.namelist()))}
    assert got == uids(expected)
    assert run("export", "--data", kept.data, *arguments, "--zip", tmp_path / "out.zip", check=False).returncode != 0, "it must not be written over"


@pytest.mark.parametrize("choice", ["study", "series", "patient", "find"])
def test_export_to_a_medium(kept, tmp_path, choice):
    """Read by pydicom and dcmtk; its DICOMDIR names every file, and nothing else lies there."""
    from pydicom.fileset import FileSet

    arguments, expected = choices(kept)[choice]
    medium = tmp_path / "medium"
    run("export", "--data", kept.data, *arguments, "--media", medium, "--file-set-id", "TEST")
    listed = FileSet(pydicom.dcmread(medium / "DICOMDIR"))
    assert listed.ID == "TEST"
    assert {instance.SOPInstanceUID for instance in listed} == uids(expected)
    assert {Path(instance.path) for instance in listed} == set(files(medium))
    for instance in listed:
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID
        assert all(len(part) <= 8 and part == part.upper() for part in Path(instance.path).relative_to(medium).parts)
    dumped = subprocess.run(["dcmdump", str(medium / "DICOMDIR")], capture_output=True, text=True)
    assert dumped.returncode == 0 and not re.search("^[EW]:", dumped.stderr, re.M), dumped.stderr
    assert dumped.stdout.count("DirectoryRecordType") == len(expected) + len({d.SeriesInstanceUID for d in expected}) + len({d.StudyInstanceUID for d in expected}) + 1


def test_a_compressed_image_on_a_medium_is_decoded_by_dcmtk(kept, tmp_path):
    medium = tmp_path / "medium"
    run("export", "--data", kept.data, "--instance", kept.jpeg.SOPInstanceUID, "--media", medium)
    [image] = files(medium)
    subprocess.run(["dcmdjpeg", str(image), str(tmp_path / "decoded.dcm")], check=True, capture_output=True)
    decoded = pydicom.dcmread(tmp_path / "decoded.dcm")
    assert decoded.pixel_array.shape == kept.jpeg.pixel_array.shape
    # What DICOMDIR says of it is what the file says.
    record = [item for item in pydicom.dcmread(medium / "DICOMDIR").DirectoryRecordSequence if item.DirectoryRecordType == "IMAGE"]
    assert [item.ReferencedTransferSyntaxUIDInFile for item in record] == [kept.jpeg.file_meta.TransferSyntaxUID]


def test_export_from_a_server(kept, tmp_path):
    archive = Archive(kept.data).start()
    try:
        for number, target in enumerate(("--out", "--zip", "--media")):
            done = run("export", "--from", archive.http, "--patient", "ONE", target, tmp_path / str(number), "--json")
            assert json.loads(done.stdout) == {"written": 6, "failed": 0}
        assert in_folder(tmp_path / "0").keys() == uids([*kept.one, kept.more, *kept.prior])
        # The folder is in use: the command goes through the server.
        run("export", "--data", kept.data, "--patient", "TWO", "--out", tmp_path / "through")
        assert in_folder(tmp_path / "through").keys() == uids(kept.other)
    finally:
        archive.close()


def test_export_in_another_transfer_syntax(kept, tmp_path):
    implicit = "1.2.840.10008.1.2"
    run("export", "--data", kept.data, "--patient", "ONE", "--out", tmp_path / "plain", "--transfer-syntax", implicit)
    assert {file.transfer_syntax_uid for file in in_folder(tmp_path / "plain").values()} == {implicit}
    # A lossy one is not made of what is not.
    done = run("export", "--data", kept.data, "--patient", "ONE", "--out", tmp_path / "lossy", "--transfer-syntax", "1.2.840.10008.1.2.4.50", "--json", check=False)
    assert done.returncode == 1 and json.loads(done.stdout) == {"written": 0, "failed": 6}
    assert not files(tmp_path / "lossy")


def test_an_export_of_nothing_is_a_failure(kept, tmp_path):
    done = run("export", "--data", kept.data, "--study", "1.2.3.4.5", "--out", tmp_path / "none", check=False)
    assert done.returncode == 1 and "nothing matches" in done.stderr


def files(folder):
    return [file for file in folder.rglob("*") if file.is_file() and file.name != "DICOMDIR"]


def test_cat(kept):
    done = subprocess.run([str(gantry.BINARY), "cat", kept.more.SOPInstanceUID, "--data", str(kept.data)], capture_output=True, check=True)
    assert part10.read(done.stdout).data_set == part10.read(make.part10(kept.more)).data_set
    done = subprocess.run([str(gantry.BINARY), "cat", "1.2.3", "--data", str(kept.data)], capture_output=True)
    assert done.returncode == 1 and b"no instance" in done.stderr and not done.stdout


# ---- upkeep -----------------------------------------------------------------------------------


def on_terminal(*arguments) -> tuple[int, str]:
    """Runs a command whose standard error is a terminal; its exit code and what is shown there."""
    import os
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(gantry.BINARY), *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    return process.wait(60), shown.decode(errors="replace")


def test_verify_and_reindex_show_how_far_they_are(kept):
    total = len(kept.all)
    status, shown = on_terminal("verify", "--data", kept.data)
    assert status == 0 and "ETA" in shown and re.search(rf"[0-9]+/{total} instances", shown), shown
    status, shown = on_terminal("reindex", "--data", kept.data)
    assert status == 0 and "ETA" in shown and re.search(rf"[0-9]+/{total}\b", shown), shown


@pytest.mark.parametrize("place", ["data", "pixels"])
def test_verify_finds_a_flipped_byte(tmp_path, place):
    # Plain, so that the byte can be found; encrypted ones are in test_encryption.py.
    archive = Archive(tmp_path / "data", config="[encryption]\nenabled = false\n").start()
    data_sets = make.study(5, edge=128)
    archive.store(*data_sets)
    archive.close()
    assert json.loads(run("verify", "--data", archive.data, "--json").stdout)["instances"] == 5
    pack = sorted((archive.data / "blobs" / "packs").glob("*"))[0]
    raw = bytearray(pack.read_bytes())
    # In the third instance: its accession number, or its last pixel.
    third = part10.read(make.part10(data_sets[2])).data_set
    start = raw.index(third)
    at = start + (third.index(data_sets[2].PatientID.encode()) if place == "data" else len(third) - 1)
    raw[at] ^= 0x04
    pack.write_bytes(raw)
    done = run("verify", "--data", archive.data, check=False)
    assert done.returncode == 1
    assert data_sets[2].SOPInstanceUID in done.stdout + done.stderr
    done = run("verify", "--data", archive.data, "--json", check=False)
    [problem] = json.loads(done.stdout)["problems"]
    assert data_sets[2].SOPInstanceUID in problem


def test_verify_finds_a_missing_pack(tmp_path):
    archive = Archive(tmp_path / "data").start()
    archive.store(*make.study(3))
    archive.close()
    sorted((archive.data / "blobs" / "packs").glob("*"))[0].unlink()
    done = run("verify", "--data", archive.data, check=False)
    assert done.returncode == 1 and done.stderr.strip()


def test_a_lost_index_is_made_again(kept):
    before = json.loads(run("stats", "--data", kept.data, "--json").stdout)
    for file in kept.data.glob("index.sqlite*"):
        file.unlink()
    done = run("reindex", "--data", kept.data)
    assert f"{len(kept.all)} instances, 0 damaged" in done.stdout
    assert json.loads(run("stats", "--data", kept.data, "--json").stdout) == before
    archive = Archive(kept.data).start()
    try:
        assert uids(archive.instances()) == uids(kept.all)
    finally:
        archive.close()


def test_upkeep_needs_the_folder_for_itself(tmp_path):
    archive = Archive(tmp_path / "data").start()
    try:
        for command in ("verify", "reindex"):
            done = run(command, "--data", archive.data, check=False)
            assert done.returncode == 1 and done.stderr.strip(), command
        assert archive.store(make.instance()) == [0]
    finally:
        archive.close()


def test_reindex_gives_the_same_answers(tmp_path):
    archive = Archive(tmp_path / "data").start()
    archive.store_files(pydicom_files_that_can_be_stored())
    before = {found.SOPInstanceUID: found for found in archive.instances(includefield="all")}
    archive.terminate()
    run("reindex", "--data", archive.data)
    archive.start()
    after = {found.SOPInstanceUID: found for found in archive.instances(includefield="all")}
    assert before.keys() == after.keys()
    for uid in before:
        assert without_urls(before[uid]) == without_urls(after[uid])
    archive.close()


def pydicom_files_that_can_be_stored():
    chosen, seen = [], set()
    for path in pydicom_files():
        data_set = pydicom.dcmread(path, stop_before_pixels=True)
        uid = data_set.get("SOPInstanceUID")
        same = uid == data_set.file_meta.get("MediaStorageSOPInstanceUID") and data_set.get("SOPClassUID") == data_set.file_meta.get("MediaStorageSOPClassUID")
        if uid and same and uid not in seen and data_set.get("StudyInstanceUID") and data_set.get("SeriesInstanceUID") and "TransferSyntaxUID" in data_set.file_meta and "truncated" not in path.name:
            seen.add(uid)
            chosen.append(path)
    return chosen


def without_urls(data_set):
    return {element.tag: str(element.value) for element in data_set if element.keyword != "RetrieveURL"}


def test_stats(kept):
    counts = json.loads(run("stats", "--data", kept.data, "--json").stdout)
    assert (counts["patients"], counts["studies"], counts["instances"]) == (3, 4, 9)
    assert counts["series"] == 5 and counts["bytes"] > 1000
    text = run("stats", "--data", kept.data).stdout
    assert re.search(r"^ *9  instances$", text, re.M) and re.search(r"^ *4  studies$", text, re.M)
    archive = Archive(kept.data).start()
    try:
        assert json.loads(run("stats", "--from", archive.http, "--json").stdout)["instances"] == 9
        assert json.loads(run("stats", "--data", kept.data, "--json").stdout)["instances"] == 9
    finally:
        archive.close()


def test_send_to_another_archive(tmp_path, phantoms):
    archive = Archive(tmp_path / "data").start()
    try:
        run("send", f"{archive.ae_title}@{archive.host}:{archive.port}", *phantoms[:12], "--associations", "2", "--window", "8")
        assert len(archive.instances()) == 12
    finally:
        archive.close()


def test_peers_change_without_a_restart(tmp_path):
    from dimse import identifier, move

    archive = Archive(tmp_path / "data").start()
    try:
        query = identifier("STUDY", StudyInstanceUID="1.2.3")
        assert move(archive, query, "LATER").final.Status == 0xA801
        archive.peers = {"LATER": 104}
        archive.write_config()
        eventually(lambda: move(archive, query, "LATER").final.Status != 0xA801, seconds=20)
    finally:
        archive.close()


@pytest.mark.timeout(400)
def test_demo_fills_an_archive(tmp_path):
    """The generated studies at full size, and the files of the pydicom package."""
    import pydicom.data
    from pathlib import Path

    folder = Path(pydicom.data.__file__).parent
    archive = Archive(tmp_path / "data").start()
    try:
        run("demo", "--data", archive.data, folder, timeout=380)
        instances = archive.instances()
        assert len(instances) > 800
        assert {"CT", "MR", "US", "MG", "DX", "CR", "PT", "XC", "SR", "DOC"} <= {found.get("Modality") for found in instances}
    finally:
        archive.close()


def test_the_openapi_document_is_served_and_true(shared):
    """Every GET in it without parameters answers with a status that it names."""
    import httpx

    answer = httpx.get(f"{shared.http}/api/openapi.json")
    if answer.status_code == 404:
        answer = httpx.get(f"{shared.http}/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.")
    paths = document["paths"]
    for wanted in ("/studies", "/studies/{study}/metadata"):
        assert any(path.endswith(wanted) for path in paths), wanted
    base = document.get("servers", [{"url": ""}])[0]["url"].rstrip("/")
    checked = 0
    for path, operations in paths.items():
        if "get" in operations and "{" not in path:
            got = httpx.get(f"{shared.http}{base if base.startswith('/') else ''}{path}", timeout=60)
            assert str(got.status_code) in operations["get"]["responses"], f"{path} {got.status_code}"
            checked += 1
    assert checked >= 3
    assert json.dumps(document)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared collection is not there")
@pytest.mark.timeout(600)
def test_import_of_the_large_collection(tmp_path):
    started = time.monotonic()
    done = run("import", SHARED, "--data", tmp_path / "data", check=False, timeout=580)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    print(f"{time.monotonic() - started:.1f} s\n{done.stdout[-1500:]}")
    archive = Archive(tmp_path / "data").start()
    try:
        assert len(archive.instances()) > 1200
    finally:
        archive.close()
