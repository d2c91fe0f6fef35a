//! TCP connections of the guest's programs, carried to the host as streams.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::ask::{self, Opened, Refusal};
use super::{Egress, RESOLVER, steer};
use crate::connect::{Socket, carry};
use crate::error::{Context, Result};
use crate::http::body::{Incoming, Outgoing};

/// As many as the host takes of one guest.
const MAX_FLOWS: usize = 4_000;
const BACKLOG: i32 = 4_096;

pub fn start(egress: &Rc<Egress>) -> Result<()> {
    let listener = listen()?;
    let steering = steer::steer_to(listener.as_raw_fd())?;
    let egress = Rc::clone(egress);
    spawn_local(async move {
        let _steering = steering;
        accept_all(egress, listener).await;
    });
    Ok(())
}

fn listen() -> Result<TcpListener> {
    let socket = std::net::TcpListener::bind(SocketAddr::new(IpAddr::V4(RESOLVER), 0))
        .context("listen for connections")?;
    socket.set_nonblocking(true).context("the listener")?;
    // Again, with room for what comes at once.
    rustix::net::listen(&socket, BACKLOG).context("listen")?;
    TcpListener::from_std(socket).context("the listener")
}

async fn accept_all(egress: Rc<Egress>, listener: TcpListener) {
    let open = Rc::new(Cell::new(0usize));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if open.get() >= MAX_FLOWS {
            egress
                .log
                .say("a connection", &format!("{MAX_FLOWS} are open already"));
            reset(stream);
            continue;
        }
        open.set(open.get() + 1);
        let (egress, open) = (Rc::clone(&egress), Rc::clone(&open));
        spawn_local(async move {
            serve(&egress, stream).await;
            open.set(open.get() - 1);
        });
    }
}

async fn serve(egress: &Egress, stream: TcpStream) {
    let Ok(SocketAddr::V4(wanted)) = stream.local_addr() else {
        return;
    };
    let port = wanted.port();
    let name = egress.names.borrow_mut().name_at(*wanted.ip());
    let refusal = match (egress.closed(), name) {
        (Some(why), _) => (wanted.to_string(), why),
        (None, None) => {
            let why = "the address stands for no name: ask for the name again";
            (wanted.to_string(), why.to_owned())
        }
        (None, Some(name)) => match connect(egress, &name, port, &stream).await {
            None => return,
            Some(Ok(Opened { to_host, from_host })) => {
                if let Ok(socket) = Socket::tcp(stream) {
                    let mut body = Incoming::new(from_host);
                    carry(socket, &mut body, &mut Outgoing::from(to_host)).await;
                }
                return;
            }
            Some(Err(Refusal::Denied(why))) => (format!("{name}:{port}"), why),
            Some(Err(Refusal::Away)) => (
                format!("{name}:{port}"),
                "the host does not answer".to_owned(),
            ),
        },
    };
    egress.log.say(&refusal.0, &refusal.1);
    reset(stream);
}

/// The host's answer, which may take it long; `None` when the program has reset the connection meanwhile, for then the host is to dial no longer. An
/// end that came in order is none: a program may say all that it has to say, and listen.
async fn connect(
    egress: &Egress,
    name: &str,
    port: u16,
    stream: &TcpStream,
) -> Option<std::result::Result<Opened, Refusal>> {
    tokio::select! {
        answer = ask::connect(egress, name, port) => Some(answer),
        () = broken(stream) => None,
    }
}

/// Until the connection has been reset.
async fn broken(stream: &TcpStream) {
    let _ = stream.ready(Interest::ERROR).await;
}

/// Nobody is to take it for a connection that has ended in order.
fn reset(stream: TcpStream) {
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (theirs, ours) = tokio::join!(TcpStream::connect(at), listener.accept());
        (theirs.unwrap(), ours.unwrap().0)
    }

    #[tokio::test]
    async fn a_reset_is_noticed_though_nothing_is_read() {
        let (theirs, ours) = pair().await;
        theirs.try_write(b"said before").unwrap();
        reset(theirs);
        broken(&ours).await;
    }

    #[tokio::test]
    async fn an_end_in_order_is_no_reset() {
        let (theirs, ours) = pair().await;
        theirs.try_write(b"all that there is to say").unwrap();
        rustix::net::shutdown(&theirs, rustix::net::Shutdown::Write).unwrap();
        let ended = async {
            while !ours
                .ready(Interest::READABLE)
                .await
                .unwrap()
                .is_read_closed()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = broken(&ours) => panic!("it goes on"),
            () = ended => {}
        }
    }
}
