//! The header of a packet that a guest sends: what a driver may ask for in it, given the features it took.

use hypercall_abi::net::{Header, feature, flags, gso};

/// The shortest place for a checksum: behind an Ethernet header.
const ETHERNET: usize = super::LEAST_FRAME;

/// The features that the driver can use, of those it took: what depends on something it did not take is left out (virtio 1.2, 5.1.3.1).
pub(super) fn usable(taken: u64) -> u64 {
    let mut features = taken;
    for (features_of, needed) in [
        (feature::HOST_TSO4 | feature::HOST_TSO6, feature::CSUM),
        (
            feature::GUEST_TSO4 | feature::GUEST_TSO6,
            feature::GUEST_CSUM,
        ),
        (feature::HOST_ECN, feature::HOST_TSO4 | feature::HOST_TSO6),
        (
            feature::GUEST_ECN,
            feature::GUEST_TSO4 | feature::GUEST_TSO6,
        ),
    ] {
        if features & needed == 0 {
            features &= !features_of;
        }
    }
    features
}

/// The header as a backend gets it, of a frame with so many bytes; `None`: it asks for what was not agreed on, or for what no frame of that
/// length can have, and the packet is dropped.
pub(super) fn check(header: &Header, frame: usize, features: u64) -> Option<Header> {
    let mut checked = Header::default();
    if header.flags & flags::NEEDS_CSUM != 0 {
        let start = usize::from(header.csum_start);
        let end = start
            .saturating_add(header.csum_offset.into())
            .saturating_add(2);
        if features & feature::CSUM == 0 || start < ETHERNET || end > frame {
            return None;
        }
        // Other bits mean nothing in a packet that is sent.
        checked.flags = flags::NEEDS_CSUM;
        checked.csum_start = header.csum_start;
        checked.csum_offset = header.csum_offset;
    }
    if header.gso_type == gso::NONE {
        return Some(checked);
    }
    let mut needed = match header.gso_type & !gso::ECN {
        gso::TCPV4 => feature::HOST_TSO4,
        gso::TCPV6 => feature::HOST_TSO6,
        _ => return None,
    };
    if header.gso_type & gso::ECN != 0 {
        needed |= feature::HOST_ECN;
    }
    let agreed = features & needed == needed && checked.flags & flags::NEEDS_CSUM != 0;
    if !agreed || header.gso_size == 0 || usize::from(header.hdr_len) > frame {
        return None;
    }
    checked.gso_type = header.gso_type;
    checked.gso_size = header.gso_size;
    checked.hdr_len = header.hdr_len;
    Some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = feature::CSUM | feature::HOST_TSO4 | feature::HOST_TSO6 | feature::HOST_ECN;

    const SUM: Header = Header {
        flags: flags::NEEDS_CSUM,
        gso_type: gso::NONE,
        hdr_len: 0,
        gso_size: 0,
        csum_start: 34,
        csum_offset: 16,
        num_buffers: 0,
    };
    const CUT: Header = Header {
        gso_type: gso::TCPV4,
        hdr_len: 54,
        gso_size: 1460,
        ..SUM
    };

    #[test]
    fn what_was_agreed_on_passes() {
        let six = Header {
            gso_type: gso::TCPV6 | gso::ECN,
            ..CUT
        };
        for header in [Header::default(), SUM, CUT, six] {
            assert_eq!(check(&header, 9000, ALL), Some(header));
        }
    }

    #[test]
    fn what_means_nothing_is_not_passed_on() {
        let noise = Header {
            flags: !flags::NEEDS_CSUM,
            csum_start: 7,
            csum_offset: 7,
            hdr_len: 7,
            gso_size: 7,
            num_buffers: 7,
            gso_type: gso::NONE,
        };
        assert_eq!(check(&noise, 60, 0), Some(Header::default()));
    }

    #[test]
    fn what_was_not_agreed_on_is_refused() {
        let refused: [(Header, usize, u64, &str); 12] = [
            (SUM, 9000, 0, "no checksums"),
            (CUT, 9000, feature::CSUM, "no cutting"),
            (CUT, 9000, ALL & !feature::HOST_TSO4, "none of IPv4"),
            (
                Header {
                    gso_type: gso::TCPV6,
                    ..CUT
                },
                9000,
                ALL & !feature::HOST_TSO6,
                "none of IPv6",
            ),
            (
                Header {
                    gso_type: gso::TCPV4 | gso::ECN,
                    ..CUT
                },
                9000,
                ALL & !feature::HOST_ECN,
                "none with congestion bits",
            ),
            (Header { gso_type: 3, ..CUT }, 9000, ALL, "UDP"),
            (Header { gso_type: 5, ..CUT }, 9000, ALL, "two kinds"),
            (
                Header {
                    gso_type: gso::ECN,
                    ..CUT
                },
                9000,
                ALL,
                "no kind",
            ),
            (Header { flags: 0, ..CUT }, 9000, ALL, "without checksum"),
            (
                Header { gso_size: 0, ..CUT },
                9000,
                ALL,
                "pieces of nothing",
            ),
            (
                Header {
                    hdr_len: 9001,
                    ..CUT
                },
                9000,
                ALL,
                "headers beyond the frame",
            ),
            (
                Header {
                    csum_start: 13,
                    ..SUM
                },
                9000,
                ALL,
                "a checksum over the Ethernet header",
            ),
        ];
        for (header, frame, features, why) in refused {
            assert_eq!(check(&header, frame, features), None, "{why}");
        }
    }

    #[test]
    fn a_checksum_lies_in_the_frame() {
        assert_eq!(check(&SUM, 52, ALL), Some(SUM));
        assert_eq!(check(&SUM, 51, ALL), None);
        let far = Header {
            csum_start: u16::MAX,
            csum_offset: u16::MAX,
            ..SUM
        };
        assert_eq!(check(&far, 65_000, ALL), None);
    }

    #[test]
    fn features_without_what_they_depend_on_are_not_used() {
        assert_eq!(usable(ALL), ALL);
        assert_eq!(usable(ALL & !feature::CSUM), 0);
        assert_eq!(usable(feature::HOST_ECN | feature::CSUM), feature::CSUM);
        assert_eq!(usable(feature::GUEST_TSO4 | feature::GUEST_ECN), 0);
        let six = feature::GUEST_TSO6 | feature::GUEST_ECN | feature::GUEST_CSUM;
        assert_eq!(usable(six | feature::STATUS), six | feature::STATUS);
    }
}
