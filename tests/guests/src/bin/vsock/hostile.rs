//! The device driven by hand, badly.

use crate::packets::{
    DUMB, HEADER, IN, NOBODY, OUT, ROOM, RX, TX, connect, expect, has_next, header, next, send,
    send_raw, start, wait,
};
use core::sync::atomic::Ordering;
use hypercall_abi::map;
use hypercall_abi::vsock::{Header, MAX_PAYLOAD, SEND, op, shutdown};
use test_guests::ring::{self, Descriptor, NEXT, WRITE};
use test_guests::{boot, check};

/// Packets that are wrong, each answered as it must be.
pub fn packets() {
    start();
    // What belongs to no connection is reset, but for resets.
    for op in [
        op::RESPONSE,
        op::SHUTDOWN,
        op::RW,
        op::CREDIT_UPDATE,
        op::CREDIT_REQUEST,
        0,
        8,
        u16::MAX,
    ] {
        send(&header(op), 0);
        expect(op::RST, DUMB);
    }
    send(&header(op::RST), 0);
    send(
        &Header {
            dst_port: NOBODY,
            ..header(op::REQUEST)
        },
        0,
    );
    expect(op::RST, NOBODY);
    // From somebody else: nothing. To somebody else, or of another kind: a reset.
    for src_cid in [0, 1, 2, 4, u64::MAX] {
        send(
            &Header {
                src_cid,
                ..header(op::REQUEST)
            },
            0,
        );
    }
    for dst_cid in [0, 1, 3, u64::MAX] {
        send(
            &Header {
                dst_cid,
                ..header(op::REQUEST)
            },
            0,
        );
        let answer = expect(op::RST, DUMB);
        check!({ answer.src_cid } == dst_cid, "{answer:?}");
    }
    send(
        &Header {
            kind: 2,
            ..header(op::REQUEST)
        },
        0,
    );
    expect(op::RST, DUMB);
    // On a connection: each ends it, and it can be made again.
    let ends: [(Header, u32); 7] = [
        (header(op::REQUEST), 0),
        (header(op::RESPONSE), 0),
        (header(9), 0),
        (
            Header {
                len: 1,
                ..header(op::RW)
            },
            0,
        ),
        (
            Header {
                len: u32::MAX,
                ..header(op::RW)
            },
            4,
        ),
        (
            Header {
                len: MAX_PAYLOAD + 1,
                ..header(op::RW)
            },
            MAX_PAYLOAD + 1,
        ),
        (
            Header {
                kind: 0,
                ..header(op::RW)
            },
            0,
        ),
    ];
    for (bad, data) in ends {
        connect();
        send(&bad, data);
        expect(op::RST, DUMB);
        // It is gone.
        send(&header(op::RW), 0);
        expect(op::RST, DUMB);
    }
    // No more data after the guest said so.
    connect();
    send(
        &Header {
            flags: shutdown::SEND,
            ..header(op::SHUTDOWN)
        },
        0,
    );
    send(
        &Header {
            len: 1,
            ..header(op::RW)
        },
        1,
    );
    expect(op::RST, DUMB);
    // Both halves end: the host agrees.
    connect();
    send(
        &Header {
            flags: u32::MAX,
            ..header(op::SHUTDOWN)
        },
        0,
    );
    expect(op::RST, DUMB);
    // A question is answered.
    connect();
    send(&header(op::CREDIT_REQUEST), 0);
    expect(op::CREDIT_UPDATE, DUMB);
    check!(ring::device(0).broken == 0, "nothing is broken");
}

/// More than there is credit for, to a program that does not read.
pub fn credit() {
    start();
    connect();
    let data = Header {
        len: MAX_PAYLOAD,
        ..header(op::RW)
    };
    let mut sent = 0;
    loop {
        send(&data, MAX_PAYLOAD);
        sent += 1;
        check!(sent < 1000, "no bound");
        if !has_next() {
            continue;
        }
        let (answer, _) = next();
        match answer.op {
            op::RST => break,
            op::CREDIT_UPDATE => {}
            _ => check!(false, "{answer:?}"),
        }
    }
    check!(ring::device(0).broken == 0, "nothing is broken");
}

/// Asks for more connections than there can be, and takes no packet before they are all asked for.
pub fn flood() {
    start();
    let mut refused = 0;
    for port in 0..2000 {
        send(
            &Header {
                src_port: port,
                ..header(op::REQUEST)
            },
            0,
        );
        let (answer, _) = next();
        match answer.op {
            op::RESPONSE => {}
            op::RST => refused += 1,
            _ => check!(false, "{answer:?}"),
        }
    }
    check!((1..2000).contains(&refused), "{refused} of 2000 refused");
    // Those that were made can be ended, and others made then.
    for port in 0..2000 {
        send(
            &Header {
                src_port: port,
                ..header(op::RST)
            },
            0,
        );
    }
    send(
        &Header {
            src_port: 5000,
            ..header(op::REQUEST)
        },
        0,
    );
    expect(op::RESPONSE, DUMB);
    check!(ring::device(0).broken == 0, "nothing is broken");
}

/// Packets shorter than a header say nothing; several buffers are one packet.
pub fn short() {
    start();
    for len in [0, 1, 8, HEADER as u32 - 1] {
        send_raw(OUT.0.get() as u64, len);
    }
    let at = OUT.0.get() as u64;
    // SAFETY: as in `send`.
    unsafe {
        OUT.0
            .get()
            .cast::<Header>()
            .write_unaligned(header(op::REQUEST))
    };
    for (place, (from, len, flags)) in [(0, 5, NEXT), (5, 20, NEXT), (25, 19, 0)]
        .into_iter()
        .enumerate()
    {
        let next = place as u16 + 1;
        TX.describe(
            place,
            Descriptor {
                address: at + from,
                len,
                flags,
                next,
            },
        );
    }
    let before = TX.used.load(Ordering::Acquire);
    TX.offer(0);
    ring::ring(ring::device(0).doorbell + u32::from(SEND));
    expect(op::RESPONSE, DUMB);
    check!(
        TX.used.load(Ordering::Acquire) == before.wrapping_add(1),
        "one packet"
    );
    check!(ring::device(0).broken == 0, "nothing is broken");
}

/// Rings and buffers that no device can use: it stops, says so, and is as new after a reset.
pub fn outside() {
    let end = boot().memory_bytes;
    for (address, len) in [
        (map::BOOT_PAGE, 64),
        (end - 8, 64),
        (end, 44),
        (u64::MAX - 7, 44),
        (1 << 60, u32::MAX),
    ] {
        start();
        send_raw(address, len);
        check!(ring::device(0).broken != 0, "{address:#x} is no buffer");
    }
    // A buffer that is too short for a packet.
    start();
    RX.describe(
        0,
        Descriptor {
            address: IN[0].0.get() as u64,
            len: HEADER as u32,
            flags: WRITE,
            next: 0,
        },
    );
    send(&header(op::RW), 0);
    wait(|| ring::device(0).broken != 0);
    // One that the device may not write.
    start();
    RX.describe(
        0,
        Descriptor {
            address: IN[0].0.get() as u64,
            len: ROOM as u32,
            flags: 0,
            next: 0,
        },
    );
    send(&header(op::RW), 0);
    wait(|| ring::device(0).broken != 0);
    // A loop.
    start();
    TX.describe(
        0,
        Descriptor {
            address: OUT.0.get() as u64,
            len: 8,
            flags: NEXT,
            next: 0,
        },
    );
    TX.offer(0);
    ring::ring(ring::device(0).doorbell + u32::from(SEND));
    wait(|| ring::device(0).broken != 0);
    start();
    connect();
}
