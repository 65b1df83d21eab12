"""Deleting with a window in which it can be undone."""

import pytest

import make
from dimse import find, get, identifier
from web import JSON, dumped, stow

AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@pytest.fixture
def study(shared):
    study = make.study(3)
    study.append(make.instance(study=study[0].StudyInstanceUID, PatientID=study[0].PatientID, PatientName=study[0].PatientName))
    assert set(shared.store(*study)) == {0}
    return study


@pytest.fixture
def client(shared):
    with shared.client() as client:
        yield client


def test_a_deleted_study_is_gone_from_every_door(client, shared, study):
    uid = study[0].StudyInstanceUID
    answer = client.delete(f"/studies/{uid}")
    assert answer.status_code in (200, 202, 204), dumped(answer)
    assert client.get("/studies", params={"StudyInstanceUID": uid}, headers={"Accept": JSON}).status_code == 204
    assert find(shared, identifier("STUDY", StudyInstanceUID=uid)) == []
    assert client.get(f"/studies/{uid}", headers=AS_STORED).status_code == 410
    assert client.get(f"/studies/{uid}/metadata", headers={"Accept": JSON}).status_code == 410
    assert get(shared, identifier("STUDY", StudyInstanceUID=uid), [(make.CT, ["1.2.840.10008.1.2.1"])]).instances == {}
    assert client.delete(f"/studies/{uid}").status_code in (404, 410)


def test_deleting_a_series_or_an_instance_leaves_the_rest(client, shared, study):
    uid, series = study[0].StudyInstanceUID, study[0].SeriesInstanceUID
    assert client.delete(f"/studies/{uid}/series/{series}/instances/{study[0].SOPInstanceUID}").status_code in (200, 202, 204)
    [match] = find(shared, identifier("STUDY", StudyInstanceUID=uid, NumberOfStudyRelatedInstances="", NumberOfStudyRelatedSeries=""))
    assert (match.NumberOfStudyRelatedInstances, match.NumberOfStudyRelatedSeries) == (3, 2)
    assert client.delete(f"/studies/{uid}/series/{series}").status_code in (200, 202, 204)
    [match] = find(shared, identifier("STUDY", StudyInstanceUID=uid, NumberOfStudyRelatedInstances="", NumberOfStudyRelatedSeries=""))
    assert (match.NumberOfStudyRelatedInstances, match.NumberOfStudyRelatedSeries) == (1, 1)
    assert {one.SOPInstanceUID for one in shared.instances(StudyInstanceUID=uid)} == {study[3].SOPInstanceUID}


def test_what_was_deleted_can_come_again(client, shared, study):
    uid = study[0].StudyInstanceUID
    client.delete(f"/studies/{uid}")
    assert stow(client, [make.part10(study[0])]).status_code == 200
    assert client.get(f"/studies/{uid}", headers=AS_STORED).status_code == 200
    assert {one.SOPInstanceUID for one in shared.instances(StudyInstanceUID=uid)} == {study[0].SOPInstanceUID}


def test_a_delete_survives_a_kill(archive):
    study = make.study(2)
    archive.store(*study)
    with archive.client() as client:
        assert client.delete(f"/studies/{study[0].StudyInstanceUID}").status_code in (200, 202, 204)
    archive.kill()
    archive.start()
    assert archive.instances(StudyInstanceUID=study[0].StudyInstanceUID) == []


def test_deleting_what_is_not_there_is_404(client):
    assert client.delete(f"/studies/{make.uid()}").status_code == 404
    assert client.delete("/studies").status_code in (404, 405)


def test_the_last_study_takes_the_patient_with_it(client, shared):
    from dimse import PATIENT_FIND

    one = make.instance(PatientID="GONE1")
    shared.store(one)
    client.delete(f"/studies/{one.StudyInstanceUID}")
    assert find(shared, identifier("PATIENT", PatientID="GONE1"), PATIENT_FIND) == []
