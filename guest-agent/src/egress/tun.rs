//! What goes to addresses that stand for no name: the default route leads to an interface of the agent's, which answers each packet at once
//! with "administratively prohibited", so that `connect` fails instead of waiting, and tells of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use tokio::io::Interest;
use tokio::task::spawn_local;

use super::packet::{self, Protocol};
use super::{Egress, ask};
use crate::asyncfd::watch;
use crate::error::{Context, Result};
use crate::init::{console, interface};

const NAME: &str = "firebreak0";
/// Of a prefix that nobody else is given (RFC 4193), for packets to come from. Names have no addresses of IPv6, so that nobody prefers these.
const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd66, 0x6972, 0x6562, 0, 0, 0, 0, 1);
const MAX_PACKET_BYTES: usize = 2048;
/// Different ones that are told of at a time; docs/guest-protocol.md.
const MAX_REFUSALS: usize = 64;
const REPORT_EVERY: Duration = Duration::from_secs(1);

type Key = (Protocol, IpAddr, Option<u16>);

#[derive(Serialize)]
struct Refusal {
    protocol: Protocol,
    address: IpAddr,
    port: Option<u16>,
    count: u32,
}

#[derive(Serialize)]
struct Refusals {
    refusals: Vec<Refusal>,
}

pub fn start(egress: &Rc<Egress>) -> Result<()> {
    let fd = open()?;
    expect_no_router();
    interface::bring_up(NAME)?;
    interface::add_default_route(NAME)?;
    // A kernel may be without it.
    console::check(
        "addresses of IPv6",
        interface::add_default_route_v6(NAME, ADDRESS_V6),
    );
    let egress = Rc::clone(egress);
    spawn_local(async move {
        let _ = refuse_all(&egress, fd).await;
    });
    Ok(())
}

/// No router is at the other end: without this the kernel asks for one, some seconds after the interface has come up, which is when a fork of
/// the template has just begun to work.
fn expect_no_router() {
    let switch = format!("/proc/sys/net/ipv6/conf/{NAME}/accept_ra");
    // A kernel may be without IPv6.
    let _ = fs::write(switch, "0");
}

fn open() -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).context("/dev/net/tun")?;
    let mut request = interface::request(NAME);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads an ifreq, which `request` is.
    let failed = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) };
    if failed < 0 {
        return Err(io::Error::last_os_error()).context("TUNSETIFF");
    }
    Ok(fd)
}

async fn refuse_all(egress: &Rc<Egress>, fd: OwnedFd) -> io::Result<()> {
    let fd = watch(fd, Interest::READABLE)?;
    let counts: Rc<RefCell<HashMap<Key, u32>>> = Rc::default();
    let mut buffer = [0u8; MAX_PACKET_BYTES];
    loop {
        let mut ready = fd.readable().await?;
        match rustix::io::read(fd.as_fd(), &mut buffer) {
            Ok(size) => {
                let Some((about, answer)) = packet::refuse(&buffer[..size]) else {
                    continue;
                };
                let _ = rustix::io::write(fd.as_fd(), &answer);
                note(egress, &counts, (about.protocol, about.to, about.port));
            }
            Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn note(egress: &Rc<Egress>, counts: &Rc<RefCell<HashMap<Key, u32>>>, key: Key) {
    let (protocol, to, port) = key;
    let place = port.map_or(to.to_string(), |port| SocketAddr::new(to, port).to_string());
    let why = egress
        .closed()
        .unwrap_or_else(|| "addresses without a name lead nowhere".to_owned());
    egress
        .log
        .say(&format!("{} {place}", protocol.word()), &why);
    // Without a network nobody listens to it.
    if egress.closed().is_some() {
        return;
    }
    let mut all = counts.borrow_mut();
    let is_first = all.is_empty();
    if let Some(count) = all.get_mut(&key) {
        *count = count.saturating_add(1);
    } else if all.len() < MAX_REFUSALS {
        all.insert(key, 1);
    }
    if is_first {
        // The only timer, and not while nothing happens: a snapshot may be taken at any time.
        let (egress, counts) = (Rc::clone(egress), Rc::clone(counts));
        spawn_local(async move {
            tokio::time::sleep(REPORT_EVERY).await;
            let refusals = counts
                .borrow_mut()
                .drain()
                .map(|((protocol, address, port), count)| Refusal {
                    protocol,
                    address,
                    port,
                    count: count.min(1_000_000),
                })
                .collect();
            if let Ok(body) = serde_json::to_vec(&Refusals { refusals }) {
                let _ = ask::report(&egress, body).await;
            }
        });
    }
}
