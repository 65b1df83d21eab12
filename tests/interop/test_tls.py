"""TLS on both doors and on associations that the archive opens: dcmtk, pynetdicom, httpx and
dicomweb-client, with certificates of `gantry cert`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import CTImageStorage as CT
from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as COMMITMENT_INSTANCE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as MOVE
from pynetdicom.sop_class import Verification

import make
from conftest import eventually
from dcmtk import dcmtk
from gantry import BINARY, Archive, run
from web import stored, stow

HOST = "127.0.0.1"


class Site:
    """An authority, and certificates that it has issued."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        run("cert", "--data", self.data, "init", *options)
        self.ca = self.data / "tls" / "ca.pem"

    def issue(self, name: str, *options: str) -> "Identity":
        out = self.folder / name
        run("cert", "--data", self.data, "issue", "--ae", name, "--out", out, *options)
        return Identity(name, out / f"{name}.pem", out / f"{name}.key", out / "ca.pem")


class Identity:
    def __init__(self, name: str, certificate: Path, key: Path, ca: Path) -> None:
        self.name, self.certificate, self.key, self.ca = name, certificate, key, ca

    @property
    def fingerprint(self) -> str:
        return json.loads(run("cert", "show", "--json", self.certificate).stdout)["fingerprint"]

    def client_context(self, ca: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(ca or self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return context

    def server_context(self) -> ssl.SSLContext:
        """One that wants a certificate of whoever connects."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


class SecureArchive(Archive):
    """An archive that listens with TLS as well."""

    def __init__(self, site: Site, *, plain: str = f"{HOST}:0", config: str = "") -> None:
        super().__init__(site.data, config=config)
        self.site, self.plain = site, plain

    def start(self, *arguments: str, seconds: float = 60) -> "SecureArchive":
        command = [str(BINARY), "serve", "--config", str(self.config_file), "--data", str(self.data), *getattr(self, "mode", [])]
        for option, address in (("--http", self.plain), ("--dicom", self.plain), ("--https", f"{HOST}:0"), ("--dicom-tls", f"{HOST}:0")):
            command += [option, address]
        log = open(self.log_file, "ab")
        self.process = subprocess.Popen(command + list(arguments), stdout=subprocess.PIPE, stderr=log, env=os.environ | {"RUST_BACKTRACE": "0"})
        self.ready = self.ready_line(seconds)
        pairs = dict(re.findall(r"(\w+)=(\S+)", self.ready))
        assert "ae" in pairs, f"no ready line but {self.ready!r}; log: {self.log()[-3000:]}"
        self.ae_title = pairs["ae"]
        if "dicom" in pairs:
            self.host, self.port = HOST, int(pairs["dicom"].rpartition(":")[2])
        self.https_port = int(pairs["https"].rpartition(":")[2])
        self.dicom_tls_port = int(pairs["dicom_tls"].rpartition(":")[2])
        self.https = f"https://{HOST}:{self.https_port}"
        return self

    def secure_client(self, **options) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.site.ca))
        return httpx.Client(base_url=f"{self.https}/dicom-web", verify=context, timeout=60, **options)

    def dcmtk(self, tool: str, who: Identity | None, *arguments, ca: Path | None = None, title: str | None = None, check: bool = True):
        """Runs a program over TLS; without an identity it shows no certificate."""
        show = ["+tls", str(who.key), str(who.certificate)] if who else ["+tla"]
        title = title or (who.name if who else "NOBODY")
        before, after = list(map(str, arguments)), []
        if "--" in before:
            at = before.index("--")
            before, after = before[:at], before[at + 1 :]
        command = [tool, "-v", "-aet", title, "-aec", self.ae_title, *show, "+cf", str(ca or self.site.ca), *before, HOST, str(self.dicom_tls_port), *after]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, env=os.environ | {"TCP_NODELAY": "1"})
        if check:
            assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def associate_securely(self, who: Identity, contexts, **options):
        ae = AE(ae_title=options.pop("title", who.name))
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
        tls = (who.client_context(self.site.ca), HOST)
        return ae.associate(HOST, self.dicom_tls_port, contexts=contexts, ae_title=self.ae_title, tls_args=tls, **options)

    def served_fingerprint(self) -> str:
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((HOST, self.https_port)))
        return "sha256:" + hashlib.sha256(der).hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"), "--name", "pacs.test")


@pytest.fixture(scope="module")
def ct1(site):
    return site.issue("CT1", "--name", "localhost", "--name", HOST)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """With a certificate of another authority."""
    return Site(tmp_path_factory.mktemp("other")).issue("CT1")


@pytest.fixture(scope="module")
def archive(site):
    archive = SecureArchive(site)
    archive.start()
    yield archive
    archive.close()


def write(folder: Path, *data_sets) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = []
    for index, data_set in enumerate(data_sets):
        file = folder / f"{index}.dcm"
        file.write_bytes(make.part10(data_set))
        files.append(file)
    return files


# ---- files -------------------------------------------------------------------------------------


def test_keys_are_readable_by_their_owner_alone(site, ct1):
    keys = [site.data / "tls" / "ca.key", site.data / "tls" / "server.key", ct1.key]
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600] * 3


def test_openssl_verifies_what_is_issued(site, ct1):
    for certificate in (ct1.certificate, site.data / "tls" / "server.pem"):
        done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", site.ca, certificate], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_authority_is_not_made_twice(site):
    assert run("cert", "--data", site.data, "init", check=False).returncode == 1


# ---- dcmtk -------------------------------------------------------------------------------------


def test_dcmtk_over_mutual_tls(archive, ct1, tmp_path):
    study = make.study(3)
    files = write(tmp_path / "in", *study)
    archive.dcmtk("echoscu", ct1)
    archive.dcmtk("storescu", ct1, "--", *files)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study[0].StudyInstanceUID}")
    found = archive.dcmtk("findscu", ct1, "-S", *keys)
    assert study[0].StudyInstanceUID in found.stdout + found.stderr
    # (dcmtk's getscu knows no TLS in the version that distributions have.)


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_dcmtk_s_profiles(archive, ct1, profile):
    """BCP 195 without downgrading, BCP 195, and the extended profile."""
    archive.dcmtk("echoscu", ct1, profile)


def test_rsa_certificates_serve_as_well(tmp_path):
    site = Site(tmp_path, "--rsa", "--name", "pacs.test")
    archive = SecureArchive(site)
    archive.start()
    try:
        archive.dcmtk("echoscu", site.issue("CT1"))
    finally:
        archive.close()


def test_without_a_certificate_or_with_a_foreign_one_there_is_no_association(archive, stranger):
    assert archive.dcmtk("echoscu", None, "-ic", check=False).returncode != 0
    assert archive.dcmtk("echoscu", stranger, check=False).returncode != 0


def test_a_client_that_trusts_another_authority_goes_away(archive, ct1, stranger):
    assert archive.dcmtk("echoscu", ct1, ca=stranger.ca, check=False).returncode != 0


def test_plain_dicom_on_the_port_of_tls_gets_nothing(archive):
    command = ["echoscu", "-to", "5", "-ta", "5", HOST, str(archive.dicom_tls_port)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode != 0


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.parametrize("door", ["https_port", "dicom_tls_port"])
def test_only_tls_1_2_and_1_3(archive, ct1, version, is_taken, door):
    context = ct1.client_context(archive.site.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    try:
        with socket.create_connection((HOST, getattr(archive, door)), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname=HOST) as secure:
                agreed = secure.version(), secure.cipher()[0]
    except ssl.SSLError as error:
        assert not is_taken, error
    else:
        assert is_taken and agreed[0] == version.replace("_", "."), agreed
        assert "GCM" in agreed[1] or "CHACHA20" in agreed[1]


@pytest.mark.parametrize("ciphers", ["kRSA", "CBC:!AEAD", "DHE:!ECDHE", "aNULL:@SECLEVEL=0"])
def test_what_is_weak_is_not_agreed_on(archive, ct1, ciphers):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{HOST}:{archive.https_port}", "-tls1_2", "-cipher", ciphers],
        input="", capture_output=True, text=True, timeout=30,
    )
    assert "Cipher is (NONE)" in done.stdout or done.returncode != 0, done.stdout


# ---- peers that are bound to certificates --------------------------------------------------------


def test_a_title_is_bound_to_its_certificate(archive, ct1, tmp_path):
    other = archive.site.issue("CT2")
    archive.config_file.write_text(
        archive.config_file.read_text() + f'\n[[peer]]\nae_title = "CT1"\nhost = "{HOST}"\nport = 1\ncertificate = "{ct1.fingerprint}"\n'
        f'[[peer]]\nae_title = "CT2"\nhost = "{HOST}"\nport = 1\ncertificate = "CN=CT2"\n'
    )
    try:
        eventually(lambda: "peers re-read" in archive.log())
        archive.dcmtk("echoscu", ct1)
        archive.dcmtk("echoscu", other)
        for who, title in ((other, "CT1"), (ct1, "CT2")):
            refused = archive.dcmtk("echoscu", who, title=title, check=False)
            assert "Calling AE Title Not Recognized" in refused.stdout + refused.stderr
        # Over plain DICOM there is no certificate at all.
        refused = dcmtk("echoscu", archive, "-aet", "CT1", check=False)
        assert "Calling AE Title Not Recognized" in refused.stdout + refused.stderr
    finally:
        archive.write_config()
        time.sleep(3)


# ---- associations that the archive opens -----------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@pytest.fixture
def with_peers(archive):
    """Adds peers to the configuration of the running archive."""

    def add(text: str) -> None:
        before = archive.log().count("peers re-read")
        archive.config_file.write_text(archive.config_file.read_text() + text)
        eventually(lambda: archive.log().count("peers re-read") > before)

    yield add
    archive.write_config()


def move(archive, who: Identity, study, destination: str) -> pydicom.Dataset:
    """C-MOVE over TLS; gives the last response."""
    association = archive.associate_securely(who, [build_context(MOVE)])
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study[0].StudyInstanceUID
    last = [status for status, _ in association.send_c_move(query, destination, MOVE)][-1]
    association.release()
    return last


def test_c_move_to_storescp_over_mutual_tls(archive, ct1, with_peers, tmp_path):
    station = archive.site.issue("STATION", "--name", HOST)
    port, out = free_port(), tmp_path / "received"
    out.mkdir()
    command = ["storescp", "-v", "-aet", "STATION", "+tls", str(station.key), str(station.certificate), "+cf", str(station.ca), "+B", "+xa", "-od", str(out), str(port)]
    scp = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        entry = f'\n[[peer]]\nae_title = "{{}}"\nhost = "{HOST}"\nport = {port}\ntls = true\ncertificate = "{{}}"\n'
        with_peers(entry.format("STATION", station.fingerprint) + entry.format("IMPOSTOR", ct1.fingerprint))
        study = make.study(4)
        archive.dcmtk("storescu", ct1, "--", *write(tmp_path / "in", *study))
        # (dcmtk's movescu knows no TLS in the version that distributions have.)
        assert move(archive, ct1, study, "STATION").Status == 0
        got = {pydicom.dcmread(file).SOPInstanceUID for file in out.iterdir()}
        assert got == {one.SOPInstanceUID for one in study}
        # The same listener under a name that is bound to another certificate.
        refused = move(archive, ct1, study, "IMPOSTOR")
        assert refused.Status != 0 and refused.NumberOfFailedSuboperations == 4
        assert len(list(out.iterdir())) == 4
    finally:
        scp.terminate()
        scp.wait()


def test_commitment_is_reported_over_mutual_tls(archive, with_peers):
    modality = archive.site.issue("MODALITY", "--name", HOST)
    reports, arrived = [], threading.Event()

    def on_report(event):
        reports.append(event.event_information)
        arrived.set()
        return 0x0000, None

    listener = AE(ae_title="MODALITY")
    listener.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = listener.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)], ssl_context=modality.server_context())
    try:
        port = server.socket.getsockname()[1]
        with_peers(f'\n[[peer]]\nae_title = "MODALITY"\nhost = "{HOST}"\nport = {port}\ntls = true\n')
        one = make.instance()
        association = archive.associate_securely(modality, [build_context(CT, one.file_meta.TransferSyntaxUID), build_context(COMMITMENT)],
                                                 ext_neg=[build_role(COMMITMENT, scu_role=True)])
        assert association.is_established
        assert association.send_c_store(one).Status == 0
        asked = pydicom.Dataset()
        asked.TransactionUID = make.uid()
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
        asked.ReferencedSOPSequence = [item]
        status, _ = association.send_n_action(asked, 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert status.Status == 0
        association.release()
        assert arrived.wait(30)
        assert reports[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    finally:
        server.shutdown()


def test_our_own_scu(archive, ct1, stranger, tmp_path):
    peer = f"{archive.ae_title}@{HOST}:{archive.dicom_tls_port}"
    named = ("--tls", "--ca", ct1.ca, "--cert", ct1.certificate, "--cert-key", ct1.key)
    run("echo", peer, *named)
    [file] = write(tmp_path / "in", make.instance())
    run("send", peer, file, *named)
    assert run("echo", peer, *named[:-4], check=False).returncode == 1
    foreign = ("--tls", "--ca", stranger.ca, "--cert", ct1.certificate, "--cert-key", ct1.key)
    assert run("echo", peer, *foreign, check=False).returncode == 1
    pinned = json.loads(run("cert", "show", "--json", archive.data / "tls" / "server.pem").stdout)["fingerprint"]
    run("echo", peer, *foreign, "--peer-certificate", pinned)
    assert run("echo", peer, *foreign, "--peer-certificate", ct1.fingerprint, check=False).returncode == 1


# ---- pynetdicom ----------------------------------------------------------------------------------


def test_pynetdicom_over_mutual_tls(archive, ct1):
    study = make.study(20, edge=256)
    association = archive.associate_securely(ct1, [build_context(CT, study[0].file_meta.TransferSyntaxUID), build_context(FIND)])
    assert association.is_established
    assert [association.send_c_store(one).Status for one in study] == [0] * 20
    query = pydicom.Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = study[0].StudyInstanceUID
    query.NumberOfStudyRelatedInstances = ""
    matches = [identifier for status, identifier in association.send_c_find(query, FIND) if identifier]
    assert int(matches[0].NumberOfStudyRelatedInstances) == 20
    association.release()
    got = []

    def on_store(event):
        got.append(event.dataset.SOPInstanceUID)
        return 0x0000

    contexts = [build_context(CT, study[0].file_meta.TransferSyntaxUID), build_context(GET)]
    association = archive.associate_securely(ct1, contexts, ext_neg=[build_role(CT, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, on_store)])
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study[0].StudyInstanceUID
    assert [status.Status for status, _ in association.send_c_get(query, GET)][-1] == 0
    association.release()
    assert sorted(got) == sorted(one.SOPInstanceUID for one in study)


# ---- HTTPS ---------------------------------------------------------------------------------------


def test_httpx_with_http_2(archive):
    study = make.study(3, edge=256)
    with archive.secure_client(http2=True) as client:
        answer = stow(client, [make.part10(one) for one in study])
        assert answer.http_version == "HTTP/2" and answer.status_code == 200, answer.text
        assert len(stored(answer)) == 3
        # URLs in answers lead back over HTTPS.
        assert f'"{archive.https}/' in answer.text
        pages = client.get(f"{archive.https}/")
    assert pages.status_code == 200
    policy = pages.headers["content-security-policy"]
    assert "unsafe" not in policy and "frame-ancestors" in policy
    expected = {
        "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin", "strict-transport-security": "max-age=31536000",
    }
    assert {name: pages.headers.get(name) for name in expected} == expected
    assert "camera=()" in pages.headers["permissions-policy"]


def test_dicomweb_client(archive):
    data_set = make.instance()
    session = requests.Session()
    session.trust_env, session.verify = False, str(archive.site.ca)
    client = DICOMwebClient(f"{archive.https}/dicom-web", session=session)
    client.store_instances([data_set])
    [found] = client.search_for_studies(search_filters={"StudyInstanceUID": data_set.StudyInstanceUID})
    assert found["0020000D"]["Value"] == [data_set.StudyInstanceUID]


def test_the_server_is_not_trusted_without_its_authority(archive):
    with pytest.raises(httpx.ConnectError):
        httpx.get(archive.https)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(archive):
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", archive.site.ca, "-w", "%{http_version}", f"{archive.https}/livez"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "ok\n2", done.stdout + done.stderr


# ---- certificates that change -------------------------------------------------------------------


def test_a_renewed_certificate_is_served_and_open_connections_stay(archive, ct1):
    association = archive.associate_securely(ct1, [build_context(Verification)])
    with archive.secure_client() as client:
        assert client.get(f"{archive.https}/livez").status_code == 200
        before = archive.served_fingerprint()
        run("cert", "--data", archive.data, "renew")
        eventually(lambda: archive.served_fingerprint() != before)
        assert association.send_c_echo().Status == 0
        stream = client.get(f"{archive.https}/livez").extensions["network_stream"]
        assert stream is not None
    association.release()
    archive.dcmtk("echoscu", ct1)


def test_a_broken_certificate_changes_nothing_but_the_log(archive, ct1):
    file = archive.data / "tls" / "server.pem"
    good = file.read_bytes()
    before = archive.served_fingerprint()
    try:
        file.write_text("nonsense")
        eventually(lambda: "TLS certificates stay as they were" in archive.log())
        assert archive.served_fingerprint() == before
        archive.dcmtk("echoscu", ct1)
    finally:
        file.write_bytes(good)
        time.sleep(3)


def test_what_is_revoked_is_not_let_in(archive, ct1):
    lost = archive.site.issue("LOST")
    archive.dcmtk("echoscu", lost)
    run("cert", "--data", archive.data, "revoke", "LOST")
    eventually(lambda: archive.dcmtk("echoscu", lost, check=False).returncode != 0)
    archive.dcmtk("echoscu", ct1)
    listed = run("cert", "--data", archive.data, "list").stdout
    assert re.search(r"CN=LOST.*revoked", listed) and re.search(r"CN=CT1.*days left", listed)


def test_the_authority_and_its_revocation_list_are_public(archive, tmp_path):
    with archive.secure_client() as client:
        assert client.get(f"{archive.https}/tls/ca.pem").content == archive.site.ca.read_bytes()
        answer = client.get(f"{archive.https}/tls/ca.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    file = tmp_path / "ca.crl"
    file.write_bytes(answer.content)
    done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", file, "-CAfile", archive.site.ca, "-noout", "-text"], capture_output=True, text=True)
    assert done.returncode == 0 and "verify OK" in done.stderr, done.stderr
    server = subprocess.run(["openssl", "x509", "-in", archive.data / "tls" / "server.pem", "-noout", "-text"], capture_output=True, text=True).stdout
    assert "/tls/ca.crl" in server


# ---- those who say nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], ids=["nothing", "half a ClientHello"])
def test_stalled_handshakes_do_not_stop_a_store(archive, ct1, tmp_path, says):
    [file] = write(tmp_path / "in", make.instance())
    stalled = []
    try:
        for port in (archive.dicom_tls_port, archive.https_port):
            for _ in range(200):
                connection = socket.create_connection((HOST, port), timeout=10)
                connection.sendall(says)
                stalled.append(connection)
        started = time.monotonic()
        archive.dcmtk("storescu", ct1, "--", file)
        with archive.secure_client(http2=True) as client:
            assert stow(client, [make.part10(make.instance())]).status_code == 200
        assert time.monotonic() - started < 8
        # And they are not kept for ever.
        stalled[0].settimeout(30)
        try:
            assert stalled[0].recv(1) == b""
        except ConnectionResetError:
            pass
    finally:
        for connection in stalled:
            connection.close()


# ---- TLS alone -----------------------------------------------------------------------------------


def test_plain_listeners_can_be_switched_off(tmp_path):
    site = Site(tmp_path, "--name", "pacs.test")
    ct1 = site.issue("CT1")
    archive = SecureArchive(site, plain="off")
    archive.start()
    try:
        assert "http=" not in archive.ready and "dicom=" not in archive.ready
        archive.dcmtk("echoscu", ct1)
        with archive.secure_client() as client:
            assert client.get(f"{archive.https}/livez").status_code == 200
        # Commands find the server by its HTTPS address then.
        assert json.loads(run("stats", "--data", archive.data, "--json").stdout)
    finally:
        archive.close()
