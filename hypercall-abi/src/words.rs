//! The structs that both sides change while they are shared, as the atomic words they then consist of.
//!
//! Field for field the structs of the same name without `Words`; those are what is copied, these are what is pointed at. Whatever the
//! other side does to them meanwhile, a load yields some value.

use crate::Gpa;
use crate::batch::BatchEntry;
use crate::device::Device;
use crate::vcpu::{BatchRing, CallLine, CallTimes};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// [`CallLine`].
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct LineWords {
    /// As [`CallLine::post`].
    pub post: AtomicU32,
    /// As [`CallLine::number`].
    pub number: AtomicU32,
    /// As [`CallLine::args`].
    pub args: [AtomicU64; 6],
    /// As [`CallLine::status`].
    pub status: AtomicU32,
    /// As [`CallLine::answered`].
    pub answered: AtomicU32,
}

/// [`BatchEntry`].
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct EntryWords {
    /// As [`BatchEntry::number`].
    pub number: AtomicU32,
    /// As [`BatchEntry::status`].
    pub status: AtomicU32,
    /// As [`BatchEntry::args`].
    pub args: [AtomicU64; 6],
    /// As [`BatchEntry::result`].
    pub result: AtomicU64,
}

/// [`BatchRing`].
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct RingWords {
    /// As [`BatchRing::entries_gpa`].
    pub entries_gpa: AtomicU64,
    /// As [`BatchRing::entries`].
    pub entries: AtomicU32,
    /// As [`BatchRing::flags`].
    pub flags: AtomicU32,
    /// As [`BatchRing::queued`].
    pub queued: AtomicU32,
    /// Zero.
    pub reserved0: [AtomicU32; 11],
    /// As [`BatchRing::served`].
    pub served: AtomicU32,
    /// Zero.
    pub reserved1: [AtomicU32; 15],
}

/// [`Device`]. What never changes while the guest runs is plain.
#[derive(Debug)]
#[repr(C)]
pub struct DeviceWords {
    /// As [`Device::kind`].
    pub kind: u32,
    /// As [`Device::instance`].
    pub instance: u32,
    /// As [`Device::features`].
    pub features: u64,
    /// As [`Device::config`].
    pub config: Gpa,
    /// As [`Device::config_len`].
    pub config_len: u32,
    /// As [`Device::queues`].
    pub queues: u16,
    /// As [`Device::event`].
    pub event: u16,
    /// As [`Device::doorbell`].
    pub doorbell: u32,
    /// As [`Device::queue_size`].
    pub queue_size: u32,
    /// As [`Device::generation`].
    pub generation: AtomicU32,
    /// As [`Device::broken`].
    pub broken: AtomicU32,
    /// Zero.
    pub reserved: [u64; 6],
    /// As [`Device::name`].
    pub name: [u8; 32],
}

/// [`CallTimes`].
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct TimesWords {
    /// As [`CallTimes::count`].
    pub count: AtomicU32,
    /// Zero.
    pub reserved0: AtomicU32,
    /// As [`CallTimes::carried`].
    pub carried: AtomicU64,
    /// As [`CallTimes::own`].
    pub own: AtomicU64,
    /// Zero.
    pub reserved1: [AtomicU64; 5],
}

/// Asserts that a struct of words lies over its struct.
macro_rules! over {
    ($words:ty, $of:ty, $($field:ident),+) => {
        const _: () = {
            assert!(size_of::<$words>() == size_of::<$of>() && align_of::<$words>() == align_of::<$of>());
            $(assert!(offset_of!($words, $field) == offset_of!($of, $field));)+
        };
    };
}

over!(LineWords, CallLine, post, number, args, status, answered);
over!(
    DeviceWords,
    Device,
    kind,
    instance,
    features,
    config,
    config_len,
    queues,
    event,
    doorbell,
    queue_size,
    generation,
    broken,
    reserved,
    name
);
over!(EntryWords, BatchEntry, number, status, args, result);
over!(
    RingWords,
    BatchRing,
    entries_gpa,
    entries,
    flags,
    queued,
    served
);
over!(TimesWords, CallTimes, count, carried, own);
