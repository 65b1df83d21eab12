//! What to export, as options name it.

use crate::commands::scu;
use crate::commands::usage::usage;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Tag, dictionary};

/// What to export.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Chosen {
    /// Patient ID; several times for several patients.
    #[arg(long, value_name = "ID")]
    pub patient: Vec<String>,
    /// Study Instance UID; several times for several studies.
    #[arg(long, value_name = "UID")]
    pub study: Vec<Uid>,
    /// Series Instance UID; several times for several series.
    #[arg(long, value_name = "UID")]
    pub series: Vec<Uid>,
    /// SOP Instance UID; several times for several instances.
    #[arg(long, value_name = "UID")]
    pub instance: Vec<Uid>,
    /// Studies that match: an attribute and a value, as in a query; several ones must all match.
    #[arg(long, value_name = "KEY=VALUE")]
    pub find: Vec<String>,
}

impl Chosen {
    /// Whether the options go together.
    pub fn check(&self) -> anyhow::Result<()> {
        let mut identifier = DataSet::new();
        for key in &self.find {
            if !key.contains('=') {
                return Err(usage(format!("--find {key:?} has no value")));
            }
            if scu::add_key(&mut identifier, key)?.len() != 1 {
                return Err(usage(format!("--find {key:?} is inside a sequence")));
            }
        }
        let has_uids =
            !(self.study.is_empty() && self.series.is_empty() && self.instance.is_empty());
        if !self.find.is_empty() && (has_uids || !self.patient.is_empty()) {
            return Err(usage("--find goes with no other choice"));
        }
        Ok(())
    }

    /// The keys of `--find`: attribute and value.
    pub fn keys(&self) -> Vec<(Tag, String)> {
        let split = self.find.iter().filter_map(|key| key.split_once('='));
        split
            .filter_map(|(name, value)| {
                Some((dictionary::parse_attribute(name.trim())?, value.to_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use gantry_dicom::tags;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        chosen: Chosen,
    }

    fn chosen(arguments: &[&str]) -> Option<Chosen> {
        let arguments = ["export"].iter().chain(arguments);
        Arguments::try_parse_from(arguments)
            .ok()
            .map(|arguments| arguments.chosen)
    }

    #[test]
    fn something_has_to_be_chosen() {
        assert!(chosen(&[]).is_none());
        assert!(chosen(&["--study", "1.2"]).unwrap().check().is_ok());
        assert!(
            chosen(&["--find", "PatientName=A*"])
                .unwrap()
                .check()
                .is_ok()
        );
    }

    #[test]
    fn keys_are_attributes_with_values() {
        let found = chosen(&[
            "--find",
            "0008,0020=20260101-",
            "--find",
            "ModalitiesInStudy=CT",
        ]);
        let keys = found.unwrap().keys();
        assert_eq!(keys[0], (tags::STUDY_DATE, "20260101-".to_owned()));
        assert_eq!(keys[1], (tags::MODALITIES_IN_STUDY, "CT".to_owned()));
        for wrong in [
            &["--find", "PatientName"][..],
            &["--find", "NoSuch=1"],
            &["--find", "PatientName=A", "--study", "1.2"],
        ] {
            assert!(chosen(wrong).unwrap().check().is_err(), "{wrong:?}");
        }
    }
}
