//! How long calls take, where the configuration asks for it: see [`CallTimes`] for what each part is.
//!
//! A call is served between two readings of the host's TSC. The guest times the whole of it by its own, and notes that in its
//! [`CallTimes`](hypercall_abi::vcpu::CallTimes) when it has the answer: the host finds it there when it serves the vCPU's next call. Only lengths
//! are compared, never readings of one clock with those of the other, so that an offset between them does not matter. That they run at the same rate
//! does: it is checked over the life of each vCPU, and where it is not so its guest's notes are not used.
//!
//! What the guest notes is its own affair, as are the figures that come of it: any value is taken, and none does harm.

use crate::calls::Caller;
use crate::clock::ordered_tsc;
use crate::distribution::Distribution;
use crate::histogram::{BUCKETS, bucket};
use crate::memory::{Memory, OutOfRange, TimesWords};
use crate::shared::{Slot, lock};
use crate::stats::{CallTimes, Carried, Latency};
use hypercall_abi::info::{PollerAwake, SharedInfo};
use hypercall_abi::{Gpa, call, map};
use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// A row of the call table, carried in one way.
const PLACES: usize = call::TABLE.len() * Carried::ALL.len();

/// What is timed of a call.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Guest,
    Transport,
    Handler,
}

const PARTS: usize = 4;

/// One vCPU's calls. Empty where nobody asked.
pub(crate) struct Timing(Option<Mutex<Sheet>>);

/// The counts. One long array of zeros, of which the host's memory has only the pages that are counted in.
struct Sheet {
    /// By place, part and bucket.
    counts: Vec<u32>,
    /// The largest values, by place and part.
    largest: Vec<u64>,
    /// Which places have any.
    used: [bool; PLACES],
    /// The last call that was served, until the guest has noted how long it took.
    open: Option<Open>,
    /// Whether guest and host count alike.
    comparable: bool,
}

struct Open {
    place: usize,
    handler: u64,
    /// The guest's count when it was served.
    count: u32,
    /// What all this took before it was answered: the guest has waited for that too.
    noting: u64,
}

impl Timing {
    pub fn new(wanted: bool) -> Timing {
        Timing(wanted.then(|| Mutex::new(Sheet::new())))
    }

    /// Whether anybody asked.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Now, if anybody asked.
    #[inline]
    pub fn begin(&self) -> Option<u64> {
        self.is_wanted().then(ordered_tsc)
    }

    /// A call that came by trap or line has been served since `began`; the guest has yet to see its answer.
    #[inline]
    pub fn served(caller: &Caller, began: Option<u64>, row: Option<usize>, carried: Carried) {
        if let (Some(began), Some(row)) = (began, row) {
            caller.slot.timing.note(caller, began, row, carried);
        }
    }

    #[cold]
    fn note(&self, caller: &Caller, began: u64, row: usize, carried: Carried) {
        let done = ordered_tsc();
        let handler = done.saturating_sub(began);
        let Ok(times) = caller.shared.memory.times(caller.index) else {
            return;
        };
        let Some(mut sheet) = self.0.as_ref().and_then(|sheet| sheet.try_lock().ok()) else {
            return; // a guest that makes two calls of one vCPU at a time
        };
        let place = place(row, carried);
        sheet.record(place, Part::Handler, handler);
        // A LINE call is how another one travels: that one's transport has it.
        if call::TABLE
            .get(row)
            .is_some_and(|row| row.number != call::LINE)
        {
            sheet.settle(times);
            sheet.open = Some(Open {
                place,
                handler,
                count: times.count.load(Ordering::Relaxed),
                noting: ordered_tsc().saturating_sub(done),
            });
        }
    }

    /// An entry of a batch has been served: taken up at `taken`, called at `called`. Returns when the next one is taken up.
    #[inline]
    pub fn entry(
        &self,
        taken: Option<u64>,
        called: Option<u64>,
        row: Option<usize>,
    ) -> Option<u64> {
        match (taken, called) {
            (Some(taken), Some(called)) => self.note_entry(taken, called, row),
            _ => None,
        }
    }

