"""The upper layer: negotiation, limits, and peers that behave badly (PS3.8)."""

import itertools
import resource
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from pynetdicom import AE, build_context, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

import make
from conftest import eventually
from dcmtk import dcmtk
from dimse import STUDY_FIND, STUDY_GET, find, identifier, pdv_bytes
from gantry import Archive

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
IMPLICIT = b"1.2.840.10008.1.2"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def context(number: int, abstract: bytes = VERIFICATION, syntaxes=(IMPLICIT,)) -> bytes:
    inner = item(0x30, abstract) + b"".join(item(0x40, syntax) for syntax in syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + inner)


def associate_rq(archive, *, version=1, called=None, calling=b"RAW", application=APPLICATION_CONTEXT, contexts=None, user=None, extra=b"") -> bytes:
    body = struct.pack(">HH", version, 0) + (called if called is not None else archive.ae_title.encode()).ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application)
    body += context(1) if contexts is None else contexts
    body += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.1") if user is None else user) + extra
    return struct.pack(">BBI", 1, 0, len(body)) + body


class Raw:
    """A socket that says exactly what it is told."""

    def __init__(self, archive):
        self.socket = socket.create_connection((archive.host, archive.port), timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)
        return self

    def send_and_close(self, data: bytes) -> None:
        """Says something last; the peer may already have had enough."""
        try:
            self.send(data)
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read(self) -> tuple[int, bytes] | None:
        """One PDU, or None when the peer closed."""
        header = self.exactly(6)
        if header is None:
            return None
        kind, _, length = struct.unpack(">BBI", header)
        return kind, self.exactly(length)

    def exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                chunk = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not chunk:
                return None
            data += chunk
        return data

    def ends(self) -> bool:
        """Whether the peer aborts or closes."""
        while True:
            pdu = self.read()
            if pdu is None or pdu[0] in (7, 3):
                return True


def accepted_contexts(body: bytes) -> dict[int, int]:
    """Presentation context ID → result of an A-ASSOCIATE-AC."""
    results, at = {}, 68
    while at < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, at)
        if kind == 0x21:
            results[body[at + 4]] = body[at + 6]
        at += 4 + length
    return results


def rejection(pdu) -> tuple[int, int, int]:
    kind, body = pdu
    assert kind == 3, f"PDU {kind:#x} instead of A-ASSOCIATE-RJ"
    return body[1], body[2], body[3]


# ---- acceptance and rejection -----------------------------------------------------------------


def test_each_context_gets_its_result(shared):
    contexts = context(1) + context(3, b"1.2.3.4.5.6") + context(5, VERIFICATION, (b"1.2.3.4",)) + context(7, VERIFICATION, (b"1.2.840.10008.1.2.1", IMPLICIT))
    with Raw(shared) as raw:
        kind, body = raw.send(associate_rq(shared, contexts=contexts)).read()
        assert kind == 2
        results = accepted_contexts(body)
    assert results[1] == 0 and results[7] == 0
    # An unknown abstract syntax may be a private storage class: kept on by default.
    assert results[3] in (0, 3)
    assert results[5] == 4


def test_wrong_application_context_is_rejected(shared):
    with Raw(shared) as raw:
        assert rejection(raw.send(associate_rq(shared, application=b"1.2.3")).read()) == (1, 1, 2)


def test_wrong_protocol_version_is_rejected(shared):
    with Raw(shared) as raw:
        assert rejection(raw.send(associate_rq(shared, version=0x8000)).read()) == (1, 2, 2)


def test_bits_of_later_versions_are_ignored(shared):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared, version=3)).read()[0] == 2


@pytest.mark.parametrize("calling", [b"", b"   ", b"MODALITY 1      "])
def test_odd_calling_titles_are_served(shared, calling):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared, calling=calling)).read()[0] == 2


@pytest.mark.parametrize("calling", [b"A\\B", b"A\nB", b"\x01\x02", b"\xff\xfe\xfd"])
def test_titles_with_forbidden_characters_are_rejected(shared, calling):
    with Raw(shared) as raw:
        pdu = raw.send(associate_rq(shared, calling=calling)).read()
        assert pdu is not None and pdu[0] == 3 and pdu[1][2:4] in (b"\x01\x03", b"\x01\x01"), pdu


