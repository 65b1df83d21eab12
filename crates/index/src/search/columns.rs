//! Which attributes have a column, at which level, and how the column can be asked.

use gantry_core::level::Level;
use gantry_dicom::{Tag, Vr, tags};

/// An attribute that the index answers and matches without a header.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) tag: Tag,
    pub(super) vr: Vr,
    /// The level the attribute belongs to; it is also available at the levels below.
    pub(super) level: Level,
    /// SQL for the value as text, as received. `{o}` stands for the table that owns the
    /// patient's attributes: the patient itself at its own level, else the study's copy.
    pub(super) value: &'static str,
    /// How to narrow a search by it.
    pub(super) search: Search,
}

/// A column that an index of the database or a cheap comparison can narrow a search by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Search {
    /// Text as received, compared byte by byte.
    Text(&'static str),
    /// A person name's folded groups: alphabetic, ideographic, phonetic.
    Name([&'static str; 3]),
    /// A date as yyyymmdd.
    Date(&'static str),
    /// Modalities in Study.
    Modalities,
    /// Only a comparison of each row will do.
    EachRow,
}

macro_rules! columns {
    ($($level:ident $tag:ident $vr:ident $value:literal $search:expr;)*) => {
        /// All columns, in ascending tag order.
        pub(super) const COLUMNS: &[Column] = &[$(Column {
            tag: tags::$tag,
            vr: Vr::$vr,
            level: Level::$level,
            value: $value,
            search: $search,
        }),*];
    };
}

columns! {
    Instance SOP_CLASS_UID UI "i.sop_class_uid" Search::Text("i.sop_class_uid");
    Instance SOP_INSTANCE_UID UI "i.sop_instance_uid" Search::Text("i.sop_instance_uid");
    Study STUDY_DATE DA "st.study_date_text" Search::Date("st.study_date");
    Series SERIES_DATE DA "se.series_date_text" Search::Date("se.series_date");
    Study STUDY_TIME TM "st.study_time_text" Search::EachRow;
    Series SERIES_TIME TM "se.series_time_text" Search::EachRow;
    Study ACCESSION_NUMBER SH "st.accession_number" Search::Text("st.accession_number");
    Series MODALITY CS "se.modality" Search::Text("se.modality");
    Study MODALITIES_IN_STUDY CS "st.modalities" Search::Modalities;
    Study SOP_CLASSES_IN_STUDY UI "st.sop_classes" Search::EachRow;
    Study INSTITUTION_NAME LO "st.institution" Search::EachRow;
    Study REFERRING_PHYSICIAN_NAME PN "st.referring_physician" Search::EachRow;
    Study TIMEZONE_OFFSET_FROM_UTC SH "st.timezone" Search::EachRow;
    Study STUDY_DESCRIPTION LO "st.description" Search::EachRow;
    Series SERIES_DESCRIPTION LO "se.description" Search::EachRow;
    Patient PATIENT_NAME PN "{o}.name" Search::Name(["{o}.name_folded", "{o}.name_ideographic", "{o}.name_phonetic"]);
    Patient PATIENT_ID LO "{o}.patient_id" Search::Text("{o}.patient_id");
    Patient ISSUER_OF_PATIENT_ID LO "{o}.issuer" Search::EachRow;
    Patient PATIENT_BIRTH_DATE DA "{o}.birth_date_text" Search::Date("{o}.birth_date");
    Patient PATIENT_SEX CS "{o}.sex" Search::EachRow;
    Series BODY_PART_EXAMINED CS "se.body_part" Search::EachRow;
    Study STUDY_INSTANCE_UID UI "st.study_instance_uid" Search::Text("st.study_instance_uid");
    Series SERIES_INSTANCE_UID UI "se.series_instance_uid" Search::Text("se.series_instance_uid");
    Study STUDY_ID SH "st.study_id" Search::Text("st.study_id");
    Series SERIES_NUMBER IS "se.series_number_text" Search::EachRow;
    Instance INSTANCE_NUMBER IS "i.instance_number_text" Search::EachRow;
    Patient NUMBER_OF_PATIENT_RELATED_STUDIES IS "CAST({p}studies{q} AS TEXT)" Search::EachRow;
    Patient NUMBER_OF_PATIENT_RELATED_SERIES IS "CAST({p}series{q} AS TEXT)" Search::EachRow;
    Patient NUMBER_OF_PATIENT_RELATED_INSTANCES IS "CAST({p}instances{q} AS TEXT)" Search::EachRow;
    Study NUMBER_OF_STUDY_RELATED_SERIES IS "CAST(st.series AS TEXT)" Search::EachRow;
    Study NUMBER_OF_STUDY_RELATED_INSTANCES IS "CAST(st.instances AS TEXT)" Search::EachRow;
    Series NUMBER_OF_SERIES_RELATED_INSTANCES IS "CAST(se.instances AS TEXT)" Search::EachRow;
    Series PERFORMED_PROCEDURE_STEP_START_DATE DA "se.performed_date_text" Search::Date("se.performed_date");
    Series PERFORMED_PROCEDURE_STEP_START_TIME TM "se.performed_time_text" Search::EachRow;
}

/// The column of an attribute, when a query at `level` can use it.
pub(super) fn column(tag: Tag, level: Level) -> Option<&'static Column> {
    let at = COLUMNS.binary_search_by(|column| column.tag.cmp(&tag)).ok()?;
    COLUMNS.get(at).filter(|column| column.level <= level)
}

/// Puts the tables that a query at `level` has into a column's SQL.
pub(super) fn sql(template: &str, level: Level) -> String {
    let is_patient = level == Level::Patient;
    template
        .replace("{o}", if is_patient { "p" } else { "st" })
        .replace("{p}", if is_patient { "p." } else { "(SELECT pa." })
        .replace("{q}", if is_patient { "" } else { " FROM patient pa WHERE pa.id = st.patient)" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_tag_order() {
        assert!(COLUMNS.is_sorted_by(|a, b| a.tag < b.tag));
    }

    #[test]
    fn attributes_of_lower_levels_have_no_column() {
        assert!(column(tags::MODALITY, Level::Study).is_none());
        assert!(column(tags::MODALITY, Level::Instance).is_some());
        assert!(column(tags::PATIENT_NAME, Level::Patient).is_some());
    }
}
