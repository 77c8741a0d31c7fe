//! What a guest crate says of itself, expanded differently in its two flavours.
//!
//! The flavour is decided here, by the SDK's own `cfg`, so that the user's crate needs none: built plainly it is
//! a launcher for the host, built by the launcher it is an image for a VM.

/// Puts the ELF note into the image: `note!()`, or `note!(Note { stack_bytes: 1 << 20, ..Note::DEFAULT })` with
/// [`abi::note::Note`](hypercall_abi::note::Note). [`entry!`](crate::entry!) does it for you.
#[macro_export]
macro_rules! note {
    () => {
        $crate::note!($crate::abi::note::Note::DEFAULT);
    };
    ($note:expr) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".note.trapless")]
            static NOTE: $crate::abi::note::NoteSection = $crate::abi::note::NoteSection::new(
                $note.said_in(::core::file!(), ::core::line!()),
            );
        };
    };
}

/// Makes a crate a guest program: `entry!(main)`, or `entry!(main, Note { … })` to ask for more than the default, as
/// `entry!(main, Note::DEFAULT.needs(kind::BLOCK))` does for a disk.
///
/// `main` takes nothing and returns a [`Termination`](crate::Termination). The crate's first lines are
/// ```ignore
/// #![no_std]
/// #![cfg_attr(not(test), no_main)]
/// guest_sdk::entry!(main);
/// ```
/// In the host flavour this is a `main` that builds the guest flavour and boots it: as `NAME.toml` says beside the program's source (for a
/// `main.rs`, also beside the directory of that), or else `vm.toml` beside the package's `Cargo.toml`. In the guest flavour it is
/// the entry point, the panic handler, the global allocator and the backends of `getrandom` and `critical-section`.
#[cfg(any(pv_guest, target_os = "none"))]
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main, $crate::abi::note::Note::DEFAULT);
    };
    ($main:path, $note:expr) => {
        $crate::note!($note);
        $crate::__runtime!($crate::entry::run($main));
    };
}

/// See the guest flavour's documentation.
#[cfg(not(any(pv_guest, target_os = "none")))]
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main, $crate::abi::note::Note::DEFAULT);
    };
    ($main:path, $note:expr) => {
        const _: () = {
            let _ = ($main, $note);
        };
        #[cfg(not(test))]
        $crate::__launcher!(main());
    };
}

/// Makes an integration test a guest program: `test_main!(first_test, second_test)`, in a `[[test]]` with `harness = false`
/// whose first lines are `#![no_std]` and `#![no_main]`.
///
/// `cargo test` boots a VM for each test; one that panics or ends otherwise than by returning fails.
#[cfg(any(pv_guest, target_os = "none"))]
#[macro_export]
macro_rules! test_main {
    ($($test:path),+ $(,)?) => {
        $crate::note!();
        $crate::__runtime!($crate::entry::run_tests(&[$((::core::stringify!($test), $test)),+]));
    };
}

/// See the guest flavour's documentation.
#[cfg(not(any(pv_guest, target_os = "none")))]
#[macro_export]
macro_rules! test_main {
    ($($test:path),+ $(,)?) => {
        const _: &[fn()] = &[$($test),+];
        $crate::__launcher!(test(&[$(::core::stringify!($test)),+]));
    };
}

/// Lets a program run tasks: defines what `embassy-executor` and `embassy-time` call, by [`executor`](mod@crate::executor). Once in a program;
/// [`main`](crate::main) does it for you.
#[macro_export]
macro_rules! executor {
    () => {
        const _: () = {
            #[unsafe(export_name = "__pender")]
            fn pend(context: *mut ()) {
                $crate::executor::__pend(context);
            }

            $crate::executor::__embassy_time_driver::time_driver_impl!(
                static DRIVER: $crate::executor::__Driver = $crate::executor::__Driver
            );
        };
    };
}

/// Wraps a kernel that brings its own `_start`, panic handler, allocator and [`note!`](crate::note): the items are the guest flavour, and nothing is added
/// to them. In the host flavour they are left out, and the crate is a launcher as with [`entry!`](crate::entry!).
#[cfg(any(pv_guest, target_os = "none"))]
#[macro_export]
macro_rules! kernel {
    ($($item:item)*) => { $($item)* };
}

/// See the guest flavour's documentation.
#[cfg(not(any(pv_guest, target_os = "none")))]
#[macro_export]
macro_rules! kernel {
    ($($item:item)*) => {
        #[cfg(not(test))]
        $crate::__launcher!(main());
    };
}

/// What acts on a whole program. It is expanded into the program, so that one that does not ask for it has none of it.
#[cfg(any(pv_guest, target_os = "none"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __runtime {
    ($run:expr) => {
        const _: () = {
            #[global_allocator]
            static HEAP: $crate::heap::Heap = $crate::heap::Heap;

            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo) -> ! {
                $crate::panic::report(info)
            }

            #[unsafe(no_mangle)]
            extern "C" fn _start() -> ! {
                $run
            }

            #[unsafe(no_mangle)]
            unsafe fn __getrandom_v03_custom(
                dest: *mut u8,
                len: usize,
            ) -> ::core::result::Result<(), $crate::__getrandom::Error> {
                // SAFETY: `getrandom` passes a buffer of its own.
                unsafe { $crate::random::getrandom(dest, len) }
            }

            $crate::__critical_section::set_impl!($crate::critical::Section);
        };
    };
}

/// The host flavour's `main`, which the C library calls.
#[cfg(not(any(pv_guest, target_os = "none")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __launcher {
    ($launch:ident($($arg:expr)?)) => {
        const _: () = {
            #[unsafe(export_name = "main")]
            extern "C" fn launch() -> ! {
                let program = $crate::__launch::Program {
                    directory: ::core::env!("CARGO_MANIFEST_DIR"),
                    package: ::core::env!("CARGO_PKG_NAME"),
                    name: ::core::env!("CARGO_CRATE_NAME"),
                };
                $crate::__launch::$launch(&program $(, $arg)?)
            }
        };
    };
}
