//! The instances that are sent.

use clap::ValueEnum;
use serde_json::{Value, json};

/// SOP class of all samples: CT Image Storage.
pub(crate) const SOP_CLASS_UID: &str = "1.2.840.10008.5.1.4.1.1.2";

/// How big an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// 512×512×16 bit and a header of about a hundred attributes, 530 KB.
    Ct,
    /// 60×60×16 bit and a short header, 8 KB.
    Small,
}

/// Options of `sample`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Size of the instance.
    #[arg(long, value_enum, default_value = "ct")]
    kind: Kind,
    /// Number of the instance.
    #[arg(long, default_value_t = 0)]
    number: usize,
    /// How many instances there are in all.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Root of the UIDs.
    #[arg(long, default_value = "2.25.77003")]
    root: String,
    /// The file to write.
    #[arg(long)]
    save: std::path::PathBuf,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let samples = Samples {
        kind: options.kind,
        studies: 1,
        root: options.root.clone(),
    };
    let sample = samples.make(options.number, options.count, true);
    std::fs::write(&options.save, part10(&sample))?;
    Ok(json!({ "sop_instance_uid": sample.sop_instance_uid }))
}

/// What tells instances apart.
#[derive(Debug, Clone)]
pub(crate) struct Samples {
    pub(crate) kind: Kind,
    /// Studies the instances are spread over.
    pub(crate) studies: usize,
    /// Root of the UIDs: runs with different roots send different instances.
    pub(crate) root: String,
}

/// One sample.
pub(crate) struct Sample {
    pub(crate) sop_instance_uid: String,
    pub(crate) data_set: Vec<u8>,
}

impl Samples {
    /// Study Instance UID of a study.
    pub(crate) fn study_uid(&self, study: usize) -> String {
        format!("{}.{}", self.root, study + 1)
    }

    /// The sample with this number; instances of a study follow one another.
    pub(crate) fn make(&self, number: usize, of: usize, is_explicit: bool) -> Sample {
        let in_study = of.div_ceil(self.studies);
        let (study, instance) = (number / in_study, number % in_study);
        let study_uid = self.study_uid(study);
        let sop_instance_uid = format!("{study_uid}.1.{}", instance + 1);
        let mut data_set = Encoder {
            bytes: Vec::with_capacity(600_000),
            is_explicit,
        };
        self.write(
            &mut data_set,
            study,
            instance,
            &study_uid,
            &sop_instance_uid,
        );
        Sample {
            sop_instance_uid,
            data_set: data_set.bytes,
        }
    }

    fn write(
        &self,
        out: &mut Encoder,
        study: usize,
        instance: usize,
        study_uid: &str,
        sop_instance_uid: &str,
    ) {
        const SURNAMES: [&str; 16] = [
            "ADAMS", "BAKER", "CLARK", "DAVIS", "EVANS", "FISHER", "GREEN", "HARRIS", "IRWIN",
            "JONES", "KING", "LEWIS", "MOORE", "NELSON", "OWENS", "PARKER",
        ];
        const MODALITIES: [&str; 5] = ["CT", "MR", "CR", "US", "MG"];
        let date = format!(
            "20{:02}{:02}{:02}",
            10 + study % 16,
            1 + study / 16 % 12,
            1 + study / 192 % 28
        );
        let time = format!("{:02}{:02}00", study % 24, study % 60);
        let is_ct = self.kind == Kind::Ct;
        out.text(0x0008, 0x0005, b"CS", "ISO_IR 100");
        out.text(0x0008, 0x0008, b"CS", "ORIGINAL\\PRIMARY\\AXIAL");
        out.text(0x0008, 0x0016, b"UI", SOP_CLASS_UID);
        out.text(0x0008, 0x0018, b"UI", sop_instance_uid);
        for element in [0x0020, 0x0021, 0x0022, 0x0023] {
            out.text(0x0008, element, b"DA", &date);
        }
        for element in [0x0030, 0x0031, 0x0032, 0x0033] {
            out.text(0x0008, element, b"TM", &time);
        }
        out.text(0x0008, 0x0050, b"SH", &format!("ACC{study:07}"));
        out.text(
            0x0008,
            0x0060,
            b"CS",
            if is_ct { "CT" } else { MODALITIES[study % 5] },
        );
        out.text(0x0008, 0x0070, b"LO", "GANTRY BENCH");
        out.text(0x0008, 0x0080, b"LO", "HARBOUR GENERAL");
        out.text(0x0008, 0x0090, b"PN", "WELBY^MARCUS");
        out.text(0x0008, 0x1030, b"LO", &format!("STUDY NUMBER {study}"));
        out.text(0x0008, 0x103E, b"LO", "AXIAL 1.0 B30F");
        out.text(
            0x0010,
            0x0010,
            b"PN",
            &format!("{}^PATIENT{study}", SURNAMES[study % 16]),
        );
        out.text(0x0010, 0x0020, b"LO", &format!("BENCH{study:07}"));
        out.text(0x0010, 0x0030, b"DA", "19600101");
        out.text(
            0x0010,
            0x0040,
            b"CS",
            if study.is_multiple_of(2) { "F" } else { "M" },
        );
        if is_ct {
            write_scan(out, instance);
        }
        out.text(0x0020, 0x000D, b"UI", study_uid);
        out.text(0x0020, 0x000E, b"UI", &format!("{study_uid}.1"));
        out.text(0x0020, 0x0010, b"SH", &study.to_string());
        out.text(0x0020, 0x0011, b"IS", "1");
        out.text(0x0020, 0x0013, b"IS", &(instance + 1).to_string());
        out.text(
            0x0020,
            0x0032,
            b"DS",
            &format!("-190\\-190\\{}", instance as f64 * 0.5),
        );
        out.text(0x0020, 0x0037, b"DS", "1\\0\\0\\0\\1\\0");
        out.text(0x0020, 0x0052, b"UI", &format!("{study_uid}.2"));
        self.write_pixels(out, instance);
    }

