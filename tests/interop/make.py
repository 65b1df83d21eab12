"""Small instances with whatever attributes a test is about."""

from __future__ import annotations

import itertools

import numpy
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT = UID("1.2.840.10008.5.1.4.1.1.2")
MR = UID("1.2.840.10008.5.1.4.1.1.4")
SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
NUMBERS = itertools.count(1)


def uid() -> str:
    return str(generate_uid(prefix="2.25."))


def instance(*, sop_class: str = CT, syntax: str = ExplicitVRLittleEndian, edge: int = 8, study: str | None = None, series: str | None = None, **attributes) -> pydicom.Dataset:
    """An image of a patient of its own, with the given attributes set on top."""
    number = next(NUMBERS)
    data_set = pydicom.Dataset()
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = uid()
    data_set.StudyInstanceUID = study or uid()
    data_set.SeriesInstanceUID = series or uid()
    data_set.PatientName = f"INTEROP^NUMBER{number}"
    data_set.PatientID = f"IT{number:06}"
    data_set.PatientBirthDate = "19700101"
    data_set.PatientSex = "O"
    data_set.StudyDate = "20260314"
    data_set.StudyTime = "101500"
    data_set.AccessionNumber = f"A{number:06}"
    data_set.StudyID = str(number)
    data_set.ReferringPhysicianName = ""
    data_set.Modality = {CT: "CT", MR: "MR"}.get(UID(sop_class), "OT")
    data_set.SeriesNumber = 1
    data_set.InstanceNumber = number
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows = data_set.Columns = edge
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 0
    pixels = (numpy.arange(edge * edge, dtype="<u2") * 31 + number).astype("<u2")
    data_set.add_new("PixelData", "OW", pixels.tobytes())
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    return data_set


def study(count: int, **attributes) -> list[pydicom.Dataset]:
    """Instances of one series of one study."""
    first = instance(**attributes)
    others = [
        instance(study=first.StudyInstanceUID, series=first.SeriesInstanceUID, **({"PatientID": first.PatientID, "PatientName": first.PatientName} | attributes))
        for _ in range(count - 1)
    ]
    for other in others:
        for keyword in ("StudyID", "AccessionNumber"):
            setattr(other, keyword, getattr(first, keyword))
    return [first, *others]


def part10(data_set: pydicom.Dataset) -> bytes:
    """The data set as a file."""
    from io import BytesIO

    out = BytesIO()
    file = FileDataset(out, data_set, file_meta=data_set.file_meta, preamble=bytes(128))
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()
