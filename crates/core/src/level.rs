//! Levels of the Query/Retrieve information models (PS3.4 C.6).

/// A level of the Query/Retrieve information models; order is from the whole to the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// PATIENT.
    Patient,
    /// STUDY.
    Study,
    /// SERIES.
    Series,
    /// IMAGE: the composite object instance.
    Instance,
}

impl Level {
    /// All levels, from the whole to the part.
    pub const ALL: [Self; 4] = [Self::Patient, Self::Study, Self::Series, Self::Instance];

    /// The value of Query/Retrieve Level (0008,0052).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Study => "STUDY",
            Self::Series => "SERIES",
            Self::Instance => "IMAGE",
        }
    }

    /// Reads a value of Query/Retrieve Level (0008,0052), spaces around it ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\0']);
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
