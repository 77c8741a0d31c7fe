//! The raw floor of a VM: a ring-3 guest that does nothing but `out`, with the fewest KVM requests that can run one.

use crate::Error;
use crate::kvm::{self, refused};
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_userspace_memory_region,
};
use kvm_ioctls::{IoEventAddress, Kvm, NoDatamatch, VcpuExit, VcpuFd, VmFd};
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;

/// How often a [`Bare`] guest with a bell rings it between two exits.
pub const BELLS: u32 = 1024;

const PORT: u8 = 0xe0;
const BELL_PORT: u8 = 0xe1;
const CODE: u64 = 0x1_0000;
const TASK: u64 = 0x1_1000;
const TABLES: u64 = 0x2_0000;

/// The bare guest, before its first instruction or at one of its exits.
pub struct Bare {
    vcpu: VcpuFd,
    _vm: VmFd,
    _bell: Option<EventFd>,
    /// Last, so that it outlives the VM.
    _ram: Ram,
}

/// Builds the bare guest with `memory` bytes of RAM, runs it to its first exit, and says how long that took from opening `/dev/kvm` on.
///
/// # Errors
/// The host's.
pub fn boot(memory: u64) -> Result<(Bare, Duration), Error> {
    let start = Instant::now();
    // 1: out PORT, al; jmp 1b
    let mut bare = Bare::new(memory, &[0xe6, PORT, 0xeb, 0xfc], false)?;
    bare.exit()?;
    Ok((bare, start.elapsed()))
}

impl Bare {
    /// A guest that rings a bell [`BELLS`] times before each exit, and has been run to its first.
    ///
    /// # Errors
    /// The host's.
    pub fn with_bell(memory: u64) -> Result<Bare, Error> {
        // 1: mov ecx, BELLS; 2: out BELL_PORT, al; dec ecx; jnz 2b; out PORT, al; jmp 1b
        let [a, b, c, d] = BELLS.to_le_bytes();
        let code = [
            0xb9, a, b, c, d, 0xe6, BELL_PORT, 0xff, 0xc9, 0x75, 0xfa, 0xe6, PORT, 0xeb, 0xf1,
        ];
        let mut bare = Bare::new(memory, &code, true)?;
        bare.exit()?;
        Ok(bare)
    }

    fn new(memory: u64, code: &[u8], with_bell: bool) -> Result<Bare, Error> {
        // Asked for once per process on both sides: it never changes.
        static CPUID: OnceLock<CpuId> = OnceLock::new();
        let kvm = kvm::open()?;
        let cpuid = match CPUID.get() {
            Some(known) => known,
            None => {
                let asked = supported(&kvm)?;
                CPUID.get_or_init(|| asked)
            }
        };
        let ram = Ram::new(memory as usize)?;
        furnish(&ram, code)?;
        let vm = kvm.create_vm().map_err(refused("KVM_CREATE_VM"))?;
        let slot = kvm_userspace_memory_region {
            memory_size: memory,
            userspace_addr: ram.start as u64,
            ..Default::default()
        };
        // SAFETY: the mapping is `ram`'s, which outlives the VM: it comes after it in `Bare`, and is declared before it here.
        unsafe { vm.set_user_memory_region(slot) }
            .map_err(refused("KVM_SET_USER_MEMORY_REGION"))?;
        let vcpu = vm.create_vcpu(0).map_err(refused("KVM_CREATE_VCPU"))?;
        vcpu.set_cpuid2(cpuid).map_err(refused("KVM_SET_CPUID2"))?;
        enter_ring3(&vcpu)?;
        let bell = if with_bell {
            Some(hang_bell(&vm)?)
        } else {
            None
        };
        Ok(Bare {
            vcpu,
            _vm: vm,
            _bell: bell,
            _ram: ram,
        })
    }

