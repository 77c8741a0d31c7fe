//! A guest that overwrites what the host keeps in its memory, while it runs: it harms itself only.

use hypercall_abi::map;
use std::time::Duration;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::fault::Cause;
use vmm::{End, StopReason};

/// Runs a guest with a limit: anything may come of it but a host that fails.
fn contained(args: &[&str]) -> Finished {
    let boot = Boot::guest("hostile", args).vcpus(2);
    let finished = boot.limit(Duration::from_millis(500)).run();
    let contained = match finished.outcome.end {
        End::Exit(_) | End::Fault(_) | End::Panic(_) => true,
        End::Stopped(reason) => reason == StopReason::TimeLimit,
    };
    assert!(contained, "{}", finished.story());
    finished
}

/// Zeros and ones; then code: `hlt`, a tight loop, `ud2`, `vmcall`, `vmmcall`, `wrmsr`, `mov cr3, rax`, `iretq`, and
/// `out 0, al`. A byte count comes with each.
const PATTERNS: [(&str, &str); 11] = [
    ("0", "1"),
    ("0xff", "1"),
    ("0xf4", "1"),
    ("0xfeeb", "2"),
    ("0x0b0f", "2"),
    ("0xc1010f", "3"),
    ("0xd9010f", "3"),
    ("0x300f", "2"),
    ("0xd8220f", "3"),
    ("0xcf48", "2"),
    ("0x00e6", "2"),
];

/// Fills a page with every pattern and goes on in every way.
fn fill(page: u64) {
    let page = format!("{page:#x}");
    for (pattern, len) in PATTERNS {
        for then in ["call", "flush", "fault", "wait"] {
            contained(&["overwrite", &page, pattern, len, then]);
        }
    }
}

#[test]
fn the_gate() {
    require_kvm!();
    fill(map::HYPERCALL_PAGE);
}

#[test]
fn the_boot_page() {
    require_kvm!();
    fill(map::BOOT_PAGE);
}

#[test]
fn the_shared_info_page() {
    require_kvm!();
    fill(map::SHARED_INFO);
}

#[test]
fn a_vcpu_page() {
    require_kvm!();
    fill(map::VCPU_PAGES);
}

#[test]
fn the_page_tables() {
    require_kvm!();
    for page in 0..4 {
        fill(map::PAGE_TABLES + page * map::PAGE_SIZE);
    }
}

#[test]
fn the_ring_0_corner() {
    require_kvm!();
    let mut matter = 0;
    for page in (map::CORNER..map::PAGE_TABLES).step_by(map::PAGE_SIZE as usize) {
        // Most of these pages are other vCPUs' or nobody's: an exception is delivered without them.
        let probe = contained(&["overwrite", &format!("{page:#x}"), "0xff", "1", "fault"]);
        let delivered = match &probe.outcome.end {
            End::Fault(fault) => matches!(fault.cause, Cause::Exception { .. }),
            _ => probe.exit_code() == Some(4),
        };
        if !delivered {
            matter += 1;
            fill(page);
        }
    }
    assert!(matter > 0, "the ring-0 corner is somewhere else");
}

#[test]
fn everything_at_random() {
    require_kvm!();
    for seed in 0..100_u32 {
        contained(&["scribble", &seed.wrapping_mul(2_654_435_761).to_string()]);
    }
}

#[test]
fn memory_that_is_not_there() {
    require_kvm!();
    let addresses = [
        "0x1000000",
        "0xfee00000",
        "0xfec00000",
        "0x100000000",
        "0x7fffffff000",
        "0xffffffffff000",
    ];
    for address in addresses {
        for what in ["read", "write", "execute", "add", "vector", "copy"] {
            let finished = contained(&["beyond", address, what]);
            assert!(finished.exit_code() != Some(1), "{}", finished.story());
        }
    }
}
