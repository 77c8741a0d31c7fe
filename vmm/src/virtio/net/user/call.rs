//! A connection that has come to the host and that the guest has not taken yet: when the guest is asked, and when the client is told that it will not
//! be taken.
//!
//! A guest that refuses may have all of its sockets in use, or be about to listen again: it is asked again for about a second, which begins anew
//! with every connection that it ends at that port. One that does not answer has no address yet: the same packet is sent again when it is given
//! one, and otherwise as rarely as TCP does that. No network loses it, and a guest that is slow and gets it twice may take it for two connections.

use super::plan::after;
use super::site::Site;
use super::stack::Stack;
use super::stream::Pair;
use super::terminal::Terminal;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

/// How long a client waits at the most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Refusals in a row after which the client is refused: a second of them.
const REFUSALS: u32 = 15;
/// How soon a guest is asked again that refused: then after twice as long each time,
const REFUSED: Duration = Duration::from_millis(1);
/// up to this.
const REFUSED_MOST: Duration = Duration::from_millis(128);
/// How soon a guest is asked again that does not answer: likewise,
const SILENT: Duration = Duration::from_secs(1);
/// up to this.
const SILENT_MOST: Duration = Duration::from_secs(4);
/// How long a guest takes to use an address that it is given.
const SETTLED: Duration = Duration::from_millis(10);

/// It.
pub(super) struct Call {
    /// When the guest is asked next.
    at: Instant,
    /// When the client is given up.
    pub until: Instant,
    /// How long is waited after the next refusal, or the next silence where there was none.
    wait: Duration,
    refusals: u32,
    /// What asks, as a frame; empty when it is yet to be made.
    frame: Vec<u8>,
}

impl Call {
    /// One that comes now.
    pub fn new(now: Instant) -> Call {
        Call {
            at: now,
            until: after(now, PATIENCE),
            wait: SILENT,
            refusals: 0,
            frame: Vec::new(),
        }
    }

    /// Whether the client is given up.
    pub fn is_over(&self, now: Instant) -> bool {
        self.refusals >= REFUSALS || now >= self.until
    }

    /// When something is to be done next.
    pub fn deadline(&self) -> Instant {
        self.at.min(self.until)
    }

    /// The guest has refused it.
    pub fn refused(&mut self, now: Instant) {
        if self.refusals == 0 {
            self.wait = REFUSED;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.at = after(now, self.wait);
        self.wait = twice(self.wait, REFUSED_MOST);
        self.frame.clear();
    }

    /// The guest has ended another connection at the port, so that it may take this one now: says whether it is to be asked at once, which is so for
    /// one that waits after a refusal, if `is_next`.
    pub fn hope(&mut self, now: Instant, is_next: bool) -> bool {
        self.refusals = self.refusals.min(1);
        let asks = is_next && self.refusals != 0 && self.frame.is_empty();
        if asks {
            self.at = now;
            self.wait = REFUSED;
        }
        asks
    }

    /// The guest has been given its address: what it was asked before is lost.
    pub fn addressed(&mut self, now: Instant) {
        if self.refusals == 0 {
            self.at = self.at.min(after(now, SETTLED));
        }
    }

    /// Asks the guest, if it is time; says how long the frame is.
    pub fn ask(
        &mut self,
        stack: &mut Stack,
        terminal: &mut Terminal,
        pair: Pair,
        frame: &mut [u8],
        site: &Site,
    ) -> Option<usize> {
        if site.now < self.at {
            return None;
        }
        if self.frame.is_empty() {
            // As it is after a refusal. Fails for no pair that there can be.
            if terminal.socket().state() == State::Closed {
                stack.connect(terminal, pair, site);
            }
            let (length, _) = stack.ask(terminal, frame, site);
            let made = length.and_then(|length| frame.get(..length));
            self.frame.extend_from_slice(made.unwrap_or_default());
        } else {
            let room = frame.get_mut(..self.frame.len())?;
            room.copy_from_slice(&self.frame);
        }
        // A refusal says when to ask after it; this is for silence.
        let silent = match self.refusals {
            0 => self.wait,
            _ => SILENT_MOST,
        };
        self.at = after(site.now, silent);
        if self.refusals == 0 {
            self.wait = twice(self.wait, SILENT_MOST);
        }
        (!self.frame.is_empty()).then_some(self.frame.len())
    }
}

fn twice(wait: Duration, most: Duration) -> Duration {
    let micros = wait.total_micros().saturating_mul(2);
    Duration::from_micros(micros).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_guest_that_refuses_is_asked_for_a_second() {
        let mut call = Call::new(at(0));
        let (mut now, mut waits) = (at(0), Vec::new());
        while !call.is_over(now) {
            call.refused(now);
            waits.push((call.deadline() - now).total_millis());
            now = call.deadline();
        }
        assert_eq!(waits[..9], [1, 2, 4, 8, 16, 32, 64, 128, 128]);
        assert_eq!(waits.len(), REFUSALS as usize);
        let all: u64 = waits[..waits.len() - 1].iter().sum();
        assert_eq!(all, 1023);
    }

    #[test]
    fn a_connection_that_ends_is_hope_for_all_and_the_turn_of_one() {
        let (mut next, mut other, mut silent) =
            (Call::new(at(0)), Call::new(at(0)), Call::new(at(0)));
        for call in [&mut next, &mut other] {
            (1..REFUSALS).for_each(|_| call.refused(at(1)));
        }
        assert!(next.hope(at(2), true) && !other.hope(at(2), false));
        silent.frame.push(0);
        assert!(
            !silent.hope(at(2), true),
            "it was asked and has not answered"
        );
        assert_eq!((next.deadline(), other.deadline()), (at(2), at(129)));
        for call in [&mut next, &mut other] {
            call.refused(at(200));
            call.frame.push(0);
            assert!(!call.hope(at(200), true), "it was asked again");
            assert!(!call.is_over(at(200)));
        }
        assert_eq!((next.deadline(), other.deadline()), (at(201), at(328)));
    }

    #[test]
    fn a_guest_with_a_new_address_is_asked_again_soon() {
        let mut call = Call::new(at(0));
        call.at = at(1000);
        call.addressed(at(500));
        assert_eq!(call.deadline(), at(510));
        call.refused(at(600));
        call.addressed(at(600));
        assert_eq!(call.deadline(), at(601), "it had one");
    }

    #[test]
    fn nobody_waits_for_longer_than_there_is_patience() {
        let mut call = Call::new(at(0));
        for now in 1..30_000 {
            call.refused(at(now));
            call.hope(at(now), false);
            assert!(!call.is_over(at(now)) && call.deadline() <= at(30_000));
        }
        assert!(call.is_over(at(30_000)));
    }
}
