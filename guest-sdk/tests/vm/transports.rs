//! Calls in lines and batches: the same answers as through the gate.

use alloc::vec;
use alloc::vec::Vec;
use guest_sdk::abi::{Status, call, version::feature};
use guest_sdk::batch::{Batch, Command, Error};
use guest_sdk::time::{Duration, Instant};
use guest_sdk::{calls, gate, line, platform, random, thread};

fn polls() -> bool {
    platform::boot().features & feature::POLL != 0
}

/// Calls until the host has had every reason to poll, and some thousand times more.
pub fn dense_calls_are_all_answered() {
    let mut buffer = [0; 64];
    let end = Instant::now() + Duration::from_millis(300);
    let mut calls_made = 0_u64;
    while Instant::now() < end || calls_made < 5_000 {
        calls::null().unwrap();
        random::fill(&mut buffer).unwrap();
        assert_ne!(buffer, [0; 64]);
        buffer.fill(0);
        calls_made += 2;
    }
}

/// By line and by gate, answers do not differ: results, refusals, unknown numbers, and calls that only travel by trap.
pub fn a_line_answers_as_the_gate_does() {
    let bad_buffer = [1, 8, 4, 0, 0, 0];
    let cases = [
        (call::NULL, [0; 6]),
        (call::CONSOLE_WRITE, bad_buffer),
        (call::CONSOLE_WRITE, [9, 0, 0, 0, 0, 0]),
        (call::NOTIFY, [77, 0, 0, 0, 0, 0]),
        (call::NOTIFY, [0, 1, 0, 0, 0, 0]),
        (call::RANDOM, [0, 0, 0, 0, 0, 0]),
        (call::RANDOM, [0x10_0000, u64::MAX, 0, 0, 0, 0]),
        (call::FEATURES, [1 << 63, 0, 0, 0, 0, 0]),
        (call::BATCH_SUBMIT, [0; 6]),
        (0xffff_ffff, [0; 6]),
        (0x150, [0; 6]),
    ];
    // Often enough to be served by the poller where there is one, in whatever phase of its sleep.
    for _ in 0..300 {
        for (number, args) in cases {
            // SAFETY: every case is refused or does nothing.
            let (by_gate, by_line) =
                unsafe { (gate::call(number, 0, args), line::call(number, args)) };
            assert_eq!(by_gate.status, by_line.status, "call {number:#x}");
            if by_gate.status == Status::OK || number == call::FEATURES {
                assert_eq!(by_gate.result, by_line.result, "call {number:#x}");
            }
        }
    }
}

/// Every vCPU has its line.
pub fn lines_of_many_vcpus_do_not_mix() {
    let work = || {
        let mut seen = Vec::new();
        for _ in 0..2_000 {
            let mut bytes = [0; 16];
            random::fill(&mut bytes).unwrap();
            seen.push(u128::from_ne_bytes(bytes));
        }
        seen
    };
    thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(work).unwrap()).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join());
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "two calls were given one answer");
    });
}

/// What only the vCPU's own thread can do is refused in a line, and nothing happens.
pub fn a_line_carries_no_trap_calls() {
    if !polls() {
        return;
    }
    let end = Instant::now() + Duration::from_millis(200);
    while Instant::now() < end {
        // SAFETY: refused by line; through the gate it is only a flush.
        let answer = unsafe { line::call(call::MMU_FLUSH, [0; 6]) };
        assert!(
            matches!(answer.status, Status::TRAP_ONLY | Status::OK),
            "{:?}",
            answer.status
        );
    }
}

pub fn a_batch_answers_each_command() {
    let mut buffers = vec![[0_u8; 8]; 30];
    let mut batch = Batch::new(33).unwrap();
    let tickets: Vec<_> = buffers
        .iter_mut()
        .map(|buffer| batch.push(Command::random(buffer)).unwrap())
        .collect();
    let null = batch.push(Command::null()).unwrap();
    let nobody = batch.push(Command::notify(77, 0)).unwrap();
    let after = batch.push(Command::console_write(1, b"")).unwrap();
    let results = batch.submit().unwrap();
    assert_eq!(results.done(), 33);
    for ticket in tickets {
        assert_eq!(results.get(ticket), Ok(()));
    }
    assert_eq!(results.get(null), Ok(()));
    assert_eq!(results.get(nobody), Err(Error::Refused(Status::NOT_FOUND)));
    assert_eq!(
        results.get(after),
        Ok(0),
        "a refused command does not stop the others"
    );
    drop(batch);
    assert!(buffers.iter().all(|buffer| *buffer != [0; 8]));
}

pub fn a_batch_is_used_many_times() {
    let mut batch = Batch::new(4).unwrap();
    for round in 0..200 {
        let count = 1 + round % 4;
        let tickets: Vec<_> = (0..count)
            .map(|_| batch.push(Command::null()).unwrap())
            .collect();
        let results = batch.submit().unwrap();
        assert_eq!(results.done(), count);
        for ticket in tickets {
            assert_eq!(results.get(ticket), Ok(()));
        }
    }
    for _ in 0..4 {
        batch.push(Command::null()).unwrap();
    }
    assert_eq!(batch.push(Command::null()).err(), Some(Error::Full));
}

pub fn a_stopping_batch_stops() {
    let mut batch = Batch::stopping(4).unwrap();
    let done = batch.push(Command::null()).unwrap();
    let refused = batch.push(Command::notify(77, 0)).unwrap();
    let not_done = batch
        .push(Command::console_write(1, b"this is never seen"))
        .unwrap();
    let results = batch.submit().unwrap();
    assert_eq!(results.done(), 2);
    assert_eq!(results.get(done), Ok(()));
    assert_eq!(results.get(refused), Err(Error::Refused(Status::NOT_FOUND)));
    assert_eq!(results.get(not_done), Err(Error::NotDone));
    let next = batch.push(Command::null()).unwrap();
    let results = batch.submit().unwrap();
    assert_eq!(results.done(), 1, "what was left is not done later");
    assert_eq!(results.get(next), Ok(()));
}

pub fn one_batch_at_a_time() {
    let batch = Batch::new(1).unwrap();
    assert_eq!(Batch::new(1).err(), Some(Error::InUse));
    drop(batch);
    assert!(Batch::new(1).is_ok());
    assert!(Batch::new(0).is_err() && Batch::new(1025).is_err());
}

/// Whoever serves it: the doorbell's listener, or what is left by the wait.
pub fn a_started_batch_is_served_meanwhile() {
    let offered = platform::boot().features & feature::DOORBELL != 0;
    let mut batch = match Batch::to_start(8) {
        Ok(batch) => batch,
        Err(error) => return assert!(!offered, "{error}"),
    };
    for round in 0..300 {
        let null = batch.push(Command::null()).unwrap();
        let nobody = batch.push(Command::notify(77, 0)).unwrap();
        let text = batch.push(Command::console_write(1, b"")).unwrap();
        if round % 3 == 0 {
            // Not waited for: the next results are of both.
            batch.start();
            batch.push(Command::null()).unwrap();
        }
        let results = batch.start().wait().unwrap();
        assert_eq!(results.done(), if round % 3 == 0 { 4 } else { 3 });
        assert_eq!(results.get(null), Ok(()));
        assert_eq!(results.get(nobody), Err(Error::Refused(Status::NOT_FOUND)));
        assert_eq!(results.get(text), Ok(0));
    }
}
