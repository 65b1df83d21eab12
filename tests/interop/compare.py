"""Telling whether two encoded data sets say the same.

Compared element by element on the bytes of their values, not on what a toolkit makes of them:
group lengths, Data Set Trailing Padding, and whether sequences have defined or undefined lengths do
not count; everything else does, private elements and the order of fragments included.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
#: Bytes that are turned round together where the order differs.
WIDTHS = {b"US": 2, b"SS": 2, b"AT": 2, b"OW": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"OF": 4, b"OL": 4, b"FD": 8, b"OD": 8, b"OV": 8, b"SV": 8, b"UV": 8}
LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


class Malformed(ValueError):
    """The bytes are no data set."""


@dataclass
class Reader:
    """Walks an encoded data set into nested dictionaries: tag → (VR, value)."""

    raw: bytes
    is_explicit: bool
    order: str
    at: int = 0

    def tag(self) -> tuple[int, int]:
        return struct.unpack_from(self.order + "HH", self.raw, self.at)

    def header(self) -> tuple[tuple[int, int], bytes, int]:
        try:
            tag = self.tag()
            if tag[0] == 0xFFFE or not self.is_explicit:
                (length,) = struct.unpack_from(self.order + "I", self.raw, self.at + 4)
                self.at += 8
                return tag, b"", length
            vr = self.raw[self.at + 4 : self.at + 6]
            if vr in LONG:
                (length,) = struct.unpack_from(self.order + "I", self.raw, self.at + 8)
                self.at += 12
            else:
                (length,) = struct.unpack_from(self.order + "H", self.raw, self.at + 6)
                self.at += 8
            return tag, vr, length
        except struct.error as error:
            raise Malformed(f"cut at {self.at}") from error

    def data_set(self, end: int) -> dict:
        elements: dict = {}
        while self.at < end:
            if end - self.at < 8:
                raise Malformed(f"{end - self.at} bytes left over")
            tag, vr, length = self.header()
            if tag == ITEM_END:
                return elements
            value = self.value(tag, vr, length, end)
            if tag[1] != 0 and tag != (0xFFFC, 0xFFFC):
                elements[tag] = (vr, value)
        return elements

    def value(self, tag, vr: bytes, length: int, end: int):
        if length == UNDEFINED:
            if tag == (0x7FE0, 0x0010) or (vr in (b"OB", b"OW") and tag[0] & 0xFF00 != 0):
                return self.fragments(end)
            # Undefined length in UN holds implicit VR little endian (PS3.5 6.2.2, note 4).
            if vr == b"UN" and self.is_explicit:
                inner = Reader(self.raw, False, "<", self.at)
                items = inner.items(end)
                self.at = inner.at
                return items
            return self.items(end)
        if self.at + length > end:
            raise Malformed(f"{tag} is longer than what is left")
        if vr == b"SQ" or (not vr and is_sequence(tag)):
            return self.items(self.at + length)
        value = self.raw[self.at : self.at + length]
        self.at += length
        return value if self.order == "<" else turned(value, WIDTHS.get(vr, 1))

    def items(self, end: int) -> list:
        items = []
        while self.at < end:
            tag, _, length = self.header()
            if tag == SEQUENCE_END:
                return items
            if tag != ITEM:
                raise Malformed(f"{tag} instead of an item")
            if length != UNDEFINED and self.at + length > end:
                raise Malformed("item is longer than what is left")
            items.append(self.data_set(end if length == UNDEFINED else self.at + length))
        return items

    def fragments(self, end: int) -> tuple:
        fragments = []
        while self.at < end:
            tag, _, length = self.header()
            if tag == SEQUENCE_END:
                break
            if tag != ITEM or self.at + length > end:
                raise Malformed(f"{tag} among fragments")
            fragments.append(self.raw[self.at : self.at + length])
            self.at += length
        return tuple(fragments)


def is_sequence(tag: tuple[int, int]) -> bool:
    """Whether the dictionary knows an element without a VR as a sequence."""
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def turned(value: bytes, width: int) -> bytes:
    if width == 1 or len(value) % width:
        return value
    return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))


def parse(raw: bytes, transfer_syntax: str) -> dict:
    if transfer_syntax == DEFLATED:
        try:
            raw = zlib.decompress(raw, -15)
        except zlib.error as error:
            raise Malformed(str(error)) from error
    reader = Reader(raw, transfer_syntax != IMPLICIT, ">" if transfer_syntax == BIG else "<")
    return reader.data_set(len(raw))


def difference(one: dict, other: dict, path: str = "") -> str | None:
    """The first difference, or None. Trailing padding of values (space, NUL) does not count."""
    for tag in sorted(one.keys() | other.keys()):
        where = f"{path}({tag[0]:04X},{tag[1]:04X})"
        if tag not in one or tag not in other:
            return f"{where} is {'added' if tag not in one else 'missing'}"
        (vr, value), (other_vr, other_value) = one[tag], other[tag]
        # Where a stream without VRs gains them, UN is an honest answer.
        if vr and other_vr and vr != other_vr:
            return f"{where} VR {vr!r} became {other_vr!r}"
        found = value_difference(value, other_value, where)
        if found:
            return found
    return None


def value_difference(value, other, where: str) -> str | None:
    if type(value) is not type(other):
        return f"{where} {type(value).__name__} became {type(other).__name__}"
    if isinstance(value, bytes):
        if value.rstrip(b"\0 ") != other.rstrip(b"\0 "):
            return f"{where} {value[:60]!r} became {other[:60]!r}"
        return None
    if len(value) != len(other):
        return f"{where} {len(value)} items or fragments became {len(other)}"
    for number, (item, other_item) in enumerate(zip(value, other)):
        if isinstance(item, bytes):
            if item != other_item:
                return f"{where} fragment {number} differs"
        elif found := difference(item, other_item, f"{where}[{number}]"):
            return found
    return None


def assert_same(sent: bytes, got: bytes, transfer_syntax: str, got_syntax: str | None = None) -> None:
    """Both data sets say the same; the second may be in another encoding."""
    if sent == got and got_syntax in (None, transfer_syntax):
        return
    found = difference(parse(sent, transfer_syntax), parse(got, got_syntax or transfer_syntax))
    assert found is None, found
