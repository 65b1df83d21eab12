//! Permits against a model that decides study by study: whatever way a question is asked, it is
//! answered from the permitted studies and from no other.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use gantry_core::access::{PatientIdentity, Permitted, Scope};
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::matching::{MatchOptions, keys};
use gantry_dicom::{Vr, tags};
use gantry_index::query::{Order, Wanted};
use gantry_index::{Cancel, Change, Mark, Permit, Query, Selection, Target};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use support::{Bench, Sample, sample};

const SITES: [&str; 3] = ["North", "South", "Überlingen"];
const DEPARTMENTS: [&str; 2] = ["Radiology", "Cardiology"];
const REFERRERS: [&str; 3] = ["Weber^Ina", "Okafor^Ben", "Yamada^Tarou=山田^太郎"];
const LABELS: [&str; 2] = ["teaching", "Trial 7"];
const STUDIES: u32 = 24;

/// What the model knows of a study.
#[derive(Debug, Clone)]
struct Facts {
    uid: String,
    patient: String,
    site: &'static str,
    department: &'static str,
    referrer: &'static str,
    modalities: Vec<&'static str>,
    label: Option<&'static str>,
    is_restricted: bool,
    series: i64,
    instances: i64,
}

fn pick<T: Copy>(from: &[T], at: u32) -> T {
    from[at as usize % from.len()]
}

fn fill(bench: &mut Bench) -> Vec<Facts> {
    let mut all = Vec::new();
    for study in 0..STUDIES {
        let mixed = study.wrapping_mul(2_654_435_761) >> 7;
        let series = 1 + mixed % 2;
        let samples: Vec<Sample> = (1..=series)
            .flat_map(|series| (1..=1 + study % 3).map(move |number| (series, number)))
            .map(|(series, number)| {
                sample(study, series, number)
                    .with(tags::INSTITUTION_NAME, Vr::LO, pick(&SITES, mixed))
                    .with(
                        tags::INSTITUTIONAL_DEPARTMENT_NAME,
                        Vr::LO,
                        pick(&DEPARTMENTS, mixed / 3),
                    )
                    .with(
                        tags::REFERRING_PHYSICIAN_NAME,
                        Vr::PN,
                        pick(&REFERRERS, mixed / 6),
                    )
            })
            .collect();
        bench.store_all(&samples);
        let uid = samples[0].study.clone();
        let label = (mixed % 5 < 2).then(|| pick(&LABELS, mixed / 5));
        let is_restricted = mixed % 7 == 0;
        let mark = |mark| Change::Mark {
            study: uid.clone(),
            mark,
            is_set: true,
        };
        let marks: Vec<_> = label
            .map(|label| mark(Mark::Label(label.to_uppercase())))
            .into_iter()
            .chain(is_restricted.then(|| mark(Mark::Restricted)))
            .collect();
        if !marks.is_empty() {
            bench.apply(&marks);
        }
        all.push(Facts {
            patient: format!("PID{}", study / 2),
            uid,
            site: pick(&SITES, mixed),
            department: pick(&DEPARTMENTS, mixed / 3),
            referrer: pick(&REFERRERS, mixed / 6),
            modalities: if series == 2 {
                vec!["SR", "CT"]
            } else {
                vec!["SR"]
            },
            label,
            is_restricted,
            series: i64::from(series),
            instances: samples.len() as i64,
        });
    }
    all
}

fn is_in(scope: &Scope, study: &Facts) -> bool {
    let has = |list: &[String], value: &str| {
        list.is_empty()
            || list
                .iter()
                .any(|one| one.to_lowercase() == value.to_lowercase())
    };
    has(&scope.sites, study.site)
        && has(&scope.departments, study.department)
        && has(&scope.labels, study.label.unwrap_or("no label"))
        && has(&scope.own_names, study.referrer)
        && has(&scope.studies, &study.uid)
        && (scope.modalities.is_empty()
            || study
                .modalities
                .iter()
                .any(|m| scope.modalities.contains(&(*m).to_owned())))
        && (scope.patients.is_empty()
            || scope.patients.iter().any(|patient| {
                patient.patient_id == study.patient
                    && patient.issuer.as_deref().unwrap_or_default().is_empty()
            }))
        && (scope.includes_restricted || !study.is_restricted)
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        3 => Just(Vec::new()),
        2 => proptest::sample::subsequence(of, 1..=of.len())
            .prop_map(|values| values.into_iter().map(str::to_owned).collect()),
    ]
}

