//! Exceptions and what a guest may do while it handles one.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use hypercall_abi::call as number;
use hypercall_abi::fault::{FaultFrame, vector};
use test_guests::{answers, arg, arg_number, call, check, fail, memory, vcpu};

/// A function the host enters with the frame of an exception.
type Handler = extern "C" fn(&mut FaultFrame) -> !;

/// Registers a handler on the stack of a vCPU that is never started.
fn register(handler: Handler) {
    let answer = call(
        number::FAULT_HANDLER,
        &[handler as usize as u64, vcpu::stack_top(7)],
    );
    answers!(answer, OK, "fault_handler");
}

/// Goes on as a frame says.
fn resume(frame: &FaultFrame) -> ! {
    let answer = call(number::FAULT_RETURN, &[&raw const *frame as u64]);
    fail(format_args!("fault_return answered {:?}", answer.status))
}

/// The last exception: vector, error code, address.
static VECTOR: AtomicU32 = AtomicU32::new(u32::MAX);
static CODE: AtomicU32 = AtomicU32::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);

/// Notes the exception and goes on where `rbx` says, with `rax` = 0x600d.
extern "C" fn note(frame: &mut FaultFrame) -> ! {
    VECTOR.store(frame.vector, SeqCst);
    CODE.store(frame.code, SeqCst);
    ADDRESS.store(frame.address, SeqCst);
    frame.gpr[0] = 0x600d;
    frame.rip = frame.gpr[3];
    frame.rflags &= !0x100;
    resume(frame)
}

/// Runs instructions that fault, and checks what the handler was told.
macro_rules! expect {
    ($vector:expr, $code:expr, $address:expr, $($instructions:literal),+) => {{
        VECTOR.store(u32::MAX, SeqCst);
        let mut rax = 0u64;
        // SAFETY: the handler continues behind the instructions; what they may change before that is declared.
        unsafe {
            asm!(
                "push rbx", "lea rbx, [rip + 7f]",
                $($instructions,)+
                "7:", "pop rbx",
                inout("rax") rax, out("rcx") _, out("rdx") _, out("xmm0") _, out("st(0)") _,
            );
        }
        let what = concat!($($instructions, "; "),+);
        let (vector, code, address) = (VECTOR.load(SeqCst), CODE.load(SeqCst), ADDRESS.load(SeqCst));
        check!(vector == $vector, "{what}vector {vector}, expected {}", $vector);
        check!(code == $code, "{what}error code {code:#x}, expected {:#x}", $code);
        check!(vector != vector::PAGE_FAULT || address == $address, "{what}address {address:#x}");
        check!(rax == 0x600d, "{what}an edited rax came back as {rax:#x}");
    }};
}

/// Every exception a guest can raise reaches its handler, and an edited frame is what it continues with.
pub fn reflect() {
    register(note);
    expect!(
        vector::DIVIDE,
        0,
        0,
        "xor edx, edx",
        "xor ecx, ecx",
        "div ecx"
    );
    expect!(vector::BREAKPOINT, 0, 0, "int3");
    expect!(vector::INVALID_OPCODE, 0, 0, "ud2");
    expect!(vector::PROTECTION, 0, 0, "hlt");
    expect!(
        vector::PROTECTION,
        0,
        0,
        "mov rax, 0x8000000000000000",
        "mov al, [rax]"
    );
    expect!(
        vector::PAGE_FAULT,
        4,
        8,
        "xor eax, eax",
        "mov al, [rax + 8]"
    );
    expect!(
        vector::PAGE_FAULT,
        6,
        16,
        "xor eax, eax",
        "mov [rax + 16], al"
    );
    expect!(
        vector::PAGE_FAULT,
        7,
        0x1_1000,
        "mov eax, 0x11000",
        "mov [rax], al"
    );
    expect!(
        vector::PAGE_FAULT,
        0x15,
        0x1_2000,
        "mov eax, 0x12000",
        "jmp rax"
    );
    expect!(
        vector::DEBUG,
        0,
        0,
        "pushfq",
        "or dword ptr [rsp], 0x100",
        "popfq",
        "nop"
    );
    expect!(
        vector::X87,
        0,
        0,
        "push 0x37e",
        "fldcw [rsp]",
        "pop rax",
        "fldz",
        "fldz",
        "fdivp",
        "fwait"
    );
    // SAFETY: the default again, for the code that follows.
    unsafe { asm!("fnclex", "fninit") };
}

