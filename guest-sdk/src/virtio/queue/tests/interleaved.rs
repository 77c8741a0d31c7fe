//! Both sides' steps in any order.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Add { len: usize, out: bool },
    Kick,
    Fetch,
    Return(prop::sample::Index),
    Look,
    Take(prop::sample::Index),
    GiveUp(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..100_usize, any::<bool>()).prop_map(|(len, out)| Step::Add { len, out }),
        1 => Just(Step::Kick),
        2 => Just(Step::Fetch),
        4 => any::<prop::sample::Index>().prop_map(Step::Return),
        2 => Just(Step::Look),
        4 => any::<prop::sample::Index>().prop_map(Step::Take),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the order of both sides' steps, every request comes back as its own, and no kick that is needed is missing.
    #[test]
    fn every_request_comes_back(
        steps in prop::collection::vec(step(), 1..400),
        start: u16,
        indirect: bool,
        entries in prop::sample::select(vec![2_u16, 4, 64]),
    ) {
        let mut queue = queue(shape(entries).with(4, 0), indirect);
        let mut device = Peer::of(&queue);
        // From anywhere in the indices' range, the wrap included.
        queue.ring.begin_at(start);
        device.queue.set_next_avail(start);
        device.queue.set_next_used(start);
        device.queue.enable_notification(&device.memory).unwrap();
        let mut tokens = Vec::new();
        let mut made = 0_u32;
        let mut kicked = false;
        for step in steps {
            match step {
                Step::Add { len, out } => {
                    let mut bytes = vec![0; len];
                    bytes[len - 1] = made as u8;
                    let data = if out { Data::Out(bytes) } else { Data::In(bytes) };
                    match queue.add(&made.to_le_bytes(), data) {
                        Ok(token) => {
                            tokens.push((token, made, len, out));
                            made += 1;
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused.error, Error::Full);
                            prop_assert!(queue.is_full());
                        }
                    }
                }
                Step::Kick => kicked |= queue.kick(),
                Step::Fetch => {
                    kicked |= queue.kick();
                    let before = device.held.len();
                    let was_told = core::mem::take(&mut kicked);
                    device.fetch();
                    prop_assert!(was_told || device.held.len() == before, "a kick was missing");
                }
                Step::Return(index) if !device.held.is_empty() => {
                    let place = index.index(device.held.len());
                    device.give_back(place, 0xaa);
                    device.notify();
                }
                Step::Look => drop(queue.look().unwrap()),
                Step::Take(index) if !tokens.is_empty() => {
                    let place = index.index(tokens.len());
                    let (token, number, len, out) = tokens.swap_remove(place);
                    match queue.take(token) {
                        Err(token) => tokens.push((token, number, len, out)),
                        Ok(done) => {
                            prop_assert_eq!(done.written as usize, if out { 0 } else { len });
                            let bytes = done.data.into_buffer().unwrap();
                            prop_assert_eq!(bytes.len(), len);
                            if out || len > 1 {
                                prop_assert_eq!(bytes[len - 1], number as u8);
                            }
                            prop_assert!(out || bytes[0] == 0xaa);
                        }
                    }
                }
                Step::GiveUp(index) if !tokens.is_empty() => {
                    let place = index.index(tokens.len());
                    queue.abandon(tokens.swap_remove(place).0);
                }
                _ => {}
            }
        }
        // Everything comes back in the end.
        device.fetch();
        while !device.held.is_empty() {
            device.give_back(0, 0xaa);
        }
        queue.look().unwrap();
        for (token, ..) in tokens {
            prop_assert!(queue.take(token).is_ok());
        }
        prop_assert_eq!(queue.in_flight(), 0);
        let numbers: Vec<u32> = device.read.iter().map(|read| u32::from_le_bytes(read[..4].try_into().unwrap())).collect();
        prop_assert_eq!(numbers, (0..made).collect::<Vec<_>>());
    }
}
