#!/usr/bin/env python3
"""Makes src/dictionary/table.rs and src/sop_class/table.rs from PS3.6.

Sources: the constants of the crate dicom-dictionary-std (tag, VR, VM, keyword, retirement; UIDs)
and, for the names only, the dictionary of the Python package pydicom.

    generate.py DICOM_DICTIONARY_STD_SRC CRATE_SRC
"""
import re
import sys
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

source, out = Path(sys.argv[1]), Path(sys.argv[2])

names = {keyword: name for (_, _, name, _, keyword) in DicomDictionary.values()}
names |= {keyword: name for (_, _, name, _, keyword) in RepeatersDictionary.values()}


def spaced(keyword):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", keyword)


VR = {"Xs": "UsOrSs", "Ox": "ObOrOw", "Px": "ObOrOw", "Lt": "UsOrOw"}
text = (source / "tags.rs").read_text()
described = re.compile(r"^/// (\S+) \((\S+?),(\S+?)\) (\S+) (\S+) (\S+)$(?:\n#.*)*\npub const (\w+): (Tag|TagRange) = (.*);$", re.M)
constants = {m[7]: m for m in described.finditer(text)}
rows = []
for m in re.finditer(r"^    E \{ tag: (?:Single\()?(\w+)\)?, alias: \"(\w+)\", vr: (?:Exact\((\w+)\)|(\w+)) \}, // (\S+)$", text, re.M):
    constant, keyword, exact, virtual, kind = m.groups()
    described = constants[constant]
    tag = re.search(r"(Group100|Element100)?\(?Tag\(0x(\w+), 0x(\w+)\)", described[9])
    repeats, value = tag[1], int(tag[2] + tag[3], 16)
    rows.append((repeats or "", value, f"Exact(Vr::{exact})" if exact else VR[virtual], described[5], keyword,
                 names.get(keyword) or spaced(keyword), kind.endswith("retired")))
assert len({(row[0], row[1]) for row in rows}) == len(rows), "a tag twice"


def table(name, doc, repeats):
    lines = [f"/// {doc}", f"pub(super) static {name}: &[Entry] = &["]
    for _, tag, vr, vm, keyword, title, retired in sorted((r for r in rows if r[0] == repeats), key=lambda r: r[1]):
        title = title.replace("\\", "\\\\").replace('"', '\\"').replace("\u200b", "")
        lines.append(f'    e(0x{tag:08X}, {vr}, "{vm}", "{keyword}", "{title}", {int(retired)}),')
    lines.append("];")
    return "\n".join(lines)


HEAD = "//! Generated from PS3.6 by `tables/generate.py`; edit that instead.\n\n"
(out / "dictionary").mkdir(exist_ok=True)
(out / "dictionary/table.rs").write_text(
    HEAD + "use super::DictionaryVr::{self, Exact, ObOrOw, UsOrOw, UsOrSs};\nuse super::Entry;\nuse crate::{Tag, Vr};\n\n"
    "const fn e(\n    tag: u32,\n    vr: DictionaryVr,\n    vm: &'static str,\n    keyword: &'static str,\n    name: &'static str,\n    retired: u8,\n) -> Entry {\n"
    "    let tag = Tag((tag >> 16) as u16, (tag & 0xFFFF) as u16);\n    Entry { tag, vr, vm, keyword, name, is_retired: retired != 0 }\n}\n\n"
    + "#[rustfmt::skip]\n" + table("ENTRIES", "Attributes with one tag, in ascending order of tags.", "") + "\n\n"
    + "#[rustfmt::skip]\n" + table("REPEATING_GROUPS", "Attributes of repeating groups, (ggxx,eeee), with xx as 00.", "Group100") + "\n\n"
    + "#[rustfmt::skip]\n" + table("REPEATING_ELEMENTS", "Attributes of repeating elements, (gggg,eexx), with xx as 00.", "Element100") + "\n")

uids = (source / "uids.rs").read_text()
lines = []
for kind in ("SopClass", "MetaSopClass"):
    for m in re.finditer(rf'E::new\("([\d.]+)", "(.*?)", "(\w+)", {kind}, (true|false)\)', uids):
        uid, name, keyword, retired = m.groups()
        name = re.sub(r" ?\(Retired\)$", "", name.replace("\u200b", ""))
        lines.append((uid, name, keyword, retired, kind == "MetaSopClass"))
(out / "sop_class").mkdir(exist_ok=True)
(out / "sop_class/table.rs").write_text(
    HEAD + "use super::SopClass;\n\n"
    "const fn s(\n    uid: &'static str,\n    name: &'static str,\n    keyword: &'static str,\n    retired: u8,\n    meta: u8,\n) -> SopClass {\n"
    "    SopClass { uid, name, keyword, is_retired: retired != 0, is_meta: meta != 0 }\n}\n\n"
    "/// SOP Classes and Meta SOP Classes, in ascending order of UIDs as text.\n#[rustfmt::skip]\npub(super) static SOP_CLASSES: &[SopClass] = &[\n"
    + "\n".join(f'    s("{u}", "{n}", "{k}", {int(r == "true")}, {int(meta)}),' for u, n, k, r, meta in sorted(lines)) + "\n];\n")
print(len(rows), "attributes,", len(lines), "SOP classes")
