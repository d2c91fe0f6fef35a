//! The guest's name server: allowed names have synthetic addresses, others are refused at once.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use simple_dns::rdata::{A, PTR, RData};
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::spawn_local;

use super::ask::{self, Refusal};
use super::{Egress, RESOLVER};
use crate::error::{Context, Result};

const PORT: u16 = 53;
/// Short: the address of a name may go to another one (names.rs).
const TTL_SECONDS: u32 = 60;
const MAX_QUESTIONS: usize = 256;
const MAX_TCP: usize = 64;
/// A question is one name; an option or two come with it.
const MAX_QUESTION_BYTES: usize = 1232;
/// RFC 1035 §2.3.4, without the root's dot.
const MAX_NAME_BYTES: usize = 253;
const TCP_PATIENCE: Duration = Duration::from_secs(10);

pub fn start(egress: &Rc<Egress>) -> Result<()> {
    let at = SocketAddr::from((RESOLVER, PORT));
    let udp = std::net::UdpSocket::bind(at).context("listen for questions")?;
    udp.set_nonblocking(true).context("the name server")?;
    let udp = UdpSocket::from_std(udp).context("the name server")?;
    let tcp = std::net::TcpListener::bind(at).context("listen for questions")?;
    tcp.set_nonblocking(true).context("the name server")?;
    let tcp = TcpListener::from_std(tcp).context("the name server")?;
    spawn_local(serve_udp(Rc::clone(egress), Rc::new(udp)));
    spawn_local(serve_tcp(Rc::clone(egress), tcp));
    Ok(())
}

async fn serve_udp(egress: Rc<Egress>, socket: Rc<UdpSocket>) {
    let open = Rc::new(Cell::new(0usize));
    let mut buffer = [0u8; MAX_QUESTION_BYTES];
    loop {
        let Ok((size, peer)) = socket.recv_from(&mut buffer).await else {
            // An ICMP error of an answer that nobody waits for any more.
            continue;
        };
        let message = buffer[..size].to_vec();
        if open.get() >= MAX_QUESTIONS {
            if let Some(answer) = fail(&message, RCODE::ServerFailure) {
                let _ = socket.try_send_to(&answer, peer);
            }
            continue;
        }
        open.set(open.get() + 1);
        let (egress, socket, open) = (Rc::clone(&egress), Rc::clone(&socket), Rc::clone(&open));
        spawn_local(async move {
            if let Some(answer) = answer(&egress, &message).await {
                let _ = socket.send_to(&answer, peer).await;
            }
            open.set(open.get() - 1);
        });
    }
}

async fn serve_tcp(egress: Rc<Egress>, listener: TcpListener) {
    let open = Rc::new(Cell::new(0usize));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if open.get() >= MAX_TCP {
            continue;
        }
        open.set(open.get() + 1);
        let (egress, open) = (Rc::clone(&egress), Rc::clone(&open));
        spawn_local(async move {
            let _ = converse(&egress, &stream).await;
            open.set(open.get() - 1);
        });
    }
}

/// One question after another; each has its length before it (RFC 1035 §4.2.2).
async fn converse(egress: &Egress, stream: &TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0u8; 2];
        read_exact(stream, &mut length).await?;
        let size = usize::from(u16::from_be_bytes(length));
        if size > MAX_QUESTION_BYTES {
            return Ok(());
        }
        let mut message = vec![0u8; size];
        read_exact(stream, &mut message).await?;
        let Some(answer) = answer(egress, &message).await else {
            return Ok(());
        };
        let size = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let mut framed = size.to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        write_all(stream, &framed).await?;
    }
}

