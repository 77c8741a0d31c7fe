//! How much of something a device may do.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// So many in a second.
pub(super) struct Rate(pub u64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        struct RateVisitor;
        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number above 0")
            }

            fn visit_i64<E: Error>(self, rate: i64) -> Result<Rate, E> {
                let known = u64::try_from(rate).ok().filter(|rate| *rate > 0);
                known.map(Rate).ok_or_else(|| {
                    E::custom(format!(
                        "{rate} in a second is no limit that lets anything through; write a number above 0, or leave the key out for no limit"
                    ))
                })
            }
        }
        deserializer.deserialize_i64(RateVisitor)
    }
}
