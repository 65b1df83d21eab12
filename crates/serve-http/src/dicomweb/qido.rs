//! Search (PS3.18 10.6, QIDO-RS).

mod attributes;

use crate::context::{Asked, Context, Resource};
use crate::model::{self, ListWriter};
use crate::problem::{Problem, Purpose};
use crate::qido_parameters::{self, SearchParameters};
use crate::reply;
use attributes::Attributes;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, WARNING};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gantry_archive::query::{AskedAs, Matches, Query, Wanted};
use gantry_archive::{Archive, Error};
use gantry_core::level::Level;
use gantry_core::principal::Principal;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{self, Key, MatchOptions, Matcher};
use gantry_dicom::model::ModelOptions;
use gantry_dicom::{Tag, Vr, dictionary, tags};

/// Bytes of an answer that are collected before its header fields are sent: short answers, which
/// most are, go in one piece.
const COLLECTED_BYTES: usize = 256 << 10;
/// Bytes of one piece of a long answer.
const PIECE_BYTES: usize = 64 << 10;

/// `GET /patients`: an extension.
pub async fn patients(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    search(&context, &asked, Level::Patient, Within::default()).await
}

/// `GET /studies`.
pub async fn studies(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    search(&context, &asked, Level::Study, Within::default()).await
}

/// `GET /series`.
pub async fn series(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    search(&context, &asked, Level::Series, Within::default()).await
}

/// `GET /instances`.
pub async fn instances(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    search(&context, &asked, Level::Instance, Within::default()).await
}

/// `GET /studies/{study}/series`.
pub async fn series_of(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    search(&context, &asked, Level::Series, resource.into()).await
}

/// `GET /studies/{study}/instances` and `…/series/{series}/instances`.
pub async fn instances_of(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    search(&context, &asked, Level::Instance, resource.into()).await
}

/// The study and the series of the path.
#[derive(Debug, Default)]
struct Within {
    study: Option<Uid>,
    series: Option<Uid>,
}

impl From<Resource> for Within {
    fn from(resource: Resource) -> Self {
        Self {
            study: Some(resource.study),
            series: resource.series,
        }
    }
}

async fn search(
    context: &Context,
    asked: &Asked,
    level: Level,
    within: Within,
) -> Result<Response, Problem> {
    let offer = asked.best(model::OFFERS)?;
    let parameters = SearchParameters::parse(&asked.query)?;
    let limit_max = context.config.search_limit_max.max(1);
    let attributes = Attributes::new(level, &parameters, within.study.is_some());
    let query = query(
        &parameters,
        attributes.wanted.clone(),
        level,
        &within,
        limit_max,
    )?;
    let is_capped = parameters.limit.is_none_or(|limit| limit > limit_max);
    let asked_as = AskedAs {
        service: asked.uri.path(),
        text: asked.uri.query().unwrap_or_default(),
    };
    let matches = context
        .archive
        .find(&asked.principal, query.clone(), asked_as)
        .await
        .map_err(failed)?;
    let list = ListWriter::new(offer, b"search");
    let mut writer = Writing {
        matches,
        list,
        level,
        dicom_web_url: asked.dicom_web_url(),
        attributes,
        count: 0,
    };
    let collected = writer.write(COLLECTED_BYTES).await.map_err(failed)?;
    if writer.count == 0 && collected.is_end {
        return Ok(no_match(context.config.search_empty_as_200, writer.list));
    }
    let mut warnings = Vec::new();
    // Only an answer that may be as long as the limit can have been cut by it.
    let may_be_cut = !collected.is_end || writer.count >= limit_max;
    if is_capped && may_be_cut {
        warnings.extend(remaining(&context.archive, &asked.principal, query, limit_max).await?);
    }
    let content_type = writer.list.content_type();
    let body = if collected.is_end {
        Body::from(collected.bytes)
    } else {
        Body::from_stream(
            stream::iter([Ok(Bytes::from(collected.bytes))]).chain(writer.into_stream()),
        )
    };
    Ok(respond(&content_type, body, &warnings))
}

fn failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Search)
}

