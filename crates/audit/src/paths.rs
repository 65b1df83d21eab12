//! Where the trail lies in the data folder.

use crate::settings::AuditSettings;
use std::path::{Path, PathBuf};

/// The database.
pub(crate) fn database(data: &Path) -> PathBuf {
    data.join("audit.sqlite")
}

/// The noted end of the chain.
pub(crate) fn head(data: &Path, settings: &AuditSettings) -> PathBuf {
    if settings.head_file.as_os_str().is_empty() {
        data.join("audit.head")
    } else {
        settings.head_file.clone()
    }
}
