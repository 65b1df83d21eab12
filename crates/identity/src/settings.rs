//! What a site may set about people and logins.

use crate::oidc::ProviderSettings;
use serde::{Deserialize, Serialize};

/// `[identity]`; each setting has a default that serves.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// Minutes without a request after which a session ends.
    pub session_idle_minutes: u32,
    /// Hours after which a session ends in any case.
    pub session_hours_max: u32,
    /// Fewest characters of a password.
    pub password_length_min: usize,
    /// Least strength of a password, 0 to 4, as zxcvbn estimates it.
    pub password_strength_min: u8,
    /// Failed logins after which an account, and the address they come from, has to wait. The wait
    /// doubles with each further failure.
    pub failures_max: u32,
    /// Longest wait after failed logins in seconds.
    pub wait_seconds_max: u32,
    /// Passwords checked at once; each takes 19 MiB. More logins wait.
    pub password_checks_max: usize,
    /// Hours for which a link that sets a password works.
    pub reset_link_hours: u32,
    /// Longest life of a token in days; 0 means that tokens may live for ever.
    pub token_days_max: u32,
    /// Longest life of a share in days.
    pub share_days_max: u32,
    /// Longest break-glass access in minutes.
    pub break_glass_minutes_max: u32,
    /// Whether everybody who may view anything may open break-glass access.
    pub break_glass: bool,
    /// Reverse proxies whose X-Forwarded-For header field is believed.
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// OpenID providers at which people may log in: `[[identity.provider]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<ProviderSettings>,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            session_idle_minutes: 30,
            session_hours_max: 12,
            password_length_min: 10,
            password_strength_min: 3,
            failures_max: 5,
            wait_seconds_max: 900,
            password_checks_max: 4,
            reset_link_hours: 24,
            token_days_max: 366,
            share_days_max: 90,
            break_glass_minutes_max: 240,
            break_glass: true,
            provider: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}
