//! What a Trapless guest links: an entry point, the calls, and a small runtime.
//!
//! A guest crate is this dependency and three lines more:
//! ```ignore
//! #![no_std]
//! #![cfg_attr(not(test), no_main)]
//! guest_sdk::entry!(main);
//!
//! fn main() {
//!     guest_sdk::println!("hello");
//! }
//! ```
//! `cargo run` boots it in a VM, `cargo test` runs its unit tests on the host and its [VM tests](test_main) in VMs.
//!
//! # Two flavours
//! Built plainly, such a crate is a program for the host that builds the same crate once more, for a VM, and boots
//! it. In that *host flavour* the modules here work on a stand-in for the hypervisor, which is enough for unit tests of code that
//! prints, waits, locks or reads the clock. In the *guest flavour* they work on the hypervisor.
//!
//! # Layers
//! [`gate`] makes a call, [`mod@line`] makes it without an exit where the host polls, [`calls`] has a function for each, and they need nothing else. A kernel with its own heap, scheduler and console
//! uses those alone; [`virtio`] needs a heap beside them. The allocator, the panic handler and the entry point exist only where [`entry!`] expands to them, and what
//! runs tasks ([`mod@executor`]) only where [`executor!`] or [`main`] does.
#![no_std]

extern crate alloc;
// The attributes name this crate as its users do.
#[cfg(test)]
extern crate self as guest_sdk;
#[cfg(not(any(pv_guest, target_os = "none")))]
extern crate std;

pub mod batch;
pub mod block;
pub mod calls;
pub mod collections;
pub mod console;
#[cfg(any(pv_guest, target_os = "none", test))]
#[doc(hidden)]
pub mod critical;
pub mod doorbell;
pub mod entry;
pub mod env;
pub mod event;
pub mod executor;
pub mod fault;
pub mod gate;
pub mod heap;
pub mod line;
pub mod logger;
mod macros;
#[cfg(any(pv_guest, target_os = "none", test))]
mod mem;
pub mod net;
pub mod paging;
pub mod panic;
pub mod platform;
pub mod random;
pub mod rng;
pub mod shutdown;
mod stack;
#[cfg(not(any(pv_guest, target_os = "none")))]
mod stand_in;
mod stopwatch;
pub mod sync;
pub mod thread;
pub mod time;
pub mod trapped;
pub mod virtio;
pub mod vsock;

pub use entry::{ExitCode, Termination};
pub use guest_sdk_macros::{main, task};
pub use hypercall_abi as abi;

#[cfg(any(pv_guest, target_os = "none"))]
#[doc(hidden)]
pub use critical_section as __critical_section;
#[cfg(any(pv_guest, target_os = "none"))]
#[doc(hidden)]
pub use getrandom as __getrandom;
#[cfg(not(any(pv_guest, target_os = "none")))]
#[doc(hidden)]
pub use vmm::launch as __launch;
