//! The guest's way out. It has no network card: names are answered with addresses of 198.18.0.0/15, which is local to the guest, TCP
//! connections to these become streams to the host, and the host decides. See docs/guest-protocol.md.

mod ask;
mod dns;
mod flows;
mod link;
mod log;
mod names;
mod packet;
mod packet_v6;
mod steer;
mod tun;

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::spawn_local;

use crate::card::CardBody;
use crate::channel::HostEnd;
use crate::error::{Error, Result};
use crate::init::console;
use log::Log;
use names::Names;

/// Where the guest's programs ask for names.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

const MAX_REASON_BYTES: usize = 1024;
const NO_NETWORK: &str =
    "this VM has no network; open one with: firebreak vm policy set VM --allow HOST";
const BY_CARD: &str = "this VM has a network card: ask its name servers (/etc/resolv.conf)";

/// What `PUT /v1/network` and `network` of `/v1/personalise` carry.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBody {
    mode: Mode,
    reason: Option<String>,
    nat: Option<CardBody>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    None,
    Proxy,
    /// Packets go out by a network card; nothing is asked for here.
    Nat,
}

impl NetworkBody {
    /// What its network card is to be; none in all other modes.
    pub fn card(&self) -> Option<&CardBody> {
        self.nat.as_ref()
    }
}

type Sender = h2::client::SendRequest<bytes::Bytes>;

/// One for each agent.
pub struct Egress {
    mode: RefCell<NetworkBody>,
    names: RefCell<Names>,
    log: Log,
    /// The host's end of the connection, while it is attached.
    host: watch::Sender<Option<Sender>>,
}

impl Default for Egress {
    fn default() -> Self {
        Egress {
            mode: RefCell::new(NetworkBody {
                mode: Mode::None,
                reason: None,
                nat: None,
            }),
            names: RefCell::default(),
            log: Log::default(),
            host: watch::channel(None).0,
        }
    }
}

impl Egress {
    /// Checked apart from `set`: what a request asks for is checked before any of it is done.
    pub fn check(body: &NetworkBody) -> Result<()> {
        let is_good = body.reason.as_ref().is_none_or(|reason| {
            reason.len() <= MAX_REASON_BYTES && !reason.contains(char::is_control)
        });
        if !is_good {
            return Err(Error::invalid("reason is too long or not one line"));
        }
        match (body.mode, &body.nat) {
            (Mode::Nat, Some(card)) => card.check(),
            (Mode::Nat, None) => Err(Error::invalid("the mode nat needs a card")),
            (_, Some(_)) => Err(Error::invalid("only the mode nat has a card")),
            (_, None) => Ok(()),
        }
    }

    pub fn set(&self, body: NetworkBody) {
        *self.mode.borrow_mut() = body;
    }

    /// Why nothing gets out; `None` when the host decides.
    fn closed(&self) -> Option<String> {
        let mode = self.mode.borrow();
        match mode.mode {
            Mode::Proxy => None,
            Mode::Nat => Some(BY_CARD.to_owned()),
            Mode::None => Some(mode.reason.clone().unwrap_or_else(|| NO_NETWORK.to_owned())),
        }
    }
}

/// Starts what PID 1 does for the guest's network, for ever. A guest in which a part of it fails is still of use, and says so on its console.
pub fn start(egress: &Rc<Egress>, port: Option<HostEnd>) {
    if let Some(port) = port {
        spawn_local(link::serve(Rc::clone(egress), port));
    }
    console::check("names", dns::start(egress));
    console::check("connections", flows::start(egress));
    console::check("addresses", tun::start(egress));
}
