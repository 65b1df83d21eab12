"""C-MOVE and C-GET (PS3.4 C.4.2, C.4.3)."""

import threading
import time

import pydicom
import pytest
from pynetdicom import AE, build_context, build_role, evt

import make
import part10
from compare import assert_same
from conftest import eventually
from dcmtk import StoreScp, dcmtk
from dimse import PATIENT_GET, PATIENT_MOVE, STUDY_GET, STUDY_MOVE, Receiver, get, identifier, move

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.fixture(scope="module")
def study(shared):
    """Six instances in two series of one patient, one of them with a compressed instance beside."""
    data_sets = make.study(4, PatientID="RETRIEVE1", PatientName="RETRIEVE^ONE")
    data_sets += [make.instance(study=data_sets[0].StudyInstanceUID, PatientID="RETRIEVE1", PatientName="RETRIEVE^ONE", Modality="MR", sop_class=make.MR) for _ in range(2)]
    assert set(shared.store(*data_sets)) == {0}
    return data_sets


def with_peers(archive, **peers):
    """Peers are re-read while the server runs."""
    archive.peers |= peers
    archive.write_config()


@pytest.fixture(scope="module")
def running_receiver(shared):
    with Receiver() as receiver:
        with_peers(shared, RECEIVER=receiver.port)
        wait_for_peer(shared, "RECEIVER")
        yield receiver


@pytest.fixture
def receiver(running_receiver):
    """A destination that has received nothing yet."""
    running_receiver.retrieved.instances.clear()
    running_receiver.retrieved.requests.clear()
    running_receiver.associations.clear()
    return running_receiver


def wait_for_peer(archive, title):
    """A destination that was just written into the file is known soon."""
    query = identifier("STUDY", StudyInstanceUID="1.2.3.4.5.6.7")
    eventually(lambda: move(archive, query, title).final.Status != 0xA801)


ALL = [(make.CT, [EXPLICIT]), (make.MR, [EXPLICIT])]


# ---- C-GET ------------------------------------------------------------------------------------


def test_get_of_a_study(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), ALL)
    assert retrieved.final.Status == 0x0000
    assert retrieved.final.NumberOfCompletedSuboperations == 6
    assert retrieved.final.NumberOfFailedSuboperations == 0
    assert retrieved.final.get("NumberOfWarningSuboperations", 0) == 0
    assert retrieved.identifiers[-1] is None, "a data set although nothing failed"
    for data_set in study:
        syntax, raw = retrieved.instances[data_set.SOPInstanceUID]
        assert_same(part10.read(make.part10(data_set)).data_set, raw, syntax)


@pytest.mark.parametrize("level, key, count", [("SERIES", "SeriesInstanceUID", 4), ("IMAGE", "SOPInstanceUID", 1)])
def test_get_below_the_study(shared, study, level, key, count):
    keys = {"StudyInstanceUID": study[0].StudyInstanceUID, "SeriesInstanceUID": study[0].SeriesInstanceUID, key: getattr(study[0], key)}
    retrieved = get(shared, identifier(level, **keys), ALL)
    assert retrieved.final.Status == 0x0000 and len(retrieved.instances) == count


def test_get_of_a_patient(shared, study):
    retrieved = get(shared, identifier("PATIENT", PatientID="RETRIEVE1"), ALL, model=PATIENT_GET)
    assert len(retrieved.instances) == 6


def test_get_of_a_list_of_instances(shared, study):
    keys = dict(StudyInstanceUID=study[0].StudyInstanceUID, SeriesInstanceUID=study[0].SeriesInstanceUID)
    retrieved = get(shared, identifier("IMAGE", SOPInstanceUID=[study[0].SOPInstanceUID, study[2].SOPInstanceUID], **keys), ALL)
    assert set(retrieved.instances) == {study[0].SOPInstanceUID, study[2].SOPInstanceUID}


def test_get_without_a_context_for_some_is_a_warning_with_their_uids(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), [(make.CT, [EXPLICIT])])
    assert retrieved.final.Status == 0xB000
    assert (retrieved.final.NumberOfCompletedSuboperations, retrieved.final.NumberOfFailedSuboperations) == (4, 2)
    failed = retrieved.identifiers[-1].FailedSOPInstanceUIDList
    assert set(failed) == {data_set.SOPInstanceUID for data_set in study[4:]}


