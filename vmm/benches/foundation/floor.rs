//! The raw floor: a ring-3 guest that does nothing but `out`, with the fewest KVM requests that can run one and none
//! of our code in between.

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub struct Floor {
    /// From opening `/dev/kvm` to the first exit.
    pub to_first_exit: Duration,
    /// From one exit to the next.
    pub each_exit: Duration,
}

const PORT: u8 = 0xe0;
const CODE: u64 = 0x1_0000;
const TASK: u64 = 0x1_1000;
const TABLES: u64 = 0x2_0000;

/// Boots the bare guest with `memory` bytes of RAM and times `exits` exits after its first.
pub fn run(memory: u64, exits: u32) -> Floor {
    // Asked for once per process on both sides: it never changes.
    static CPUID: OnceLock<kvm_bindings::CpuId> = OnceLock::new();
    let start = Instant::now();
    let kvm = Kvm::new().expect("/dev/kvm");
    let cpuid = CPUID.get_or_init(|| {
        kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .expect("CPUID")
    });
    let ram = Ram::new(memory as usize);
    ram.write(CODE, &[0xe6, PORT, 0xeb, 0xfc]); // 1: out PORT, al; jmp 1b
    for (table, next) in [(0, 1), (1, 2), (2, 3)] {
        ram.write(
            TABLES + table * 4096,
            &((TABLES + next * 4096) | 0x27).to_le_bytes(),
        );
    }
    for page in [CODE, TASK] {
        ram.write(
            TABLES + 3 * 4096 + page / 4096 * 8,
            &(page | 0x67).to_le_bytes(),
        );
    }
    ram.write(TASK + 102, &104_u16.to_le_bytes());
    ram.write(TASK + 104 + 33, &[0xff]);

    let vm = kvm.create_vm().expect("KVM_CREATE_VM");
    let slot = kvm_userspace_memory_region {
        memory_size: memory,
        userspace_addr: ram.start as u64,
        ..Default::default()
    };
    // SAFETY: `ram` outlives the VM: it is declared before it.
    unsafe { vm.set_user_memory_region(slot) }.expect("KVM_SET_USER_MEMORY_REGION");
    let mut vcpu = vm.create_vcpu(0).expect("KVM_CREATE_VCPU");
    vcpu.set_cpuid2(cpuid).expect("KVM_SET_CPUID2");
    let mut sregs = vcpu.get_sregs().expect("KVM_GET_SREGS");
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
    vcpu.set_sregs(&sregs).expect("KVM_SET_SREGS");
    let regs = kvm_regs {
        rip: CODE,
        rflags: 2,
        ..Default::default()
    };
    vcpu.set_regs(&regs).expect("KVM_SET_REGS");

    let mut exit = || match vcpu.run().expect("KVM_RUN") {
        VcpuExit::IoOut(port, _) => assert_eq!(port, u16::from(PORT)),
        other => panic!("the bare guest left by {other:?}"),
    };
    exit();
    let to_first_exit = start.elapsed();
    let start = Instant::now();
    for _ in 0..exits {
        exit();
    }
    Floor {
        to_first_exit,
        each_exit: start.elapsed() / exits,
    }
}

/// An anonymous private mapping.
struct Ram {
    start: *mut u8,
    len: usize,
}

impl Ram {
    fn new(len: usize) -> Ram {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Ram {
            start: start.cast(),
            len,
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let at = at as usize;
        assert!(at + bytes.len() <= self.len);
        // SAFETY: in range of the mapping, which no reference points into and no guest runs on yet.
        unsafe {
            self.start
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; the VM that used it is gone.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
