//! Where a listener is, if it is anywhere.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An address to listen on, `off`, or `auto`. Port 0 lets the system pick one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// The usual address, if what is needed for it is there.
    Auto,
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

/// A text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address with a port, as 127.0.0.1:8104, nor off or auto")]
pub struct PlaceError(String);

impl Place {
    /// The address, `usual` being the one for `auto`.
    pub fn address(self, usual: Option<SocketAddr>) -> Option<SocketAddr> {
        match self {
            Self::Auto => usual,
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| PlaceError(text.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Off => formatter.write_str("off"),
            Self::At(address) => address.fmt(formatter),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_as_they_are_shown() {
        for text in ["off", "auto", "127.0.0.1:8104", "[::]:0"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for wrong in ["", "on", "127.0.0.1", "host:80", ":80"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
    }
}
