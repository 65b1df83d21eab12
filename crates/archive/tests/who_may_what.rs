//! Every use case, asked by somebody who may see one site's studies only: what is outside of that
//! is not there for them, whatever they ask; and each access is in the audit trail.

#![allow(clippy::unwrap_used, reason = "functions of a test")]

use gantry_archive::config::{ArchiveConfig, Site};
use gantry_archive::maintenance;
use gantry_archive::mark::Mark;
use gantry_archive::query::{AskedAs, Query};
use gantry_archive::remove::Target;
use gantry_archive::retrieve::Selection;
use gantry_archive::store::{Announcement, Stored};
use gantry_archive::{Archive, Result};
use gantry_audit::Filter;
use gantry_core::access::{Access, Grant, Right, Rights, Scope};
use gantry_core::ae_title::AeTitle;
use gantry_core::failure::Kind;
use gantry_core::level::Level;
use gantry_core::principal::{Door, Principal};
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::{Vr, tags};
use std::path::Path;
use std::sync::Arc;

const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const NORTH: &str = "1.2.3.1";
const SOUTH: &str = "1.2.3.2";

fn config(data: &Path) -> ArchiveConfig {
    ArchiveConfig {
        data: data.to_owned(),
        pack_bytes: 16 << 20,
        sites: vec![Site {
            name: "North".into(),
            called_ae_titles: vec![AeTitle::parse("NORTH_AE").unwrap()],
        }],
        ..ArchiveConfig::default()
    }
}

fn instance(study: &str, number: u32) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::SOP_CLASS_UID, CT);
    set.put_uid(tags::SOP_INSTANCE_UID, format!("{study}.1.{number}"));
    set.put_text(tags::MODALITY, Vr::CS, "CT");
    set.put_text(tags::PATIENT_NAME, Vr::PN, "Weber^Ina");
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, study);
    set.put_uid(tags::SERIES_INSTANCE_UID, format!("{study}.1"));
    let site = if study == NORTH { "North" } else { "South" };
    set.put_text(tags::INSTITUTION_NAME, Vr::LO, site);
    set
}

async fn store(archive: &Arc<Archive>, principal: &Principal, set: &DataSet) -> Result<Stored> {
    let announcement = Announcement {
        transfer_syntax_uid: EXPLICIT_LITTLE.into(),
        ..Announcement::by(Arc::new(principal.clone()))
    };
    let mut receiving = archive.begin_data_set(announcement)?;
    let bytes = encoding::write(set, Encoding::ExplicitLittle);
    receiving.write(&bytes).await?;
    receiving.finish().await
}

fn person(rights: &[Right], scope: Scope) -> Principal {
    Principal {
        user: Some("ina".into()),
        access: Arc::new(Access {
            grants: vec![Grant {
                rights: Rights::of(rights),
                scope,
                until: None,
                source: "role radiologist".into(),
            }],
            roles: vec!["radiologist".into()],
        }),
        ..Principal::unknown(Door::Http)
    }
}

fn of_north() -> Scope {
    Scope {
        sites: vec!["North".into()],
        ..Scope::default()
    }
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

async fn studies_found(archive: &Archive, principal: &Principal) -> Result<Vec<String>> {
    let asked = AskedAs {
        service: "/studies",
        text: "PatientID=P1",
    };
    let mut matches = archive
        .find(principal, Query::universal(Level::Study), asked)
        .await?;
    let mut found = Vec::new();
    while let Some(answer) = matches.next().await {
        found.push(answer?.string(tags::STUDY_INSTANCE_UID).unwrap());
    }
    Ok(found)
}

async fn filled(data: &Path) -> Arc<Archive> {
    let archive = Archive::open(config(data), Vec::new()).await.unwrap();
    for study in [NORTH, SOUTH] {
        for number in [1, 2] {
            let stored = store(&archive, &Principal::command(), &instance(study, number)).await;
            stored.unwrap();
        }
    }
    archive
}

#[tokio::test]
async fn what_is_out_of_scope_is_not_there() {
    let data = tempfile::tempdir().unwrap();
    let archive = filled(data.path()).await;
    let ina = person(
        &[
            Right::View,
            Right::Download,
            Right::Store,
            Right::Delete,
            Right::Modify,
        ],
        of_north(),
    );
    assert_eq!(studies_found(&archive, &ina).await.unwrap(), [NORTH]);
    let statistics = archive.statistics(&ina).await.unwrap();
    assert_eq!((statistics.studies, statistics.instances), (1, 2));
    for (study, expected) in [(NORTH, 2), (SOUTH, 0)] {
        let selection = Selection::study(study);
        for right in [Right::View, Right::Download] {
            let found = archive.select(&ina, right, &selection).await.unwrap();
            assert_eq!(found.len(), expected, "{study}");
        }
    }
    let refused = store(&archive, &ina, &instance(SOUTH, 3)).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Forbidden);
    store(&archive, &ina, &instance(NORTH, 3)).await.unwrap();
    for target in [
        Target::Study {
            study: SOUTH.into(),
        },
        Target::Patient {
            patient_id: "P1".into(),
            issuer: None,
        },
    ] {
        let refused = archive.delete(&ina, target).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
    }
    let marked = archive
        .mark(&ina, &uid(SOUTH), Mark::Restricted, true)
        .await;
    assert_eq!(marked.unwrap_err().kind(), Kind::NotFound);
    let south = Target::Study {
        study: SOUTH.into(),
    };
    let (deletion, _) = archive.delete(&Principal::command(), south).await.unwrap();
    assert!(
        !archive
            .was_deleted(&ina, &Selection::study(SOUTH))
            .await
            .unwrap()
    );
    assert!(archive.deletions(&ina).await.unwrap().is_empty());
    let restored = archive.restore(&ina, deletion).await.unwrap_err();
    assert_eq!(restored.kind(), Kind::NotFound);
    archive.close().await;
}

