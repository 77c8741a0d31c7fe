//! Where things are in the guest's physical address space.
//!
//! Guest-virtual equals guest-physical throughout when the guest starts. One range of RAM begins at 0 and is
//! as long as the VM's memory; its first mebibyte is the platform's:
//!
//! | range | what | ring 3 may |
//! |---|---|---|
//! | 0 to 64 KiB | never mapped: a null pointer with a small offset faults | - |
//! | [`HYPERCALL_PAGE`] | the gate | execute |
//! | [`BOOT_PAGE`] | [`BootPage`](crate::boot::BootPage) | read |
//! | [`SHARED_INFO`] | [`SharedInfo`](crate::info::SharedInfo) | read |
//! | [`DEVICES`] | an array of [`Device`](crate::device::Device) | read |
//! | [`VCPU_PAGES`] | a [`VcpuPage`](crate::vcpu::VcpuPage) for each vCPU | read, write |
//! | [`CORNER`] | what exceptions need at ring 0; the host's business | - |
//! | [`PAGE_TABLES`] | the page tables the guest starts with | read, write |
//! | [`RAM_BASE`] and up | image, stack, heap | what the image says |
//!
//! Above [`RAM_BASE`] come the image where its segments say, then [`STACK_GUARD`] bytes that are not mapped, the first vCPU's stack with
//! arguments and environment at its top, and everything else for the guest to use: the boot page has the bounds.

/// The size of a page, in bytes.
pub const PAGE_SIZE: u64 = 4096;
/// Nothing below this is ever mapped.
pub const PLATFORM_BASE: u64 = 0x1_0000;
/// The gate: see [`call`](crate::call).
pub const HYPERCALL_PAGE: u64 = 0x1_0000;
/// The boot page. Its address is also in `rdi` when the guest starts.
pub const BOOT_PAGE: u64 = 0x1_1000;
/// The shared-info page.
pub const SHARED_INFO: u64 = 0x1_2000;
/// The device table, a page; the three after it hold configuration spaces.
pub const DEVICES: u64 = 0x1_4000;
/// The first vCPU's page; the others follow, [`VCPU_PAGE_STRIDE`] apart.
pub const VCPU_PAGES: u64 = 0x4_0000;
/// Bytes from one vCPU's page to the next.
pub const VCPU_PAGE_STRIDE: u64 = PAGE_SIZE;
/// The most vCPUs a VM can have; events and wait sets rely on it fitting one word.
pub const MAX_VCPUS: u32 = 64;
/// The ring-0 corner.
pub const CORNER: u64 = 0x8_0000;
/// The page tables the guest starts with; the root is the first page.
pub const PAGE_TABLES: u64 = 0xd_0000;
/// Where the platform area ends and the guest's own memory begins. Every buffer of every call lies at or above it.
pub const RAM_BASE: u64 = 0x10_0000;
/// The most memory a VM can have: what the page tables below [`RAM_BASE`] can map.
pub const MAX_MEMORY: u64 = 32 << 30;
/// The least memory a VM can have.
pub const MIN_MEMORY: u64 = 2 << 20;
/// The bytes below a host-made stack that are not mapped.
pub const STACK_GUARD: u64 = PAGE_SIZE;

/// The address of a vCPU's page. Also the base of its `gs` segment.
#[must_use]
pub const fn vcpu_page(index: u32) -> u64 {
    VCPU_PAGES + index as u64 * VCPU_PAGE_STRIDE
}

const _: () = assert!(
    vcpu_page(MAX_VCPUS) <= CORNER,
    "the vCPU pages run into the ring-0 corner"
);