async fn read_exact(stream: &TcpStream, into: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < into.len() {
        wait(stream, Interest::READABLE).await?;
        match stream.try_read(&mut into[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        wait(stream, Interest::WRITABLE).await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn wait(stream: &TcpStream, interest: Interest) -> io::Result<Ready> {
    tokio::time::timeout(TCP_PATIENCE, stream.ready(interest))
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// The answer to one message; `None` for what is no question at all.
async fn answer(egress: &Egress, message: &[u8]) -> Option<Vec<u8>> {
    let packet = match Packet::parse(message) {
        Ok(packet) if !packet.has_flags(PacketFlag::RESPONSE) => packet,
        Ok(_) => return None,
        Err(_) => return fail(message, RCODE::FormatError),
    };
    let [question] = packet.questions.as_slice() else {
        return fail(message, RCODE::FormatError);
    };
    if packet.opcode() != OPCODE::StandardQuery {
        return fail(message, RCODE::NotImplemented);
    }
    let (rcode, record) = match resolve(egress, question).await {
        Ok(record) => (RCODE::NoError, record),
        Err(rcode) => (rcode, None),
    };
    reply(&packet, question, rcode, record)
}

async fn resolve(
    egress: &Egress,
    question: &Question<'_>,
) -> std::result::Result<Option<RData<'static>>, RCODE> {
    if question.qclass != QCLASS::CLASS(CLASS::IN) {
        return Err(RCODE::Refused);
    }
    let name = canonical(&question.qname).ok_or(RCODE::FormatError)?;
    if question.qtype == QTYPE::TYPE(TYPE::PTR) {
        return reverse(egress, &name).map(Some).ok_or(RCODE::Refused);
    }
    let refused = match egress.closed() {
        Some(why) => why,
        None => match ask::about_name(egress, &name).await {
            Ok(()) => {
                let is_address = question.qtype == QTYPE::TYPE(TYPE::A);
                let address = egress.names.borrow_mut().address_of(&name);
                let record = RData::A(A {
                    address: u32::from(address),
                });
                return Ok(is_address.then_some(record));
            }
            Err(Refusal::Denied(why)) => why,
            Err(Refusal::Away) => {
                egress.log.say(&name, "the host does not answer");
                return Err(RCODE::ServerFailure);
            }
        },
    };
    egress.log.say(&name, &refused);
    Err(RCODE::Refused)
}

/// Lower case, without the root's dot; `None` for what no host is named.
fn canonical(name: &Name<'_>) -> Option<String> {
    let text = name.to_string().to_ascii_lowercase();
    let is_plain = !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_plain.then_some(text)
}

/// The name of a synthetic address.
fn reverse(egress: &Egress, name: &str) -> Option<RData<'static>> {
    let digits = name.strip_suffix(".in-addr.arpa")?;
    let mut octets = [0u8; 4];
    let mut parts = digits.split('.');
    for octet in octets.iter_mut().rev() {
        *octet = parts.next()?.parse().ok()?;
    }
    if parts.next().is_some() {
        return None;
    }
    let known = egress.names.borrow_mut().name_at(Ipv4Addr::from(octets))?;
    Some(RData::PTR(PTR(Name::new(&known).ok()?.into_owned())))
}

fn reply(
    packet: &Packet<'_>,
    question: &Question<'_>,
    rcode: RCODE,
    record: Option<RData<'static>>,
) -> Option<Vec<u8>> {
    let mut reply = Packet::new_reply(packet.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if packet.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = rcode;
    if let Some(data) = record {
        let name = question.qname.clone();
        reply
            .answers
            .push(ResourceRecord::new(name, CLASS::IN, TTL_SECONDS, data));
    }
    reply.questions.push(question.clone());
    reply.build_bytes_vec_compressed().ok()
}

/// To what cannot be answered otherwise: its id, and the code.
fn fail(message: &[u8], rcode: RCODE) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes([*message.first()?, *message.get(1)?]);
    let mut reply = Packet::new_reply(id);
    *reply.rcode_mut() = rcode;
    reply.build_bytes_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(egress: &Egress, message: &[u8]) -> Option<Vec<u8>> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(answer(egress, message))
    }

    fn question(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.questions.push(Question::new(
            Name::new_unchecked(name),
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.build_bytes_vec().unwrap()
    }

    fn rcode(egress: &Egress, name: &str, kind: TYPE) -> RCODE {
        let bytes = run(egress, &question(name, kind)).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.id(), 7);
        packet.rcode()
    }

    #[test]
    fn without_a_network_every_name_is_refused() {
        let egress = Egress::default();
        for kind in [TYPE::A, TYPE::AAAA, TYPE::TXT, TYPE::MX] {
            assert_eq!(rcode(&egress, "Example.COM", kind), RCODE::Refused);
        }
        assert_eq!(rcode(&egress, "a b.example", TYPE::A), RCODE::FormatError);
    }

    #[test]
    fn an_address_has_its_name() {
        let egress = Egress::default();
        egress.names.borrow_mut().address_of("a.example");
        let name = "2.0.18.198.in-addr.arpa";
        let bytes = run(&egress, &question(name, TYPE::PTR)).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        assert!(
            matches!(&packet.answers[0].rdata, RData::PTR(PTR(name)) if name.to_string() == "a.example")
        );
        for name in [
            "1.0.18.198.in-addr.arpa",
            "2.0.18.in-addr.arpa",
            "x.in-addr.arpa",
        ] {
            assert_eq!(rcode(&egress, name, TYPE::PTR), RCODE::Refused);
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = run(&Egress::default(), &bytes);
        }

        #[test]
        fn no_question_that_is_cut_or_changed_makes_it_panic(at in 0usize..40, with: u8, cut in 0usize..40) {
            let mut bytes = question("some.name.example", TYPE::A);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            let _ = run(&Egress::default(), &bytes);
        }
    }
}
