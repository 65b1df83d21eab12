//! The Storage Commitment Request and Response Modules (PS3.18 tables J.1-1 and J.2-1): instances
//! in a plain list, or by study, series and SOP Class; the answer has the form of the request.

use gantry_archive::commitment::FailureReason;
use gantry_archive::commitment::transaction::{Parents, Reference, Verdict};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Tag, tags};

/// What is wrong with a request module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// A UID that must be there is not, or is none.
    #[error("an item lacks {0}, or it is no UID")]
    NoUid(&'static str),
    /// A sequence that must have items has none.
    #[error("{0} is missing or empty")]
    NoItems(&'static str),
}

/// The instances that a request module names.
///
/// # Errors
/// When it names none, or not all of what identifies them.
pub fn read(module: &DataSet) -> Result<Vec<Reference>, ModuleError> {
    let mut references = Vec::new();
    for item in module.items(tags::REFERENCED_SOP_SEQUENCE) {
        let class = uid(
            item,
            tags::REFERENCED_SOP_CLASS_UID,
            "Referenced SOP Class UID",
        )?;
        references.push(reference(item, &class, None)?);
    }
    for study in module.items(tags::REFERENCED_STUDY_SEQUENCE) {
        read_study(study, &mut references)?;
    }
    if references.is_empty() {
        return Err(ModuleError::NoItems(
            "Referenced SOP Sequence or Referenced Study Sequence",
        ));
    }
    Ok(references)
}

fn read_study(study: &DataSet, references: &mut Vec<Reference>) -> Result<(), ModuleError> {
    let study_instance_uid = uid(study, tags::STUDY_INSTANCE_UID, "Study Instance UID")?;
    let all_series = items(
        study,
        tags::REFERENCED_SERIES_SEQUENCE,
        "Referenced Series Sequence",
    )?;
    for series in all_series {
        let parents = Parents {
            study_instance_uid: study_instance_uid.clone(),
            series_instance_uid: uid(series, tags::SERIES_INSTANCE_UID, "Series Instance UID")?,
        };
        let classes = items(
            series,
            tags::REFERENCED_INSTANCES_BY_SOP_CLASS_SEQUENCE,
            "Referenced Instances by SOP Class Sequence",
        )?;
        for of_class in classes {
            let class = uid(
                of_class,
                tags::REFERENCED_SOP_CLASS_UID,
                "Referenced SOP Class UID",
            )?;
            let instances = items(
                of_class,
                tags::REFERENCED_INSTANCE_SEQUENCE,
                "Referenced Instance Sequence",
            )?;
            for item in instances {
                references.push(reference(item, &class, Some(&parents))?);
            }
        }
    }
    Ok(())
}

fn reference(
    item: &DataSet,
    sop_class_uid: &str,
    parents: Option<&Parents>,
) -> Result<Reference, ModuleError> {
    Ok(Reference {
        sop_class_uid: sop_class_uid.to_owned(),
        sop_instance_uid: uid(
            item,
            tags::REFERENCED_SOP_INSTANCE_UID,
            "Referenced SOP Instance UID",
        )?,
        parents: parents.cloned(),
    })
}

fn uid(item: &DataSet, tag: Tag, name: &'static str) -> Result<String, ModuleError> {
    let uid = item.uid(tag).ok_or(ModuleError::NoUid(name))?;
    Ok(uid.to_string())
}

fn items<'a>(
    item: &'a DataSet,
    tag: Tag,
    name: &'static str,
) -> Result<&'a [DataSet], ModuleError> {
    match item.items(tag) {
        [] => Err(ModuleError::NoItems(name)),
        items => Ok(items),
    }
}

/// The response module: each reference of the request is in it once.
pub fn response(verdicts: &[Verdict]) -> DataSet {
    let mut module = DataSet::new();
    let (failed, committed): (Vec<_>, Vec<_>) = verdicts
        .iter()
        .partition(|verdict| verdict.failure.is_some());
    let sequences = [
        (tags::REFERENCED_SOP_SEQUENCE, plain(&committed)),
        (tags::FAILED_SOP_SEQUENCE, plain(&failed)),
        (tags::REFERENCED_STUDY_SEQUENCE, by_study(&committed)),
        (tags::FAILED_STUDY_SEQUENCE, by_study(&failed)),
    ];
    for (tag, items) in sequences {
        if !items.is_empty() {
            module.put_sequence(tag, items);
        }
    }
    module
}

