//! A console as a fuzz target: any message and any buffer on any queue, while the hosts' ends come and go.
//!
//! What was queued soundly on a device that is not broken goes through in order, and nothing is written below the guest's own memory.

use super::tests::driver::Driver;
use crate::fuzz::{Ram, Source};
use crate::virtio::peer::{BUFFERS, Descriptor, SIZE};
use hypercall_abi::console::{CONTROL_IN, CONTROL_OUT, feature};
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};

const PORTS: u64 = 3;

/// Messages and buffers.
pub(crate) fn messages(source: &mut Source) {
    let mut driver = Driver::new(PORTS as usize);
    let memory = std::sync::Arc::clone(&driver.peer.memory);
    let mut ram = Ram::new(&memory);
    ram.allow(RAM_BASE..MIN_MEMORY);
    start(&mut driver, source);
    while source.step() {
        let queue = source.below(2 * PORTS + 2) as u16;
        let place = source.below(SIZE.into()) as u16;
        let port = source.below(PORTS) as usize;
        match source.below(10) {
            0 | 1 => {
                let id = source.pick(&[0, 1, 2, 3, u32::MAX]);
                let (event, value) = (source.below(9) as u16, source.below(3) as u16);
                driver.say(id, event, value);
            }
            2 => driver.peer.ask(CONTROL_IN, place, source.below(64) as u32),
            3 => {
                let len = source.below(100) as usize;
                let bytes = source.bytes(len);
                driver.peer.give(queue, place, &bytes);
            }
            4 => driver.peer.ask(queue, place, source.below(100) as u32),
            5 => {
                let descriptor = Descriptor {
                    address: match source.once_in(4) {
                        true => source.near(RAM_BASE, MIN_MEMORY),
                        false => BUFFERS + source.below(0x1000),
                    },
                    len: match source.once_in(4) {
                        true => source.odd() as u32,
                        false => source.below(0x1000) as u32,
                    },
                    flags: source.below(8) as u16,
                    next: source.below(SIZE.into()) as u16,
                };
                driver.peer.describe(queue, place, &descriptor);
                if source.once_in(2) {
                    driver
                        .peer
                        .offer(queue, source.pick(&[place, place, u16::MAX]));
                }
            }
            6 => {
                let count = source.below(300) as usize;
                let bytes = source.bytes(count);
                let mut end = driver.ends[port].lock().unwrap();
                end.is_open = !source.once_in(3);
                end.input.extend(bytes);
                // Not more than is worth comparing.
                end.input.truncate(10_000);
                end.room = source.pick(&[0, 1, 50, usize::MAX]);
                end.taken.clear();
            }
            7 => {
                if driver.hear(port as u32).is_err() {
                    start(&mut driver, source);
                }
            }
            8 => {
                if driver.arm().is_err() {
                    start(&mut driver, source);
                }
            }
            _ => {
                if driver.look().is_err() {
                    start(&mut driver, source);
                }
            }
        }
    }
    soundly(&mut driver, source);
    ram.check(&memory);
}

/// A device as new.
fn start(driver: &mut Driver, source: &mut Source) {
    driver.reset();
    driver.start(source.pick(&[0, feature::MULTIPORT, feature::MULTIPORT]));
}

/// Whatever came before: after a reset, what is written arrives.
fn soundly(driver: &mut Driver, source: &mut Source) {
    driver.reset();
    driver.start(feature::MULTIPORT);
    let mut expected = Vec::new();
    {
        let mut end = driver.ends[0].lock().unwrap();
        (end.room, end.taken) = (usize::MAX, Vec::new());
    }
    for place in 0..SIZE {
        let len = source.below(100) as usize;
        let bytes = source.bytes(len);
        expected.extend_from_slice(&bytes);
        driver.peer.give(1, place, &bytes);
    }
    driver.look().unwrap();
    assert_eq!(driver.peer.answers(1).len(), usize::from(SIZE));
    assert_eq!(driver.ends[0].lock().unwrap().taken, expected);
    assert_eq!(driver.peer.answers(CONTROL_OUT), []);
}
