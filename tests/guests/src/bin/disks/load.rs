//! Many requests.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use guest_sdk::block::{Disk, Request};
use test_guests::{arg_number, check, fail};

/// Requests in flight at once.
const DEPTH: usize = 32;

fn disk() -> Disk {
    Disk::open("disk0").unwrap_or_else(|error| fail(format_args!("{error}")))
}

/// So many reads, one after the other.
pub fn reads() {
    let disk = disk();
    let mut buffer = vec![0; 512];
    for number in 0..arg_number(2) {
        match disk.read_blocking(number % 200, buffer) {
            Ok(read) => buffer = read,
            Err(error) => fail(format_args!("read {number}: {error}")),
        }
    }
}

/// So many reads of 4 KiB, of which 32 are in flight.
pub fn deep() {
    let disk = disk();
    let begin = |number: u64, buffer| match disk.begin_read(number * 8 % 248, buffer) {
        Ok(request) => request,
        Err(error) => fail(format_args!("read {number}: {error}")),
    };
    let mut flying: VecDeque<Request<Vec<u8>>> = VecDeque::with_capacity(DEPTH);
    for number in 0..arg_number(2) {
        let buffer = match flying.len() {
            DEPTH => match flying.pop_front().map(Request::wait) {
                Some(Ok(buffer)) => buffer,
                other => fail(format_args!("{other:?}")),
            },
            _ => vec![0; 4096],
        };
        flying.push_back(begin(number, buffer));
    }
    for request in flying {
        check!(request.wait().is_ok(), "the last ones");
    }
}
