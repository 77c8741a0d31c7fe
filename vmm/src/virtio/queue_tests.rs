//! What a device gets out of a queue, and in which order.

use super::super::peer::{Descriptor, NEXT, Peer, SIZE};
use super::*;

/// The heads of the requests that are there.
fn heads(queue: &mut Queue) -> Vec<u16> {
    let mut chain = Chain::default();
    let mut heads = Vec::new();
    while queue.pop(&mut chain).unwrap() {
        heads.push(chain.head);
    }
    heads
}

#[test]
fn requests_come_in_the_order_in_which_they_were_made() {
    let mut peer = Peer::new();
    let mut queues = peer.queues(1);
    let queue = queues[0].as_mut().unwrap();
    for round in 0..5_u16 {
        let made: Vec<u16> = (0..SIZE).map(|place| (place * 5 + round) % SIZE).collect();
        made.iter().for_each(|place| peer.give(0, *place, b"1"));
        assert_eq!(heads(queue), made);
    }
}

#[test]
fn what_is_given_back_comes_first() {
    let mut peer = Peer::new();
    let mut queues = peer.queues(1);
    let queue = queues[0].as_mut().unwrap();
    (0..3).for_each(|place| peer.give(0, place, &[7; 3]));
    let mut chain = Chain::default();
    for head in 0..2 {
        assert_eq!(queue.pop(&mut chain), Ok(true));
        queue.unpop(&mut chain);
        assert_eq!(queue.pop(&mut chain), Ok(true));
        assert_eq!((chain.head, chain.readable_bytes()), (head, 3));
    }
    assert_eq!(heads(queue), [2]);
}

#[test]
fn nobody_is_asked_to_kick_while_something_is_there() {
    let mut peer = Peer::new();
    let mut queues = peer.queues(1);
    let queue = queues[0].as_mut().unwrap();
    (0..2).for_each(|place| peer.give(0, place, b"1"));
    let mut chain = Chain::default();
    assert_eq!(queue.pop(&mut chain), Ok(true));
    assert_eq!(
        queue.arm(),
        Ok(true),
        "the second was copied with the first"
    );
    assert_eq!(heads(queue), [1]);
    assert_eq!(queue.arm(), Ok(false));
    assert_eq!(peer.wanted(0), 2, "the next one");
}

#[test]
fn what_came_before_a_malformed_chain_is_served() {
    let mut peer = Peer::new();
    let mut queues = peer.queues(1);
    let queue = queues[0].as_mut().unwrap();
    (0..2).for_each(|place| peer.give(0, place, b"1"));
    let own_successor = Descriptor {
        flags: NEXT,
        next: 2,
        ..Descriptor::default()
    };
    peer.describe(0, 2, &own_successor);
    peer.offer(0, 2);
    peer.give(0, 3, b"1");
    let mut chain = Chain::default();
    for head in 0..2 {
        assert_eq!(queue.pop(&mut chain), Ok(true));
        assert_eq!(chain.head, head);
        assert_eq!(queue.push(&chain, 0), Ok(()));
    }
    for _ in 0..2 {
        assert!(queue.pop(&mut chain).is_err(), "and nothing after it");
    }
    assert_eq!(peer.answers(0), [(0, 0), (1, 0)]);
}
