//! Cards as guests drive them that mean no good: any rings, descriptors that point anywhere, and a backend that has moods.

use super::driver::{Driver, SIZE, buffer, packet};
use crate::fuzz::Source;
use crate::virtio::Broken;
use crate::virtio::net::{HEADER, LEAST_FRAME, MOST_FRAME};
use hypercall_abi::Gpa;
use hypercall_abi::map::RAM_BASE;
use hypercall_abi::net::{RECEIVE, SEND, feature};

/// Bytes of the driver's memory.
const MEMORY: u64 = 16 << 20;
/// Packets that wait for the guest, at most.
const WAITING: usize = 8;

/// A card's life, from one broken queue to the next.
pub fn cards(source: &mut Source) {
    let features = [
        0,
        feature::MRG_RXBUF,
        feature::CSUM | feature::HOST_TSO4 | feature::HOST_ECN,
        feature::CSUM | feature::HOST_TSO6 | feature::MRG_RXBUF,
    ];
    while source.step() {
        let mut driver = Driver::new(source.pick(&features));
        while source.step() {
            if act(source, &mut driver).is_err() {
                break;
            }
            judge(&driver);
        }
        driver.reset();
    }
}

fn act(source: &mut Source, driver: &mut Driver) -> Result<(), Broken> {
    let queue = source.pick(&[RECEIVE, SEND]);
    let place = source.below(SIZE.into()) as u16;
    match source.below(12) {
        0..=2 => {
            let address = match source.below(4) {
                // The rings themselves, among others.
                0 => source.near(RAM_BASE, MEMORY),
                _ => buffer(queue, place),
            };
            let len = match source.below(4) {
                0 => source.odd() as u32,
                _ => source.below(4000) as u32,
            };
            // Most of them as they are to be.
            let flags = match (source.once_in(8), queue) {
                (true, _) => source.any() as u16 % 8,
                (false, RECEIVE) => 2,
                (false, _) => 0,
            };
            let next = source.below(u64::from(SIZE) + 2) as u16;
            driver.describe(queue, place, address, len, flags, next);
            driver.offer(queue, place);
        }
        3 => driver.offer(queue, source.below(u64::from(SIZE) + 2) as u16),
        4 => {
            let bytes = source.bytes(HEADER);
            let at = Gpa(buffer(SEND, place));
            driver.memory.write(at, &bytes).unwrap();
        }
        5 => driver.give(place, source.below(3000) as u32),
        6 => driver.send(place, &packet(source.below(3000) as usize, 1)),
        7 => {
            let len = match source.below(8) {
                0 => source.below(MOST_FRAME as u64 + 100),
                _ => source.below(3000),
            };
            let mut ends = driver.ends.lock().unwrap();
            if ends.to_guest.len() < WAITING {
                ends.to_guest.push_back(packet(len as usize, 1));
            }
        }
        8 => {
            let mut ends = driver.ends.lock().unwrap();
            ends.is_full = source.once_in(3);
            ends.is_gone = source.once_in(5);
        }
        9 => drop(driver.ready()?),
        10 => drop(driver.arm()?),
        _ => drop(driver.look()?),
    }
    Ok(())
}

/// What must be, whatever the driver did: of its rings nothing, as packets may have been received into them.
fn judge(driver: &Driver) {
    for packet in driver.ends.lock().unwrap().from_guest.drain(..) {
        let frame = packet.len() - HEADER;
        assert!((LEAST_FRAME..=MOST_FRAME).contains(&frame), "{frame}");
    }
}
