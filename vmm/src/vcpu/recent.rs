//! The last calls a vCPU made, for reports. Fixed in size; recording one costs a few stores.

use crate::fault::CallRecord;

const KEPT: usize = 8;

#[derive(Default)]
pub(super) struct Recent {
    records: [Option<CallRecord>; KEPT],
    /// Where the next one goes, which is where the oldest is.
    next: usize,
}

impl Recent {
    pub fn push(&mut self, record: CallRecord) {
        if let Some(place) = self.records.get_mut(self.next % KEPT) {
            *place = Some(record);
        }
        self.next = self.next.wrapping_add(1) % KEPT;
    }

    /// The newest record, to which the answer is added.
    pub fn last(&mut self) -> Option<&mut CallRecord> {
        self.records
            .get_mut(self.next.wrapping_add(KEPT - 1) % KEPT)?
            .as_mut()
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<CallRecord> {
        let (newer, older) = self.records.split_at(self.next % KEPT);
        older.iter().chain(newer).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_in_order() {
        let mut recent = Recent::default();
        assert!(recent.list().is_empty() && recent.last().is_none());
        for number in 0..KEPT as u32 + 3 {
            recent.push(CallRecord {
                number,
                args: [0; 3],
                status: None,
                result: 0,
            });
            assert_eq!(recent.last().unwrap().number, number);
        }
        let numbers: Vec<u32> = recent.list().iter().map(|record| record.number).collect();
        assert_eq!(numbers, (3..KEPT as u32 + 3).collect::<Vec<_>>());
    }
}
