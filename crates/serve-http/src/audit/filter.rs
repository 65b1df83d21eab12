//! Which events a request is about.

use crate::problem::Problem;
use crate::query_string::QueryString;
use crate::request_body::RequestBody;
use axum::body::Body;
use gantry_audit::export::{rfc3339, rfc3339_parse};
use gantry_audit::{Filter, Kind};
use gantry_core::access::PatientIdentity;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Events of a page that names no number.
const LIMIT_DEFAULT: usize = 100;
/// Most events of one page.
const LIMIT_MAX: usize = 1000;
/// Longest body of a request.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which events.
    pub filter: Filter,
    /// Only those before this number.
    pub before: Option<u64>,
    /// How many.
    pub limit: usize,
}

/// The same as the body of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WantedBody {
    from: Option<String>,
    until: Option<String>,
    person: Option<String>,
    ae: Option<String>,
    address: Option<String>,
    patient_id: Option<String>,
    issuer: Option<String>,
    study: Option<String>,
    kinds: Vec<String>,
    failures: bool,
    before: Option<u64>,
    limit: Option<usize>,
}

/// The patient of an access report, and the time it is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientBody {
    patient_id: String,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    until: Option<String>,
}

impl Wanted {
    /// What the query of a URL asks for. It cannot name a patient.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn of_query(query: &QueryString) -> Result<Self, Problem> {
        const KNOWN: [&str; 11] = [
            "from", "until", "person", "ae", "address", "study", "kind", "failures", "before",
            "limit", "accept",
        ];
        if let Some((name, _)) = query.iter().find(|(name, _)| !KNOWN.contains(name)) {
            return Err(Problem::bad_request(format!(
                "there is no parameter {name}; a patient is named in the body of POST \
                 /api/audit/search"
            )));
        }
        let text = |name: &str| query.single(name).map(|value| value.map(str::to_owned));
        let number = |name: &str| {
            let not_one = |_| Problem::bad_request(format!("{name} is not an unsigned integer"));
            let value = query.single(name)?;
            value
                .map(|it| it.parse::<u64>().map_err(not_one))
                .transpose()
        };
        let kinds = query
            .all("kind")
            .flat_map(|list| list.split(','))
            .map(str::to_owned)
            .collect();
        WantedBody {
            from: text("from")?,
            until: text("until")?,
            person: text("person")?,
            ae: text("ae")?,
            address: text("address")?,
            patient_id: None,
            issuer: None,
            study: text("study")?,
            kinds,
            failures: match query.single("failures")? {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(Problem::bad_request("failures is true or false")),
            },
            before: number("before")?,
            limit: number("limit")?.map(|it| usize::try_from(it).unwrap_or(usize::MAX)),
        }
        .wanted()
    }
}

impl WantedBody {
    /// What it asks for.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn wanted(self) -> Result<Wanted, Problem> {
        if self.issuer.is_some() && self.patient_id.is_none() {
            return Err(Problem::bad_request("issuer needs a patient_id"));
        }
        let kind = |word: String| {
            Kind::parse(&word)
                .ok_or_else(|| Problem::bad_request(format!("there is no kind {word:?}")))
        };
        let issuer = self.issuer;
        Ok(Wanted {
            filter: Filter {
                from: time("from", self.from)?,
                until: time("until", self.until)?,
                person: self.person,
                calling_ae: self.ae,
                address: self.address,
                patient: self
                    .patient_id
                    .map(|patient_id| PatientIdentity { patient_id, issuer }),
                study: self.study,
                kinds: self.kinds.into_iter().map(kind).collect::<Result<_, _>>()?,
                only_failures: self.failures,
            },
            before: self.before,
            limit: self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX),
        })
    }
}

impl PatientBody {
    /// The events of a report.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn filter(self) -> Result<Filter, Problem> {
        if self.patient_id.is_empty() {
            return Err(Problem::bad_request("patient_id is empty"));
        }
        Ok(Filter {
            from: time("from", self.from)?,
            until: time("until", self.until)?,
            patient: Some(PatientIdentity {
                patient_id: self.patient_id,
                issuer: self.issuer,
            }),
            ..Filter::default()
        })
    }
}

fn time(name: &str, text: Option<String>) -> Result<Option<i64>, Problem> {
    let wrong = || {
        Problem::bad_request(format!(
            "{name} is no time such as 2026-11-22 or 2026-11-22T08:00:00Z"
        ))
    };
    text.map(|text| rfc3339_parse(&text).ok_or_else(wrong))
        .transpose()
}

/// The JSON of a request's body.
///
/// # Errors
/// 400 when it is not what is expected, 408 and 413 when it does not come or is too long.
pub async fn json<T: DeserializeOwned>(body: Body, timeout: Duration) -> Result<T, Problem> {
    let mut body = RequestBody::new(body, timeout, BODY_BYTES_MAX);
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        bytes.extend_from_slice(b"{}");
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("the body cannot be understood: {error}")))
}

/// The filter in words, for the event that says what was read; the patient has a field there.
pub fn words(filter: &Filter) -> String {
    let Filter {
        from,
        until,
        person,
        calling_ae,
        address,
        patient: _,
        study,
        kinds,
        only_failures,
    } = filter;
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    [
        ("from", from.map(rfc3339)),
        ("until", until.map(rfc3339)),
        ("person", person.clone()),
        ("ae", calling_ae.clone()),
        ("address", address.clone()),
        ("study", study.clone()),
        ("kind", (!kinds.is_empty()).then(|| kinds.join(","))),
        ("failures", only_failures.then(|| "true".to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect::<Vec<_>>()
    .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Problem> {
        Wanted::of_query(&QueryString::parse(Some(query)).unwrap())
    }

    #[test]
    fn a_query_becomes_a_filter_and_words_again() {
        let wanted = wanted(
            "from=2026-11-01&person=doe&kind=viewed,sent&kind=queried&failures=true&limit=5000\
             &before=9",
        )
        .unwrap();
        assert_eq!(wanted.limit, LIMIT_MAX);
        assert_eq!(wanted.before, Some(9));
        assert_eq!(
            wanted.filter.kinds,
            [Kind::Viewed, Kind::Sent, Kind::Queried]
        );
        assert_eq!(
            words(&wanted.filter),
            "from=2026-11-01T00:00:00.000000Z&person=doe&kind=viewed,sent,queried&failures=true"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for query in [
            "patient_id=1",
            "kind=nonsense",
            "from=yesterday",
            "limit=x",
            "failures=1",
            "person=a&person=b",
        ] {
            assert_eq!(wanted(query).unwrap_err().status(), 400, "{query}");
        }
        let body: WantedBody = serde_json::from_str(r#"{"issuer":"North"}"#).unwrap();
        assert_eq!(body.wanted().unwrap_err().status(), 400);
        assert!(serde_json::from_str::<WantedBody>(r#"{"pateint_id":"1"}"#).is_err());
    }
}
