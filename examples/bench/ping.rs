//! A ping (RFC 792) to the gateway of a user-mode network, as its default addresses have it.

use alloc::vec::Vec;

const GUEST: [u8; 4] = [10, 0, 2, 15];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];
/// Its Ethernet address is made of the other one.
const GATEWAY_MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];
const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// What begins an IPv4 packet, and of which kind it is.
const ETHERTYPE: [u8; 2] = [0x08, 0x00];
const ICMP: u8 = 1;
const REQUEST: u8 = 8;
const ANSWER: u8 = 0;
/// Bytes of the data that come back.
const DATA: usize = 36;
/// Where the message begins in a frame, behind the headers of Ethernet and IPv4.
const MESSAGE: usize = 14 + 20;
/// Bytes of the message.
const LENGTH: usize = 8 + DATA;

/// The frame that asks.
pub fn frame() -> Vec<u8> {
    let mut packet = [
        &[0x45, 0, 0, (20 + LENGTH) as u8, 0, 0, 0, 0, 64, ICMP, 0, 0][..],
        &GUEST,
        &GATEWAY,
    ]
    .concat();
    sum(&mut packet, 10);
    let mut message = [REQUEST; LENGTH];
    message[1..4].fill(0);
    sum(&mut message, 2);
    [&GATEWAY_MAC, &GUEST_MAC, &ETHERTYPE[..], &packet, &message].concat()
}

/// Whether a frame answers that one.
pub fn is_answer(frame: &[u8]) -> bool {
    frame.len() == MESSAGE + LENGTH
        && frame[12..14] == ETHERTYPE
        && frame[MESSAGE] == ANSWER
        && frame[MESSAGE + 4..] == [REQUEST; LENGTH - 4]
}

/// Writes the Internet checksum (RFC 1071) of an even number of bytes to where its zeros are.
fn sum(bytes: &mut [u8], at: usize) {
    let words = bytes
        .chunks_exact(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}
