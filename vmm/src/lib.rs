//! The Trapless hypervisor as a library: [`Config`] → `Vm` → [`Outcome`].
//!
//! Nothing here exits the process or installs itself for good: a program may run several VMs at once,
//! and stop each from any thread.

pub mod config;
pub mod error;
pub mod fault;
pub mod outcome;
pub mod stats;

pub use config::Config;
pub use error::Error;
pub use outcome::{End, Outcome, StopReason};
