//! How much of something a device may do.

use super::size;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// So many in a second.
pub(super) struct Rate(pub u64);

/// So many bytes in a second: a number, or a size.
pub(super) struct ByteRate(pub u64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        struct RateVisitor;
        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number above 0")
            }

            fn visit_i64<E: Error>(self, rate: i64) -> Result<Rate, E> {
                above_zero(rate).map(Rate)
            }
        }
        deserializer.deserialize_i64(RateVisitor)
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteRate, D::Error> {
        struct ByteRateVisitor;
        impl Visitor<'_> for ByteRateVisitor {
            type Value = ByteRate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number above 0, or a size in quotes, such as \"1MiB\"")
            }

            fn visit_i64<E: Error>(self, rate: i64) -> Result<ByteRate, E> {
                above_zero(rate).map(ByteRate)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ByteRate, E> {
                let bytes = size::parse(text).map_err(E::custom)?;
                // No more than TOML can write as a number.
                let rate = i64::try_from(bytes).unwrap_or(i64::MAX);
                above_zero(rate).map(ByteRate)
            }
        }
        deserializer.deserialize_any(ByteRateVisitor)
    }
}

fn above_zero<E: Error>(rate: i64) -> Result<u64, E> {
    let known = u64::try_from(rate).ok().filter(|rate| *rate > 0);
    known.ok_or_else(|| {
        E::custom(format!(
            "{rate} in a second is no limit that lets anything through; write a number above 0, or leave the key out for no limit"
        ))
    })
}
