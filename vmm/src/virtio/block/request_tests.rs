//! Requests, right and wrong, and their answers.

use super::*;
use proptest::prelude::*;

const SECTORS: u64 = 1000;

fn header(kind: u32, sector: u64) -> [u8; HEADER] {
    let mut header = [0xee; HEADER];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&sector.to_le_bytes());
    header
}

fn segment(sector: u64, count: u32, flags: u32) -> [u8; SEGMENT] {
    let mut segment = [0; SEGMENT];
    segment[..8].copy_from_slice(&sector.to_le_bytes());
    segment[8..12].copy_from_slice(&count.to_le_bytes());
    segment[12..].copy_from_slice(&flags.to_le_bytes());
    segment
}

fn bounds(read_only: bool) -> Bounds {
    Bounds {
        capacity: SECTORS * SECTOR,
        read_only,
    }
}

/// A request of a header and so many bytes to read and to write, beside the status.
fn ask(kind: u32, sector: u64, out: u64, room: u64) -> Result<Request, Status> {
    let copied = Copied {
        header: header(kind, sector),
        segment: [0; SEGMENT],
        readable: HEADER as u64 + out,
        writable: room + 1,
    };
    parse(&copied, &bounds(false))
}

fn ask_segment(kind: u32, segment: [u8; SEGMENT], read_only: bool) -> Result<Request, Status> {
    let copied = Copied {
        header: header(kind, 77),
        segment,
        readable: (HEADER + SEGMENT) as u64,
        writable: 1,
    };
    parse(&copied, &bounds(read_only))
}

#[test]
fn what_is_right_is_understood() {
    for (kind, sector, out, room, request) in [
        (
            VIRTIO_BLK_T_IN,
            0,
            0,
            512,
            Request::Read { at: 0, len: 512 },
        ),
        (
            VIRTIO_BLK_T_IN,
            999,
            0,
            512,
            Request::Read {
                at: 999 * 512,
                len: 512,
            },
        ),
        (
            VIRTIO_BLK_T_IN,
            0,
            0,
            512_000,
            Request::Read {
                at: 0,
                len: 512_000,
            },
        ),
        (
            VIRTIO_BLK_T_IN,
            1000,
            0,
            0,
            Request::Read {
                at: 512_000,
                len: 0,
            },
        ),
        (
            VIRTIO_BLK_T_OUT,
            7,
            1024,
            0,
            Request::Write {
                at: 3584,
                len: 1024,
            },
        ),
        (VIRTIO_BLK_T_FLUSH, 0, 0, 0, Request::Flush),
        (VIRTIO_BLK_T_FLUSH, u64::MAX, 0, 0, Request::Flush),
        (VIRTIO_BLK_T_GET_ID, 0, 0, 20, Request::Serial),
        (VIRTIO_BLK_T_GET_ID, 0, 0, 512, Request::Serial),
    ] {
        assert_eq!(ask(kind, sector, out, room), Ok(request));
    }
    let at = 8 * 512;
    for (kind, flags, request) in [
        (VIRTIO_BLK_T_DISCARD, 0, Request::Discard { at, len: 1024 }),
        (
            VIRTIO_BLK_T_WRITE_ZEROES,
            0,
            Request::Zero {
                at,
                len: 1024,
                unmap: false,
            },
        ),
        (
            VIRTIO_BLK_T_WRITE_ZEROES,
            1,
            Request::Zero {
                at,
                len: 1024,
                unmap: true,
            },
        ),
    ] {
        assert_eq!(ask_segment(kind, segment(8, 2, flags), false), Ok(request));
    }
}

#[test]
fn what_is_beyond_the_end_fails() {
    for (sector, len) in [
        (1000, 512),
        (999, 1024),
        (0, 512_512),
        (1 << 55, 512),
        (u64::MAX / 512, 512),
        (u64::MAX, 512),
        (u64::MAX, 0),
        (1001, 0),
    ] {
        assert_eq!(
            ask(VIRTIO_BLK_T_IN, sector, 0, len),
            Err(Status::Failed),
            "{sector} {len}"
        );
        assert_eq!(
            ask(VIRTIO_BLK_T_OUT, sector, len, 0),
            Err(Status::Failed),
            "{sector} {len}"
        );
    }
    for (sector, count) in [
        (1000, 1),
        (999, 2),
        (u64::MAX, 1),
        (0, MOST_ZEROED + 1),
        (0, u32::MAX),
    ] {
        for kind in [VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES] {
            assert_eq!(
                ask_segment(kind, segment(sector, count, 0), false),
                Err(Status::Failed)
            );
        }
    }
}

