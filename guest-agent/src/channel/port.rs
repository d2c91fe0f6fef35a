//! A virtio-serial port to the host: `agent.control`, or `agent.egress`.
//!
//! The port is never closed: the host comes and goes. `read() == 0` and EPOLLHUP mean that it is away.
//! tokio never forgets a hang-up of a registered descriptor, so each attachment registers a duplicate of its
//! own, and any hang-up ends the attachment. The wait for the host is an edge-triggered epoll that the runtime
//! watches: tokio would report the hang-up that lasts for ever, the inner epoll reports it once.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::fs::{Mode, OFlags};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::asyncfd::watch;

const PORTS: &str = "/sys/class/virtio-ports";

pub struct Port {
    fd: OwnedFd,
}

impl Port {
    /// Waits for the port to appear, at most `patience`: the driver finds it a little after it is loaded.
    pub fn open(name: &str, patience: Duration) -> io::Result<Port> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(path) = find_device(name) {
                match rustix::fs::open(
                    &path,
                    OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC,
                    Mode::empty(),
                ) {
                    Ok(fd) => return Ok(Port { fd }),
                    // devtmpfs may be a moment behind sysfs.
                    Err(rustix::io::Errno::NOENT | rustix::io::Errno::NXIO) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("no virtio port is named {name}"),
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A stream to the host, once one is there.
    pub async fn next_stream(&self) -> io::Result<PortStream> {
        self.wait_for_host().await?;
        self.attach()
    }

    /// Returns once a host is there. Ready for a snapshot meanwhile: no thread waits, and no timer runs.
    async fn wait_for_host(&self) -> io::Result<()> {
        if !is_hung_up(self.fd.as_fd())? {
            return Ok(());
        }
        let edges = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Registered before the check below: an arrival in between is an edge that the wait returns. An arrival
        // by itself is no event; what it changes is that the port can be written to.
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&edges, &self.fd, epoll::EventData::new_u64(0), events)?;
        let edges = watch(edges, Interest::READABLE)?;
        while is_hung_up(self.fd.as_fd())? {
            let mut ready = edges.readable().await?;
            take_edges(edges.get_ref().as_fd())?;
            ready.clear_ready();
        }
        Ok(())
    }

    /// A fresh registration for one attachment.
    fn attach(&self) -> io::Result<PortStream> {
        let fd = watch(
            self.fd.try_clone()?,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(PortStream::new(fd))
    }
}

fn find_device(wanted: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(PORTS).ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == wanted {
            return Some(Path::new("/dev").join(entry.file_name()));
        }
    }
    None
}

fn is_hung_up(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&rustix::time::Timespec::default()))?;
    Ok(fds[0].revents().contains(PollFlags::HUP))
}

fn take_edges(edges: BorrowedFd<'_>) -> io::Result<()> {
    let mut events = Vec::with_capacity(4);
    let at_once = rustix::time::Timespec::default();
    match epoll::wait(
        edges,
        rustix::buffer::spare_capacity(&mut events),
        Some(&at_once),
    ) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One attachment's bytes: of a port, or of anything else that is read and written like one.
pub struct PortStream {
    fd: AsyncFd<OwnedFd>,
    /// Of a socket: an epoll that can be read from once the socket has an error.
    errors: Option<AsyncFd<OwnedFd>>,
}

impl PortStream {
    pub fn new(fd: AsyncFd<OwnedFd>) -> PortStream {
        PortStream { fd, errors: None }
    }

    /// The bytes of a connection. A VMM that saves its machine resets all of them, of which Linux says no more than that there is an
    /// error: EPOLLERR, but neither EPOLLIN nor EPOLLHUP (vsock_poll in net/vmw_vsock/af_vsock.c), which wakes no reader of tokio's.
    pub fn of_socket(fd: AsyncFd<OwnedFd>) -> io::Result<PortStream> {
        let errors = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Errors and hang-ups are told of whatever is asked for, so nothing is.
        let nothing = epoll::EventFlags::empty();
        epoll::add(&errors, fd.get_ref(), epoll::EventData::new_u64(0), nothing)?;
        let errors = Some(watch(errors, Interest::READABLE)?);
        Ok(PortStream { fd, errors })
    }

    /// Ready to be read from. A socket's error that has left nothing to read is an error of this.
    fn poll_readable(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, OwnedFd>>> {
        if let Poll::Ready(guard) = self.fd.poll_read_ready(cx) {
            return Poll::Ready(guard);
        }
        let Some(errors) = &self.errors else {
            return Poll::Pending;
        };
        let _ = ready!(errors.poll_read_ready(cx))?;
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncRead for PortStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.poll_readable(cx))?;
            let before = into.filled().len();
            // One read returns at most one of the driver's page-sized buffers: go on while there is room.
            while into.remaining() > 0 {
                match rustix::io::read(self.fd.as_fd(), into.initialize_unfilled()) {
                    // The host is away: the end of this attachment.
                    Ok(0) => return Poll::Ready(Ok(())),
                    Ok(count) => into.advance(count),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => {
                        // It went and came back between two looks. tokio would report the hang-up for ever.
                        if guard.ready().is_read_closed() {
                            return Poll::Ready(Ok(()));
                        }
                        guard.clear_ready();
                        break;
                    }
                    Err(error) => return Poll::Ready(Err(error.into())),
                }
            }
            if into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match rustix::io::write(self.fd.as_fd(), bytes) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    if guard.ready().is_write_closed() {
                        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                    }
                    guard.clear_ready();
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, Interest};

    use super::PortStream;
    use crate::asyncfd::watch;

    /// A socket with an error and nothing else to tell, as a vsock connection is that was reset: UDP's, once nobody is found at the other end.
    #[tokio::test]
    async fn a_reader_is_woken_by_an_error_that_leaves_nothing_to_read() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gone.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let sender = socket.try_clone().unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = watch(socket.into(), interest).unwrap();
        let mut stream = PortStream::of_socket(watched).unwrap();
        let reading = tokio::spawn(async move { stream.read(&mut [0; 8]).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!reading.is_finished());
        drop(gone);
        sender.send(b"hello").unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), reading).await;
        assert!(ended.expect("nobody was woken").unwrap().is_err());
    }
}
