//! Both ends of a card in one process.

mod driver;
pub(crate) mod fuzz;
mod stream;

use super::{HEADER, MOST_FRAME};
use crate::virtio::{Broken, Device};
use driver::{Driver, NEXT, SIZE, WRITE, buffer, packet};
use hypercall_abi::map::RAM_BASE;
use hypercall_abi::net::{Config, Header, LINK_UP, RECEIVE, SEND, feature, flags};
use hypercall_abi::{Gpa, map};
use zerocopy::{FromBytes, IntoBytes};

/// A packet as a guest receives it: in so many buffers.
fn counted(mut packet: Vec<u8>, buffers: u8) -> Vec<u8> {
    packet[HEADER - 2] = buffers;
    packet
}

#[test]
fn packets_pass_both_ways() {
    let mut driver = Driver::new(0);
    driver.give(0, 2000);
    driver.give(1, 2000);
    for value in [1, 2] {
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(60, value));
    }
    driver.send(0, &packet(1514, 3));
    driver.send(1, &packet(14, 4));
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(driver.answers(RECEIVE), [(0, 72), (1, 72)]);
    assert_eq!(driver.received(0, 72), counted(packet(60, 1), 1));
    assert_eq!(driver.received(1, 72), counted(packet(60, 2), 1));
    assert_eq!(driver.answers(SEND), [(0, 0), (1, 0)]);
    assert_eq!(
        driver.ends.lock().unwrap().from_guest,
        [packet(1514, 3), packet(14, 4)]
    );
    assert_eq!(
        (driver.dropped(), driver.events()),
        (0, 2),
        "an event for each queue"
    );
    assert_eq!(driver.look(), Ok(false));
}

#[test]
fn a_packet_may_come_in_pieces() {
    let mut driver = Driver::new(0);
    let whole = packet(100, 7);
    let (at, far) = (buffer(SEND, 0), buffer(SEND, 1));
    driver.memory.write(Gpa(at), &whole[..5]).unwrap();
    driver.memory.write(Gpa(far), &whole[5..]).unwrap();
    driver.describe(SEND, 0, at, 5, NEXT, 1);
    driver.describe(SEND, 1, far, whole.len() as u32 - 5, 0, 0);
    driver.offer(SEND, 0);
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(driver.ends.lock().unwrap().from_guest, [whole]);
}

#[test]
fn a_long_packet_lies_in_several_buffers_where_that_was_agreed() {
    let mut driver = Driver::new(feature::MRG_RXBUF);
    for place in 0..6 {
        driver.give(place, 1000);
    }
    for (len, value) in [(2600, 5), (500, 6), (988, 7)] {
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(len, value));
    }
    assert_eq!(driver.look(), Ok(true));
    let answers = driver.answers(RECEIVE);
    assert_eq!(
        answers,
        [(0, 1000), (1, 1000), (2, 612), (3, 512), (4, 1000)]
    );
    let pieces: Vec<u8> = (0..3)
        .flat_map(|place| driver.received(place, answers[usize::from(place)].1))
        .collect();
    assert_eq!(pieces, counted(packet(2600, 5), 3));
    assert_eq!(driver.received(3, 512), counted(packet(500, 6), 1));
}

#[test]
fn a_packet_too_long_for_its_buffer_is_dropped_and_the_buffer_is_not() {
    let mut driver = Driver::new(0);
    driver.give(0, 100);
    for len in [1000, 20] {
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(len, 1));
    }
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(driver.answers(RECEIVE), [(0, 32)]);
    assert_eq!(driver.dropped(), 1);
}

#[test]
fn a_packet_longer_than_all_buffers_is_dropped() {
    let mut driver = Driver::new(feature::MRG_RXBUF);
    for place in 0..SIZE {
        driver.give(place, 20);
    }
    for len in [1000, 60] {
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(len, 9));
    }
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(
        driver.answers(RECEIVE),
        [(0, 20), (1, 20), (2, 20), (3, 12)]
    );
    assert_eq!(driver.dropped(), 1);
}

