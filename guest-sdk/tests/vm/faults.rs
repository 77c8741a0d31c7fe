//! Exceptions handled by the guest.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use guest_sdk::fault::{self, Frame, Verdict, vector};
use guest_sdk::thread;

/// Uses the vector registers for something else, and goes on after a breakpoint.
fn survive(frame: &mut Frame) -> Verdict {
    if frame.vector != vector::BREAKPOINT {
        return Verdict::Die;
    }
    // SAFETY: changes a register that is declared to change.
    unsafe { asm!("xorps xmm3, xmm3", out("xmm3") _) };
    Verdict::Resume
}

pub fn a_breakpoint_is_survived() {
    fault::handle(survive).expect("fault handlers are granted");
    for _ in 0..100 {
        // SAFETY: the handler leaves every register as it was.
        unsafe { asm!("int3") };
    }
}

pub fn the_frame_can_be_edited() {
    fn skip(frame: &mut Frame) -> Verdict {
        if frame.vector != vector::INVALID_OPCODE {
            return Verdict::Die;
        }
        frame.rip += 2; // past `ud2`
        frame.gpr[0] *= 2;
        Verdict::Resume
    }
    fault::handle(skip).expect("fault handlers are granted");
    let mut number = 21_u64;
    // SAFETY: the handler changes `rax`, and keeps every other register.
    unsafe { asm!("ud2", inout("rax") number) };
    assert_eq!(number, 42);
}

pub fn vector_registers_survive() {
    fault::handle(survive).expect("fault handlers are granted");
    let before = [0x0123_4567_89ab_cdef_u64, 0xfedc_ba98_7654_3210];
    let mut after = [0_u64; 2];
    // SAFETY: moves 16 bytes from one array into another.
    unsafe {
        asm!(
            "movups xmm3, [{before}]",
            "int3",
            "movups [{after}], xmm3",
            before = in(reg) &before,
            after = in(reg) &mut after,
            out("xmm3") _,
        );
    }
    assert_eq!(after, before);
}

pub fn each_thread_has_its_own_handler() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    fn count(frame: &mut Frame) -> Verdict {
        SEEN.fetch_add(1, Ordering::Relaxed);
        survive(frame)
    }
    fault::handle(survive).expect("fault handlers are granted");
    for _ in 0..3 {
        let other = thread::spawn(|| {
            fault::handle(count).expect("fault handlers are granted");
            // SAFETY: the handler leaves every register as it was.
            unsafe { asm!("int3") };
        });
        // SAFETY: as above.
        unsafe { asm!("int3") };
        other.expect("a free vCPU").join();
    }
    assert_eq!(SEEN.load(Ordering::Relaxed), 3);
}
