//! Checksums of TCP and UDP, where the card's other end does the work: asking for one, and making up for those it did not check.
//!
//! Those of IPv4 headers and of ICMP stay the network stack's.

use hypercall_abi::net::{Header, flags};

const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A TCP segment or UDP datagram in a frame.
struct Segment {
    /// Where it begins, and where it ends.
    start: usize,
    end: usize,
    /// Where its checksum is, from its beginning.
    offset: u16,
    is_udp: bool,
    /// The sum over what of the IP header is counted in.
    pseudo: u32,
}

/// The segment that a frame carries whole, with a checksum in it.
fn segment(frame: &[u8]) -> Option<Segment> {
    let ip = frame.get(ETHERNET..)?;
    let (header, len, protocol, addresses) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let header = usize::from(ip.first()? & 15) * 4;
            let [fragment, more] = *ip.get(6..8)?.first_chunk()?;
            if header < 20 || (fragment & 0x3f, more) != (0, 0) {
                return None;
            }
            let total = usize::from(number(ip, 2)?);
            (
                header,
                total.checked_sub(header)?,
                *ip.get(9)?,
                ip.get(12..20)?,
            )
        }
        [0x86, 0xdd] => (40, number(ip, 4)?.into(), *ip.get(6)?, ip.get(8..40)?),
        _ => return None,
    };
    let (offset, least) = match protocol {
        TCP => (16, 20),
        UDP => (6, 8),
        _ => return None,
    };
    let start = ETHERNET + header;
    let end = start + len;
    (len >= least && end <= frame.len()).then(|| Segment {
        start,
        end,
        offset,
        is_udp: protocol == UDP,
        pseudo: sum(addresses) + u32::from(protocol) + len as u32,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The sum of 16-bit words, of at most 64 KiB; an odd byte counts as the first of a word.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    let odd = words
        .remainder()
        .first()
        .map_or(0, |&byte| u32::from(byte) << 8);
    words.fold(odd, |sum, word| {
        sum + u32::from(u16::from_be_bytes([word[0], word[1]]))
    })
}

/// Carries added until 16 bits are left.
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

/// Prepares a frame whose segment has no checksum yet, and asks for one.
pub(super) fn ask(frame: &mut [u8]) -> Header {
    let Some(segment) = segment(frame) else {
        return Header::default();
    };
    let at = segment.start + usize::from(segment.offset);
    // What the device adds the rest to.
    frame[at..at + 2].copy_from_slice(&folded(segment.pseudo).to_be_bytes());
    Header {
        flags: flags::NEEDS_CSUM,
        csum_start: segment.start as u16,
        csum_offset: segment.offset,
        ..Header::default()
    }
}

/// Whether the checksum of a frame's segment is right, or there is none.
pub(super) fn holds(frame: &[u8]) -> bool {
    let Some(segment) = segment(frame) else {
        return true;
    };
    let bytes = &frame[segment.start..segment.end];
    let none = segment.is_udp && bytes[6..8] == [0, 0];
    none || folded(segment.pseudo + sum(bytes)) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// A frame with an IP header of 20 or 40 bytes and a segment.
    fn frame(six: bool, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        let len = segment.len() as u16;
        if six {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(0..32);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((len + 20).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
        }
        frame.extend(segment);
        frame
    }

    /// Does what a device does that was asked for a checksum.
    fn complete(frame: &mut [u8], header: &Header) {
        assert_eq!(header.flags, flags::NEEDS_CSUM);
        let start = usize::from(header.csum_start);
        let at = start + usize::from(header.csum_offset);
        let checksum = !folded(sum(&frame[start..]));
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    #[test]
    fn what_was_asked_for_holds_and_no_other() {
        for six in [false, true] {
            for (protocol, len) in [(TCP, 20), (TCP, 1480), (TCP, 21), (UDP, 8), (UDP, 1001)] {
                let segment: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let mut frame = frame(six, protocol, &segment);
                let header = ask(&mut frame);
                complete(&mut frame, &header);
                assert!(holds(&frame), "{six} {protocol} {len}");
                let last = frame.len() - 1;
                frame[last] ^= 1;
                assert!(!holds(&frame), "{six} {protocol} {len}");
            }
        }
    }

    #[test]
    fn a_known_datagram_holds() {
        // 10.0.2.15:53 to 10.0.2.2:53, "hi": 0x0a00+0x020f+0x0a00+0x0202+17+10 + 53+53+10+0x6869, complemented.
        let sum = 0x0a00_u32 + 0x020f + 0x0a00 + 0x0202 + 17 + 10 + 53 + 53 + 10 + 0x6869;
        let checksum = (!folded(sum)).to_be_bytes();
        let mut segment = vec![0, 53, 0, 53, 0, 10];
        segment.extend(checksum);
        segment.extend(b"hi");
        assert!(holds(&frame(false, UDP, &segment)));
        segment[6..8].copy_from_slice(&[0, 0]);
        assert!(holds(&frame(false, UDP, &segment)), "none");
        segment[6..8].copy_from_slice(&[0, 1]);
        assert!(!holds(&frame(false, UDP, &segment)));
    }

    #[test]
    fn what_has_no_checksum_to_do_is_left_alone() {
        let mut fragment = frame(false, TCP, &[0; 40]);
        fragment[20] = 0x20;
        let mut short = frame(false, TCP, &[0; 40]);
        short.truncate(50);
        let long = frame(true, TCP, &[0; 19]);
        let arp = [vec![2; 12], vec![8, 6], vec![0; 46]].concat();
        let icmp = frame(false, 1, &[0; 40]);
        for frame in [fragment, short, long, arp, icmp, vec![], vec![8; 15]] {
            let mut same = frame.clone();
            assert_eq!(ask(&mut same), Header::default());
            assert_eq!(same, frame);
            assert!(holds(&frame));
        }
    }
}
