"""Storage Commitment Push Model (PS3.4 J)."""

import threading

import pydicom
import pytest
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE

import make
from conftest import eventually


def request(references, transaction=None) -> pydicom.Dataset:
    data_set = pydicom.Dataset()
    data_set.TransactionUID = transaction or make.uid()
    data_set.ReferencedSOPSequence = []
    for sop_class, sop_instance in references:
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        data_set.ReferencedSOPSequence.append(item)
    return data_set


def references(data_sets):
    return [(data_set.SOPClassUID, data_set.SOPInstanceUID) for data_set in data_sets]


class Requestor:
    """An AE that asks and listens for the result, on the same association and on a new one."""

    def __init__(self, archive, title="MODALITY", listens=True):
        self.archive, self.title = archive, title
        self.reports = []
        self.arrived = threading.Event()
        self.server = None
        if listens:
            self.listen()

    def listen(self, port=0):
        ae = AE(ae_title=self.title)
        ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
        # The archive opens the association and is SCP: the acceptor takes the SCU role.
        ae.supported_contexts[0].scu_role, ae.supported_contexts[0].scp_role = True, True
        self.server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.on_report)])
        self.port = self.server.socket.getsockname()[1]
        return self.port

    def on_report(self, event):
        self.reports.append((event.request.EventTypeID, event.event_information, event.assoc))
        self.arrived.set()
        return 0x0000, None

    def ask(self, data_set, *, waits=0.0):
        """N-ACTION; keeps the association open for `waits` seconds."""
        association = self.archive.associate([build_context(COMMITMENT)], calling=self.title, ext_neg=[build_role(COMMITMENT, scu_role=True)],
                                             evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.on_report)])
        try:
            status, _ = association.send_n_action(data_set, 1, COMMITMENT, INSTANCE)
            if waits:
                self.arrived.wait(waits)
        finally:
            if association.is_established:
                association.release()
        return status

    def close(self):
        if self.server:
            self.server.shutdown()


@pytest.fixture
def requestor(archive):
    requestor = Requestor(archive)
    archive.peers = {"MODALITY": requestor.port}
    archive.write_config()
    archive.restart()
    yield requestor
    requestor.close()


def items(event_information, keyword):
    return {item.ReferencedSOPInstanceUID: item for item in event_information.get(keyword, [])}


def test_all_good_is_event_1_with_the_same_transaction(requestor, archive):
    data_sets = make.study(3)
    archive.store(*data_sets)
    asked = request(references(data_sets))
    assert requestor.ask(asked).Status == 0x0000
    eventually(lambda: requestor.reports)
    event_type, information, _ = requestor.reports[0]
    assert event_type == 1
    assert information.TransactionUID == asked.TransactionUID
    assert set(items(information, "ReferencedSOPSequence")) == {data_set.SOPInstanceUID for data_set in data_sets}
    assert "FailedSOPSequence" not in information
    assert information.get("RetrieveAETitle", archive.ae_title) == archive.ae_title


def test_failures_are_event_2_with_reasons(requestor, archive):
    data_sets = make.study(2)
    archive.store(*data_sets)
    unknown = make.uid()
    asked = request(references(data_sets[:1]) + [(make.CT, unknown), (make.MR, data_sets[1].SOPInstanceUID)])
    requestor.ask(asked)
    eventually(lambda: requestor.reports)
    event_type, information, _ = requestor.reports[0]
    assert event_type == 2
    failed = items(information, "FailedSOPSequence")
    assert failed[unknown].FailureReason == 0x0112
    assert failed[data_sets[1].SOPInstanceUID].FailureReason == 0x0119
    good = items(information, "ReferencedSOPSequence")
    assert set(good) == {data_sets[0].SOPInstanceUID}
    assert set(good) | set(failed) == {item.ReferencedSOPInstanceUID for item in asked.ReferencedSOPSequence}


def test_the_report_comes_on_the_same_association_when_it_stays_open(archive):
    """An AE that nobody configured can only be reached on its own association."""
    data_sets = make.study(2)
    archive.store(*data_sets)
    requestor = Requestor(archive, title="UNLISTED", listens=False)
    requestor.ask(request(references(data_sets)), waits=15)
    assert requestor.reports and requestor.reports[0][0] == 1


def test_the_report_survives_a_restart(archive):
    """The requestor is away, the archive is killed and started again, the requestor comes back."""
    data_sets = make.study(2)
    requestor = Requestor(archive)
    port = requestor.port
    archive.peers = {"MODALITY": port}
    archive.write_config()
    archive.restart()
    archive.store(*data_sets)
    requestor.server.shutdown()
    requestor.server = None
    assert requestor.ask(request(references(data_sets))).Status == 0x0000
    archive.kill()
    requestor.listen(port)
    archive.start()
    eventually(lambda: requestor.reports, seconds=90)
    assert requestor.reports[0][0] == 1
    requestor.close()


def test_a_transaction_uid_is_not_used_twice_at_once(requestor, archive):
    data_sets = make.study(1)
    archive.store(*data_sets)
    asked = request(references(data_sets))
    assert requestor.ask(asked).Status == 0x0000
    eventually(lambda: requestor.reports)
    requestor.arrived.clear()
    status = requestor.ask(asked).Status
    assert status in (0x0000, 0x0110, 0x0131, 0x0210), f"{status:04X}"


@pytest.mark.parametrize("spoil", ["transaction", "references", "empty"])
def test_incomplete_requests_are_refused(requestor, spoil):
    asked = request([(make.CT, make.uid())])
    if spoil == "transaction":
        del asked.TransactionUID
    elif spoil == "references":
        del asked.ReferencedSOPSequence
    else:
        asked.ReferencedSOPSequence = []
    assert requestor.ask(asked).Status not in (0x0000, None)


def test_a_wrong_action_type_is_0123(requestor, archive):
    association = archive.associate([build_context(COMMITMENT)], calling="MODALITY")
    status, _ = association.send_n_action(request([(make.CT, make.uid())]), 7, COMMITMENT, INSTANCE)
    association.release()
    assert status.Status == 0x0123, f"{status.Status:04X}"


def test_a_wrong_instance_is_0112(requestor, archive):
    association = archive.associate([build_context(COMMITMENT)], calling="MODALITY")
    status, _ = association.send_n_action(request([(make.CT, make.uid())]), 1, COMMITMENT, make.uid())
    association.release()
    assert status.Status in (0x0112, 0x0117), f"{status.Status:04X}"
