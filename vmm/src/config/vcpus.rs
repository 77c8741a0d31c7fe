//! How many vCPUs a VM has.

use hypercall_abi::map::MAX_VCPUS;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// A number of vCPUs that a VM can have.
pub(super) struct VcpuCount(pub u32);

/// Checks a number of vCPUs.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub(super) fn check(count: i64) -> Result<u32, String> {
    u32::try_from(count)
        .ok()
        .filter(|count| (1..=MAX_VCPUS).contains(count))
        .ok_or_else(|| {
            format!("a VM cannot have {count} vCPUs; write a number from 1 to {MAX_VCPUS}")
        })
}

impl<'de> Deserialize<'de> for VcpuCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<VcpuCount, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = VcpuCount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {MAX_VCPUS}")
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<VcpuCount, E> {
                check(count).map(VcpuCount).map_err(E::custom)
            }
        }
        deserializer.deserialize_i64(CountVisitor)
    }
}
