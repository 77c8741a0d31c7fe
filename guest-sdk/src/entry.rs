//! From the guest's first instruction to `main`, and from `main`'s value to the exit code.
//!
//! Owns the order of things at start. What makes a crate a guest is expanded into it by [`entry!`](crate::entry!); nothing of it
//! exists in a program that does not ask for it.

use core::fmt::Debug;
use hypercall_abi::{boot, version};

/// What `main` may return.
pub trait Termination {
    /// The VM's exit code. What is worth saying about it is said on the way.
    fn report(self) -> u8;
}

/// An exit code, for a `main` that returns one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// 0.
    pub const SUCCESS: ExitCode = ExitCode(0);
    /// 1.
    pub const FAILURE: ExitCode = ExitCode(1);
}

impl Termination for () {
    fn report(self) -> u8 {
        0
    }
}

impl Termination for u8 {
    fn report(self) -> u8 {
        self
    }
}

impl Termination for ExitCode {
    fn report(self) -> u8 {
        self.0
    }
}

impl Termination for core::convert::Infallible {
    fn report(self) -> u8 {
        match self {}
    }
}

/// An error is printed to standard error, and the exit code is 1.
impl<T: Termination, E: Debug> Termination for Result<T, E> {
    fn report(self) -> u8 {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                crate::eprintln!("Error: {error:?}");
                1
            }
        }
    }
}

/// Runs a program: what `_start` does.
#[doc(hidden)]
pub fn run<T: Termination>(main: fn() -> T) -> ! {
    check();
    let code = main().report();
    crate::shutdown::exit(code)
}

/// Runs the tests that the first argument names, or all.
#[doc(hidden)]
pub fn run_tests(tests: &[(&str, fn())]) -> ! {
    check();
    let wanted = crate::env::args().nth(1);
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| wanted == *name) {
            test();
        }
    }
    crate::shutdown::exit(0)
}

/// Panics unless the host speaks this crate's version of the ABI. Hosts check the image's note before they boot it; this is
/// for those that do not.
fn check() {
    let page = crate::platform::boot();
    assert!(
        page.magic == boot::MAGIC,
        "there is no boot page: this is no Trapless host"
    );
    assert!(
        page.version_major == version::MAJOR && page.version_minor >= version::MINOR,
        "the host speaks ABI {}.{}, this guest needs {}.{}",
        page.version_major,
        page.version_minor,
        version::MAJOR,
        version::MINOR
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_a_code() {
        assert_eq!(().report(), 0);
        assert_eq!(7_u8.report(), 7);
        assert_eq!(ExitCode::FAILURE.report(), 1);
        assert_eq!(Ok::<u8, ()>(3).report(), 3);
        assert_eq!(Err::<(), _>("no luck").report(), 1);
    }
}
