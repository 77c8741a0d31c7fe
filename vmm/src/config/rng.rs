//! The device for random numbers: `rng` of `[machine]`.

use super::rate::{ByteRate, Rate};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// A device that gives random numbers. By [`Default`] it has no limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rng {
    /// The most requests in a second.
    pub ops_per_second: Option<u64>,
    /// The most bytes in a second.
    pub bytes_per_second: Option<u64>,
}

/// `rng`.
pub(super) enum RngKey {
    Yes(RngTable),
    No,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RngTable {
    ops_per_second: Option<Rate>,
    bytes_per_second: Option<ByteRate>,
}

impl RngKey {
    /// The device, if there is one.
    pub(super) fn into_rng(self) -> Option<Rng> {
        match self {
            RngKey::Yes(table) => Some(Rng {
                ops_per_second: table.ops_per_second.map(|rate| rate.0),
                bytes_per_second: table.bytes_per_second.map(|rate| rate.0),
            }),
            RngKey::No => None,
        }
    }
}

impl<'de> Deserialize<'de> for RngKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RngKey, D::Error> {
        struct RngVisitor;
        impl<'de> Visitor<'de> for RngVisitor {
            type Value = RngKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a table such as { bytes_per_second = 65536 }")
            }

            fn visit_bool<E: Error>(self, rng: bool) -> Result<RngKey, E> {
                Ok(match rng {
                    true => RngKey::Yes(RngTable::default()),
                    false => RngKey::No,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<RngKey, A::Error> {
                RngTable::deserialize(MapAccessDeserializer::new(table)).map(RngKey::Yes)
            }
        }
        deserializer.deserialize_any(RngVisitor)
    }
}
