//! A connection that the guest dials: VMMs without virtio-serial (Firecracker) have vsock instead.
//!
//! The VMM takes a connection to a port of CID 2 to the UNIX socket `<uds>_<port>` of its host, and refuses it while
//! nobody listens there. All connections end at a snapshot, also those of the VM that goes on; whatever ends one, the
//! next is dialled.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::Interest;

use super::port::PortStream;
use crate::asyncfd::watch;

/// The port of the connection on which the host asks, and the one on which the guest asks for ways out.
/// The host has the same numbers (src/vmm/firecracker/vsock.ts).
pub const CONTROL_PORT: u32 = 1024;
pub const EGRESS_PORT: u32 = 1025;

/// The host, as vsock(7) has it.
const HOST_CID: u32 = libc::VMADDR_CID_HOST;
/// A daemon that is not there is asked for again, at first often: it may be about to come.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A VMM that answers neither way: Linux itself gives up after 2 s.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Vsock {
    port: u32,
}

impl Vsock {
    pub fn new(port: u32) -> Vsock {
        Vsock { port }
    }

    /// A stream to the host, once one listens.
    pub async fn next_stream(&self) -> io::Result<PortStream> {
        let mut pause = FIRST_PAUSE;
        loop {
            match tokio::time::timeout(PATIENCE, dial(self.port)).await {
                Ok(Ok(stream)) => return Ok(stream),
                // A kernel without vsock never will have it: that is said, not retried in silence.
                Ok(Err(error)) if is_lasting(&error) => return Err(error),
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::ENODEV | libc::EPERM | libc::EACCES)
    )
}

async fn dial(port: u32) -> io::Result<PortStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let family = AddressFamily::from_raw(libc::AF_VSOCK as u16);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    let is_under_way = match connect(&socket, port) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
        Err(error) => return Err(error),
    };
    let watched = watch(socket, Interest::READABLE | Interest::WRITABLE)?;
    if is_under_way {
        // Ready to be written to, or refused; what a refusal was is the socket's error.
        let _ = watched.writable().await?;
        sockopt::socket_error(watched.get_ref())??;
    }
    PortStream::of_socket(watched)
}

fn connect(socket: &OwnedFd, port: u32) -> io::Result<()> {
    // SAFETY: all bytes zero is a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = HOST_CID;
    address.svm_port = port;
    // SAFETY: an open socket, and an address of the size that is told.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_vm>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
