"""Frames decoded by the archive against pydicom with pylibjpeg, and against hashes on which several
decoders agree."""

from __future__ import annotations

import hashlib
import io
import itertools
import warnings
from pathlib import Path

import numpy
import pydicom
import pydicom.data
import pytest
from pydicom.pixels import pixel_array

import part10
from gantry import Archive
from sources import SHARED, pydicom_files, shared_pixels
from web import dumped, parts, stored, stow

LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.112"}
NUMBERS = itertools.count(1)
NATIVE = {"Accept": 'multipart/related; type="application/octet-stream"'}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("pixels")).start()
    yield archive
    archive.close()


def frame(client, data_set, number: int):
    base = f"/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}/instances/{data_set.SOPInstanceUID}"
    return client.get(f"{base}/frames/{number}", headers=NATIVE)


def samples(body: bytes, data_set) -> numpy.ndarray:
    """The bytes of an Explicit VR Little Endian frame as an array. They lie as the Planar
    Configuration in the metadata says, for that is all a client knows."""
    kind = {8: "u1", 16: "<u2", 32: "<u4"}.get(data_set.BitsAllocated)
    if data_set.get("PixelRepresentation") == 1:
        kind = kind.replace("u", "i")
    rows, columns, channels = data_set.Rows, data_set.Columns, data_set.SamplesPerPixel
    array = numpy.frombuffer(body[: rows * columns * channels * data_set.BitsAllocated // 8], kind)
    if channels == 1:
        return array.reshape(rows, columns)
    if data_set.get("PlanarConfiguration") == 1:
        return array.reshape(channels, rows, columns).transpose(1, 2, 0)
    return array.reshape(rows, columns, channels)


def decodable() -> list[Path]:
    """Files of the pydicom package that pydicom itself decodes."""
    found = []
    for path in pydicom_files():
        try:
            data_set = pydicom.dcmread(path)
        except Exception:
            continue
        if "PixelData" in data_set and data_set.get("BitsAllocated") in (8, 16, 32) and data_set.get("StudyInstanceUID"):
            found.append(path)
    return found


@pytest.mark.parametrize("path", decodable(), ids=lambda path: path.name)
def test_against_pydicom(archive, path):
    raw = part10.renamed(path, next(NUMBERS))
    data_set = pydicom.dcmread(io.BytesIO(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = pixel_array(data_set, index=0, raw=True)
        except Exception as error:
            pytest.skip(f"pydicom does not decode it: {str(error)[:80]}")
    with archive.client() as client:
        answer = stow(client, [raw])
        if not stored(answer):
            pytest.skip(f"not stored: {dumped(answer)[:120]}")
        answer = frame(client, data_set, 1)
    assert answer.status_code == 200, dumped(answer)
    [part] = parts(answer)
    if data_set.PhotometricInterpretation == "YBR_FULL_422" and not data_set.file_meta.TransferSyntaxUID.is_compressed:
        # Stored in explicit little endian: it comes as it is, subsampled.
        assert part.body.rstrip(b"\0") == data_set.PixelData.rstrip(b"\0")
        return
    got = samples(part.body, data_set)
    assert got.shape == expected.shape
    difference = abs(got.astype(int) - expected.astype(int))
    if data_set.file_meta.TransferSyntaxUID in LOSSY:
        if data_set.SamplesPerPixel == 3:
            # A decoder may answer in RGB or leave YBR; the label is tested with rendered pictures.
            return
        assert difference.max() <= max(2, expected.max() // 500), difference.max()
    else:
        assert difference.max() == 0


@pytest.mark.skipif(not SHARED.exists(), reason="the shared collection is not there")
@pytest.mark.parametrize("folder", sorted({name.split("/")[0] + "/" + name.split("/")[1] for name in shared_pixels()}))
def test_against_hashes(archive, folder):
    """Only where the coding is lossless: every decoder must give these samples."""
    problems, count = [], 0
    with archive.client() as client:
        for name, rows in shared_pixels().items():
            if not name.startswith(folder + "/") or not all(row["exact"] == "1" for row in rows):
                continue
            try:
                raw = part10.renamed(SHARED / name, next(NUMBERS))
            except ValueError:
                continue
            data_set = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True, force=True)
            # Subsampled native pixels come as they are stored; the table has them filled up.
            if data_set.get("PhotometricInterpretation") == "YBR_FULL_422" and not data_set.file_meta.TransferSyntaxUID.is_compressed:
                continue
            if not data_set.get("StudyInstanceUID") or not stored(stow(client, [raw])):
                continue
            for row in rows[:6]:
                problem = hash_problem(client, data_set, row)
                count += 1
                if problem:
                    problems.append(f"{name} frame {row['frame']}: {problem}")
    assert not problems, f"{len(problems)} of {count}: " + "\n".join(problems[:25])


def hash_problem(client, data_set, row) -> str | None:
    answer = frame(client, data_set, int(row["frame"]) + 1)
    if answer.status_code != 200:
        return dumped(answer)[:200]
    [part] = parts(answer)
    shape = tuple(int(edge) for edge in row["shape"].split("x"))
    wanted = numpy.dtype(row["dtype"])
    count = int(numpy.prod(shape))
    candidates = []
    if data_set.BitsAllocated == 1:
        bits = numpy.unpackbits(numpy.frombuffer(part.body, "u1"), bitorder="little")
        candidates.append(bits[:count].astype("u1"))
    else:
        kind = wanted.newbyteorder("<") if wanted.itemsize > 1 else wanted
        raw = numpy.frombuffer(part.body[: count * wanted.itemsize], kind)
        if raw.size != count:
            return f"{len(part.body)} bytes for {shape} {wanted}"
        candidates.append(raw)
        if len(shape) == 3:
            candidates.append(raw.reshape(shape[2], shape[0], shape[1]).transpose(1, 2, 0).ravel())
        if wanted.kind in "iu":
            candidates.append(stored_bits_only(raw, data_set))
    hashes = {hashlib.sha256(numpy.ascontiguousarray(values).tobytes()).hexdigest() for values in candidates}
    return None if row["sha256"] in hashes else f"other samples; range {candidates[0].min()}…{candidates[0].max()}, expected {row['min']}…{row['max']}"


def stored_bits_only(raw: numpy.ndarray, data_set) -> numpy.ndarray:
    """Without what lies above Bits Stored, as some decoders give it."""
    shift = raw.dtype.itemsize * 8 - int(data_set.BitsStored)
    return ((raw << shift) >> shift).astype(raw.dtype)
