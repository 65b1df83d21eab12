"""Storage: what is taken, what is refused, and with which status."""

import os
import struct
import subprocess

import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context

import dimse
import make
import part10
from compare import assert_same
from dcmtk import dcmtk


def kept(archive, data_set) -> part10.File:
    """What the archive holds of an instance, by C-GET: the web has no implicit and no big endian."""
    query = dimse.identifier("IMAGE", StudyInstanceUID=data_set.StudyInstanceUID, SeriesInstanceUID=data_set.SeriesInstanceUID, SOPInstanceUID=data_set.SOPInstanceUID)
    # A context for each syntax leaves the choice to the archive: it sends what it has.
    contexts = [(data_set.SOPClassUID, [syntax]) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, *ALL_TRANSFER_SYNTAXES)]
    retrieved = dimse.get(archive, query, contexts)
    syntax, raw = retrieved.instances[data_set.SOPInstanceUID]
    return part10.File(data_set.SOPClassUID, data_set.SOPInstanceUID, syntax, raw)


# ---- presentation contexts --------------------------------------------------------------------


@pytest.mark.parametrize("start", range(0, len(AllStoragePresentationContexts), 100))
def test_every_storage_class_in_every_transfer_syntax_is_accepted(shared, start):
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts][start : start + 100]
    for syntaxes in (ALL_TRANSFER_SYNTAXES[:20], ALL_TRANSFER_SYNTAXES[20:]):
        association = shared.associate([build_context(sop_class, list(syntaxes)) for sop_class in classes])
        refused = [context.abstract_syntax.name for context in association.rejected_contexts]
        association.release()
        assert not refused


@pytest.mark.parametrize("syntax", sorted(set(ALL_TRANSFER_SYNTAXES) | {
    "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1", "2.25.987654321", "1.2.840.113619.5.2",
}))
def test_each_transfer_syntax_alone_is_accepted(shared, syntax):
    association = shared.associate([build_context(make.CT, syntax)])
    assert [context.transfer_syntax for context in association.accepted_contexts] == [[syntax]]
    association.release()


def test_private_and_invented_storage_classes_are_accepted_and_kept(shared):
    for sop_class in ("1.3.12.2.1107.5.9.1", "2.25.1357913579135791357913579", "1.2.840.10008.5.1.4.1.1.999"):
        data_set = make.instance(sop_class=sop_class)
        data_set.add_new(0x00091010, "LO", "private value")
        data_set.add_new(0x00090010, "LO", "GANTRY INTEROP")
        assert shared.store(data_set) == [0x0000]
        assert kept(shared, data_set).sop_class_uid == sop_class


def test_implicit_little_endian_alone_is_enough(shared):
    data_set = make.instance(syntax=ImplicitVRLittleEndian)
    assert shared.store(data_set) == [0x0000]


def test_one_class_in_several_contexts_keeps_each_syntax_apart(shared):
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
    association = shared.associate([build_context(make.CT, syntax) for syntax in syntaxes])
    assert len(association.accepted_contexts) == 3
    data_sets = [make.instance(syntax=syntax) for syntax in syntaxes[:2]]
    assert [association.send_c_store(data_set).Status for data_set in data_sets] == [0, 0]
    association.release()
    assert [kept(shared, data_set).transfer_syntax_uid for data_set in data_sets] == syntaxes[:2]


# ---- dcmtk as the sender ----------------------------------------------------------------------

CT_SMALL = "CT_small.dcm"


def sample(name: str) -> str:
    return str(pydicom.data.get_testdata_file(name))


@pytest.mark.parametrize("option", ["-x=", "-xe", "-xb", "-xi", "-xd"])
def test_storescu_with_uncompressed_proposals(archive, option, tmp_path):
    dcmtk("storescu", archive, option, "--", sample(CT_SMALL))
    [found] = archive.instances()
    assert found.SOPInstanceUID == pydicom.dcmread(sample(CT_SMALL)).SOPInstanceUID


