"""Retrieve metadata: content codings, entity tags, and what is kept for the second request."""

import gzip

import httpx
import pytest

import make
from gantry import Archive
from web import JSON, XML, parts, stored, stow

COUNT = 120


def store(archive, study):
    with archive.client() as client:
        answer = stow(client, [make.part10(one) for one in study])
        assert answer.status_code == 200 and len(stored(answer)) == len(study)


@pytest.fixture(scope="module")
def study(shared):
    """Long enough that its metadata are kept."""
    study = make.study(COUNT, ImageComments="a comment that is the same in each instance " * 4)
    store(shared, study)
    return study


@pytest.fixture
def client(shared):
    with shared.client() as client:
        yield client


def raw(client, where, **headers):
    """An answer with its bytes as they came."""
    with client.stream("GET", where, headers={"Accept": JSON} | headers) as answer:
        answer.coded = b"".join(answer.iter_raw())
        return answer


def where(study):
    return f"/studies/{study[0].StudyInstanceUID}/metadata"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity"])
def test_each_coding_has_a_strong_tag_of_its_own(client, study, coding):
    plain = raw(client, where(study), **{"Accept-Encoding": "identity"})
    first, second = (raw(client, where(study), **{"Accept-Encoding": coding}) for _ in range(2))
    tag = first.headers["etag"]
    assert not tag.startswith("W/") and (tag == plain.headers["etag"]) == (coding == "identity")
    assert first.headers.get("content-encoding", "identity") == coding
    assert "accept-encoding" in first.headers["vary"].lower()
    # Strong: the same bytes, whether they were made or kept.
    assert first.coded == second.coded and second.headers["etag"] == tag
    assert second.headers["content-length"] == str(len(second.coded))
    if coding == "gzip":
        assert gzip.decompress(first.coded) == plain.coded
        assert len(first.coded) < len(plain.coded) / 4


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity"])
def test_a_known_tag_is_304_for_its_coding_only(client, study, coding):
    headers = {"Accept": JSON, "Accept-Encoding": coding}
    tag = client.head(where(study), headers=headers).headers["etag"]
    answer = client.get(where(study), headers=headers | {"If-None-Match": tag})
    assert answer.status_code == 304 and answer.content == b"" and answer.headers["etag"] == tag
    assert "accept-encoding" in answer.headers["vary"].lower()
    other = "identity" if coding != "identity" else "gzip"
    answer = client.get(where(study), headers=headers | {"If-None-Match": tag, "Accept-Encoding": other})
    assert answer.status_code == 200 and len(answer.json()) == COUNT


def test_codings_decode_to_the_same(client, study):
    plain = client.get(where(study), headers={"Accept": JSON, "Accept-Encoding": "identity"}).json()
    assert [item["00080018"]["Value"][0] for item in plain] == [one.SOPInstanceUID for one in study]
    for coding in ("gzip", "gzip;q=0.5, *;q=0"):
        assert client.get(where(study), headers={"Accept": JSON, "Accept-Encoding": coding}).json() == plain


def test_xml_is_kept_apart_from_json(client, study):
    for _ in range(2):
        answer = client.get(where(study), headers={"Accept": f'multipart/related; type="{XML}"', "Accept-Encoding": "gzip"})
        assert len(parts(answer)) == COUNT
        assert len(client.get(where(study), headers={"Accept": JSON, "Accept-Encoding": "gzip"}).json()) == COUNT


def test_what_was_kept_is_not_given_for_a_study_that_has_changed(shared, client):
    study = make.study(COUNT)
    store(shared, study[:-1])
    first = client.get(where(study), headers={"Accept": JSON})
    assert len(first.json()) == COUNT - 1
    store(shared, study[-1:])
    second = client.get(where(study), headers={"Accept": JSON, "If-None-Match": first.headers["etag"]})
    assert second.status_code == 200 and len(second.json()) == COUNT
    instance = f"/studies/{study[0].StudyInstanceUID}/series/{study[0].SeriesInstanceUID}/instances/{study[0].SOPInstanceUID}"
    assert client.delete(instance).status_code == 204
    assert len(client.get(where(study), headers={"Accept": JSON}).json()) == COUNT - 1
    assert client.delete(f"/studies/{study[0].StudyInstanceUID}").status_code == 204
    assert client.get(where(study), headers={"Accept": JSON}).status_code == 410


def test_urls_are_those_of_the_one_who_asks(client, study):
    """Bulk data URIs depend on the address; what is kept for one is not given to another."""
    for host in ("one.example", "two.example"):
        for _ in range(2):
            answer = client.get(where(study), headers={"Accept": JSON, "Host": host})
            uris = [item["7FE00010"]["BulkDataURI"] for item in answer.json()]
            assert len(uris) == COUNT and all(uri.startswith(f"http://{host}/dicom-web/") for uri in uris)


def test_nothing_is_kept_when_nothing_may_be(tmp_path):
    archive = Archive(tmp_path / "uncached", config="[http]\nmetadata_cache_bytes = 0\n").start()
    try:
        study = make.study(COUNT)
        store(archive, study)
        for _ in range(2):
            answer = httpx.get(archive.web + where(study), headers={"Accept": JSON}, timeout=30)
            assert len(answer.json()) == COUNT
    finally:
        archive.close()
