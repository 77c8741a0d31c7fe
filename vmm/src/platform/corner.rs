//! The ring-0 corner: what the processor needs to deliver an exception, and the few instructions that hand it to the host.
//!
//! Nothing else ever runs at ring 0. The pages are not ring 3's, so a stray write cannot damage them; a guest that maps
//! them for itself and does damage them harms only itself, because the host takes nothing from here on trust.

use super::gate::{CALL_PORT, DOORBELL_PORT, FAULT_PORT};
use crate::memory::{Memory, OutOfRange};
use crate::trapped;
use hypercall_abi::{Gpa, fault::vector, map};

/// GDT and IDT.
pub(crate) const TABLES: u64 = 0xc_0000;
/// The exception stubs.
pub(crate) const STUBS: u64 = 0xc_1000;
const GDT: u64 = TABLES + 0x800;
/// Vectors with a gate. Others raise a general protection fault.
const VECTORS: u64 = 32;
const STUB_STRIDE: u64 = 16;

/// Selectors: ring-0 code and data, ring-3 data, ring-3 code.
pub(crate) const CODE0: u16 = 0x08;
pub(crate) const DATA0: u16 = 0x10;
pub(crate) const DATA3: u16 = 0x2b;
pub(crate) const CODE3: u16 = 0x33;
/// Only has to be non-null: the host loads TR directly.
pub(crate) const TASK: u16 = 0x40;

/// Bytes of the task-state segment proper (Intel SDM volume 3, 8.7).
const TSS: u64 = 104;
/// The I/O permission bitmap behind it covers ports up to this; the processor denies the rest.
const PORTS: u64 = 0x400;
/// The limit of a vCPU's task-state segment: its bitmap and the byte of ones that ends it.
pub(crate) const TASK_LIMIT: u32 = (TSS + PORTS / 8) as u32;

pub(crate) const GDT_BASE: u64 = GDT;
pub(crate) const GDT_LIMIT: u16 = 0x3f;
pub(crate) const IDT_BASE: u64 = TABLES;
pub(crate) const IDT_LIMIT: u16 = (VECTORS * 16 - 1) as u16;

/// A vCPU's own page of the corner: its task-state segment, and above it the stacks of its exceptions.
pub(crate) const fn task(vcpu: u32) -> u64 {
    map::CORNER + vcpu as u64 * map::PAGE_SIZE
}

const _: () = assert!(
    task(map::MAX_VCPUS) <= TABLES,
    "the tasks run into the tables"
);

/// Where a vCPU's stubs leave what the processor pushed: inside its page, below its stacks' tops.
pub(crate) fn is_stub_stack(vcpu: u32, rsp: u64) -> bool {
    let page = task(vcpu);
    rsp.is_multiple_of(8) && page <= rsp && rsp < page + map::PAGE_SIZE - 7 * 8 + 1
}

/// Writes what all vCPUs share.
pub(crate) fn write_shared(memory: &Memory) -> Result<(), OutOfRange> {
    for (selector, descriptor) in [
        (CODE0, 0x00af_9b00_0000_ffff_u64),
        (DATA0, 0x00cf_9300_0000_ffff),
        (DATA3 & !3, 0x00cf_f300_0000_ffff),
        (CODE3 & !3, 0x00af_fb00_0000_ffff),
    ] {
        memory.store(Gpa(GDT + u64::from(selector)), &descriptor)?;
    }
    for number in 0..VECTORS {
        let stub = STUBS + number * STUB_STRIDE;
        memory.write(Gpa(stub), &stub_code(number as u8))?;
        memory.store(Gpa(IDT_BASE + number * 16), &gate(number as u32, stub))?;
    }
    Ok(())
}

