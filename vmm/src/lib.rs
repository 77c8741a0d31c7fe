//! The Trapless hypervisor as a library: [`Config`] → [`Vm`] → [`Outcome`].
//!
//! Nothing here exits the process: a program may run several VMs at once, and end each from any thread with its [`Stopper`].
//! The one thing that is the process's is a signal handler, for the first real-time signal, which makes vCPU threads leave the guest.

pub mod backtrace;
mod bell;
mod calls;
mod clock;
pub mod config;
mod console;
pub mod error;
pub mod fault;
pub mod image;
mod kick;
mod kvm;
pub mod memory;
pub mod outcome;
mod platform;
mod shared;
pub mod stats;
mod vcpu;
mod vm;
mod watch;

pub use config::Config;
pub use error::Error;
pub use outcome::{End, Outcome, StopReason};
pub use vm::{Stopper, Vm};
