//! Both ends of a batch ring in one process, against a model of what each entry is to be answered.

use super::*;
use crate::line::look;
use crate::stage::{FEATURES, Stage};
use hypercall_abi::class::{Classes, RANDOM};
use hypercall_abi::line::{self, Look};
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::vcpu::event::GUEST_EVENTS;
use hypercall_abi::words::EntryWords;
use proptest::prelude::*;

/// Where the ring's entries are, and a buffer that they fill.
const ENTRIES: u64 = RAM_BASE;
const BUFFER: u64 = RAM_BASE + 0x2_0000;

/// What an entry asks for, and what it is to be answered.
#[derive(Clone, Copy, Debug)]
struct Case {
    number: u32,
    args: [u64; 3],
    status: Status,
    result: u64,
}

fn case(number: u32, args: [u64; 3], status: Status, result: u64) -> Case {
    Case {
        number,
        args,
        status,
        result,
    }
}

/// A case of every status that an entry can have.
fn cases() -> impl Strategy<Value = Case> {
    let out = call::STREAM_OUTPUT;
    let long = call::MAX_TRANSFER + 1;
    proptest::sample::select(vec![
        case(call::NULL, [9, 9, 9], Status::OK, 0),
        case(call::FEATURES, [FEATURES, 0, 0], Status::OK, FEATURES),
        case(call::FEATURES, [!0, 0, 0], Status::UNSUPPORTED, FEATURES),
        case(call::NOTIFY, [1, GUEST_EVENTS, 0], Status::OK, 0),
        case(call::NOTIFY, [2, 0, 0], Status::NOT_FOUND, 0),
        case(call::NOTIFY, [1 << 32, 0, 0], Status::NOT_FOUND, 0),
        case(call::NOTIFY, [0, 1, 0], Status::BAD_ARGUMENT, 0),
        case(call::CONSOLE_WRITE, [out, BUFFER, 70], Status::OK, 70),
        case(
            call::CONSOLE_WRITE,
            [out, BUFFER, long],
            Status::OK,
            call::MAX_TRANSFER,
        ),
        case(
            call::CONSOLE_WRITE,
            [call::STREAM_ERROR, BUFFER, 70],
            Status::OK,
            70,
        ),
        case(call::CONSOLE_WRITE, [3, BUFFER, 1], Status::BAD_ARGUMENT, 0),
        case(call::CONSOLE_WRITE, [out, !0, 2], Status::BAD_ADDRESS, 0),
        case(call::CONSOLE_READ, [BUFFER, 10, 0], Status::OK, 0),
        case(
            call::CONSOLE_READ,
            [RAM_BASE - 1, 1, 0],
            Status::BAD_ADDRESS,
            0,
        ),
        case(call::RANDOM, [0, 0, 0], Status::DENIED, 0),
        case(call::BATCH_SUBMIT, [0; 3], Status::TRAP_ONLY, 0),
        case(call::BATCH_SETUP, [0; 3], Status::TRAP_ONLY, 0),
        case(call::EXIT, [0; 3], Status::TRAP_ONLY, 0),
        case(0xfff, [0; 3], Status::UNKNOWN_CALL, 0),
        case(u32::MAX, [0; 3], Status::UNKNOWN_CALL, 0),
    ])
}

/// What the guest does next.
#[derive(Clone, Debug)]
enum Act {
    /// Registers a ring of 2 to the power of this many entries, whose counts then stand here, as after so many calls.
    Register(u32, bool, u32),
    /// Queues these, as far as they fit, and submits: through the gate, or in its line.
    Submit(Vec<Case>, bool),
    /// Claims that this many more, or fewer, are queued than are, and submits.
    Forge(i32, bool),
}