/// Writes a vCPU's task-state segment: the stacks of its exceptions and the ports it may use: that of calls, and those of
/// the trapped side's devices if it has them.
pub(crate) fn write_task(memory: &Memory, vcpu: u32, trapped: bool) -> Result<(), OutOfRange> {
    let page = task(vcpu);
    let (top, spare) = (page + map::PAGE_SIZE, page + map::PAGE_SIZE / 2);
    memory.store(Gpa(page + 4), &top)?; // RSP0
    memory.store(Gpa(page + 36), &spare)?; // IST1, for double faults
    memory.store(Gpa(page + 102), &(TSS as u16))?; // where the bitmap begins
    let mut bitmap = [0xff_u8; PORTS as usize / 8 + 1];
    let devices = trapped::PORTS.into_iter().filter(|_| trapped).flatten();
    let doorbell = DOORBELL_PORT..DOORBELL_PORT + 4; // a port for each byte of the number
    for port in devices.chain([CALL_PORT]).chain(doorbell) {
        if let Some(byte) = bitmap.get_mut(usize::from(port / 8)) {
            *byte &= !(1 << (port % 8));
        }
    }
    memory.write(Gpa(page + TSS), &bitmap)
}

/// A 64-bit interrupt gate (SDM volume 3, 6.14.1). Ring 3 may raise only breakpoint and overflow itself.
fn gate(number: u32, stub: u64) -> [u64; 2] {
    let dpl = if matches!(number, vector::BREAKPOINT | vector::OVERFLOW) {
        3
    } else {
        0
    };
    let stack_table = u64::from(number == vector::DOUBLE_FAULT);
    let access = 0x8e | dpl << 5;
    let low = (stub & 0xffff)
        | u64::from(CODE0) << 16
        | stack_table << 32
        | access << 40
        | (stub >> 16 & 0xffff) << 48;
    [low, stub >> 32]
}

/// `push 0` where the processor pushes no error code, `push VECTOR; out FAULT_PORT, al`, and a stop should the host ever
/// come back.
fn stub_code(number: u8) -> [u8; STUB_STRIDE as usize] {
    const WITH_CODE: [u8; 9] = [8, 10, 11, 12, 13, 14, 17, 21, 30];
    let body: [u8; 7] = [0x6a, number, 0xe6, FAULT_PORT as u8, 0xf4, 0xeb, 0xfd];
    let mut code = [0xcc; STUB_STRIDE as usize];
    let mut bytes = code.iter_mut();
    let zero: &[u8] = if WITH_CODE.contains(&number) {
        &[]
    } else {
        &[0x6a, 0]
    };
    for (to, from) in bytes.by_ref().zip(zero.iter().chain(&body)) {
        *to = *from;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stub_stacks_are_whole_and_inside() {
        for vcpu in [0, 63] {
            let end = task(vcpu) + map::PAGE_SIZE;
            assert!(is_stub_stack(vcpu, end - 56));
            assert!(is_stub_stack(vcpu, end - 64));
            assert!(!is_stub_stack(vcpu, end - 48), "seven words do not fit");
            assert!(!is_stub_stack(vcpu, end - 57), "not aligned");
            assert!(!is_stub_stack(vcpu, task(vcpu) - 8));
            assert!(!is_stub_stack(vcpu, !7));
        }
    }

    #[test]
    fn only_breakpoint_and_overflow_are_ring_3s_to_raise() {
        for number in 0..VECTORS as u32 {
            let dpl = gate(number, STUBS)[0] >> 45 & 3;
            assert_eq!(dpl == 3, number == 3 || number == 4, "vector {number}");
        }
    }

    #[test]
    fn the_bitmap_opens_the_gates_ports_and_the_devices() {
        let memory = Memory::new(2 << 20).unwrap();
        let open = |trapped: bool| -> Vec<u16> {
            write_task(&memory, 0, trapped).unwrap();
            let last: u8 = memory.load(Gpa(task(0) + u64::from(TASK_LIMIT))).unwrap();
            assert_eq!(last, 0xff, "the bitmap ends in ones within the limit");
            let closed = |port: &u64| {
                let byte: u8 = memory.load(Gpa(task(0) + TSS + port / 8)).unwrap();
                byte & 1 << (port % 8) != 0
            };
            (0..PORTS)
                .filter(|port| !closed(port))
                .map(|port| port as u16)
                .collect()
        };
        let gates: Vec<u16> = [CALL_PORT]
            .into_iter()
            .chain(DOORBELL_PORT..DOORBELL_PORT + 4)
            .collect();
        assert_eq!(open(false), gates);
        let mut expected: Vec<u16> = trapped::PORTS.into_iter().flatten().collect();
        expected.extend(gates);
        expected.sort_unstable();
        assert_eq!(open(true), expected);
    }
}
