//! What the index costs and how fast it answers, on made-up studies.
//!
//! ```text
//! cargo run --release -p gantry-index --example measure_index -- FOLDER fill STUDIES [SERIES [INSTANCES]]
//! cargo run --release -p gantry-index --example measure_index -- FOLDER ingest
//! cargo run --release -p gantry-index --example measure_index -- FOLDER query
//! ```
//! `fill` adds studies in batches of 256; `ingest` measures batches of 1, 8 and 64, of studies
//! with few and with many instances; `query` measures searches and the reading of headers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a command for developers"
)]

use gantry_blob::{BlobLocation, Position};
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::header::Header;
use gantry_dicom::matching::{MatchOptions, keys};
use gantry_dicom::{Tag, Vr, tags};
use gantry_index::permit::Permit;
use gantry_index::query::Wanted;
use gantry_index::{
    Cancel, Change, Index, NewInstance, Options, Query, Selection, Source, Span, Writer,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().unwrap())
    };
    let root = Path::new(arguments.first().expect("FOLDER"));
    std::fs::create_dir_all(root).unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("fill") => fill(root, number(2, 1000), number(3, 1), number(4, 1)),
        Some("ingest") => ingest(root),
        Some("query") => query(root),
        _ => println!("FOLDER fill|ingest|query"),
    }
}

struct Sample {
    study: String,
    series: String,
    uid: String,
    attributes: DataSet,
}

/// A number that looks random and is the same each time.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (value ^ (value >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 17
}

fn name(of: u64) -> String {
    const ENDS: [&str; 16] = [
        "son", "mann", "er", "ski", "ov", "ez", "ini", "sen", "au", "ard", "ley", "ton", "wick",
        "berg", "stein", "ford",
    ];
    const GIVEN: [&str; 12] = [
        "Anna", "Bernd", "Chloé", "David", "Eva", "Finn", "Grace", "Hugo", "Ines", "Jörg", "Kim",
        "Lea",
    ];
    let family = mixed(of) % 40_000;
    let syllable =
        |at: u64| ["ka", "lo", "mi", "ru", "ta", "be", "no", "sha", "pe", "di"][at as usize % 10];
    let given = GIVEN[(mixed(of + 7) % 12) as usize];
    let family = format!(
        "{}{}{}{}",
        syllable(family),
        syllable(family / 10),
        syllable(family / 100),
        ENDS[(family / 1000 % 16) as usize]
    );
    format!(
        "{}^{given}^{}",
        family.to_uppercase(),
        (b'A' + (of % 26) as u8) as char
    )
}

fn date(of: u64) -> String {
    let day = mixed(of) % 3650;
    format!(
        "20{:02}{:02}{:02}",
        16 + day / 365,
        day % 365 / 31 + 1,
        day % 28 + 1
    )
}

