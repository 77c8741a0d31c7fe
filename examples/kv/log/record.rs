//! What a sector of the log begins with: a record's head, or the label of a half. Pure.
//!
//! Numbers are little-endian, and a CRC-32C comes first, of everything behind it. A record:
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | CRC of the rest, up to the payload's end |
//! | 4..8 | bytes of the payload |
//! | 8..16 | the life that wrote it |
//! | 16..24 | its sequence number |
//! | 24.. | the payload, and zeros up to the end of its last sector |
//!
//! A label has [`MAGIC`] in bytes 4 to 8, the same two numbers, of the half's first record, and in bytes 24 to 32 how many sectors of the half were durable
//! when it was written.

use alloc::vec::Vec;
use crc::{CRC_32_ISCSI, Crc, Digest, Table};

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// Bytes before a record's payload.
pub const HEAD: usize = 24;

/// What a label has where a record has its payload's length, which is never so great.
const MAGIC: [u8; 4] = *b"kv\x01\xff";

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Which record one is. Of two in the same place the older one is less in both, and in one of them at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number {
    /// How often the log has been opened, up to when it was written.
    pub life: u64,
    /// How many came before it.
    pub sequence: u64,
}

impl Number {
    /// The first one's.
    pub const FIRST: Number = Number {
        life: 1,
        sequence: 1,
    };

    /// The one behind it, in the same life.
    pub fn next(self) -> Number {
        Number {
            sequence: self.sequence + 1,
            ..self
        }
    }

    /// Whether this can be the number of the record in a place where `self` is the least that belongs there. One of an earlier life was written there by a
    /// life that did not get as far with what comes before, and one with another sequence number by the half's earlier use.
    fn allows(self, found: Number) -> bool {
        found.sequence == self.sequence && found.life >= self.life
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.life.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Number> {
        Some(Number {
            life: u64_at(bytes, 8)?,
            sequence: u64_at(bytes, 16)?,
        })
    }
}

/// Sectors of a record with a payload of so many bytes.
pub fn sectors(payload: usize) -> u64 {
    (HEAD + payload).div_ceil(SECTOR) as u64
}

/// A record, in whole sectors.
pub fn encode(number: Number, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sectors(payload.len()) as usize * SECTOR);
    out.extend_from_slice(&[0; 4]);
    // No group of changes is longer than a few requests.
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    number.write(&mut out);
    out.extend_from_slice(payload);
    seal(out)
}

/// How many sectors the record has that begins here, if one does that can be in the place of `least`; its CRC is not looked at.
pub fn measure(first: &[u8], least: Number) -> Option<u64> {
    let number = Number::read(first)?;
    least.allows(number).then_some(())?;
    Some(sectors(u32_at(first, 4)? as usize))
}

/// The record that these sectors are, if its CRC says so.
pub fn decode(bytes: &[u8]) -> Option<(Number, &[u8])> {
    let len = u32_at(bytes, 4)? as usize;
    let payload = bytes.get(HEAD..)?.get(..len)?;
    (checksum(&bytes[4..HEAD + len]) == u32_at(bytes, 0)?).then_some(())?;
    Some((Number::read(bytes)?, payload))
}

/// What is said of a half of the disk in its first sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// Its first record's.
    pub first: Number,
    /// How many of its sectors were durable when this was written, itself among them.
    pub durable: u64,
}

impl Label {
    /// The sector.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SECTOR);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&MAGIC);
        self.first.write(&mut out);
        out.extend_from_slice(&self.durable.to_le_bytes());
        seal(out)
    }

    /// The label that a sector is, if it is one.
    pub fn decode(sector: &[u8]) -> Option<Label> {
        let is_one =
            sector.get(4..8)? == MAGIC && checksum(sector.get(4..32)?) == u32_at(sector, 0)?;
        is_one.then_some(Label {
            first: Number::read(sector)?,
            durable: u64_at(sector, 24)?,
        })
    }
}

/// Puts the CRC of what is behind it in its place, and zeros behind all of it.
fn seal(mut out: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out.resize(out.len().next_multiple_of(SECTOR), 0);
    out
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut digest: Digest<'_, u32, Table<16>> = CRC.digest();
    digest.update(bytes);
    digest.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_or_not_at_all() {
        for len in [0, 1, SECTOR - HEAD, SECTOR - HEAD + 1, 5000] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let number = Number {
                life: 3,
                sequence: 9,
            };
            let mut record = encode(number, &payload);
            assert_eq!(record.len() as u64, sectors(len) * SECTOR as u64);
            assert_eq!(measure(&record, number), Some(sectors(len)));
            assert_eq!(decode(&record), Some((number, payload.as_slice())));
            for at in 0..HEAD + len {
                record[at] ^= 1 << (at % 8);
                assert_eq!(decode(&record), None, "byte {at} of {len}");
                record[at] ^= 1 << (at % 8);
            }
        }
    }

    #[test]
    fn only_what_follows_is_in_its_place() {
        let number = |life, sequence| Number { life, sequence };
        let record = encode(number(3, 9), b"");
        for (least, is_in_place) in [
            (number(3, 9), true),
            (number(2, 9), true),
            (number(4, 9), false),
            (number(3, 8), false),
            (number(3, 10), false),
        ] {
            assert_eq!(measure(&record, least).is_some(), is_in_place, "{least:?}");
        }
    }

    #[test]
    fn labels_are_no_records_and_records_no_labels() {
        let label = Label {
            first: Number::FIRST,
            durable: 7,
        };
        let mut sector = label.encode();
        assert_eq!(sector.len(), SECTOR);
        assert_eq!(Label::decode(&sector), Some(label));
        assert_eq!(decode(&sector), None);
        assert_eq!(Label::decode(&encode(Number::FIRST, b"seven")), None);
        assert_eq!(Label::decode(&[0; SECTOR]), None);
        sector[30] ^= 1;
        assert_eq!(Label::decode(&sector), None);
    }
}
