"""The audit trail: who did what is recorded, found, verified, and reaches collectors."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import socket
import sqlite3
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import httpx
import pytest

import dimse
import gantry
import make
from conftest import eventually
from gantry import Archive
from test_identity import Site, basic
from web import stow

PLAIN = "[encryption]\nenabled = false\n"


def audit(archive, *arguments: str, **options):
    command, *rest = arguments
    return gantry.run("audit", command, "--config", archive.config_file, "--data", archive.data, *rest, **options)


def events(archive, *arguments: str) -> list[dict]:
    """Events as the command lists them, the oldest first."""
    lines = audit(archive, "list", "--json", "--limit", "10000", *arguments).stdout.splitlines()
    return [json.loads(line) for line in reversed(lines)]


def kinds(found: list[dict]) -> list[str]:
    return [event["kind"] for event in found]


def frame(archive, one) -> None:
    path = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}/frames/1"
    with archive.client() as client:
        assert client.get(path).status_code == 200


# ---- what is recorded -----------------------------------------------------------------------


def test_start_and_stop_are_recorded(tmp_path):
    archive = Archive(tmp_path / "archive").start()
    archive.restart()
    archive.terminate()
    activity = [kind for kind in kinds(events(archive)) if kind.startswith("application")]
    assert activity == ["application-started", "application-stopped"] * 2


def test_storing_and_viewing_are_recorded_once_a_study_with_the_patient(archive):
    study = make.study(12)
    first = study[0]
    assert set(archive.store(*study)) == {0}
    for one in study:
        frame(archive, one)
    recorded = events(archive, "--study", first.StudyInstanceUID)
    assert set(kinds(recorded)) == {"received", "viewed"}, recorded
    received, viewed = recorded[0], next(event for event in recorded if event["kind"] == "viewed")
    assert received["kind"] == "received"
    assert received["actor"]["calling_ae"] == "INTEROP" and received["actor"]["door"] == "dimse"
    assert received["patient"]["id"] == first.PatientID
    assert viewed["actor"]["door"] == "http" and viewed["actor"]["address"] == "127.0.0.1"
    archive.terminate()
    # What was only counted is told when the server stops.
    recorded = events(archive, "--study", first.StudyInstanceUID)
    stored = sum(study["instances"] for event in recorded if event["kind"] == "received" for study in event["studies"])
    assert stored == 12
    accesses = sum(event.get("summary", {}).get("accesses", 1) for event in recorded if event["kind"] == "viewed")
    assert accesses >= 12
    assert len([kind for kind in kinds(recorded) if kind == "viewed"]) <= 3, "not an event for each frame"


def test_queries_and_deletions_are_recorded(archive):
    one = make.instance()
    archive.store(one)
    dimse.find(archive, dimse.identifier("STUDY", PatientID=one.PatientID, StudyInstanceUID=""))
    with archive.client() as client:
        client.get("/studies", params={"PatientID": one.PatientID})
        assert client.delete(f"/studies/{one.StudyInstanceUID}").status_code == 204
    found = events(archive)
    queries = [event for event in found if event["kind"] == "queried"]
    assert {event["actor"]["door"] for event in queries} == {"dimse", "http"}
    assert any("study-deleted" == event["kind"] and event["studies"][0]["uid"] == one.StudyInstanceUID for event in found)


def test_no_patient_s_name_is_in_the_trail(tmp_path):
    archive = Archive(tmp_path / "archive", config=PLAIN).start()
    one = make.instance(PatientName="UNMISTAKABLE^NAME")
    archive.store(one)
    frame(archive, one)
    archive.terminate()
    for file in archive.data.glob("audit*"):
        assert b"UNMISTAKABLE" not in file.read_bytes(), file


def test_the_trail_is_encrypted_like_the_rest(archive):
    one = make.instance(PatientID="UNMISTAKABLE")
    archive.store(one)
    archive.terminate()
    for file in archive.data.glob("audit*"):
        assert b"UNMISTAKABLE" not in file.read_bytes(), file
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert events(archive, "--patient", "UNMISTAKABLE")


# ---- verification ---------------------------------------------------------------------------


def test_the_trail_is_verified_while_the_server_runs_and_after_a_kill(archive):
    archive.store(*make.study(5))
    done = audit(archive, "verify")
    assert ", 0 problems" in done.stdout
    head = next(line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith("head"))
    archive.kill()
    archive.start()
    archive.store(make.instance())
    found = json.loads(audit(archive, "verify", "--json", "--head", head).stdout)
    assert found["is_sound"] and found["is_keyed"], found
    answer = httpx.get(f"{archive.http}/api/audit/verify", params={"head": head}, timeout=60).json()
    assert answer["is_sound"], answer


@pytest.mark.parametrize(
    "statement, told",
    [
        ("UPDATE event SET event = replace(event, 'INTEROP', 'NOBODY') WHERE sequence = 3", "event 3 was changed"),
        ("DELETE FROM event WHERE sequence = 2", "event 2 was deleted"),
        ("DELETE FROM event WHERE sequence > 2", "were cut off the end"),
        ("UPDATE event SET person = 'somebody' WHERE sequence = 1", "its person was changed"),
    ],
)
def test_tampering_is_found(tmp_path, statement, told):
    archive = Archive(tmp_path / "archive", config=PLAIN).start()
    for _ in range(4):
        archive.store(make.instance())
    archive.terminate()
    with sqlite3.connect(archive.data / "audit.sqlite") as database:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
        for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)
    done = audit(archive, "verify", check=False)
    assert done.returncode == 1
    assert told in done.stdout, done.stdout
    assert "was removed" in done.stdout, "the triggers"
    assert "no key" in done.stdout


# ---- reading --------------------------------------------------------------------------------


def test_pages_filters_and_forms(archive):
    one = make.instance()
    archive.store(one)
    frame(archive, one)
    with httpx.Client(base_url=archive.http, timeout=60) as client:
        first = client.get("/api/audit", params={"limit": 1}).json()
        assert len(first["events"]) == 1 and first["before"]
        second = client.get("/api/audit", params={"limit": 1, "before": first["before"]}).json()
        assert second["events"][0]["sequence"] == first["events"][0]["sequence"] - 1
        only = client.get("/api/audit", params={"study": one.StudyInstanceUID, "kind": "viewed"}).json()["events"]
        assert kinds(only) == ["viewed"] and only[0]["message"] == "DICOM Instances Accessed"
        for wrong in ({"kind": "nonsense"}, {"patient_id": one.PatientID}, {"from": "yesterday"}):
            assert client.get("/api/audit", params=wrong).status_code == 400
        searched = client.post("/api/audit/search", json={"patient_id": one.PatientID}).json()["events"]
        assert {"received", "viewed"} <= set(kinds(searched))
        # That it was read is there too, with the patient in a field of its own.
        read = client.post("/api/audit/search", json={"patient_id": one.PatientID, "kinds": ["audit-read"]}).json()
        assert read["events"][0]["question"]["of"] == "/api/audit/search"
        answer = client.get("/api/audit", headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert {"received", "viewed", "audit-exported"} <= {row["kind"] for row in rows}
        assert all(None not in row and None not in row.values() for row in rows)
        bundle = client.get("/api/audit", params={"limit": 2}, headers={"Accept": "application/fhir+json"}).json()
        assert bundle["resourceType"] == "Bundle" and len(bundle["entry"]) == 2
        assert bundle["entry"][0]["resource"]["resourceType"] == "AuditEvent"
        following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
        assert client.get(following, headers={"Accept": "application/fhir+json"}).status_code == 200
        report = client.post("/api/audit/patients/report", json={"patient_id": one.PatientID}).json()
        assert {line["kind"] for line in report["accesses"]} >= {"received", "viewed"}
        assert report["is_complete"]


def test_only_those_with_the_right_read_it(tmp_path):
    site = Site(tmp_path / "archive").start()
    try:
        site.administrator().close()
        site.add("rada", "radiologist")
        site.add("audra", "auditor")
        url = f"{site.http}/api/audit"
        assert httpx.get(url).status_code == 401
        for method, path in [("GET", ""), ("POST", "/search"), ("POST", "/patients/report"), ("GET", "/verify")]:
            body = {"patient_id": "1"} if path == "/patients/report" else None
            answer = httpx.request(method, url + path, headers=basic("rada"), json=body, timeout=60)
            assert answer.status_code == 403, (path, answer.text)
        found = httpx.get(url, headers=basic("audra"), params={"person": "rada"}, timeout=60)
        assert found.status_code == 200
        assert kinds(found.json()["events"]).count("refused") == 4
        # People, too, leave traces.
        everything = httpx.get(url, headers=basic("audra"), params={"limit": 1000}, timeout=60).json()["events"]
        assert {"user-added", "audit-read"} <= set(kinds(everything))
        httpx.get(f"{site.web}/studies", headers=basic("rada", "wrong"))
        failures = httpx.get(url, headers=basic("audra"), params={"failures": "true"}, timeout=60).json()["events"]
        assert "logged-in" in kinds(failures)
    finally:
        site.close()


def test_exports_of_the_command(archive, tmp_path):
    one = make.instance()
    archive.store(one)
    for format, check in [
        ("csv", lambda text: len(list(csv.DictReader(io.StringIO(text)))) > 0),
        ("json", lambda text: all(json.loads(line)["sequence"] for line in text.splitlines())),
        ("fhir", lambda text: all(json.loads(line)["resourceType"] == "AuditEvent" for line in text.splitlines())),
        ("dicom", lambda text: all(ElementTree.fromstring(line).tag == "AuditMessage" for line in text.splitlines())),
    ]:
        path = tmp_path / format
        audit(archive, "export", "--format", format, "--output", str(path))
        assert check(path.read_text()), format


# ---- collectors -----------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Rsyslog:
    """A real syslog receiver."""

    def __init__(self, folder: Path, port: int, inputs: str) -> None:
        self.folder = folder
        self.port = port
        self.file = folder / "received"
        (folder / "work").mkdir(exist_ok=True)
        self.config = folder / "rsyslog.conf"
        self.config.write_text(
            f'global(workDirectory="{folder}/work" maxMessageSize="256k")\n{inputs}\n'
            'template(name="all" type="string" string="%pri%|%msgid%|%structured-data%|%msg%\\n")\n'
            f'action(type="omfile" file="{self.file}" template="all")\n'
        )
        self.process: subprocess.Popen | None = None

    def start(self) -> "Rsyslog":
        self.process = subprocess.Popen(
            ["rsyslogd", "-n", "-f", str(self.config), "-i", str(self.folder / "pid")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        return self

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def messages(self) -> list[tuple[int, ElementTree.Element]]:
        """Number and audit message of everything that came."""
        found = []
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        for line in text.splitlines():
            priority, msgid, data, message = line.split("|", 3)
            assert msgid == "DICOM+RFC3881" and priority in ("84", "85"), line
            number = int(data.split('sequence="')[1].split('"')[0])
            found.append((number, ElementTree.fromstring(message.strip().lstrip("\ufeff"))))
        return found

    def numbers(self) -> set[int]:
        return {number for number, _ in self.messages()}


needs_rsyslog = pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed")


def certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")


def collector(port: int, transport: str, more: str = "") -> str:
    return f'[[audit.collector]]\nname = "siem"\nhost = "127.0.0.1"\nport = {port}\ntransport = "{transport}"\n{more}'


@needs_rsyslog
@pytest.mark.parametrize("driver", ["ossl", "gtls"])
def test_rsyslog_gets_everything_over_tls_though_it_was_down(tmp_path, driver):
    certificates(tmp_path)
    port = free_port()
    rsyslog = Rsyslog(
        tmp_path, port,
        f'global(defaultNetstreamDriver="{driver}" defaultNetstreamDriverCAFile="{tmp_path}/ca.pem" '
        f'defaultNetstreamDriverCertFile="{tmp_path}/server.pem" defaultNetstreamDriverKeyFile="{tmp_path}/server.key")\n'
        f'module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="anon")\n'
        f'input(type="imtcp" port="{port}" address="127.0.0.1")',
    )
    archive = Archive(tmp_path / "archive", config=collector(port, "tls", f'ca_file = "{tmp_path}/ca.pem"\n')).start()
    try:
        # Not there yet: what happens waits.
        one = make.instance()
        archive.store(one)
        rsyslog.start()
        eventually(lambda: {1, 2} <= rsyslog.numbers(), seconds=40)
        messages = dict(rsyslog.messages())
        ids = [message.find("EventIdentification/EventID").get("csd-code") for message in messages.values()]
        assert {"110100", "110104"} <= set(ids)
        received = next(message for message in messages.values() if message.find("EventIdentification/EventID").get("csd-code") == "110104")
        objects = {item.get("ParticipantObjectID"): item for item in received.findall("ParticipantObjectIdentification")}
        assert {str(one.StudyInstanceUID), one.PatientID} <= set(objects)
        # It goes away and comes back.
        rsyslog.stop()
        for _ in range(5):
            archive.store(make.instance())
        time.sleep(1)
        rsyslog.start()
        archive.store(make.instance())
        newest = max(event["sequence"] for event in events(archive))
        eventually(lambda: set(range(1, newest + 1)) <= rsyslog.numbers(), seconds=90)
        archive.terminate()
        stopped = max(event["sequence"] for event in events(archive, "--kind", "application-stopped"))
        eventually(lambda: stopped in rsyslog.numbers(), seconds=20)
    finally:
        archive.close()
        rsyslog.stop()


@needs_rsyslog
def test_rsyslog_gets_datagrams(tmp_path):
    port = free_port()
    rsyslog = Rsyslog(tmp_path, port, f'module(load="imudp")\ninput(type="imudp" port="{port}" address="127.0.0.1")').start()
    time.sleep(1)
    archive = Archive(tmp_path / "archive", config=collector(port, "udp")).start()
    try:
        archive.store(make.instance())
        dimse.find(archive, dimse.identifier("STUDY", PatientName="MÜLLER*", StudyInstanceUID=""))
        eventually(lambda: {1, 2, 3} <= rsyslog.numbers(), seconds=20)
        queries = [
            message.find("ParticipantObjectIdentification/ParticipantObjectQuery").text
            for _, message in rsyslog.messages()
            if message.find("EventIdentification/EventID").get("csd-code") == "110112"
        ]
        assert queries and all(base64.b64decode(query) for query in queries)
    finally:
        archive.close()
        rsyslog.stop()