def test_128_contexts_are_answered(shared):
    contexts = b"".join(context(number) for number in range(1, 256, 2))
    with Raw(shared) as raw:
        kind, body = raw.send(associate_rq(shared, contexts=contexts)).read()
    assert kind == 2 and accepted_contexts(body) == {number: 0 for number in range(1, 256, 2)}


def test_unknown_items_are_passed_over(shared):
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.1") + item(0x99, b"who knows") + item(0x55, b"RAW")
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared, user=user, extra=item(0x77, b"what is this"))).read()[0] == 2


def test_limits_reject_with_transient_congestion(tmp_path):
    """A full archive says so and takes the next one when there is room."""
    from gantry import Archive

    archive = Archive(tmp_path / "limited", config="[dicom]\nassociations_max = 3\n").start()
    try:
        held = [Raw(archive) for _ in range(3)]
        for raw in held:
            assert raw.send(associate_rq(archive)).read()[0] == 2
        with Raw(archive) as raw:
            result, source, reason = rejection(raw.send(associate_rq(archive)).read())
            assert (result, source) == (2, 3) and reason in (1, 2)
        held.pop().socket.close()
        time.sleep(0.5)
        with Raw(archive) as raw:
            assert raw.send(associate_rq(archive)).read()[0] == 2
        for raw in held:
            raw.socket.close()
    finally:
        archive.close()


# ---- garbage ----------------------------------------------------------------------------------

GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303"),
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "data before an association": pdv_bytes(b"\0" * 8, 1, True, True),
    "release before an association": struct.pack(">BBI", 5, 0, 4) + bytes(4),
    "a huge length": struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + b"x" * 100,
    "a length of zero": struct.pack(">BBI", 1, 0, 0),
    "an unknown PDU": struct.pack(">BBI", 9, 0, 4) + bytes(4),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_before_an_association_ends_it(shared, name):
    with Raw(shared) as raw:
        raw.send_and_close(GARBAGE[name])
        assert raw.ends()
    assert_alive(shared)


def assert_alive(archive):
    association = archive.associate([build_context(Verification)])
    assert association.send_c_echo().Status == 0
    association.release()


ECHO = bytes.fromhex("0000000004000000380000000000020012000000") + b"1.2.840.10008.1.1\0" + bytes.fromhex(
    "00000001020000003000" "00001001020000000100" "00000008020000000101")


@pytest.mark.parametrize("name, pdu", [
    ("an associate request again", None),
    ("an unknown context", pdv_bytes(ECHO, 99, True, True)),
    ("a PDV longer than its PDU", struct.pack(">BBIIBB", 4, 0, 10, 4000, 1, 3) + b"1234"),
    ("a PDV length of one", struct.pack(">BBIIB", 4, 0, 5, 1, 1)),
    ("a command that is no command", pdv_bytes(b"\xff" * 64, 1, True, True)),
    ("a data set without a command", pdv_bytes(b"\0" * 64, 1, False, True)),
    ("an endless command", pdv_bytes(b"\0" * 10000, 1, True, False) * 200),
    ("a PDU longer than agreed", struct.pack(">BBI", 4, 0, 0x7FFFFFFF) + bytes(1000)),
    ("an unknown PDU", struct.pack(">BBI", 0x42, 0, 4) + bytes(4)),
])
def test_garbage_inside_an_association_aborts_it(shared, name, pdu):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared)).read()[0] == 2
        raw.send_and_close(pdu or associate_rq(shared))
        assert raw.ends()
    assert_alive(shared)


def test_a_message_may_be_split_at_any_byte(shared):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared)).read()[0] == 2
        body = ECHO
        for at in range(0, len(body), 3):
            part = body[at : at + 3]
            pdu = pdv_bytes(part, 1, True, at + 3 >= len(body))
            for byte in range(len(pdu)):
                raw.send(pdu[byte : byte + 1])
        kind, answer = raw.read()
        assert kind == 4
        assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00" in answer, "no success"


