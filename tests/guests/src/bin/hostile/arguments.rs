//! Calls with impossible numbers, addresses, lengths and values.

use core::arch::asm;
use hypercall_abi::call::{self as number, MAX_TRANSFER, STREAM_OUTPUT};
use hypercall_abi::class::Classes;
use hypercall_abi::vcpu::event;
use hypercall_abi::{Gpa, boot::Bytes, fault::PanicInfo, map};
use test_guests::{answers, arg, arg_number, boot, call, check, fail, gate};

/// Memory that calls may read and write.
static mut BUFFER: [u8; 2 * MAX_TRANSFER as usize] = [b'.'; 2 * MAX_TRANSFER as usize];

/// Where that is.
pub fn buffer() -> u64 {
    &raw mut BUFFER as u64
}

/// Addresses at which no call may find eight bytes.
fn addresses() -> [u64; 22] {
    let end = boot().memory_bytes;
    [
        0,
        1,
        7,
        0xfff,
        0xffff,
        map::HYPERCALL_PAGE,
        map::BOOT_PAGE,
        map::SHARED_INFO,
        map::DEVICES,
        map::VCPU_PAGES,
        map::CORNER,
        map::PAGE_TABLES,
        map::RAM_BASE - 1,
        end - 7,
        end,
        end + 0x1000,
        1 << 47,
        1 << 52,
        1 << 63,
        (1 << 63) | buffer(),
        u64::MAX - 7,
        u64::MAX,
    ]
}

/// Numbers that the table does not have.
pub fn unknown_calls() {
    for class in 0..256 {
        for index in [0, 1, 2, 3, 4, 0x10, 0x80, 0xff] {
            let unknown = class << 8 | index;
            if number::entry(unknown).is_none() {
                answers!(call(unknown, &[]), UNKNOWN_CALL, "call {unknown:#x}");
            }
        }
    }
    for bit in (11..32).filter(|bit| number::entry(1 << bit).is_none()) {
        let unknown = 1 << bit | number::NULL;
        answers!(call(unknown, &[]), UNKNOWN_CALL, "call {unknown:#x}");
    }
    answers!(call(u32::MAX, &[]), UNKNOWN_CALL, "call 0xffffffff");
    // Tokens that nobody gave out.
    for token in [1, 0x8000_0000, 0xffff_ffff] {
        let rax = token << 32 | u64::from(number::NULL);
        answers!(
            gate::call_rax(rax, [0; 6]),
            OK,
            "a null call with token {token:#x}"
        );
    }
}

/// Every call that takes an address, with every bad one.
pub fn bad_addresses() {
    for at in addresses() {
        answers!(
            call(number::CONSOLE_WRITE, &[STREAM_OUTPUT, at, 8]),
            BAD_ADDRESS,
            "console_write from {at:#x}"
        );
        answers!(
            call(number::CONSOLE_READ, &[at, 8]),
            BAD_ADDRESS,
            "console_read to {at:#x}"
        );
        answers!(
            call(number::RANDOM, &[at, 8]),
            BAD_ADDRESS,
            "random to {at:#x}"
        );
    }
    for at in [1 << 47, 1 << 63, 0x7fff << 48] {
        answers!(
            call(
                number::FAULT_HANDLER,
                &[at, test_guests::vcpu::stack_top(0)]
            ),
            BAD_ADDRESS,
            "a fault handler at {at:#x}"
        );
        answers!(
            call(
                number::VCPU_START,
                &[1, at, test_guests::vcpu::stack_top(1), 0]
            ),
            BAD_ADDRESS,
            "a vCPU at {at:#x}"
        );
    }
    let end = boot().memory_bytes;
    let tops = [
        0,
        8,
        map::BOOT_PAGE + 16,
        map::CORNER + 16,
        map::PAGE_TABLES + 16,
        map::RAM_BASE,
        end + 16,
        1 << 47,
        1 << 63,
        !15,
    ];
    for top in tops {
        answers!(
            call(number::FAULT_HANDLER, &[buffer(), top]),
            BAD_ADDRESS,
            "a fault handler with stack {top:#x}"
        );
        answers!(
            call(number::VCPU_START, &[1, buffer(), top, 0]),
            BAD_ADDRESS,
            "a vCPU with stack {top:#x}"
        );
    }
    // A frame would reach below the guest's own memory.
    answers!(
        call(number::FAULT_HANDLER, &[buffer(), map::RAM_BASE + 16]),
        BAD_ADDRESS,
        "a fault handler without room for a frame"
    );
    for word in [
        1,
        map::BOOT_PAGE,
        map::CORNER,
        boot().memory_bytes,
        u64::MAX,
    ] {
        answers!(
            call(number::VCPU_STOP, &[word]),
            BAD_ADDRESS,
            "vcpu_stop with its word at {word:#x}"
        );
    }
}

