//! Both ends of a console in one process.

pub(super) mod driver;
mod limits;

use super::super::Device;
use crate::virtio::Broken;
use crate::virtio::peer::{Descriptor, NEXT, WRITE};
use driver::Driver;
use hypercall_abi::console::{CONTROL_IN, CONTROL_OUT, event, feature, port_in};

/// A message as the driver gets it.
fn message(id: u32, event: u16, value: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(event.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes.extend(name.bytes());
    bytes
}

#[test]
fn a_driver_learns_of_ports_when_it_asks() {
    let mut driver = Driver::ready(2);
    driver.ends[1].lock().unwrap().is_open = true;
    driver.look().unwrap();
    assert_eq!(driver.peer.received(CONTROL_IN), [[0; 0]; 0]);
    driver.say(0, event::DEVICE_READY, 1);
    driver.look().unwrap();
    let added = [message(0, event::ADD, 1, ""), message(1, event::ADD, 1, "")];
    assert_eq!(driver.peer.received(CONTROL_IN), added);
    driver.say(1, event::PORT_READY, 1);
    driver.look().unwrap();
    let told = [
        message(1, event::NAME, 1, "port1"),
        message(1, event::OPEN, 1, ""),
    ];
    assert_eq!(driver.peer.received(CONTROL_IN), told);
    driver.ends[1].lock().unwrap().is_open = false;
    driver.hear(1).unwrap();
    let told = [message(1, event::OPEN, 0, "")];
    assert_eq!(driver.peer.received(CONTROL_IN), told);
}

#[test]
fn without_messages_there_is_one_open_port() {
    let mut driver = Driver::new(2);
    driver.start(0);
    driver.ends[0].lock().unwrap().input.extend(b"in");
    driver.ends[1].lock().unwrap().input.extend(b"in");
    for port in 0..2 {
        driver.peer.give(port_in(port) + 1, 0, b"out");
        driver.peer.ask(port_in(port), 0, 8);
    }
    driver.say(0, event::DEVICE_READY, 1);
    driver.look().unwrap();
    assert_eq!(driver.ends[0].lock().unwrap().taken, b"out");
    assert_eq!(driver.peer.received(port_in(0)), [b"in"]);
    assert_eq!(driver.peer.received(port_in(1)), [[0; 0]; 0]);
    assert_eq!(driver.peer.answers(CONTROL_OUT), []);
}

#[test]
fn output_waits_for_room_and_keeps_its_order() {
    let mut driver = Driver::ready(1);
    let end = driver.ends[0].clone();
    end.lock().unwrap().room = 5;
    driver.peer.give(1, 0, b"abc");
    driver.peer.give(1, 1, b"defgh");
    driver.peer.give(1, 2, b"ij");
    driver.look().unwrap();
    assert_eq!(end.lock().unwrap().taken, b"abcde");
    assert_eq!(driver.peer.answers(1), [(0, 0)]);
    let wanted = driver.peer.wanted(1);
    assert!(!driver.arm().unwrap());
    assert_eq!(driver.peer.wanted(1), wanted, "no kick is asked for");
    end.lock().unwrap().room = 1;
    driver.hear(0).unwrap();
    assert_eq!(end.lock().unwrap().taken, b"abcdef");
    end.lock().unwrap().room = 100;
    driver.hear(0).unwrap();
    assert_eq!(end.lock().unwrap().taken, b"abcdefghij");
    assert_eq!(driver.peer.answers(1), [(1, 0), (2, 0)]);
    assert!(!driver.arm().unwrap());
    assert_eq!(driver.peer.wanted(1), 3, "after the last of them");
}

#[test]
fn input_waits_for_an_open_port_and_for_buffers() {
    let mut driver = Driver::ready(1);
    let end = driver.ends[0].clone();
    end.lock().unwrap().input.extend(b"0123456789");
    driver.peer.ask(0, 0, 4);
    driver.look().unwrap();
    assert_eq!(driver.peer.received(0), [[0; 0]; 0]);
    driver.say(0, event::OPEN, 1);
    driver.look().unwrap();
    assert_eq!(driver.peer.received(0), [b"0123"]);
    assert!(!driver.arm().unwrap());
    assert_eq!(driver.peer.wanted(0), 1, "a kick for the next buffer");
    driver.peer.ask(0, 1, 100);
    driver.peer.ask(0, 2, 100);
    driver.look().unwrap();
    assert_eq!(driver.peer.received(0), [b"456789"]);
    end.lock().unwrap().input.extend(b"more");
    driver.hear(0).unwrap();
    assert_eq!(driver.peer.received(0), [b"more"]);
    driver.say(0, event::OPEN, 0);
    driver.look().unwrap();
    driver.peer.ask(0, 3, 100);
    end.lock().unwrap().input.extend(b"late");
    driver.look().unwrap();
    assert_eq!(driver.peer.received(0), [[0; 0]; 0]);
}

#[test]
fn what_is_no_message_is_passed_over() {
    let mut driver = Driver::ready(2);
    for (id, event, value) in [
        (0, 99, 1),
        (7, event::PORT_READY, 1),
        (u32::MAX, event::OPEN, 1),
        (0, event::ADD, 1),
        (0, event::DEVICE_READY, 0),
    ] {
        driver.say(id, event, value);
        driver.look().unwrap();
    }
    driver.peer.give(CONTROL_OUT, 0, b"short");
    driver.peer.give(CONTROL_OUT, 1, &[0; 4000]);
    driver.peer.ask(CONTROL_OUT, 2, 8);
    driver.look().unwrap();
    assert_eq!(
        driver.peer.answers(CONTROL_OUT).len(),
        8,
        "all are answered"
    );
    assert_eq!(driver.peer.received(CONTROL_IN), [[0; 0]; 0]);
}

#[test]
fn a_driver_that_asks_again_and_again_is_owed_no_more() {
    let mut driver = Driver::new(2);
    driver.start(feature::MULTIPORT);
    for _ in 0..100 {
        driver.say(0, event::DEVICE_READY, 1);
        driver.look().unwrap();
    }
    (0..16).for_each(|place| driver.peer.ask(CONTROL_IN, place, 4));
    driver.look().unwrap();
    // Two, and what fits of each.
    assert_eq!(driver.peer.received(CONTROL_IN), [[0; 4], [1, 0, 0, 0]]);
}

#[test]
fn buffers_of_no_bytes_or_the_wrong_way_are_answered_with_none() {
    let mut driver = Driver::ready(1);
    driver.ends[0].lock().unwrap().input.extend(b"in");
    driver.say(0, event::OPEN, 1);
    driver.peer.give(0, 0, b"not to be read");
    driver.peer.ask(0, 1, 0);
    driver.peer.ask(1, 0, 8);
    driver.peer.give(1, 1, b"");
    driver.look().unwrap();
    assert_eq!(driver.peer.answers(0), [(0, 0), (1, 0)]);
    assert_eq!(driver.peer.answers(1), [(0, 0), (1, 0)]);
    assert_eq!(driver.ends[0].lock().unwrap().taken, b"");
    assert_eq!(driver.ends[0].lock().unwrap().input, b"in", "for the next");
}

#[test]
fn a_buffer_beyond_memory_breaks_the_device_until_it_is_reset() {
    for (address, len) in [
        (0, 16),
        (0xf_fff8, 16),
        (0x18_0000, u32::MAX),
        (u64::MAX - 7, 16),
        (1 << 40, 1),
    ] {
        let mut driver = Driver::ready(1);
        driver.ends[0].lock().unwrap().input.extend([7; 0x1_0000]);
        for flags in [0, WRITE] {
            let descriptor = Descriptor {
                address,
                len,
                flags,
                next: 0,
            };
            let queue = u16::from(flags == 0);
            driver.peer.describe(queue, 0, &descriptor);
            driver.say(0, event::OPEN, 1);
            driver.peer.offer(queue, 0);
            let broken = driver.look();
            if len == u32::MAX && flags == WRITE {
                // What is read at once fits.
                broken.unwrap();
                continue;
            }
            let why = Broken("a buffer does not lie in the guest's memory");
            assert_eq!(broken, Err(why), "{address:#x} {flags}");
            driver.reset();
            driver.start(feature::MULTIPORT);
        }
        driver.peer.give(1, 1, b"again");
        driver.look().unwrap();
        assert!(driver.ends[0].lock().unwrap().taken.ends_with(b"again"));
    }
}

#[test]
fn a_chain_of_many_buffers_is_one_write() {
    let mut driver = Driver::ready(1);
    driver.peer.give(1, 0, b"one ");
    driver.peer.give(1, 1, b"two ");
    driver.look().unwrap();
    let at = |place| 0x10_0000 + 0x4_0000 + (16 + place) * 0x1000;
    for (place, next) in [(0_u16, 1), (1, 0)] {
        let descriptor = Descriptor {
            address: at(u64::from(place)),
            len: 4,
            flags: if place == 0 { NEXT } else { 0 },
            next,
        };
        driver.peer.describe(1, place, &descriptor);
    }
    driver.peer.offer(1, 0);
    driver.look().unwrap();
    assert_eq!(driver.ends[0].lock().unwrap().taken, b"one two one two ");
}

#[test]
fn identity_names_every_port() {
    let console = Driver::new(3).console;
    let identity = console.identity();
    assert_eq!((identity.queues, identity.config[4]), (8, 3));
}
