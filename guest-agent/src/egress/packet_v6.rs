//! IPv6 packets that go nowhere, and what is answered to them (RFC 8200, RFC 4443).

use std::net::{IpAddr, Ipv6Addr};

use super::packet::{ANSWER_TTL, About, Icmp, sum_of};

const HEADER_BYTES: usize = 40;
/// "Destination unreachable, communication with destination administratively prohibited".
const UNREACHABLE: u8 = 1;
const PROHIBITED: u8 = 1;
/// What an error has at most, so that it gets through everywhere.
const MAX_ERROR_BYTES: usize = 1280;
const ICMP_HEADER_BYTES: usize = 8;
const ICMP: u8 = 58;
const ICMP_V6: Icmp = Icmp {
    protocol: ICMP,
    echo_request: 128,
};
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// Each may come once, one of them twice (RFC 8200 §4.1); a guest may write what it likes.
const MAX_EXTENSIONS: usize = 8;

/// As `packet::refuse`; silence also for what the kernel says to its neighbours.
pub fn refuse(packet: &[u8]) -> Option<(About, Vec<u8>)> {
    let (head, _) = packet.split_first_chunk::<HEADER_BYTES>()?;
    let from = Ipv6Addr::from(<[u8; 16]>::try_from(&head[8..24]).ok()?);
    let to = Ipv6Addr::from(<[u8; 16]>::try_from(&head[24..40]).ok()?);
    if to.is_multicast() || from.is_unspecified() || from.is_multicast() {
        return None;
    }
    let (next, payload) = skip_extensions(head[6], &packet[HEADER_BYTES..])?;
    let about = About::read(IpAddr::V6(to), next, payload, &ICMP_V6)?;
    Some((about, answer(to, from, packet)))
}

/// The protocol and what is of it; `None` for a fragment that is not the first, and for headers that do not end.
fn skip_extensions(mut next: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..MAX_EXTENSIONS {
        let bytes = match next {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(*rest.get(1)?) + 1) * 8,
            FRAGMENT if u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) >> 3 == 0 => 8,
            FRAGMENT => return None,
            _ => return Some((next, rest)),
        };
        next = *rest.first()?;
        rest = rest.get(bytes..)?;
    }
    None
}

/// From the address that was wanted, as with IPv4.
fn answer(from: Ipv6Addr, to: Ipv6Addr, packet: &[u8]) -> Vec<u8> {
    let room = MAX_ERROR_BYTES - HEADER_BYTES - ICMP_HEADER_BYTES;
    let quoted = &packet[..packet.len().min(room)];
    let mut icmp = vec![UNREACHABLE, PROHIBITED, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(quoted);
    let length = u16::try_from(icmp.len()).unwrap_or(u16::MAX);
    let ends = [from.octets(), to.octets()].concat();
    // The sum is also of the ends, the length and the protocol (RFC 8200 §8.1).
    let mut summed = ends.clone();
    summed.extend_from_slice(&u32::from(length).to_be_bytes());
    summed.extend_from_slice(&[0, 0, 0, ICMP]);
    summed.extend_from_slice(&icmp);
    icmp[2..4].copy_from_slice(&sum_of(&summed).to_be_bytes());
    let mut answer = vec![0x60, 0, 0, 0];
    answer.extend_from_slice(&length.to_be_bytes());
    answer.extend_from_slice(&[ICMP, ANSWER_TTL]);
    answer.extend_from_slice(&ends);
    answer.extend_from_slice(&icmp);
    answer
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Protocol, TCP, UDP};
    use super::*;
    use proptest::prelude::*;

    const FROM: Ipv6Addr = Ipv6Addr::new(0xfd66, 0x6972, 0x6562, 0, 0, 0, 0, 1);
    const TO: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111);

    fn packet(to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        bytes.extend_from_slice(&FROM.octets());
        bytes.extend_from_slice(&to.octets());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_packet_is_refused_from_where_it_was_going() {
        let given = packet(TO, TCP, &[0x12, 0x34, 0x01, 0xbb, 0, 0, 0, 0, 9, 9]);
        let (about, answer) = refuse(&given).unwrap();
        let port = Some(443);
        let to = IpAddr::V6(TO);
        let protocol = Protocol::Tcp;
        assert_eq!(about, About { protocol, to, port });
        assert_eq!(answer[8..24], TO.octets());
        assert_eq!(answer[24..40], FROM.octets());
        assert_eq!(answer[40..42], [UNREACHABLE, PROHIBITED]);
        assert_eq!(answer[48..], given);
        let mut summed = answer[8..40].to_vec();
        summed.extend_from_slice(&[0, 0, answer[4], answer[5], 0, 0, 0, ICMP]);
        summed.extend_from_slice(&answer[40..]);
        assert_eq!(sum_of(&summed), 0);
    }

    #[test]
    fn an_error_gets_through_everywhere() {
        let (_, answer) = refuse(&packet(TO, UDP, &[0; 1460])).unwrap();
        assert_eq!(answer.len(), MAX_ERROR_BYTES);
    }

    #[test]
    fn the_port_stands_behind_what_comes_between() {
        let udp = [0, 1, 0, 53, 0, 8, 0, 0];
        let options = [
            &[FRAGMENT, 0, 0, 0, 0, 0, 0, 0][..],
            &[UDP, 0, 0, 1, 0, 0, 0, 7],
            &udp,
        ]
        .concat();
        let (about, _) = refuse(&packet(TO, DESTINATION, &options)).unwrap();
        assert_eq!((about.protocol, about.port), (Protocol::Udp, Some(53)));
        let later = [&[UDP, 0, 0, 9, 0, 0, 0, 7][..], &udp].concat();
        assert!(refuse(&packet(TO, FRAGMENT, &later)).is_none());
        let endless = [DESTINATION, 0, 0, 0, 0, 0, 0, 0].repeat(MAX_EXTENSIONS + 1);
        assert!(refuse(&packet(TO, DESTINATION, &endless)).is_none());
    }

    #[test]
    fn errors_neighbours_and_what_goes_to_many_are_met_with_silence() {
        for kind in [1, 3, 129, 133, 135] {
            assert!(refuse(&packet(TO, ICMP, &[kind, 0, 0, 0])).is_none());
        }
        assert!(refuse(&packet(TO, ICMP, &[ICMP_V6.echo_request, 0, 0, 0])).is_some());
        let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        assert!(refuse(&packet(all_routers, UDP, &[0; 8])).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            bytes[0] = 0x60;
            let _ = refuse(&bytes);
        }
    }
}