fn acts() -> impl Strategy<Value = Act> {
    let at = prop_oneof![
        Just(0),
        (0..40_u32).prop_map(|back| 0_u32.wrapping_sub(back))
    ];
    prop_oneof![
        1 => (0..7_u32, any::<bool>(), at).prop_map(|(power, stop, at)| Act::Register(power, stop, at)),
        6 => (proptest::collection::vec(cases(), 0..40), any::<bool>()).prop_map(|(cases, line)| Act::Submit(cases, line)),
        1 => (prop_oneof![-3..0_i32, 1025..2000, Just(i32::MIN)], any::<bool>()).prop_map(|(by, line)| Act::Forge(by, line)),
    ]
}

/// The guest's side, as the model has it.
#[derive(Default)]
struct Model {
    count: u32,
    stops: bool,
    queued: u32,
    served: u32,
    cases: std::collections::VecDeque<Case>,
}

fn entry(stage: &Stage, model: &Model, index: u32) -> (Status, u64) {
    let entries = stage
        .shared
        .memory
        .entries(Gpa(ENTRIES), model.count)
        .unwrap();
    let entry = &entries[(index % model.count) as usize];
    (
        Status(entry.status.load(Ordering::Relaxed)),
        entry.result.load(Ordering::Relaxed),
    )
}

fn queue(stage: &Stage, model: &mut Model, case: Case) {
    let entries = stage
        .shared
        .memory
        .entries(Gpa(ENTRIES), model.count)
        .unwrap();
    let entry: &EntryWords = &entries[(model.queued % model.count) as usize];
    entry.number.store(case.number, Ordering::Relaxed);
    entry
        .args
        .iter()
        .zip(case.args)
        .for_each(|(word, arg)| word.store(arg, Ordering::Relaxed));
    entry.status.store(u32::MAX, Ordering::Relaxed);
    entry.result.store(u64::MAX, Ordering::Relaxed);
    model.queued = model.queued.wrapping_add(1);
    model.cases.push_back(case);
}

/// Submits with this count: through the gate, or posted, seen by the poller, and then perhaps left to a `LINE` call.
fn submit_as(stage: &mut Stage, queued: u32, in_line: bool) -> (Status, u64) {
    let memory = &stage.shared.memory;
    memory
        .ring(0)
        .unwrap()
        .queued
        .store(queued, Ordering::Release);
    if !in_line {
        let Answer::Is(status, result) = submit(&mut stage.caller(0, true)) else {
            panic!("the vCPU's own thread leaves nothing to others");
        };
        return (status, result);
    }
    let words = memory.line(0).unwrap();
    words.number.store(call::BATCH_SUBMIT, Ordering::Relaxed);
    let post = line::post(&words.post);
    if look(&mut stage.caller(0, false)) != Look::Served {
        assert!(!line::is_answered(
            &stage.shared.memory.line(0).unwrap().answered,
            post
        ));
        assert_eq!(look(&mut stage.caller(0, true)), Look::Served);
    }
    let words = stage.shared.memory.line(0).unwrap();
    assert!(line::is_answered(&words.answered, post));
    (
        Status(words.status.load(Ordering::Relaxed)),
        words.args[0].load(Ordering::Relaxed),
    )
}

fn served(stage: &Stage) -> u32 {
    stage
        .shared
        .memory
        .ring(0)
        .unwrap()
        .served
        .load(Ordering::Acquire)
}

