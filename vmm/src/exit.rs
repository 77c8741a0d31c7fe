//! Exit codes: of `trapless`, and of every program that launches a VM as it does.
//!
//! A guest's own code is passed on as it is, so it may coincide with one of these; [`Options::outcome`](crate::run::Options::outcome) tells
//! them apart. The numbers are those of `timeout`, of shells and of `sysexits.h` where these have one.

use crate::Error;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $meaning:literal;)+) => {
        $($(#[$doc])* pub const $name: u8 = $code;)+

        /// Every code with its meaning, in order.
        pub const TABLE: &[(u8, &str)] = &[$(($code, $meaning)),+];
    };
}

codes! {
    /// The command line makes no sense.
    USAGE = 64, "the command line makes no sense";
    /// `/dev/kvm` is not there or may not be opened.
    NO_KVM = 69, "no KVM: /dev/kvm is not there or may not be opened";
    /// The guest's package did not build.
    BUILD = 70, "the guest's package did not build";
    /// The host's kernel refused something.
    HOST = 71, "the host's kernel refused something";
    /// A file that was asked for could not be created.
    CANNOT_CREATE = 73, "a file that was asked for could not be created";
    /// The configuration or the image was refused.
    REFUSED = 78, "the configuration or the image was refused";
    /// The guest panicked.
    PANIC = 101, "the guest panicked";
    /// The guest faulted.
    FAULT = 120, "the guest faulted";
    /// The guest ran past its time limit.
    TIME_LIMIT = 124, "the guest ran past its time limit";
    /// Stopped by SIGHUP.
    HUNG_UP = 129, "stopped by SIGHUP (its terminal was closed)";
    /// Stopped by SIGINT.
    INTERRUPTED = 130, "stopped by SIGINT (Ctrl-C)";
    /// Stopped by SIGTERM.
    TERMINATED = 143, "stopped by SIGTERM";
}

const _: () = assert!(PANIC == hypercall_abi::fault::PANIC_EXIT_CODE);

/// The table as help texts print it.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n  0-255  the guest's own\n");
    for (code, meaning) in TABLE {
        text.push_str(&format!("  {code:<5}  {meaning}\n"));
    }
    text
}

impl Error {
    /// The exit code of a program that this ends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NoKvm(_) => NO_KVM,
            Error::Build(_) => BUILD,
            Error::Kvm { .. } | Error::Disk { .. } | Error::Os { .. } => HOST,
            Error::Create { .. } => CANNOT_CREATE,
            Error::Image { .. } | Error::Config(_) => REFUSED,
        }
    }
}