#[test]
fn a_kick_for_buffers_is_asked_for_only_when_they_lack() {
    let mut driver = Driver::new(feature::MRG_RXBUF);
    driver.give(0, 100);
    assert_eq!((driver.look(), driver.arm()), (Ok(false), Ok(false)));
    assert_eq!(driver.wanted(RECEIVE), 0, "as it was");
    driver
        .ends
        .lock()
        .unwrap()
        .to_guest
        .push_back(packet(150, 1));
    assert_eq!((driver.look(), driver.arm()), (Ok(false), Ok(false)));
    assert_eq!(driver.wanted(RECEIVE), 1, "at the next buffer");
    assert_eq!(driver.answers(RECEIVE), []);
    driver.give(1, 100);
    assert_eq!(driver.arm(), Ok(true), "it came meanwhile");
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(driver.answers(RECEIVE), [(0, 100), (1, 62)]);
}

#[test]
fn what_a_backend_does_not_take_now_it_takes_later() {
    let mut driver = Driver::new(0);
    driver.ends.lock().unwrap().is_full = true;
    for value in 0..3 {
        driver.send(value, &packet(60, value as u8));
    }
    assert_eq!(driver.look(), Ok(false));
    assert_eq!(driver.answers(SEND), []);
    assert_eq!(driver.arm(), Ok(false), "the queue waits for the backend");
    driver.ends.lock().unwrap().is_full = false;
    assert_eq!(driver.look(), Ok(false), "not before it was heard of");
    assert_eq!(driver.ready(), Ok(true));
    assert_eq!(driver.answers(SEND), [(0, 0), (1, 0), (2, 0)]);
    let sent = std::mem::take(&mut driver.ends.lock().unwrap().from_guest);
    assert_eq!(sent, [packet(60, 0), packet(60, 1), packet(60, 2)]);
}

#[test]
fn packets_that_cannot_be_are_dropped_and_counted() {
    let mut driver = Driver::new(0);
    driver.send(0, &packet(13, 1));
    driver.send(1, &packet(MOST_FRAME + 1, 1));
    driver.send(2, &[0; HEADER]);
    driver.send(3, &[0; 1]);
    driver.send(4, &[]);
    let wish = Header {
        flags: flags::NEEDS_CSUM,
        csum_start: 34,
        csum_offset: 16,
        ..Header::default()
    };
    let mut wishing = packet(60, 1);
    wishing[..HEADER].copy_from_slice(wish.as_bytes());
    driver.send(5, &wishing);
    // 4 GiB, of which nothing is looked at.
    driver.describe(SEND, 6, buffer(SEND, 6), u32::MAX, 0, 0);
    driver.offer(SEND, 6);
    driver.send(7, &packet(MOST_FRAME, 1));
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(driver.answers(SEND).len(), 8);
    assert_eq!(driver.dropped(), 7);
    assert_eq!(driver.ends.lock().unwrap().from_guest.len(), 1);
    driver.give(0, 2000);
    for packet in [
        vec![],
        vec![0; HEADER],
        packet(13, 1),
        packet(MOST_FRAME + 1, 1),
    ] {
        driver.ends.lock().unwrap().to_guest.push_back(packet);
    }
    assert_eq!(driver.look(), Ok(false));
    assert_eq!(driver.dropped(), 11);
}

#[test]
fn wishes_that_were_agreed_on_reach_the_backend() {
    let mut driver = Driver::new(feature::CSUM);
    let wish = Header {
        flags: flags::NEEDS_CSUM | 0x80,
        csum_start: 34,
        csum_offset: 16,
        num_buffers: 9,
        ..Header::default()
    };
    let mut wishing = packet(60, 1);
    wishing[..HEADER].copy_from_slice(wish.as_bytes());
    driver.send(0, &wishing);
    assert_eq!(driver.look(), Ok(true));
    let sent = std::mem::take(&mut driver.ends.lock().unwrap().from_guest);
    let passed = Header {
        flags: flags::NEEDS_CSUM,
        num_buffers: 0,
        ..wish
    };
    assert_eq!(&sent[0][..HEADER], passed.as_bytes());
}

