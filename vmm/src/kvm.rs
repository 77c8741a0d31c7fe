//! The edge to `/dev/kvm`: opening it, what is asked of it once per process, and the one memory slot.

use crate::Error;
use crate::memory::Memory;
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};
use std::io;
use std::sync::OnceLock;

/// Wraps a KVM answer with the name of the request.
pub(crate) fn refused(request: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Error {
    move |errno| Error::Kvm {
        request,
        source: errno.into(),
    }
}

/// What every VM needs of KVM: the capability, its name in the kernel, and what it is for.
pub(crate) const NEEDED: [(Cap, &str, &str); 5] = [
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY", "guest memory"),
    (
        Cap::SyncRegs,
        "KVM_CAP_SYNC_REGS",
        "a call's registers without a system call",
    ),
    (
        Cap::ImmediateExit,
        "KVM_CAP_IMMEDIATE_EXIT",
        "stopping a vCPU without a race",
    ),
    (
        Cap::ExtCpuid,
        "KVM_CAP_EXT_CPUID",
        "telling the guest what the processor has",
    ),
    (
        Cap::GetTscKhz,
        "KVM_CAP_GET_TSC_KHZ",
        "the guest clock's rate",
    ),
];

/// Opens `/dev/kvm`.
pub(crate) fn open() -> Result<Kvm, Error> {
    Kvm::new().map_err(|errno| Error::NoKvm(errno.into()))
}

/// Checks that KVM can do what every VM needs.
fn check(kvm: &Kvm) -> Result<(), Error> {
    match NEEDED.iter().find(|(cap, ..)| !kvm.check_extension(*cap)) {
        None => Ok(()),
        Some((_, name, _)) => Err(Error::Kvm {
            request: name,
            source: io::Error::new(io::ErrorKind::Unsupported, "this host does not have it"),
        }),
    }
}

/// What this host's processors can give a guest. The same for every VM, and costly to ask, so asked once per process.
pub(crate) struct Processor {
    /// Every CPUID leaf KVM supports.
    pub cpuid: CpuId,
    /// The vector state to enable: x87, SSE, AVX and AVX-512 as far as they are there; 0 without XSAVE.
    pub xcr0: u64,
    /// The privilege level ring 3 gets for ports by `RFLAGS.IOPL`, beside the TSS bitmap.
    pub iopl: u64,
    tsc_khz: OnceLock<u32>,
}

/// x87, SSE, AVX and the three parts of AVX-512. Not AMX, whose state is large and must be asked for.
const XCR0_KNOWN: u64 = 0xe7;

impl Processor {
    /// Asks the host, or remembers. The first time, also checks that it can do what every VM needs.
    pub fn of(kvm: &Kvm) -> Result<&'static Processor, Error> {
        static PROCESSOR: OnceLock<Processor> = OnceLock::new();
        if let Some(known) = PROCESSOR.get() {
            return Ok(known);
        }
        check(kvm)?;
        let cpuid = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(refused("KVM_GET_SUPPORTED_CPUID"))?;
        let xsave = cpuid
            .as_slice()
            .iter()
            .any(|leaf| leaf.function == 1 && leaf.ecx & 1 << 26 != 0);
        let supported = cpuid
            .as_slice()
            .iter()
            .find(|leaf| leaf.function == 0xd && leaf.index == 0);
        let xcr0 = match supported {
            Some(leaf) if xsave => (u64::from(leaf.eax) | u64::from(leaf.edx) << 32) & XCR0_KNOWN,
            _ => 0,
        };
        Ok(PROCESSOR.get_or_init(|| Processor {
            cpuid,
            xcr0,
            iopl: iopl(),
            tsc_khz: OnceLock::new(),
        }))
    }

    /// The rate of a vCPU's TSC. The host's own, since no VM asks for another: so any vCPU will do, once.
    pub fn tsc_khz(&self, vcpu: &VcpuFd) -> Result<u32, Error> {
        if let Some(known) = self.tsc_khz.get() {
            return Ok(*known);
        }
        let khz = vcpu.get_tsc_khz().map_err(refused("KVM_GET_TSC_KHZ"))?;
        Ok(*self.tsc_khz.get_or_init(|| khz))
    }
}

/// QEMU's TCG does not consult the I/O bitmap of a busy TSS, so under it ring 3 reaches its port by IOPL. Every real
/// processor, and software KVM, goes by the bitmap, and with IOPL 0 `cli` and its kin fault at ring 3 as they should.
fn iopl() -> u64 {
    let hypervisor = std::arch::x86_64::__cpuid(0x4000_0000);
    let tcg = hypervisor.ebx == u32::from_le_bytes(*b"TCGT")
        && hypervisor.ecx == u32::from_le_bytes(*b"CGTC")
        && hypervisor.edx == u32::from_le_bytes(*b"GTCG");
    if tcg { 3 << 12 } else { 0 }
}

/// Makes the VM and gives it its memory.
pub(crate) fn create_vm(kvm: &Kvm, memory: &Memory) -> Result<VmFd, Error> {
    let vm = loop {
        match kvm.create_vm() {
            Ok(vm) => break vm,
            Err(errno) if errno.errno() == libc::EINTR => {}
            Err(errno) => return Err(refused("KVM_CREATE_VM")(errno)),
        }
    };
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: memory.size(),
        userspace_addr: memory.host_address(),
    };
    // SAFETY: the range is a mapping that `memory` owns and that nothing in this process takes references into; the
    // VM's owner drops the VM before the memory (`Machine` holds both, in that order).
    unsafe { vm.set_user_memory_region(slot) }.map_err(refused("KVM_SET_USER_MEMORY_REGION"))?;
    Ok(vm)
}
