//! What the audit trail is told of the use cases: before anything is given, and not given when
//! that cannot be written down.

use crate::Archive;
use crate::error::Result;
use crate::retrieve::InstanceRef;
use crate::store::prepare::Prepared;
use gantry_audit::{Access, Event, Kind, Outcome, Recording, Study};
use gantry_core::access::{PatientIdentity, Right};
use gantry_core::principal::{Door, Principal};
use gantry_dicom::tags;
use gantry_index::Target;

impl Archive {
    /// Notes that instances, sorted by study, are had by `principal`, or go to `destination`.
    ///
    /// # Errors
    /// When the trail cannot be written: then they must not be given.
    pub(crate) async fn note_access(
        &self,
        principal: &Principal,
        right: Right,
        instances: &[InstanceRef],
        destination: Option<&str>,
    ) -> Result<()> {
        if principal.door == Door::System {
            return Ok(());
        }
        let kind = match right {
            Right::View => Kind::Viewed,
            Right::Store => return Ok(()),
            _ => Kind::Sent,
        };
        for of_study in
            instances.chunk_by(|one, next| one.study_instance_uid == next.study_instance_uid)
        {
            let Some(first) = of_study.first() else {
                continue;
            };
            let access = Access {
                other: destination,
                ..Access::new(kind, &first.study_instance_uid).instances(of_study.len() as u64)
            };
            let access = match of_study {
                [one] => access.sop_class(&one.sop_class_uid),
                _ => access,
            };
            if self.audit().counted(principal, &access) {
                continue;
            }
            let study = first.study_instance_uid.to_string();
            let patient = self
                .index_blocking(move |index| index.patient_of(&study))
                .await?;
            self.audit()
                .accessed(principal, &access.patient(patient.as_ref()))
                .await?;
        }
        Ok(())
    }

    /// Notes that an instance arrived. It is awaited after the instance is durable, so that the
    /// two flushes run at the same time, and before its sender is answered.
    pub(crate) fn note_arrival(&self, prepared: &Prepared) -> Recording {
        let principal = &*prepared.principal;
        let kind = match principal.door {
            Door::Command => Kind::Imported,
            _ => Kind::Received,
        };
        let access = Access::new(kind, prepared.study_instance_uid.as_str())
            .sop_class(prepared.sop_class_uid.as_str());
        let patient = prepared
            .attributes
            .string(tags::PATIENT_ID)
            .map(|patient_id| PatientIdentity {
                patient_id,
                issuer: prepared.attributes.string(tags::ISSUER_OF_PATIENT_ID),
            });
        self.audit()
            .accessed(principal, &access.patient(patient.as_ref()))
    }

    /// Notes a question; `question` as it was asked, `of` its service.
    ///
    /// # Errors
    /// When the trail cannot be written: then it must not be answered.
    pub(crate) async fn note_question(
        &self,
        principal: &Principal,
        of: &str,
        question: &str,
    ) -> Result<()> {
        if principal.door == Door::System {
            return Ok(());
        }
        let event = Event::new(Kind::Queried, principal).question(of, question);
        self.audit().record(event).await?;
        Ok(())
    }

    /// Notes that something was refused. Nothing depends on it: who is refused is not made to
    /// wait, and what cannot be written is in the log.
    pub(crate) fn note_refusal(&self, principal: &Principal, kind: Kind, what: &str) {
        let event = Event::new(kind, principal).outcome(Outcome::MinorFailure, what);
        drop(self.audit().record(event));
    }

    /// Notes that something is deleted or restored, before it is.
    ///
    /// # Errors
    /// When the trail cannot be written: then it must not be done.
    pub(crate) async fn note_removal(
        &self,
        principal: &Principal,
        kind: Kind,
        target: &Target,
    ) -> Result<()> {
        let event = Event::new(kind, principal);
        let event = match target {
            Target::Patient { patient_id, issuer } => event.patient(&PatientIdentity {
                patient_id: patient_id.clone(),
                issuer: issuer.clone(),
            }),
            Target::Study { study } => event.study(Study::new(study)),
            Target::Series { study, series } => event.study(Study {
                series: vec![series.clone()],
                ..Study::new(study)
            }),
            Target::Instance {
                study,
                series,
                instance,
            } => event
                .study(Study {
                    series: vec![series.clone()],
                    ..Study::new(study)
                })
                .subject("instance", instance),
        };
        self.audit().record(event).await?;
        Ok(())
    }
}
