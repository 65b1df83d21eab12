//! The query parameters of Search transactions (PS3.18 8.3.4).

use crate::problem::Problem;
use crate::query_string::QueryString;
use gantry_dicom::{Tag, dictionary};

/// Most attributes a search may name.
const ATTRIBUTES_MAX: usize = 256;
/// Deepest attribute inside sequences that a search may name.
const PATH_DEPTH_MAX: usize = 8;

/// An attribute: its tag, or the tags of the sequences around it and then its own.
pub type Path = Vec<Tag>;

/// A matching parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The attribute.
    pub path: Path,
    /// The value as it was given, decoded; empty for universal matching.
    pub value: String,
}

/// What a search asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchParameters {
    /// All of these have to match; each attribute once.
    pub matches: Vec<Match>,
    /// Attributes to return beside the default ones.
    pub include: Vec<Path>,
    /// `includefield=all`.
    pub include_all: bool,
    /// Most results wanted.
    pub limit: Option<u64>,
    /// Results to skip.
    pub offset: u64,
    /// `fuzzymatching=true` (PS3.18 8.3.4.2).
    pub fuzzy_matching: bool,
    /// `emptyvaluematching=true` (PS3.18 8.3.4.5).
    pub empty_value_matching: bool,
    /// `multiplevaluematching=true` (PS3.18 8.3.4.6).
    pub multiple_value_matching: bool,
}

impl SearchParameters {
    /// Reads the parameters of a search; `accept` is not one of them.
    ///
    /// # Errors
    /// 400 for an attribute that is unknown or named twice, and for a malformed option.
    pub fn parse(query: &QueryString) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (name, value) in query.iter() {
            match name {
                "accept" | "charset" => {}
                "includefield" => parameters.include(value)?,
                "limit"
                | "offset"
                | "fuzzymatching"
                | "emptyvaluematching"
                | "multiplevaluematching" => {}
                attribute => parameters.add_match(attribute, value)?,
            }
            if parameters.matches.len() + parameters.include.len() > ATTRIBUTES_MAX {
                return Err(Problem::bad_request("search names too many attributes"));
            }
        }
        parameters.limit = unsigned(query, "limit")?;
        parameters.offset = unsigned(query, "offset")?.unwrap_or(0);
        parameters.fuzzy_matching = boolean(query, "fuzzymatching")?;
        parameters.empty_value_matching = boolean(query, "emptyvaluematching")?;
        parameters.multiple_value_matching = boolean(query, "multiplevaluematching")?;
        Ok(parameters)
    }

    fn add_match(&mut self, attribute: &str, value: &str) -> Result<(), Problem> {
        let path = parse_path(attribute)?;
        if self.matches.iter().any(|other| other.path == path) {
            return Err(Problem::bad_request(format!(
                "attribute {} is given more than once",
                describe(&path)
            )));
        }
        self.matches.push(Match {
            path,
            value: value.to_owned(),
        });
        Ok(())
    }

    fn include(&mut self, list: &str) -> Result<(), Problem> {
        for attribute in list
            .split(',')
            .map(str::trim)
            .filter(|attribute| !attribute.is_empty())
        {
            if attribute == "all" {
                self.include_all = true;
                continue;
            }
            let path = parse_path(attribute)?;
            if !self.include.contains(&path) {
                self.include.push(path);
            }
            if self.include.len() > ATTRIBUTES_MAX {
                return Err(Problem::bad_request("search names too many attributes"));
            }
        }
        Ok(())
    }
}

/// Reads `keyword`, `ggggeeee` or a path of them with dots.
fn parse_path(attribute: &str) -> Result<Path, Problem> {
    let unknown = || {
        let shown: String = attribute
            .chars()
            .filter(|c| c.is_ascii_graphic())
            .take(64)
            .collect();
        Problem::bad_request(format!("unknown attribute or parameter {shown:?}"))
    };
    if attribute.split('.').count() > PATH_DEPTH_MAX {
        return Err(unknown());
    }
    attribute
        .split('.')
        .map(|part| dictionary::parse_attribute(part).ok_or_else(unknown))
        .collect()
}

/// The attribute in a message: keywords where there are some.
pub fn describe(path: &[Tag]) -> String {
    let name = |tag: &Tag| {
        dictionary::keyword(*tag)
            .map_or_else(|| format!("{:04X}{:04X}", tag.0, tag.1), str::to_owned)
    };
    path.iter().map(name).collect::<Vec<_>>().join(".")
}

fn unsigned(query: &QueryString, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = query.single(name)? else {
        return Ok(None);
    };
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_plain => Ok(Some(number)),
        _ => Err(Problem::bad_request(format!(
            "{name} is not an unsigned integer"
        ))),
    }
}

