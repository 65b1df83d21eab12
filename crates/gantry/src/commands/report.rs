//! What became of each file: counted, grouped by reason, and on request listed in a CSV file.

use indicatif::HumanCount;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored and was not before.
    Stored,
    /// Exactly this was stored before.
    Identical,
    /// Another object with its SOP Instance UID is stored; that one was kept.
    DifferentKeptFirst,
    /// The server or peer took it and did not say whether it was new.
    Accepted,
    /// The server or peer took it, but not without a remark.
    Warned(String),
    /// An earlier run has stored it.
    Before,
    /// It is nothing to import, and why.
    Skipped(String),
    /// It should have been imported and was not, and why.
    Failed(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Identical => "identical",
            Self::DifferentKeptFirst => "different-kept-first",
            Self::Accepted => "accepted",
            Self::Warned(_) => "accepted-with-warning",
            Self::Before => "imported-before",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Warned(reason) | Self::Skipped(reason) | Self::Failed(reason) => reason,
            Self::Stored
            | Self::Identical
            | Self::DifferentKeptFirst
            | Self::Accepted
            | Self::Before => "",
        }
    }

    /// Whether it need not be tried again.
    pub fn is_stored(&self) -> bool {
        matches!(
            self,
            Self::Stored
                | Self::Identical
                | Self::DifferentKeptFirst
                | Self::Accepted
                | Self::Warned(_)
        )
    }
}

/// How many groups of reasons are kept apart; hostile input could make up any number of them.
const GROUPS_MAX: usize = 200;

/// Files with the same reason.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    example: String,
}

/// The outcome of all files so far.
#[derive(Debug, Default)]
pub struct Report {
    counts: BTreeMap<&'static str, u64>,
    warned: BTreeMap<String, Group>,
    skipped: BTreeMap<String, Group>,
    failed: BTreeMap<String, Group>,
    list: Option<BufWriter<File>>,
}

impl Report {
    /// An empty report; with `list` each file's outcome is also written to a CSV file.
    pub fn new(list: Option<&Path>) -> io::Result<Self> {
        let mut report = Self::default();
        if let Some(path) = list {
            let mut file = BufWriter::new(File::create(path)?);
            file.write_all(b"file,outcome,reason,sop_instance_uid\n")?;
            report.list = Some(file);
        }
        Ok(report)
    }

    /// Counts a file in.
    pub fn add(&mut self, name: &str, outcome: &Outcome, sop_instance_uid: &str) -> io::Result<()> {
        *self.counts.entry(outcome.word()).or_default() += 1;
        match outcome {
            Outcome::Warned(reason) => grouped(&mut self.warned, reason, name),
            Outcome::Skipped(reason) => grouped(&mut self.skipped, reason, name),
            Outcome::Failed(reason) => grouped(&mut self.failed, reason, name),
            _ => {}
        }
        if let Some(list) = &mut self.list {
            let line = [name, outcome.word(), outcome.reason(), sop_instance_uid]
                .map(csv_field)
                .join(",");
            writeln!(list, "{line}")?;
        }
        Ok(())
    }

    /// Number of files that should have been imported and were not.
    pub fn failed(&self) -> u64 {
        self.counts.get("failed").copied().unwrap_or(0)
    }

    /// The counts as a JSON object.
    pub fn counts(&self) -> serde_json::Value {
        let counts = self
            .counts
            .iter()
            .map(|(word, count)| ((*word).to_owned(), (*count).into()));
        serde_json::Value::Object(counts.collect())
    }

    /// Number of files that are stored now.
    pub fn stored(&self) -> u64 {
        let stored = self
            .counts
            .iter()
            .filter(|(word, _)| !matches!(**word, "skipped" | "failed"));
        stored.map(|(_, count)| count).sum()
    }

    /// The report in words; ends the CSV file.
    pub fn finish(mut self) -> io::Result<String> {
        if let Some(list) = &mut self.list {
            list.flush()?;
        }
        let mut text = String::new();
        for (word, meaning) in [
            ("stored", "stored"),
            ("accepted", "taken"),
            ("identical", "stored already, identical"),
            (
                "different-kept-first",
                "same UID, other content: the stored one was kept",
            ),
            ("imported-before", "imported by an earlier run"),
        ] {
            if let Some(count) = self.counts.get(word) {
                let _ = writeln!(text, "{:>10}  {meaning}", HumanCount(*count).to_string());
            }
        }
        for (word, meaning, groups) in [
            (
                "accepted-with-warning",
                "taken with a warning",
                &self.warned,
            ),
            ("skipped", "skipped", &self.skipped),
            ("failed", "failed", &self.failed),
        ] {
            let Some(count) = self.counts.get(word) else {
                continue;
            };
            let _ = writeln!(text, "{:>10}  {meaning}", HumanCount(*count).to_string());
            let mut groups: Vec<_> = groups.iter().collect();
            groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
            for (reason, Group { count, example }) in groups {
                let _ = writeln!(
                    text,
                    "{:>12}  {reason}, e.g. {example}",
                    HumanCount(*count).to_string()
                );
            }
        }
        Ok(text)
    }
}

fn grouped(groups: &mut BTreeMap<String, Group>, reason: &str, name: &str) {
    let reason = match groups.contains_key(reason) || groups.len() < GROUPS_MAX {
        true => reason,
        false => "other reasons",
    };
    let group = groups.entry(reason.to_owned()).or_default();
    group.count += 1;
    if group.example.is_empty() {
        group.example = shown(name);
    }
}

/// A name without characters that a terminal would act on.
pub fn shown(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

/// A field of RFC 4180.
fn csv_field(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_and_grouped_by_reason() {
        let mut report = Report::new(None).unwrap();
        report.add("a", &Outcome::Stored, "1.2").unwrap();
        report
            .add("b", &Outcome::Skipped("no DICOM data".into()), "")
            .unwrap();
        report
            .add("c", &Outcome::Skipped("no DICOM data".into()), "")
            .unwrap();
        report
            .add("d\u{1b}[2J", &Outcome::Failed("cut".into()), "")
            .unwrap();
        assert_eq!((report.stored(), report.failed()), (1, 1));
        let text = report.finish().unwrap();
        assert!(text.contains("2  no DICOM data, e.g. b"), "{text}");
        assert!(text.contains("1  cut, e.g. d\u{FFFD}[2J"), "{text}");
    }

    #[test]
    fn the_list_has_a_line_for_each_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        let mut report = Report::new(Some(&path)).unwrap();
        report
            .add("a,\"b\"", &Outcome::Failed("x".into()), "1.2")
            .unwrap();
        report.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "file,outcome,reason,sop_instance_uid\n\"a,\"\"b\"\"\",failed,x,1.2\n"
        );
    }

    #[test]
    fn reasons_that_never_repeat_do_not_pile_up() {
        let mut report = Report::new(None).unwrap();
        for number in 0..3 * GROUPS_MAX {
            report
                .add("x", &Outcome::Failed(format!("reason {number}")), "")
                .unwrap();
        }
        assert!(report.failed.len() <= GROUPS_MAX + 1);
        assert_eq!(report.failed(), 3 * GROUPS_MAX as u64);
    }
}
