//! Random bits for new UIDs (PS3.5 B.2).

use anyhow::Context;
use std::io::Read;

/// 128 bits from the system.
pub fn bits() -> anyhow::Result<u128> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("the system gives no random numbers")?;
    Ok(u128::from_le_bytes(bytes))
}
