//! What happens when a guest panics: the host is told the message, the place and where the backtrace begins.
//!
//! Owns the buffer of the one message that gets out. The exit code is the host's,
//! [`PANIC_EXIT_CODE`](hypercall_abi::fault::PANIC_EXIT_CODE).

use crate::calls;
use crate::platform::Vcpu;
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use hypercall_abi::{Gpa, boot::Bytes, fault};

/// The longest message, in bytes; what is longer is cut.
const LONGEST: usize = 4096;

/// The vCPU that panics: its index + 1, or 0.
static PANICKING: AtomicU32 = AtomicU32::new(0);
static MESSAGE: Shared = Shared(UnsafeCell::new(Message {
    len: 0,
    bytes: [0; LONGEST],
}));

struct Shared(UnsafeCell<Message>);

// SAFETY: only the vCPU that claimed PANICKING touches it.
unsafe impl Sync for Shared {}

/// Text, cut where it would not fit.
struct Message {
    len: usize,
    bytes: [u8; LONGEST],
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST - self.len;
        let cut = text.floor_char_boundary(room);
        self.bytes[self.len..self.len + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.len += cut;
        if cut < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Ends the VM with a report. What [`entry!`](crate::entry!) makes the panic handler; a kernel with its own may call it too.
#[inline(never)]
pub fn report(info: &PanicInfo) -> ! {
    let me = Vcpu::current().index() + 1;
    match PANICKING.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => {}
        Err(first) if first == me => end("panicked while reporting a panic", info),
        // The VM ends with the other vCPU's report.
        Err(_) => loop {
            let _ = calls::wait(0, calls::FOREVER);
        },
    }
    crate::console::flush_in_panic();
    // SAFETY: this vCPU claimed PANICKING, which is never given back.
    let message = unsafe { &mut *MESSAGE.0.get() };
    let _ = write!(message, "{}", info.message());
    end(
        core::str::from_utf8(&message.bytes[..message.len]).unwrap_or_default(),
        info,
    )
}

fn end(message: &str, info: &PanicInfo) -> ! {
    let place = info.location();
    let (rip, rbp): (u64, u64);
    // SAFETY: reads two registers.
    unsafe {
        core::arch::asm!("lea {}, [rip]", "mov {}, rbp", out(reg) rip, out(reg) rbp, options(nomem, nostack, preserves_flags));
    }
    calls::panic(&fault::PanicInfo {
        message: bytes(message),
        file: bytes(place.map_or("", |place| place.file())),
        line: place.map_or(0, |place| place.line()),
        column: place.map_or(0, |place| place.column()),
        rip,
        rbp: Gpa(rbp),
    })
}

fn bytes(text: &str) -> Bytes {
    Bytes {
        gpa: Gpa(text.as_ptr() as u64),
        len: text.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut message = Message {
            len: 0,
            bytes: [0; LONGEST],
        };
        for _ in 0..LONGEST - 1 {
            message.write_str("x").unwrap();
        }
        assert!(message.write_str("é").is_err());
        assert_eq!(message.len, LONGEST - 1);
    }
}