/// Lengths of nothing, of too much, and of more than there is.
pub fn bad_lengths() {
    let (at, end) = (buffer(), boot().memory_bytes);
    let write = |at, len| call(number::CONSOLE_WRITE, &[STREAM_OUTPUT, at, len]);
    let read = |at, len| call(number::CONSOLE_READ, &[at, len]);
    let random = |at, len| call(number::RANDOM, &[at, len]);

    check!(answers!(write(at, 0), OK, "0").result == 0, "wrote of 0");
    check!(answers!(read(at, 0), OK, "0").result == 0, "read of 0");
    check!(answers!(random(at, 0), OK, "0").result == 0, "random of 0");
    let wrote = answers!(write(at, 1), OK, "1").result;
    check!(wrote == 1, "wrote {wrote} of 1");
    let wrote = answers!(write(at + 1, 2 * MAX_TRANSFER - 1), OK, "long").result;
    check!(
        (1..=MAX_TRANSFER).contains(&wrote),
        "wrote {wrote} at a time"
    );
    let filled = answers!(random(at + 1, MAX_TRANSFER), OK, "most").result;
    check!(filled == MAX_TRANSFER, "filled {filled}");
    answers!(random(at, MAX_TRANSFER + 1), TOO_LONG, "random, too long");

    for len in [
        1 << 32,
        1 << 40,
        1 << 63,
        u64::MAX - at,
        u64::MAX - 1,
        u64::MAX,
    ] {
        answers!(write(at, len), BAD_ADDRESS, "console_write of {len:#x}");
        answers!(read(at, len), BAD_ADDRESS, "console_read of {len:#x}");
        answers!(
            random(at, len),
            BAD_ADDRESS | TOO_LONG,
            "random of {len:#x}"
        );
    }
    // The last bytes there are, and one more.
    answers!(write(end - 8, 8), OK, "the last bytes");
    answers!(write(end - 8, 9), BAD_ADDRESS, "past the last bytes");
}

/// Values that the table's entries rule out.
pub fn bad_values() {
    for stream in [0, 3, 1 << 32 | 1, u64::MAX] {
        answers!(
            call(number::CONSOLE_WRITE, &[stream, buffer(), 1]),
            BAD_ARGUMENT,
            "console_write to stream {stream:#x}"
        );
    }
    for bits in [1, 1 << 31, u64::MAX] {
        answers!(
            call(number::NOTIFY, &[0, bits]),
            BAD_ARGUMENT,
            "notify of {bits:#x}"
        );
    }
    let vcpus = u64::from(boot().vcpus);
    for index in [vcpus, 64, 1 << 32, u64::MAX] {
        answers!(
            call(number::NOTIFY, &[index, event::GUEST_EVENTS]),
            NOT_FOUND,
            "notify of vCPU {index:#x}"
        );
        answers!(
            call(
                number::VCPU_START,
                &[index, buffer(), test_guests::vcpu::stack_top(1), 0]
            ),
            NOT_FOUND,
            "vcpu_start of {index:#x}"
        );
    }
    answers!(
        call(number::FAULT_RETURN, &[buffer()]),
        BAD_ARGUMENT,
        "fault_return outside a handler"
    );
    answers!(
        call(number::FEATURES, &[u64::MAX]),
        UNSUPPORTED,
        "every feature"
    );
    answers!(call(number::BATCH_SETUP, &[]), OK, "a ring of no entries");
    answers!(call(number::BATCH_SUBMIT, &[]), NOT_FOUND, "no ring");
    answers!(call(number::LINE, &[]), OK, "nothing posted");
    answers!(
        call(number::WAIT, &[u64::MAX, 0]),
        OK | TIMED_OUT,
        "a wait until the past"
    );
    answers!(call(number::WAIT, &[0, 1]), TIMED_OUT, "a sleep until 1 ns");
}

