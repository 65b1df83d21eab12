"""dcmtk's command line programs against an archive."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path


def dcmtk(tool: str, archive, *arguments, check: bool = True, timeout: float = 240) -> subprocess.CompletedProcess:
    """Runs a program with the archive as its peer; arguments that follow the peer come after "--"."""
    before, after = list(map(str, arguments)), []
    if "--" in before:
        at = before.index("--")
        before, after = before[:at], before[at + 1 :]
    command = [tool, "-v", "-aet", "DCMTK", "-aec", archive.ae_title, *before, archive.host, str(archive.port), *after]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, env=os.environ | {"TCP_NODELAY": "1"})
    if check:
        assert done.returncode == 0, f"{' '.join(command[:12])} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


class StoreScp:
    """dcmtk's storescp writing what it gets into a folder, bit by bit."""

    def __init__(self, folder: Path, *arguments: str, title: str = "STORESCP") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.title = title
        self.log = open(folder.parent / f"{folder.name}.log", "wb")
        command = ["storescp", "-v", "-aet", title, "+B", "+xa", "-od", str(folder), *arguments, str(self.port)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=os.environ | {"TCP_NODELAY": "1"})

    def __enter__(self) -> "StoreScp":
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "storescp does not listen"
                time.sleep(0.02)

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.iterdir() if file.is_file())


def dump(file: Path) -> dict[str, str]:
    """dcmdump's tags and values of the top level."""
    done = subprocess.run(["dcmdump", "-q", "+L", str(file)], capture_output=True, text=True, errors="replace")
    values = {}
    for line in done.stdout.splitlines():
        if line.startswith("("):
            tag, rest = line[1:10], line[12:]
            values[tag] = rest[rest.find("[") + 1 : rest.rfind("]")] if "[" in rest else rest.split("=")[-1].split("#")[0].strip()
    return values