def test_several_fragments_in_one_pdu_and_an_empty_last_one(shared):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared)).read()[0] == 2
        half = len(ECHO) // 2
        fragments = [(ECHO[:half], 1), (ECHO[half:], 1), (b"", 3)]
        body = b"".join(struct.pack(">IBB", len(part) + 2, 1, control) + part for part, control in fragments)
        kind, _ = raw.send(struct.pack(">BBI", 4, 0, len(body)) + body).read()
        assert kind == 4


def test_release_is_answered(shared):
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared)).read()[0] == 2
        assert raw.send(struct.pack(">BBI", 5, 0, 4) + bytes(4)).read()[0] == 6


def test_silence_is_ended_by_the_artim_timer(tmp_path):
    from gantry import Archive

    archive = Archive(tmp_path / "impatient", config="[dicom]\nassociate_timeout_s = 2\n").start()
    try:
        with Raw(archive) as raw:
            started = time.monotonic()
            assert raw.ends()
            assert time.monotonic() - started < 15
    finally:
        archive.close()


# ---- PDU sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1024, 4096, 16384, 131072])
def test_the_peers_longest_pdu_is_respected(shared, size):
    """Answers and sub-operations stay below it; 0 means that there is no limit."""
    data_set = make.instance(edge=128, PatientID=f"PDU{size}")
    shared.store(data_set)
    ae = AE(ae_title="INTEROP")
    ae.dimse_timeout = 60
    got, lengths = [], []
    from pynetdicom import evt

    handlers = [
        (evt.EVT_C_STORE, lambda event: got.append(event.request.DataSet.getvalue()) or 0),
        (evt.EVT_DATA_RECV, lambda event: lengths.append(len(event.data) - 6) if event.data[0] == 4 else None),
    ]
    contexts = [build_context(STUDY_GET), build_context(make.CT, "1.2.840.10008.1.2.1")]
    association = ae.associate(shared.host, shared.port, contexts=contexts, ae_title=shared.ae_title, ext_neg=[build_role(make.CT, scp_role=True)], evt_handlers=handlers, max_pdu=size)
    assert association.is_established
    statuses = [status.Status for status, _ in association.send_c_get(identifier("STUDY", StudyInstanceUID=data_set.StudyInstanceUID), STUDY_GET)]
    association.release()
    assert statuses[-1] == 0 and len(got) == 1
    assert lengths and (size == 0 or max(lengths) <= size), max(lengths)


def test_our_longest_pdu_is_announced(shared):
    association = shared.associate([build_context(make.CT)])
    assert association.acceptor.maximum_length in range(4096, 2**31) or association.acceptor.maximum_length == 0
    association.release()


# ---- roles, window, identity ------------------------------------------------------------------


def test_roles_are_answered(shared):
    roles = [build_role(make.CT, scu_role=True, scp_role=True), build_role(StorageCommitmentPushModel, scu_role=True, scp_role=False)]
    association = shared.associate([build_context(make.CT), build_context(StorageCommitmentPushModel), build_context(STUDY_GET)], ext_neg=roles)
    answered = {str(uid): (role.scu_role, role.scp_role) for uid, role in association.acceptor.role_selection.items()}
    association.release()
    assert answered.get(make.CT) == (True, True)


def test_the_window_is_granted(shared):
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 16, 1
    association = shared.associate([build_context(make.CT)], ext_neg=[window])
    granted = association.acceptor.asynchronous_operations
    association.release()
    assert granted[0] >= 8 or granted == (0, 1) or granted[0] == 0, granted
    without = shared.associate([build_context(make.CT)])
    assert without.acceptor.asynchronous_operations == (1, 1)
    without.release()