#[test]
fn what_no_queue_may_hold_breaks_the_card() {
    let end = 16 << 20;
    for (queue, address, len, flags) in [
        (RECEIVE, buffer(RECEIVE, 0), 11, WRITE),
        (RECEIVE, buffer(RECEIVE, 0), 2000, 0),
        (RECEIVE, end - 10, 2000, WRITE),
        (RECEIVE, map::BOOT_PAGE, 2000, WRITE),
        (RECEIVE, RAM_BASE - 1, 2000, WRITE),
        (RECEIVE, u64::MAX - 100, 2000, WRITE),
        (RECEIVE, buffer(RECEIVE, 0), 2000, WRITE | NEXT),
        (SEND, end - 10, 100, 0),
        (SEND, 0, 100, 0),
        (SEND, u64::MAX, 100, 0),
        (SEND, buffer(SEND, 0), 100, NEXT),
    ] {
        let mut driver = Driver::new(0);
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(60, 1));
        driver.describe(queue, 0, address, len, flags, 0);
        driver.offer(queue, 0);
        let looked = driver.look();
        assert!(
            matches!(looked, Err(Broken(_))),
            "{address:#x} {len} {flags}: {looked:?}"
        );
        driver.reset();
    }
}

#[test]
fn a_link_that_goes_and_comes_is_told_of() {
    let mut driver = Driver::new(0);
    let status = |driver: &mut Driver| {
        let config = driver.card.changed()?;
        Some(Config::read_from_bytes(config).unwrap().status)
    };
    assert_eq!(status(&mut driver), None);
    driver.ends.lock().unwrap().is_gone = true;
    driver.send(0, &packet(60, 1));
    assert_eq!(driver.look(), Ok(true));
    assert_eq!((status(&mut driver), driver.dropped()), (Some(0), 1));
    assert_eq!(status(&mut driver), None);
    driver.ends.lock().unwrap().is_gone = false;
    assert_eq!(
        driver.ready(),
        Ok(true),
        "whoever waited for the old one is looked at"
    );
    assert_eq!(status(&mut driver), Some(LINK_UP));
}

#[test]
fn after_a_reset_nothing_is_left() {
    let mut driver = Driver::new(feature::MRG_RXBUF);
    driver.give(0, 100);
    driver
        .ends
        .lock()
        .unwrap()
        .to_guest
        .push_back(packet(150, 1));
    assert_eq!(driver.look(), Ok(false));
    assert_eq!(driver.arm(), Ok(false));
    driver.reset();
    assert_eq!(driver.wanted(RECEIVE), 1);
    driver.give(1, 200);
    driver
        .ends
        .lock()
        .unwrap()
        .to_guest
        .push_back(packet(60, 2));
    assert_eq!(driver.look(), Ok(true));
    assert_eq!(
        driver.answers(RECEIVE),
        [(1, 72)],
        "the packet that waited is gone"
    );
}

#[test]
fn a_limit_holds_both_ways_until_its_timer_rings() {
    const MANY: u16 = 8;
    // Of ten in a second one is there at once, and a second on credit.
    let limit = || crate::rate::Limit::new("a card", Some(10), None).unwrap();
    let mut driver = Driver::limited(0, limit());
    for value in 0..MANY {
        driver.send(value, &packet(60, 1));
    }
    assert_eq!(driver.look(), Ok(true));
    let sent = driver.answers(SEND).len();
    assert!((1..=2).contains(&sent), "{sent}");
    assert_eq!((driver.look(), driver.arm()), (Ok(false), Ok(false)));
    assert_eq!(driver.wanted(SEND), 0, "no kick is asked for");
    assert_eq!(driver.rung(), Ok(false), "only the timer brings the next");
    assert_eq!(driver.answers(SEND).len(), 1);

    let mut driver = Driver::limited(0, limit());
    for place in 0..MANY {
        driver.give(place, 2000);
        driver
            .ends
            .lock()
            .unwrap()
            .to_guest
            .push_back(packet(60, 1));
    }
    assert_eq!(driver.look(), Ok(true));
    let received = driver.answers(RECEIVE).len();
    assert!((1..=2).contains(&received), "{received}");
    assert_eq!(driver.look(), Ok(false));
    driver.ends.lock().unwrap().to_guest.clear();
    // What has waited is looked at, and asks for kicks again, although there is nothing.
    assert_eq!(driver.rung(), Ok(true));
    assert_eq!((driver.look(), driver.arm()), (Ok(false), Ok(false)));
}
