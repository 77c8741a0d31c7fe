//! A counter against the datasheet.

use super::*;

fn loaded(command: u8, bytes: &[u8]) -> Channel {
    let mut channel = Channel::new();
    channel.configure(command);
    for byte in bytes {
        channel.write(*byte, 0);
    }
    channel
}

fn read_both(channel: &mut Channel, now: u64) -> u16 {
    channel.advance(now);
    channel.latch_count(now);
    u16::from_le_bytes([channel.read(now), channel.read(now)])
}

#[test]
fn a_one_shot_counts_past_zero() {
    let mut channel = loaded(0x30, &[10, 0]);
    assert!(!channel.output(0));
    assert_eq!(read_both(&mut channel, 4), 6);
    assert_eq!(read_both(&mut channel, 10), 0);
    assert!(!channel.output(10), "not until the tick after");
    assert_eq!(read_both(&mut channel, 11), 0xffff);
    assert!(channel.output(11) && channel.take_edge() && !channel.take_edge());
    channel.write(3, 20);
    assert_eq!(channel.next_edge(), None, "stopped by half a count");
    channel.write(0, 20);
    assert_eq!(channel.next_edge(), Some(24));
}

#[test]
fn a_rate_generator_reloads() {
    let mut channel = loaded(0x34, &[100, 0]);
    assert_eq!(read_both(&mut channel, 0), 100);
    assert_eq!(read_both(&mut channel, 99), 1);
    assert!(!channel.output(99), "low for the last tick");
    assert_eq!(read_both(&mut channel, 100), 100);
    assert!(channel.output(100) && channel.take_edge());
    assert_eq!(read_both(&mut channel, 1_234_567), 33);
    assert!(channel.take_edge());
    assert_eq!(channel.next_edge(), Some(1_234_600));
}

#[test]
fn a_new_rate_begins_with_the_next_period() {
    let mut channel = loaded(0x34, &[100, 0]);
    channel.write(10, 50);
    channel.write(0, 50);
    channel.latch_status(50);
    assert_eq!(channel.read(50) & 0x40, 0x40, "null count");
    assert_eq!(channel.next_edge(), Some(100));
    assert_eq!(read_both(&mut channel, 103), 7);
    channel.latch_status(103);
    assert_eq!(channel.read(103) & 0x40, 0);
    assert_eq!(channel.next_edge(), Some(110));
}

#[test]
fn a_square_wave_counts_by_two() {
    let mut even = loaded(0x36, &[8, 0]);
    let counts: Vec<u16> = (0..9).map(|now| read_both(&mut even, now)).collect();
    assert_eq!(counts, [8, 6, 4, 2, 8, 6, 4, 2, 8]);
    let odd = loaded(0x36, &[5, 0]);
    let high: Vec<bool> = (0..5).map(|now| odd.output(now)).collect();
    assert_eq!(high, [true, true, true, false, false]);
}

#[test]
fn zero_is_the_largest_count() {
    let channel = loaded(0x34, &[0, 0]);
    assert_eq!(channel.next_edge(), Some(0x1_0000));
    let decimal = loaded(0x35, &[0, 0]);
    assert_eq!(decimal.next_edge(), Some(10_000));
}

#[test]
fn decimal_counts() {
    let mut channel = loaded(0x35, &[0x00, 0x12]);
    assert_eq!(channel.next_edge(), Some(1200));
    assert_eq!(read_both(&mut channel, 201), 0x0999);
}

#[test]
fn a_latched_count_stays_until_it_is_read() {
    let mut channel = loaded(0x34, &[200, 0]);
    channel.latch_count(10);
    channel.latch_count(20);
    assert_eq!((channel.read(30), channel.read(30)), (190, 0));
    assert_eq!(channel.read(30), 170, "and then it is live again");
}

#[test]
fn single_bytes() {
    let mut low = loaded(0x14, &[50]);
    assert_eq!(
        (low.next_edge(), low.read(1), low.read(2)),
        (Some(50), 49, 48)
    );
    let mut high = loaded(0x24, &[2]);
    assert_eq!((high.next_edge(), high.read(1)), (Some(512), 1));
}

#[test]
fn gated_modes_stand_still() {
    let mut channel = loaded(0x3a, &[7, 0]);
    assert_eq!(channel.next_edge(), None);
    assert_eq!(read_both(&mut channel, 1000), 7);
    channel.latch_status(1000);
    assert_eq!(channel.read(1000), 0x80 | 0x30 | 5 << 1);
}
