//! The byte stream to the host: a virtio port or a vsock connection in a guest, a UNIX socket in tests.

pub mod handshake;
pub mod port;
pub mod vsock;
pub mod wire;

use std::io;
use std::time::Duration;

use port::{Port, PortStream};
use vsock::Vsock;

/// Where a guest's host is found, for one of the two connections.
pub enum HostEnd {
    Port(Port),
    Vsock(Vsock),
}

/// Which kind of machine this is: its VMM tells by the kernel's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    VirtioPorts,
    Vsock,
}

/// Says that the guest dials its host by vsock.
const VSOCK_WORD: &str = "firebreak.channel=vsock";

impl Transport {
    pub fn of(command_line: &str) -> Transport {
        let is_vsock = command_line
            .split_whitespace()
            .any(|word| word == VSOCK_WORD);
        if is_vsock {
            Transport::Vsock
        } else {
            Transport::VirtioPorts
        }
    }
}

impl HostEnd {
    /// The connection on which the host asks. A virtio port is waited for, at most `patience`.
    pub fn control(transport: Transport, patience: Duration) -> io::Result<HostEnd> {
        match transport {
            Transport::Vsock => Ok(HostEnd::Vsock(Vsock::new(vsock::CONTROL_PORT))),
            Transport::VirtioPorts => Port::open("agent.control", patience).map(HostEnd::Port),
        }
    }

    /// The connection on which the guest asks. A VMM makes both ports at once, and a probe has none: it is not waited for.
    pub fn egress(transport: Transport) -> Option<HostEnd> {
        match transport {
            Transport::Vsock => Some(HostEnd::Vsock(Vsock::new(vsock::EGRESS_PORT))),
            Transport::VirtioPorts => Port::open("agent.egress", Duration::ZERO)
                .ok()
                .map(HostEnd::Port),
        }
    }

    /// A stream to the host, once one is there.
    pub async fn next_stream(&self) -> io::Result<PortStream> {
        match self {
            HostEnd::Port(port) => port.next_stream().await,
            HostEnd::Vsock(vsock) => vsock.next_stream().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_dials_only_where_its_vmm_says_so() {
        let of = Transport::of;
        assert_eq!(
            of("console=ttyS0 firebreak.channel=vsock quiet\n"),
            Transport::Vsock
        );
        assert_eq!(of("console=hvc0 quiet"), Transport::VirtioPorts);
        assert_eq!(of("xfirebreak.channel=vsock"), Transport::VirtioPorts);
    }
}
