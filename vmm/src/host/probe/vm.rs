//! The probe's VM: one vCPU, 2 MiB, the platform's own page tables and ring-0 corner, and a page of programs.

use super::programs;
use crate::Error;
use crate::clock::host_tsc;
use crate::kvm::{self, Processor, refused};
use crate::memory::{Memory, OutOfRange};
use crate::platform::gate::CALL_PORT;
use crate::platform::{Access, corner, map_all};
use crate::vcpu::registers;
use hypercall_abi::map;
use kvm_bindings::kvm_regs;
use kvm_ioctls::{IoEventAddress, Kvm, VcpuExit, VcpuFd, VmFd};
use std::io;
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;

/// Which ring a program runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    Zero,
    Three,
}

/// A VM to measure with.
pub struct Probe {
    vcpu: VcpuFd,
    vm: VmFd,
    bell: Option<EventFd>,
    processor: &'static Processor,
    /// Last, so that it outlives the VM.
    _memory: Memory,
}

impl Probe {
    /// Makes the VM and writes its programs.
    pub fn new(kvm: &Kvm) -> Result<Probe, Error> {
        let memory = Memory::new(map::MIN_MEMORY)?;
        write(&memory).map_err(|OutOfRange| broken("the programs do not fit"))?;
        let processor = Processor::of(kvm)?;
        let vm = kvm::create_vm(kvm, &memory)?;
        let vcpu = vm.create_vcpu(0).map_err(refused("KVM_CREATE_VCPU"))?;
        registers::set_processor(&vcpu, processor, 0)?;
        Ok(Probe {
            vcpu,
            vm,
            bell: None,
            processor,
            _memory: memory,
        })
    }

    /// Puts the vCPU before a program's first instruction.
    pub fn enter(&mut self, ring: Ring, program: u64, rounds: u64) -> Result<(), Error> {
        self.finish_exit();
        let mut sregs = registers::ring3(self.processor, 0);
        if ring == Ring::Zero {
            (sregs.cs.selector, sregs.cs.dpl) = (corner::CODE0, 0);
            (sregs.ss.selector, sregs.ss.dpl) = (corner::DATA0, 0);
        }
        self.vcpu
            .set_sregs(&sregs)
            .map_err(refused("KVM_SET_SREGS"))?;
        let registers = kvm_regs {
            rip: program,
            rcx: rounds,
            rflags: registers::flags(0, self.processor.iopl),
            ..kvm_regs::default()
        };
        self.vcpu
            .set_regs(&registers)
            .map_err(refused("KVM_SET_REGS"))
    }

    /// Runs to the next exit, and says how long that took.
    pub fn run(&mut self) -> Result<Duration, Error> {
        let start = Instant::now();
        loop {
            let exit = self.vcpu.run();
            let time = start.elapsed();
            match exit {
                Ok(VcpuExit::IoOut(CALL_PORT, _)) => return Ok(time),
                Ok(exit) => return Err(broken(&format!("an exit it was not asked for: {exit:?}"))),
                Err(errno) if errno.errno() == libc::EINTR => {}
                Err(errno) => return Err(refused("KVM_RUN")(errno)),
            }
        }
    }

    /// Hangs a bell on the port, for [`programs::RING`]; `false` where KVM has none.
    pub fn hang_bell(&mut self) -> Result<bool, Error> {
        let bell = EventFd::new(0).map_err(|source| Error::Os {
            what: "eventfd".to_owned(),
            source,
        })?;
        let port = IoEventAddress::Pio(u64::from(CALL_PORT));
        let hung = self
            .vm
            .register_ioevent(&bell, &port, programs::RING)
            .is_ok();
        self.bell = Some(bell);
        Ok(hung)
    }

    /// The guest's TSC less the host's; 0 where the guest's reading lies between two of the host's.
    pub fn tsc_offset(&mut self) -> Result<i64, Error> {
        self.enter(Ring::Three, programs::TSC, 0)?;
        let before = host_tsc();
        self.run()?;
        let after = host_tsc();
        let registers = self.vcpu.get_regs().map_err(refused("KVM_GET_REGS"))?;
        let guest = registers.rdx << 32 | registers.rax & 0xffff_ffff;
        if (before..=after).contains(&guest) {
            return Ok(0);
        }
        let middle = before + after.wrapping_sub(before) / 2;
        Ok(guest.wrapping_sub(middle) as i64)
    }

    /// The guest TSC's nominal rate, in kHz.
    pub fn tsc_khz(&self) -> Option<u32> {
        self.vcpu.get_tsc_khz().ok()
    }

    /// An exit for a port is complete, and the registers with it, only when KVM has been entered again.
    fn finish_exit(&mut self) {
        self.vcpu.set_kvm_immediate_exit(1);
        let _ = self.vcpu.run(); // always EINTR
        self.vcpu.set_kvm_immediate_exit(0);
    }
}

fn write(memory: &Memory) -> Result<(), OutOfRange> {
    let page = |at, access| (at, at + map::PAGE_SIZE, access);
    let ranges = [
        page(corner::task(0), Access::RING0),
        page(corner::TABLES, Access::RING0),
        page(corner::STUBS, Access::RING0_EXECUTE),
        page(map::RAM_BASE, Access::EXECUTE),
    ];
    map_all(memory, &ranges).map_err(|_| OutOfRange)?;
    corner::write_shared(memory)?;
    corner::write_task(memory, 0, false)?;
    programs::write(memory)
}

fn broken(problem: &str) -> Error {
    Error::Kvm {
        request: "a small VM",
        source: io::Error::other(problem.to_owned()),
    }
}
