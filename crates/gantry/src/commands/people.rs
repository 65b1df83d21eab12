//! The identity database of a data folder, for commands. The server may run meanwhile: it feels
//! changes within a second.

use super::reach::DataOptions;
use super::usage::usage;
use crate::configuration::Configuration;
use anyhow::Context;
use gantry_archive::maintenance;
use gantry_identity::{Identity, Person};

/// The database, and what belongs to it.
pub struct People {
    /// The database.
    pub identity: Identity,
    /// Where pages are, as far as that is known.
    pub address: String,
}

impl People {
    /// Opens the database of a data folder, and makes it if need be.
    pub fn open(data: &DataOptions) -> anyhow::Result<Self> {
        let configuration = data.configuration()?;
        let folder = &configuration.archive.data;
        let identity = Identity::open(
            folder,
            maintenance::database_key(&configuration.archive, "identity")
                .map_err(|error| anyhow::anyhow!("{}", error.chain()))?,
            configuration.identity.clone(),
        )
        .with_context(|| format!("the people of {} cannot be read", folder.display()))?;
        Ok(Self {
            identity,
            address: address(&configuration),
        })
    }

    /// The person of a login.
    pub fn find(&self, login: &str) -> anyhow::Result<Person> {
        let found = self.identity.person_by_login(login)?;
        found.ok_or_else(|| usage(format!("there is nobody with the login {login}")))
    }

    /// The address of a page.
    pub fn link(&self, page: &str, secret: &str) -> String {
        format!("{}/#/{page}/{secret}", self.address)
    }
}

fn address(configuration: &Configuration) -> String {
    if !configuration.http.public_url.is_empty() {
        let public = configuration.http.public_url.trim_end_matches('/');
        return public.to_owned();
    }
    let file = configuration.archive.data.join("server.json");
    let running = std::fs::read_to_string(file)
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .and_then(|server| Some(server.get("http")?.as_str()?.to_owned()));
    running.unwrap_or_else(|| format!("http://{}", configuration.listen.http))
}
