//! How much of a processor the poller may use for a VM.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// `poll_percent`.
pub(super) struct PollPercent(pub u32);

impl<'de> Deserialize<'de> for PollPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PollPercent, D::Error> {
        struct PercentVisitor;
        impl Visitor<'_> for PercentVisitor {
            type Value = PollPercent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of percent from 1 to 100")
            }

            fn visit_i64<E: Error>(self, percent: i64) -> Result<PollPercent, E> {
                match u32::try_from(percent) {
                    Ok(percent @ 1..=100) => Ok(PollPercent(percent)),
                    Ok(0) => Err(E::custom(
                        "0 percent is no polling at all; write transport = \"trap\" under [calls] for that",
                    )),
                    _ => Err(E::custom(format!(
                        "the poller cannot use {percent} percent of a processor; write a number from 1 to 100"
                    ))),
                }
            }
        }
        deserializer.deserialize_i64(PercentVisitor)
    }
}
