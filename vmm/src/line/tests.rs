//! Both ends of a call line in one process: whatever the guest writes, and whenever.

use super::*;
use crate::stage::Stage;
use crate::stats::Stats;
use hypercall_abi::class::Classes;
use hypercall_abi::{call, line};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};

/// What the guest does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Posts a call as the SDK does.
    Post(u32),
    /// Writes any post.
    Forge(u32),
    /// Writes any number.
    Number(u32),
    /// Writes over what the host answers with.
    Scribble(u32),
}

fn numbers() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(call::NULL),
        Just(call::EXIT),
        Just(call::LINE),
        Just(call::BATCH_SUBMIT),
        any::<u32>()
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => numbers().prop_map(Act::Post),
        1 => prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(Act::Forge),
        1 => numbers().prop_map(Act::Number),
        1 => any::<u32>().prop_map(Act::Scribble),
    ]
}

/// Calls that the host has counted.
fn counted(stage: &Stage) -> u64 {
    let mut stats = Stats::default();
    stage.shared.slots[0].tally.add_to(&mut stats);
    let known: u64 = stats.calls.iter().map(|count| count.polled).sum();
    known + stats.unknown_calls
}

/// A guest that is about to do these things, some at the next step of the host's, and how often it has written `post`.
struct Busy {
    acts: RefCell<std::vec::IntoIter<Option<Act>>>,
    posts: Cell<u64>,
}

/// The host's line, where the guest writes before each of the host's steps.
struct Meddled<'l, 'c, 'b> {
    line: Line<'l, 'c>,
    busy: &'b Busy,
}

impl Meddled<'_, '_, '_> {
    fn meddle(&self) {
        if let Some(Some(act)) = self.busy.acts.borrow_mut().next() {
            let posted = play(self.line.words, act);
            self.busy
                .posts
                .set(self.busy.posts.get() + u64::from(posted));
        }
    }
}

impl Shared for Meddled<'_, '_, '_> {
    fn post(&self) -> u32 {
        self.meddle();
        self.line.post()
    }

    fn act(&mut self) -> bool {
        self.meddle();
        self.line.act()
    }

    fn answer(&mut self, post: u32) {
        self.meddle();
        self.line.answer(post);
    }
}

/// Does what the guest does; says whether it wrote `post`.
fn play(words: &LineWords, act: Act) -> bool {
    match act {
        Act::Post(number) => {
            words.number.store(number, Ordering::Relaxed);
            line::post(&words.post);
        }
        Act::Forge(post) => words.post.store(post, Ordering::Release),
        Act::Number(number) => words.number.store(number, Ordering::Relaxed),
        Act::Scribble(value) => {
            words.status.store(value, Ordering::Relaxed);
            words.answered.store(value, Ordering::Relaxed);
        }
    }
    matches!(act, Act::Post(_) | Act::Forge(_))
}

/// What a call without arguments is answered in a line.
fn right(number: u32) -> Status {
    match number {
        call::NULL => Status::OK,
        call::EXIT | call::LINE => Status::TRAP_ONLY,
        call::BATCH_SUBMIT => Status::NOT_FOUND, // there is no ring
        _ => Status::UNKNOWN_CALL,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Each look serves what is posted at that moment, if it is another post than the last that was served, and changes nothing else.
    #[test]
    fn a_look_serves_what_is_new(first in prop_oneof![Just(0), Just(u32::MAX - 3)],
                                 acts in proptest::collection::vec((acts(), any::<Option<bool>>()), 1..60)) {
        let mut stage = Stage::new(1, Classes::ALL, b"");
        stage.shared.memory.line(0).unwrap().post.store(first, Ordering::Relaxed);
        look(&mut stage.caller(0, false));
        let (mut last, mut served) = (first, u64::from(first != 0));
        for (act, looker) in acts {
            play(stage.shared.memory.line(0).unwrap(), act);
            let Some(may_block) = looker else { continue };
            let words = stage.shared.memory.line(0).unwrap();
            let (post, number) = (words.post.load(Ordering::Relaxed), words.number.load(Ordering::Relaxed));
            let before = (words.status.load(Ordering::Relaxed), words.answered.load(Ordering::Relaxed));
            let looked = look(&mut stage.caller(0, may_block));
            let words = stage.shared.memory.line(0).unwrap();
            let after = (words.status.load(Ordering::Relaxed), words.answered.load(Ordering::Relaxed));
            if post == last {
                prop_assert_eq!((looked, after), (Look::Nothing, before));
            } else {
                prop_assert_eq!((looked, after), (Look::Served, (right(number).0, post)));
                (last, served) = (post, served + 1);
            }
            prop_assert_eq!((words.post.load(Ordering::Relaxed), words.number.load(Ordering::Relaxed)), (post, number));
            prop_assert_eq!(counted(&stage), served);
        }
    }

    /// A guest that writes between any two of the host's steps gets no more served than it has posted.
    #[test]
    fn a_post_is_served_once(acts in proptest::collection::vec(proptest::option::weighted(0.7, acts()), 1..200)) {
        let mut stage = Stage::new(1, Classes::ALL, b"");
        let busy = Busy { acts: RefCell::new(acts.into_iter()), posts: Cell::new(0) };
        let mut served = 0;
        for may_block in [false, true].into_iter().cycle() {
            let mut caller = stage.caller(0, may_block);
            let words = caller.shared.memory.line(0).unwrap();
            let slot = caller.slot;
            let line = Line { words, caller: &mut caller, served: None };
            let mut meddled = Meddled { line, busy: &busy };
            served += u64::from(slot.claim.serve(&mut meddled) == Look::Served);
            prop_assert!(served <= busy.posts.get());
            if busy.acts.borrow().len() == 0 {
                break;
            }
        }
        prop_assert_eq!(counted(&stage), served);
        // And then it is as a line that nobody has meddled with.
        look(&mut stage.caller(0, false));
        play(stage.shared.memory.line(0).unwrap(), Act::Post(call::NULL));
        prop_assert_eq!(look(&mut stage.caller(0, false)), Look::Served);
        let words = stage.shared.memory.line(0).unwrap();
        prop_assert!(line::is_answered(&words.answered, words.post.load(Ordering::Relaxed)));
        prop_assert_eq!(words.status.load(Ordering::Relaxed), Status::OK.0);
    }
}