def test_sixteen_stores_outstanding_are_all_answered(shared):
    """The responses name their messages and every instance is there."""
    import part10

    user = item(0x51, struct.pack(">I", 65536)) + item(0x52, b"2.25.1") + item(0x53, struct.pack(">HH", 16, 1))
    contexts = context(1, make.CT.encode(), (b"1.2.840.10008.1.2.1",))
    data_sets = make.study(16, PatientID="WINDOW")
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared, contexts=contexts, user=user)).read()[0] == 2
        for number, data_set in enumerate(data_sets, 1):
            file = part10.read(make.part10(data_set))
            raw.send(command_store(number, file) + pdv_bytes(file.data_set, 1, False, True))
        answered = {}
        for _ in data_sets:
            kind, body = raw.read()
            assert kind == 4
            answered.update(response(body))
    assert answered == {number: 0 for number in range(1, 17)}
    assert len(find(shared, identifier("STUDY", PatientID="WINDOW", NumberOfStudyRelatedInstances=""))) == 1
    assert len(shared.instances(PatientID="WINDOW")) == 16


def command_store(message_id: int, file) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    body = element(2, file.sop_class_uid.encode()) + element(0x100, b"\x01\0") + element(0x110, struct.pack("<H", message_id))
    body += element(0x700, b"\0\0") + element(0x800, b"\0\0") + element(0x1000, file.sop_instance_uid.encode())
    return pdv_bytes(element(0, struct.pack("<I", len(body))) + body, 1, True, True)


def response(body: bytes) -> dict[int, int]:
    """Message ID → status of the command in a P-DATA-TF."""
    at, found = 6, {}
    while at + 8 <= len(body):
        _, element, length = struct.unpack_from("<HHI", body, at)
        found[element] = body[at + 8 : at + 8 + length]
        at += 8 + length
    return {struct.unpack("<H", found[0x120])[0]: struct.unpack("<H", found[0x900])[0]}


@pytest.mark.parametrize("kind, primary, secondary", [(1, b"someone", b""), (2, b"someone", b"secret"), (3, b"ticket", b""), (4, b"<saml/>", b""), (5, b"a.b.c", b"")])
def test_user_identity_is_taken(shared, kind, primary, secondary):
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = kind, primary
    if secondary:
        identity.secondary_field = secondary
    identity.positive_response_requested = True
    association = shared.associate([build_context(Verification)], ext_neg=[identity])
    assert association.send_c_echo().Status == 0
    association.release()
    assert "secret" not in shared.log()


def test_common_extended_negotiation_is_understood(shared):
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = "1.2.3.4.5", "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = [make.CT]
    association = shared.associate([build_context(make.CT)], ext_neg=[common])
    assert association.accepted_contexts
    association.release()


# ---- many and slow peers ----------------------------------------------------------------------


def test_idle_and_dribbling_connections_do_not_stop_a_store(shared):
    held = []
    try:
        for number in range(300):
            connection = socket.create_connection((shared.host, shared.port), timeout=10)
            if number % 2:
                connection.sendall(b"\x01")
            held.append(connection)
        started = time.monotonic()
        assert shared.store(make.instance()) == [0]
        assert time.monotonic() - started < 10
    finally:
        for connection in held:
            connection.close()