fn register(stage: &mut Stage, model: &mut Model, power: u32, stops: bool, at: u32) -> Status {
    let words = stage.shared.memory.ring(0).unwrap();
    words.entries_gpa.store(ENTRIES, Ordering::Relaxed);
    words.entries.store(1 << power, Ordering::Relaxed);
    words.flags.store(u32::from(stops), Ordering::Relaxed);
    *model = Model {
        count: 1 << power,
        stops,
        queued: at,
        served: at,
        ..Model::default()
    };
    if let Err(status) = setup(&stage.shared, 0) {
        return status;
    }
    // As after so many entries: both sides' counts are the same.
    if let Some(ring) = lock(&stage.shared.slots[0].ring).as_mut() {
        (ring.served, ring.answered) = (at, at);
    }
    Status::OK
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_entry_is_served_once_in_order_and_answered_as_the_contract_says(
        acts in proptest::collection::vec(acts(), 1..20)
    ) {
        let classes = Classes(Classes::ALL.0 & !(1 << RANDOM.index));
        let mut stage = Stage::new(2, classes, b"");
        let mut model = Model::default();
        prop_assert_eq!(submit_as(&mut stage, 1, false), (Status::NOT_FOUND, 0));
        register(&mut stage, &mut model, 2, false, 0);
        for act in acts {
            match act {
                Act::Register(power, stops, at) => {
                    prop_assert_eq!(register(&mut stage, &mut model, power, stops, at), Status::OK);
                }
                Act::Forge(by, in_line) => {
                    let forged = model.served.wrapping_add_signed(by);
                    prop_assert_eq!(submit_as(&mut stage, forged, in_line), (Status::BAD_ARGUMENT, 0));
                }
                Act::Submit(cases, in_line) => {
                    for case in cases {
                        if model.queued.wrapping_sub(model.served) < model.count {
                            queue(&stage, &mut model, case);
                        }
                    }
                    let all = model.cases.len();
                    let failed = |case: &Case| case.status != Status::OK;
                    let due = match model.cases.iter().position(failed) {
                        Some(place) if model.stops => place + 1,
                        _ => all,
                    };
                    let answer = submit_as(&mut stage, model.queued, in_line);
                    prop_assert_eq!(answer, (Status::OK, due as u64));
                    for _ in 0..due {
                        let case = model.cases.pop_front().unwrap();
                        prop_assert_eq!(entry(&stage, &model, model.served), (case.status, case.result), "{:?}", case);
                        model.served = model.served.wrapping_add(1);
                    }
                    for back in 0..model.cases.len() as u32 {
                        let untouched = (Status(u32::MAX), u64::MAX);
                        prop_assert_eq!(entry(&stage, &model, model.served.wrapping_add(back)), untouched);
                    }
                    prop_assert_eq!(served(&stage), model.served);
                    // Nothing is served again.
                    if !model.stops {
                        prop_assert_eq!(submit_as(&mut stage, model.queued, in_line), (Status::OK, 0));
                    }
                }
            }
        }
    }

    /// Whatever a registration says: it is refused, and then there is no ring, or all of it is the guest's own memory.
    #[test]
    fn a_ring_is_the_guests_own_memory(gpa in prop_oneof![any::<u64>(), 0..MIN_MEMORY, (0..MIN_MEMORY / 64).prop_map(|line| line * 64)],
                                       count in prop_oneof![any::<u32>(), 0..2 * MAX_ENTRIES, (0..32_u32).prop_map(|power| 1 << power)],
                                       told in proptest::sample::select(vec![0, flags::STOP_ON_ERROR, 1 << 2, 1 << 31])) {
        let mut stage = Stage::new(1, Classes::ALL, b"");
        let words = stage.shared.memory.ring(0).unwrap();
        words.entries_gpa.store(gpa, Ordering::Relaxed);
        words.entries.store(count, Ordering::Relaxed);
        words.flags.store(told, Ordering::Relaxed);
        let fits = gpa >= RAM_BASE && gpa.checked_add(u64::from(count) * 64).is_some_and(|end| end <= MIN_MEMORY);
        let right = match count {
            0 => Ok(0),
            _ if !count.is_power_of_two() || count > MAX_ENTRIES || told & !flags::ALL != 0 => Err(Status::BAD_ARGUMENT),
            _ if !fits || gpa % 64 != 0 => Err(Status::BAD_ADDRESS),
            _ => Ok(0),
        };
        prop_assert_eq!(setup(&stage.shared, 0), right);
        let there = right.is_ok() && count != 0;
        let answer = submit_as(&mut stage, count.min(MAX_ENTRIES), true);
        match there {
            true => prop_assert_eq!(answer, (Status::OK, count.into())),
            false => prop_assert_eq!(answer, (Status::NOT_FOUND, 0)),
        }
    }
}
