//! What a site says of its identity provider.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[[identity.provider]]`: an OpenID provider.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// A word for it, which stands in its addresses.
    pub name: String,
    /// What stands on the button; empty: the name.
    #[serde(default)]
    pub title: String,
    /// The issuer's URL; its description is at `/.well-known/openid-configuration` below.
    pub issuer: String,
    /// Our client ID there.
    pub client_id: String,
    /// Our client secret there; empty for a public client. Better in a file.
    #[serde(default, skip_serializing)]
    pub client_secret: String,
    /// A file with the client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// Scopes asked for beside `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim with the login.
    #[serde(default = "usual_login")]
    pub login_claim: String,
    /// The claim with the groups: a list, or one text.
    #[serde(default = "usual_groups")]
    pub groups_claim: String,
    /// The role of each group.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// Roles of everybody who comes from there.
    #[serde(default)]
    pub default_roles: Vec<String>,
    /// Audiences for which bearer tokens of the issuer are accepted on DICOMweb and `/api`; empty:
    /// none are.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// A PEM file with the authority that vouches for the provider's certificate; without one,
    /// the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_file: Option<PathBuf>,
}

fn usual_scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn usual_login() -> String {
    "preferred_username".into()
}

fn usual_groups() -> String {
    "groups".into()
}
