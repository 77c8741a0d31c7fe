//! Changes of the map, and how they are written down. Pure.

use alloc::vec;
use alloc::vec::Vec;

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A key has a value.
    Set(Vec<u8>, Vec<u8>),
    /// Keys have none.
    Delete(Vec<Vec<u8>>),
}

/// What a written change begins with.
const SET: u8 = 1;
const DELETE: u8 = 2;

impl Change {
    /// Bytes that it takes when it is written down.
    pub fn cost(&self) -> usize {
        match self {
            Change::Set(key, value) => cost(key, value),
            Change::Delete(keys) => keys.iter().map(|key| 1 + 4 + key.len()).sum(),
        }
    }

    /// Appends it to what is written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Change::Set(key, value) => encode_set(key, value, out),
            Change::Delete(keys) => {
                for key in keys {
                    out.push(DELETE);
                    bytes(key, out);
                }
            }
        }
    }
}

/// Appends a [`Change::Set`].
pub fn encode_set(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(SET);
    bytes(key, out);
    bytes(value, out);
}

/// Bytes that a [`Change::Set`] takes.
pub fn cost(key: &[u8], value: &[u8]) -> usize {
    1 + 4 + key.len() + 4 + value.len()
}

/// A length, and so many bytes.
fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // No request is longer than its limit.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The changes that were written; `None` where something else was.
pub fn decode(mut input: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while let Some((kind, rest)) = input.split_first() {
        let (key, rest) = take(rest)?;
        input = rest;
        match *kind {
            SET => {
                let (value, rest) = take(rest)?;
                input = rest;
                changes.push(Change::Set(key, value));
            }
            DELETE => changes.push(Change::Delete(vec![key])),
            _ => return None,
        }
    }
    Some(changes)
}

fn take(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (len, rest) = input.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((bytes.to_vec(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let (a, b) = (b"a".to_vec(), vec![0; 1000]);
        let set = Change::Set(a.clone(), b.clone());
        let mut out = Vec::new();
        set.encode(&mut out);
        assert_eq!(out.len(), cost(&a, &b));
        let delete = Change::Delete(vec![a.clone(), b.clone()]);
        delete.encode(&mut out);
        assert_eq!(out.len(), set.cost() + delete.cost());
        let apart = [a, b].map(|key| Change::Delete(vec![key]));
        let changes: Vec<Change> = [set].into_iter().chain(apart).collect();
        assert_eq!(decode(&out), Some(changes));
        for len in 1..1000 {
            assert_eq!(decode(&out[..len]), None, "{len}");
        }
        assert_eq!(decode(&[3, 0, 0, 0, 0]), None);
        assert_eq!(decode(&[]), Some(vec![]));
    }
}
