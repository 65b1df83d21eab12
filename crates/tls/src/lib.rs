//! Transport layer security: who may talk to a door, and how it proves who it is (PS3.15 B.12).
//!
//! [`Tls`] holds what is in force, made from certificate files and made anew when they change;
//! [`Acceptor`] and [`Connector`] secure connections with it; [`authority`] makes certificates for
//! sites without an authority of their own. This crate knows neither DICOM nor HTTP.

mod acceptor;
pub mod authority;
pub mod config;
mod connector;
mod error;
pub mod expiry;
mod handshakes;
mod identity;
mod material;
mod profile;
mod tls;
mod verifier;

pub use acceptor::{Acceptor, HandshakeError, Secured};
pub use config::{ClientCertificates, TlsConfig};
pub use connector::{ConnectError, Connector};
pub use error::TlsError;
pub use identity::identify;
pub use material::Files;
pub use profile::Profile;
pub use rustls::ClientConfig;
pub use tls::Tls;
pub use tokio_rustls::{client::TlsStream as ClientStream, server::TlsStream as ServerStream};
