//! Requests as a driver lays them out: mostly right, divided in any way, and now and then with a fault.

use super::SECTORS;
use crate::fuzz::Source;
use crate::virtio::block::request::{HEADER, SECTOR, SEGMENT, SERIAL};
use crate::virtio::peer::{Descriptor, SIZE, WRITE};
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
    VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES,
};

/// The most sectors of data.
const MOST: u64 = 3;
/// Where the parts of a request are in its 4 KiB: what the device reads, a table of descriptors, and what it writes.
pub(super) const TABLE: u64 = 0x640;
const ANSWER: u64 = 0x800;

/// What is wrong with a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// Its end leads to its beginning.
    Loop,
    /// Its end leads to a descriptor that is not there.
    Nowhere,
    /// Longer than its queue.
    Long,
    /// Something to read comes after what is to be written.
    Order,
    /// There is no byte for the status.
    NoStatus,
    /// Its table ends in the middle of a descriptor.
    Part,
    /// Its head is not in the table.
    Head,
    /// The driver says that there is more than the ring holds.
    Index,
    /// A buffer lies where none can be, or is 4 GiB long. Not all of it may be looked at.
    Place,
}

impl Fault {
    pub fn any(source: &mut Source) -> Option<Fault> {
        use Fault::{Head, Index, Long, Loop, NoStatus, Nowhere, Order, Part, Place};
        const ALL: [Fault; 9] = [
            Loop, Nowhere, Long, Order, NoStatus, Part, Head, Index, Place,
        ];
        source.once_in(12).then(|| source.pick(&ALL))
    }

    /// Whether it can be only in a table of the chain's own.
    pub fn is_indirect(self) -> bool {
        matches!(self, Fault::Long | Fault::Part)
    }
}

/// A request: the bytes that the device reads, and its buffers in order, not linked yet.
pub(super) struct Draft {
    pub bytes: Vec<u8>,
    pub buffers: Vec<Descriptor>,
}

/// A request whose parts are in the 4 KiB at `area`.
pub(super) fn draft(source: &mut Source, area: u64, fault: Option<Fault>) -> Draft {
    let kind = match source.once_in(30) {
        true => source.odd() as u32,
        false => source.pick(&[
            VIRTIO_BLK_T_IN,
            VIRTIO_BLK_T_IN,
            VIRTIO_BLK_T_OUT,
            VIRTIO_BLK_T_OUT,
            VIRTIO_BLK_T_OUT,
            VIRTIO_BLK_T_FLUSH,
            VIRTIO_BLK_T_GET_ID,
            VIRTIO_BLK_T_DISCARD,
            VIRTIO_BLK_T_WRITE_ZEROES,
        ]),
    };
    let data = source.below(MOST + 1) * SECTOR;
    let (mut out, mut room) = match kind {
        VIRTIO_BLK_T_IN => (0, data),
        VIRTIO_BLK_T_OUT => (data, 0),
        VIRTIO_BLK_T_GET_ID => (0, SERIAL as u64),
        VIRTIO_BLK_T_DISCARD | VIRTIO_BLK_T_WRITE_ZEROES => (SEGMENT as u64, 0),
        _ => (0, 0),
    };
    match source.below(30) {
        0 => (out, room) = (room, out),
        1 => out = source.below(MOST * SECTOR),
        2 => room = source.below(MOST * SECTOR),
        _ => {}
    }
    let mut bytes = header(source, kind);
    match kind {
        VIRTIO_BLK_T_DISCARD | VIRTIO_BLK_T_WRITE_ZEROES => {
            bytes.extend(sector(source).to_le_bytes());
            let count = match source.once_in(20) {
                true => source.odd() as u32,
                false => source.below(8) as u32,
            };
            bytes.extend(count.to_le_bytes());
            bytes.extend(source.pick(&[0_u32, 0, 0, 1, 1, 2, u32::MAX]).to_le_bytes());
        }
        _ => {
            for _ in 0..MOST {
                let byte = source.any() as u8;
                bytes.extend([byte; SECTOR as usize]);
            }
        }
    }
    bytes.resize(HEADER + out as usize, 0);
    if source.once_in(40) {
        bytes.truncate(source.below(HEADER as u64) as usize);
    }
    let mut buffers = divided(source, area, bytes.len() as u64, HEADER as u64, 0);
    let answer = divided(source, area + ANSWER, room + 1, room, WRITE);
    match fault {
        Some(Fault::NoStatus) => {}
        Some(Fault::Order) => {
            buffers.splice(0..0, answer);
        }
        _ => buffers.extend(answer),
    }
    match fault {
        Some(Fault::Place) => {
            let index = source.below(buffers.len() as u64) as usize;
            let buffer = &mut buffers[index];
            match source.once_in(4) {
                true => buffer.len = u32::MAX,
                false => buffer.address = place(source, buffer.len),
            }
        }
        Some(Fault::Long) => {
            let nothing = Descriptor {
                address: area,
                ..Descriptor::default()
            };
            while buffers.len() <= usize::from(SIZE) {
                buffers.insert(0, nothing);
            }
        }
        _ => {}
    }
    Draft { bytes, buffers }
}

fn sector(source: &mut Source) -> u64 {
    match source.once_in(20) {
        true => source.odd(),
        false => source.below(SECTORS + 1),
    }
}

fn header(source: &mut Source, kind: u32) -> Vec<u8> {
    let mut header = kind.to_le_bytes().to_vec();
    header.extend((source.any() as u32).to_le_bytes());
    header.extend(sector(source).to_le_bytes());
    header
}

/// Somewhere no buffer of this length can be: before memory, across its end, or where there is none.
fn place(source: &mut Source, len: u32) -> u64 {
    let len = u64::from(len);
    let end = match source.below(5) {
        0 => return MIN_MEMORY - len / 2,
        // Not across the beginning: of such a buffer the last byte is a place for a status.
        1 => RAM_BASE - len,
        2 => 0,
        3 => 1 << 32,
        _ => 1 << 62,
    };
    end.wrapping_sub(1 + source.below(40))
}

/// Bytes as buffers: cut once, or in up to three places, and perhaps with an empty buffer among them.
fn divided(source: &mut Source, at: u64, len: u64, cut: u64, flags: u16) -> Vec<Descriptor> {
    let mut cuts = vec![0, len];
    match source.once_in(3) {
        true => cuts.extend((0..source.below(4)).map(|_| source.below(len + 1))),
        false => cuts.push(cut.min(len)),
    }
    cuts.sort_unstable();
    let keep_empty = source.once_in(6);
    let mut buffers: Vec<Descriptor> = cuts
        .windows(2)
        .map(|cut| Descriptor {
            address: at + cut[0],
            len: (cut[1] - cut[0]) as u32,
            flags,
            next: 0,
        })
        .collect();
    if !keep_empty && len != 0 {
        buffers.retain(|buffer| buffer.len != 0);
    }
    buffers
}
