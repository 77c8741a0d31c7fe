//! How long the poller looks for a further call.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::time::Duration;

/// The longest window: a second is idle by any measure.
const MOST_US: i64 = 1_000_000;

/// `poll_window_us`.
pub(super) struct PollWindow(pub Duration);

impl<'de> Deserialize<'de> for PollWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PollWindow, D::Error> {
        struct WindowVisitor;
        impl Visitor<'_> for WindowVisitor {
            type Value = PollWindow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of microseconds from 1 to {MOST_US}")
            }

            fn visit_i64<E: Error>(self, us: i64) -> Result<PollWindow, E> {
                let within = u64::try_from(us)
                    .ok()
                    .filter(|_| (1..=MOST_US).contains(&us));
                let window = within.map(Duration::from_micros).map(PollWindow);
                window.ok_or_else(|| {
                    E::custom(format!(
                        "the poller cannot look for {us} µs; write a number from 1 to {MOST_US}"
                    ))
                })
            }
        }
        deserializer.deserialize_i64(WindowVisitor)
    }
}
