//! The most bytes of a packet on a network card.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// The least that IPv4 works with.
const LEAST: u16 = 68;

/// `mtu`.
pub(super) struct Mtu(pub u16);

impl<'de> Deserialize<'de> for Mtu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mtu, D::Error> {
        struct MtuVisitor;
        impl Visitor<'_> for MtuVisitor {
            type Value = Mtu;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {LEAST} to {}", u16::MAX)
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Mtu, E> {
                let within = u16::try_from(bytes).ok().filter(|bytes| *bytes >= LEAST);
                within.map(Mtu).ok_or_else(|| {
                    E::custom(format!(
                        "a card's packets cannot have {bytes} bytes at most; write a number from {LEAST} to {}",
                        u16::MAX
                    ))
                })
            }
        }
        deserializer.deserialize_i64(MtuVisitor)
    }
}
