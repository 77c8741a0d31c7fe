//! What a limit holds back, and lets go.

use super::stage::{CID, SIZE, Stage, ring};
use super::{HEADER, TIMER};
use crate::rate::Limit;
use hypercall_abi::Gpa;
use hypercall_abi::map::RAM_BASE;
use hypercall_abi::vsock::{HOST_CID, Header, RECEIVE, SEND, STREAM, op};
use std::time::Instant;
use zerocopy::IntoBytes;

/// That the device writes.
const WRITE: u16 = 2;

/// A device, which lets so many packets through in a second.
fn stage(per_second: u64) -> Stage {
    let mut stage = Stage::configured(|config| config.ops_per_second = Some(per_second));
    stage.device.limit.exhaust();
    stage
}

/// A chain of one buffer, the same for all of a queue's.
fn offer(stage: &mut Stage, queue: u16, flags: u16) {
    let buffer = RAM_BASE + 0x4_0000 + u64::from(queue) * 0x1000;
    let header = Header {
        src_cid: CID.into(),
        dst_cid: HOST_CID,
        kind: STREAM,
        op: op::RST,
        ..Header::default()
    };
    let memory = &stage.memory;
    memory.write(Gpa(buffer), header.as_bytes()).unwrap();
    for place in 0..SIZE {
        let at = ring(queue, 0) + u64::from(place) * 16;
        memory.store(Gpa(at), &buffer).unwrap();
        memory.store(Gpa(at + 8), &(HEADER as u32 + 1)).unwrap();
        memory.store(Gpa(at + 12), &flags).unwrap();
    }
    (0..SIZE).for_each(|place| stage.offer(queue, place));
}

/// Packets from the guest that nothing follows from, as many as the queue holds.
fn send(stage: &mut Stage) {
    offer(stage, SEND, 0);
}

/// Packets for the guest that wait, and buffers for them.
fn await_packets(stage: &mut Stage) {
    offer(stage, RECEIVE, WRITE);
    let packets = (0..SIZE).map(|_| Header::default());
    stage.device.resets.extend(packets);
}

#[test]
fn a_limit_holds_packets_both_ways_and_wants_no_kicks_meanwhile() {
    const RATE: u64 = 200;
    for (queue, fill) in [(SEND, send as fn(&mut Stage)), (RECEIVE, await_packets)] {
        let began = Instant::now();
        let mut stage = stage(RATE);
        fill(&mut stage);
        assert_eq!(stage.serve(), Ok(false));
        while stage.in_flight(queue) > 0 {
            if stage.device.limit.is_waiting() {
                assert_eq!((stage.serve(), stage.arm()), (Ok(false), Ok(false)));
                assert_eq!(stage.wanted(queue), 0, "no kick is asked for");
            }
            stage.device.limit.sleep();
            let wants_looks = stage.ready(TIMER);
            assert_eq!(wants_looks, Ok(!stage.device.limit.is_waiting()));
            let answered = u64::from(stage.answers(queue));
            assert!(answered <= Limit::most(RATE, began, 1), "{answered}");
        }
        assert_eq!(stage.answers(queue), SIZE);
    }
}

#[test]
fn neither_way_takes_all_that_a_limit_leaves() {
    let mut stage = stage(50);
    send(&mut stage);
    await_packets(&mut stage);
    for _ in 0..2 {
        stage.device.limit.exhaust();
        stage.device.limit.sleep();
        stage.ready(TIMER).unwrap();
    }
    assert!(stage.answers(SEND) > 0 && stage.answers(RECEIVE) > 0);
}

#[test]
fn a_limit_outlives_its_driver() {
    let mut stage = stage(50);
    stage.restart();
    send(&mut stage);
    assert_eq!(
        stage.serve(),
        Ok(false),
        "what was used up is not there again"
    );
    stage.device.limit.sleep();
    stage.ready(TIMER).unwrap();
    assert!(stage.answers(SEND) > 0);
}
