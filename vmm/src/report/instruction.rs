//! The few instructions that a guest at ring 3 may not execute, by their bytes. Knows names, not lengths or effects.

const GENERAL: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// What an instruction is, as far as a fault report cares.
#[derive(Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Allowed at ring 0 only, or with a permission that a guest does not have.
    Privileged(String),
    /// `int n`: a software interrupt.
    Interrupt(u8),
    /// `ud2`: defined to be undefined.
    Undefined,
    /// `syscall` or `sysenter`.
    SystemCall(&'static str),
    /// `vmcall` or `vmmcall`.
    HypervisorCall(&'static str),
}

/// Recognises the instruction that begins with `code`; `None` for every ordinary one.
pub fn recognise(code: &[u8]) -> Option<Instruction> {
    let mut rest = code.iter().copied();
    let mut rex = 0;
    let opcode = loop {
        match rest.next()? {
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => {}
            byte @ 0x40..=0x4f => rex = byte,
            byte => break byte,
        }
    };
    let privileged = |name: &str| Some(Instruction::Privileged(name.to_owned()));
    match opcode {
        0xf4 => privileged("hlt"),
        0xfa => privileged("cli"),
        0xfb => privileged("sti"),
        0xe4 | 0xe5 | 0xec | 0xed => privileged("in"),
        0xe6 | 0xe7 | 0xee | 0xef => privileged("out"),
        0x6c | 0x6d => privileged("ins"),
        0x6e | 0x6f => privileged("outs"),
        0xcf => privileged("iret"),
        0xcd => Some(Instruction::Interrupt(rest.next()?)),
        0x0f => two_bytes(rest.next()?, rex, rest.next()),
        _ => None,
    }
}

fn two_bytes(opcode: u8, rex: u8, modrm: Option<u8>) -> Option<Instruction> {
    let name = match opcode {
        0x00 => match modrm? >> 3 & 7 {
            2 => "lldt",
            3 => "ltr",
            _ => return None,
        },
        0x01 => return group_seven(modrm?),
        0x05 => return Some(Instruction::SystemCall("syscall")),
        0x06 => "clts",
        0x07 => "sysret",
        0x08 => "invd",
        0x09 => "wbinvd",
        0x0b => return Some(Instruction::Undefined),
        0x20..=0x23 => return Some(Instruction::Privileged(move_special(opcode, rex, modrm?))),
        0x30 => "wrmsr",
        0x31 => "rdtsc",
        0x32 => "rdmsr",
        0x33 => "rdpmc",
        0x34 => return Some(Instruction::SystemCall("sysenter")),
        0x35 => "sysexit",
        0xa2 => "cpuid",
        _ => return None,
    };
    Some(Instruction::Privileged(name.to_owned()))
}

/// `0F 01`: descriptor tables with a memory operand, single instructions with a register one.
fn group_seven(modrm: u8) -> Option<Instruction> {
    let name = match modrm {
        0xc1 => return Some(Instruction::HypervisorCall("vmcall")),
        0xd9 => return Some(Instruction::HypervisorCall("vmmcall")),
        0xc8 => "monitor",
        0xc9 => "mwait",
        0xca => "clac",
        0xcb => "stac",
        0xd1 => "xsetbv",
        0xf8 => "swapgs",
        0xf9 => "rdtscp",
        _ => match (modrm >> 6, modrm >> 3 & 7) {
            (0..=2, 0) => "sgdt",
            (0..=2, 1) => "sidt",
            (0..=2, 2) => "lgdt",
            (0..=2, 3) => "lidt",
            (_, 4) => "smsw",
            (_, 6) => "lmsw",
            (0..=2, 7) => "invlpg",
            _ => return None,
        },
    };
    Some(Instruction::Privileged(name.to_owned()))
}

/// `mov` to or from a control or debug register, with its operands.
fn move_special(opcode: u8, rex: u8, modrm: u8) -> String {
    let kind = if opcode & 1 == 0 { "cr" } else { "dr" };
    let special = format!("{kind}{}", (rex & 4) << 1 | modrm >> 3 & 7);
    let general = GENERAL
        .get(usize::from((rex & 1) << 3 | modrm & 7))
        .copied()
        .unwrap_or_default();
    if opcode & 2 == 0 {
        format!("mov {general}, {special}")
    } else {
        format!("mov {special}, {general}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_ring_3_may_not_do() {
        let cases: [(&[u8], &str); 20] = [
            (&[0xf4], "hlt"),
            (&[0xfa], "cli"),
            (&[0xfb], "sti"),
            (&[0xe6, 0x80], "out"),
            (&[0x66, 0xef], "out"),
            (&[0xec], "in"),
            (&[0xf3, 0x6e], "outs"),
            (&[0x48, 0xcf], "iret"),
            (&[0x0f, 0x22, 0xd8], "mov cr3, rax"),
            (&[0x0f, 0x20, 0xc1], "mov rcx, cr0"),
            (&[0x41, 0x0f, 0x22, 0xe7], "mov cr4, r15"),
            (&[0x44, 0x0f, 0x20, 0xc0], "mov rax, cr8"),
            (&[0x0f, 0x23, 0xf8], "mov dr7, rax"),
            (&[0x0f, 0x30], "wrmsr"),
            (&[0x0f, 0x32], "rdmsr"),
            (&[0x0f, 0x01, 0x1c, 0x25], "lidt"),
            (&[0x0f, 0x01, 0x38], "invlpg"),
            (&[0x0f, 0x01, 0xf8], "swapgs"),
            (&[0x0f, 0x00, 0xd8], "ltr"),
            (&[0x0f, 0x09], "wbinvd"),
        ];
        for (code, name) in cases {
            assert_eq!(
                recognise(code),
                Some(Instruction::Privileged(name.to_owned())),
                "{code:02x?}"
            );
        }
    }

    #[test]
    fn tells_gates_and_traps_apart() {
        assert_eq!(recognise(&[0xcd, 0x80]), Some(Instruction::Interrupt(0x80)));
        assert_eq!(recognise(&[0x0f, 0x0b]), Some(Instruction::Undefined));
        assert_eq!(
            recognise(&[0x0f, 0x05]),
            Some(Instruction::SystemCall("syscall"))
        );
        assert_eq!(
            recognise(&[0x0f, 0x01, 0xd9]),
            Some(Instruction::HypervisorCall("vmmcall"))
        );
    }

    #[test]
    fn says_nothing_of_ordinary_or_cut_code() {
        let ordinary: [&[u8]; 8] = [
            &[],
            &[0x90],
            &[0x48],
            &[0x0f],
            &[0x0f, 0x01],
            &[0xcd],
            &[0x48, 0x89, 0xe5],
            &[0x66; 32],
        ];
        for code in ordinary {
            assert_eq!(recognise(code), None, "{code:02x?}");
        }
    }
}
