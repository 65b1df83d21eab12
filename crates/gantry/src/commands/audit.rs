//! `gantry audit`: the audit trail, also while the server runs.

use super::reach::DataOptions;
use super::usage::usage;
use crate::configuration::Configuration;
use anyhow::Context;
use gantry_audit::export::{self, CSV_HEADER, Source, csv_line, rfc3339, rfc3339_parse};
use gantry_audit::{AuditLog, Event, Filter, Head, Kind, PAGE_MAX, Reader, Recorded};
use gantry_core::access::PatientIdentity;
use gantry_core::principal::Principal;
use gantry_core::secret::SecretKey;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Read, verify and export the audit trail. Works while the server runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry audit verify
  gantry audit verify --head 1234:5f2a…      (a head that was noted before)
  gantry audit list --person jdoe --from 2026-11-01
  gantry audit list --patient 4711 --kind viewed --json
  gantry audit export --format csv --output audit.csv
  gantry audit export --format fhir --study 1.2.840.113619.2.55.3

That the trail was read is recorded in it.")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Look whether anything was changed, deleted, reordered or cut off.
    #[command(after_help = "Exit code: 0 when the trail is whole, 1 when not; it is listed.")]
    Verify(Verify),
    /// Print events, the newest first.
    List(List),
    /// Write events, the oldest first.
    Export(Export),
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    data: DataOptions,
    /// An end of the trail that was noted before, as verify prints it.
    #[arg(long, value_name = "NUMBER:HASH")]
    head: Vec<Head>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    filter: FilterOptions,
    /// Most events.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print a JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    filter: FilterOptions,
    /// How.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// File to write; standard output without.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table.
    Csv,
    /// A JSON object a line.
    Json,
    /// A FHIR AuditEvent a line.
    Fhir,
    /// A DICOM Audit Message (XML) a line.
    Dicom,
}

#[derive(Debug, clap::Args)]
struct FilterOptions {
    /// Recorded at or after this time: 2026-11-22, 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// Recorded before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// By this login.
    #[arg(long, value_name = "LOGIN")]
    person: Option<String>,
    /// By this AE title.
    #[arg(long, value_name = "AE")]
    ae: Option<String>,
    /// From this address.
    #[arg(long)]
    address: Option<String>,
    /// About the patient with this ID.
    #[arg(long, value_name = "PATIENT ID")]
    patient: Option<String>,
    /// Issuer of the patient ID.
    #[arg(long, requires = "patient")]
    issuer: Option<String>,
    /// About this study.
    #[arg(long, value_name = "UID")]
    study: Option<String>,
    /// Of this kind; may be repeated.
    #[arg(long, value_parser = kind)]
    kind: Vec<Kind>,
    /// Only what failed or was refused.
    #[arg(long)]
    failures: bool,
}

fn time(text: &str) -> Result<i64, String> {
    rfc3339_parse(text).ok_or_else(|| "no time such as 2026-11-22T08:00:00Z".into())
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there are: {}", words.join(", "))
    })
}

impl FilterOptions {
    fn filter(&self) -> Filter {
        Filter {
            from: self.from,
            until: self.until,
            person: self.person.clone(),
            calling_ae: self.ae.clone(),
            address: self.address.clone(),
            patient: self.patient.clone().map(|patient_id| PatientIdentity {
                patient_id,
                issuer: self.issuer.clone(),
            }),
            study: self.study.clone(),
            kinds: self.kind.clone(),
            only_failures: self.failures,
        }
    }
}

/// Does it.
pub fn run(audit: &Audit) -> anyhow::Result<ExitCode> {
    match &audit.what {
        What::Verify(verify) => run_verify(verify),
        What::List(list) => run_list(list),
        What::Export(export) => run_export(export),
    }
}

/// The trail of a data folder.
struct Trail {
    configuration: Configuration,
    key: Option<SecretKey>,
}

impl Trail {
    fn of(data: &DataOptions) -> anyhow::Result<Self> {
        let configuration = data.configuration()?;
        let folder = &configuration.archive.data;
        if !folder.join("audit.sqlite").is_file() {
            return Err(usage(format!(
                "there is no audit trail in {}: name a data folder with --data",
                folder.display()
            )));
        }
        let key = gantry_archive::maintenance::database_key(&configuration.archive, "audit")
            .map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
        Ok(Self { configuration, key })
    }

    fn reader(&self) -> Reader {
        let data = &self.configuration.archive.data;
        Reader::new(data, self.key.clone(), &self.configuration.audit)
    }

    fn source(&self) -> Source {
        let title = &self.configuration.archive.ae_title;
        Source::new(&self.configuration.audit, title.as_str())
    }

    /// Records that somebody at this machine reads the trail.
    fn record(&self, kind: Kind, filter: &Filter, words: String) -> anyhow::Result<()> {
        let data = &self.configuration.archive.data;
        let settings = self.configuration.audit.clone();
        let log = AuditLog::open(data, self.key.clone(), settings)?;
        let mut event = Event::new(kind, &Principal::command()).question("gantry audit", words);
        event.actor.user = std::env::var("SUDO_USER")
            .or_else(|_| std::env::var("USER"))
            .ok()
            .filter(|user| !user.is_empty());
        if let Some(patient) = &filter.patient {
            event = event.patient(patient);
        }
        log.record(event).wait()?;
        log.close();
        Ok(())
    }
}

