//! The boot page: what a guest is told before its first instruction.
//!
//! The first vCPU starts at the image's entry point, at ring 3 in 64-bit mode, with `rdi` = Gpa of this page,
//! `rsp` 8 below a 16-byte boundary and a zero return address there (an ordinary `extern "C"` function may be the
//! entry), `rbp` = 0, `gs` base = its [`VcpuPage`](crate::vcpu::VcpuPage), direction flag clear, x87, SSE and the vector state in `xcr0` ready.

use crate::Gpa;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`BootPage::magic`]: `TRAPLESS` in ASCII, little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TRAPLESS");

/// What the host tells the guest at boot. Written by the host once, before the guest runs; read-only to the guest.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BootPage {
    /// [`MAGIC`].
    pub magic: u64,
    /// The host's ABI version: see [`version`](crate::version).
    pub version_major: u16,
    /// The host's ABI version: see [`version`](crate::version).
    pub version_minor: u16,
    /// How many bytes of this struct the host wrote. Fields beyond it read as zero.
    pub size: u32,
    /// Feature bits the host offers: see [`version::feature`](crate::version::feature).
    pub features: u64,
    /// Granted call classes: a [`Classes`](crate::class::Classes) set.
    pub classes: u64,
    /// Bytes of RAM, from address 0.
    pub memory_bytes: u64,
    /// vCPUs of this VM, 1 to [`MAX_VCPUS`](crate::map::MAX_VCPUS).
    pub vcpus: u32,
    /// Entries of the device table at [`map::DEVICES`](crate::map::DEVICES).
    pub devices: u32,
    /// The first byte of the loaded image, page-aligned.
    pub image_start: Gpa,
    /// The byte after the loaded image, page-aligned.
    pub image_end: Gpa,
    /// The lowest mapped byte of the first vCPU's stack.
    pub stack_start: Gpa,
    /// The byte after it.
    pub stack_end: Gpa,
    /// The first byte that nothing uses, page-aligned: the guest's heap may begin here.
    pub heap_start: Gpa,
    /// The byte after the guest's last usable one.
    pub heap_end: Gpa,
    /// An array of [`Bytes`], one for each command line argument; the first is the image's name.
    pub args: Gpa,
    /// How many.
    pub args_count: u64,
    /// An array of [`Bytes`], one for each environment variable, as `NAME=value`.
    pub env: Gpa,
    /// How many.
    pub env_count: u64,
    /// The top-level page table, four-level, in memory the guest may write.
    pub page_table_root: Gpa,
    /// The vector state enabled for this guest, as `xgetbv` would say; 0 where there is no XSAVE.
    pub xcr0: u64,
    /// Random bytes for seeding, different at each boot and each clone.
    pub seed: [u8; 32],
}

layout!(BootPage, size 176,
    magic @ 0, version_major @ 8, version_minor @ 10, size @ 12, features @ 16, classes @ 24,
    memory_bytes @ 32, vcpus @ 40, devices @ 44, image_start @ 48, image_end @ 56, stack_start @ 64,
    stack_end @ 72, heap_start @ 80, heap_end @ 88, args @ 96, args_count @ 104, env @ 112,
    env_count @ 120, page_table_root @ 128, xcr0 @ 136, seed @ 144);

/// A range of bytes in guest memory.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Bytes {
    /// The first byte.
    pub gpa: Gpa,
    /// How many.
    pub len: u64,
}

layout!(Bytes, size 16, gpa @ 0, len @ 8);