prop_compose! {
    fn scope()(
        sites in some(&SITES),
        departments in some(&DEPARTMENTS),
        labels in some(&LABELS),
        own_names in some(&REFERRERS),
        modalities in some(&["CT", "MR"]),
        patients in some(&["PID1", "PID5", "PID8", "nobody"]),
        studies in some(&["1.2.3.2", "1.2.3.3", "1.2.3.17", "1.9"]),
        includes_restricted: bool,
    ) -> Scope {
        let patients = patients
            .into_iter()
            .map(|patient_id| PatientIdentity { patient_id, issuer: None })
            .collect();
        Scope {
            sites, departments, labels, own_names, modalities, patients, studies,
            includes_restricted,
        }
    }
}

fn search(bench: &Bench, permit: &Permit, query: &Query) -> Vec<gantry_index::Match> {
    let mut matches = Vec::new();
    bench
        .index
        .search(query, permit, &Cancel::default(), |found| {
            matches.push(found);
            ControlFlow::Continue(())
        })
        .unwrap();
    matches
}

fn questions() -> Vec<Query> {
    let mut questions = Vec::new();
    let identifiers: [&[(gantry_dicom::Tag, Vr, &str)]; 5] = [
        &[],
        &[(tags::PATIENT_NAME, Vr::PN, "mü*")],
        &[(tags::STUDY_DATE, Vr::DA, "20260101-20260630")],
        &[(tags::MODALITIES_IN_STUDY, Vr::CS, "CT")],
        &[(tags::PATIENT_ID, Vr::LO, "PID5")],
    ];
    for level in [Level::Patient, Level::Study, Level::Series, Level::Instance] {
        for attributes in identifiers {
            let mut identifier = DataSet::new();
            identifier.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
            for (tag, vr, text) in attributes {
                identifier.put_text(*tag, *vr, text);
            }
            for order in [Order::Standard, Order::NewestFirst] {
                questions.push(Query {
                    keys: keys(&identifier, &MatchOptions::default()).unwrap(),
                    wanted: Wanted::All,
                    order,
                    ..Query::universal(level)
                });
            }
        }
    }
    questions
}

fn number(found: &gantry_index::Match, tag: gantry_dicom::Tag) -> i64 {
    found.attributes.integer(tag).unwrap()
}

/// Everything that can be asked, compared with what the model lets through.
fn check(bench: &Bench, all: &[Facts], scopes: &[Scope]) {
    let permit = Permit::new(&Permitted::Scopes(scopes.to_vec()), |_| Vec::new());
    let permitted: BTreeMap<&str, &Facts> = all
        .iter()
        .filter(|study| scopes.iter().any(|scope| is_in(scope, study)))
        .map(|study| (study.uid.as_str(), study))
        .collect();
    for query in questions() {
        let unlimited = search(bench, &Permit::everything(), &query);
        let limited = search(bench, &permit, &query);
        if query.level == Level::Patient {
            check_patients(&unlimited, &limited, &permitted);
            continue;
        }
        let expected: Vec<_> = unlimited
            .into_iter()
            .filter(|found| permitted.contains_key(found.study_instance_uid.as_deref().unwrap()))
            .collect();
        assert_eq!(limited, expected, "{query:?}");
    }
    for study in all {
        let is_permitted = permitted.contains_key(study.uid.as_str());
        check_direct(bench, &permit, study, is_permitted);
    }
    let sums = bench.index.statistics(&permit).unwrap();
    assert_eq!(sums.studies, permitted.len() as u64);
    let instances: i64 = permitted.values().map(|study| study.instances).sum();
    assert_eq!(sums.instances, instances.cast_unsigned());
}

fn check_patients(
    unlimited: &[gantry_index::Match],
    limited: &[gantry_index::Match],
    permitted: &BTreeMap<&str, &Facts>,
) {
    let id = |found: &gantry_index::Match| found.attributes.string(tags::PATIENT_ID).unwrap();
    let expected: Vec<String> = unlimited
        .iter()
        .map(id)
        .filter(|patient| permitted.values().any(|study| study.patient == *patient))
        .collect();
    assert_eq!(limited.iter().map(id).collect::<Vec<_>>(), expected);
    for found in limited {
        let own = || {
            permitted
                .values()
                .filter(|study| study.patient == id(found))
        };
        assert_eq!(
            number(found, tags::NUMBER_OF_PATIENT_RELATED_STUDIES),
            own().count() as i64
        );
        assert_eq!(
            number(found, tags::NUMBER_OF_PATIENT_RELATED_SERIES),
            own().map(|study| study.series).sum::<i64>()
        );
        assert_eq!(
            number(found, tags::NUMBER_OF_PATIENT_RELATED_INSTANCES),
            own().map(|study| study.instances).sum::<i64>()
        );
    }
}

