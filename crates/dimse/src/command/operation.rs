//! Which operations there are (PS3.7 §7.5, E.1).

use super::RESPONSE;

/// The DIMSE operations and notifications that have a request and a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// C-STORE.
    CStore,
    /// C-GET.
    CGet,
    /// C-FIND.
    CFind,
    /// C-MOVE.
    CMove,
    /// C-ECHO.
    CEcho,
    /// N-EVENT-REPORT.
    NEventReport,
    /// N-GET.
    NGet,
    /// N-SET.
    NSet,
    /// N-ACTION.
    NAction,
    /// N-CREATE.
    NCreate,
    /// N-DELETE.
    NDelete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::CStore,
        Self::CGet,
        Self::CFind,
        Self::CMove,
        Self::CEcho,
        Self::NEventReport,
        Self::NGet,
        Self::NSet,
        Self::NAction,
        Self::NCreate,
        Self::NDelete,
    ];

    /// The Command Field (0000,0100) of the request (PS3.7 E.1).
    pub fn request_field(self) -> u16 {
        match self {
            Self::CStore => 0x0001,
            Self::CGet => 0x0010,
            Self::CFind => 0x0020,
            Self::CMove => 0x0021,
            Self::CEcho => 0x0030,
            Self::NEventReport => 0x0100,
            Self::NGet => 0x0110,
            Self::NSet => 0x0120,
            Self::NAction => 0x0130,
            Self::NCreate => 0x0140,
            Self::NDelete => 0x0150,
        }
    }

    /// The operation whose request or response has this Command Field.
    pub fn from_field(field: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.request_field() == field & !RESPONSE)
    }

    /// The name in the standard.
    pub fn name(self) -> &'static str {
        match self {
            Self::CStore => "C-STORE",
            Self::CGet => "C-GET",
            Self::CFind => "C-FIND",
            Self::CMove => "C-MOVE",
            Self::CEcho => "C-ECHO",
            Self::NEventReport => "N-EVENT-REPORT",
            Self::NGet => "N-GET",
            Self::NSet => "N-SET",
            Self::NAction => "N-ACTION",
            Self::NCreate => "N-CREATE",
            Self::NDelete => "N-DELETE",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