fn respond(content_type: &str, body: Body, warnings: &[String]) -> Response {
    let mut response = reply::with_body(content_type, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    for warning in warnings {
        headers.append(
            WARNING,
            reply::header_value(&format!("299 gantry \"{warning}\"")),
        );
    }
    response
}

/// 204, or for clients that cannot take that an empty list.
fn no_match(as_empty_list: bool, mut list: ListWriter) -> Response {
    if !as_empty_list {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut bytes = Vec::new();
    list.finish(&mut bytes);
    respond(&list.content_type(), Body::from(bytes), &[])
}

/// What the client has to be told when the server's limit has cut its answer (PS3.18 8.3.4.4).
async fn remaining(
    archive: &Archive,
    principal: &Principal,
    query: Query,
    limit: u64,
) -> Result<Option<String>, Problem> {
    let offset = query.offset;
    let query = Query {
        wanted: Wanted::Tags(Vec::new()),
        offset: 0,
        limit: None,
        ..query
    };
    let mut matches = archive.find_on(principal, query).map_err(failed)?;
    let mut all = 0u64;
    while let Some(found) = matches.next().await {
        found.map_err(failed)?;
        all += 1;
    }
    let remaining = all.saturating_sub(offset.saturating_add(limit));
    Ok((remaining > 0)
        .then(|| format!("There are {remaining} additional results that can be requested")))
}

/// Builds the question from the parameters and the path.
fn query(
    parameters: &SearchParameters,
    wanted: Wanted,
    level: Level,
    within: &Within,
    limit_max: u64,
) -> Result<Query, Problem> {
    let options = MatchOptions {
        fuzzy: parameters.fuzzy_matching,
        empty_value: parameters.empty_value_matching,
        multiple_value: parameters.multiple_value_matching,
        combined_date_time: false,
        timezone: timezone(parameters)?,
    };
    let mut keys = Vec::new();
    for one in &parameters.matches {
        let [.., tag] = one.path.as_slice() else {
            continue;
        };
        if one.path == [tags::TIMEZONE_OFFSET_FROM_UTC] || rules_request(*tag) {
            continue;
        }
        let described = || qido_parameters::describe(&one.path);
        let matcher = Matcher::parse(vr_of(*tag), &one.value, &options)
            .map_err(|error| Problem::bad_request(format!("{}: {error}", described())))?;
        matching::insert_at(&mut keys, &one.path, matcher)
            .map_err(|error| Problem::bad_request(format!("{}: {error}", described())))?;
    }
    let path = [
        (tags::STUDY_INSTANCE_UID, &within.study),
        (tags::SERIES_INSTANCE_UID, &within.series),
    ];
    for (tag, uid) in path {
        if let Some(uid) = uid {
            let matcher = Matcher::UidList(vec![uid.as_str().to_owned()]);
            keys.push(Key::Attribute { tag, matcher });
        }
    }
    Ok(Query {
        keys,
        wanted,
        timezone: options.timezone,
        offset: parameters.offset,
        limit: Some(parameters.limit.unwrap_or(limit_max).min(limit_max)),
        ..Query::universal(level)
    })
}

/// Attributes of a request that are no conditions.
fn rules_request(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SPECIFIC_CHARACTER_SET | tags::QUERY_RETRIEVE_LEVEL
    ) || dictionary::is_private_creator(tag)
}

/// Timezone Offset From UTC of the request rules its dates and times (PS3.4 C.2.2.2.5).
fn timezone(parameters: &SearchParameters) -> Result<Offset, Problem> {
    let given = parameters
        .matches
        .iter()
        .find(|one| one.path == [tags::TIMEZONE_OFFSET_FROM_UTC])
        .map(|one| one.value.trim())
        .filter(|value| !value.is_empty());
    match given {
        None => Ok(Offset::UTC),
        // A plus sign that nobody encoded has become a space.
        Some(value) => Offset::parse(value)
            .or_else(|| Offset::parse(&format!("+{value}")))
            .ok_or_else(|| Problem::bad_request("TimezoneOffsetFromUTC is not of the form &ZZXX")),
    }
}

/// The VR by which a value is compared.
fn vr_of(tag: Tag) -> Vr {
    match dictionary::implicit_vr(tag, false) {
        // Of a private attribute nothing is known but that clients ask for text.
        Vr::UN => Vr::LO,
        vr => vr,
    }
}

/// An answer being written.
struct Writing {
    matches: Matches,
    list: ListWriter,
    level: Level,
    dicom_web_url: String,
    attributes: Attributes,
    count: u64,
}

struct Piece {
    bytes: Vec<u8>,
    is_end: bool,
}

impl Writing {
    /// Writes the next matches until there are `bytes_max`, and the end of the list behind the
    /// last.
    async fn write(&mut self, bytes_max: usize) -> Result<Piece, Error> {
        let mut bytes = Vec::new();
        while bytes.len() < bytes_max {
            match self.matches.next().await.transpose()? {
                Some(data_set) => self.add(data_set, &mut bytes),
                None => {
                    self.list.finish(&mut bytes);
                    return Ok(Piece {
                        bytes,
                        is_end: true,
                    });
                }
            }
        }
        Ok(Piece {
            bytes,
            is_end: false,
        })
    }

    fn add(&mut self, mut data_set: DataSet, bytes: &mut Vec<u8>) {
        data_set.remove(tags::QUERY_RETRIEVE_LEVEL);
        self.attributes.complete(&mut data_set);
        if let Some(url) = retrieve_url(self.level, &self.dicom_web_url, &data_set) {
            data_set.put_text(tags::RETRIEVE_URL, Vr::UR, &url);
        }
        self.list.add(&data_set, bytes, &ModelOptions::default());
        self.count += 1;
    }

    fn into_stream(
        self,
    ) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::try_unfold(Some(self), async |writing| {
            let Some(mut writing) = writing else {
                return Ok(None);
            };
            let piece = writing.write(PIECE_BYTES).await?;
            let rest = (!piece.is_end).then_some(writing);
            Ok(Some((Bytes::from(piece.bytes), rest)))
        })
    }
}

