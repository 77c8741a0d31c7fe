//! What a port's limits hold back, and let go.

use super::driver::Driver;
use crate::config::{Port, PortEnd};
use crate::rate::Limit;
use crate::virtio::peer::SIZE;
use std::time::Instant;

/// Bytes of a request.
const EACH: usize = 100;

/// Two ports with these limits, of which the first, open, has used up what there was. A driver without messages has no way to open the other.
fn driver(ops_per_second: Option<u64>, bytes_per_second: Option<u64>) -> Driver {
    let mut driver = Driver::limited(
        2,
        &Port {
            ops_per_second,
            bytes_per_second,
            ..Port::new("", PortEnd::None)
        },
    );
    driver.start(0);
    driver.console.ports[0].limit.exhaust();
    driver
}

fn is_waiting(driver: &Driver) -> bool {
    driver.console.ports[0].limit.is_waiting()
}

/// Output that waits, as much as the queue holds.
fn write(driver: &mut Driver) {
    (0..SIZE).for_each(|place| driver.peer.give(1, place, &[b'x'; EACH]));
}

/// Input that waits, and buffers for it.
fn read(driver: &mut Driver) {
    (0..SIZE).for_each(|place| driver.peer.ask(0, place, EACH as u32));
    let input = vec![b'y'; EACH * usize::from(SIZE)];
    driver.ends[0].lock().unwrap().input.extend(input);
}

#[test]
fn limits_hold_output_and_input_and_want_no_kicks_meanwhile() {
    let each = EACH as u64;
    for (limits, rate, credit) in [
        ((Some(200), None), 200, 1),
        ((None, Some(20_000)), 20_000, each),
    ] {
        for (queue, fill) in [(1, write as fn(&mut Driver)), (0, read)] {
            let began = Instant::now();
            let mut driver = driver(limits.0, limits.1);
            fill(&mut driver);
            driver.look().unwrap();
            let mut answered = 0;
            while answered < u64::from(SIZE) {
                if is_waiting(&driver) {
                    driver.look().unwrap();
                    assert_eq!(driver.peer.answers(queue), []);
                    assert_eq!(driver.arm(), Ok(false));
                    assert_eq!(driver.peer.wanted(queue), 0, "no kick is asked for");
                }
                let wants_looks = driver.rung(0);
                assert_eq!(wants_looks, Ok(!is_waiting(&driver)));
                answered += driver.peer.answers(queue).len() as u64;
                assert!(answered * credit <= Limit::most(rate, began, credit));
            }
        }
    }
}

#[test]
fn neither_way_takes_all_that_a_limit_leaves() {
    let mut driver = driver(Some(50), None);
    write(&mut driver);
    read(&mut driver);
    for _ in 0..2 {
        driver.console.ports[0].limit.exhaust();
        driver.rung(0).unwrap();
    }
    assert!(!driver.peer.answers(0).is_empty() && !driver.peer.answers(1).is_empty());
}

#[test]
fn a_long_request_is_held_in_the_middle() {
    const LONG: u32 = 256 << 10;
    let mut driver = driver(None, Some(1 << 20));
    // Four pieces of 64 KiB by one request, from the guest's memory as it is.
    driver.peer.describe(
        1,
        0,
        &crate::virtio::peer::Descriptor {
            address: crate::virtio::peer::BUFFERS,
            len: LONG,
            ..Default::default()
        },
    );
    driver.peer.offer(1, 0);
    driver.look().unwrap();
    let mut steps = 0;
    while driver.peer.answers(1).is_empty() {
        driver.rung(0).unwrap();
        steps += 1;
        let taken = driver.ends[0].lock().unwrap().taken.len();
        assert_eq!(taken % (64 << 10), 0);
    }
    assert!((1..=4).contains(&steps), "{steps}");
    assert_eq!(driver.ends[0].lock().unwrap().taken.len(), LONG as usize);
}

#[test]
fn one_ports_limit_is_not_anothers() {
    let mut driver = driver(Some(1), None);
    // Its output needs no opening.
    driver.peer.give(5, 0, b"through");
    write(&mut driver);
    driver.look().unwrap();
    assert_eq!(driver.peer.answers(5).len(), 1);
    assert_eq!(driver.peer.answers(1), []);
    assert_eq!(driver.ends[1].lock().unwrap().taken, b"through");
}
