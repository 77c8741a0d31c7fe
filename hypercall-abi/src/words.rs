//! The structs that both sides change while they are shared, as the atomic words they then consist of.
//!
//! Field for field the structs of the same name without `Words`; those are what is copied, these are what is pointed at. Whatever the
//! other side does to them meanwhile, a load yields some value.

use crate::batch::BatchEntry;
use crate::vcpu::{BatchRing, CallLine};
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

/// Asserts that a struct of words lies over its struct, and that words are all it consists of.
macro_rules! over {
    ($words:ty, $of:ty, $($field:ident),+) => {
        const _: () = {
            assert!(size_of::<$words>() == size_of::<$of>() && align_of::<$words>() == align_of::<$of>());
            $(assert!(offset_of!($words, $field) == offset_of!($of, $field));)+
        };
    };
}

over!(LineWords, CallLine, post, number, args, status, answered);
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
