//! The contract's rows as a guest may use them, and what each may be answered.

use super::{BUFFERS, INPUT};
use crate::fuzz::Source;
use hypercall_abi::Status;
use hypercall_abi::batch::MAX_ENTRIES;
use hypercall_abi::call::{self, Carrier, MAX_TRANSFER};
use hypercall_abi::class::Classes;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::vcpu::event::GUEST_EVENTS;

/// Any call, more often one that there is, with arguments of the right kind.
pub(super) fn any_call(source: &mut Source) -> (u32, [u64; 6]) {
    let number = match source.once_in(8) {
        true => source.odd() as u32,
        false => source.pick(call::TABLE).number,
    };
    let gpa = match source.once_in(3) {
        true => source.near(RAM_BASE, MIN_MEMORY),
        false => source.near(BUFFERS.start, BUFFERS.end),
    };
    let len = match source.below(4) {
        0 => source.odd(),
        1 => MAX_TRANSFER - 2 + source.below(5),
        _ => source.below(300),
    };
    let rest = [source.odd(), source.odd(), source.odd()];
    let [a, b, c] = rest;
    let args = match number {
        call::CONSOLE_WRITE => [source.below(4), gpa, len, a, b, c],
        call::CONSOLE_READ | call::RANDOM => [gpa, len, a, b, c, 0],
        call::NOTIFY => [source.below(5), a & GUEST_EVENTS, b, c, 0, 0],
        _ => [a, b, c, gpa, len, 0],
    };
    // Random bytes in a ring would be another input each time; console input is as good there.
    let number = match BUFFERS.contains(&gpa) {
        false if number == call::RANDOM => call::CONSOLE_READ,
        _ => number,
    };
    (number, args)
}

/// The statuses that a call's row in the ABI names, and those that any call may get.
fn statuses(number: u32) -> &'static [Status] {
    match number {
        call::NULL => &[Status::OK],
        call::FEATURES => &[Status::OK, Status::UNSUPPORTED],
        call::CONSOLE_WRITE => &[
            Status::OK,
            Status::BAD_ARGUMENT,
            Status::BAD_ADDRESS,
            Status::IO,
        ],
        call::CONSOLE_READ => &[Status::OK, Status::AGAIN, Status::BAD_ADDRESS, Status::IO],
        call::NOTIFY => &[Status::OK, Status::NOT_FOUND, Status::BAD_ARGUMENT],
        call::RANDOM => &[Status::OK, Status::BAD_ADDRESS, Status::TOO_LONG],
        call::BATCH_SUBMIT => &[Status::OK, Status::NOT_FOUND, Status::BAD_ARGUMENT],
        call::DOORBELL => &[Status::NOT_FOUND],
        _ => &[],
    }
}

/// Checks an answer against the table.
pub(super) fn check(classes: Classes, number: u32, args: &[u64; 6], status: Status, result: u64) {
    let right = match call::entry(number) {
        None => status == Status::UNKNOWN_CALL,
        Some(_) if !classes.permits(number) => status == Status::DENIED,
        Some(entry) if entry.carrier == Carrier::Trap => status == Status::TRAP_ONLY,
        Some(_) => statuses(number).contains(&status),
    };
    assert!(right, "call {number:#x} {args:x?} was answered {status:?}");
    let most = match (status, number) {
        (Status::OK, call::CONSOLE_WRITE) => args[2].min(MAX_TRANSFER),
        (Status::OK, call::CONSOLE_READ) => args[1].min(INPUT as u64),
        (Status::OK, call::RANDOM) => args[1].min(MAX_TRANSFER),
        (Status::OK, call::BATCH_SUBMIT) => MAX_ENTRIES.into(),
        (Status::OK, call::FEATURES) | (Status::UNSUPPORTED | Status::AGAIN | Status::IO, _) => {
            u64::MAX
        }
        _ => 0,
    };
    assert!(
        result <= most,
        "call {number:#x} {args:x?} came to {result}"
    );
}
