"""Storage Commitment Push Model (PS3.4 J)."""

import json
import socket
import threading

import pydicom
import pytest
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE

import make
from conftest import eventually
from gantry import run


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
        self.takes_reports = True
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
        if not self.takes_reports:
            return 0x0110, None
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


def test_a_transaction_uid_is_used_up_by_its_report(requestor, archive):
    """PS3.4 J.3.3.1.2: no longer active, and not to be used again; also not after a restart."""
    data_sets = make.study(2)
    archive.store(*data_sets)
    asked = request(references(data_sets))
    assert requestor.ask(asked).Status == 0x0000
    eventually(lambda: requestor.reports)
    # The report's acknowledgement may still be on its way when the request comes again.
    eventually(lambda: requestor.ask(asked).Status == 0x0131)
    archive.restart()
    assert requestor.ask(asked).Status == 0x0131
    assert requestor.ask(request(references(data_sets[:1]), asked.TransactionUID)).Status == 0x0131
    again = request(references(data_sets))
    assert requestor.ask(again).Status == 0x0000
    eventually(lambda: len(requestor.reports) > 1)
    assert [report.TransactionUID for _, report, _ in requestor.reports] == [asked.TransactionUID, again.TransactionUID]


def test_a_transaction_that_is_open_may_be_asked_for_again(requestor, archive):
    """Who is not sure that the request arrived asks again; the result is told once. Another request is refused."""
    data_sets = make.study(2)
    archive.store(*data_sets)
    requestor.takes_reports = False
    asked = request(references(data_sets))
    assert requestor.ask(asked).Status == 0x0000
    assert requestor.ask(asked).Status == 0x0000
    assert requestor.ask(request(references(data_sets[:1]), asked.TransactionUID)).Status == 0x0131
    requestor.takes_reports = True
    eventually(lambda: requestor.reports, seconds=60)
    eventually(lambda: requestor.ask(asked).Status == 0x0131)
    assert len(requestor.reports) == 1


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


# ---- Gantry as the one who asks ----------------------------------------------------------------


class Keeper:
    """A storage commitment SCP of pynetdicom that tells its results as it is told to."""

    def __init__(self, way, fails=(), listener=None):
        self.way, self.fails, self.listener = way, set(fails), listener
        self.asked, self.statuses = [], []
        ae = AE(ae_title="KEEPER")
        ae.add_supported_context(COMMITMENT)
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, self.on_action)])
        self.port = self.server.socket.getsockname()[1]

    def on_action(self, event):
        self.asked.append(event.action_information)
        threading.Thread(target=self.tell, args=(event.assoc, event.action_information), daemon=True).start()
        return 0x0000, None

    def tell(self, association, asked):
        result = pydicom.Dataset()
        result.TransactionUID = asked.TransactionUID
        good = [item for item in asked.ReferencedSOPSequence if item.ReferencedSOPInstanceUID not in self.fails]
        bad = [item for item in asked.ReferencedSOPSequence if item.ReferencedSOPInstanceUID in self.fails]
        if good:
            result.ReferencedSOPSequence = good
        for item in bad:
            item.FailureReason = 0x0213
        if bad:
            result.FailedSOPSequence = bad
        threading.Event().wait(0.3)
        if self.way == "same":
            self.report(association, result, 2 if bad else 1)
        elif self.way == "new":
            ae = AE(ae_title="KEEPER")
            other = ae.associate("127.0.0.1", self.listener, contexts=[build_context(COMMITMENT)], ext_neg=[build_role(COMMITMENT, scp_role=True)])
            if not other.is_established:
                self.statuses.append("no association")
                return
            self.report(other, result, 2 if bad else 1)
            other.release()

    def report(self, association, result, event_type):
        status, _ = association.send_n_event_report(result, event_type, COMMITMENT, INSTANCE)
        self.statuses.append(status.get("Status"))

    def close(self):
        self.server.shutdown()


def written(tmp_path, data_sets):
    folder = tmp_path / "files"
    folder.mkdir()
    for number, data_set in enumerate(data_sets):
        (folder / f"{number}.dcm").write_bytes(make.part10(data_set))
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("way", ["same", "new"])
@pytest.mark.parametrize("fails", [0, 2])
def test_the_command_asks_a_peer(tmp_path, way, fails):
    data_sets = make.study(4)
    port = free_port()
    keeper = Keeper(way, [data_set.SOPInstanceUID for data_set in data_sets[:fails]], port)
    listen = ("--listen", f"127.0.0.1:{port}") if way == "new" else ()
    try:
        done = run("commit", f"KEEPER@127.0.0.1:{keeper.port}", written(tmp_path, data_sets), "--json", "--wait", "30", *listen, check=False)
        assert done.returncode == (1 if fails else 0), done.stderr
        told = json.loads(done.stdout)
        assert told["committed"] == 4 - fails
        assert {item["sop_instance_uid"] for item in told["failed"]} == {data_set.SOPInstanceUID for data_set in data_sets[:fails]}
        assert all("resource limitation" in item["reason"] for item in told["failed"])
        assert len(keeper.asked) == 1 and len(keeper.asked[0].ReferencedSOPSequence) == 4
        eventually(lambda: keeper.statuses)
        assert keeper.statuses == [0x0000]
    finally:
        keeper.close()


def test_the_command_tells_when_no_result_comes(tmp_path):
    keeper = Keeper("never")
    try:
        done = run("commit", f"KEEPER@127.0.0.1:{keeper.port}", written(tmp_path, make.study(1)), "--wait", "2", check=False)
        assert done.returncode == 1 and "no result" in done.stderr
    finally:
        keeper.close()


def test_send_and_commit_to_gantry_itself(archive, tmp_path):
    data_sets = make.study(5)
    peer = f"{archive.ae_title}@{archive.host}:{archive.port}"
    folder = written(tmp_path, data_sets)
    done = run("commit", peer, folder, "--json", check=False)
    assert done.returncode == 1
    assert all("no such object" in item["reason"] for item in json.loads(done.stdout)["failed"])
    done = run("send", peer, folder, "--commit", "--json")
    sent, committed = map(json.loads, done.stdout.strip().splitlines())
    assert sum(sent.values()) == 5 and committed == {"committed": 5, "failed": []}


def test_the_server_takes_results_that_a_peer_brings(archive):
    """A command asked in the server's name; the peer calls the address that it knows for it."""
    data_sets = make.study(2)
    keeper = Keeper("new", [data_sets[0].SOPInstanceUID], archive.port)
    try:
        keeper.tell(None, request(references(data_sets)))
        assert keeper.statuses == [0x0000]
        log = archive.log()
        assert "storage commitment result received" in log
        assert "does not commit" in log and data_sets[0].SOPInstanceUID in log
    finally:
        keeper.close()
