"""The commands, and starting and stopping."""

import json
import subprocess
import time
import zipfile

import pydicom
import pytest

import gantry
import make
import part10
from conftest import eventually
from gantry import Archive, run
from sources import SHARED, pydicom_files

COMMANDS = ["serve", "import", "export", "echo", "send", "find", "get", "move", "reindex", "verify", "check-config", "stats", "demo", "cat"]


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

    process = subprocess.Popen([str(gantry.BINARY), "serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {
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
    assert run("check-config", "--config", good, check=False).returncode == 0
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
    run("import", medium, "--data", tmp_path / "data")
    archive = Archive(tmp_path / "data").start()
    try:
        # Those that the directory names, and what lies beside them.
        assert len(archive.instances()) >= 31
    finally:
        archive.close()


def test_export_to_folder_zip_and_media(tmp_path):
    study = make.study(3)
    archive = Archive(tmp_path / "data").start()
    archive.store(*study)
    archive.close()
    uid = study[0].StudyInstanceUID
    wanted = {one.SOPInstanceUID for one in study}

    run("export", "--data", tmp_path / "data", "--study", uid, "--out", tmp_path / "folder")
    assert {file.sop_instance_uid for file in map(part10.read, files(tmp_path / "folder"))} == wanted

    run("export", "--data", tmp_path / "data", "--study", uid, "--zip", tmp_path / "study.zip")
    with zipfile.ZipFile(tmp_path / "study.zip") as zipped:
        got = {part10.read(zipped.read(name)).sop_instance_uid for name in zipped.namelist() if zipped.read(name)[128:132] == b"DICM" and "DICOMDIR" not in name}
    assert got == wanted

    run("export", "--data", tmp_path / "data", "--study", uid, "--media", tmp_path / "media")
    directory = pydicom.dcmread(tmp_path / "media" / "DICOMDIR")
    from pydicom.fileset import FileSet

    assert {instance.SOPInstanceUID for instance in FileSet(directory)} == wanted
    checked = subprocess.run(["dcmdump", str(tmp_path / "media" / "DICOMDIR")], capture_output=True)
    assert checked.returncode == 0


def files(folder):
    return [file for file in folder.rglob("*") if file.is_file() and file.name != "DICOMDIR"]


def test_verify_finds_a_flipped_byte(tmp_path):
    archive = Archive(tmp_path / "data").start()
    archive.store(*make.study(5, edge=128))
    archive.close()
    assert run("verify", "--data", archive.data, check=False).returncode == 0
    pack = sorted((archive.data / "blobs" / "packs").glob("*"))[0]
    raw = bytearray(pack.read_bytes())
    # Inside the first instance: behind its file meta information.
    raw[raw.index(b"DICM") + 2000] ^= 0x40
    pack.write_bytes(raw)
    done = run("verify", "--data", archive.data, check=False)
    assert done.returncode != 0
    assert done.stdout or done.stderr


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


def test_stats(tmp_path):
    archive = Archive(tmp_path / "data").start()
    archive.store(*make.study(3))
    archive.close()
    text = run("stats", "--data", archive.data).stdout
    assert "3" in text and "1" in text


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
