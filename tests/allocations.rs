//! Nothing on the path of a call or of a disk's request allocates: a run with twice as many allocates as often.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trapless_tests::{Boot, require_kvm};
use vmm::config::Backend;

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
    during(&Boot::guest("hostile", args), args)
}

/// How often one with a disk does, that is asked by a backend.
fn with_disk(args: &[&str], backend: Backend) -> u64 {
    let image = tempfile::NamedTempFile::new().expect("a temporary file");
    image.as_file().set_len(256 * 512).expect("room for it");
    let boot = Boot::guest("disks", args);
    // Long enough that neither side sleeps while the other one has lost its processor: waking is not what is asked about.
    let boot = boot.window(Duration::from_millis(50));
    let boot = boot.disk(image.path(), |disk| disk.backend = backend);
    during(&boot, args)
}

fn during(boot: &Boot, args: &[&str]) -> u64 {
    let (vm, _console) = boot.vm();
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
        // The poller's thread, when it comes and goes, makes a few more or less.
        let more = once.abs_diff(twice);
        assert!(more < 50, "{case}: {once} for 5000, {twice} for 10000");
    }
    let (once, twice) = (allocations(&["flood", "10"]), allocations(&["flood", "20"]));
    assert_eq!(once, twice, "flood: allocations of 10 blocks and of 20");
    for backend in [Backend::Plain, Backend::IoUring] {
        for case in ["reads", "deep"] {
            let (once, twice) = (
                with_disk(&[case, "5000"], backend),
                with_disk(&[case, "10000"], backend),
            );
            // Threads that start and end at other moments make a few more or less.
            let more = once.abs_diff(twice);
            assert!(
                more < 50,
                "{case}, {backend:?}: {once} for 5000, {twice} for 10000"
            );
        }
    }
}