    #[cold]
    fn note_entry(&self, taken: u64, called: u64, row: Option<usize>) -> Option<u64> {
        let transport = called.saturating_sub(taken);
        let handler = ordered_tsc().saturating_sub(called);
        if let Some(row) = row
            && let Some(mut sheet) = self.0.as_ref().and_then(|sheet| sheet.try_lock().ok())
        {
            let place = place(row, Carried::Batched);
            sheet.record(place, Part::Whole, transport.saturating_add(handler));
            sheet.record(place, Part::Transport, transport);
            sheet.record(place, Part::Handler, handler);
        }
        self.begin()
    }

    /// The vCPU's TSC does not count as the host's does.
    pub fn distrust(&self) {
        if let Some(sheet) = &self.0 {
            lock(sheet).comparable = false;
        }
    }
}

fn place(row: usize, carried: Carried) -> usize {
    row.wrapping_mul(Carried::ALL.len())
        .wrapping_add(carried as usize)
}

/// Which of all histograms is the one of a place and a part.
fn histogram(place: usize, part: Part) -> usize {
    place.wrapping_mul(PARTS).wrapping_add(part as usize)
}

impl Sheet {
    fn new() -> Sheet {
        Sheet {
            counts: vec![0; PLACES * PARTS * BUCKETS],
            largest: vec![0; PLACES * PARTS],
            used: [false; PLACES],
            open: None,
            comparable: true,
        }
    }

    fn record(&mut self, place: usize, part: Part, ticks: u64) {
        let histogram = histogram(place, part);
        let at = histogram.wrapping_mul(BUCKETS).wrapping_add(bucket(ticks));
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
        if let Some(largest) = self.largest.get_mut(histogram) {
            *largest = ticks.max(*largest);
        }
        if let Some(used) = self.used.get_mut(place) {
            *used = true;
        }
    }

    /// Takes what the guest has noted of the open call. If it has noted none, or others too, nobody knows which.
    fn settle(&mut self, times: &TimesWords) {
        let Some(open) = self.open.take() else { return };
        let noted = times.count.load(Ordering::Acquire); // its lengths are seen after it
        if noted != open.count.wrapping_add(1) {
            return;
        }
        let carried = times.carried.load(Ordering::Relaxed);
        let carried = carried.saturating_sub(open.noting);
        let own = times.own.load(Ordering::Relaxed);
        self.record(open.place, Part::Whole, own.saturating_add(carried));
        self.record(open.place, Part::Guest, own);
        let transport = carried.saturating_sub(open.handler);
        self.record(open.place, Part::Transport, transport);
    }

    /// Adds a histogram's counts to a distribution.
    fn add_to(&self, sum: &mut Distribution, place: usize, part: Part) {
        let histogram = histogram(place, part);
        let start = histogram.wrapping_mul(BUCKETS);
        let counts = self.counts.iter().skip(start).take(BUCKETS).enumerate();
        for (bucket, count) in counts.filter(|(_, count)| **count != 0) {
            let sum = sum.counts.entry(bucket).or_default();
            *sum = sum.saturating_add(u64::from(*count));
        }
        let largest = self.largest.get(histogram).copied().unwrap_or(0);
        sum.max = sum.max.max(largest);
    }
}

/// Asks the guest to note how long its calls take.
pub(crate) fn ask(memory: &Memory) -> Result<(), OutOfRange> {
    const FIELD: usize = offset_of!(SharedInfo, poller_awake) + offset_of!(PollerAwake, timed);
    const WORD: Gpa = Gpa(map::SHARED_INFO + FIELD as u64);
    memory.store_word32(WORD, 1)
}

