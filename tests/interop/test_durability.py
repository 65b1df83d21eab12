"""kill -9 under load: what was acknowledged is there, whole; what is there is whole.

`GANTRY_TORTURE_ROUNDS` sets the number of rounds; `make torture` runs two hundred."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time

import httpx
import pytest
from pynetdicom import AE, build_context

import dimse
import gantry
import make
import part10
from conftest import eventually
from gantry import Archive
from web import parts, stored, stow

ROUNDS = int(os.environ.get("GANTRY_TORTURE_ROUNDS", "6"))
EXPLICIT = "1.2.840.10008.1.2.1"
AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


class Load:
    """Senders that go on until the archive is gone."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.acknowledged: dict[str, part10.File] = {}
        self.attempted: dict[str, part10.File] = {}
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []
        self.associations: list = []
        self.stop = threading.Event()
        self.studies = itertools.count()

    def begin(self, store: int, stow_senders: int) -> None:
        self.stop.clear()
        for sender in [self.by_c_store] * store + [self.by_stow] * stow_senders:
            thread = threading.Thread(target=sender, daemon=True)
            thread.start()
            self.threads.append(thread)

    def end(self) -> None:
        """The archive is gone. pynetdicom does not see that while it waits for a response: it is told."""
        self.stop.set()
        for association in self.associations:
            association.dimse.msg_queue.put((None, None))
        self.associations.clear()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        self.threads.clear()

    def batch(self) -> list[tuple[object, part10.File]]:
        data_sets = make.study(random.choice([1, 3, 8]), edge=random.choice([2, 64, 256, 700]))
        files = [(data_set, part10.read(make.part10(data_set))) for data_set in data_sets]
        with self.lock:
            self.attempted.update({file.sop_instance_uid: file for _, file in files})
        return files

    def store_two(self) -> None:
        """Something small that is acknowledged for certain."""
        for data_set in make.study(2):
            file = part10.read(make.part10(data_set))
            assert set(dimse.store(self.archive, [make.part10(data_set)]).values()) == {0}
            self.attempted[file.sop_instance_uid] = self.acknowledged[file.sop_instance_uid] = file

    def by_c_store(self) -> None:
        ae = AE(ae_title="TORTURE")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
        while not self.stop.is_set():
            association = ae.associate(self.archive.host, self.archive.port, contexts=[build_context(make.CT, EXPLICIT)], ae_title=self.archive.ae_title)
            if not association.is_established:
                return
            self.associations.append(association)
            try:
                for _, file in self.batch():
                    if dimse.send_raw(association, 1, file) == 0x0000:
                        with self.lock:
                            self.acknowledged[file.sop_instance_uid] = file
            except Exception:
                return
            finally:
                if association.is_established:
                    association.release()

    def by_stow(self) -> None:
        with httpx.Client(base_url=self.archive.web, timeout=10) as client:
            while not self.stop.is_set():
                files = self.batch()
                try:
                    answer = stow(client, [make.part10(data_set) for data_set, _ in files])
                except httpx.HTTPError:
                    return
                if answer.status_code in (200, 202):
                    acknowledged = set(stored(answer))
                    with self.lock:
                        self.acknowledged.update({file.sop_instance_uid: file for _, file in files if file.sop_instance_uid in acknowledged})


def visible(archive: Archive) -> dict[str, tuple[str, str]]:
    """SOP Instance UID → study and series of everything a query finds."""
    return {found.SOPInstanceUID: (found.StudyInstanceUID, found.SeriesInstanceUID) for found in archive.instances()}


def check(archive: Archive, load: Load, fresh: set[str]) -> None:
    found = visible(archive)
    lost = [uid for uid in load.acknowledged if uid not in found]
    assert not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged instances are lost: {lost[:3]}"
    invented = [uid for uid in found if uid not in load.attempted]
    assert not invented, invented[:3]
    with archive.client() as client:
        for uid in fresh & found.keys():
            study, series = found[uid]
            answer = client.get(f"/studies/{study}/series/{series}/instances/{uid}", headers=AS_STORED)
            assert answer.status_code == 200, f"{uid} {answer.status_code} {answer.text[:300]}"
            [part] = parts(answer)
            assert part10.read(part.body).data_set == load.attempted[uid].data_set, f"{uid} is not what was sent"


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_killed_under_load(tmp_path):
    seed = int(os.environ.get("GANTRY_TORTURE_SEED", time.time_ns() % 2**32))
    print(f"seed {seed}")
    random.seed(seed)
    archive = Archive(tmp_path / "archive").start()
    load = Load(archive)
    checked: set[str] = set()
    try:
        for number in range(ROUNDS):
            load.begin(store=2, stow_senders=2)
            time.sleep(random.uniform(0.05, 1.6))
            archive.kill()
            load.end()
            archive.start()
            everything = number == ROUNDS - 1
            fresh = set(load.attempted) if everything else set(load.attempted) - checked
            check(archive, load, fresh)
            checked |= fresh
        assert len(load.acknowledged) >= ROUNDS, "hardly anything was acknowledged: the load is too slow to test anything"
    finally:
        archive.close()
    done = gantry.run("verify", "--data", archive.data, timeout=600)
    print(f"{ROUNDS} rounds, {len(load.acknowledged)} acknowledged, {len(load.attempted)} attempted; {done.stdout.strip()[-200:]}")


