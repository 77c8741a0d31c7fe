//! What a disk says of itself: its features, and its configuration space.

use super::SECTOR;
use crate::virtio::device;

/// Feature bits of virtio 1.2, section 5.2.3.
pub(super) mod feature {
    pub const SIZE_MAX: u64 = 1 << 1;
    pub const RO: u64 = 1 << 5;
    pub const BLK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const MQ: u64 = 1 << 12;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
    pub const ALL: u64 = SIZE_MAX | RO | BLK_SIZE | FLUSH | MQ | DISCARD | WRITE_ZEROES;
}

/// What the configuration space says.
pub(super) struct Space {
    pub sectors: u64,
    pub block_size: usize,
    /// The most bytes of a request.
    pub longest: usize,
    /// The most sectors of a discard, and of zeros.
    pub discarded: u32,
    pub zeroed: u32,
}

impl Space {
    pub fn read(space: &device::Config, features: u64) -> Space {
        let has = |feature| features & feature != 0;
        let (longest, block_size) = (space.u32(8) as usize, space.u32(20) as usize);
        Space {
            sectors: space.u64(0),
            longest: match longest >= SECTOR && has(feature::SIZE_MAX) {
                true => longest - longest % SECTOR,
                false => 64 << 10,
            },
            block_size: match block_size >= SECTOR && has(feature::BLK_SIZE) {
                true => block_size,
                false => SECTOR,
            },
            discarded: space.u32(36),
            zeroed: space.u32(48),
        }
    }
}
