//! Structured values as the JSON text in which the database keeps them.

use crate::error::{IdentityError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn write<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| IdentityError::Damaged("a value"))
}

pub(crate) fn read<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| IdentityError::Damaged(what))
}

/// For events.
pub(crate) fn value<T: Serialize>(value: &T) -> Option<serde_json::Value> {
    serde_json::to_value(value).ok()
}
