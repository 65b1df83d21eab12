//! Reaching the archive of a data folder: directly, or through the server that has it open.

use super::dicomweb::client::DicomWeb;
use crate::configuration::{Configuration, Overrides};
use anyhow::Context;
use gantry_archive::Archive;
use gantry_core::failure::Kind;
use gantry_tls::authority::Folder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which data folder a command works on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DataOptions {
    /// Configuration file (TOML).
    #[arg(long, env = "GANTRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the index and the stored objects [default: the configuration's, gantry-data].
    #[arg(long, env = "GANTRY_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// An archive, however it is reached.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Reached {
    /// Opened by this process.
    Archive(Arc<Archive>),
    /// Open in a server on this machine, or elsewhere.
    Server(DicomWeb),
}

impl DataOptions {
    /// The configuration with these options on top.
    pub fn configuration(&self) -> anyhow::Result<Configuration> {
        Configuration::load(&Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            ..Overrides::default()
        })
    }

    /// The archive of the data folder, which is made when there is none.
    pub async fn reach_or_make(&self) -> anyhow::Result<Reached> {
        let Configuration { archive, peer, .. } = self.configuration()?;
        let data = archive.data.clone();
        match Archive::open(archive, peer).await {
            Ok(archive) => Ok(Reached::Archive(archive)),
            Err(error) if error.kind() == Kind::Conflict => server_of(&data)
                .map(Reached::Server)
                .with_context(|| format!("{} cannot be opened: {}", data.display(), error.chain())),
            Err(error) => anyhow::bail!("{} cannot be opened: {}", data.display(), error.chain()),
        }
    }

    /// The archive of the data folder, which has to be there.
    pub async fn reach(&self) -> anyhow::Result<Reached> {
        let data = self.configuration()?.archive.data;
        anyhow::ensure!(
            data.is_dir(),
            "there is no data folder {}: name one with --data",
            data.display()
        );
        self.reach_or_make().await
    }
}

impl Reached {
    /// Lets go of it.
    pub async fn close(&self) {
        if let Self::Archive(archive) = self {
            archive.close().await;
        }
    }
}

/// The server that has the folder open, by the address that it left there.
fn server_of(data: &Path) -> anyhow::Result<DicomWeb> {
    let path = data.join("server.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("no server has left its address in {}", path.display()))?;
    let address: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let text = |name| address.get(name).and_then(serde_json::Value::as_str);
    let http = text("http")
        .or_else(|| text("https"))
        .with_context(|| format!("{} has no address", path.display()))?;
    let token = text("token");
    let ca = Folder::of(data).ca_certificate();
    // A server that listens on all addresses is reached on this machine's own.
    let http = http
        .replace("//0.0.0.0:", "//127.0.0.1:")
        .replace("//[::]:", "//[::1]:");
    DicomWeb::trusting(&http, ca.is_file().then_some(ca.as_path()))?
        .with_token(token.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_server_s_address_is_read_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(server_of(folder.path()).is_err());
        let file = folder.path().join("server.json");
        std::fs::write(&file, r#"{"http":"http://0.0.0.0:8104"}"#).unwrap();
        assert_eq!(
            server_of(folder.path()).unwrap().base(),
            "http://127.0.0.1:8104/dicom-web"
        );
        std::fs::write(&file, "{}").unwrap();
        assert!(server_of(folder.path()).is_err());
    }
}