/// The exception of SSE arithmetic. Exit code 2 where the processor does not raise it at all.
pub fn reflect_simd() {
    register(note);
    // SAFETY: where the exception is raised, the handler continues right behind the division.
    unsafe {
        asm!(
            "push rbx", "lea rbx, [rip + 7f]",
            "push 0x1f00", "ldmxcsr [rsp]", "pop rax",
            "xorps xmm0, xmm0", "divss xmm0, xmm0",
            "7:", "push 0x1f80", "ldmxcsr [rsp]", "pop rax", "pop rbx",
            out("rax") _, out("xmm0") _,
        );
    }
    match VECTOR.load(SeqCst) {
        vector::SIMD => {}
        u32::MAX => test_guests::exit(2),
        other => fail(format_args!("vector {other}")),
    }
}

/// Flags that a guest has no business with, handed back in a frame, change nothing.
pub fn reflected_flags() {
    /// Carry, parity, adjust, zero, sign, trap, direction, overflow, alignment check, identification.
    const FREE: u64 = 0x24_0dd5;
    extern "C" fn spoil(frame: &mut FaultFrame) -> ! {
        frame.rip += 2;
        frame.rflags = !0x4_0100;
        resume(frame)
    }
    register(spoil);
    let (before, after): (u64, u64);
    // SAFETY: the handler skips the instruction; the flags are read and put right.
    unsafe {
        asm!(
            "pushfq", "pop {before}", "ud2", "pushfq", "pop {after}", "cld",
            before = out(reg) before, after = out(reg) after,
        );
    }
    check!(
        before & !FREE == after & !FREE,
        "flags {before:#x} became {after:#x}"
    );
    check!(after & 0xcd5 == 0xcd5, "free flags came back as {after:#x}");
}

/// Returns from a handler in the wrong way that the second argument names.
pub fn bad_return() {
    extern "C" fn wrong(frame: &mut FaultFrame) -> ! {
        match arg(2) {
            "frame" => {
                let answer = call(number::FAULT_RETURN, &[arg_number(3)]);
                answers!(answer, BAD_ADDRESS, "fault_return");
                frame.rip += 2;
                resume(frame)
            }
            "rip" => {
                frame.rip = arg_number(3);
                let answer = call(number::FAULT_RETURN, &[&raw const *frame as u64]);
                answers!(answer, BAD_ADDRESS | BAD_ARGUMENT, "fault_return");
                test_guests::exit(0)
            }
            "rsp" => {
                // The code behind the instruction finds no stack and faults once more.
                if VECTOR.swap(frame.vector, SeqCst) != u32::MAX {
                    test_guests::exit(0);
                }
                frame.rip += 2;
                frame.gpr[4] = arg_number(3);
                resume(frame)
            }
            "never" => test_guests::exit(0),
            other => fail(format_args!("no return is called {other:?}")),
        }
    }
    register(wrong);
    // SAFETY: the handler skips the instruction, or does not return.
    unsafe { asm!("ud2") };
}

/// A handler that faults itself.
pub fn nested() {
    extern "C" fn again(_: &mut FaultFrame) -> ! {
        // SAFETY: an undefined instruction has no effect but the exception.
        unsafe { asm!("ud2", options(noreturn)) }
    }
    register(again);
    // SAFETY: as above.
    unsafe { asm!("int3") };
}

/// As many exceptions as the second argument says, one after the other.
pub fn fault_storm() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(frame: &mut FaultFrame) -> ! {
        SEEN.fetch_add(1, SeqCst);
        frame.rip += 2;
        resume(frame)
    }
    register(count);
    for _ in 0..arg_number(2) {
        // SAFETY: the handler skips the instruction.
        unsafe { asm!("ud2") };
    }
    let seen = SEEN.load(SeqCst);
    check!(seen == arg_number(2), "{seen} exceptions");
}

/// An exception while the stack pointer is what the third argument says; with a handler if the second is "handled".
pub fn lost_stack() {
    extern "C" fn end(frame: &mut FaultFrame) -> ! {
        check!(frame.gpr[4] == arg_number(3), "rsp {:#x}", frame.gpr[4]);
        test_guests::exit(0)
    }
    if arg(2) == "handled" {
        register(end);
    }
    // SAFETY: there is no way on from here.
    unsafe { asm!("mov rsp, {}", "ud2", in(reg) arg_number(3), options(noreturn)) }
}

/// An exception whose handler's stack or code is not there any more.
pub fn lost_handler_stack() {
    extern "C" fn end(_: &mut FaultFrame) -> ! {
        test_guests::exit(3)
    }
    register(end);
    let Some(entry) = memory::entry(vcpu::stack_top(7) - 1) else {
        fail(format_args!("no table maps the stack"))
    };
    entry.store(0, SeqCst);
    memory::flush();
    // SAFETY: an undefined instruction has no effect but the exception.
    unsafe { asm!("ud2") };
}