/// Panics with a report that is wrong in the way of the second argument.
pub fn panic() {
    static BYTES: [u8; 4] = [0xff, 0xfe, b'!', 0x80];
    let text = |gpa: u64, len: u64| Bytes { gpa: Gpa(gpa), len };
    let good = text(BYTES.as_ptr() as u64, 4);
    let mut info = PanicInfo {
        message: good,
        file: good,
        line: 7,
        column: 9,
        rip: 0,
        rbp: Gpa(0),
    };
    let mut at = &raw const info as u64;
    match arg(2) {
        "not-utf8" => {}
        "nowhere" => at = arg_number(3),
        "message" => info.message = text(arg_number(3), arg_number(4)),
        "file" => info.file = text(arg_number(3), arg_number(4)),
        "frames" => (info.rip, info.rbp) = (arg_number(3), Gpa(arg_number(3))),
        "endless-frames" => {
            // A frame that is its own caller.
            static mut FRAME: [u64; 2] = [0; 2];
            let frame = &raw mut FRAME;
            // SAFETY: nothing else touches it.
            unsafe { *frame = [frame as u64, 0x1234_5678] };
            (info.rip, info.rbp) = (0x1234, Gpa(frame as u64));
        }
        other => fail(format_args!("no panic is called {other:?}")),
    }
    core::hint::black_box(&info);
    let answer = call(number::PANIC, &[at]);
    fail(format_args!("panic answered {:?}", answer.status));
}

/// Makes a call of every class: those that the boot page does not grant are denied and do nothing.
pub fn denied() {
    let granted = Classes(boot().classes);
    for entry in number::TABLE {
        if granted.permits(entry.number) {
            continue;
        }
        // Arguments that would be seen if it acted: vCPU 1 would start and end the VM with a fault.
        let answer = call(entry.number, &[1, buffer(), 8, 8]);
        answers!(answer, DENIED, "{}", entry.name);
        check!(
            answer.result == 0,
            "{} has result {:#x}",
            entry.name,
            answer.result
        );
    }
    answers!(call(0x1ff, &[]), UNKNOWN_CALL, "a call nobody knows");
}

/// What a call preserves is preserved. Exit code 0 if the undefined registers are poisoned, 2 if they are not.
pub fn registers() {
    let patterns: [u64; 8] = core::array::from_fn(|i| 0x0101_0101_0101_0101 * (i as u64 + 1));
    let mut seen = [0u64; 6];
    let result: u64;
    let mut status = u64::from(number::NULL);
    // SAFETY: the block saves what it changes beside its operands, and a null call touches no memory.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov rbx, [r14]", "mov rbp, [r14 + 8]", "mov r12, [r14 + 16]", "mov r13, [r14 + 24]",
            "movq xmm0, [r14 + 32]", "movq xmm15, [r14 + 40]", "std",
            "mov r8, {gate}", "call r8", "cld",
            "mov [r15], rbx", "mov [r15 + 8], rbp", "mov [r15 + 16], r12", "mov [r15 + 24], r13",
            "movq [r15 + 32], xmm0", "movq [r15 + 40], xmm15",
            "pop rbp", "pop rbx",
            gate = const map::HYPERCALL_PAGE,
            inout("rax") status, in("r14") patterns.as_ptr(), in("r15") seen.as_mut_ptr(),
            out("r12") _, out("r13") _, out("rcx") _, out("rdx") result, out("rsi") _, out("rdi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("xmm0") _, out("xmm15") _,
        );
    }
    check!(status == 0, "null answered {status:#x}");
    check!(result == 0, "null has result {result:#x}");
    check!(
        seen == patterns[..6],
        "preserved registers came back as {seen:x?}"
    );
    let undefined = call(number::NULL, &[1, 2, 3, 4, 5, 6]).undefined;
    let poisoned = undefined
        .iter()
        .filter(|&&value| value == number::POISON)
        .count();
    match poisoned {
        7 => {}
        0 => test_guests::exit(2),
        _ => fail(format_args!("poisoned by halves: {undefined:x?}")),
    }
}

/// Makes a call as often as the second argument says.
pub fn storm(number: u32, args: &[u64]) {
    for _ in 0..arg_number(2) {
        answers!(call(number, args), OK, "call {number:#x}");
    }
}