    fn write_pixels(&self, out: &mut Encoder, instance: usize) {
        let edge: u16 = if self.kind == Kind::Ct { 512 } else { 60 };
        for (element, value) in [
            (0x0002, 1),
            (0x0010, edge),
            (0x0011, edge),
            (0x0100, 16),
            (0x0101, 12),
            (0x0102, 11),
            (0x0103, 0),
        ] {
            if element == 0x0010 {
                out.text(0x0028, 0x0004, b"CS", "MONOCHROME2");
            }
            if element == 0x0100 {
                out.text(0x0028, 0x0030, b"DS", "0.742188\\0.742188");
            }
            out.element(0x0028, element, b"US", &u16::to_le_bytes(value));
        }
        for (element, value) in [
            (0x1050, "40"),
            (0x1051, "400"),
            (0x1052, "-1024"),
            (0x1053, "1"),
        ] {
            out.text(0x0028, element, b"DS", value);
        }
        out.element(0x7FE0, 0x0010, b"OW", &pixels(usize::from(edge), instance));
    }
}

/// The start of an instance whose pixels are sent piece by piece.
pub(crate) struct Huge {
    pub(crate) sop_instance_uid: String,
    /// The data set up to the first pixel.
    pub(crate) header: Vec<u8>,
    /// Bytes of pixel data that have to follow.
    pub(crate) pixel_bytes: u64,
}

impl Huge {
    /// As many frames of 1024×1024×16 bit as fit in so many megabytes, at least one.
    pub(crate) fn new(root: &str, index: usize, megabytes: u32) -> Self {
        let frames = (megabytes / 2).clamp(1, 2047);
        let study_uid = format!("{root}.{}", index + 1);
        let sop_instance_uid = format!("{study_uid}.1.1");
        let mut out = Encoder {
            bytes: Vec::new(),
            is_explicit: true,
        };
        out.text(0x0008, 0x0016, b"UI", SOP_CLASS_UID);
        out.text(0x0008, 0x0018, b"UI", &sop_instance_uid);
        out.text(0x0008, 0x0020, b"DA", "20260101");
        out.text(0x0008, 0x0060, b"CS", "CT");
        out.text(0x0010, 0x0010, b"PN", &format!("HUGE^NUMBER{index}"));
        out.text(0x0010, 0x0020, b"LO", &format!("HUGE{index:04}"));
        out.text(0x0020, 0x000D, b"UI", &study_uid);
        out.text(0x0020, 0x000E, b"UI", &format!("{study_uid}.1"));
        out.element(0x0028, 0x0002, b"US", &1_u16.to_le_bytes());
        out.text(0x0028, 0x0004, b"CS", "MONOCHROME2");
        out.text(0x0028, 0x0008, b"IS", &frames.to_string());
        for (element, value) in [
            (0x0010, 1024_u16),
            (0x0011, 1024),
            (0x0100, 16),
            (0x0101, 16),
            (0x0102, 15),
            (0x0103, 0),
        ] {
            out.element(0x0028, element, b"US", &value.to_le_bytes());
        }
        let pixel_bytes = u64::from(frames) * 1024 * 1024 * 2;
        out.bytes.extend(b"\xE0\x7F\x10\x00OW\0\0");
        out.bytes.extend((pixel_bytes as u32).to_le_bytes());
        Self {
            sop_instance_uid,
            header: out.bytes,
            pixel_bytes,
        }
    }
}

