//! What `tests/report.rs` compiles and looks up addresses in: a freestanding program as a guest is, that is never run.
#![no_std]
#![no_main]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

pub mod faults {
    #[inline(always)]
    fn poke(at: *mut u64) {
        // SAFETY: never run.
        unsafe { at.write_volatile(7) } // the inlined line
    }

    #[inline(never)]
    pub fn write(at: u64) {
        poke(at as *mut u64); // the line that inlines
    }

    #[inline(never)]
    pub fn index(table: &[u64], at: usize) -> u64 {
        table[at]
    }
}

// A function that only the symbol table knows, without a size.
core::arch::global_asm!(".globl plain", "plain: nop", "hlt");

unsafe extern "C" {
    fn plain();
}

/// Where it would start.
#[unsafe(no_mangle)]
pub extern "C" fn _start(at: u64) -> u64 {
    faults::write(at);
    // SAFETY: never run.
    unsafe { plain() };
    faults::index(&[1, 2, at], at as usize)
}