    /// Runs the guest to its next exit.
    ///
    /// # Errors
    /// The host's, or an exit that was not expected.
    pub fn exit(&mut self) -> Result<(), Error> {
        loop {
            let odd = match self.vcpu.run() {
                Ok(VcpuExit::IoOut(port, _)) if port == u16::from(PORT) => return Ok(()),
                Ok(other) => format!("the bare guest left by {other:?}"),
                Err(errno) if errno.errno() == libc::EINTR => continue,
                Err(errno) => return Err(refused("KVM_RUN")(errno)),
            };
            return Err(Error::Kvm {
                request: "KVM_RUN",
                source: io::Error::other(odd),
            });
        }
    }
}

fn supported(kvm: &Kvm) -> Result<CpuId, Error> {
    kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(refused("KVM_GET_SUPPORTED_CPUID"))
}

/// The code, page tables for it, and a task segment that grants every port.
fn furnish(ram: &Ram, code: &[u8]) -> Result<(), Error> {
    ram.write(CODE, code)?;
    for (table, next) in [(0, 1), (1, 2), (2, 3)] {
        let entry: u64 = (TABLES + next * 4096) | 0x27;
        ram.write(TABLES + table * 4096, &entry.to_le_bytes())?;
    }
    for page in [CODE, TASK] {
        let entry = page | 0x67;
        ram.write(TABLES + 3 * 4096 + page / 4096 * 8, &entry.to_le_bytes())?;
    }
    ram.write(TASK + 102, &104_u16.to_le_bytes())?;
    ram.write(TASK + 104 + 33, &[0xff])
}

fn enter_ring3(vcpu: &VcpuFd) -> Result<(), Error> {
    let mut sregs = vcpu.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
    let data = kvm_segment {
        limit: u32::MAX,
        selector: 0x2b,
        type_: 3,
        present: 1,
        dpl: 3,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    sregs.cs = kvm_segment {
        selector: 0x33,
        type_: 11,
        db: 0,
        l: 1,
        ..data
    };
    (sregs.ds, sregs.es, sregs.ss, sregs.fs, sregs.gs) = (data, data, data, data, data);
    sregs.ldt = kvm_segment {
        unusable: 1,
        ..Default::default()
    };
    sregs.tr = kvm_segment {
        base: TASK,
        limit: 104 + 33,
        selector: 0x40,
        type_: 11,
        present: 1,
        ..Default::default()
    };
    (sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer) = (0x8005_0033, TABLES, 0x620, 0xd01);
    vcpu.set_sregs(&sregs).map_err(refused("KVM_SET_SREGS"))?;
    let regs = kvm_regs {
        rip: CODE,
        rflags: 2,
        ..Default::default()
    };
    vcpu.set_regs(&regs).map_err(refused("KVM_SET_REGS"))
}

fn hang_bell(vm: &VmFd) -> Result<EventFd, Error> {
    let bell = EventFd::new(0).map_err(|source| Error::Os {
        what: "eventfd".to_owned(),
        source,
    })?;
    let port = IoEventAddress::Pio(u64::from(BELL_PORT));
    vm.register_ioevent(&bell, &port, NoDatamatch)
        .map_err(refused("KVM_IOEVENTFD"))?;
    Ok(bell)
}

/// An anonymous private mapping.
struct Ram {
    start: *mut u8,
    len: usize,
}

impl Ram {
    fn new(len: usize) -> Result<Ram, Error> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::Os {
                what: format!("mapping {len} bytes for the bare guest"),
                source: io::Error::last_os_error(),
            });
        }
        Ok(Ram {
            start: start.cast(),
            len,
        })
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let at = at as usize;
        if at + bytes.len() > self.len {
            return Err(Error::Config(format!(
                "{} bytes of memory are too few for the bare guest",
                self.len
            )));
        }
        // SAFETY: in range of the mapping, which no reference points into and no guest runs on yet.
        unsafe {
            self.start
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
        Ok(())
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; the VM that used it is gone.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