@pytest.mark.parametrize("option, name, syntax", [
    ("-xs", "SC_rgb_jpeg_gdcm.dcm", "1.2.840.10008.1.2.4.70"),
    ("-xy", "SC_rgb_jpeg_dcmtk.dcm", "1.2.840.10008.1.2.4.50"),
    ("-xx", "JPGExtended.dcm", "1.2.840.10008.1.2.4.51"),
    ("-xr", "MR_small_RLE.dcm", "1.2.840.10008.1.2.5"),
    ("-xt", "MR_small_jpeg_ls_lossless.dcm", "1.2.840.10008.1.2.4.80"),
    ("-xv", "MR_small_jp2klossless.dcm", "1.2.840.10008.1.2.4.90"),
    ("-xw", "JPEG2000.dcm", "1.2.840.10008.1.2.4.91"),
])
def test_storescu_with_compressed_proposals(archive, option, name, syntax):
    dcmtk("storescu", archive, option, "--", sample(name))
    sent = pydicom.dcmread(sample(name))
    assert kept(archive, sent).transfer_syntax_uid == syntax == sent.file_meta.TransferSyntaxUID


def test_storescu_combines_contexts_as_dcmtk_does(archive, phantoms):
    """+C: several transfer syntaxes in one presentation context; the acceptor chooses."""
    dcmtk("storescu", archive, "+C", "--", phantoms[0])
    assert len(archive.instances()) == 1


def test_dcmsend_reads_a_folder_and_stores_all(archive, phantoms, tmp_path):
    folder = tmp_path / "send"
    folder.mkdir()
    for number, file in enumerate(phantoms[:25]):
        (folder / f"{number}.dcm").symlink_to(file)
    report = tmp_path / "report.txt"
    dcmtk("dcmsend", archive, "+crf", report, "--", "+sd", folder)
    assert len(archive.instances()) == 25
    assert report.read_text().count("0x0000 (Success)") == 25


def test_storescu_with_small_pdus(archive, phantoms):
    dcmtk("storescu", archive, "-pdu", "4096", "--max-send-pdu", "4096", "--", *phantoms[:3])
    assert len(archive.instances()) == 3


# ---- what is kept is what was sent ------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_the_data_set_is_kept_bit_by_bit(shared, syntax, tmp_path):
    data_set = make.instance()
    raw = tmp_path / "raw.dcm"
    raw.write_bytes(make.part10(data_set))
    option = {ImplicitVRLittleEndian: "+ti", ExplicitVRLittleEndian: "+te", ExplicitVRBigEndian: "+tb", DeflatedExplicitVRLittleEndian: "+td"}[syntax]
    converted = tmp_path / "converted.dcm"
    subprocess.run(["dcmconv", option, str(raw), str(converted)], check=True)
    sent = part10.read(converted)
    assert sent.transfer_syntax_uid == syntax
    shared.store_files([converted])
    got = kept(shared, data_set)
    assert got.transfer_syntax_uid == syntax
    assert got.data_set == sent.data_set


def test_the_file_written_is_a_clean_part_10_file(shared):
    data_set = make.instance()
    shared.store(data_set)
    raw = shared.retrieve(data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID)
    assert raw[:128] == bytes(128)
    read = pydicom.dcmread(__import__("io").BytesIO(raw))
    meta = read.file_meta
    assert meta.MediaStorageSOPClassUID == data_set.SOPClassUID
    assert meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert meta.ImplementationClassUID and meta.ImplementationVersionName
    assert meta.get("SourceApplicationEntityTitle", "INTEROP") == "INTEROP"


