use super::*;
use hypercall_abi::Gpa;
use std::boxed::Box;
use std::sync::atomic::{AtomicU32, AtomicU64};

fn entry(name: &[u8], config: &'static [AtomicU64]) -> Entry {
    let mut padded = [0; 32];
    padded[..name.len()].copy_from_slice(name);
    let row = Box::leak(Box::new(DeviceWords {
        kind: 2,
        instance: 1,
        features: 1 << 32,
        config: Gpa(config.as_ptr() as u64),
        config_len: size_of_val(config) as u32,
        queues: 4,
        event: 9,
        doorbell: 70,
        queue_size: 256,
        generation: AtomicU32::new(0),
        broken: AtomicU32::new(0),
        reserved: [0; 6],
        name: padded,
    }));
    Entry { index: 3, row }
}

fn words<const LEN: usize>(words: [u64; LEN]) -> &'static [AtomicU64] {
    Box::leak(Box::new(words.map(AtomicU64::new)))
}

#[test]
fn a_row_reads_as_it_was_written() {
    let entry = entry(b"data", words([0x1122_3344_5566_7788]));
    assert_eq!((entry.name(), entry.index()), ("data", 3));
    assert_eq!(entry.event(), 1 << 9);
    assert_eq!(entry.doorbell(2), 72);
    assert!(!entry.broken());
    entry.row.broken.store(1, Ordering::Release);
    assert!(entry.broken());
}

#[test]
fn a_name_may_fill_its_field_or_be_none() {
    assert_eq!(entry(&[b'x'; 32], words([])).name(), "x".repeat(32));
    assert_eq!(entry(b"", words([])).name(), "");
    assert_eq!(entry(b"\xff", words([])).name(), "");
}

#[test]
fn configuration_beyond_its_end_is_zero() {
    let entry = entry(b"", words([u64::MAX]));
    entry.config(|space| {
        assert_eq!(space.u64(0), u64::MAX);
        assert_eq!(space.u64(4), u64::from(u32::MAX));
        assert_eq!(space.u16(8), 0);
        assert_eq!(space.u8(usize::MAX), 0);
    });
}

#[test]
fn configuration_is_read_as_of_one_moment() {
    let config = words([0, 0]);
    let entry = entry(b"", config);
    let generation = &entry.row.generation;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=10_000 {
                generation.fetch_add(1, Ordering::SeqCst);
                config[0].store(value, Ordering::SeqCst);
                config[1].store(value, Ordering::SeqCst);
                generation.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut last = 0;
        while last < 10_000 {
            let (a, b) = entry.config(|space| (space.u64(0), space.u64(8)));
            assert_eq!(a, b);
            assert!(a >= last);
            last = a;
        }
    });
}
