//! What the test guests share: calls made raw, past the SDK, so that they can be wrong in every way, and the boot
//! page read as it is. A guest says what it found by its exit code (0: as expected) and a line on the console.
#![no_std]

pub mod gate;
pub mod memory;
pub mod ring;
pub mod vcpu;

pub use gate::{Answer, call};

use core::fmt::{self, Write};
use hypercall_abi::boot::{BootPage, Bytes};
use hypercall_abi::{call as number, map};

/// The boot page.
#[must_use]
pub fn boot() -> &'static BootPage {
    // SAFETY: the host maps the boot page at this address before the guest runs and never changes it; any
    // bytes are a `BootPage`. A case that overwrites it copies it first.
    unsafe { &*(map::BOOT_PAGE as *const BootPage) }
}

/// A command line argument, 0 being the image's name; empty where there is none.
#[must_use]
pub fn arg(index: u64) -> &'static str {
    let page = boot();
    if index >= page.args_count {
        return "";
    }
    // SAFETY: the host put an array of `args_count` elements there, each a range of UTF-8 that stays as it is.
    unsafe {
        let bytes = &*(page.args.0 as *const Bytes).add(index as usize);
        let slice = core::slice::from_raw_parts(bytes.gpa.0 as *const u8, bytes.len as usize);
        core::str::from_utf8_unchecked(slice)
    }
}

/// A command line argument as a number: decimal, or hexadecimal after `0x`.
#[must_use]
pub fn arg_number(index: u64) -> u64 {
    let text = arg(index);
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(value) => value,
        Err(_) => fail(format_args!("argument {index} is no number: {text}")),
    }
}

/// Ends the VM.
pub fn exit(code: u8) -> ! {
    call(number::EXIT, &[u64::from(code)]);
    // Only a host that is wrong comes here; the fault is its report.
    loop {
        // SAFETY: an undefined instruction has no effect but the exception.
        unsafe { core::arch::asm!("ud2") };
    }
}

/// Says what is wrong, and ends the VM with exit code 1.
pub fn fail(what: fmt::Arguments<'_>) -> ! {
    say(format_args!("FAILED: {what}"));
    exit(1)
}

/// Prints a line of at most 512 bytes, in one call where the host takes it whole.
pub fn say(line: fmt::Arguments<'_>) {
    let mut text = Line {
        bytes: [0; 512],
        len: 0,
    };
    let _ = text.write_fmt(line);
    let _ = text.write_str("\n");
    let mut rest = &text.bytes[..text.len];
    while !rest.is_empty() {
        let answer = call(
            number::CONSOLE_WRITE,
            &[
                number::STREAM_OUTPUT,
                rest.as_ptr() as u64,
                rest.len() as u64,
            ],
        );
        if answer.status != hypercall_abi::Status::OK {
            return;
        }
        rest = rest.get(answer.result as usize..).unwrap_or_default();
    }
}

/// A line being made.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// Ends the VM with exit code 1 and a line unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            $crate::fail(format_args!("line {}: {}", line!(), format_args!($($text)+)));
        }
    };
}

/// Ends the VM with exit code 1 and a line unless the answer has one of the statuses.
#[macro_export]
macro_rules! answers {
    ($answer:expr, $($status:ident)|+, $($text:tt)+) => {{
        let answer = $answer;
        if !matches!(answer.status, $(hypercall_abi::Status::$status)|+) {
            $crate::fail(format_args!("line {}: {}: {:?}, result {:#x}", line!(), format_args!($($text)+), answer.status, answer.result));
        }
        answer
    }};
}
