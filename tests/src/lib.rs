//! What the tests share: guests as images, a VM run to its end with its console kept, and the rule about `/dev/kvm`.
//!
//! - A test that boots a guest begins with [`require_kvm!`].
//! - [`guest`] is an image, built once per process; with [`GUESTS_VARIABLE`] set it is taken from that directory, so that
//!   the same test binary runs on a machine without cargo.
//! - [`Boot`] says what to run; [`Boot::run`] runs it and returns a [`Finished`].

pub mod alone;
mod boot;
mod guests;
pub mod kvm;
pub mod skip;

pub use boot::{Boot, Finished};
pub use guests::{EXAMPLES, GUESTS, GUESTS_VARIABLE, build_into, guest};
