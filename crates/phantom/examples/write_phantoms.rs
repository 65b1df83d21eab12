//! Writes the sample studies into a folder: `write_phantoms FOLDER [small|full] [SEED]`.

use gantry_phantom::{Scale, studies};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: write_phantoms FOLDER [small|full] [SEED]")?,
    );
    let scale = match arguments.next().as_deref() {
        None | Some("small") => Scale::Small,
        Some("full") => Scale::Full,
        Some(other) => return Err(format!("unknown scale {other}").into()),
    };
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    for (number, study) in studies(seed, scale).enumerate() {
        let of_study = folder.join(format!("{number:02}"));
        std::fs::create_dir_all(&of_study)?;
        let (started, mut bytes) = (Instant::now(), 0);
        for (number, instance) in study.instances.iter().enumerate() {
            let file = instance.to_part10();
            bytes += file.len();
            std::fs::write(of_study.join(format!("{number:04}.dcm")), file)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        eprintln!(
            "{number:02} {:<11} {:>4} instances {:>6.1} MB {:>7.0} MB/s  {}",
            study.patient_id,
            study.instances.len(),
            bytes as f64 / 1e6,
            bytes as f64 / 1e6 / seconds,
            study.description,
        );
    }
    Ok(())
}
