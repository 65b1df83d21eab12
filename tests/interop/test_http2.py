"""HTTP/2 without TLS: with prior knowledge (RFC 9113 3.3), by clients that we did not write."""

import json
import shutil
import subprocess
import time

import httpx
import pytest

import make
from web import DICOM, JSON, multipart, parts, stored, stow

STUDY_INSTANCES = 40
EDGE = 512


@pytest.fixture
def client(shared):
    with httpx.Client(base_url=shared.web, http1=False, http2=True, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def study(shared):
    """About 20 MB."""
    study = make.study(STUDY_INSTANCES, edge=EDGE)
    with shared.client() as client:
        assert stow(client, [make.part10(one) for one in study]).status_code == 200
    return study


def test_search_store_and_retrieve(client):
    study = make.study(3, edge=256)
    answer = stow(client, [make.part10(one) for one in study])
    assert answer.http_version == "HTTP/2" and answer.status_code == 200
    assert len(stored(answer)) == 3
    found = client.get("/studies", params={"StudyInstanceUID": study[0].StudyInstanceUID}, headers={"Accept": JSON})
    assert found.http_version == "HTTP/2" and len(found.json()) == 1
    got = client.get(f"/studies/{study[0].StudyInstanceUID}", headers={"Accept": f'multipart/related; type="{DICOM}"'})
    assert got.http_version == "HTTP/2" and len(parts(got)) == 3
    head = client.head(f"/studies/{study[0].StudyInstanceUID}/metadata", headers={"Accept": JSON})
    assert head.status_code == 200 and head.content == b""
    assert client.put("/studies").status_code == 405


def test_a_large_upload_and_the_same_back(client):
    """More than the windows of stream and connection."""
    one = make.instance(edge=2048)
    one.PixelData = bytes(range(256)) * (2048 * 2048 * 2 // 256)
    files = [make.part10(one)] + [make.part10(make.instance(edge=1024)) for _ in range(6)]
    answer = stow(client, files)
    assert answer.status_code == 200 and len(stored(answer)) == 7
    where = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}/bulkdata/7FE00010"
    assert client.get(where, headers={"Accept": "application/octet-stream"}).content == one.PixelData


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
@pytest.mark.parametrize("option", ["--http2-prior-knowledge", "--http2"])
def test_curl(shared, study, tmp_path, option):
    """`--http2` asks for an upgrade (RFC 7540 3.2, withdrawn by RFC 9113): it is answered as HTTP/1.1."""
    version = "2" if option == "--http2-prior-knowledge" else "1.1"

    def curl(*arguments):
        done = subprocess.run(["curl", "-sS", option, "-w", "%{stderr}%{http_version} %{http_code}", *arguments], capture_output=True, timeout=120, check=True)
        assert done.stderr.decode() == f"{version} 200", done.stderr
        return done.stdout

    uid = study[0].StudyInstanceUID
    assert len(json.loads(curl(f"{shared.web}/studies?StudyInstanceUID={uid}", "-H", f"Accept: {JSON}"))) == 1
    assert len(json.loads(curl(f"{shared.web}/studies/{uid}/metadata", "-H", f"Accept: {JSON}", "--compressed"))) == STUDY_INSTANCES
    assert len(curl(f"{shared.web}/studies/{uid}")) > STUDY_INSTANCES * EDGE * EDGE * 2
    one = make.instance(edge=1024)
    body = tmp_path / "body"
    body.write_bytes(multipart([({"Content-Type": DICOM}, make.part10(one))]))
    answer = curl(f"{shared.web}/studies", "-H", f'Content-Type: multipart/related; type="{DICOM}"; boundary=gantry-interop-boundary', "-H", f"Accept: {JSON}", "--data-binary", f"@{body}")
    assert one.SOPInstanceUID in answer.decode()


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_a_study_is_not_much_slower_than_over_http_1(shared, study):
    def seconds(option: str) -> float:
        started = time.perf_counter()
        subprocess.run(["curl", "-sS", option, "-o", "/dev/null", f"{shared.web}/studies/{study[0].StudyInstanceUID}"], check=True, timeout=120)
        return time.perf_counter() - started

    for option in ("--http1.1", "--http2-prior-knowledge"):
        seconds(option)
    one = min(seconds("--http1.1") for _ in range(5))
    two = min(seconds("--http2-prior-knowledge") for _ in range(5))
    # A process start and noise are in both.
    assert two < one * 1.3 + 0.05, f"{one:.3f} s over HTTP/1.1, {two:.3f} s over HTTP/2"


def test_many_streams_of_one_connection(shared, study):
    """A client that reads one answer slowly does not stop the others."""
    import asyncio

    async def run() -> list[int]:
        async with httpx.AsyncClient(base_url=shared.web, http1=False, http2=True, timeout=60) as client:
            async with client.stream("GET", f"/studies/{study[0].StudyInstanceUID}") as slow:
                await anext(slow.aiter_raw())
                frames = [
                    client.get(f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}/frames/1")
                    for one in study[:8]
                ]
                return [answer.status_code for answer in await asyncio.gather(*frames)]

    assert asyncio.run(run()) == [200] * 8