fn run_verify(verify: &Verify) -> anyhow::Result<ExitCode> {
    let trail = Trail::of(&verify.data)?;
    // Before anything is opened for writing, which would note a new end.
    let found = trail.reader().verify(&verify.head, &mut |_, _| {})?;
    trail.record(Kind::AuditVerified, &Filter::default(), String::new())?;
    if verify.json {
        let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        let object = serde_json::json!({
            "is_sound": found.is_sound(),
            "events": found.events,
            "head": found.head.map(|head| head.to_string()),
            "is_keyed": found.is_keyed,
            "problems": problems,
            "problems_total": found.problems_total,
        });
        println!("{object}");
    } else {
        for problem in &found.problems {
            println!("{problem}");
        }
        println!("{} events, {} problems", found.events, found.problems_total);
        if let Some(head) = found.head {
            println!("head {head}");
        }
        if !found.is_keyed {
            println!("the chain has no key: who can write the data folder can make another one");
        }
    }
    Ok(if found.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_list(list: &List) -> anyhow::Result<ExitCode> {
    let trail = Trail::of(&list.data)?;
    let filter = list.filter.filter();
    trail.record(Kind::AuditRead, &filter, "list".into())?;
    let reader = trail.reader();
    let mut before = None;
    let mut left = list.limit;
    while left > 0 {
        let page = reader.page(&filter, before, left.min(1000))?;
        left = left.saturating_sub(page.events.len());
        for recorded in &page.events {
            if list.json {
                println!("{}", json_line(recorded)?);
            } else {
                println!("{}", plain_line(recorded));
            }
        }
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `12  2026-11-22T08:00:00Z  viewed  jdoe 10.0.0.7  patient 4711  study 1.2.3 (4 instances)`.
fn plain_line(recorded: &Recorded) -> String {
    let event = &recorded.event;
    let actor = &event.actor;
    let who: Vec<&str> = [&actor.user, &actor.calling_ae, &actor.address]
        .into_iter()
        .filter_map(Option::as_deref)
        .collect();
    let who = if who.is_empty() {
        actor.door.clone()
    } else {
        who.join(" ")
    };
    let mut parts = vec![
        recorded.sequence.to_string(),
        rfc3339(event.at),
        event.kind.to_string(),
        who,
    ];
    if event.outcome != gantry_audit::Outcome::Success {
        parts.push("FAILED".into());
    }
    if let Some(patient) = &event.patient {
        parts.push(format!("patient {}", patient.id));
    }
    for study in &event.studies {
        parts.push(format!(
            "study {} ({} instances)",
            study.uid, study.instances
        ));
    }
    if let Some(summary) = &event.summary {
        parts.push(format!("{} accesses", summary.accesses));
    }
    if let Some(question) = &event.question {
        parts.push(format!(
            "{} {}",
            question.of,
            question.text.replace('\n', " ")
        ));
    }
    if let Some(subject) = &event.subject {
        parts.push(format!("{} {}", subject.what, subject.id));
    }
    for (name, text) in [
        ("to", &event.other),
        ("reason:", &event.reason),
        ("", &event.text),
    ] {
        if let Some(text) = text {
            parts.push(format!("{name} {text}").trim_start().to_owned());
        }
    }
    // A line stays a line, whatever came from outside.
    parts.join("  ").replace(char::is_control, " ")
}

fn json_line(recorded: &Recorded) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(&recorded.event)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("sequence".into(), recorded.sequence.into());
        fields.insert("hash".into(), recorded.hash.to_string().into());
        fields.insert("at".into(), rfc3339(recorded.event.at).into());
    }
    Ok(value.to_string())
}

fn run_export(options: &Export) -> anyhow::Result<ExitCode> {
    let trail = Trail::of(&options.data)?;
    let filter = options.filter.filter();
    trail.record(Kind::AuditExported, &filter, "export".into())?;
    let reader = trail.reader();
    let source = trail.source();
    let mut out: Box<dyn Write> = match &options.output {
        Some(path) => {
            let file = File::create(path);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut out = BufWriter::new(&mut out);
    if options.format == Format::Csv {
        out.write_all(CSV_HEADER.as_bytes())?;
    }
    // Numbers of the pages first, newest first; then the pages from the last one on.
    let mut begins = vec![None];
    while let Some(before) = begins.last().copied() {
        match reader.page(&filter, before, PAGE_MAX)?.before {
            Some(next) => begins.push(Some(next)),
            None => break,
        }
    }
    let mut events = 0;
    for before in begins.into_iter().rev() {
        let mut page = reader.page(&filter, before, PAGE_MAX)?.events;
        page.reverse();
        events += page.len();
        for recorded in &page {
            let line = match options.format {
                Format::Csv => csv_line(recorded),
                Format::Json => json_line(recorded)? + "\n",
                Format::Fhir => export::audit_event(recorded, &source).to_string() + "\n",
                Format::Dicom => export::audit_message(&recorded.event, &source, false) + "\n",
            };
            out.write_all(line.as_bytes())?;
        }
    }
    out.flush()?;
    eprintln!("{events} events");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_audit::{Actor, Hash, Study};

    #[test]
    fn a_line_says_what_happened_and_stays_a_line() {
        let event = Event::by(
            Kind::Sent,
            Actor {
                user: Some("jdoe".into()),
                ..Actor::default()
            },
        )
        .study(Study::new("1.2"))
        .other("DEST\n1");
        let recorded = Recorded {
            sequence: 3,
            recorded: 0,
            hash: Hash([0; 32]),
            event: Event { at: 0, ..event },
        };
        assert_eq!(
            plain_line(&recorded),
            "3  1970-01-01T00:00:00.000000Z  sent  jdoe  study 1.2 (0 instances)  to DEST 1"
        );
    }
}
