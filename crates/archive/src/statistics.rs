//! What the archive holds, in numbers.

use crate::Archive;
use crate::error::Result;
use gantry_core::access::Right;
use gantry_core::principal::Principal;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the archive holds; what is deleted does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Statistics {
    /// Patients with at least one study.
    pub patients: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Bytes of their stored objects.
    pub bytes: u64,
    /// Instances that were deleted and can still be restored.
    pub deleted_instances: u64,
    /// Bytes of their stored objects.
    pub deleted_bytes: u64,
}

impl Archive {
    /// Counts what the archive holds.
    ///
    /// # Errors
    /// When the principal may not ask, or the index fails.
    pub async fn statistics(&self, principal: &Principal) -> Result<Statistics> {
        let permit = self.permit(principal, Right::View)?;
        let counts = self
            .index_blocking(move |index| index.statistics(&permit))
            .await?;
        Ok(Statistics {
            patients: counts.patients,
            studies: counts.studies,
            series: counts.series,
            instances: counts.instances,
            bytes: counts.bytes,
            deleted_instances: counts.deleted_instances,
            deleted_bytes: counts.deleted_bytes,
        })
    }
}

/// Now, in microseconds since 1970.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
