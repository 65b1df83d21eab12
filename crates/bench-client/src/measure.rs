//! Rates and percentiles.

use serde_json::{Value, json};
use std::time::Duration;

/// What a run took, as JSON; `latencies` are those of single operations.
pub(crate) fn summary(elapsed: Duration, bytes: u64, mut latencies: Vec<Duration>) -> Value {
    latencies.sort_unstable();
    let seconds = elapsed.as_secs_f64();
    json!({
        "operations": latencies.len(),
        "seconds": seconds,
        "per_second": latencies.len() as f64 / seconds,
        "bytes": bytes,
        "megabytes_per_second": bytes as f64 / 1e6 / seconds,
        "first_ms": Value::Null,
        "p50_ms": percentile_ms(&latencies, 0.50),
        "p95_ms": percentile_ms(&latencies, 0.95),
        "p99_ms": percentile_ms(&latencies, 0.99),
        "worst_ms": percentile_ms(&latencies, 1.0),
    })
}

/// Like [`summary`], and how long the very first operation took.
pub(crate) fn summary_with_first(elapsed: Duration, bytes: u64, latencies: Vec<Duration>) -> Value {
    let first = latencies.first().map(|first| first.as_secs_f64() * 1e3);
    let mut value = summary(elapsed, bytes, latencies);
    value["first_ms"] = json!(first);
    value
}

/// The smallest latency that at least this part of the operations kept to.
fn percentile_ms(sorted: &[Duration], part: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map(|latency| latency.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let latencies: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&latencies, 0.50), Some(50.0));
        assert_eq!(percentile_ms(&latencies, 0.99), Some(99.0));
        assert_eq!(percentile_ms(&latencies, 1.0), Some(100.0));
        assert_eq!(percentile_ms(&[], 0.5), None);
    }
}
