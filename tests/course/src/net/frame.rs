//! Ethernet frames whose checksum the sending kernel has left to its network card.
//!
//! ```text
//!   bytes  0      6      12    14             IPv4: 20 to 60 bytes, IPv6: 40
//!          ┌──────┬──────┬─────┬──────────────┬─────────────────────────────────┐
//!          │ to   │ from │ type│ IP header    │ TCP (checksum at 16), UDP (at 6)│
//!          └──────┴──────┴─────┴──────────────┴─────────────────────────────────┘
//! ```
//!
//! A veth pair has no card that could fill it in, because frames that stay in memory need none. Once such a frame leaves through
//! a packet socket, the next kernel takes it for a damaged one.

use std::ops::Range;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The parts of a frame that the checksum covers.
struct Parts {
    protocol: u8,
    addresses: Range<usize>,
    segment: Range<usize>,
}

/// Computes the checksum of TCP (RFC 9293 section 3.1) or UDP (RFC 768) and writes it into the frame.
///
/// Fragments are left as they are: the kernel completes a checksum before it cuts a packet (`ip_fragment`).
pub(super) fn complete_checksum(frame: &mut [u8]) {
    let Some(parts) = parts(frame) else { return };
    let offset = if parts.protocol == TCP { 16 } else { 6 };
    let Some(checksum) = frame
        .get(parts.segment.clone())
        .and_then(|segment| segment.get(offset..offset + 2))
    else {
        return;
    };
    // A sender of UDP over IPv4 may do without one.
    if parts.protocol == UDP && checksum == [0, 0] {
        return;
    }
    let place = parts.segment.start + offset;
    frame[place..place + 2].fill(0);
    let length = u32::try_from(parts.segment.len()).unwrap_or(u32::MAX);
    let sum = sum(&frame[parts.addresses])
        + sum(&frame[parts.segment])
        + u64::from(length)
        + u64::from(parts.protocol);
    let folded = !fold(sum);
    // In UDP, 0 would say that there is none.
    let written = if parts.protocol == UDP && folded == 0 {
        u16::MAX
    } else {
        folded
    };
    frame[place..place + 2].copy_from_slice(&written.to_be_bytes());
}

fn parts(frame: &[u8]) -> Option<Parts> {
    let number = |place: usize| {
        Some(u16::from_be_bytes([
            *frame.get(place)?,
            *frame.get(place + 1)?,
        ]))
    };
    let parts = match number(12)? {
        0x0800 => {
            // More fragments, or not the first one.
            if number(20)? & 0x3fff != 0 {
                return None;
            }
            let header = usize::from(frame.get(14)? & 0x0f) * 4;
            Parts {
                protocol: *frame.get(23)?,
                addresses: 26..34,
                segment: 14 + header..14 + usize::from(number(16)?),
            }
        }
        0x86dd => Parts {
            protocol: *frame.get(20)?,
            addresses: 22..54,
            segment: 54..54 + usize::from(number(18)?),
        },
        _ => return None,
    };
    let is_whole = parts.addresses.end <= frame.len()
        && parts.segment.start <= parts.segment.end
        && parts.segment.end <= frame.len();
    (matches!(parts.protocol, TCP | UDP) && is_whole).then_some(parts)
}

/// Adds up numbers of 16 bits; an odd byte at the end is followed by 0 (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    words.sum()
}

/// Adds the carries until 16 bits are left.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a frame with a segment of a protocol over IPv4 or IPv6.
    fn frame(is_ipv6: bool, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        let length = u16::try_from(segment.len()).unwrap();
        if is_ipv6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend([0xfd; 32]);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((length + 20).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        }
        frame.extend(segment);
        frame
    }

    /// Returns whether a receiver takes the frame: everything together, the checksum included, adds up to all ones.
    fn is_good(frame: &[u8]) -> bool {
        let parts = parts(frame).unwrap();
        let length = parts.segment.len() as u64;
        let whole = sum(&frame[parts.addresses]) + sum(&frame[parts.segment]);
        fold(whole + length + u64::from(parts.protocol)) == u16::MAX
    }

    #[test]
    fn checksums_are_completed_for_both_protocols_and_families() {
        for is_ipv6 in [false, true] {
            for protocol in [TCP, UDP] {
                for length in [20, 33, 1480] {
                    let mut frame = frame(is_ipv6, protocol, &vec![0xa5; length]);
                    assert!(!is_good(&frame), "the test begins with a wrong one");
                    complete_checksum(&mut frame);
                    assert!(is_good(&frame), "{is_ipv6} {protocol} {length}");
                }
            }
        }
    }

    #[test]
    fn padding_behind_a_short_packet_does_not_count() {
        let mut padded = frame(false, TCP, &[7; 20]);
        padded.extend([9; 6]);
        complete_checksum(&mut padded);
        assert!(is_good(&padded));
    }

    #[test]
    fn other_frames_stay_as_they_are() {
        let mut fragment = frame(false, UDP, &[1; 20]);
        fragment[20] = 0x20;
        let mut without = frame(false, UDP, &[1; 20]);
        without[34 + 6..34 + 8].fill(0);
        let mut short = frame(true, TCP, &[1; 20]);
        short.truncate(60);
        let longer_than_it_is = frame(false, TCP, &[1; 10]);
        let arp = [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat();
        for original in [
            fragment,
            without,
            short,
            longer_than_it_is,
            arp,
            vec![],
            vec![0; 13],
        ] {
            let mut frame = original.clone();
            complete_checksum(&mut frame);
            assert_eq!(frame, original);
        }
    }
}
