//! What a site may set about the HTTP door.

use gantry_tls::authority::Folder;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the HTTP door; each has a default that serves.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where modalities send to, to be shown on the start page; whoever starts the server says it.
    #[serde(skip)]
    pub dicom: Option<SocketAddr>,
    /// The local certificate authority, if there is one; whoever starts the server says it.
    #[serde(skip)]
    pub authority: Option<Folder>,
    /// Seconds for which browsers shall remember to use HTTPS alone; whoever starts the server
    /// says it.
    #[serde(skip)]
    pub hsts_seconds: u64,
    /// The port of HTTPS to which plain requests are redirected; whoever starts the server says
    /// it.
    #[serde(skip)]
    pub redirect_to_port: Option<u16>,
    /// The address under which clients reach this server (`https://pacs.example`), for the URLs in
    /// answers. Empty: taken from the request's Forwarded, X-Forwarded-… and Host header fields.
    pub public_url: String,
    /// Whether Forwarded and X-Forwarded-… header fields are believed. Right behind a reverse
    /// proxy that sets them; harmless without one, since only URLs in the answer depend on them.
    pub trust_forwarded: bool,
    /// Requests per second that one address may make over a longer time, and ten times as many at
    /// once; 0: any number. This machine itself may always make any number.
    pub requests_per_second_per_address: u32,
    /// Requests per second that one person, token or service may make; as above.
    pub requests_per_second_per_principal: u32,
    /// Attempts per minute to log in from one address, this machine included; 0: any number.
    pub logins_per_minute_per_address: u32,
    /// Origins of browsers' pages that may read answers (`https://viewer.example`); `*` means
    /// every origin. Empty: pages of this server only.
    pub cors_origins: Vec<String>,
    /// Connections open at once; more wait to be accepted.
    pub connections_max: usize,
    /// Seconds within which a request's header fields have to arrive; also how long a connection
    /// may stay open without a request.
    pub header_timeout_seconds: u64,
    /// Seconds that may pass between two pieces of a request's body.
    pub body_timeout_seconds: u64,
    /// Seconds that a client may leave an answer unread.
    pub write_timeout_seconds: u64,
    /// Largest body of a store request in bytes; 0 means no limit.
    pub store_bytes_max: u64,
    /// Most parts of a store request.
    pub store_parts_max: usize,
    /// Largest metadata part of a store request in bytes. Metadata are held in memory.
    pub store_metadata_bytes_max: usize,
    /// Bytes of bulk values of a store request of metadata that wait in memory until the instances
    /// are put together; what is more waits in a staging file.
    pub store_bulk_memory_bytes: usize,
    /// Results of a search that names no limit, and the highest limit that is granted.
    pub search_limit_max: u64,
    /// Whether a search without a match is answered with 200 and an empty list instead of 204,
    /// for clients that cannot take 204.
    pub search_empty_as_200: bool,
    /// Bytes of metadata answers that are kept, compressed as they were sent; 0 keeps none.
    pub metadata_cache_bytes: usize,
    /// Frames that one request may list.
    pub frames_max: usize,
    /// Largest width and height of a rendered picture in pixels.
    pub rendered_pixels_max: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            dicom: None,
            authority: None,
            hsts_seconds: 0,
            redirect_to_port: None,
            public_url: String::new(),
            trust_forwarded: true,
            requests_per_second_per_address: 2000,
            requests_per_second_per_principal: 2000,
            logins_per_minute_per_address: 60,
            cors_origins: Vec::new(),
            connections_max: 8192,
            header_timeout_seconds: 30,
            body_timeout_seconds: 60,
            write_timeout_seconds: 120,
            store_bytes_max: 0,
            store_parts_max: 100_000,
            store_metadata_bytes_max: 64 << 20,
            store_bulk_memory_bytes: 16 << 20,
            search_limit_max: 50_000,
            search_empty_as_200: false,
            metadata_cache_bytes: 64 << 20,
            frames_max: 10_000,
            rendered_pixels_max: 16_384,
        }
    }
}

impl HttpConfig {
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds.max(1))
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds.max(1))
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_does_not_exist_is_refused() {
        assert!(toml::from_str::<HttpConfig>("cors_origin = []").is_err());
        let config: HttpConfig = toml::from_str("search_limit_max = 7").unwrap();
        assert_eq!(config.search_limit_max, 7);
        assert_eq!(config.frames_max, HttpConfig::default().frames_max);
    }
}