def test_unusual_elements_survive(shared):
    """Private elements, UN, empty sequences, nested sequences, a trailing padding element."""
    data_set = make.instance()
    data_set.add_new(0x00110010, "LO", "INTEROP PRIVATE")
    data_set.add_new(0x00111001, "UN", b"\x01\x02\x03\x04")
    data_set.add_new(0x00111002, "SQ", [pydicom.Dataset()])
    data_set.ReferencedStudySequence = []
    inner = pydicom.Dataset()
    inner.PatientID = "inner"
    outer = pydicom.Dataset()
    outer.RequestAttributesSequence = [inner]
    data_set.RequestAttributesSequence = [outer, pydicom.Dataset()]
    data_set.add_new(0xFFFCFFFC, "OB", bytes(64))
    assert shared.store(data_set) == [0x0000]
    assert_same(part10.read(make.part10(data_set)).data_set, kept(shared, data_set).data_set, ExplicitVRLittleEndian)


# ---- statuses ---------------------------------------------------------------------------------


def store_raw(archive, data_set, *, command_class=None, command_instance=None, mangle=lambda raw: raw) -> int:
    file = part10.read(make.part10(data_set))
    association = archive.associate([build_context(command_class or file.sop_class_uid, file.transfer_syntax_uid)])
    try:
        changed = part10.File(command_class or file.sop_class_uid, command_instance or file.sop_instance_uid, file.transfer_syntax_uid, mangle(file.data_set))
        return dimse.send_raw(association, 1, changed)
    finally:
        if association.is_established:
            association.release()


def is_stored(archive, sop_instance_uid: str) -> bool:
    return bool(archive.instances(SOPInstanceUID=sop_instance_uid))


def test_another_class_than_the_command_says_is_a_warning(shared):
    """PS3.4 table B.2-1: B007H. What is kept is what the data set says."""
    data_set = make.instance()
    assert store_raw(shared, data_set, command_class=make.MR) == 0xB007
    [item] = shared.instances(SOPInstanceUID=data_set.SOPInstanceUID)
    assert item.SOPClassUID == data_set.SOPClassUID


def test_instance_of_the_command_must_be_that_of_the_data_set(shared):
    data_set = make.instance()
    status = store_raw(shared, data_set, command_instance=make.uid())
    assert 0xA900 <= status <= 0xA9FF, f"{status:04X}"
    assert not is_stored(shared, data_set.SOPInstanceUID)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("is_empty", [True, False])
def test_missing_identifiers_are_refused(shared, keyword, is_empty):
    data_set = make.instance()
    uid, sop_class = data_set.SOPInstanceUID, data_set.SOPClassUID
    file = part10.read(make.part10(data_set))
    if is_empty:
        setattr(data_set, keyword, "")
    else:
        delattr(data_set, keyword)
    from io import BytesIO

    out = BytesIO()
    from pydicom.filewriter import write_dataset
    from pydicom.filebase import DicomFileLike

    like = DicomFileLike(out)
    like.is_little_endian, like.is_implicit_VR = True, False
    write_dataset(like, data_set)
    association = shared.associate([build_context(sop_class, ExplicitVRLittleEndian)])
    status = dimse.send_raw(association, 1, part10.File(file.sop_class_uid, uid, ExplicitVRLittleEndian, out.getvalue()))
    association.release()
    assert 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF, f"{status:04X}"
    assert not is_stored(shared, uid)


def test_a_truncated_data_set_is_refused_and_the_association_goes_on(shared):
    data_set, good = make.instance(), make.instance()
    association = shared.associate([build_context(make.CT, ExplicitVRLittleEndian)])
    file = part10.read(make.part10(data_set))
    status = dimse.send_raw(association, 1, part10.File(file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax_uid, file.data_set[:-20]))
    assert 0xC000 <= status <= 0xCFFF or 0xA900 <= status <= 0xA9FF, f"{status:04X}"
    assert association.send_c_store(good).Status == 0x0000
    association.release()
    assert not is_stored(shared, data_set.SOPInstanceUID)
    assert is_stored(shared, good.SOPInstanceUID)


