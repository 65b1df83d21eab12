//! Requests over HTTP/1.1 to one server.

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream;
use gantry_tls::{ClientConfig, Connector, TlsConfig};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest answer that is read into memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The path of the services when the address has none.
const DEFAULT_PATH: &str = "/dicom-web";
/// The environment variable with an API token.
const TOKEN_VARIABLE: &str = "GANTRY_TOKEN";

/// The environment variable that names a file of authorities (PEM).
const CA_VARIABLE: &str = "GANTRY_CA";
/// The authorities that the system trusts, where Debian has them.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A DICOMweb server.
#[derive(Debug, Clone)]
pub struct DicomWeb {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    /// Without a slash at the end.
    base: String,
    /// What says who asks.
    authorization: Option<HeaderValue>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How long to wait before the next try, when the server says so.
    pub retry_after: Option<Duration>,
    /// The texts of its Warning fields (RFC 9111 5.5, which PS3.18 goes on using).
    pub warnings: Vec<String>,
    /// Its body.
    pub body: Bytes,
}

impl DicomWeb {
    /// The server at `http[s]://host[:port][/path]`; without a path, `/dicom-web`. It is trusted
    /// if an authority of this machine, or of the file that `GANTRY_CA` names, vouches for it.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let named = std::env::var_os(CA_VARIABLE).map(PathBuf::from);
        Self::trusting(address, named.as_deref())
    }

    /// As [`Self::new`], with the authority of this file.
    pub fn trusting(address: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let uri: Uri = address
            .parse()
            .with_context(|| format!("{address:?} is not an address"))?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme,
            _ => anyhow::bail!("{address:?} begins neither with http:// nor with https://"),
        };
        let authority = uri
            .authority()
            .with_context(|| format!("{address:?} has no host"))?;
        anyhow::ensure!(
            uri.query().is_none(),
            "{address:?}: an address has no query"
        );
        let path = match uri.path().trim_end_matches('/') {
            "" => DEFAULT_PATH,
            path => path,
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self {
            client,
            base: format!("{scheme}://{authority}{path}"),
            authorization: None,
        })
    }

    /// The server at `address`, asked with the API token in the environment, if there is one.
    pub fn of_environment(address: &str) -> anyhow::Result<Self> {
        let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
        Self::new(address)?.with_token(&token)
    }

    /// Shows a token with every request; an empty one is none.
    pub fn with_token(self, token: &str) -> anyhow::Result<Self> {
        if token.is_empty() {
            return Ok(self);
        }
        let mut field = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the API token is not one")?;
        field.set_sensitive(true);
        Ok(Self {
            authorization: Some(field),
            ..self
        })
    }

    /// The address of the services.
    #[cfg(test)]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET of a path below the services; the body comes as it arrives.
    pub async fn get(&self, path: &str, accept: &str) -> anyhow::Result<Response<Incoming>> {
        self.get_from(format!("{}{path}", self.base), accept).await
    }

    /// GET of a path of the same server that is none of the services.
    pub async fn get_beside(&self, path: &str) -> anyhow::Result<Answer> {
        let uri: Uri = self.base.parse()?;
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri
            .authority()
            .context("the server's address has no host")?;
        let address = format!("{scheme}://{authority}{path}");
        read_answer(self.get_from(address, "application/json").await?).await
    }

    async fn get_from(&self, address: String, accept: &str) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(address)
            .header(ACCEPT, accept)
            .body(UnsyncBoxBody::new(Empty::new()))?;
        self.send(request).await
    }

    /// POST of a body that comes through a channel; `cut` to the sender's end tells by closing
    /// the channel.
    pub async fn post(
        &self,
        path: &str,
        content_type: &str,
        accept: &str,
        chunks: mpsc::Receiver<Bytes>,
    ) -> anyhow::Result<Answer> {
        let frames = stream::unfold(chunks, |mut chunks| async move {
            chunks
                .recv()
                .await
                .map(|chunk| (Ok::<_, Infallible>(Frame::data(chunk)), chunks))
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, accept)
            .body(UnsyncBoxBody::new(StreamBody::new(frames)))?;
        read_answer(self.send(request).await?).await
    }

    async fn send(&self, mut request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        if let Some(field) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, field.clone());
        }
        self.client
            .request(request)
            .await
            .with_context(|| format!("no answer from {}", self.base))
    }
}

/// Whom to trust.
fn tls(ca: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let system = Path::new(SYSTEM_AUTHORITIES);
    let system = system.is_file().then_some(system);
    let authorities = system.into_iter().chain(ca);
    let connector = Connector::from_files(&TlsConfig::default(), authorities, None)?;
    Ok((*connector.client_config()).clone())
}

/// Reads the whole of an answer that is known to be small.
pub async fn read_answer(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let warnings = response.headers().get_all(WARNING).iter();
    let warnings = warnings
        .filter_map(|value| warning_text(value.to_str().ok()?))
        .collect();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body = body
        .map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?
        .to_bytes();
    Ok(Answer {
        status,
        retry_after,
        warnings,
        body,
    })
}

/// The text of a Warning field: `299 agent "text"`.
fn warning_text(field: &str) -> Option<String> {
    let (_, text) = field.split_once('"')?;
    let (text, _) = text.rsplit_once('"')?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a server says is wrong: the `detail` or `title` of a problem (RFC 9457), or the start of
/// the text.
pub fn problem_text(answer: &Answer) -> String {
    let problem = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let member = |name| problem.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = member("detail")
        .or_else(|| member("title"))
        .unwrap_or_else(|| {
            String::from_utf8_lossy(&answer.body)
                .chars()
                .take(200)
                .collect()
        });
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>();
    match text.trim() {
        "" => answer.status.to_string(),
        text => format!("{}: {text}", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_completed() {
        let base = |address| DicomWeb::new(address).map(|server| server.base().to_owned());
        assert_eq!(base("http://h:8104").unwrap(), "http://h:8104/dicom-web");
        assert_eq!(base("http://h:8104/").unwrap(), "http://h:8104/dicom-web");
        assert_eq!(base("http://h/pacs/rs/").unwrap(), "http://h/pacs/rs");
        assert_eq!(base("https://h").unwrap(), "https://h/dicom-web");
        for wrong in ["h:8104", "http://h/x?y", "", "ftp://h"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_warning_s_text_is_what_is_quoted() {
        let text = warning_text("299 gantry \"cut: 5 bytes missing\"");
        assert_eq!(text.as_deref(), Some("cut: 5 bytes missing"));
        for none in ["", "299 gantry", "299 gantry \"", "299 gantry \"\""] {
            assert_eq!(warning_text(none), None, "{none}");
        }
    }

    #[test]
    fn problems_are_shown_by_their_detail() {
        let answer = |body: &'static str| Answer {
            status: StatusCode::CONFLICT,
            retry_after: None,
            warnings: Vec::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let text = problem_text(&answer(
            r#"{"title":"t","detail":"no\u001b[2J such study"}"#,
        ));
        assert_eq!(text, "409 Conflict: no [2J such study");
        assert_eq!(problem_text(&answer("")), "409 Conflict");
        assert_eq!(problem_text(&answer("plain")), "409 Conflict: plain");
    }
}
