"""Files of PS3.10 cut into meta information and data set, without decoding anything."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """The few things a sender must know, and the data set's bytes as they are."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


def read(source: Path | bytes) -> File:
    raw = source if isinstance(source, bytes) else Path(source).read_bytes()
    if raw[128:132] != b"DICM":
        raise ValueError("no DICM prefix")
    at = 132
    meta: dict[int, bytes] = {}
    while at + 8 <= len(raw):
        group, element, vr, length = struct.unpack_from("<HH2sH", raw, at)
        if group != 0x0002:
            break
        head = 8
        if vr in (b"OB", b"UN", b"OW", b"UT"):
            (length,) = struct.unpack_from("<I", raw, at + 8)
            head = 12
        meta[element] = raw[at + head : at + head + length]
        at += head + length
    text = lambda element: meta.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")  # noqa: E731
    return File(text(0x0002), text(0x0003), text(0x0010), raw[at:])


def renamed(source: Path | bytes, number: int) -> bytes:
    """The file under another SOP Instance UID of the same length: many sample files share one.
    Nothing but the UID's bytes changes; a deflated data set stays as it is."""
    raw = source if isinstance(source, bytes) else Path(source).read_bytes()
    uid = read(raw).sop_instance_uid
    tail = f"1{number:04}"
    if len(uid) <= len(tail):
        raise ValueError("no SOP Instance UID to rename")
    return raw.replace(uid.encode(), (uid[: -len(tail)] + tail).encode())


def write(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data_set: bytes) -> bytes:
    """A file around a data set's bytes."""

    def uid(element: int, value: str) -> bytes:
        padded = value.encode() + b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, element, b"UI", len(padded)) + padded

    meta = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    meta += uid(2, sop_class_uid) + uid(3, sop_instance_uid) + uid(0x10, transfer_syntax_uid) + uid(0x12, "2.25.1234")
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + data_set
