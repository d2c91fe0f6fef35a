//! TCP connections of the guest's programs, carried to the host as streams.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::sockopt;
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
        (None, Some(name)) => match ask::connect(egress, &name, port).await {
            Ok(Opened { to_host, from_host }) => {
                if let Ok(socket) = Socket::tcp(stream) {
                    let mut body = Incoming::new(from_host);
                    carry(socket, &mut body, &mut Outgoing::from(to_host)).await;
                }
                return;
            }
            Err(Refusal::Denied(why)) => (format!("{name}:{port}"), why),
            Err(Refusal::Away) => (
                format!("{name}:{port}"),
                "the host does not answer".to_owned(),
            ),
        },
    };
    egress.log.say(&refusal.0, &refusal.1);
    reset(stream);
}

/// Nobody is to take it for a connection that has ended in order.
fn reset(stream: TcpStream) {
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}