# Each step between the first byte and the answer, and after how many passes the server dies there:
# late enough that something was acknowledged before, and that it is not the start that dies.
STEPS = {
    "staging.create": 4, "staging.write": 9, "staging.sync": 4, "staging.rename": 4, "folder.sync": 14,
    "ledger.write": 6, "ledger.written": 6, "ledger.sync": 6, "ledger.synced": 6,
    "committer.index": 6, "index.begin": 8, "index.commit": 8, "committer.answer": 9,
    "pack.allocate": 2, "pack.activate": 1,
}


@pytest.mark.parametrize("step", STEPS)
def test_dies_between_the_bytes_and_the_answer(tmp_path, monkeypatch, step):
    # Objects of a megabyte count as large ones, so that both ways of storing are passed; packs are
    # small, so that there are several.
    archive = Archive(tmp_path / "archive", config="[archive]\nsmall_object_bytes = 200000\npack_bytes = 1048576\n")
    monkeypatch.setenv("GANTRY_FAILPOINT", f"{step}:abort:{STEPS[step]}")
    archive.start()
    monkeypatch.delenv("GANTRY_FAILPOINT")
    load = Load(archive)
    load.store_two()
    load.begin(store=2, stow_senders=1)
    try:
        assert archive.process.wait(30) == -signal.SIGABRT
    finally:
        load.end()
    assert len(load.acknowledged) < len(load.attempted)
    archive.start()
    try:
        check(archive, load, set(load.attempted))
    finally:
        archive.close()
    gantry.run("verify", "--data", archive.data)


def test_killed_while_it_starts(tmp_path):
    """A start that is itself killed harms nothing."""
    archive = Archive(tmp_path / "archive").start()
    data_sets = make.study(20)
    archive.store(*data_sets)
    archive.kill()
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1):
        archive.process = __import__("subprocess").Popen(
            [str(gantry.BINARY), "serve", "--demo", "--data", str(archive.data), "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"], stdout=-3, stderr=-3)
        time.sleep(delay)
        archive.kill()
    archive.start()
    assert {uid for uid in visible(archive)} == {data_set.SOPInstanceUID for data_set in data_sets}
    archive.close()


def test_sigterm_drains(tmp_path):
    """What is under way is finished and answered; what was answered is there."""
    archive = Archive(tmp_path / "archive").start()
    load = Load(archive)
    load.begin(store=2, stow_senders=2)
    time.sleep(1.0)
    assert archive.terminate() == 0
    load.end()
    archive.start()
    check(archive, load, set(load.acknowledged))
    archive.close()


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    archive = Archive(tmp_path / "archive").start()
    done = gantry.run("serve", "--demo", "--data", archive.data, "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", check=False, timeout=30)
    assert done.returncode != 0
    assert done.stderr.strip()
    assert archive.store(make.instance()) == [0]
    archive.close()


def test_a_torn_end_of_a_pack_is_dropped(tmp_path):
    """Power fails inside a write: the torn record was never acknowledged."""
    archive = Archive(tmp_path / "archive").start()
    data_sets = make.study(5)
    archive.store(*data_sets)
    archive.kill()
    packs = sorted((archive.data / "blobs" / "packs").glob("*"))
    with open(packs[-1], "ab") as pack:
        pack.write(random.Random(1).randbytes(5000))
    archive.start()
    assert set(visible(archive)) == {data_set.SOPInstanceUID for data_set in data_sets}
    assert archive.store(make.instance()) == [0]
    archive.close()


def test_a_full_disk_refuses_and_recovers(tmp_path):
    """Needs to mount a small file system; where that is not allowed there is nothing to test."""
    import subprocess

    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(mount)], capture_output=True).returncode != 0:
        pytest.skip("may not mount")
    archive = Archive(mount / "archive", config="[archive]\npack_bytes = 1048576\nreserve_bytes = 1048576\n")
    archive.config_file, archive.log_file = tmp_path / "small.toml", tmp_path / "small.log"
    archive.write_config()
    try:
        archive.start()
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(12 << 20))
        acknowledged, statuses = [], []
        for _ in range(60):
            data_set = make.instance(edge=512)
            [status] = archive.store(data_set)
            statuses.append(status)
            if status == 0:
                acknowledged.append(data_set)
            elif len(statuses) - len(acknowledged) >= 3:
                break
        refused = [status for status in statuses if status]
        assert refused, "the disk never filled"
        assert set(refused) <= set(range(0xA700, 0xA800)), [f"{status:04X}" for status in refused]
        with archive.client() as client:
            answer = stow(client, [make.part10(make.instance(edge=512))])
        assert answer.status_code in (507, 503), answer.status_code
        ballast.unlink()
        again = make.instance(edge=512)
        # Room again: the archive takes instances by itself, without a restart.
        eventually(lambda: archive.store(again) == [0], seconds=20, every=0.5)
        archive.kill()
        archive.start()
        assert set(visible(archive)) == {data_set.SOPInstanceUID for data_set in [*acknowledged, again]}
    finally:
        archive.close()
        subprocess.run(["umount", "-l", str(mount)], capture_output=True)
