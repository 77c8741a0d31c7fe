//! The console: standard output, error and input.
//!
//! Owns the buffers. Output leaves the guest a line or a full buffer at a time, with one call each; one
//! `println!` is never torn by another thread's. Input is read when asked for, and whoever asks first writes out what is
//! still buffered, so that a prompt is seen.
//!
//! What cannot be written, because the VM has no console or its other end is gone, is dropped silently by the macros
//! and reported by [`Stdout::write_all`].
//!
//! [Ports](Port) are further streams, over the virtio console, where the VM has one.
//!
//! The streams implement the traits of `embedded-io` and `embedded-io-async`.

mod input;
mod io;
mod output;
mod port;
mod ports;

pub use input::{Lines, Stdin, stdin};
pub use io::{ConsoleError, PortError};
pub use output::{Stderr, Stdout, stderr, stdout};
pub(crate) use output::{flush, flush_in_panic};
pub use port::{OpenError, Port, Reader, Writer};

#[doc(hidden)]
pub use output::{print, print_error};

/// Prints to standard output.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!($($arg)*)) };
}

/// Prints to standard output, and a newline.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($arg)*))) };
}

/// Prints to standard error.
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::console::print_error(::core::format_args!($($arg)*)) };
}

/// Prints to standard error, and a newline.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::eprint!("\n") };
    ($($arg:tt)*) => { $crate::console::print_error(::core::format_args!("{}\n", ::core::format_args!($($arg)*))) };
}
