//! The patients, all invented, one for each script worth testing.

use crate::attributes::Attributes;
use crate::repertoire::Repertoire;
use gantry_dicom::{Vr, tags};

/// An invented person and the hospital's spelling of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patient {
    pub(crate) id: &'static str,
    /// Patient's Name with all its component groups.
    pub(crate) name: &'static str,
    /// DA, or empty when unknown.
    pub(crate) birth_date: &'static str,
    pub(crate) sex: &'static str,
    pub(crate) repertoire: Repertoire,
    pub(crate) institution: &'static str,
    pub(crate) referring_physician: &'static str,
}

impl Patient {
    /// Patient module (PS3.3 C.7.1.1).
    pub(crate) fn write(&self, attributes: &mut Attributes) {
        attributes.text(tags::PATIENT_NAME, Vr::PN, self.name);
        attributes.text(tags::PATIENT_ID, Vr::LO, self.id);
        attributes.text(tags::ISSUER_OF_PATIENT_ID, Vr::LO, "GANTRY-DEMO");
        attributes.text(tags::PATIENT_BIRTH_DATE, Vr::DA, self.birth_date);
        attributes.code_string(tags::PATIENT_SEX, self.sex);
    }

    /// Patient's Age (0010,1010) on a day.
    pub(crate) fn age(&self, date: &str) -> Option<String> {
        let number =
            |text: &str, range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
        let birthday_passed = date.get(4..)? >= self.birth_date.get(4..)?;
        let years =
            number(date, 0..4)? - number(self.birth_date, 0..4)? - u32::from(!birthday_passed);
        Some(format!("{years:03}Y"))
    }
}

pub(crate) const MUELLER: Patient = Patient {
    id: "GD-1001",
    name: "Müller^Jörg^^Dr.",
    birth_date: "19570823",
    sex: "M",
    repertoire: Repertoire::Latin1,
    institution: "Klinikum Grünthal",
    referring_physician: "Weiß^Käthe^^Dr.",
};
pub(crate) const IVANOVA: Patient = Patient {
    id: "GD-1002",
    name: "Иванова^Ольга^Петровна",
    birth_date: "19840311",
    sex: "F",
    repertoire: Repertoire::Cyrillic,
    institution: "Городская больница №7",
    referring_physician: "Соколов^Дмитрий",
};
pub(crate) const PAPADOPOULOS: Patient = Patient {
    id: "GD-1003",
    name: "Παπαδόπουλος^Νίκος",
    birth_date: "19491230",
    sex: "M",
    repertoire: Repertoire::Greek,
    institution: "Νοσοκομείο Αιγαίου",
    referring_physician: "Νικολάου^Ελένη",
};
pub(crate) const YAMADA: Patient = Patient {
    id: "GD-1004",
    name: "Yamada^Tarou=山田^太郎=やまだ^たろう",
    birth_date: "19620505",
    sex: "M",
    repertoire: Repertoire::Japanese,
    institution: "海浜病院",
    referring_physician: "Suzuki^Hanako=鈴木^花子=すずき^はなこ",
};
pub(crate) const HONG: Patient = Patient {
    id: "GD-1005",
    name: "Hong^Minji=洪^旻志=홍^민지",
    birth_date: "19710218",
    sex: "F",
    repertoire: Repertoire::Korean,
    institution: "한강병원",
    referring_physician: "Kim^Seojun=金^瑞俊=김^서준",
};
pub(crate) const WANG: Patient = Patient {
    id: "GD-1006",
    name: "Wang^XiaoDong=王^小东",
    birth_date: "19781009",
    sex: "M",
    repertoire: Repertoire::Chinese,
    institution: "滨江医院",
    referring_physician: "Li^Na=李^娜",
};
pub(crate) const QABBANI: Patient = Patient {
    id: "GD-1007",
    name: "قباني^لنزار",
    birth_date: "19530614",
    sex: "M",
    repertoire: Repertoire::Arabic,
    institution: "مستشفى النخيل",
    referring_physician: "حداد^سلمى",
};
pub(crate) const NGUYEN: Patient = Patient {
    id: "GD-1008",
    name: "Nguyễn^Thị Ánh",
    birth_date: "19920127",
    sex: "F",
    repertoire: Repertoire::Utf8,
    institution: "Bệnh viện Hoà Bình",
    referring_physician: "Müller-Østergård^Zoë",
};
pub(crate) const LEVI: Patient = Patient {
    id: "GD-1009",
    name: "לוי^דנה",
    birth_date: "20011115",
    sex: "F",
    repertoire: Repertoire::Hebrew,
    institution: "בית חולים הגליל",
    referring_physician: "כהן^אורי",
};
pub(crate) const YILDIZ: Patient = Patient {
    id: "GD-1010",
    name: "Yıldız^Şule",
    birth_date: "20140903",
    sex: "F",
    repertoire: Repertoire::Turkish,
    institution: "Boğaziçi Hastanesi",
    referring_physician: "Çelik^Ömer",
};
pub(crate) const DVORAK: Patient = Patient {
    id: "GD-1011",
    name: "Dvořák^Jiří",
    birth_date: "19660705",
    sex: "M",
    repertoire: Repertoire::Latin2,
    institution: "Nemocnice Lípa",
    referring_physician: "Kowalska-Łęcka^Zofia",
};
/// Somebody without papers: only a number is known.
pub(crate) const UNKNOWN: Patient = Patient {
    id: "GD-ER-0042",
    name: "UNKNOWN^EMERGENCY 42",
    birth_date: "",
    sex: "O",
    repertoire: Repertoire::Ascii,
    institution: "HARBOUR GENERAL",
    referring_physician: "",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_whole_years() {
        assert_eq!(MUELLER.age("20260822").as_deref(), Some("068Y"));
        assert_eq!(MUELLER.age("20260823").as_deref(), Some("069Y"));
        assert_eq!(UNKNOWN.age("20260823"), None);
    }
}
