//! `POST /v1/connect`: a connection to what listens inside the guest, whose two directions are the request's two bodies.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use h2::server::SendResponse;
use rustix::net::Shutdown;
use tokio::net::{TcpStream, UnixStream};

use crate::error::{Code, Error, Result};
use crate::http::body::{Gone, Incoming, Outgoing};
use crate::http::query::{Query, guest_path};

/// Less than the streams of an attachment: connections that nobody ends must not keep commands out.
const MAX_CONNECTIONS: usize = 160;
/// Within a guest a connection is there at once, or something is wrong.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const CHUNK_BYTES: usize = 256 << 10;
/// What goes to a program in the guest at once, if as much has come.
const BATCH_BYTES: usize = 1 << 20;
/// sun_path with its closing NUL (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// How many connections there are; one for each agent.
#[derive(Default)]
pub struct Connections {
    open: Cell<usize>,
}

/// A place among the connections, for as long as it is held.
struct Slot(Rc<Connections>);

impl Connections {
    fn take(self: &Rc<Self>) -> Result<Slot> {
        if self.open.get() >= MAX_CONNECTIONS {
            let message = format!("{MAX_CONNECTIONS} connections are open already");
            return Err(Error::new(Code::Limit, message));
        }
        self.open.set(self.open.get() + 1);
        Ok(Slot(Rc::clone(self)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

pub async fn run(
    connections: &Rc<Connections>,
    query: &Query,
    mut body: Incoming,
    mut respond: SendResponse<Bytes>,
) -> (SendResponse<Bytes>, Incoming, Result<()>) {
    // Held to the end of the connection.
    let (_slot, socket) = match open(connections, query).await {
        Ok(opened) => opened,
        Err(error) => return (respond, body, Err(error)),
    };
    if let Ok(mut out) = Outgoing::start(&mut respond) {
        carry(socket, &mut body, &mut out).await;
    }
    (respond, body, Ok(()))
}

async fn open(connections: &Rc<Connections>, query: &Query) -> Result<(Slot, Socket)> {
    let target = Target::parse(query)?;
    let slot = connections.take()?;
    let Ok(connected) = tokio::time::timeout(CONNECT_PATIENCE, target.connect()).await else {
        let message = format!("{target} did not answer in time");
        return Err(Error::new(Code::Unreachable, message));
    };
    Ok((slot, connected?))
}

#[derive(Debug)]
enum Target {
    /// Tried in turn.
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Tcp(addresses) => match addresses.first() {
                Some(address) => write!(f, "{address}"),
                None => Ok(()),
            },
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    fn parse(query: &Query) -> Result<Target> {
        if let Some(path) = query.bytes("path") {
            if path.len() > MAX_SOCKET_PATH_BYTES {
                return Err(Error::invalid("path is too long for a socket"));
            }
            return Ok(Target::Unix(guest_path(path.to_vec())?));
        }
        let port = query
            .number("port")?
            .and_then(|port| u16::try_from(port).ok());
        let Some(port) = port.filter(|port| *port != 0) else {
            return Err(Error::invalid("port is not from 1 to 65535"));
        };
        let hosts = match query.text("host")? {
            // What listens on "localhost" may have either of its addresses.
            None | Some("") => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Some(text) => vec![
                text.parse::<IpAddr>()
                    .map_err(|_| Error::invalid("host is not an IP address"))?,
            ],
        };
        Ok(Target::Tcp(
            hosts
                .into_iter()
                .map(|host| SocketAddr::new(host, port))
                .collect(),
        ))
    }

    async fn connect(&self) -> Result<Socket> {
        match self {
            Target::Unix(path) => UnixStream::connect(path)
                .await
                .map(Socket::Unix)
                .map_err(|error| self.explain(&error)),
            Target::Tcp(addresses) => {
                let mut first = None;
                for address in addresses {
                    match TcpStream::connect(address).await {
                        Ok(stream) => return Socket::tcp(stream),
                        Err(error) => first = first.or(Some(self.explain(&error))),
                    }
                }
                Err(first.unwrap_or_else(|| Error::invalid("there is no address")))
            }
        }
    }

    fn explain(&self, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => {
                Error::new(Code::Refused, format!("nothing listens on {self}"))
            }
            _ => Error::io(self, error),
        }
    }
}

pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Until it has ended in order, dropping it is a reset: what was cut off must not look complete.
    pub fn tcp(stream: TcpStream) -> Result<Socket> {
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        Ok(Socket::Tcp(stream))
    }

    fn end_in_order(&self) {
        if let Socket::Tcp(stream) = self {
            let _ = rustix::net::sockopt::set_socket_linger(stream, None);
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        }
    }

    /// All at once, as far as the kernel takes them: each write may be a switch to who reads.
    async fn write_all(&self, mut chunks: VecDeque<Bytes>) -> io::Result<()> {
        while !chunks.is_empty() {
            let written = {
                let slices: Vec<IoSlice> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
                match self {
                    Socket::Tcp(stream) => {
                        stream.writable().await?;
                        stream.try_write_vectored(&slices)
                    }
                    Socket::Unix(stream) => {
                        stream.writable().await?;
                        stream.try_write_vectored(&slices)
                    }
                }
            };
            match written {
                Ok(mut count) => {
                    while let Some(chunk) = chunks.front_mut() {
                        if count < chunk.len() {
                            chunk.advance(count);
                            break;
                        }
                        count -= chunk.len();
                        chunks.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Why a connection ended otherwise than in order.
enum Broken {
    /// The host reset the stream, or is gone.
    Host,
    /// What listened in the guest broke it off.
    Guest,
}

impl From<Gone> for Broken {
    fn from(_: Gone) -> Self {
        Broken::Host
    }
}

/// Carries bytes both ways until both directions have ended, each by itself.
pub async fn carry(socket: Socket, body: &mut Incoming, out: &mut Outgoing) {
    let is_reset = Cell::new(false);
    let ended = {
        let mut to_guest = Box::pin(to_guest(&socket, body, &is_reset));
        let mut from_guest = Box::pin(from_guest(&socket, out, &is_reset));
        let first = tokio::select! {
            ended = &mut to_guest => ended.map(|()| true),
            ended = &mut from_guest => ended.map(|()| false),
        };
        match first {
            Err(broken) => Err(broken),
            Ok(true) => from_guest.await,
            Ok(false) => {
                drop(from_guest);
                // One that does not read must not hold a connection that the host has given up.
                tokio::select! {
                    ended = to_guest => ended,
                    () = out.wait_reset() => Err(Broken::Host),
                }
            }
        }
    };
    match ended {
        Ok(()) => socket.end_in_order(),
        Err(Broken::Guest) => out.reset(h2::Reason::CONNECT_ERROR),
        Err(Broken::Host) => {}
    }
}

async fn to_guest(
    socket: &Socket,
    body: &mut Incoming,
    is_reset: &Cell<bool>,
) -> std::result::Result<(), Broken> {
    while let Some(chunks) = body.chunks(BATCH_BYTES).await? {
        // Who does not take any more may still have an answer to give; its end is the connection's.
        if let Err(error) = socket.write_all(chunks).await {
            // The kernel tells of a reset once, and of an end afterwards.
            is_reset.set(error.kind() == io::ErrorKind::ConnectionReset);
            return Ok(());
        }
    }
    let _ = rustix::net::shutdown(socket.fd(), Shutdown::Write);
    Ok(())
}

async fn from_guest(
    socket: &Socket,
    out: &mut Outgoing,
    is_reset: &Cell<bool>,
) -> std::result::Result<(), Broken> {
    loop {
        tokio::select! {
            ready = socket.readable() => ready.map_err(|_| Broken::Guest)?,
            () = out.wait_reset() => return Err(Broken::Host),
        }
        // Not before there is something to send: a window that is held and not used is kept from others.
        let window = out.wait_capacity(CHUNK_BYTES).await?;
        let mut buffer = BytesMut::zeroed(window.min(CHUNK_BYTES));
        match socket.try_read(&mut buffer) {
            Ok(0) if is_reset.get() => return Err(Broken::Guest),
            Ok(0) => {
                out.finish(Bytes::new()).await?;
                return Ok(());
            }
            Ok(count) => {
                buffer.truncate(count);
                out.send(buffer.freeze()).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Broken::Guest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<String> {
        Target::parse(&Query::parse(query)).map(|target| target.to_string())
    }

    #[test]
    fn a_target_is_a_port_with_or_without_an_address_or_a_path() {
        assert_eq!(parse("port=80").unwrap(), "127.0.0.1:80");
        assert_eq!(parse("port=80&host=").unwrap(), "127.0.0.1:80");
        assert_eq!(parse("port=65535&host=%3A%3A1").unwrap(), "[::1]:65535");
        assert_eq!(parse("path=%2Frun%2Fx.sock").unwrap(), "/run/x.sock");
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("path=/{}", "a".repeat(MAX_SOCKET_PATH_BYTES));
        for query in [
            "",
            "port=",
            "port=0",
            "port=65536",
            "port=-1",
            "port=80x",
            "port=80&host=localhost",
            "port=80&host=127.0.0.1%00",
            "port=80&host=127.0.0.1:80",
            "path=",
            "path=relative",
            "path=/a%00b",
            &long,
        ] {
            assert_eq!(
                parse(query).unwrap_err().code,
                Code::InvalidArgument,
                "{query}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_makes_it_panic(text in ".{0,300}") {
            let _ = Target::parse(&Query::parse(&text));
        }

        #[test]
        fn a_number_that_is_no_port_is_refused(port in 65_536u64..) {
            let query = format!("port={port}");
            proptest::prop_assert!(parse(&query).is_err());
        }
    }

    #[test]
    fn connections_are_counted_and_their_number_is_bounded() {
        let connections = Rc::new(Connections::default());
        let slots: Vec<Slot> = (0..MAX_CONNECTIONS)
            .map(|_| connections.take().unwrap())
            .collect();
        assert_eq!(
            connections.take().map(|_| ()).unwrap_err().code,
            Code::Limit
        );
        drop(slots);
        assert!(connections.take().is_ok());
    }
}