def test_get_that_fails_altogether_says_so(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), [(make.SECONDARY_CAPTURE, [EXPLICIT])])
    assert retrieved.final.Status == 0xA702 or 0xC000 <= retrieved.final.Status <= 0xCFFF, f"{retrieved.final.Status:04X}"
    assert retrieved.final.NumberOfFailedSuboperations == 6
    assert len(retrieved.identifiers[-1].FailedSOPInstanceUIDList) == 6


def test_get_counts_what_the_requestor_refuses(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), ALL, status=0xA700)
    assert retrieved.final.NumberOfFailedSuboperations == 6
    assert retrieved.final.Status != 0x0000


def test_get_counts_warnings_of_the_requestor(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), ALL, status=0xB000)
    assert retrieved.final.Status == 0xB000
    assert retrieved.final.NumberOfWarningSuboperations == 6


def test_pending_responses_count_down(shared, study):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), ALL)
    pending = [status for status in retrieved.statuses if status.Status == 0xFF00]
    assert all("NumberOfRemainingSuboperations" in status for status in pending)
    remaining = [status.NumberOfRemainingSuboperations for status in pending]
    assert remaining == sorted(remaining, reverse=True)
    assert all(answer is None for answer in retrieved.identifiers[:-1])


def test_get_of_nothing_is_success_with_zeros(shared):
    retrieved = get(shared, identifier("STUDY", StudyInstanceUID="1.2.3.4"), ALL)
    assert retrieved.final.Status == 0x0000
    assert retrieved.final.get("NumberOfCompletedSuboperations", 0) == 0
    assert retrieved.instances == {}


@pytest.mark.parametrize("query", [
    identifier("", StudyInstanceUID="1.2.3"),
    identifier("PATIENT", PatientID="RETRIEVE1"),
    identifier("STUDY"),
    identifier("SERIES", SeriesInstanceUID="1.2.3"),
    identifier("IMAGE", StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.4"),
])
def test_wrong_identifiers_are_refused(shared, query):
    retrieved = get(shared, query, ALL)
    assert retrieved.final.Status == 0xA900 or 0xC000 <= retrieved.final.Status <= 0xCFFF, f"{retrieved.final.Status:04X}"


def test_getscu_of_dcmtk_writes_identical_files(shared, study, tmp_path):
    folder = tmp_path / "got"
    folder.mkdir()
    dcmtk("getscu", shared, "-S", "+B", "-od", folder, "-k", "0008,0052=STUDY", "-k", f"0020,000D={study[0].StudyInstanceUID}")
    got = {read.sop_instance_uid: read for read in map(part10.read, folder.iterdir())}
    assert set(got) == {data_set.SOPInstanceUID for data_set in study}


def test_a_compressed_instance_is_decoded_for_a_requestor_that_needs_it(shared):
    file = pydicom.data.get_testdata_file("MR_small_jp2klossless.dcm")
    sent = pydicom.dcmread(file)
    shared.store_files([file])
    query = identifier("IMAGE", StudyInstanceUID=sent.StudyInstanceUID, SeriesInstanceUID=sent.SeriesInstanceUID, SOPInstanceUID=sent.SOPInstanceUID)
    for syntax in (EXPLICIT, IMPLICIT):
        retrieved = get(shared, query, [(sent.SOPClassUID, [syntax])])
        assert retrieved.final.Status == 0x0000
        got_syntax, raw = retrieved.instances[sent.SOPInstanceUID]
        assert got_syntax == syntax
        from io import BytesIO

        got = pydicom.dcmread(BytesIO(part10.write(sent.SOPClassUID, sent.SOPInstanceUID, syntax, raw)))
        assert (got.pixel_array == sent.pixel_array).all()
        assert got.PatientName == sent.PatientName


def test_the_stored_syntax_is_used_when_it_is_among_the_accepted(shared):
    file = pydicom.data.get_testdata_file("MR_small_jp2klossless.dcm")
    sent = part10.read(file)
    shared.store_files([file])
    read = pydicom.dcmread(file)
    query = identifier("IMAGE", StudyInstanceUID=read.StudyInstanceUID, SeriesInstanceUID=read.SeriesInstanceUID, SOPInstanceUID=read.SOPInstanceUID)
    # A context for each syntax, so that the archive may choose.
    retrieved = get(shared, query, [(sent.sop_class_uid, [EXPLICIT]), (sent.sop_class_uid, [sent.transfer_syntax_uid])])
    syntax, raw = retrieved.instances[sent.sop_instance_uid]
    assert syntax == sent.transfer_syntax_uid
    assert raw == sent.data_set


def test_requestors_that_forget_role_selection(shared, study):
    """Without the role item the default roles hold; a lenient archive sends all the same."""
    got = []
    ae = AE(ae_title="INTEROP")
    ae.dimse_timeout = 30
    contexts = [build_context(STUDY_GET), build_context(make.CT, EXPLICIT)]
    association = ae.associate(shared.host, shared.port, contexts=contexts, ae_title=shared.ae_title,
                               evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(event) or 0)])
    statuses = [status for status, _ in association.send_c_get(identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), STUDY_GET)]
    if association.is_established:
        association.release()
    assert statuses[-1].Status in (0x0000, 0xB000, 0xA702) or 0xC000 <= statuses[-1].Status <= 0xCFFF