#[tokio::test]
async fn what_may_be_viewed_may_not_for_that_be_taken_away() {
    let data = tempfile::tempdir().unwrap();
    let archive = filled(data.path()).await;
    let viewer = person(&[Right::View], Scope::default());
    let found = archive
        .select(&viewer, Right::View, &Selection::study(NORTH))
        .await
        .unwrap();
    assert!(archive.header(&found[0]).await.is_ok());
    let taken = archive.data_set(&found[0], EXPLICIT_LITTLE).await;
    assert_eq!(taken.unwrap_err().kind(), Kind::Forbidden);
    let taken = archive.part10(&found[0], EXPLICIT_LITTLE).await;
    assert_eq!(taken.unwrap_err().kind(), Kind::Forbidden);
    for refused in [
        archive
            .select(&viewer, Right::Download, &Selection::study(NORTH))
            .await
            .unwrap_err(),
        archive
            .select_to_send(&viewer, &Selection::study(NORTH), "WS")
            .await
            .unwrap_err(),
        store(&archive, &viewer, &instance(NORTH, 9))
            .await
            .unwrap_err(),
        archive.deletions(&viewer).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), Kind::Forbidden);
    }
    let nobody = Principal::unknown(Door::Http);
    let refused = studies_found(&archive, &nobody).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    archive.close().await;
}

#[tokio::test]
async fn a_restriction_holds_after_the_index_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let archive = filled(data.path()).await;
    let everyone = person(&[Right::View], Scope::default());
    let admin = Principal::command();
    let label = Mark::Label("Trial 7".into());
    archive
        .mark(&admin, &uid(NORTH), label, true)
        .await
        .unwrap();
    archive
        .mark(&admin, &uid(SOUTH), Mark::Restricted, true)
        .await
        .unwrap();
    let reader = person(
        &[Right::View],
        Scope {
            labels: vec!["trial 7".into()],
            ..Scope::default()
        },
    );
    check_marks(&archive, [&everyone, &reader]).await;
    archive.close().await;
    drop(archive);
    maintenance::reindex(&config(data.path()), &mut |_| {}).unwrap();
    let archive = Archive::open(config(data.path()), Vec::new())
        .await
        .unwrap();
    check_marks(&archive, [&everyone, &reader]).await;
    archive.close().await;
}

async fn check_marks(archive: &Archive, [everyone, reader]: [&Principal; 2]) {
    let admin = Principal::command();
    assert_eq!(studies_found(archive, everyone).await.unwrap(), [NORTH]);
    assert_eq!(studies_found(archive, reader).await.unwrap(), [NORTH]);
    let marks = archive.marks(&admin, &uid(NORTH)).await.unwrap();
    assert_eq!(marks.labels, ["Trial 7"]);
    assert!(!marks.restricted);
    let why = archive.explain(&admin, &everyone.access, &uid(SOUTH)).await;
    let why = why.unwrap();
    assert!(!why[0].includes_study && why[0].only_for_restriction);
    let why = archive.explain(&admin, &reader.access, &uid(NORTH)).await;
    let why = why.unwrap();
    assert!(why[0].includes_study && why[0].source == "role radiologist");
}

#[tokio::test]
async fn what_is_done_is_in_the_trail() {
    let data = tempfile::tempdir().unwrap();
    let archive = filled(data.path()).await;
    let ina = person(&[Right::View, Right::Delete], of_north());
    studies_found(&archive, &ina).await.unwrap();
    for _ in 0..3 {
        let selection = Selection::study(NORTH);
        archive.select(&ina, Right::View, &selection).await.unwrap();
    }
    let selection = Selection::study(NORTH);
    archive
        .select(&ina, Right::Download, &selection)
        .await
        .unwrap_err();
    let target = Target::Study {
        study: NORTH.into(),
    };
    archive.delete(&ina, target).await.unwrap();
    archive.audit().end_of(&ina);
    archive.close().await;
    let page = archive
        .audit()
        .reader()
        .page(&Filter::default(), None, 100)
        .unwrap();
    let count = |kind: gantry_audit::Kind, user: Option<&str>| {
        let of =
            |event: &gantry_audit::Event| event.kind == kind && event.actor.user.as_deref() == user;
        page.events
            .iter()
            .filter(|recorded| of(&recorded.event))
            .count()
    };
    use gantry_audit::Kind as What;
    assert!(
        count(What::Imported, None) >= 2,
        "of each study at least one"
    );
    assert_eq!(count(What::Queried, Some("ina")), 1);
    assert!(
        (1..=2).contains(&count(What::Viewed, Some("ina"))),
        "counted, not listed"
    );
    assert_eq!(count(What::Refused, Some("ina")), 1);
    assert_eq!(count(What::StudyDeleted, Some("ina")), 1);
    let viewed = page
        .events
        .iter()
        .find(|recorded| recorded.event.kind == What::Viewed)
        .unwrap();
    assert_eq!(viewed.event.patient.as_ref().unwrap().id, "P1");
}