fn check_direct(bench: &Bench, permit: &Permit, study: &Facts, is_permitted: bool) {
    let series = format!("{}.1", study.uid);
    let instance = format!("{series}.1");
    let named = Selection {
        instances: vec![instance.clone()],
        ..Selection::default()
    };
    let patient = Selection {
        patient_ids: vec![study.patient.clone()],
        studies: vec![study.uid.clone()],
        ..Selection::default()
    };
    let count = |selection: &Selection| {
        let (mut rows, mut headers) = (0, 0);
        let each = |_| {
            rows += 1;
            ControlFlow::Continue(())
        };
        bench.index.select(selection, permit, each).unwrap();
        let each = |_, _| {
            headers += 1;
            ControlFlow::Continue(())
        };
        bench.index.headers(selection, permit, each).unwrap();
        assert_eq!(rows, headers);
        rows
    };
    let expected = if is_permitted { study.instances } else { 0 };
    assert_eq!(count(&Selection::study(&study.uid)), expected, "{study:?}");
    assert_eq!(count(&named), i64::from(is_permitted));
    assert_eq!(
        count(&Selection::series(&study.uid, &series)) > 0,
        is_permitted
    );
    assert_eq!(count(&patient) > 0, is_permitted);
    let located = bench.index.locate(&instance, None, None, permit).unwrap();
    assert_eq!(located.is_some(), is_permitted);
    assert_eq!(
        bench.index.is_permitted(&study.uid, permit).unwrap(),
        is_permitted
    );
}

#[test]
fn every_question_is_answered_from_the_permitted_studies_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path());
    let all = fill(&mut bench);
    check(&bench, &all, &[]);
    check(&bench, &all, &[Scope::everything()]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    runner
        .run(&proptest::collection::vec(scope(), 1..3), |scopes| {
            check(&bench, &all, &scopes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_said_of_a_study_holds_before_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path());
    let one = sample(1, 1, 1);
    let set = |is_set| Change::Mark {
        study: one.study.clone(),
        mark: Mark::Restricted,
        is_set,
    };
    let plain = Permit::new(&Permitted::Scopes(vec![Scope::default()]), |_| Vec::new());
    bench.apply(&[set(true)]);
    bench.store(&one);
    let is_seen = |bench: &Bench| bench.index.is_permitted(&one.study, &plain).unwrap();
    assert!(!is_seen(&bench), "said before it came");
    let target = Target::Study {
        study: one.study.clone(),
    };
    bench.apply(&[Change::Delete {
        deletion: 5,
        target,
        by: "test".into(),
        at: 5,
    }]);
    let study = Selection::study(&one.study);
    assert!(!bench.index.was_deleted(&study, &plain).unwrap());
    bench.store(&one);
    assert!(!is_seen(&bench), "it came again");
    bench.apply(&[set(false)]);
    assert!(is_seen(&bench));
    assert_eq!(bench.index.marks(&one.study).unwrap(), (Vec::new(), false));
}

#[test]
fn a_series_that_is_deleted_takes_its_keys_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path());
    let north = sample(1, 1, 1).with(tags::INSTITUTION_NAME, Vr::LO, "North");
    let south = sample(1, 2, 1).with(tags::INSTITUTION_NAME, Vr::LO, "South");
    bench.store_all(&[north.clone(), south.clone()]);
    let permit = |site: &str| {
        let scope = Scope {
            sites: vec![site.into()],
            ..Scope::default()
        };
        Permit::new(&Permitted::Scopes(vec![scope]), |_| Vec::new())
    };
    let is_seen = |bench: &Bench, site| {
        bench
            .index
            .is_permitted(&north.study, &permit(site))
            .unwrap()
    };
    assert!(is_seen(&bench, "north") && is_seen(&bench, "south"));
    let target = Target::Series {
        study: south.study.clone(),
        series: south.series.clone(),
    };
    let change = Change::Delete {
        deletion: 5,
        target,
        by: "test".into(),
        at: 5,
    };
    bench.apply(&[change]);
    assert!(is_seen(&bench, "north") && !is_seen(&bench, "south"));
    bench.apply(&[Change::Restore { deletion: 5, at: 6 }]);
    assert!(is_seen(&bench, "south"));
}
