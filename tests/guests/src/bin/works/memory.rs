//! The heap, random bytes, and pages the guest protects itself.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use guest_sdk::collections::HashMap;
use guest_sdk::fault::{self, Frame, Verdict, vector};
use guest_sdk::paging::{self, Access, Edit, PAGE_SIZE};
use guest_sdk::{platform, println, thread};

/// Most of the memory can be had, twice, and holds what is written.
pub fn heap() {
    const BLOCK: usize = 1 << 20;
    let page = platform::boot();
    let blocks = (page.heap_end.0 - page.heap_start.0) as usize / BLOCK * 3 / 4;
    for round in 0..2_u8 {
        let filled: Vec<Vec<u8>> = (0..blocks).map(|n| vec![n as u8 ^ round; BLOCK]).collect();
        for (n, block) in filled.iter().enumerate() {
            assert!(block.iter().all(|&byte| byte == n as u8 ^ round));
        }
    }
    println!("{blocks}");
}

/// More than there is.
pub fn exhausted() {
    let mut kept = Vec::new();
    loop {
        kept.push(Box::new([0xa5_u8; 100_000]));
        core::hint::black_box(&kept);
    }
}

/// Bytes that differ each time, by the SDK, by `getrandom`, and under a hash map.
pub fn random() {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    guest_sdk::random::fill(&mut first).expect("random bytes");
    getrandom::fill(&mut second).expect("random bytes");
    assert_ne!(first, [0; 32]);
    assert_ne!(first, second);
    assert_ne!(platform::boot().seed, [0; 32]);
    let squares: HashMap<u64, u64> = (0..1000).map(|n| (n, n * n)).collect();
    assert!((0..1000).all(|n| squares.get(&n) == Some(&(n * n))));
    println!("{first:02x?}");
    println!("{:02x?}", platform::boot().seed);
}

/// Pages where there were none, on every vCPU, and then pages instead of others.
pub fn map() {
    const WINDOW: u64 = 1 << 40;
    const PAGES: u64 = 40;
    let memory: Vec<u64> = (0..(2 * PAGES + 1) * PAGE_SIZE / 8).collect();
    let frames = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    let first = (frames - memory.as_ptr() as u64) / 8;
    let edit = |by: &dyn Fn(&mut Edit) -> Result<(), paging::Error>| {
        let mut edit = Edit::begin();
        by(&mut edit).expect("tables from the heap");
        edit.commit().expect("flushing is granted");
    };
    let point = |page: u64, to: u64| {
        let (at, to) = (WINDOW + page * PAGE_SIZE, frames + to * PAGE_SIZE);
        // SAFETY: nothing refers to pages in the window, and the frames are only read there.
        edit(&|edit| unsafe { edit.map(at..at + PAGE_SIZE, to, Access::READ) });
    };
    let seen = |page: u64| {
        // SAFETY: mapped to a part of the vector.
        let word = unsafe { ptr::read_volatile((WINDOW + page * PAGE_SIZE) as *const u64) };
        (word - first) * 8 / PAGE_SIZE
    };
    for page in 0..PAGES {
        point(page, page);
        assert_eq!(seen(page), page);
    }
    thread::scope(|scope| {
        let elsewhere = || assert!((0..PAGES).all(|page| seen(page) == page));
        scope.spawn(elsewhere).expect("a second vCPU");
    });
    point(0, PAGES);
    assert_eq!(seen(0), PAGES);
    let window = WINDOW..WINDOW + PAGES * PAGE_SIZE;
    // SAFETY: nothing refers there.
    edit(&|edit| unsafe { edit.unmap(window.clone()) });
    assert_eq!(paging::lookup(WINDOW), None);
    point(0, 7); // new again
    assert_eq!(seen(0), 7);
}

static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Pages are made read-only; writing one faults, and the handler makes it writable again.
pub fn protect() {
    fn handler(frame: &mut Frame) -> Verdict {
        if frame.vector != vector::PAGE_FAULT {
            return Verdict::Die;
        }
        FAULTS.fetch_add(1, Ordering::SeqCst);
        change(frame.address & !(PAGE_SIZE - 1), 1, Access::READ_WRITE);
        Verdict::Resume
    }
    fn change(page: u64, pages: u64, access: Access) {
        let mut edit = Edit::begin();
        // SAFETY: the memory stays this program's; writing it while it is read-only is what the handler is for.
        unsafe { edit.protect(page..page + pages * PAGE_SIZE, access) }.expect("heap pages");
        edit.commit().expect("flushing is granted");
    }
    const PAGES: usize = 8;
    fault::handle(handler).expect("fault handlers are granted");
    let mut memory = vec![1_u8; (PAGES + 1) * PAGE_SIZE as usize];
    let page = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    let skipped = (page - memory.as_ptr() as u64) as usize;
    change(page, PAGES as u64, Access::READ);
    for byte in &mut memory[skipped..skipped + PAGES * PAGE_SIZE as usize] {
        // SAFETY: a byte of the vector, written for the handler to see.
        unsafe { ptr::from_mut(byte).write_volatile(2) };
    }
    assert_eq!(FAULTS.load(Ordering::SeqCst), PAGES as u64);
    assert_eq!(
        memory.iter().filter(|&&byte| byte == 2).count(),
        PAGES * PAGE_SIZE as usize
    );
}