/// Those that were asked for in a plain list.
fn plain(verdicts: &[&Verdict]) -> Vec<DataSet> {
    let asked = verdicts
        .iter()
        .filter(|one| one.reference.parents.is_none());
    asked
        .map(|verdict| {
            let mut item = instance(&verdict.reference, verdict.failure);
            item.put_uid(
                tags::REFERENCED_SOP_CLASS_UID,
                &verdict.reference.sop_class_uid,
            );
            item
        })
        .collect()
}

/// An instance, and where it says so below a study.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    study: &'a str,
    series: &'a str,
    class: &'a str,
}

type Placed<'a> = (Place<'a>, &'a Verdict);

/// Those that were asked for by study.
fn by_study(verdicts: &[&Verdict]) -> Vec<DataSet> {
    let mut placed: Vec<Placed<'_>> = verdicts
        .iter()
        .filter_map(|verdict| {
            let parents = verdict.reference.parents.as_ref()?;
            let place = Place {
                study: &parents.study_instance_uid,
                series: &parents.series_instance_uid,
                class: &verdict.reference.sop_class_uid,
            };
            Some((place, *verdict))
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    let mut studies = Vec::new();
    for of_study in placed.chunk_by(|(one, _), (other, _)| one.study == other.study) {
        let mut item = DataSet::new();
        if let Some((place, _)) = of_study.first() {
            item.put_uid(tags::STUDY_INSTANCE_UID, place.study);
        }
        item.put_sequence(tags::REFERENCED_SERIES_SEQUENCE, by_series(of_study));
        studies.push(item);
    }
    studies
}

fn by_series(of_study: &[Placed<'_>]) -> Vec<DataSet> {
    let mut all_series = Vec::new();
    for of_series in of_study.chunk_by(|(one, _), (other, _)| one.series == other.series) {
        let mut item = DataSet::new();
        if let Some((place, _)) = of_series.first() {
            item.put_uid(tags::SERIES_INSTANCE_UID, place.series);
        }
        item.put_sequence(
            tags::REFERENCED_INSTANCES_BY_SOP_CLASS_SEQUENCE,
            by_class(of_series),
        );
        all_series.push(item);
    }
    all_series
}

fn by_class(of_series: &[Placed<'_>]) -> Vec<DataSet> {
    let mut classes = Vec::new();
    for of_class in of_series.chunk_by(|(one, _), (other, _)| one.class == other.class) {
        let mut item = DataSet::new();
        if let Some((place, _)) = of_class.first() {
            item.put_uid(tags::REFERENCED_SOP_CLASS_UID, place.class);
        }
        let instances = of_class
            .iter()
            .map(|(_, verdict)| instance(&verdict.reference, verdict.failure));
        item.put_sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances.collect());
        classes.push(item);
    }
    classes
}

fn instance(reference: &Reference, failure: Option<FailureReason>) -> DataSet {
    let mut item = DataSet::new();
    item.put_uid(
        tags::REFERENCED_SOP_INSTANCE_UID,
        &reference.sop_instance_uid,
    );
    if let Some(reason) = failure {
        item.put_u16(tags::FAILURE_REASON, reason.code());
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(place: Option<(&str, &str)>, instance: &str, is_committed: bool) -> Verdict {
        Verdict {
            reference: Reference {
                sop_class_uid: "1.1".into(),
                sop_instance_uid: instance.into(),
                parents: place.map(|(study, series)| Parents {
                    study_instance_uid: study.into(),
                    series_instance_uid: series.into(),
                }),
            },
            failure: (!is_committed).then_some(FailureReason::NoSuchObjectInstance),
        }
    }

    fn references(verdicts: &[Verdict]) -> Vec<Reference> {
        verdicts.iter().map(|one| one.reference.clone()).collect()
    }

    /// What is committed is named as it is asked for: a response reads as a request.
    #[test]
    fn each_form_is_answered_in_its_own() {
        let verdicts = [
            verdict(None, "1.2", true),
            verdict(Some(("3.1", "4.1")), "1.3", true),
            verdict(Some(("3.1", "4.1")), "1.4", true),
            verdict(Some(("3.1", "4.2")), "1.5", true),
            verdict(Some(("3.2", "4.1")), "1.6", true),
        ];
        let module = response(&verdicts);
        assert_eq!(read(&module).unwrap(), references(&verdicts));
        let studies = module.items(tags::REFERENCED_STUDY_SEQUENCE);
        assert_eq!(studies.len(), 2);
        let all_series = studies[0].items(tags::REFERENCED_SERIES_SEQUENCE);
        assert_eq!(all_series.len(), 2);
        let classes = all_series[0].items(tags::REFERENCED_INSTANCES_BY_SOP_CLASS_SEQUENCE);
        assert_eq!(classes.len(), 1);
        assert_eq!(
            classes[0].items(tags::REFERENCED_INSTANCE_SEQUENCE).len(),
            2
        );
        assert!(module.get(tags::FAILED_SOP_SEQUENCE).is_none());
        assert!(module.get(tags::FAILED_STUDY_SEQUENCE).is_none());
    }

    #[test]
    fn failures_have_their_reason() {
        let verdicts = [
            verdict(None, "1.2", false),
            verdict(Some(("3.1", "4.1")), "1.3", false),
        ];
        let module = response(&verdicts);
        let [failed] = module.items(tags::FAILED_SOP_SEQUENCE) else {
            panic!()
        };
        assert_eq!(failed.integer(tags::FAILURE_REASON), Some(0x0112));
        assert_eq!(failed.ascii(tags::REFERENCED_SOP_CLASS_UID), Some("1.1"));
        let mut item = &module.items(tags::FAILED_STUDY_SEQUENCE)[0];
        for tag in [
            tags::REFERENCED_SERIES_SEQUENCE,
            tags::REFERENCED_INSTANCES_BY_SOP_CLASS_SEQUENCE,
            tags::REFERENCED_INSTANCE_SEQUENCE,
        ] {
            item = &item.items(tag)[0];
        }
        assert_eq!(item.integer(tags::FAILURE_REASON), Some(0x0112));
        assert_eq!(item.ascii(tags::REFERENCED_SOP_INSTANCE_UID), Some("1.3"));
        assert!(module.get(tags::REFERENCED_SOP_SEQUENCE).is_none());
        assert!(module.get(tags::REFERENCED_STUDY_SEQUENCE).is_none());
    }

    #[test]
    fn a_request_that_does_not_name_its_instances_is_refused() {
        let whole = response(&[verdict(Some(("3.1", "4.1")), "1.3", true)]);
        let empty = DataSet::new();
        assert!(matches!(read(&empty), Err(ModuleError::NoItems(_))));
        let mut without_series = whole.clone();
        let mut study = whole.items(tags::REFERENCED_STUDY_SEQUENCE)[0].clone();
        study.remove(tags::REFERENCED_SERIES_SEQUENCE);
        without_series.put_sequence(tags::REFERENCED_STUDY_SEQUENCE, vec![study.clone()]);
        let error = ModuleError::NoItems("Referenced Series Sequence");
        assert_eq!(read(&without_series), Err(error));
        study.remove(tags::STUDY_INSTANCE_UID);
        without_series.put_sequence(tags::REFERENCED_STUDY_SEQUENCE, vec![study]);
        let error = ModuleError::NoUid("Study Instance UID");
        assert_eq!(read(&without_series), Err(error));
        let mut item = DataSet::new();
        item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, "1.3");
        let mut module = DataSet::new();
        module.put_sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item]);
        let error = ModuleError::NoUid("Referenced SOP Class UID");
        assert_eq!(read(&module), Err(error));
    }
}