fn boolean(query: &QueryString, name: &str) -> Result<bool, Problem> {
    match query.single(name)?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::bad_request(format!(
            "{name} is neither true nor false"
        ))),
    }
}

/// The values of a list of UIDs, which commas separate here and backslashes in DIMSE
/// (PS3.18 8.3.4.1).
pub fn uid_list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([',', '\\'])
        .map(str::trim)
        .filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::tags;
    use proptest::prelude::*;

    fn parse(query: &str) -> Result<SearchParameters, Problem> {
        SearchParameters::parse(&QueryString::parse(Some(query)).unwrap())
    }

    fn matched(path: &[Tag], value: &str) -> Match {
        Match {
            path: path.to_vec(),
            value: value.into(),
        }
    }

    #[test]
    fn attributes_are_named_by_keyword_tag_and_path() {
        let found = parse(
            "PatientName=DOE*&00100020=&0040a730.0040A160=x&\
             RequestAttributesSequence.ScheduledProcedureStepID=1",
        );
        assert_eq!(
            found.unwrap().matches,
            [
                matched(&[tags::PATIENT_NAME], "DOE*"),
                matched(&[tags::PATIENT_ID], ""),
                matched(&[tags::CONTENT_SEQUENCE, tags::TEXT_VALUE], "x"),
                matched(
                    &[
                        tags::REQUEST_ATTRIBUTES_SEQUENCE,
                        tags::SCHEDULED_PROCEDURE_STEP_ID
                    ],
                    "1"
                ),
            ]
        );
    }

    #[test]
    fn private_tags_can_be_named() {
        let found = parse("00091001=x&includefield=00091002").unwrap();
        assert_eq!(found.matches, [matched(&[Tag(0x0009, 0x1001)], "x")]);
        assert_eq!(found.include, [vec![Tag(0x0009, 0x1002)]]);
    }

    #[test]
    fn included_fields_come_as_list_and_repeated() {
        let found = parse("includefield=00081030,PatientName&includefield=00080060%2C00081030");
        let found = found.unwrap();
        assert_eq!(
            found.include,
            [
                vec![tags::STUDY_DESCRIPTION],
                vec![tags::PATIENT_NAME],
                vec![tags::MODALITY],
            ]
        );
        assert!(!found.include_all);
        assert!(parse("includefield=all").unwrap().include_all);
    }

    #[test]
    fn options_are_read() {
        let found = parse(
            "limit=10&offset=20&fuzzymatching=true&emptyvaluematching=TRUE&multiplevaluematching=false&accept=a/b",
        );
        assert_eq!(
            found.unwrap(),
            SearchParameters {
                limit: Some(10),
                offset: 20,
                fuzzy_matching: true,
                empty_value_matching: true,
                ..SearchParameters::default()
            }
        );
    }

    #[test]
    fn wrong_parameters_are_bad_requests() {
        for query in [
            "PatientNam=x",
            "patientname=x",
            "0010=x",
            "PatientName=x&00100010=y",
            "PatientName=&PatientName=",
            "limit=-1",
            "limit=%2B1",
            "limit=ten",
            "limit=",
            "limit=1&limit=1",
            "offset=1.5",
            "offset=99999999999999999999999",
            "fuzzymatching=maybe",
            "includefield=Nonsense",
            "a.b.c.d.e.f.g.h.i=1",
            "=x",
        ] {
            assert_eq!(parse(query).unwrap_err().status(), 400, "{query}");
        }
        let many: Vec<String> = (0..300)
            .map(|n| format!("0009{:04X}=", 0x1000 + n))
            .collect();
        assert_eq!(parse(&many.join("&")).unwrap_err().status(), 400);
    }

    #[test]
    fn uid_lists_have_commas_or_backslashes() {
        assert_eq!(
            uid_list("1.2,1.3\\1.4, 1.5,").collect::<Vec<_>>(),
            ["1.2", "1.3", "1.4", "1.5"]
        );
        assert_eq!(uid_list("").count(), 0);
    }

    #[test]
    fn attributes_are_described_by_keyword() {
        assert_eq!(
            describe(&[tags::CONTENT_SEQUENCE, Tag(9, 0x1001)]),
            "ContentSequence.00091001"
        );
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(
            query in "((PatientName|0010|limit|offset|includefield|all|[0-9A-F]{8})[=&.,%]?){0,12}"
        ) {
            if let Ok(query) = QueryString::parse(Some(&query)) {
                let _ = SearchParameters::parse(&query);
            }
        }
    }
}
