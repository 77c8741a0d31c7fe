//! The last calls a vCPU made, for reports, whichever thread served them. Fixed in size; recording one costs a few stores.

use crate::fault::CallRecord;
use hypercall_abi::Status;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const KEPT: usize = 8;
/// [`Record::status`] of a call that has not been answered.
const OPEN: u32 = u32::MAX;

/// One vCPU's. Its words are relaxed: what a report reads was written before the VM ended, and a guest that makes calls
/// by two transports at once may find them mixed.
#[derive(Default)]
pub(crate) struct Recent {
    records: [Record; KEPT],
    /// How many were pushed, wrapping.
    pushed: AtomicU32,
}

#[derive(Default)]
struct Record {
    number: AtomicU32,
    status: AtomicU32,
    args: [AtomicU64; 3],
    result: AtomicU64,
}

impl Recent {
    /// Records a call, in place of the oldest; returns its place for [`answer`](Recent::answer).
    #[inline]
    pub fn push(&self, number: u32, args: &[u64; 6]) -> u32 {
        let place = self.pushed.load(Ordering::Relaxed);
        if let Some(record) = self.record(place) {
            record.number.store(number, Ordering::Relaxed);
            record.status.store(OPEN, Ordering::Relaxed);
            for (word, arg) in record.args.iter().zip(args) {
                word.store(*arg, Ordering::Relaxed);
            }
        }
        self.pushed.store(place.wrapping_add(1), Ordering::Relaxed);
        place
    }

    /// Adds the answer to a recorded call.
    #[inline]
    pub fn answer(&self, place: u32, status: Status, result: u64) {
        if let Some(record) = self.record(place) {
            record.status.store(status.0, Ordering::Relaxed);
            record.result.store(result, Ordering::Relaxed);
        }
    }

    fn record(&self, place: u32) -> Option<&Record> {
        self.records.get(place as usize % KEPT)
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<CallRecord> {
        let pushed = self.pushed.load(Ordering::Relaxed);
        let kept = pushed.min(KEPT as u32);
        let places = (0..kept)
            .rev()
            .map(|back| pushed.wrapping_sub(back).wrapping_sub(1));
        places
            .filter_map(|place| Some(self.record(place)?.copy()))
            .collect()
    }
}

impl Record {
    fn copy(&self) -> CallRecord {
        let status = self.status.load(Ordering::Relaxed);
        let [a0, a1, a2] = &self.args;
        CallRecord {
            number: self.number.load(Ordering::Relaxed),
            args: [a0, a1, a2].map(|word| word.load(Ordering::Relaxed)),
            status: (status != OPEN).then_some(Status(status)),
            result: if status == OPEN {
                0
            } else {
                self.result.load(Ordering::Relaxed)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_in_order() {
        let recent = Recent::default();
        assert!(recent.list().is_empty());
        for number in 0..KEPT as u32 + 3 {
            let place = recent.push(number, &[number.into(), 1, 2, 3, 4, 5]);
            assert_eq!(recent.list().last().unwrap().status, None);
            recent.answer(place, Status::OK, 7);
        }
        let list = recent.list();
        let numbers: Vec<u32> = list.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (3..KEPT as u32 + 3).collect::<Vec<_>>());
        let last = CallRecord {
            number: 10,
            args: [10, 1, 2],
            status: Some(Status::OK),
            result: 7,
        };
        assert_eq!(list.last(), Some(&last));
    }
}