def test_a_claimed_length_beyond_the_end_is_refused(shared):
    data_set = make.instance()
    status = store_raw(shared, data_set, mangle=lambda raw: raw[:-128 - 4] + struct.pack("<I", 0x7FFFFFF0) + raw[-128:])
    assert status != 0x0000, f"{status:04X}"
    assert not is_stored(shared, data_set.SOPInstanceUID)


def test_a_failure_says_why(shared):
    data_set = make.instance()
    file = part10.read(make.part10(data_set))
    association = shared.associate([build_context(make.MR, ExplicitVRLittleEndian)])
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 9, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = make.MR, make.uid()
    request.DataSet = BytesIO(file.data_set)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert response.MessageIDBeingRespondedTo == 9
    assert response.ErrorComment and len(response.ErrorComment) <= 64


# ---- the same UID again -----------------------------------------------------------------------


def test_the_same_instance_again_is_a_success_and_no_second_copy(archive):
    data_set = make.instance(edge=256)
    assert archive.store(data_set, data_set, data_set) == [0, 0, 0]
    size = folder_bytes(archive.data)
    assert archive.store(*[data_set] * 20) == [0] * 20
    assert folder_bytes(archive.data) - size < 256 * 256 * 2
    assert len(archive.instances()) == 1


def folder_bytes(folder) -> int:
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder / "blobs") for name in names)


def test_other_bytes_under_the_same_uid_do_not_replace_the_first(shared):
    first = make.instance()
    other = make.instance(study=first.StudyInstanceUID, series=first.SeriesInstanceUID, SOPInstanceUID=first.SOPInstanceUID)
    other.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    assert other.PixelData != first.PixelData
    shared.store(first)
    shared.store(other)
    assert_same(part10.read(make.part10(first)).data_set, kept(shared, first).data_set, ExplicitVRLittleEndian)
    assert len(shared.instances(SOPInstanceUID=first.SOPInstanceUID)) == 1


def test_a_refusing_policy_answers_a_failure(tmp_path):
    from gantry import Archive

    archive = Archive(tmp_path / "refusing", config='[archive]\ndifferent_duplicate = "refuse"\n')
    archive.start()
    try:
        first = make.instance()
        other = make.instance(study=first.StudyInstanceUID, series=first.SeriesInstanceUID, SOPInstanceUID=first.SOPInstanceUID)
        assert archive.store(first, first) == [0, 0]
        [status] = archive.store(other)
        assert status != 0x0000 and status & 0xF000 in (0xA000, 0xC000, 0x0000), f"{status:04X}"
    finally:
        archive.close()


# ---- UIDs as the field sends them -------------------------------------------------------------


def test_uids_with_leading_zeros_are_kept_unchanged(shared):
    data_set = make.instance(SOPInstanceUID=f"2.25.0123.{make.uid()[5:20]}")
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    assert shared.store(data_set) == [0x0000]
    assert is_stored(shared, data_set.SOPInstanceUID)


def test_many_instances_from_many_associations_at_once(archive):
    """What is acknowledged is there, whoever sent at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    data_sets = [make.study(10) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda study: archive.store(*study), data_sets))
    assert statuses == [[0] * 10] * 12
    assert {found.SOPInstanceUID for found in archive.instances()} == {d.SOPInstanceUID for study in data_sets for d in study}


def test_an_abort_inside_the_data_stores_nothing(shared):
    data_set = make.instance(edge=512)
    file = part10.read(make.part10(data_set))
    association = shared.associate([build_context(make.CT, ExplicitVRLittleEndian)])
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE
    from io import BytesIO

    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = file.sop_class_uid, file.sop_instance_uid
    request.DataSet = BytesIO(file.data_set)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    pdvs = list(message.encode_msg(association.accepted_contexts[0].context_id, 16382))
    for primitive in pdvs[: len(pdvs) // 2]:
        association.dul.send_pdu(primitive)
    __import__("time").sleep(0.3)
    association.abort()
    assert not is_stored(shared, data_set.SOPInstanceUID)
    good = make.instance()
    assert shared.store(good) == [0]


