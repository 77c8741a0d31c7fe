//! Files in memory: reads that make no system call, and that are otherwise as reads are.

use super::*;
use crate::config;
use crate::memory::Memory;
use crate::virtio::block::disk::Disk;
use crate::virtio::block::request::{Request, Status};
use hypercall_abi::Gpa;
use hypercall_abi::map::RAM_BASE;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

const LEN: u64 = 16 * PAGE;

/// A disk of 16 pages in memory, of which some are there, each consisting of its number.
struct Subject {
    file: File,
    disk: Disk,
    memory: Arc<Memory>,
}

impl Subject {
    fn new(pages: &[u64]) -> Subject {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("disk", flags).unwrap());
        file.set_len(LEN).unwrap();
        for page in pages {
            let bytes = [*page as u8; PAGE as usize];
            file.write_all_at(&bytes, page * PAGE).unwrap();
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Subject {
            disk: Disk::open(&config::Disk::new("d", path.into())).unwrap(),
            file,
            memory: Arc::new(Memory::new(16 << 20).unwrap()),
        }
    }

    fn perform(&self, request: Request, len: u64) -> Status {
        let mut vectors = Vectors::default();
        let buffers = [(Gpa(RAM_BASE), len as u32)].into_iter();
        vectors.gather(&self.memory, buffers, 0, len).unwrap();
        self.disk.perform(request, &mut vectors, false)
    }

    /// What is read, if that succeeds.
    fn read(&self, at: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0xee; len as usize];
        self.memory.write(Gpa(RAM_BASE), &bytes).unwrap();
        (self.perform(Request::Read { at, len }, len) == Status::Ok).then(|| {
            self.memory.read(Gpa(RAM_BASE), &mut bytes).unwrap();
            bytes
        })
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Status {
        self.memory.write(Gpa(RAM_BASE), bytes).unwrap();
        let len = bytes.len() as u64;
        self.perform(Request::Write { at, len }, len)
    }

    /// Whether these bytes are read without a system call.
    fn is_found(&self, at: u64, len: u64) -> bool {
        let resident = self.disk.resident().unwrap();
        pages(at, at + len).all(|page| resident.is_found(page))
    }

    /// Memory that the file has.
    fn blocks(&self) -> u64 {
        self.file.metadata().unwrap().blocks()
    }
}

#[test]
fn what_was_read_once_needs_no_system_call() {
    let subject = Subject::new(&[3, 4]);
    assert!(!subject.is_found(3 * PAGE, PAGE));
    for _ in 0..3 {
        let both = [[3; PAGE as usize], [4; PAGE as usize]].concat();
        assert_eq!(subject.read(3 * PAGE, 2 * PAGE), Some(both));
        assert!(subject.is_found(3 * PAGE, 2 * PAGE));
    }
    let odd = subject.read(4 * PAGE - 512, 1024);
    assert_eq!(odd, Some([[3; 512], [4; 512]].concat()));
}

#[test]
fn a_hole_gets_no_memory_by_being_read() {
    let subject = Subject::new(&[3]);
    let before = subject.blocks();
    for _ in 0..3 {
        let found = subject.read(3 * PAGE, 2 * PAGE);
        let expected = [[3; PAGE as usize], [0; PAGE as usize]].concat();
        assert_eq!(found, Some(expected));
        assert_eq!(subject.read(9 * PAGE, PAGE), Some(vec![0; PAGE as usize]));
    }
    assert_eq!(subject.blocks(), before);
    assert!(subject.is_found(3 * PAGE, PAGE) && !subject.is_found(4 * PAGE, PAGE));
}

#[test]
fn what_is_written_or_given_back_is_read_so() {
    let subject = Subject::new(&[3]);
    for byte in 1..4 {
        assert_eq!(subject.write(3 * PAGE, &[byte; 512]), Status::Ok);
        assert_eq!(subject.read(3 * PAGE, 512), Some(vec![byte; 512]));
        assert!(subject.is_found(3 * PAGE, 512));
    }
    let discard = Request::Discard {
        at: 3 * PAGE,
        len: PAGE,
    };
    assert_eq!(subject.perform(discard, 0), Status::Ok);
    for _ in 0..3 {
        assert_eq!(subject.read(3 * PAGE, 512), Some(vec![0; 512]));
    }
    assert_eq!(subject.blocks(), 0);
    assert_eq!(subject.write(3 * PAGE, &[9; 512]), Status::Ok);
    assert_eq!(subject.read(3 * PAGE, 512), Some(vec![9; 512]));
}

#[test]
fn what_was_cut_off_is_an_error() {
    for cut in [4 * PAGE, 4 * PAGE + 1024, 5 * PAGE - 1] {
        let subject = Subject::new(&[3, 4, 5, 6]);
        for page in [3, 4, 5] {
            assert!(subject.read(page * PAGE, PAGE).is_some());
        }
        assert!(subject.is_found(3 * PAGE, 3 * PAGE));
        subject.file.set_len(cut).unwrap();
        for at in [4 * PAGE, 4 * PAGE + 512, 5 * PAGE - 512, 5 * PAGE] {
            let expected = (at + 512 <= cut).then(|| vec![4; 512]);
            assert_eq!(subject.read(at, 512), expected, "{at} of {cut}");
        }
        assert_eq!(subject.read(3 * PAGE, 3 * PAGE), None);
        assert_eq!(subject.read(3 * PAGE, 512), Some(vec![3; 512]));
    }
}

#[test]
fn data_that_ends_with_a_zero_is_no_error() {
    let subject = Subject::new(&[3]);
    for _ in 0..3 {
        assert_eq!(subject.write(3 * PAGE, &[0; 1024]), Status::Ok);
        assert_eq!(subject.read(3 * PAGE, 1024), Some(vec![0; 1024]));
    }
    assert!(subject.is_found(3 * PAGE, 1024));
}

#[test]
fn a_file_that_is_read_so_can_be_sealed() {
    let subject = Subject::new(&[3]);
    assert!(subject.read(3 * PAGE, PAGE).is_some());
    fcntl_add_seals(&subject.file, SealFlags::WRITE).unwrap();
    assert_eq!(subject.write(3 * PAGE, &[1; 512]), Status::Failed);
    assert_eq!(subject.read(3 * PAGE, 512), Some(vec![3; 512]));
}

#[test]
fn long_reads_ask_for_nothing() {
    let subject = Subject::new(&(0..16).collect::<Vec<_>>());
    let resident = subject.disk.resident().unwrap();
    resident.find(subject.file.as_fd(), 0, (MOST_ASKED + 1) * PAGE);
    assert!(!subject.is_found(0, PAGE));
}
