//! What every session shares, and the loops that wait for the host.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::card::Card;
use crate::channel::HostEnd;
use crate::connect::Connections;
use crate::drives::Drives;
use crate::egress::{Egress, NetworkBody};
use crate::error::Result;
use crate::exec::registry::Registry;
use crate::http::session;
use crate::init::Late;
use crate::mounts::Mounts;
use crate::overlay::OverlayDrive;
use crate::reaper::Reaper;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// PID 1 of a guest: the whole machine is ours.
    Guest,
    /// A process of the test's host: the machine is somebody else's.
    Host,
}

pub struct Agent {
    pub role: Role,
    pub registry: Rc<Registry>,
    pub connections: Rc<Connections>,
    /// The guest's writable drive; none on a test's host, and for a probe.
    pub overlay: Option<OverlayDrive>,
    pub drives: Drives,
    pub mounts: Mounts,
    pub egress: Rc<Egress>,
    pub card: Card,
    shutdown: RefCell<Option<oneshot::Sender<Duration>>>,
}

impl Agent {
    /// The receiver gets the grace time when the host asks for the end.
    pub fn start(
        role: Role,
        overlay: Option<OverlayDrive>,
        modules: Late,
    ) -> io::Result<(Rc<Agent>, oneshot::Receiver<Duration>)> {
        let reaper = Reaper::start()?;
        let (sender, receiver) = oneshot::channel();
        let agent = Rc::new(Agent {
            role,
            registry: Registry::new(reaper),
            connections: Rc::default(),
            overlay,
            drives: Drives::new(modules.drives),
            mounts: Mounts::new(modules.mounts),
            egress: Rc::default(),
            card: Card::new(modules.card),
            shutdown: RefCell::new(Some(sender)),
        });
        Ok((agent, receiver))
    }

    /// What has been checked (`Egress::check`).
    pub async fn set_network(&self, network: NetworkBody) -> Result<()> {
        if self.role == Role::Guest {
            match network.card() {
                Some(card) => self.card.bring_up(card.clone()).await?,
                None => self.card.take_down().await?,
            }
        }
        self.egress.set(network);
        Ok(())
    }

    /// Asking twice is asking once.
    pub fn request_shutdown(&self, grace: Duration) {
        if let Some(sender) = self.shutdown.borrow_mut().take() {
            let _ = sender.send(grace);
        }
    }
}

/// Serves the port for ever: whatever ends a session, the next one is waited for.
pub async fn serve_port(agent: Rc<Agent>, port: HostEnd) {
    loop {
        match port.next_stream().await {
            Ok(stream) => session::run(&agent, stream).await,
            Err(error) => {
                crate::init::console::say(&format!("the port to the host fails: {error}"));
                // The one timer here: an error that lasts must not become a spin.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// For tests: each connection to the socket is an attachment; a new one replaces the old.
pub async fn serve_socket(agent: Rc<Agent>, path: &Path, is_once: bool) -> io::Result<()> {
    // A socket that an earlier run left behind.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let mut next = listener.accept().await?.0;
    loop {
        let stream = next;
        let mut session = std::pin::pin!(session::run(&agent, stream));
        next = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = &mut session => {
                if is_once {
                    return Ok(());
                }
                listener.accept().await?.0
            }
        };
    }
}
