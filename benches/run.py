#!/usr/bin/env python3
"""Compares Gantry with other servers on this machine, in one run, on one disk.

    benches/run.py [--servers gantry,orthanc,dcmqrscp] [--quick] [--only ingest,query,...] [--out FILE.md]

Every figure of every server is taken by the same client, gantry-bench-client, which has all that it
sends encoded before the clock starts. CPU is that of the server's processes, from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from servers import ROOT, Dcmqrscp, DicomStorescp, Gantry, GantryPlain, Orthanc, Server  # noqa: E402

CLIENT = Path(os.environ.get("GANTRY_BENCH_CLIENT", ROOT / "target" / "release" / "gantry-bench-client"))
JSON = "Accept: application/dicom+json"


class Figures:
    """What was measured: row, server, value; and what the row must reach."""

    def __init__(self) -> None:
        self.rows: dict[str, dict] = {}

    def add(self, row: str, server: str, value: float | None, unit: str, *, is_rate: bool = False, target: str = "", limit: float | None = None, against: str = "orthanc") -> None:
        entry = self.rows.setdefault(row, {"unit": unit, "is_rate": is_rate, "target": target, "limit": limit, "against": against, "values": {}})
        entry["values"][server] = value
        shown = "—" if value is None else f"{value:.2f}"
        print(f"  {row:<58} {server:<15} {shown:>10} {unit}", flush=True)

    def ratio(self, row: dict) -> float | None:
        own, other = row["values"].get("gantry"), row["values"].get(row["against"])
        if not own or not other:
            return None
        return own / other if row["is_rate"] else other / own


class Refused(RuntimeError):
    """The server did not take everything."""


class Bench:
    def __init__(self, servers: list[Server], is_quick: bool) -> None:
        self.servers = servers
        self.is_quick = is_quick
        self.figures = Figures()
        self.huge_megabytes = 256
        self.growth_max = 100_000
        self.run_number = int(time.time()) % 1_000_000

    def root(self) -> str:
        """A root for UIDs that no other run of this process used."""
        self.run_number += 1
        return f"2.25.77{self.run_number}"

    def client(self, *arguments: str) -> dict:
        done = subprocess.run([str(CLIENT), *arguments], capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments[:6])}: {done.stderr.strip()[:400]}")
        return json.loads(done.stdout)

    def measured(self, server: Server, *arguments: str) -> tuple[dict, float]:
        """The client's result and the CPU seconds that the server spent meanwhile."""
        before = server.cpu_seconds()
        result = self.client(*arguments)
        time.sleep(0.15)
        return result, server.cpu_seconds() - before

    def store(self, server: Server, kind: str, count: int, studies: int, associations: int, root: str, window: int = 1) -> tuple[dict, float]:
        result, cpu = self.measured(
            server, "store", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--kind", kind, "--count", str(count),
            "--studies", str(studies), "--associations", str(associations), "--window", str(window), "--root", root,
        )
        if result["statuses"] != {"0000": count}:
            raise Refused(f"{server.name}: statuses {result['statuses']}")
        return result, cpu

    def fill(self, kind: str, count: int, studies: int, root: str) -> list[Server]:
        """Empties the servers and stores the same instances everywhere it can; dcmqrscp fails on
        several associations."""
        filled = [server for server in self.servers if server.name != "dicom-storescp" and not (server.name == "dcmqrscp" and studies > server.studies_max)]
        for server in filled:
            server.start_empty()
            self.store(server, kind, count, studies, 1 if server.name == "dcmqrscp" else 4, root)
        return filled

    # ---- ingest -------------------------------------------------------------------------------

    def ingest(self) -> None:
        ct, small = (60, 300) if self.is_quick else (300, 2000)
        for associations, target, limit in [(1, "≥ 2×", 2), (4, "≥ 3×", 3), (8, "≥ 3×", 3)]:
            self.ingest_row("CT 525 KB", "ct", ct, 3, associations, 1, target, limit, "≤ 0.9 ms")
        for associations, target, limit in [(1, "≥ 2×", 2), (8, "≥ 5×", 5)]:
            self.ingest_row("small 8 KB", "small", small, 500 if not self.is_quick else 50, associations, 1, target, limit, "≤ 0.35 ms")
        self.ingest_row("CT 525 KB", "ct", ct, 3, 1, 16, "rate of 8 associations", None, "")
        self.ingest_row("small 8 KB", "small", small, 500 if not self.is_quick else 50, 1, 16, "rate of 8 associations", None, "")

    def ingest_row(self, name: str, kind: str, count: int, studies: int, associations: int, window: int, target: str, limit: float | None, cpu_target: str) -> None:
        row = f"C-STORE {name}, {associations} association{'s' if associations > 1 else ''}" + (f", window {window}" if window > 1 else "")
        rounds: dict[str, list[tuple[float, float]]] = {}
        for server in self.servers:
            if server.name == "dcmqrscp":
                server.start_empty()
        for _ in range(1 if self.is_quick else 3):
            for server in self.servers:
                # The whole count on a slow peer would take the day.
                share = count if server.name == "gantry" or associations > 1 else max(60, count // 2)
                if server.name == "dcmqrscp" and studies > 100:
                    share = min(share, 150)
                try:
                    result, cpu = self.store(server, kind, share, min(studies, share), associations, self.root(), window)
                except Refused as error:
                    if server.name in ("gantry", "orthanc"):
                        raise
                    print(f"  {error}", file=sys.stderr)
                    continue
                rounds.setdefault(server.name, []).append((result["per_second"], cpu * 1000 / share))
        for server in self.servers:
            if server.name not in rounds:
                continue
            rates, cpus = zip(*rounds[server.name])
            self.figures.add(row, server.name, statistics.median(rates), "instances/s", is_rate=True, target=target, limit=limit)
            self.figures.add(row + ": CPU", server.name, statistics.median(cpus), "ms/instance", target=cpu_target)

    def stow(self) -> None:
        plans = [("CT 525 KB", "ct", 60 if self.is_quick else 200, 1), ("CT 525 KB", "ct", 60 if self.is_quick else 200, 4), ("small 8 KB", "small", 200 if self.is_quick else 1000, 8)]
        for name, kind, count, connections in plans:
            for server in self.servers:
                if server.http is None:
                    continue
                result, cpu = self.measured(
                    server, "stow", "--server", f"127.0.0.1:{server.http}", "--kind", kind, "--count", str(count), "--studies", "3",
                    "--connections", str(connections), "--root", self.root(),
                )
                if set(result["statuses"]) != {"200"}:
                    raise RuntimeError(f"{server.name}: STOW statuses {result['statuses']}")
                row = f"STOW-RS {name}, {connections} connection{'s' if connections > 1 else ''}"
                self.figures.add(row, server.name, result["instances_per_second"], "instances/s", is_rate=True, target="≥ 2×", limit=2)
                self.figures.add(row + ": CPU", server.name, cpu * 1000 / count, "ms/instance", target="≤ 0.9 ms" if kind == "ct" else "≤ 0.35 ms")

    # ---- reading ------------------------------------------------------------------------------

    def reading(self) -> None:
        count = 100 if self.is_quick else 1000
        root = self.root()
        filled = self.fill("ct", count, 1, root)
        with_web = [server for server in self.servers if server.http is not None]
        for server in with_web:
            self.metadata(server, f"{root}.1", count)
        for server in with_web:
            self.whole_study(server, f"{root}.1")
        for server in filled:
            result, cpu = self.measured(server, "get", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--study", f"{root}.1", "--repeat", "2")
            if result["instances"] != 2 * count:
                raise RuntimeError(f"{server.name}: C-GET of {result['instances']} instances")
            self.figures.add("C-GET of a whole study", server.name, result["megabytes_per_second"], "MB/s", is_rate=True, target="≥ 3×", limit=3)
            self.figures.add("C-GET of a whole study: CPU", server.name, cpu * 500 / count, "ms/instance")
        paths = [f"/dicom-web/studies/{root}.1/series/{root}.1.1/instances/{root}.1.1.{number * 37 % count + 1}" for number in range(count)]
        self.frames(with_web, paths, "native", "application/octet-stream; transfer-syntax=*")
        self.rendered(with_web, paths)

    def metadata(self, server: Server, study: str, count: int) -> None:
        """After a restart, so that nothing is in the server's own memory."""
        server.restart()
        for row in ["first request", "second request"]:
            result, cpu = self.measured(server, "http", "--server", f"127.0.0.1:{server.http}", "--path", f"/dicom-web/studies/{study}/metadata", "--header", JSON)
            name = f"metadata of {count} instances, {row}"
            is_first = row == "first request"
            self.figures.add(name, server.name, result["p50_ms"], "ms", target="≥ 30×" if is_first else "", limit=30 if is_first else None)
            self.figures.add(name + ": CPU", server.name, cpu * 1000, "ms", target="≤ 1/30" if is_first else "", limit=30 if is_first else None)
            self.figures.add(name + ": length", server.name, result["last_length"] / 1e6, "MB")

    def whole_study(self, server: Server, study: str) -> None:
        result, cpu = self.measured(
            server, "http", "--server", f"127.0.0.1:{server.http}", "--path", f"/dicom-web/studies/{study}", "--repeat", "2",
            "--header", 'Accept: multipart/related; type="application/dicom"; transfer-syntax=*',
        )
        self.figures.add("WADO-RS of a whole study", server.name, result["megabytes_per_second"], "MB/s", is_rate=True, target="≥ 3×", limit=3)
        self.figures.add("WADO-RS of a whole study: CPU", server.name, cpu * 500, "ms")

    def frames(self, servers: list[Server], paths: list[str], name: str, media: str) -> None:
        kind, _, parameters = media.partition(";")
        accept = f'Accept: multipart/related; type="{kind}"' + (f";{parameters}" if parameters else "")
        for server, (p50, p99, cpu) in self.in_turns(servers, lambda _: [path + "/frames/1" for path in paths], accept).items():
            self.figures.add(f"frame, {name}: p50", server, p50, "ms", target="≤ 1/3 and ≤ 2 ms", limit=3)
            self.figures.add(f"frame, {name}: p99", server, p99, "ms")
            self.figures.add(f"frame, {name}: CPU", server, cpu, "ms/frame")

    def rendered(self, servers: list[Server], paths: list[str]) -> None:
        # Debian's plug-in has no thumbnail resource: the same picture by its viewport.
        thumbnail = {server.name: "/thumbnail?viewport=128,128" if server.name == "gantry" else "/rendered?viewport=128,128" for server in servers}
        plans = [("rendered JPEG", paths[:200], lambda _: "/rendered"), ("thumbnail 128×128", paths[200:400] or paths, lambda server: thumbnail[server.name])]
        for name, some, path in plans:
            for server, (p50, _, cpu) in self.in_turns(servers, lambda server: [one + path(server) for one in some], "Accept: image/jpeg").items():
                self.figures.add(f"{name}: p50", server, p50, "ms", target="≤ 1/2", limit=2)
                self.figures.add(f"{name}: CPU", server, cpu, "ms/picture")

    def in_turns(self, servers: list[Server], paths, accept: str) -> dict[str, tuple[float, float, float]]:
        """Medians of p50, p99 and CPU over rounds in which the servers take turns: the machine is
        not equally fast all the time."""
        rounds: dict[str, list[tuple[float, float, float]]] = {server.name: [] for server in servers}
        for _ in range(1 if self.is_quick else 5):
            for server in servers:
                result, cpu = self.many(server, paths(server), accept)
                rounds[server.name].append((result["p50_ms"], result["p99_ms"], cpu * 1000 / result["operations"]))
        return {name: tuple(statistics.median(column) for column in zip(*some)) for name, some in rounds.items()}

    def many(self, server: Server, paths: list[str], accept: str) -> tuple[dict, float]:
        file = server.data / "paths.txt"
        file.write_text("\n".join(paths) + "\n")
        return self.measured(
            server, "http", "--server", f"127.0.0.1:{server.http}", "--paths-file", str(file), "--repeat", str(len(paths)), "--header", accept,
        )

    def compressed_frames(self) -> None:
        """Frames of JPEG Lossless instances, as they are stored."""
        count = 20 if self.is_quick else 60
        servers = [server for server in self.servers if server.http is not None]
        folder = servers[0].data.parent / "compressed"
        uids = make_compressed(folder, count, self.root())
        for server in servers:
            subprocess.run(["storescu", "-xs", "-aec", server.called, "127.0.0.1", str(server.dicom), "+sd", str(folder)], check=True, env=os.environ | {"TCP_NODELAY": "1"}, capture_output=True)
        paths = ["/dicom-web/studies/{}/series/{}/instances/{}".format(*uid) for uid in uids] * 5
        self.frames(servers, paths, "JPEG Lossless as stored", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70")

    # ---- queries ------------------------------------------------------------------------------

    def query(self) -> None:
        count = 500 if self.is_quick else 5000
        root = self.root()
        servers = self.fill("small", count, count, root)
        repeat = 40 if self.is_quick else 200
        queries = [
            ("exact ID", ["00100020=BENCH{}"], "PatientID=BENCH0000123"),
            ("name prefix", ["00100010=BAKER^PATIENT1*"], "PatientName=BAKER^PATIENT1*"),
            ("date range", ["00080020=20150101-20150131"], "StudyDate=20150101-20150131"),
            ("modality", ["00080061=MG", "00080020=20120101-20120630"], "ModalitiesInStudy=MG&StudyDate=20120101-20120630"),
        ]
        for name, keys, parameters in queries:
            for server in servers:
                arguments = [argument for key in keys for argument in ("--key", key)]
                times = repeat if server.name == "gantry" else max(40, repeat // 2)
                result, _ = self.measured(server, "find", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--repeat", str(times), *arguments)
                for part in ["p50", "p99"]:
                    self.figures.add(f"C-FIND {name}, {count} studies: {part}", server.name, result[f"{part}_ms"], "ms", target="≤ 1/2", limit=2)
                self.figures.add(f"C-FIND {name}, {count} studies: matches", server.name, result["matches"] / times, "")
            for server in servers:
                if server.http is None:
                    continue
                result, _ = self.measured(server, "http", "--server", f"127.0.0.1:{server.http}", "--path", f"/dicom-web/studies?{parameters}&includefield=StudyDescription", "--repeat", str(repeat), "--header", JSON)
                for part in ["p50", "p99"]:
                    self.figures.add(f"QIDO {name}, {count} studies: {part}", server.name, result[f"{part}_ms"], "ms", target="≤ 1/2", limit=2)

    # ---- the server itself --------------------------------------------------------------------

    def idle(self) -> None:
        for server in self.servers:
            server.restart()
            time.sleep(1.0)
            self.figures.add("resident memory, idle after a restart", server.name, server.resident_mib(), "MiB", target="≤ 60 MiB")
            self.figures.add("start to listening", server.name, server.started_in, "s", target="≤ 1 s")

    def memory(self) -> None:
        """Sixteen instances at once, in and out; the highest resident set meanwhile."""
        megabytes = 64 if self.is_quick else self.huge_megabytes
        root = self.root()
        for server in self.servers:
            if server.name not in ("gantry", "orthanc") or (server.name == "orthanc" and megabytes > 512):
                continue
            server.start_empty()
            arguments = ["huge", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--megabytes", str(megabytes), "--associations", "16", "--root", root]
            with Watch(server) as watch:
                result = self.client(*arguments)
            self.figures.add(f"16 instances of {megabytes} MB received at once: memory", server.name, watch.highest, "MiB", target="< 512 MiB")
            self.figures.add(f"16 instances of {megabytes} MB received at once", server.name, result["megabytes_per_second"], "MB/s", is_rate=True)
            with Watch(server) as watch:
                clients = [subprocess.Popen([str(CLIENT), "get", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--study", f"{root}.{number + 1}"], stdout=subprocess.PIPE, text=True) for number in range(16)]
                results = [json.loads(client.communicate()[0]) for client in clients]
            if sum(result["instances"] for result in results) != 16:
                raise RuntimeError(f"{server.name}: not all came back")
            self.figures.add(f"16 instances of {megabytes} MB sent at once: memory", server.name, watch.highest, "MiB", target="< 512 MiB")
            server.start_empty()

    def encryption(self) -> None:
        """Gantry with encryption against itself without, in turns: rate and CPU of ingest, frames,
        whole studies and queries."""
        servers = [server for server in self.servers if server.name.startswith("gantry")]
        rounds = 2 if self.is_quick else 7
        plans = [("CT 525 KB", "ct", 300, 3, 1), ("CT 525 KB", "ct", 300, 3, 8), ("small 8 KB", "small", 1000, 100, 1), ("small 8 KB", "small", 2000, 100, 8)]
        for name, kind, count, studies, associations in plans:
            count = count // 5 if self.is_quick else count
            found: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
            for turn in range(rounds):
                # Who comes first changes too.
                for server in servers[:: 1 if turn % 2 else -1]:
                    result, cpu = self.store(server, kind, count, studies, associations, self.root())
                    found[server.name].append((result["per_second"], cpu * 1000 / count))
            for server, some in found.items():
                rate, cpu = (statistics.median(column) for column in zip(*some))
                row = f"encryption: C-STORE {name}, {associations} association{'s' if associations > 1 else ''}"
                self.figures.add(row, server, rate, "instances/s", is_rate=True, target="≥ 0.9×", limit=0.9, against="gantry-plain")
                self.figures.add(row + ": CPU", server, cpu, "ms/instance", against="gantry-plain")
        count, root = 100 if self.is_quick else 400, self.root()
        for server in servers:
            server.start_empty()
            self.store(server, "ct", count, 1, 4, root)
        paths = [f"/dicom-web/studies/{root}.1/series/{root}.1.1/instances/{root}.1.1.{number * 37 % count + 1}/frames/1" for number in range(count)]
        accept = 'Accept: multipart/related; type="application/octet-stream"; transfer-syntax=*'
        for server, (p50, p99, cpu) in self.in_turns(servers, lambda _: paths, accept).items():
            self.figures.add("encryption: frame, native: p50", server, p50, "ms", target="≥ 0.9×", limit=0.9, against="gantry-plain")
            self.figures.add("encryption: frame, native: p99", server, p99, "ms", against="gantry-plain")
            self.figures.add("encryption: frame, native: CPU", server, cpu, "ms/frame", against="gantry-plain")
        for server in servers:
            results = [self.client("http", "--server", f"127.0.0.1:{server.http}", "--path", f"/dicom-web/studies/{root}.1", "--repeat", "2", "--header", 'Accept: multipart/related; type="application/dicom"; transfer-syntax=*') for _ in range(3)]
            rate = statistics.median(result["megabytes_per_second"] for result in results)
            self.figures.add("encryption: WADO-RS of a whole study", server.name, rate, "MB/s", is_rate=True, target="≥ 0.9×", limit=0.9, against="gantry-plain")
        count, root = 500 if self.is_quick else 5000, self.root()
        for server in servers:
            server.start_empty()
            self.store(server, "small", count, count, 4, root)
        for name, keys in [("exact ID", ["00100020=BENCH{}"]), ("name prefix", ["00100010=BAKER^PATIENT1*"])]:
            arguments = [argument for key in keys for argument in ("--key", key)]
            found_p50: dict[str, list[float]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    result = self.client("find", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--repeat", "100", *arguments)
                    found_p50[server.name].append(result["p50_ms"])
            for server, some_p50 in found_p50.items():
                self.figures.add(f"encryption: C-FIND {name}, {count} studies: p50", server, statistics.median(some_p50), "ms", target="≥ 0.9×", limit=0.9, against="gantry-plain")

    def growth(self) -> None:
        """Ingest rate, queries and start of Gantry alone as it fills up with small instances."""
        [server] = [server for server in self.servers if server.name == "gantry"]
        server.start_empty()
        stored, root = 0, self.root()
        for size in [size for size in (1000, 10_000, 100_000, 1_000_000) if size <= self.growth_max]:
            while stored < size - 500:
                count = min(20_000, size - 500 - stored)
                self.store(server, "small", count, max(1, count // 10), 8, f"{root}.{stored}")
                stored += count
            result, cpu = self.store(server, "small", 500, 50, 8, f"{root}.{stored}")
            stored += 500
            name = f"at {size:,} instances"
            self.figures.add(f"ingest of small instances {name}", "gantry", result["per_second"], "instances/s", is_rate=True, target="within 1.5×")
            self.figures.add(f"ingest of small instances {name}: CPU", "gantry", cpu * 1000 / 500, "ms/instance")
            # Only the first finds the same number of studies whatever the archive's size.
            for what, keys in [("Study Instance UID", [f"0020000D={root}.0.1"]), ("exact ID", ["00100020=BENCH{}"]), ("name prefix and date", ["00100010=BAKER*", "00080020=20110101-20110115"])]:
                arguments = [argument for key in keys for argument in ("--key", key)]
                result = self.client("find", "--peer", f"127.0.0.1:{server.dicom}", "--called", server.called, "--repeat", "200", *arguments)
                for part in ("p50", "p95"):
                    self.figures.add(f"C-FIND {what} {name}: {part}", "gantry", result[f"{part}_ms"], "ms", target="within 1.5×; ≤ 5 ms p95 at 10⁶")
                self.figures.add(f"C-FIND {what} {name}: matches", "gantry", result["matches"] / 200, "")
            server.restart()
            self.figures.add(f"start to listening {name}", "gantry", server.started_in, "s", target="≤ 1 s")
            self.figures.add(f"resident memory after the start {name}", "gantry", server.resident_mib(), "MiB", target="≤ 60 MiB")


class Watch:
    """The highest resident set of a server while something goes on."""

    def __init__(self, server: Server) -> None:
        self.server, self.highest, self.is_over = server, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while not self.is_over.wait(0.05):
            self.highest = max(self.highest, self.server.resident_mib())

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.is_over.set()
        self.thread.join()


def make_compressed(folder: Path, count: int, root: str) -> list[tuple[str, str, str]]:
    """Files in JPEG Lossless, made with dcmtk from raw ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    uids = []
    for number in range(count):
        raw = folder / "raw"
        subprocess.run([str(CLIENT), "sample", "--root", root, "--number", str(number), "--count", str(count), "--save", str(raw)], check=True, capture_output=True)
        subprocess.run(["dcmcjpeg", str(raw), str(folder / f"{number}.dcm")], check=True, capture_output=True)
        raw.unlink()
        uids.append((f"{root}.1", f"{root}.1.1", f"{root}.1.1.{number + 1}"))
    return uids


SECTIONS = ["idle", "ingest", "stow", "reading", "compressed_frames", "query", "memory"]


def machine() -> list[str]:
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")).split()
    return [f"CPU: {cpu}, {os.cpu_count()} cores; memory {int(memory[1]) // 2**20} GiB", f"System: {platform.platform()}", f"Taken: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"]


def markdown(figures: Figures, servers: list[Server]) -> str:
    names = [server.name for server in servers]
    lines = [f"- {line}" for line in machine()]
    lines += [f"- {server.name}: {server.version}" + (f" ({server.remark})" if server.remark else "") for server in servers]
    lines += ["", "| what | unit | " + " | ".join(names) + " | Gantry to Orthanc | asked for |", "|---|---|" + "---:|" * len(names) + "---:|---|"]
    for row, entry in figures.rows.items():
        values = [("—" if entry["values"].get(name) is None else f"{entry['values'][name]:.2f}") for name in names]
        ratio = figures.ratio(entry)
        shown = "" if ratio is None else f"{ratio:.1f}×"
        if ratio is not None and entry["limit"] is not None and ratio < entry["limit"]:
            shown += " ✗"
        lines.append(f"| {row} | {entry['unit']} | " + " | ".join(values) + f" | {shown} | {entry['target']} |")
    lines.append("")
    lines.append("The ratio says how many times better Gantry is: rates are divided by rates, times the other way round. ✗ marks one that is below what was asked for.")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="gantry,orthanc,dcmqrscp", help="comma list; also dicom-storescp")
    parser.add_argument("--quick", action="store_true", help="small counts, one round: does it work?")
    parser.add_argument("--huge", type=int, default=256, metavar="MB", help="size of the instances that memory is measured with; 2048 needs 33 GB of disk")
    parser.add_argument("--growth", type=int, default=100_000, metavar="N", help="instances up to which the section growth goes")
    parser.add_argument("--only", default="", help="comma list of " + ", ".join(SECTIONS) + ", growth, encryption (with --servers gantry,gantry-plain)")
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "bench", help="folder for all servers' data")
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    parser.add_argument("--gantry", type=Path, default=ROOT / "target" / "release" / "gantry")
    options = parser.parse_args()
    makers = {"gantry": lambda: Gantry(options.work, options.gantry), "gantry-plain": lambda: GantryPlain(options.work, options.gantry), "orthanc": lambda: Orthanc(options.work), "dcmqrscp": lambda: Dcmqrscp(options.work), "dicom-storescp": lambda: DicomStorescp(options.work)}
    servers: list[Server] = []
    try:
        for name in options.servers.split(","):
            servers.append(makers[name]())
            servers[-1].start_empty()
        bench = Bench(servers, options.quick)
        bench.huge_megabytes = options.huge
        bench.growth_max = options.growth
        failures = 0
        for section in options.only.split(",") if options.only else SECTIONS:
            print(section, flush=True)
            try:
                getattr(bench, section)()
            except (RuntimeError, subprocess.SubprocessError) as error:
                failures += 1
                print(f"  {section} failed: {error}", file=sys.stderr)
        table = markdown(bench.figures, servers)
        print("\n" + table)
        if options.out:
            options.out.write_text(table)
        return 1 if failures else 0
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
