//! What every handler has: the archive, the settings, and what the request says of itself.

use crate::accept::{Accept, Acceptable, Offer, describe};
use crate::api::peers::EchoPeer;
use crate::body_cache::BodyCache;
use crate::caller;
use crate::config::HttpConfig;
use crate::connection::Peer;
use crate::problem::{Problem, Purpose};
use crate::query_string::QueryString;
use crate::series_window::WindowMemory;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use gantry_archive::Archive;
use gantry_archive::retrieve::{InstanceRef, Selection};
use gantry_core::access::Right;
use gantry_core::level::Level;
use gantry_core::principal::Principal;
use gantry_core::uid::Uid;
use gantry_identity::{Caller, Identity};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where DICOMweb is.
pub const DICOM_WEB: &str = "/dicom-web";

/// The parts of the door that all requests share.
#[derive(Clone)]
pub struct Context {
    /// The use cases.
    pub archive: Arc<Archive>,
    /// Who may come in; nothing where nobody has to log in.
    pub identity: Option<Arc<Identity>>,
    /// Asks peers whether they answer; nothing without a DICOM door.
    pub echo: Option<EchoPeer>,
    /// The settings.
    pub config: Arc<HttpConfig>,
    /// The address of the listener.
    pub listening: SocketAddr,
    /// Windows found for series that have none.
    pub windows: Arc<WindowMemory>,
    /// Metadata that were made before.
    pub bodies: Arc<BodyCache>,
}

impl Context {
    /// What the handlers of one listener share.
    pub fn new(
        archive: Arc<Archive>,
        identity: Option<Arc<Identity>>,
        config: Arc<HttpConfig>,
        listening: SocketAddr,
    ) -> Self {
        Self {
            identity,
            echo: None,
            bodies: BodyCache::new(config.metadata_cache_bytes),
            archive,
            config,
            listening,
            windows: Arc::default(),
        }
    }
}

/// What a request says, beside its path and body.
#[derive(Debug)]
pub struct Asked {
    /// Who asks, for the archive.
    pub principal: Arc<Principal>,
    /// Who asks, if they have logged in.
    pub caller: Option<Arc<Caller>>,
    /// The path and the query as they came.
    pub uri: Uri,
    /// The query, decoded.
    pub query: QueryString,
    /// The header fields.
    pub headers: HeaderMap,
    /// Address of the server as the client sees it, without a slash at the end.
    pub server_url: String,
}

impl Asked {
    /// What the client takes of `offers`, best first.
    ///
    /// # Errors
    /// 400 when Accept cannot be read, 406 when nothing is taken.
    pub fn acceptable(&self, offers: &[Offer]) -> Result<Vec<Acceptable>, Problem> {
        let header = self
            .headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let accept = Accept::parse(self.query.all("accept"), header)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        let acceptable = accept.acceptable(offers);
        if acceptable.is_empty() {
            return Err(Problem::not_acceptable(&describe(offers)));
        }
        Ok(acceptable)
    }

    /// What the client likes best of `offers`.
    ///
    /// # Errors
    /// As [`Self::acceptable`].
    pub fn best(&self, offers: &[Offer]) -> Result<Offer, Problem> {
        let acceptable = self.acceptable(offers)?;
        let best = acceptable.first().and_then(|one| offers.get(one.offer));
        best.copied()
            .ok_or_else(|| Problem::not_acceptable(&describe(offers)))
    }

    /// Address of DICOMweb as the client sees it.
    pub fn dicom_web_url(&self) -> String {
        format!("{}{DICOM_WEB}", self.server_url)
    }
}

impl FromRequestParts<Context> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        // Without the gate nobody is anybody.
        let principal = parts.extensions.get::<Arc<Principal>>().cloned();
        Ok(Self {
            principal: principal.unwrap_or_else(|| Arc::new(caller::stranger(None))),
            caller: parts.extensions.get::<Arc<Caller>>().cloned(),
            uri: parts.uri.clone(),
            query: QueryString::parse(parts.uri.query())?,
            server_url: caller::base_url(
                &parts.uri,
                &parts.headers,
                &context.config,
                context.listening,
                Peer::is_secure(&parts.extensions),
            ),
            headers: parts.headers.clone(),
        })
    }
}

