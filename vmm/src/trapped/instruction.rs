//! What a privileged instruction asks for, from its bytes. Decoding is `iced-x86`'s; doing it is [`privileged`](super::privileged)'s.

use crate::vcpu::registers::general;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use kvm_bindings::{kvm_regs, kvm_sregs};

/// Bytes of the longest instruction there can be.
pub(crate) const LONGEST: usize = 15;

/// What one instruction does. General registers are by the processor's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// `cli`.
    DisableInterrupts,
    /// `sti`.
    EnableInterrupts,
    /// `hlt`.
    Halt,
    /// `rdmsr`, of the register in `ecx` into `edx:eax`.
    ReadMsr,
    /// `wrmsr`, of `edx:eax` into the register in `ecx`.
    WriteMsr,
    /// `mov` from a control register.
    ReadControl { control: usize, to: usize },
    /// `mov` to a control register.
    WriteControl { control: usize, from: usize },
    /// `invlpg`, of any page: all translations are forgotten, which the architecture allows.
    Invalidate,
    /// `lgdt`, of ten bytes at an address.
    LoadGdt { address: u64 },
    /// `lidt`, of ten bytes at an address.
    LoadIdt { address: u64 },
    /// `in` of 1, 2 or 4 bytes from a port that nobody answers.
    In { bytes: u8 },
    /// `out` to a port that nobody answers.
    Out,
}

/// Decodes the instruction at `rip` and says how long it is. `None`: not one of these.
pub(crate) fn decode(bytes: &[u8], regs: &kvm_regs, sregs: &kvm_sregs) -> Option<(Operation, u64)> {
    let mut decoder = Decoder::with_ip(64, bytes, regs.rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let operation = operation(&instruction, regs, sregs)?;
    Some((operation, instruction.len() as u64))
}

fn operation(instruction: &Instruction, regs: &kvm_regs, sregs: &kvm_sregs) -> Option<Operation> {
    let number = |operand: u32| Some(instruction.try_op_register(operand).ok()?.number());
    Some(match instruction.code() {
        Code::Cli => Operation::DisableInterrupts,
        Code::Sti => Operation::EnableInterrupts,
        Code::Hlt => Operation::Halt,
        Code::Rdmsr => Operation::ReadMsr,
        Code::Wrmsr => Operation::WriteMsr,
        Code::Mov_r64_cr => Operation::ReadControl {
            to: number(0)?,
            control: number(1)?,
        },
        Code::Mov_cr_r64 => Operation::WriteControl {
            control: number(0)?,
            from: number(1)?,
        },
        Code::Invlpg_m => Operation::Invalidate,
        Code::Lgdt_m1664 => Operation::LoadGdt {
            address: address(instruction, regs, sregs)?,
        },
        Code::Lidt_m1664 => Operation::LoadIdt {
            address: address(instruction, regs, sregs)?,
        },
        Code::In_AL_imm8 | Code::In_AL_DX => Operation::In { bytes: 1 },
        Code::In_AX_imm8 | Code::In_AX_DX => Operation::In { bytes: 2 },
        Code::In_EAX_imm8 | Code::In_EAX_DX => Operation::In { bytes: 4 },
        Code::Out_imm8_AL
        | Code::Out_imm8_AX
        | Code::Out_imm8_EAX
        | Code::Out_DX_AL
        | Code::Out_DX_AX
        | Code::Out_DX_EAX => Operation::Out,
        _ => return None,
    })
}

/// The linear address of the memory operand.
fn address(instruction: &Instruction, regs: &kvm_regs, sregs: &kvm_sregs) -> Option<u64> {
    let memory = matches!(instruction.try_op_kind(0), Ok(OpKind::Memory));
    let value = |register: Register, _, _| match register {
        Register::FS => Some(sregs.fs.base),
        Register::GS => Some(sregs.gs.base),
        _ if register.is_segment_register() => Some(0),
        _ => {
            let value = general(regs).get(register.number()).copied()?;
            Some(if register.is_gpr32() {
                value & u64::from(u32::MAX)
            } else {
                value
            })
        }
    };
    memory
        .then(|| instruction.try_virtual_address(0, 0, value))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<(Operation, u64)> {
        let regs = kvm_regs {
            rip: 0x1000,
            rbx: 0xffff_ffff_0000_2000,
            r12: 0x30,
            ..Default::default()
        };
        let mut sregs = kvm_sregs::default();
        sregs.gs.base = 0x50_0000;
        decode(bytes, &regs, &sregs)
    }

    #[test]
    fn each_instruction() {
        use Operation::*;
        let table: [(&[u8], Operation); 17] = [
            (&[0xfa], DisableInterrupts),
            (&[0xfb], EnableInterrupts),
            (&[0xf4], Halt),
            (&[0x0f, 0x32], ReadMsr),
            (&[0x0f, 0x30], WriteMsr),
            (&[0x0f, 0x20, 0xd8], ReadControl { control: 3, to: 0 }),
            (
                &[0x41, 0x0f, 0x20, 0xe7],
                ReadControl { control: 4, to: 15 },
            ),
            (
                &[0x0f, 0x22, 0xd9],
                WriteControl {
                    control: 3,
                    from: 1,
                },
            ),
            (&[0x0f, 0x01, 0x3b], Invalidate),
            (&[0x67, 0x0f, 0x01, 0x13], LoadGdt { address: 0x2000 }),
            (
                &[0x65, 0x41, 0x0f, 0x01, 0x5c, 0x24, 8],
                LoadIdt { address: 0x50_0038 },
            ),
            (
                &[0x0f, 0x01, 0x1d, 0x10, 0, 0, 0],
                LoadIdt { address: 0x1017 },
            ),
            (&[0xe4, 0x61], In { bytes: 1 }),
            (&[0x66, 0xed], In { bytes: 2 }),
            (&[0xed], In { bytes: 4 }),
            (&[0xe6, 0x80], Out),
            (&[0xef], Out),
        ];
        for (bytes, expected) in table {
            let mut padded = bytes.to_vec();
            padded.resize(LONGEST, 0x90);
            let length = bytes.len() as u64;
            assert_eq!(decoded(&padded), Some((expected, length)), "{bytes:x?}");
            assert_eq!(decoded(bytes), Some((expected, length)), "{bytes:x?}");
            assert_eq!(
                decoded(&bytes[..bytes.len() - 1]),
                None,
                "cut short: {bytes:x?}"
            );
        }
    }

    #[test]
    fn others_are_not_served() {
        let others: [&[u8]; 8] = [
            &[],
            &[0x0f, 0x0b],       // ud2
            &[0x6e],             // outsb
            &[0xf3, 0x6c],       // rep insb
            &[0xf0, 0xfa],       // lock cli
            &[0x0f, 0x01, 0xf8], // swapgs
            &[0x48, 0xcf],       // iretq
            &[0x0f, 0x00, 0xd0], // lldt
        ];
        for bytes in others {
            assert_eq!(decoded(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn no_bytes_stop_it() {
        let mut state = 7_u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = [0; LONGEST];
            bytes[..8].copy_from_slice(&state.to_le_bytes());
            bytes[8..].copy_from_slice(&state.to_be_bytes()[..7]);
            let _ = decoded(&bytes);
            bytes[0] = 0x0f;
            let _ = decoded(&bytes);
        }
    }
}
