//! Packets that go nowhere, and what is answered to them (RFC 791, RFC 792; packet_v6.rs has those of IPv6).

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::packet_v6;

const HEADER_BYTES: usize = 20;
/// "Destination unreachable, communication administratively prohibited" (RFC 1812 §5.2.7.1).
const UNREACHABLE: u8 = 3;
const PROHIBITED: u8 = 13;
/// What an error quotes behind the header, in which the ports are.
const QUOTED_BYTES: usize = 8;
pub const ANSWER_TTL: u8 = 64;
const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const ICMP_V4: Icmp = Icmp {
    protocol: ICMP,
    echo_request: 8,
};

/// The control messages of a version of IP.
pub struct Icmp {
    pub protocol: u8,
    pub echo_request: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Protocol {
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
            Protocol::Other => "ip",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct About {
    pub protocol: Protocol,
    pub to: IpAddr,
    pub port: Option<u16>,
}

impl About {
    /// Of what a packet to `to` carries; `None` for control messages that ask for no echo.
    pub fn read(to: IpAddr, protocol: u8, payload: &[u8], icmp: &Icmp) -> Option<About> {
        let protocol = match protocol {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            other if other != icmp.protocol => Protocol::Other,
            _ if payload.first() == Some(&icmp.echo_request) => Protocol::Icmp,
            _ => return None,
        };
        let port = port_of(protocol, payload);
        Some(About { protocol, to, port })
    }
}

/// Whither a packet goes, and the answer that refuses it; `None` for what is answered with silence: what is no packet, an error, a fragment that is not
/// the first, and what goes to many.
pub fn refuse(packet: &[u8]) -> Option<(About, Vec<u8>)> {
    match packet.first()? >> 4 {
        4 => refuse_v4(packet),
        6 => packet_v6::refuse(packet),
        _ => None,
    }
}

fn refuse_v4(packet: &[u8]) -> Option<(About, Vec<u8>)> {
    let (head, _) = packet.split_first_chunk::<HEADER_BYTES>()?;
    let header_bytes = usize::from(head[0] & 0x0f) * 4;
    let is_first = u16::from_be_bytes([head[6], head[7]]) & 0x1fff == 0;
    if header_bytes < HEADER_BYTES || !is_first {
        return None;
    }
    let payload = packet.get(header_bytes..)?;
    let from = Ipv4Addr::new(head[12], head[13], head[14], head[15]);
    let to = Ipv4Addr::new(head[16], head[17], head[18], head[19]);
    if to.is_multicast() || to.is_broadcast() || from.is_unspecified() {
        return None;
    }
    let about = About::read(IpAddr::V4(to), head[9], payload, &ICMP_V4)?;
    let quoted = &packet[..(header_bytes + QUOTED_BYTES).min(packet.len())];
    Some((about, answer(to, from, quoted)))
}

/// Whither in a segment or datagram.
fn port_of(protocol: Protocol, payload: &[u8]) -> Option<u16> {
    if !matches!(protocol, Protocol::Tcp | Protocol::Udp) {
        return None;
    }
    Some(u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]))
}

/// From the address that was wanted: of another one the kernel would not take it.
fn answer(from: Ipv4Addr, to: Ipv4Addr, quoted: &[u8]) -> Vec<u8> {
    let mut icmp = vec![UNREACHABLE, PROHIBITED, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(quoted);
    put_sum(&mut icmp, 2);
    let length = u16::try_from(HEADER_BYTES + icmp.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, ANSWER_TTL, ICMP, 0, 0]);
    packet.extend_from_slice(&from.octets());
    packet.extend_from_slice(&to.octets());
    put_sum(&mut packet, 10);
    packet.extend_from_slice(&icmp);
    packet
}

/// The checksum of the Internet (RFC 1071), into its place.
fn put_sum(bytes: &mut [u8], at: usize) {
    let folded = sum_of(bytes);
    bytes[at..at + 2].copy_from_slice(&folded.to_be_bytes());
}

pub fn sum_of(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| {
            u32::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        bytes.extend_from_slice(&[198, 18, 0, 1, 1, 2, 3, 4]);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_packet_is_refused_from_where_it_was_going() {
        let given = packet(TCP, &[0x12, 0x34, 0x01, 0xbb, 0, 0, 0, 0, 9, 9]);
        let (about, answer) = refuse(&given).unwrap();
        let to = Ipv4Addr::new(1, 2, 3, 4);
        assert_eq!(
            about,
            About {
                protocol: Protocol::Tcp,
                to: IpAddr::V4(to),
                port: Some(443)
            }
        );
        assert_eq!(answer[12..16], to.octets());
        assert_eq!(answer[16..20], [198, 18, 0, 1]);
        assert_eq!(answer[20..22], [UNREACHABLE, PROHIBITED]);
        assert_eq!(answer[28..], given[..28]);
        assert_eq!((sum_of(&answer[..20]), sum_of(&answer[20..])), (0, 0));
    }

    #[test]
    fn errors_fragments_and_what_goes_to_many_are_met_with_silence() {
        assert!(refuse(&packet(ICMP, &[3, 3, 0, 0])).is_none());
        assert!(refuse(&packet(ICMP, &[8, 0, 0, 0])).is_some());
        let mut fragment = packet(UDP, &[0; 8]);
        fragment[7] = 1;
        assert!(refuse(&fragment).is_none());
        let mut many = packet(UDP, &[0; 8]);
        many[16] = 224;
        assert!(refuse(&many).is_none());
        assert_eq!(refuse(&packet(TCP, &[1, 2])).unwrap().0.port, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = refuse(&bytes);
        }
    }
}