/// A study, series or instance named by the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID, below a study.
    pub series: Option<Uid>,
    /// SOP Instance UID, below a series.
    pub instance: Option<Uid>,
}

impl Resource {
    /// Study, series or instance.
    pub fn level(&self) -> Level {
        match (&self.series, &self.instance) {
            (_, Some(_)) => Level::Instance,
            (Some(_), None) => Level::Series,
            (None, None) => Level::Study,
        }
    }

    /// What the archive is asked for.
    pub fn selection(&self) -> Selection {
        let list = |uid: &Option<Uid>| uid.iter().map(|uid| uid.as_str().to_owned()).collect();
        Selection {
            studies: vec![self.study.as_str().to_owned()],
            series: list(&self.series),
            instances: list(&self.instance),
            ..Selection::default()
        }
    }

    /// The instances of this resource in the order of the series, as far as the one who asks has
    /// `right` over them.
    ///
    /// # Errors
    /// 404 when there is none, 410 when there was.
    pub async fn instances(
        &self,
        context: &Context,
        principal: &Principal,
        right: Right,
    ) -> Result<Vec<InstanceRef>, Problem> {
        let failed = |error| Problem::from_archive(&error, Purpose::Retrieve);
        let selection = self.selection();
        let instances = context
            .archive
            .select(principal, right, &selection)
            .await
            .map_err(failed)?;
        if !instances.is_empty() {
            return Ok(instances);
        }
        let word = match self.level() {
            Level::Patient | Level::Study => "study",
            Level::Series => "series",
            Level::Instance => "instance",
        };
        if context
            .archive
            .was_deleted(principal, &selection)
            .await
            .map_err(failed)?
        {
            return Err(Problem::gone(format!("the {word} was deleted")));
        }
        Err(Problem::not_found(format!("there is no such {word}")))
    }
}

impl FromRequestParts<Context> for Resource {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, context)
            .await
            .map_err(|_| Problem::bad_request("path is not UTF-8"))?;
        let uid = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| {
                    Uid::parse_lenient(value)
                        .map_err(|error| Problem::bad_request(format!("{name}: {error}")))
                })
                .transpose()
        };
        let study = uid("study")?.ok_or_else(|| Problem::not_found("no study in the path"))?;
        Ok(Self {
            study,
            series: uid("series")?,
            instance: uid("instance")?,
        })
    }
}

/// The URL of an instance.
pub fn instance_url(dicom_web_url: &str, instance: &InstanceRef) -> String {
    instance_url_of(
        dicom_web_url,
        &instance.study_instance_uid,
        &instance.series_instance_uid,
        &instance.sop_instance_uid,
    )
}

/// The URL of an instance with these identifiers.
pub fn instance_url_of(dicom_web_url: &str, study: &str, series: &str, instance: &str) -> String {
    format!("{dicom_web_url}/studies/{study}/series/{series}/instances/{instance}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a GET request without a query says with these header fields.
    pub(crate) fn asked(fields: &[(&str, &str)]) -> Asked {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        Asked {
            principal: Arc::new(caller::everybody(None)),
            caller: None,
            uri: Uri::default(),
            query: QueryString::default(),
            headers,
            server_url: "http://localhost".into(),
        }
    }

    #[test]
    fn nothing_acceptable_is_told_with_what_there_is() {
        let offers = [Offer::single("application/dicom+json")];
        let problem = asked(&[("accept", "image/png")])
            .acceptable(&offers)
            .unwrap_err();
        assert_eq!(problem.status(), 406);
        assert!(problem.detail().contains("application/dicom+json"));
        let problem = asked(&[("accept", "nonsense")])
            .acceptable(&offers)
            .unwrap_err();
        assert_eq!(problem.status(), 400);
    }

    #[test]
    fn a_resource_is_selected_at_its_level() {
        let uid = |text: &str| Uid::parse(text).unwrap();
        let study = Resource {
            study: uid("1.2"),
            series: None,
            instance: None,
        };
        assert_eq!(study.level(), Level::Study);
        let instance = Resource {
            series: Some(uid("1.3")),
            instance: Some(uid("1.4")),
            ..study
        };
        assert_eq!(instance.level(), Level::Instance);
        let selection = instance.selection();
        assert_eq!(selection.studies, ["1.2"]);
        assert_eq!(selection.series, ["1.3"]);
        assert_eq!(selection.instances, ["1.4"]);
    }
}
