//! Nothing on the path of a call allocates: a run with twice as many calls allocates exactly as often.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use trapless_tests::{Boot, require_kvm};

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every request is passed on as it is; counting touches no memory of the allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above; the memory came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often a VM's run allocates.
fn allocations(args: &[&str]) -> u64 {
    let (vm, _console) = Boot::guest("hostile", args).vm();
    let before = ASKED.load(Ordering::SeqCst);
    let outcome = vm.run().expect("the host can run it");
    let after = ASKED.load(Ordering::SeqCst);
    assert!(
        matches!(outcome.end, vmm::End::Exit(0)),
        "{args:?}: {:?}",
        outcome.end
    );
    after - before
}

// One test: the harness itself allocates while several run.
#[test]
fn calls_do_not_allocate() {
    require_kvm!();
    allocations(&["null-calls", "5000"]);
    for case in ["null-calls", "fault-storm", "notify-storm", "random-storm"] {
        let (once, twice) = (allocations(&[case, "5000"]), allocations(&[case, "10000"]));
        assert_eq!(once, twice, "{case}: allocations of 5000 and of 10000");
    }
    let (once, twice) = (allocations(&["flood", "10"]), allocations(&["flood", "20"]));
    assert_eq!(once, twice, "flood: allocations of 10 blocks and of 20");
}
