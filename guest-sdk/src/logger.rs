//! The `log` crate's backend: one line on standard error for each record.
//!
//! Owns the filter. It is read from the environment variable `LOG`, like `info` or `warn,net=trace`: a level for all
//! targets, and levels for targets that begin with a name. Without it, warnings and errors are printed.
//!
//! ```
//! guest_sdk::logger::init();
//! log::warn!("{} retries", 3);
//! ```

use crate::sync::OnceLock;
use crate::time::Instant;
use alloc::vec::Vec;
use log::{LevelFilter, Log, Metadata, Record};

/// The environment variable that holds the filter.
pub const VARIABLE: &str = "LOG";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Makes this the program's logger, with the environment's filter. Does nothing if it has a logger already.
pub fn init() {
    let logger = LOGGER.get_or_init(|| Logger {
        filter: Filter::parse(crate::env::var(VARIABLE).unwrap_or("warn")),
    });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(logger.filter.most());
    }
}

struct Logger {
    filter: Filter,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= self.filter.level(metadata.target())
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let since_start = crate::time::Duration::from_nanos(Instant::now().as_nanos());
            crate::eprintln!(
                "[{:>11.6} {:<5} {}] {}",
                since_start.as_secs_f64(),
                record.level(),
                record.target(),
                record.args()
            );
        }
    }

    fn flush(&self) {}
}

/// Which records are printed.
#[derive(Debug, PartialEq, Eq)]
struct Filter {
    all: LevelFilter,
    targets: Vec<(&'static str, LevelFilter)>,
}

impl Filter {
    /// Parts that are no level are skipped: a typo in a variable should not silence a program.
    fn parse(text: &'static str) -> Filter {
        let mut filter = Filter {
            all: LevelFilter::Warn,
            targets: Vec::new(),
        };
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                Some((target, level)) => {
                    filter
                        .targets
                        .extend(level.parse().ok().map(|level| (target, level)));
                }
                None => filter.all = part.parse().unwrap_or(filter.all),
            }
        }
        filter
    }

    fn level(&self, target: &str) -> LevelFilter {
        let named = self
            .targets
            .iter()
            .filter(|(name, _)| target.starts_with(name));
        named
            .max_by_key(|(name, _)| name.len())
            .map_or(self.all, |&(_, level)| level)
    }

    fn most(&self) -> LevelFilter {
        self.targets
            .iter()
            .map(|&(_, level)| level)
            .fold(self.all, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_decides() {
        let filter = Filter::parse("info, net=trace,net::tcp=error");
        assert_eq!(filter.level("disk"), LevelFilter::Info);
        assert_eq!(filter.level("net::udp"), LevelFilter::Trace);
        assert_eq!(filter.level("net::tcp::timer"), LevelFilter::Error);
        assert_eq!(filter.most(), LevelFilter::Trace);
    }

    #[test]
    fn nonsense_leaves_the_default() {
        assert_eq!(
            Filter::parse("loud,net=very"),
            Filter {
                all: LevelFilter::Warn,
                targets: Vec::new()
            }
        );
    }
}
