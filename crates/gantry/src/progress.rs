//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things with a length: rate and time left are reckoned from bytes.
    Bytes,
    /// Things alone.
    Count,
}

/// The progress of one piece of work. Can be shared by threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    unit: Unit,
    verb: &'static str,
    noun: &'static str,
    started: Instant,
    items_done: AtomicU64,
    items_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    /// Starts; `verb` is what happens ("importing"), `noun` what it happens to ("files").
    pub fn start(verb: &'static str, noun: &'static str, unit: Unit) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        let template = match unit {
            Unit::Bytes => {
                "{prefix} [{bar:28}] {bytes}/{total_bytes} {binary_bytes_per_sec} ETA {eta} {msg}"
            }
            Unit::Count => "{prefix} [{bar:28}] {human_pos}/{human_len} {per_sec} ETA {eta} {msg}",
        };
        // The templates are constants; a mistake in one shows as the plain default bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(verb);
        bar.enable_steady_tick(Duration::from_millis(250));
        let started = Instant::now();
        Self {
            bar,
            unit,
            verb,
            noun,
            started,
            items_done: AtomicU64::new(0),
            items_total: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            last_line: (!is_terminal).then(|| Mutex::new(started)),
        }
    }

    /// More work was found.
    pub fn expect(&self, items: u64, bytes: u64) {
        let items = self.items_total.fetch_add(items, Ordering::Relaxed) + items;
        let bytes = self.bytes_total.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.bar.set_length(match self.unit {
            Unit::Bytes => bytes,
            Unit::Count => items,
        });
    }

    /// Some work is done.
    pub fn advance(&self, items: u64, bytes: u64) {
        let items = self.items_done.fetch_add(items, Ordering::Relaxed) + items;
        let bytes = self.bytes_done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match self.unit {
            Unit::Bytes => {
                let total = HumanCount(self.items_total.load(Ordering::Relaxed).max(items));
                self.bar.set_position(bytes);
                self.bar
                    .set_message(format!("{}/{total} {}", HumanCount(items), self.noun));
            }
            Unit::Count => self.bar.set_position(items),
        }
        self.print_line_when_due();
    }

    /// Says something without spoiling the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Items and bytes done.
    pub fn done(&self) -> (u64, u64) {
        (
            self.items_done.load(Ordering::Relaxed),
            self.bytes_done.load(Ordering::Relaxed),
        )
    }

    /// Takes the bar away and tells how much was done how fast: `1,234 files, 5.6 GiB in 12
    /// seconds (478 MiB/s)`.
    pub fn finish(&self) -> String {
        self.bar.finish_and_clear();
        let (items, bytes) = self.done();
        let elapsed = self.started.elapsed();
        let seconds = elapsed.as_secs_f64().max(0.001);
        let mut text = format!("{} {}", HumanCount(items), self.noun);
        if self.unit == Unit::Bytes {
            text.push_str(&format!(", {}", HumanBytes(bytes)));
        }
        text.push_str(&format!(" in {}", shown(elapsed)));
        match self.unit {
            Unit::Bytes => {
                let rate = HumanBytes((bytes as f64 / seconds) as u64);
                text.push_str(&format!(" ({:.1}/s, {rate}/s)", items as f64 / seconds));
            }
            Unit::Count => text.push_str(&format!(" ({:.1}/s)", items as f64 / seconds)),
        }
        text
    }

    fn print_line_when_due(&self) {
        let Some(Ok(mut last)) = self.last_line.as_ref().map(|last| last.try_lock()) else {
            return;
        };
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        let (items, bytes) = self.done();
        let total = self.items_total.load(Ordering::Relaxed).max(items);
        let (part, whole) = match self.unit {
            Unit::Bytes => (bytes, self.bytes_total.load(Ordering::Relaxed)),
            Unit::Count => (items, total),
        };
        let left = remaining(self.started.elapsed(), part, whole)
            .map(|left| format!(", {} left", HumanDuration(left)))
            .unwrap_or_default();
        eprintln!(
            "{}: {} of {} {}, {}{left}",
            self.verb,
            HumanCount(items),
            HumanCount(total),
            self.noun,
            HumanBytes(bytes),
        );
    }
}

/// The time left if it goes on as so far.
fn remaining(elapsed: Duration, part: u64, whole: u64) -> Option<Duration> {
    let rest = whole.checked_sub(part)?;
    (part > 0).then(|| elapsed.mul_f64(rest as f64 / part as f64))
}

/// A duration in words, short ones with a digit after the point.
fn shown(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => HumanDuration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_rate() {
        let minute = Duration::from_secs(60);
        assert_eq!(remaining(minute, 25, 100), Some(3 * minute));
        assert_eq!(remaining(minute, 0, 100), None);
        assert_eq!(remaining(minute, 101, 100), None);
    }

    #[test]
    fn the_summary_counts_items_and_bytes() {
        let progress = Progress::start("testing", "files", Unit::Bytes);
        progress.expect(2, 4096);
        progress.advance(1, 2048);
        progress.advance(1, 2048);
        let text = progress.finish();
        assert!(text.starts_with("2 files, 4.00 KiB in "), "{text}");
    }
}
