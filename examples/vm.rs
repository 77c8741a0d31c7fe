//! Tests that need a VM: `cargo test -p examples --test vm` boots one for each.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, vec::Vec};
use guest_sdk::collections::HashMap;
use guest_sdk::fault::{self, Frame, Verdict, vector};
use guest_sdk::paging::{self, Access, Edit, PAGE_SIZE};
use guest_sdk::thread;
use guest_sdk::time::{Duration, Instant, sleep};

guest_sdk::test_main!(
    the_heap_holds_what_it_is_given,
    sleeping_takes_its_time,
    a_thread_borrows,
    a_breakpoint_is_survived,
    a_page_can_be_taken_away
);

fn the_heap_holds_what_it_is_given() {
    let mut lengths: HashMap<usize, Vec<u8>> = HashMap::default();
    for length in 0..500 {
        lengths.insert(length, (0..length).map(|n| n as u8).collect());
    }
    for (length, bytes) in &lengths {
        assert_eq!(bytes.len(), *length);
        assert!(bytes.iter().enumerate().all(|(n, byte)| *byte == n as u8));
    }
    assert_eq!(format!("{:>6.2}", 2.0_f64 / 3.0), "  0.67");
}

fn sleeping_takes_its_time() {
    let before = Instant::now();
    sleep(Duration::from_millis(3));
    assert!(before.elapsed() >= Duration::from_millis(3));
}

fn a_thread_borrows() {
    let mut numbers = [1, 2, 3];
    for _ in 0..3 {
        thread::scope(|scope| {
            scope
                .spawn(|| numbers[0] += 1)
                .expect("a second vCPU")
                .join()
        });
    }
    assert_eq!(numbers, [4, 2, 3]);
}

fn a_breakpoint_is_survived() {
    fn handler(frame: &mut Frame) -> Verdict {
        if frame.vector != vector::BREAKPOINT {
            return Verdict::Die;
        }
        frame.gpr[0] = (2.5_f64 * frame.gpr[0] as f64) as u64;
        Verdict::Resume
    }
    fault::handle(handler).expect("fault handlers are granted");
    let (mut integer, mut float) = (4_u64, 1.5_f64);
    // SAFETY: the handler changes `rax`, and keeps every other register.
    unsafe { core::arch::asm!("int3", inout("rax") integer, inout("xmm0") float) };
    assert_eq!((integer, float), (10, 1.5));
}

/// The handler of the next test puts the page back.
fn a_page_can_be_taken_away() {
    fn handler(frame: &mut Frame) -> Verdict {
        let page = frame.address & !(PAGE_SIZE - 1);
        let mut edit = Edit::begin();
        // SAFETY: the page is one that the test took away.
        let mapped = unsafe { edit.map(page..page + PAGE_SIZE, page, Access::READ_WRITE) };
        match mapped.and_then(|()| edit.commit()) {
            Ok(()) => Verdict::Resume,
            Err(_) => Verdict::Die,
        }
    }
    fault::handle(handler).expect("fault handlers are granted");
    let memory: Vec<u64> = (0..4 * PAGE_SIZE / 8).collect();
    let page = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    let mut edit = Edit::begin();
    // SAFETY: the handler puts the page back when it is used.
    unsafe { edit.unmap(page..page + PAGE_SIZE) }.expect("heap pages can be unmapped");
    edit.commit().expect("flushing is granted");
    assert_eq!(paging::lookup(page), None);
    assert!(memory.iter().copied().eq(0..4 * PAGE_SIZE / 8));
    assert_eq!(
        paging::lookup(page).map(|page| page.access),
        Some(Access::READ_WRITE)
    );
}
