"""Encryption at rest: nothing on the disk tells of a patient, every way out gives the plain objects
back, and keys may be changed, lost and brought back."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pydicom
import pytest

import gantry
import make
import part10
from gantry import Archive

PACK = "[archive]\npack_bytes = 16777216\n"


def secrets(files: list[Path]) -> set[bytes]:
    """Patients' names and IDs, and whatever else of the data sets is long enough to tell something."""
    found = set()
    for path in files:
        data_set = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "SOPInstanceUID", "StudyInstanceUID"):
            element = data_set.get(keyword)
            raw = str(element).encode(errors="ignore") if element else b""
            found.update(part for part in [raw, *raw.split(b"^")] if len(part) >= 5)
    return found


def found_on_disk(folder: Path, words: set[bytes]) -> list[tuple[str, bytes]]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            utf_16 = content.replace(b"\0", b"")
            found += [(path.name, word) for word in words if word.lower() in content or word.lower() in utf_16]
    return found


@pytest.fixture
def stopped(tmp_path, phantoms):
    """An archive with small and large objects, stopped."""
    archive = Archive(tmp_path / "archive", config=PACK)
    archive.start()
    archive.store_files(phantoms)
    archive.terminate()
    return archive


def large_instance(folder: Path) -> Path:
    """An object that becomes a file of its own."""
    data_set = make.instance(edge=2600, PatientName="LARGE^SECRETIVE", PatientID="LARGEID77")
    path = folder / "large.dcm"
    data_set.save_as(path, enforce_file_format=True)
    assert path.stat().st_size > 5 << 20
    return path


def test_nothing_on_the_disk_tells_of_a_patient(tmp_path, phantoms):
    """Also while the server runs, also of what is still arriving."""
    files = [*phantoms, large_instance(tmp_path)]
    words = secrets(files)
    assert len(words) > 20
    archive = Archive(tmp_path / "archive", config=PACK)
    archive.start()
    archive.store_files(files)
    assert list(archive.data.glob("blobs/large/*/*.enc"))
    # Questions leave their traces too.
    gantry.run("find", f"GANTRY@127.0.0.1:{archive.port}", "-k", "PatientID=LARGEID77")
    try:
        assert found_on_disk(archive.data, words) == []
        # What this looks for is there where it is not encrypted.
        assert found_on_disk(files[-1].parent, {b"LARGE^SECRETIVE"})
    finally:
        archive.close()
    assert found_on_disk(archive.data, words) == []


def test_standard_files_come_back(tmp_path, stopped, phantoms):
    path = large_instance(tmp_path)
    gantry.run("import", "--data", stopped.data, "--config", stopped.config_file, path)
    out = tmp_path / "out"
    gantry.run("export", "--data", stopped.data, "--config", stopped.config_file, "--find", "PatientID=*", "--out", out)
    sent = {}
    for file in [*phantoms, path]:
        sent[str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)] = part10.read(file.read_bytes())
    exported = [file for file in out.rglob("*") if file.is_file()]
    assert len(exported) >= len(sent)
    seen = 0
    for file in exported:
        if file.read_bytes()[128:132] != b"DICM" or file.name == "DICOMDIR":
            continue
        uid = str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
        assert part10.read(file.read_bytes()).data_set == sent[uid].data_set
        seen += 1
    assert seen == len(sent)
    large = pydicom.dcmread(path, stop_before_pixels=True)
    cat = subprocess.run(
        [gantry.BINARY, "cat", "--data", stopped.data, "--config", stopped.config_file, str(large.SOPInstanceUID)],
        capture_output=True, check=True,
    )
    assert part10.read(cat.stdout).data_set == sent[str(large.SOPInstanceUID)].data_set


def keys(archive: Archive, *arguments: str, **options):
    return gantry.run("keys", arguments[0], "--data", archive.data, "--config", archive.config_file, *arguments[1:], **options)


def status(archive: Archive) -> dict:
    return json.loads(keys(archive, "status", "--json", check=False).stdout)


def verify(archive: Archive) -> subprocess.CompletedProcess:
    return gantry.run("verify", "--data", archive.data, "--config", archive.config_file, check=False)


