//! The Trapless hypervisor as a library: [`Config`] → [`Vm`] → [`Outcome`].
//!
//! Nothing here exits the process: a program may run several VMs at once, and end each from any thread with its [`Stopper`].
//! What is the process's: a signal handler, for the first real-time signal, which makes vCPU threads leave the guest; another, unless it has one,
//! that turns SIGXFSZ into an error of the write; and the thread that polls the call lines of all VMs, which sleeps while none of them makes many calls.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc; // for what guests compile too

pub mod backtrace;
mod bell;
pub mod bench;
pub mod build;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod calls;
mod clock;
pub mod config;
mod console;
mod cpu;
mod devices;
mod distribution;
mod doorbell;
pub mod error;
pub mod exit;
pub mod fault;
mod file_limit;
#[cfg(test)]
mod fuzz;
mod gauge;
mod histogram;
pub mod host;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
pub mod image;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod io;
mod kick;
mod kvm;
pub mod launch;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod line;
mod machine;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
pub mod memory;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
pub mod needs;
pub mod outcome;
mod platform;
mod poller;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod rate;
mod recent;
pub mod report;
pub mod run;
mod shared;
#[cfg(test)]
mod stage;
pub mod stats;
mod tally;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod timing;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod trapped;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod vcpu;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))] // numbers from the guest arrive here
mod virtio;
mod vm;
mod watch;

pub use config::Config;
pub use error::Error;
pub use outcome::{End, Outcome, StopReason};
pub use vm::{Stopper, Vm};