/// What all vCPUs' calls took, when their threads are done; `None` where nobody asked.
pub(crate) fn gather(
    slots: &[Arc<Slot>],
    memory: &Memory,
    ns_per_tick: f64,
) -> Option<Vec<CallTimes>> {
    let mut sheets = Vec::new();
    for (index, slot) in (0..).zip(slots) {
        let mut sheet = lock(slot.timing.0.as_ref()?);
        if let Ok(times) = memory.times(index) {
            sheet.settle(times);
        }
        sheets.push(sheet);
    }
    let of = |place, carried: Carried, part: Part| {
        let mut sum = Distribution::default();
        // Of a batch the host times all there is.
        let from_guest = carried != Carried::Batched && !matches!(part, Part::Handler);
        for sheet in &sheets {
            if sheet.used.get(place) == Some(&true) && (sheet.comparable || !from_guest) {
                sheet.add_to(&mut sum, place, part);
            }
        }
        Latency::of(&sum, ns_per_tick)
    };
    let rows = call::TABLE.iter().enumerate();
    let places = rows.flat_map(|(row, entry)| Carried::ALL.map(|carried| (row, entry, carried)));
    let times = places.filter_map(|(row, entry, carried)| {
        let place = place(row, carried);
        Some(CallTimes {
            number: entry.number,
            carried,
            whole: of(place, carried, Part::Whole),
            guest: of(place, carried, Part::Guest),
            transport: of(place, carried, Part::Transport),
            handler: of(place, carried, Part::Handler)?,
        })
    });
    Some(times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a guest notes a call.
    fn note(times: &TimesWords, carried: u64, own: u64) {
        times.carried.store(carried, Ordering::Relaxed);
        times.own.store(own, Ordering::Relaxed);
        let count = times.count.load(Ordering::Relaxed).wrapping_add(1);
        times.count.store(count, Ordering::Release);
    }

    fn open(sheet: &mut Sheet, times: &TimesWords, handler: u64) {
        sheet.open = Some(Open {
            place: 0,
            handler,
            count: times.count.load(Ordering::Relaxed),
            noting: 0,
        });
    }

    fn sum(sheet: &Sheet, part: Part) -> Distribution {
        let mut sum = Distribution::default();
        sheet.add_to(&mut sum, 0, part);
        sum
    }

    #[test]
    fn the_parts_are_the_whole() {
        let (mut sheet, times) = (Sheet::new(), TimesWords::default());
        open(&mut sheet, &times, 20);
        note(&times, 100, 7);
        sheet.settle(&times);
        for (part, ticks) in [(Part::Whole, 107), (Part::Guest, 7), (Part::Transport, 80)] {
            assert_eq!(
                (sum(&sheet, part).max, sum(&sheet, part).samples()),
                (ticks, 1)
            );
        }
        sheet.settle(&times);
        assert_eq!(sum(&sheet, Part::Whole).samples(), 1, "a note is used once");
    }

    #[test]
    fn a_note_that_may_be_of_another_call_is_not_used() {
        let (mut sheet, times) = (Sheet::new(), TimesWords::default());
        for notes in [0, 2, 3] {
            open(&mut sheet, &times, 20);
            (0..notes).for_each(|_| note(&times, 100, 7));
            sheet.settle(&times);
        }
        assert_eq!(sum(&sheet, Part::Whole).samples(), 0);
    }

    #[test]
    fn a_guest_may_note_what_it_likes() {
        let (mut sheet, times) = (Sheet::new(), TimesWords::default());
        times.count.store(u32::MAX, Ordering::Relaxed);
        for (carried, own) in [(u64::MAX, u64::MAX), (0, 0), (1, u64::MAX), (u64::MAX, 0)] {
            open(&mut sheet, &times, 20);
            note(&times, carried, own);
            sheet.settle(&times);
        }
        let whole = sum(&sheet, Part::Whole);
        assert_eq!((whole.samples(), whole.max), (4, u64::MAX));
        let latency = Latency::of(&whole, 0.5).unwrap();
        assert!(latency.p50 <= latency.max && latency.p99.is_none());
    }

    #[test]
    fn a_place_out_of_the_table_is_none() {
        let mut sheet = Sheet::new();
        sheet.record(usize::MAX, Part::Handler, 1);
        sheet.record(PLACES, Part::Whole, u64::MAX);
        assert!(!sheet.used.contains(&true));
    }
}
