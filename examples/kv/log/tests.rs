//! Logs on disks that are empty, damaged, or another's. What survives failures is tested with the store.

use super::fake::{Failed, Fake};
use super::*;
use alloc::vec;
use guest_sdk::executor::block_on;

/// What a disk's log has to say: all that was appended, without the beginnings of lives.
fn contents(disk: &Fake) -> Result<Vec<Vec<u8>>, Error<Failed>> {
    open(disk).map(|(_, payloads)| payloads)
}

/// A log, and the payloads that were in it.
type Opened<'a> = (Log<&'a Fake>, Vec<Vec<u8>>);

fn open(disk: &Fake) -> Result<Opened<'_>, Error<Failed>> {
    let mut payloads = Vec::new();
    let log = block_on(Log::open(disk, |payload| {
        if !payload.is_empty() {
            payloads.push(payload.to_vec());
        }
        true
    }))?;
    Ok((log, payloads))
}

fn filled(disk: &Fake, payloads: &[&[u8]]) {
    let (mut log, _) = open(disk).unwrap();
    block_on(log.begin(|| None)).unwrap();
    for payload in payloads {
        block_on(log.append(payload)).unwrap();
    }
}

#[test]
fn payloads_are_there_again_in_their_order() {
    let disk = Fake::new(40);
    assert_eq!(contents(&disk), Ok(vec![]));
    let long = [7; 3000];
    filled(&disk, &[b"one", b"two"]);
    filled(&disk, &[&long, b"four"]);
    let expected: [&[u8]; 4] = [b"one", b"two", &long, b"four"];
    assert_eq!(contents(&disk).unwrap(), expected);
}

#[test]
fn a_full_half_takes_no_more_and_the_other_all_that_matters() {
    let disk = Fake::new(40);
    let (mut log, _) = open(&disk).unwrap();
    block_on(log.begin(|| None)).unwrap();
    let payload = [1; 1000];
    while log.has_room(payload.len()) {
        block_on(log.append(&payload)).unwrap();
    }
    assert_eq!(block_on(log.append(&payload)), Err(Error::Full));
    let mut pieces = [b"all".to_vec(), b"that".to_vec()].into_iter();
    block_on(log.rewrite(|| pieces.next())).unwrap();
    block_on(log.append(b"more")).unwrap();
    let expected: [&[u8]; 3] = [b"all", b"that", b"more"];
    assert_eq!(contents(&disk).unwrap(), expected);
}

#[test]
fn what_does_not_check_ends_it_or_is_said_to_be_damaged() {
    let disk = Fake::new(40);
    filled(&disk, &[b"one", b"two", b"three"]);
    // The label, the life, and one record are before it.
    disk.damage(3, 25);
    assert_eq!(contents(&disk).unwrap(), [b"one"]);
    // A copy of everything was durable before it was labelled.
    let (mut log, _) = open(&disk).unwrap();
    let mut pieces = [b"all".to_vec(), b"that".to_vec()].into_iter();
    block_on(log.rewrite(|| pieces.next())).unwrap();
    disk.damage(22, 25);
    assert_eq!(contents(&disk), Err(Error::Damaged(22)));
}

#[test]
fn what_is_not_a_log_is_left_alone() {
    let disk = Fake::new(40);
    disk.damage(0, 300);
    assert_eq!(contents(&disk), Err(Error::NotOurs));
}

#[test]
fn what_is_not_understood_is_damage() {
    let disk = Fake::new(40);
    filled(&disk, &[b"one"]);
    let log = block_on(Log::open(&disk, |payload| payload.is_empty()));
    assert_eq!(log.err(), Some(Error::Damaged(2)));
}

/// A record that was written but not durable, behind one that was lost, is not there when the place before it is filled again, with the same.
#[test]
fn what_was_lost_stays_lost() {
    let disk = Fake::new(40);
    filled(&disk, &[]);
    {
        let (mut log, _) = open(&disk).unwrap();
        block_on(log.begin(|| None)).unwrap();
        let (at, number) = (log.end, log.next);
        let (end, next) = block_on(log.put(0, at, number, b"one")).unwrap();
        block_on(log.put(0, end, next, b"two")).unwrap();
    }
    // The second is on the disk, the first is not.
    let mut sectors = [0, 1].into_iter();
    disk.lose_power(|_| sectors.next().unwrap());
    assert_eq!(contents(&disk).unwrap(), [[0; 0]; 0]);
    filled(&disk, &[]);
    assert_eq!(contents(&disk).unwrap(), [[0; 0]; 0]);
    filled(&disk, &[b"one"]);
    assert_eq!(contents(&disk).unwrap(), [b"one"]);
    filled(&disk, &[b"one"]);
    assert_eq!(contents(&disk).unwrap(), [b"one", b"one"]);
}
