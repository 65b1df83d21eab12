"""Starting the servers to compare, and watching what they use."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("GANTRY_TOOLS", Path.home() / ".cache" / "gantry-tools"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{process.args} does not listen on {port}")


def processes_under(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        at = queue.pop()
        found.append(at)
        queue.extend(parents.get(at, []))
    return found


class Server:
    """A server on its own folder and ports. `http` is None when it has no DICOMweb."""

    name = ""
    called = "ANY-SCP"
    version = ""
    remark = ""

    def __init__(self, work: Path) -> None:
        self.data = work / self.name
        self.dicom = free_port()
        self.http: int | None = None
        self.process: subprocess.Popen | None = None
        self.started_in = 0.0

    def prepare(self) -> None:
        """Writes what the server needs into its empty folder."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        log = open(self.data.parent / f"{self.name}.log", "ab")
        # DCMTK's Nagle algorithm costs Orthanc and dcmqrscp 40 ms an operation on one association:
        # they are measured at their best.
        environment = os.environ | {"TCP_NODELAY": "1"}
        begun = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=environment, cwd=self.data)
        wait_for_port(self.http or self.dicom, self.process)
        wait_for_port(self.dicom, self.process)
        self.started_in = time.monotonic() - begun

    def start_empty(self) -> None:
        """Starts with nothing stored."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.prepare()
        self.start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def cpu_seconds(self) -> float:
        """CPU time of the server and what it started, ended children included."""
        seconds = 0.0
        for pid in processes_under(self.process.pid):
            try:
                # The clock of another process (clock_getcpuclockid), which knows nanoseconds.
                seconds += time.clock_gettime((~pid << 3) | 2)
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            seconds += sum(int(field) for field in fields[13:15]) / TICK
        return seconds

    def resident_mib(self) -> float:
        total = 0.0
        for pid in processes_under(self.process.pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) / 1024
        return total


class Gantry(Server):
    name = "gantry"
    called = "GANTRY"

    def __init__(self, work: Path, binary: Path) -> None:
        super().__init__(work)
        self.binary = binary
        self.http = free_port()
        self.version = first_line([str(binary), "--version"])

    def command(self) -> list[str]:
        return [str(self.binary), "serve", "--demo", "--data", str(self.data / "archive"), "--http", f"127.0.0.1:{self.http}", "--dicom", f"127.0.0.1:{self.dicom}"]


class GantryPlain(Gantry):
    """The same, with nothing encrypted: to see what encryption costs."""

    name = "gantry-plain"
    remark = "[encryption] enabled = false"

    def prepare(self) -> None:
        (self.data / "gantry.toml").write_text("[encryption]\nenabled = false\n")

    def command(self) -> list[str]:
        return [*super().command(), "--config", str(self.data / "gantry.toml")]


class Orthanc(Server):
    name = "orthanc"
    remark = "storage area synced, index not; TCP_NODELAY=1"

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        self.http = free_port()
        self.version = first_line(["Orthanc", "--version"])

    def prepare(self) -> None:
        configuration = {
            "Name": "bench",
            "StorageDirectory": str(self.data / "storage"),
            "IndexDirectory": str(self.data / "storage"),
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom,
            "HttpPort": self.http,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "SyncStorageArea": True,
            "StorageCompression": False,
            "OverwriteInstances": False,
            "StableAge": 60,
            "KeepAlive": True,
            "TcpNoDelay": True,
            "HttpThreadsCount": 50,
            "ConcurrentJobs": 4,
            "LimitFindResults": 0,
            "LimitFindInstances": 0,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomCheckCalledAet": False,
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        }
        (self.data / "orthanc.json").write_text(json.dumps(configuration, indent=1))

    def command(self) -> list[str]:
        return ["Orthanc", str(self.data / "orthanc.json")]


class Dcmqrscp(Server):
    name = "dcmqrscp"
    called = "BENCHDB"
    remark = "does not sync; at most 500 studies; TCP_NODELAY=1"
    studies_max = 500

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        self.version = first_line(["dcmqrscp", "--version"])

    def prepare(self) -> None:
        (self.data / "db").mkdir()
        (self.data / "dcmqrscp.cfg").write_text(
            f"NetworkTCPPort = {self.dicom}\nMaxPDUSize = 131072\nMaxAssociations = 64\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.called} {self.data}/db RW ({self.studies_max}, 4000mb) ANY\nAETable END\n"
        )

    def command(self) -> list[str]:
        return ["dcmqrscp", "-c", str(self.data / "dcmqrscp.cfg")]


class DicomStorescp(Server):
    name = "dicom-storescp"
    called = "STORE-SCP"
    remark = "writes files without syncing, no index"

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        self.binary = TOOLS / "bin" / "dicom-storescp"
        self.version = first_line([str(self.binary), "--version"])

    def prepare(self) -> None:
        (self.data / "out").mkdir()

    def command(self) -> list[str]:
        return [str(self.binary), "-p", str(self.dicom), "-o", str(self.data / "out"), "--promiscuous", "--non-blocking"]


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip("$ ") if lines else ""