#[test]
fn what_is_no_whole_sector_or_too_much_fails() {
    for len in [1, 511, 513, u64::MAX - 512] {
        assert_eq!(ask(VIRTIO_BLK_T_IN, 0, 0, len), Err(Status::Failed));
    }
    let copied = Copied {
        header: header(VIRTIO_BLK_T_IN, 0),
        segment: [0; SEGMENT],
        readable: HEADER as u64,
        writable: MOST_DATA + SECTOR + 1,
    };
    let vast = Bounds {
        capacity: 1 << 50,
        read_only: false,
    };
    assert_eq!(parse(&copied, &vast), Err(Status::Failed));
}

#[test]
fn what_goes_the_wrong_way_fails() {
    for (kind, out, room) in [
        (VIRTIO_BLK_T_IN, 512, 0),
        (VIRTIO_BLK_T_IN, 512, 512),
        (VIRTIO_BLK_T_OUT, 0, 512),
        (VIRTIO_BLK_T_OUT, 512, 512),
        (VIRTIO_BLK_T_FLUSH, 1, 0),
        (VIRTIO_BLK_T_FLUSH, 0, 1),
        (VIRTIO_BLK_T_GET_ID, 20, 0),
        (VIRTIO_BLK_T_GET_ID, 0, 19),
        (VIRTIO_BLK_T_DISCARD, 0, 16),
        (VIRTIO_BLK_T_DISCARD, 15, 0),
        (VIRTIO_BLK_T_DISCARD, 32, 0),
        (VIRTIO_BLK_T_WRITE_ZEROES, 16, 16),
    ] {
        assert_eq!(
            ask(kind, 0, out, room),
            Err(Status::Failed),
            "{kind} {out} {room}"
        );
    }
    for readable in 0..HEADER as u64 {
        let copied = Copied {
            header: header(VIRTIO_BLK_T_FLUSH, 0),
            segment: [0; SEGMENT],
            readable,
            writable: 1,
        };
        assert_eq!(parse(&copied, &bounds(false)), Err(Status::Failed));
    }
}

#[test]
fn what_is_unknown_is_unsupported() {
    // 2, 3 and 7 were commands once; 10, 14 and 15 belong to features that are not offered.
    for kind in [2, 3, 7, 10, 12, 14, 15, 0x100, 0x8000_0000, u32::MAX] {
        assert_eq!(ask(kind, 0, 0, 512), Err(Status::Unsupported), "{kind}");
    }
    for (kind, flags) in [
        (VIRTIO_BLK_T_DISCARD, 1),
        (VIRTIO_BLK_T_DISCARD, 2),
        (VIRTIO_BLK_T_WRITE_ZEROES, 2),
        (VIRTIO_BLK_T_WRITE_ZEROES, u32::MAX),
    ] {
        assert_eq!(
            ask_segment(kind, segment(0, 1, flags), false),
            Err(Status::Unsupported)
        );
    }
}

#[test]
fn a_disk_that_is_read_only_is_not_written() {
    let bounds = bounds(true);
    let copied = |kind, readable, writable| Copied {
        header: header(kind, 0),
        segment: [0; SEGMENT],
        readable,
        writable,
    };
    assert_eq!(
        parse(&copied(VIRTIO_BLK_T_OUT, 528, 1), &bounds),
        Err(Status::Failed)
    );
    assert!(parse(&copied(VIRTIO_BLK_T_IN, 16, 513), &bounds).is_ok());
    assert!(parse(&copied(VIRTIO_BLK_T_FLUSH, 16, 1), &bounds).is_ok());
    for kind in [VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES] {
        assert_eq!(
            ask_segment(kind, segment(0, 1, 0), true),
            Err(Status::Failed)
        );
    }
}

proptest! {
    #[test]
    fn nothing_gets_past_the_end(
        kind in prop_oneof![0_u32..16, any::<u32>()],
        sector in prop_oneof![0..2 * SECTORS, any::<u64>()],
        segment in any::<[u8; SEGMENT]>(),
        readable in prop_oneof![0_u64..2048, any::<u64>()],
        writable in prop_oneof![0_u64..2048, any::<u64>()],
        read_only in any::<bool>(),
    ) {
        let bounds = bounds(read_only);
        let copied = Copied { header: header(kind, sector), segment, readable, writable };
        match parse(&copied, &bounds) {
            Ok(Request::Read { at, len }) => {
                prop_assert!(at + len <= bounds.capacity && len < writable);
            }
            Ok(Request::Write { at, len }) => {
                prop_assert!(at + len <= bounds.capacity && len <= readable && !read_only);
            }
            Ok(Request::Discard { at, len } | Request::Zero { at, len, .. }) => {
                prop_assert!(at + len <= bounds.capacity && !read_only);
            }
            Ok(Request::Flush | Request::Serial) => {}
            Err(status) => prop_assert_ne!(status, Status::Ok),
        }
    }
}
