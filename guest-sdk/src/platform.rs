//! The pages the host shares with the guest: a door to each, by its place in the address map.
//!
//! Owns the pointers into the platform area. What the fields mean is `hypercall-abi`'s, what they are used for is
//! [`time`](crate::time)'s, [`event`](crate::event)'s and [`env`](crate::env)'s.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hypercall_abi::boot::BootPage;
#[cfg(any(pv_guest, target_os = "none"))]
use hypercall_abi::info::Time;
use hypercall_abi::vcpu::VcpuPage;
use hypercall_abi::words::{LineWords, RingWords, TimesWords};

#[cfg(not(any(pv_guest, target_os = "none")))]
use crate::stand_in as place;
#[cfg(any(pv_guest, target_os = "none"))]
use address_map as place;

/// The boot page.
#[must_use]
pub fn boot() -> &'static BootPage {
    // SAFETY: `place` names a page that is readable for as long as the guest runs and never written again.
    unsafe { &*place::boot_page() }
}

/// The clock's line in the shared-info page. The host writes it at any time: read it field by field, atomically.
#[cfg(any(pv_guest, target_os = "none"))]
#[must_use]
pub(crate) fn time() -> *const Time {
    place::time()
}

/// Whether the host polls call lines now: a hint.
#[must_use]
#[inline]
pub(crate) fn poller_awake() -> bool {
    // SAFETY: a valid, aligned word that the host writes at any time and this side only reads.
    unsafe { AtomicU32::from_ptr((&raw const (*place::poller()).awake).cast_mut()) }
        .load(Ordering::Relaxed)
        != 0
}

/// For how many TSC ticks a completion is worth looking for before waiting for it; 0 while the host does not look at queues by itself.
#[must_use]
#[inline]
pub(crate) fn rings() -> u32 {
    // SAFETY: as in `poller_awake`.
    unsafe { AtomicU32::from_ptr((&raw const (*place::poller()).rings).cast_mut()) }
        .load(Ordering::Relaxed)
}

/// For how many TSC ticks a posted call is worth waiting.
#[must_use]
pub(crate) fn patience() -> u32 {
    // SAFETY: as in `poller_awake`.
    unsafe { AtomicU32::from_ptr((&raw const (*place::poller()).patience).cast_mut()) }
        .load(Ordering::Relaxed)
}

/// Whether the host asks how long calls take.
#[must_use]
#[inline]
pub(crate) fn timed() -> bool {
    // SAFETY: as in `poller_awake`.
    unsafe { AtomicU32::from_ptr((&raw const (*place::poller()).timed).cast_mut()) }
        .load(Ordering::Relaxed)
        != 0
}

/// One vCPU, by its page.
#[derive(Clone, Copy)]
pub struct Vcpu {
    page: *mut VcpuPage,
}

impl Vcpu {
    /// The vCPU that runs this.
    #[must_use]
    #[inline]
    pub fn current() -> Vcpu {
        Vcpu {
            page: place::current_vcpu_page(),
        }
    }

    /// The vCPU with an index, if this VM has it.
    #[must_use]
    pub fn get(index: u32) -> Option<Vcpu> {
        (index < boot().vcpus).then(|| Vcpu {
            page: place::vcpu_page(index),
        })
    }

    /// Its index, from 0.
    #[must_use]
    #[inline]
    pub fn index(self) -> u32 {
        // SAFETY: the page is readable, and nobody writes `index` after the vCPU started.
        unsafe { (*self.page).index }
    }

    /// Its bit in a set of vCPUs.
    #[must_use]
    #[inline]
    pub fn bit(self) -> u64 {
        1 << (self.index() & 63)
    }

    /// Its pending events.
    #[must_use]
    #[inline]
    pub fn pending(self) -> &'static AtomicU64 {
        // SAFETY: a valid, aligned word that the host and every vCPU access only atomically.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page).events.pending) }
    }

    /// The events it acts on.
    #[must_use]
    #[inline]
    pub fn subscribed(self) -> &'static AtomicU64 {
        // SAFETY: as in `pending`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page).events.subscribed) }
    }

    /// Not 0 while it is in, or about to make, a `WAIT` call.
    #[must_use]
    #[inline]
    pub fn waiting(self) -> &'static AtomicU32 {
        // SAFETY: as in `pending`.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.page).events.waiting) }
    }

    /// Its call line.
    #[must_use]
    #[inline]
    pub(crate) fn line(self) -> &'static LineWords {
        // SAFETY: valid and aligned, as the page is; `LineWords` is `CallLine` field for field, as atomic words, and nobody
        // accesses it otherwise.
        unsafe { &*(&raw const (*self.page).line).cast::<LineWords>() }
    }

    /// Its batch ring's registration and indices.
    #[must_use]
    #[inline]
    pub(crate) fn ring(self) -> &'static RingWords {
        // SAFETY: as in `line`.
        unsafe { &*(&raw const (*self.page).ring).cast::<RingWords>() }
    }

    /// Where it notes how long its last call took.
    #[must_use]
    #[inline]
    pub(crate) fn times(self) -> &'static TimesWords {
        // SAFETY: as in `line`.
        unsafe { &*(&raw const (*self.page).times).cast::<TimesWords>() }
    }

    /// One of the words that are the guest's own.
    #[must_use]
    #[inline]
    pub(crate) fn word(self, word: Word) -> &'static AtomicU64 {
        // SAFETY: as in `pending`; `Word`'s values are below the array's length.
        unsafe {
            AtomicU64::from_ptr(
                (&raw mut (*self.page).guest_words)
                    .cast::<u64>()
                    .add(word as usize),
            )
        }
    }
}

/// What this SDK keeps in a vCPU page's guest words.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    /// The fault handler, a function pointer, or 0.
    FaultHandler = 0,
    /// The top of the stack it runs on, or 0.
    FaultStack = 1,
    /// Not 0 while this vCPU uses its call line.
    LineInUse = 2,
}

/// The places the ABI fixes.
#[cfg(any(pv_guest, target_os = "none"))]
mod address_map {
    use core::mem::offset_of;
    use hypercall_abi::{boot::BootPage, info, map, vcpu::VcpuPage};

    pub fn boot_page() -> *const BootPage {
        map::BOOT_PAGE as *const BootPage
    }

    pub fn time() -> *const info::Time {
        info::TIME.0 as *const info::Time
    }

    pub fn poller() -> *const info::PollerAwake {
        (map::SHARED_INFO + offset_of!(info::SharedInfo, poller_awake) as u64)
            as *const info::PollerAwake
    }

    pub fn vcpu_page(index: u32) -> *mut VcpuPage {
        map::vcpu_page(index) as *mut VcpuPage
    }

    #[inline]
    pub fn current_vcpu_page() -> *mut VcpuPage {
        let page: *mut VcpuPage;
        // SAFETY: the host starts every vCPU with `gs` based at its page, whose first word is its own address.
        unsafe {
            core::arch::asm!(
                "mov {}, gs:[0]",
                out(reg) page,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        page
    }
}