def test_keys_change_while_the_server_runs_and_in_spite_of_kills(stopped):
    archive = stopped
    before = status(archive)
    assert before["packs_plain"] == 0 and before["packs_encrypted"] >= 1
    # Many keys, so that a kill finds work that is half done.
    for _ in range(12):
        keys(archive, "rotate")
    archive.start()
    total = status(archive)["keys"]
    for turn in range(12):
        process = subprocess.Popen(
            [gantry.BINARY, "keys", "rotate", "--data", archive.data, "--config", archive.config_file],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        time.sleep(random.Random(turn).uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
    archive.kill()
    assert not verify(archive).returncode, "with whatever was left half done"
    keys(archive, "rotate")
    after = status(archive)
    assert after["wrapped_by_others"] == 0
    assert after["keys"] > total
    assert after["master"] != before["master"]
    assert not verify(archive).returncode
    archive.start()
    stored = archive.store_files([large_instance(archive.data.parent)])
    archive.close()
    assert not verify(archive).returncode
    assert stored is None or stored


def test_a_lost_master_key_is_told_and_nothing_is_made_anew(tmp_path, phantoms):
    archive = Archive(tmp_path / "archive", config=PACK + f'[encryption]\nmaster_key_file = "{tmp_path}/elsewhere/master.key"\n')
    archive.start()
    archive.store_files(phantoms[:3])
    archive.terminate()
    master = tmp_path / "elsewhere" / "master.key"
    assert master.stat().st_mode & 0o077 == 0
    assert not status(archive)["is_master_beside_data"]

    def refused(said: str) -> None:
        before = {path: path.read_bytes() for path in sorted((archive.data / "keys").rglob("*")) if path.is_file()}
        serving = gantry.run(
            "serve", "--demo", "--config", archive.config_file, "--data", archive.data, "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", check=False
        )
        assert serving.returncode != 0 and said in serving.stderr, serving.stderr
        assert verify(archive).returncode != 0
        after = {path: path.read_bytes() for path in sorted((archive.data / "keys").rglob("*")) if path.is_file()}
        assert before == after

    kept = master.read_text()
    master.unlink()
    refused("master key is missing")
    assert not master.exists()
    master.write_text("ab" * 32)
    refused("is not the one")
    master.write_text(kept)
    # The keys themselves, with everything else in its place.
    shutil.move(archive.data / "keys", tmp_path / "kept")
    refused("are missing: bring them back")
    assert not (archive.data / "keys").exists()
    shutil.move(tmp_path / "kept", archive.data / "keys")
    assert not verify(archive).returncode


def test_what_was_plain_stays_readable_and_its_databases_are_encrypted(tmp_path, phantoms):
    plain = PACK + "[encryption]\nenabled = false\n"
    archive = Archive(tmp_path / "archive", config=plain)
    archive.start()
    half = len(phantoms) // 2
    archive.store_files(phantoms[:half])
    archive.terminate()
    words = secrets(phantoms[:half])
    on_disk = {name for name, _ in found_on_disk(archive.data, words)}
    assert "index.sqlite" in on_disk
    assert not (archive.data / "keys").exists()

    archive.config = PACK
    archive.write_config()
    archive.start()
    archive.store_files(phantoms[half:])
    archive.terminate()
    counts = status(archive)
    assert counts["packs_plain"] >= 1 and counts["packs_encrypted"] >= 1
    on_disk = {name for name, _ in found_on_disk(archive.data, words)}
    assert on_disk and all(name.endswith(".pack") for name in on_disk), on_disk
    assert not verify(archive).returncode
    gantry.run("reindex", "--data", archive.data, "--config", archive.config_file)
    assert not verify(archive).returncode

    # And back: new packs are plain, what is encrypted stays readable.
    archive.config = plain
    archive.write_config()
    archive.start()
    archive.store_files([large_instance(tmp_path)])
    archive.terminate()
    assert not verify(archive).returncode
    assert (archive.data / "index.sqlite").read_bytes()[:15] == b"SQLite format 3"


def test_damage_is_told(tmp_path, stopped):
    """A flipped bit in the content of a pack."""
    pack = max((stopped.data / "blobs" / "packs").glob("*.pack"), key=lambda path: path.stat().st_blocks)
    with open(pack, "r+b") as file:
        # Inside the first objects, behind header and meaning of the first record.
        file.seek(4096 + 2000)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    done = verify(stopped)
    assert done.returncode == 1
    assert "does not match its digest" in done.stdout + done.stderr