fn retrieve_url(level: Level, dicom_web_url: &str, data_set: &DataSet) -> Option<String> {
    let study = data_set.ascii(tags::STUDY_INSTANCE_UID);
    let series = data_set.ascii(tags::SERIES_INSTANCE_UID);
    let instance = data_set.ascii(tags::SOP_INSTANCE_UID);
    match level {
        Level::Patient => None,
        Level::Study => Some(format!("{dicom_web_url}/studies/{}", study?)),
        Level::Series => Some(format!(
            "{dicom_web_url}/studies/{}/series/{}",
            study?, series?
        )),
        Level::Instance => Some(crate::context::instance_url_of(
            dicom_web_url,
            study?,
            series?,
            instance?,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_string::QueryString;

    fn built(text: &str, level: Level, within: &Within) -> Result<Query, Problem> {
        let parameters = SearchParameters::parse(&QueryString::parse(Some(text)).unwrap()).unwrap();
        query(&parameters, Wanted::All, level, within, 100)
    }

    fn study() -> Within {
        Within {
            study: Some(Uid::parse("1.2").unwrap()),
            series: None,
        }
    }

    #[test]
    fn conditions_come_from_parameters_and_path() {
        let query = built(
            "PatientName=DOE*&StudyDate=20260101-",
            Level::Series,
            &study(),
        )
        .unwrap();
        let tags_of: Vec<Tag> = query
            .keys
            .iter()
            .map(|key| match key {
                Key::Attribute { tag, .. } => *tag,
                Key::DateAndTime { date, .. } => *date,
            })
            .collect();
        assert_eq!(
            tags_of,
            [
                tags::PATIENT_NAME,
                tags::STUDY_DATE,
                tags::STUDY_INSTANCE_UID
            ]
        );
        assert_eq!(query.level, Level::Series);
    }

    #[test]
    fn empty_values_are_universal() {
        let query = built("PatientComments=", Level::Study, &Within::default()).unwrap();
        assert!(query.keys.iter().all(Key::is_universal));
    }

    #[test]
    fn limits_are_capped() {
        let limit = |text| built(text, Level::Study, &Within::default()).unwrap().limit;
        assert_eq!(limit(""), Some(100));
        assert_eq!(limit("limit=7"), Some(7));
        assert_eq!(limit("limit=1000"), Some(100));
        assert_eq!(limit("limit=0"), Some(0));
    }

    #[test]
    fn values_that_cannot_be_matched_are_bad_requests() {
        for text in [
            "StudyDate=yesterday",
            "Rows=x",
            "PixelData=1",
            "TimezoneOffsetFromUTC=CET",
        ] {
            let problem = built(text, Level::Instance, &Within::default()).unwrap_err();
            assert_eq!(problem.status(), 400, "{text}");
            assert!(!problem.detail().contains("yesterday"));
        }
    }

    #[test]
    fn a_zone_rules_dates_and_is_no_condition() {
        for text in [
            "TimezoneOffsetFromUTC=%2B0100",
            "TimezoneOffsetFromUTC=+0100",
        ] {
            let query = built(text, Level::Study, &Within::default()).unwrap();
            assert!(query.keys.is_empty());
            assert_eq!(query.timezone, Offset::parse("+0100").unwrap());
        }
    }

    #[test]
    fn retrieve_urls_lead_to_what_was_found() {
        let mut data_set = DataSet::new();
        data_set.put_uid(tags::STUDY_INSTANCE_UID, "1.2");
        data_set.put_uid(tags::SERIES_INSTANCE_UID, "1.3");
        data_set.put_uid(tags::SOP_INSTANCE_UID, "1.4");
        let url = |level| retrieve_url(level, "http://a", &data_set);
        assert_eq!(url(Level::Patient), None);
        assert_eq!(url(Level::Study).unwrap(), "http://a/studies/1.2");
        assert_eq!(
            url(Level::Instance).unwrap(),
            "http://a/studies/1.2/series/1.3/instances/1.4"
        );
    }
}