/// A header of about three kilobytes, as a CT has it.
fn sample(study: u64, series: u64, number: u64) -> Sample {
    let study_uid = format!("1.2.826.0.1.3680043.10.1338.{study}");
    let series_uid = format!("{study_uid}.{series}");
    let uid = format!("{series_uid}.{number}");
    let patient = study / 2;
    let mut attributes = DataSet::new();
    let mut put = |tag: Tag, vr: Vr, text: &str| attributes.put_text(tag, vr, text);
    let modality = ["CT", "MR", "CR", "US", "DX", "PT"][(mixed(study + series) % 6) as usize];
    put(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    put(tags::IMAGE_TYPE, Vr::CS, "ORIGINAL\\PRIMARY\\AXIAL");
    put(tags::SOP_CLASS_UID, Vr::UI, "1.2.840.10008.5.1.4.1.1.2");
    put(tags::SOP_INSTANCE_UID, Vr::UI, &uid);
    put(tags::STUDY_DATE, Vr::DA, &date(study));
    put(tags::SERIES_DATE, Vr::DA, &date(study));
    put(tags::STUDY_TIME, Vr::TM, "101503.250000");
    put(tags::ACCESSION_NUMBER, Vr::SH, &format!("ACC{study:08}"));
    put(tags::MODALITY, Vr::CS, modality);
    put(tags::MANUFACTURER, Vr::LO, "PHANTOM MEDICAL SYSTEMS");
    put(tags::INSTITUTION_NAME, Vr::LO, "University Hospital");
    put(tags::REFERRING_PHYSICIAN_NAME, Vr::PN, &name(study % 300));
    put(
        tags::STUDY_DESCRIPTION,
        Vr::LO,
        ["Thorax nativ", "Schädel", "Abdomen KM", "Knie links"][(study % 4) as usize],
    );
    put(tags::PATIENT_NAME, Vr::PN, &name(patient));
    put(tags::PATIENT_ID, Vr::LO, &format!("PAT{patient:08}"));
    put(
        tags::PATIENT_BIRTH_DATE,
        Vr::DA,
        &format!("{}0{}15", 1930 + patient % 80, patient % 9 + 1),
    );
    put(tags::PATIENT_SEX, Vr::CS, "O");
    put(tags::STUDY_INSTANCE_UID, Vr::UI, &study_uid);
    put(tags::SERIES_INSTANCE_UID, Vr::UI, &series_uid);
    put(tags::STUDY_ID, Vr::SH, &format!("{study}"));
    put(tags::SERIES_NUMBER, Vr::IS, &series.to_string());
    put(tags::INSTANCE_NUMBER, Vr::IS, &number.to_string());
    put(
        tags::IMAGE_POSITION_PATIENT,
        Vr::DS,
        &format!("-250\\-250\\{}", number * 3),
    );
    put(tags::SLICE_LOCATION, Vr::DS, &(number * 3).to_string());
    for at in 0..60_u16 {
        put(
            Tag(0x0009, 0x1000 + at),
            Vr::LO,
            &format!("private value {at} of {modality}, a bit of text"),
        );
    }
    Sample {
        study: study_uid,
        series: series_uid,
        uid,
        attributes,
    }
}

struct Bench {
    writer: Writer,
    at: Position,
}

impl Bench {
    fn open(root: &Path) -> (std::sync::Arc<Index>, Self) {
        let (index, writer) = Index::open(root, Options::default()).unwrap();
        let at = writer.applied_position();
        (index, Self { writer, at })
    }

    fn store(&mut self, samples: &[Sample], headers: &[Header]) {
        let changes: Vec<_> = samples
            .iter()
            .zip(headers)
            .zip(self.at.sequence..)
            .map(|((sample, header), at)| {
                Change::Store(NewInstance {
                    study_instance_uid: &sample.study,
                    series_instance_uid: &sample.series,
                    sop_instance_uid: &sample.uid,
                    sop_class_uid: "1.2.840.10008.5.1.4.1.1.2",
                    transfer_syntax_uid: "1.2.840.10008.1.2.1",
                    attributes: &sample.attributes,
                    header,
                    frame_index: None,
                    location: BlobLocation::Pack {
                        pack: 1,
                        offset: at * 525_000,
                        length: 525_000,
                    },
                    data_set_offset: 350,
                    departure: gantry_dicom::scan::Departure::default(),
                    digest: *blake3::hash(sample.uid.as_bytes()).as_bytes(),
                    received_at: 1,
                    source: Source {
                        door: "dimse",
                        calling_ae: "CT1",
                        ..Source::default()
                    },
                })
            })
            .collect();
        let sequence = self.at.sequence + samples.len() as u64;
        let to = Position {
            sequence,
            pack: 1,
            offset: 4096,
        };
        self.writer
            .apply(&changes, Some(Span { from: self.at, to }))
            .unwrap();
        self.at = to;
    }
}

/// Processor time of all threads of this process.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.map(|task| {
        let path = task.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

fn fill(root: &Path, studies: u64, series: u64, instances: u64) {
    let (index, mut bench) = Bench::open(root);
    let first = index.statistics(&Permit::everything()).unwrap().studies;
    let start = Instant::now();
    let mut batch = Vec::new();
    for study in first..first + studies {
        for series in 0..series {
            batch.extend((0..instances).map(|number| sample(study, series, number)));
        }
        if batch.len() >= 256 || study + 1 == first + studies {
            let headers: Vec<_> = batch
                .iter()
                .map(|sample| Header::from_data_set(&sample.attributes))
                .collect();
            bench.store(&batch, &headers);
            batch.clear();
        }
        if study % 50_000 == 0 {
            println!("{study} studies, {:.0} s", start.elapsed().as_secs_f64());
        }
    }
    drop(bench);
    println!("{:?}", index.statistics(&Permit::everything()).unwrap());
    let bytes = std::fs::metadata(Index::path(root)).unwrap().len();
    println!("index {:.1} MB", bytes as f64 / 1e6);
}

fn ingest(root: &Path) {
    let (index, mut bench) = Bench::open(root);
    println!("{:?}", index.statistics(&Permit::everything()).unwrap());
    let mut study = 1_000_000_000 + bench.at.sequence;
    for (what, per_series) in [
        ("one instance a study", 1),
        ("eight a series", 8),
        ("300 a series", 300),
    ] {
        for batch in [1, 8, 64] {
            let mut samples = Vec::new();
            while samples.len() < 6000 {
                study += 1;
                samples.extend((0..per_series).map(|number| sample(study, 1, number)));
            }
            let headers: Vec<_> = samples
                .iter()
                .map(|sample| Header::from_data_set(&sample.attributes))
                .collect();
            let (start, before) = (Instant::now(), cpu());
            let mut slowest = Duration::ZERO;
            for (samples, headers) in samples.chunks(batch).zip(headers.chunks(batch)) {
                let one = Instant::now();
                bench.store(samples, headers);
                slowest = slowest.max(one.elapsed());
            }
            let each = |time: Duration| time.as_secs_f64() * 1e6 / samples.len() as f64;
            println!(
                "{what:22} batch {batch:2}: {:6.1} µs elapsed, {:6.1} µs CPU an instance; slowest batch {:.1} ms",
                each(start.elapsed()),
                each(cpu().saturating_sub(before)),
                slowest.as_secs_f64() * 1e3,
            );
        }
    }
    let header = Header::from_data_set(&sample(1, 1, 1).attributes).0.len();
    let log = std::fs::metadata(Index::path(root).with_extension("sqlite-wal"))
        .unwrap()
        .len();
    println!("header {header} bytes; log {:.1} MB", log as f64 / 1e6);
}

fn query(root: &Path) {
    let started = Instant::now();
    let index = Index::open_for_reading(root, &Options::default()).unwrap();
    let statistics = index.statistics(&Permit::everything()).unwrap();
    println!(
        "{statistics:?}; opened in {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let studies = statistics.studies;
    let patient = |turn: u64| mixed(turn) % (studies / 2).max(1);
    measure(&index, "exact Patient ID", |turn| {
        vec![(tags::PATIENT_ID, Vr::LO, format!("PAT{:08}", patient(turn)))]
    });
    measure(&index, "exact Accession Number", |turn| {
        vec![(
            tags::ACCESSION_NUMBER,
            Vr::SH,
            format!("ACC{:08}", mixed(turn) % studies),
        )]
    });
    measure(&index, "exact name", |turn| {
        vec![(tags::PATIENT_NAME, Vr::PN, name(patient(turn)))]
    });
    measure(&index, "name, family*", |turn| {
        let name = name(patient(turn));
        vec![(
            tags::PATIENT_NAME,
            Vr::PN,
            format!("{}*", name.split('^').next().unwrap()),
        )]
    });
    measure(&index, "name, six letters*", |turn| {
        let name = name(patient(turn));
        vec![(
            tags::PATIENT_NAME,
            Vr::PN,
            format!("{}*", name.chars().take(6).collect::<String>()),
        )]
    });
    measure(&index, "name, two letters*", |turn| {
        let name = name(patient(turn));
        vec![(
            tags::PATIENT_NAME,
            Vr::PN,
            format!("{}*", name.chars().take(2).collect::<String>()),
        )]
    });
    measure(&index, "one day", |turn| {
        vec![(tags::STUDY_DATE, Vr::DA, date(turn))]
    });
    measure(&index, "one day, CT", |turn| {
        vec![
            (tags::STUDY_DATE, Vr::DA, date(turn)),
            (tags::MODALITIES_IN_STUDY, Vr::CS, "CT".into()),
        ]
    });
    measure(&index, "a year", |_| {
        vec![(tags::STUDY_DATE, Vr::DA, "20190101-20191231".into())]
    });
    measure(&index, "CT", |_| {
        vec![(tags::MODALITIES_IN_STUDY, Vr::CS, "CT".into())]
    });
    measure(&index, "description *KM*", |_| {
        vec![(tags::STUDY_DESCRIPTION, Vr::LO, "*KM*".into())]
    });
    measure(&index, "everything", |_| Vec::new());
    let universal = Instant::now();
    let mut count = 0;
    let all = Query {
        wanted: wanted(),
        ..Query::universal(Level::Study)
    };
    index
        .search(&all, &Permit::everything(), &Cancel::default(), |_| {
            count += 1;
            if count < 200_000 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .unwrap();
    let each = universal.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    println!("universal query: {count} studies, {each:.1} µs each");
    headers(&index);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default()
    );
}

fn wanted() -> Wanted {
    Wanted::Tags(vec![
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::ACCESSION_NUMBER,
        tags::MODALITIES_IN_STUDY,
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::STUDY_DESCRIPTION,
        tags::STUDY_ID,
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    ])
}

fn measure(index: &Index, what: &str, attributes: impl Fn(u64) -> Vec<(Tag, Vr, String)>) {
    let mut times = Vec::new();
    let mut matches = 0;
    for turn in 0..200 {
        let mut identifier = DataSet::new();
        identifier.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
        for (tag, vr, text) in attributes(turn) {
            identifier.put_text(tag, vr, &text);
        }
        let query = Query {
            keys: keys(&identifier, &MatchOptions::default()).unwrap(),
            wanted: wanted(),
            limit: Some(100),
            ..Query::universal(Level::Study)
        };
        let start = Instant::now();
        let visit = |_| {
            matches += 1;
            ControlFlow::Continue(())
        };
        index
            .search(&query, &Permit::everything(), &Cancel::default(), visit)
            .unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
    println!(
        "{what:24} {:6.1} matches  p50 {:7.3} ms  p95 {:7.3} ms  p99 {:7.3} ms",
        f64::from(matches) / 200.0,
        at(50),
        at(95),
        at(99)
    );
}

fn headers(index: &Index) {
    let mut largest: Option<String> = None;
    let universal = Query {
        limit: Some(1),
        ..Query::universal(Level::Study)
    };
    let newest = Query {
        order: gantry_index::query::Order::NewestFirst,
        ..universal
    };
    index
        .search(
            &newest,
            &Permit::everything(),
            &Cancel::default(),
            |found| {
                largest = found.study_instance_uid.map(|uid| uid.to_string());
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    let Some(study) = largest else { return };
    for _ in 0..3 {
        let start = Instant::now();
        let (mut count, mut bytes) = (0, 0);
        index
            .headers(
                &Selection::study(&study),
                &Permit::everything(),
                |_, header| {
                    count += 1;
                    bytes += header.0.len();
                    ControlFlow::Continue(())
                },
            )
            .unwrap();
        println!(
            "headers of the newest study: {count}, {:.1} MB, {:.2} ms",
            bytes as f64 / 1e6,
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}
