//! The server's listeners: plain ones and those with TLS, as configured.

use crate::configuration::{Configuration, Listen};
use crate::place::Place;
use anyhow::Context;
use gantry_serve_http::HttpConfig;
use gantry_tls::Tls;
use gantry_tls::authority::Folder;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where HTTPS is if nothing is said.
const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);
/// Where DICOM over TLS is if nothing is said: the port that is registered for it.
const DICOM_TLS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2762);

/// The listeners, open.
#[derive(Debug)]
pub struct Doors {
    http: Option<TcpListener>,
    dicom: Option<TcpListener>,
    https: Option<TcpListener>,
    dicom_tls: Option<TcpListener>,
    tls: Option<Arc<Tls>>,
    /// Where they are.
    pub addresses: Addresses,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// Plain DICOM.
    pub dicom: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// DICOM over TLS.
    pub dicom_tls: Option<SocketAddr>,
}

impl Doors {
    /// Opens what is configured.
    pub async fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        let Listen {
            http,
            dicom,
            https,
            dicom_tls,
        } = configuration.listen;
        let tls = Tls::open(&configuration.tls, &configuration.archive.data)
            .context("TLS cannot be set up")?
            .map(Arc::new);
        let usual = |address| tls.is_some().then_some(address);
        let (https, dicom_tls) = (
            https.address(usual(HTTPS)),
            dicom_tls.address(usual(DICOM_TLS)),
        );
        anyhow::ensure!(
            tls.is_some() || (https.is_none() && dicom_tls.is_none()),
            "there is no certificate for TLS: make one with gantry cert init --data {}",
            configuration.archive.data.display()
        );
        let defaults = Listen::default();
        let usual = |place: Place| place.address(None);
        let http = listen(http.address(usual(defaults.http)), "HTTP").await?;
        let dicom = listen(dicom.address(usual(defaults.dicom)), "DICOM").await?;
        let https = listen(https, "HTTPS").await?;
        let dicom_tls = listen(dicom_tls, "DICOM over TLS").await?;
        let address = |listener: &Option<TcpListener>| {
            let listener = listener.as_ref();
            listener.map(TcpListener::local_addr).transpose()
        };
        let addresses = Addresses {
            http: address(&http)?,
            dicom: address(&dicom)?,
            https: address(&https)?,
            dicom_tls: address(&dicom_tls)?,
        };
        Ok(Self {
            http,
            dicom,
            https,
            dicom_tls,
            tls,
            addresses,
        })
    }

    /// The settings of the HTTP door with what follows from the listeners.
    pub fn http_config(&self, configuration: &Configuration) -> HttpConfig {
        let https = self.addresses.https;
        HttpConfig {
            dicom: self.addresses.dicom.or(self.addresses.dicom_tls),
            authority: Some(Folder::of(&configuration.archive.data))
                .filter(|folder| folder.ca_certificate().is_file()),
            hsts_seconds: configuration.tls.hsts_seconds,
            redirect_to_port: https
                .filter(|_| configuration.tls.redirect_http)
                .map(|address| address.port()),
            ..configuration.http.clone()
        }
    }

    /// The listeners of the HTTP door and of the DICOM door. TLS is looked after from now on.
    pub fn take(self) -> (gantry_serve_http::Listeners, gantry_serve_dimse::Listeners) {
        let tls = self.tls;
        if let Some(tls) = &tls {
            let tls = Arc::clone(tls);
            tokio::spawn(async move { tls.watch().await });
        }
        let https = self.https.zip(tls.as_ref().map(|tls| tls.https()));
        let dicom_tls = self.dicom_tls.zip(tls.as_ref().map(|tls| tls.dicom()));
        (
            gantry_serve_http::Listeners {
                plain: self.http,
                secure: https,
                echo: None,
            },
            gantry_serve_dimse::Listeners {
                plain: self.dicom,
                secure: dicom_tls,
                connector: tls.map(|tls| tls.connector()),
            },
        )
    }
}

async fn listen(address: Option<SocketAddr>, what: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}"))?;
    Ok(Some(listener))
}

impl Addresses {
    /// The line by which programs find the server: `gantry ready`, and a `key=value` pair for
    /// each listener that is open.
    pub fn ready_line(&self, ae_title: &str) -> String {
        let pair = |key: &str, address: Option<SocketAddr>| {
            address.map_or_else(String::new, |address| format!(" {key}={address}"))
        };
        let mut line = String::from("gantry ready");
        line.push_str(&pair("http", self.http));
        line.push_str(&pair("dicom", self.dicom));
        line.push_str(" ae=");
        line.push_str(&ae_title.replace(' ', "_"));
        line.push_str(&pair("https", self.https));
        line.push_str(&pair("dicom_tls", self.dicom_tls));
        line
    }

    /// The addresses of pages and services, for people.
    pub fn web(&self) -> Vec<String> {
        let https = self
            .https
            .map(|address| format!("https://{}", named(address)));
        let http = self.http.map(|address| format!("http://{address}"));
        https.into_iter().chain(http).collect()
    }

    /// The addresses that modalities send to, for people.
    pub fn modalities(&self) -> Vec<String> {
        let tls = self.dicom_tls.map(|address| format!("{address} (TLS)"));
        let plain = self.dicom.map(|address| address.to_string());
        tls.into_iter().chain(plain).collect()
    }
}

/// A certificate is for names: one that listens on all addresses is shown by this machine's own.
fn named(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_what_is_open() {
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let all = Addresses {
            http: at(1),
            dicom: at(2),
            https: at(3),
            dicom_tls: at(4),
        };
        assert_eq!(
            all.ready_line("MY PACS"),
            "gantry ready http=127.0.0.1:1 dicom=127.0.0.1:2 ae=MY_PACS \
             https=127.0.0.1:3 dicom_tls=127.0.0.1:4"
        );
        let secure = Addresses {
            https: at(3),
            ..Addresses::default()
        };
        assert_eq!(
            secure.ready_line("A"),
            "gantry ready ae=A https=127.0.0.1:3"
        );
        assert_eq!(secure.web(), ["https://127.0.0.1:3"]);
    }
}