/// A disc in air with noise, so that codecs and compressing disks have honest work.
fn pixels(edge: usize, instance: usize) -> Vec<u8> {
    let mut state = instance as u64 * 0x9E37_79B9 + 1;
    let middle = edge as i64 / 2;
    let mut bytes = Vec::with_capacity(edge * edge * 2);
    for at in 0..(edge * edge) as i64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (x, y) = (at % edge as i64 - middle, at / edge as i64 - middle);
        let level = if x * x + y * y < middle * middle * 3 / 4 {
            1064
        } else {
            24
        };
        let value = (level + (state >> 59)) as u16;
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// The attributes that a scanner adds, some of them private.
fn write_scan(out: &mut Encoder, instance: usize) {
    out.text(0x0010, 0x1010, b"AS", "065Y");
    for number in 0..36_u16 {
        out.text(
            0x0011,
            if number == 0 { 0x0010 } else { 0x1000 + number },
            b"LO",
            if number == 0 {
                "GANTRY BENCH HEADER"
            } else {
                "PARAMETER OF THE RECONSTRUCTION"
            },
        );
    }
    out.text(0x0018, 0x0015, b"CS", "CHEST");
    for (element, value) in [
        (0x0050, "0.5"),
        (0x0060, "120"),
        (0x0088, "0.5"),
        (0x0090, "500"),
    ] {
        out.text(0x0018, element, b"DS", value);
    }
    for (element, value) in [
        (0x1000, "73113"),
        (0x1020, "SYNGO CT 2026A"),
        (0x1030, "THORAX ROUTINE"),
    ] {
        out.text(0x0018, element, b"LO", value);
    }
    for (element, value) in [
        (0x1100, "380"),
        (0x1110, "1040"),
        (0x1111, "570"),
        (0x1120, "0"),
        (0x1130, "152"),
    ] {
        out.text(0x0018, element, b"DS", value);
    }
    out.text(0x0018, 0x1140, b"CS", "CW");
    for (element, value) in [(0x1150, "500"), (0x1151, "260"), (0x1152, "130")] {
        out.text(0x0018, element, b"IS", value);
    }
    out.text(0x0018, 0x1160, b"SH", "FLAT");
    out.text(0x0018, 0x1170, b"IS", "32");
    out.text(0x0018, 0x1190, b"DS", "1.2");
    out.text(0x0018, 0x1210, b"SH", "B30f");
    out.text(0x0018, 0x5100, b"CS", "HFS");
    out.text(0x0019, 0x0010, b"LO", "GANTRY BENCH CT");
    for number in 0..24_u16 {
        out.text(
            0x0019,
            0x1000 + number,
            b"DS",
            &format!("{}.{number:04}", instance % 97),
        );
    }
}

struct Encoder {
    bytes: Vec<u8>,
    is_explicit: bool,
}

impl Encoder {
    fn text(&mut self, group: u16, element: u16, vr: &[u8; 2], text: &str) {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == b"UI" { 0 } else { b' ' });
        }
        self.element(group, element, vr, &value);
    }

    fn element(&mut self, group: u16, element: u16, vr: &[u8; 2], value: &[u8]) {
        self.bytes.extend(group.to_le_bytes());
        self.bytes.extend(element.to_le_bytes());
        match (self.is_explicit, vr) {
            (true, b"OW") => {
                self.bytes.extend(b"OW\0\0");
                self.bytes.extend((value.len() as u32).to_le_bytes());
            }
            (true, _) => {
                self.bytes.extend(vr);
                self.bytes.extend((value.len() as u16).to_le_bytes());
            }
            (false, _) => self.bytes.extend((value.len() as u32).to_le_bytes()),
        }
        self.bytes.extend_from_slice(value);
    }
}

/// A file of PS3.10 around an Explicit VR Little Endian data set.
pub(crate) fn part10(sample: &Sample) -> Vec<u8> {
    let mut meta = Encoder {
        bytes: Vec::new(),
        is_explicit: true,
    };
    meta.bytes.extend(b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01");
    meta.text(0x0002, 0x0002, b"UI", SOP_CLASS_UID);
    meta.text(0x0002, 0x0003, b"UI", &sample.sop_instance_uid);
    meta.text(0x0002, 0x0010, b"UI", crate::association::EXPLICIT_LITTLE);
    meta.text(
        0x0002,
        0x0012,
        b"UI",
        "2.25.136207491825730461830726351824736105",
    );
    let mut file = vec![0; 128];
    file.extend(b"DICM\x02\0\0\0UL\x04\0");
    file.extend((meta.bytes.len() as u32).to_le_bytes());
    file.extend(meta.bytes);
    file.extend_from_slice(&sample.data_set);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_their_size_and_their_own_uid() {
        let samples = |kind| Samples {
            kind,
            studies: 5,
            root: "2.25.1".into(),
        };
        let small = samples(Kind::Small).make(3, 10, true);
        assert!(
            (7_500..9_000).contains(&small.data_set.len()),
            "{}",
            small.data_set.len()
        );
        let ct = samples(Kind::Ct).make(3, 10, true);
        assert!(
            (525_000..540_000).contains(&ct.data_set.len()),
            "{}",
            ct.data_set.len()
        );
        assert_eq!(small.sop_instance_uid, "2.25.1.2.1.2");
    }
}
