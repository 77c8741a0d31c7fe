//! The heap, the page tables, and random bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use guest_sdk::collections::HashMap;
use guest_sdk::fault::{self, Frame, Verdict, vector};
use guest_sdk::paging::{self, Access, Edit, PAGE_SIZE};
use guest_sdk::{random, thread};

pub fn the_heap_serves_every_thread() {
    fn churn(seed: u32) {
        let mut kept: HashMap<u32, Box<[u8]>> = HashMap::default();
        let mut random = seed;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (slot, length) = (random >> 26, (random >> 12) as usize % 3_000);
            let block = alloc::vec![slot as u8; length].into_boxed_slice();
            if let Some(old) = kept.insert(slot, block) {
                assert!(old.iter().all(|byte| *byte == slot as u8));
            }
        }
    }
    thread::scope(|scope| {
        for seed in 1..4 {
            scope.spawn(move || churn(seed)).expect("a free vCPU");
        }
        churn(0);
    });
}

pub fn an_allocation_too_large_fails() {
    let mut bytes: Vec<u8> = Vec::new();
    assert!(bytes.try_reserve_exact(1 << 30).is_err());
    assert!(bytes.try_reserve_exact(1 << 20).is_ok());
}

/// Whole pages that hold numbers, in memory of their own.
fn pages(count: u64) -> (Vec<u64>, Range<u64>) {
    let words = (count + 1) * PAGE_SIZE / 8;
    let memory: Vec<u64> = (0..words).collect();
    let start = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    (memory, start..start + count * PAGE_SIZE)
}

pub fn a_page_can_be_taken_away_and_come_back() {
    /// Puts a page back when it is used.
    fn put_back(frame: &mut Frame) -> Verdict {
        if frame.vector != vector::PAGE_FAULT {
            return Verdict::Die;
        }
        let page = frame.address & !(PAGE_SIZE - 1);
        let mut edit = Edit::begin();
        // SAFETY: maps the page as it was before the test took it away.
        let mapped = unsafe { edit.map(page..page + PAGE_SIZE, page, Access::READ_WRITE) };
        match mapped.and_then(|()| edit.commit()) {
            Ok(()) => Verdict::Resume,
            Err(_) => Verdict::Die,
        }
    }
    fault::handle(put_back).expect("fault handlers are granted");
    let (memory, range) = pages(3);
    let mut edit = Edit::begin();
    // SAFETY: the handler puts back what is used.
    unsafe { edit.unmap(range.clone()) }.expect("heap pages can be unmapped");
    edit.commit().expect("flushing is granted");
    assert_eq!(paging::lookup(range.start), None);
    assert!(memory.iter().copied().eq(0..memory.len() as u64));
    let page = paging::lookup(range.start).expect("the page is back");
    assert_eq!(
        (page.physical, page.access),
        (range.start, Access::READ_WRITE)
    );
}

pub fn a_page_can_be_made_read_only() {
    static FAULTS: AtomicU64 = AtomicU64::new(0);
    fn count(frame: &mut Frame) -> Verdict {
        FAULTS.store(frame.address, Ordering::Relaxed);
        frame.rip += 3; // past `mov [rax], rcx`
        Verdict::Resume
    }
    fault::handle(count).expect("fault handlers are granted");
    let (memory, range) = pages(1);
    let mut edit = Edit::begin();
    // SAFETY: the only write to the page is the one below, which the handler skips.
    unsafe { edit.protect(range.clone(), Access::READ) }.expect("heap pages can be protected");
    edit.commit().expect("flushing is granted");
    let target = range.start + 64;
    // SAFETY: `mov [rax], rcx` is three bytes long, and skipped.
    unsafe { core::arch::asm!("mov [rax], rcx", in("rax") target, in("rcx") 0_u64) };
    assert_eq!(FAULTS.load(Ordering::Relaxed), target);
    assert!(memory.iter().copied().eq(0..memory.len() as u64));
    let mut edit = Edit::begin();
    // SAFETY: as it was, before the heap gets it back.
    unsafe { edit.protect(range, Access::READ_WRITE) }.expect("heap pages can be protected");
}

pub fn one_frame_can_be_mapped_twice() {
    const WINDOW: u64 = 1 << 40;
    let (memory, range) = pages(1);
    let mut edit = Edit::begin();
    // SAFETY: nothing is at that address, and the frame is only read there.
    unsafe { edit.map(WINDOW..WINDOW + PAGE_SIZE, range.start, Access::READ) }
        .expect("tables from the heap");
    edit.commit().expect("flushing is granted");
    // SAFETY: just mapped.
    let there = unsafe { ptr::read_volatile((WINDOW + 8) as *const u64) };
    let index = (range.start + 8 - memory.as_ptr() as u64) / 8;
    assert_eq!(there, memory[index as usize]);
}

pub fn random_bytes_differ() {
    let (mut one, mut other) = ([0_u8; 64], [0_u8; 64]);
    random::fill(&mut one).expect("random bytes are granted");
    random::fill(&mut other).expect("random bytes are granted");
    assert_ne!(one, other);
    let mut long = alloc::vec![0_u8; 200_000];
    random::fill(&mut long).expect("more than one call's worth");
    assert!(
        long.rchunks(64)
            .all(|chunk| chunk.iter().any(|byte| *byte != 0))
    );
}
