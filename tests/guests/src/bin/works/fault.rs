//! The mistakes whose reports an author meets, each in a function of its own.

use core::hint::black_box;
use guest_sdk::println;

/// Divides by zero, in assembly: the language would check.
#[inline(never)]
pub fn divide() {
    // SAFETY: the fault is what is wanted.
    unsafe { core::arch::asm!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
}

/// Reads through a null pointer.
#[inline(never)]
pub fn null() {
    // SAFETY: the fault is what is wanted.
    unsafe { core::arch::asm!("mov {0}, [{0}]", inout(reg) 0_u64 => _) };
}

/// Calls a null pointer.
#[inline(never)]
pub fn jump_null() {
    // SAFETY: the fault is what is wanted.
    unsafe { core::arch::asm!("call {0}", in(reg) 0_u64, clobber_abi("C")) };
}

/// Writes over this very function.
#[inline(never)]
pub fn write_code() {
    // SAFETY: the fault is what is wanted.
    unsafe { (write_code as *mut u8).write_volatile(0xc3) };
}

/// Runs bytes on the stack.
#[inline(never)]
pub fn execute_data() {
    let code = black_box([0xc3_u8; 16]);
    // SAFETY: the fault is what is wanted.
    unsafe { core::arch::asm!("call {0}", in(reg) code.as_ptr(), clobber_abi("C")) };
}

/// Runs off its stack.
pub fn overflow() {
    #[inline(never)]
    fn deeper(depth: u64) -> u64 {
        let here = black_box([depth; 64]);
        if here[0] == u64::MAX {
            return 0;
        }
        deeper(black_box(depth + 1)) + here[0]
    }
    println!("{}", deeper(0));
}

/// Floating point, for which the vector state must be ready.
pub fn float() {
    let mut sum = 0.0_f64;
    for n in 1..1000 {
        let n = f64::from(black_box(n));
        sum += 1.0 / (n * n);
    }
    println!("{sum:.6}");
}