@pytest.fixture
def crowded(tmp_path):
    """An archive that was started with room for 1,024 files, as many systems have it by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 8192:
        pytest.skip("the system does not let a process have so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    archive = Archive(tmp_path / "crowded", config="[http]\nheader_timeout_seconds = 5\n[dicom]\nassociate_timeout_s = 60\n")
    try:
        archive.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        yield archive
        archive.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Dribble(threading.Thread):
    """Connections that say a byte every second, as long as the peer lets them."""

    def __init__(self, connections, text: bytes):
        super().__init__(daemon=True)
        self.connections, self.text, self.over, self.ended = connections, text, threading.Event(), 0

    def run(self):
        open_ones = list(self.connections)
        for at in itertools.count():
            for connection in list(open_ones):
                try:
                    connection.sendall(self.text[at % len(self.text) :][:1])
                except OSError:
                    open_ones.remove(connection)
                    self.ended += 1
            if self.over.wait(1):
                return


@pytest.mark.timeout(180)
def test_two_thousand_connections_do_not_stop_a_store(crowded, tmp_path):
    host, _, port = crowded.http.removeprefix("http://").rpartition(":")
    held = []

    def connect(address):
        held.append(socket.create_connection(address, timeout=30))
        return held[-1]

    try:
        request = associate_rq(crowded)
        for _ in range(1000):
            connect((crowded.host, crowded.port)).sendall(request)
        for connection in held:
            assert connection.recv(1) == b"\x02"
        for _ in range(1000):
            connect((crowded.host, crowded.port))
        for _ in range(200):
            connect((host, int(port)))
        dicom = Dribble([connect((crowded.host, crowded.port)) for _ in range(20)], request)
        web = Dribble([connect((host, int(port))) for _ in range(20)], b"GET /dicom-web/studies HTTP/1.1\r\nHost: x\r\nX-Dribble: " + b"x" * 1000)
        dicom.start()
        web.start()
        time.sleep(2)
        data_set = make.instance()
        file = tmp_path / "file.dcm"
        file.write_bytes(make.part10(data_set))
        started = time.monotonic()
        # Not by pynetdicom in this process: it cannot watch so many files.
        dcmtk("storescu", crowded, "--", file)
        assert time.monotonic() - started < 5
        started = time.monotonic()
        with crowded.client() as client:
            answer = client.get("/instances", params={"SOPInstanceUID": data_set.SOPInstanceUID})
        assert answer.status_code == 200 and len(answer.json()) == 1
        assert time.monotonic() - started < 5
        assert len(list(Path(f"/proc/{crowded.pid}/fd").iterdir())) > 2000
        # A request's header may not take for ever, however steadily it comes.
        eventually(lambda: web.ended == 20, seconds=30)
        dicom.over.set()
        web.over.set()
    finally:
        for connection in held:
            connection.close()


def test_web_connections_beyond_the_limit_wait_for_a_place(tmp_path):
    """Silent ones lose theirs when the time for a header is over."""
    archive = Archive(tmp_path / "archive", config="[http]\nconnections_max = 4\nheader_timeout_seconds = 2\n").start()
    host, _, port = archive.http.removeprefix("http://").rpartition(":")
    held = [socket.create_connection((host, int(port))) for _ in range(4)]
    try:
        with archive.client() as client:
            started = time.monotonic()
            assert client.get("/studies").status_code in (200, 204)
            assert 0.5 < time.monotonic() - started < 15
    finally:
        for connection in held:
            connection.close()
        archive.close()


def test_a_slow_reader_does_not_stop_others(shared):
    """One peer asks for much and does not read; another is served meanwhile."""
    data_sets = make.study(40, edge=256, PatientID="SLOWREADER")
    shared.store(*data_sets)
    contexts = context(1, STUDY_GET.encode()) + context(3, make.CT.encode(), (b"1.2.840.10008.1.2.1",))
    role = make.CT.encode()
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.1") + item(0x54, struct.pack(">H", len(role)) + role + b"\1\1")
    with Raw(shared) as raw:
        assert raw.send(associate_rq(shared, contexts=contexts, user=user)).read()[0] == 2
        sop_class = STUDY_GET.encode() + b"\0" * (len(STUDY_GET) % 2)

        def element(number, value):
            return struct.pack("<HHI", 0, number, len(value)) + value

        body = element(2, sop_class) + element(0x100, b"\x10\0") + element(0x110, b"\1\0") + element(0x700, b"\0\0") + element(0x800, b"\0\0")
        study = data_sets[0].StudyInstanceUID.encode()
        study += b"\0" * (len(study) % 2)
        query = struct.pack("<HHI", 0x0008, 0x0052, 6) + b"STUDY " + struct.pack("<HHI", 0x0020, 0x000D, len(study)) + study
        raw.send(pdv_bytes(element(0, struct.pack("<I", len(body))) + body, 1, True, True) + pdv_bytes(query, 1, False, True))
        time.sleep(1)
        before = shared.resident_mib()
        results = []
        threads = [threading.Thread(target=lambda: results.append(shared.store(make.instance()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert results == [[0]] * 4
        assert shared.resident_mib() - before < 100