# ---- C-MOVE -----------------------------------------------------------------------------------


def test_move_of_a_study(shared, study, receiver):
    retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "RECEIVER")
    assert retrieved.final.Status == 0x0000
    assert retrieved.final.NumberOfCompletedSuboperations == 6
    assert "NumberOfRemainingSuboperations" not in retrieved.final or not retrieved.final.NumberOfRemainingSuboperations
    for data_set in study:
        syntax, raw = receiver.retrieved.instances[data_set.SOPInstanceUID]
        assert_same(part10.read(make.part10(data_set)).data_set, raw, syntax)


def test_move_tells_who_asked(shared, study, receiver):
    move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "RECEIVER")
    request = receiver.retrieved.requests[0]
    assert request.MoveOriginatorApplicationEntityTitle.strip() == "INTEROP"
    assert request.MoveOriginatorMessageID == 1
    assert receiver.associations[-1].requestor.ae_title.strip() == shared.ae_title


def test_move_to_an_unknown_destination_is_a801(shared, study):
    retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "NOWHERE")
    assert retrieved.final.Status == 0xA801


def test_move_to_a_destination_that_is_down_fails_soon(shared, study):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with_peers(shared, DOWN=port)
    wait_for_peer(shared, "DOWN")
    started = time.monotonic()
    retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "DOWN")
    assert time.monotonic() - started < 40
    assert retrieved.final.Status in (0xA702, 0xB000) or 0xC000 <= retrieved.final.Status <= 0xCFFF, f"{retrieved.final.Status:04X}"
    assert retrieved.final.NumberOfFailedSuboperations == 6


def test_move_to_a_deaf_destination_does_not_hang(shared, study, deaf):
    with_peers(shared, DEAF=deaf.port)
    wait_for_peer(shared, "DEAF")
    started = time.monotonic()
    retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "DEAF")
    assert time.monotonic() - started < 60
    assert retrieved.final.Status != 0x0000
    assert retrieved.final.NumberOfFailedSuboperations == 6


def test_move_counts_refusals_of_the_destination(shared, study):
    with Receiver("REFUSER", status=0xA700) as receiver:
        with_peers(shared, REFUSER=receiver.port)
        wait_for_peer(shared, "REFUSER")
        retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "REFUSER")
    assert retrieved.final.NumberOfFailedSuboperations == 6
    assert retrieved.final.Status != 0x0000
    assert len(retrieved.identifiers[-1].FailedSOPInstanceUIDList) == 6


def test_move_to_a_destination_that_takes_only_some_classes(shared, study):
    with Receiver("PARTIAL", contexts=[(make.CT, [EXPLICIT])]) as receiver:
        with_peers(shared, PARTIAL=receiver.port)
        wait_for_peer(shared, "PARTIAL")
        retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "PARTIAL")
    assert retrieved.final.Status == 0xB000
    assert (retrieved.final.NumberOfCompletedSuboperations, retrieved.final.NumberOfFailedSuboperations) == (4, 2)


def test_move_transcodes_for_a_destination_that_only_takes_implicit(shared, study):
    with Receiver("OLD", contexts=[(make.CT, [IMPLICIT]), (make.MR, [IMPLICIT])]) as receiver:
        with_peers(shared, OLD=receiver.port)
        wait_for_peer(shared, "OLD")
        retrieved = move(shared, identifier("STUDY", StudyInstanceUID=study[0].StudyInstanceUID), "OLD")
    assert retrieved.final.Status == 0x0000
    assert {syntax for syntax, _ in receiver.retrieved.instances.values()} == {IMPLICIT}


