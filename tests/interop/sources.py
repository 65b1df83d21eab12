"""Where the files come from that are sent."""

from __future__ import annotations

import csv
import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pydicom.data

from gantry import ROOT

#: A large collection of real files that is not part of the project; tests over it run when it is there.
SHARED = ROOT.parent / "shared" / "data"
PHANTOM_WRITER = Path(os.environ.get("GANTRY_PHANTOM_WRITER", ROOT / "target" / "debug" / "examples" / "write_phantoms"))


def phantom_files(folder: Path) -> list[Path]:
    subprocess.run([str(PHANTOM_WRITER), str(folder), "small"], check=True, capture_output=True)
    return sorted(folder.rglob("*.dcm"))


def is_part10(file: Path) -> bool:
    with open(file, "rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def pydicom_files() -> list[Path]:
    """The Part 10 files of the pydicom package that its own reader takes without `force`."""
    folder = Path(pydicom.data.__file__).parent
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and is_part10(file)]


@dataclass(frozen=True)
class Entry:
    """A row of the collection's manifest."""

    file: Path
    name: str
    expect: str
    sop_instance_uid: str
    transfer_syntax: str
    opens: str


@functools.cache
def shared_manifest() -> list[Entry]:
    table = SHARED / "manifest.csv"
    if not table.exists():
        return []
    with open(table, newline="") as opened:
        return [
            Entry(SHARED / row["file"], row["file"], row["expect"], row["sop_instance_uid"], row["transfer_syntax"], row["opens"])
            for row in csv.DictReader(opened)
        ]


@functools.cache
def hostile_expectations() -> dict[str, dict]:
    table = SHARED / "hostile" / "expected.json"
    return json.loads(table.read_text()) if table.exists() else {}


@functools.cache
def shared_pixels() -> dict[str, list[dict]]:
    """Rows of pixels.csv by file."""
    table = SHARED / "pixels.csv"
    frames: dict[str, list[dict]] = {}
    if table.exists():
        with open(table, newline="") as opened:
            for row in csv.DictReader(opened):
                frames.setdefault(row["file"], []).append(row)
    return frames
