//! Mistakes in how a command was called; they end it with exit code 2, as clap's own do.

/// What is wrong with the call.
#[derive(Debug)]
pub struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error that says how the command was called wrongly.
pub fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    anyhow::Error::new(Usage(format!("{text:#}")))
}
