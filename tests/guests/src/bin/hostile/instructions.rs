//! Instructions that ring 3 may not execute, or not so.

use core::arch::asm;
use hypercall_abi::map;
use test_guests::{arg, arg_number, fail};

/// Executes the instruction that the second argument names. It faults, or does nothing and the VM ends with 0.
pub fn one() {
    macro_rules! execute {
        ($($name:literal => $($code:literal),+;)+) => {
            match arg(2) {
                // SAFETY: not sound, and not meant to be: what the host makes of it is the test. The VM ends right
                // behind it, so no register or memory it may have changed is used again.
                $($name => unsafe {
                    asm!(
                        $($code,)+
                        inout("rax") arg_number(3) => _, inout("rcx") arg_number(4) => _,
                        out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r11") _,
                    )
                },)+
                other => fail(format_args!("no instruction is called {other:?}")),
            }
        };
    }
    execute! {
        "hlt" => "hlt";
        "cli" => "cli";
        "sti" => "sti";
        "invd" => "invd";
        "wbinvd" => "wbinvd";
        "clts" => "clts";
        "mov-cr0" => "mov cr0, rax";
        "mov-cr3" => "mov cr3, rax";
        "mov-cr4" => "mov cr4, rax";
        "mov-cr8" => "mov cr8, rax";
        "mov-dr7" => "mov dr7, rax";
        "rdmsr" => "rdmsr";
        "wrmsr" => "wrmsr";
        "rdpmc" => "rdpmc";
        "xsetbv" => "xsetbv";
        "lgdt" => "lgdt [rsp]";
        "lidt" => "lidt [rsp]";
        "lldt" => "lldt ax";
        "ltr" => "ltr ax";
        "sgdt" => "sub rsp, 16", "sgdt [rsp]", "add rsp, 16";
        "smsw" => "smsw eax";
        "swapgs" => "swapgs";
        "invlpg" => "invlpg [rsp]";
        "sysret" => "mov ecx, 0x1000", "sysretq";
        "syscall" => "syscall";
        "sysenter" => "sysenter";
        "int80" => "int 0x80";
        "int3" => "int3";
        "icebp" => ".byte 0xf1";
        "int-df" => "int 8";
        "vmcall" => "vmcall";
        "vmmcall" => "vmmcall";
        "vmrun" => "vmrun";
        "vmxoff" => "vmxoff";
        "far-ring0" => "push 8", "lea rdx, [rip + 7f]", "push rdx", "retfq", "7:";
        "far-null" => "push 0", "push rax", "retfq";
        "iretq-ring0" => "push 0x10", "push rax", "push 2", "push 8", "push rax", "iretq";
        "iretq-nt" => "pushfq", "or dword ptr [rsp], 0x4000", "popfq", "iretq";
        "mov-ss-null" => "xor eax, eax", "mov ss, ax";
        "mov-ds" => "mov ds, ax";
        "mov-gs" => "mov gs, ax";
        "wrgsbase" => "wrgsbase rax";
        "wrfsbase" => "wrfsbase rax";
        "popf" => "push rax", "popfq";
        "jump" => "jmp rax";
        "load" => "mov al, [rax]";
        "store" => "mov [rax], al";
        "align" => "pushfq", "or dword ptr [rsp], 0x40000", "popfq", "mov eax, [rsp + 1]";
        "xbegin" => "xbegin 7f", "7:";
        "monitor" => "monitor";
        "cpuid" => "push rbx", "cpuid", "pop rbx";
        "out8" => "mov edx, ecx", "out dx, al";
        "out16" => "mov edx, ecx", "out dx, ax";
        "out32" => "mov edx, ecx", "out dx, eax";
        "in8" => "mov edx, ecx", "in al, dx";
        "in32" => "mov edx, ecx", "in eax, dx";
        "outs" => "mov edx, ecx", "mov rsi, rsp", "mov ecx, 100000", "rep outsb";
        "ins" => "mov edx, ecx", "lea rdi, [rsp - 128]", "mov ecx, 64", "rep insb";
    }
}

/// Uses the port that the gate itself uses, in a way that the gate does not: the second argument names an
/// instruction of [`one`]. What the gate's code is, is the host's business; this looks for an `out` in it.
pub fn gate_port() {
    let mut at = map::HYPERCALL_PAGE;
    while at < map::HYPERCALL_PAGE + 64 {
        // SAFETY: within the hypercall page, which is mapped; reading code changes nothing.
        let [opcode, port] = unsafe { *(at as *const [u8; 2]) };
        if matches!(opcode, 0xe6 | 0xe7) {
            return through(u64::from(port));
        }
        at += 1;
    }
    fail(format_args!("there is no out in the gate"))
}

/// Port instructions at a port, without the gate.
fn through(port: u64) {
    macro_rules! execute {
        ($($name:literal => $($code:literal),+;)+) => {
            match arg(2) {
                // SAFETY: as in `one`. The registers are a null call's, should it be taken for one.
                $($name => unsafe {
                    asm!(
                        $($code,)+
                        inout("rax") 0u64 => _, inout("rdx") port => _, inout("rcx") 100_000u64 => _,
                        inout("rsi") map::RAM_BASE => _, out("rdi") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                    )
                },)+
                other => fail(format_args!("no instruction is called {other:?}")),
            }
        };
    }
    execute! {
        "out8" => "out dx, al";
        "out16" => "out dx, ax";
        "out32" => "out dx, eax";
        "in8" => "in al, dx";
        "in16" => "in ax, dx";
        "in32" => "in eax, dx";
        "outs8" => "rep outsb";
        "outs32" => "mov ecx, 1000", "rep outsd";
        "ins8" => "mov ecx, 64", "lea rdi, [rsp - 256]", "rep insb";
    }
}