@pytest.mark.parametrize("level, key, count", [("SERIES", "SeriesInstanceUID", 4), ("IMAGE", "SOPInstanceUID", 1)])
def test_move_below_the_study(shared, study, receiver, level, key, count):
    keys = {"StudyInstanceUID": study[0].StudyInstanceUID, "SeriesInstanceUID": study[0].SeriesInstanceUID, key: getattr(study[0], key)}
    retrieved = move(shared, identifier(level, **keys), "RECEIVER")
    assert retrieved.final.Status == 0x0000 and len(receiver.retrieved.instances) == count


def test_move_of_a_patient(shared, study, receiver):
    retrieved = move(shared, identifier("PATIENT", PatientID="RETRIEVE1"), "RECEIVER", model=PATIENT_MOVE)
    assert retrieved.final.NumberOfCompletedSuboperations == 6


def test_movescu_of_dcmtk_to_storescp(shared, study, tmp_path):
    with StoreScp(tmp_path / "moved", title="MOVED") as destination:
        with_peers(shared, MOVED=destination.port)
        wait_for_peer(shared, "MOVED")
        dcmtk("movescu", shared, "-S", "-aem", "MOVED", "-k", "0008,0052=STUDY", "-k", f"0020,000D={study[0].StudyInstanceUID}")
        eventually(lambda: len(destination.files()) == 6)
        got = {file.sop_instance_uid: file for file in map(part10.read, destination.files())}
    for data_set in study:
        sent = part10.read(make.part10(data_set))
        assert_same(sent.data_set, got[sent.sop_instance_uid].data_set, got[sent.sop_instance_uid].transfer_syntax_uid)


def test_gantry_move_and_get_commands(shared, study, receiver, tmp_path):
    import gantry

    peer = f"{shared.ae_title}@{shared.host}:{shared.port}"
    gantry.run("move", peer, "--to", "RECEIVER", "--study", study[0].StudyInstanceUID)
    assert len(receiver.retrieved.instances) == 6
    gantry.run("get", peer, "--out", tmp_path / "got", "--study", study[0].StudyInstanceUID)
    assert len([file for file in (tmp_path / "got").rglob("*") if file.is_file()]) == 6


# ---- cancel -----------------------------------------------------------------------------------


def test_cancel_of_a_get(shared):
    data_sets = make.study(60, PatientID="CANCEL1", edge=64)
    shared.store(*data_sets)
    got = []

    def slow(event):
        got.append(event)
        threading.Event().wait(0.02)
        return 0x0000

    contexts = [build_context(STUDY_GET), build_context(make.CT, EXPLICIT)]
    association = shared.associate(contexts, ext_neg=[build_role(make.CT, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, slow)])
    statuses = []
    for status, answer in association.send_c_get(identifier("STUDY", StudyInstanceUID=data_sets[0].StudyInstanceUID), STUDY_GET, msg_id=9):
        statuses.append(status)
        if len(statuses) == 1:
            association.send_c_cancel(9, query_model=STUDY_GET)
    association.release()
    final = statuses[-1]
    assert final.Status == 0xFE00, f"{final.Status:04X}"
    assert final.NumberOfRemainingSuboperations + final.NumberOfCompletedSuboperations + final.get("NumberOfFailedSuboperations", 0) == 60
    assert len(got) < 60


def test_cancel_of_a_move(shared):
    data_sets = make.study(60, PatientID="CANCEL2", edge=64)
    shared.store(*data_sets)

    def slow(event):
        threading.Event().wait(0.02)
        return 0x0000

    ae = AE(ae_title="SLOW")
    ae.add_supported_context(make.CT)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, slow)])
    try:
        with_peers(shared, SLOW=server.socket.getsockname()[1])
        wait_for_peer(shared, "SLOW")
        association = shared.associate([build_context(STUDY_MOVE)])
        responses = []
        canceller = threading.Timer(0.3, lambda: association.send_c_cancel(9, query_model=STUDY_MOVE))
        canceller.start()
        for status, answer in association.send_c_move(identifier("STUDY", StudyInstanceUID=data_sets[0].StudyInstanceUID), "SLOW", STUDY_MOVE, msg_id=9):
            responses.append((status, answer))
        association.release()
    finally:
        server.shutdown()
    final = responses[-1][0]
    assert final.Status == 0xFE00, f"{final.Status:04X}"
    assert 0 < final.NumberOfRemainingSuboperations < 60
