//! A command's standard input: the write end of a pipe, or its terminal.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::termios::{LocalModes, SpecialCodeIndex};
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

enum Sink {
    Closed,
    Pipe(AsyncFd<OwnedFd>),
    Terminal(Rc<AsyncFd<OwnedFd>>),
}

/// Several requests may write; each write is whole before the next begins.
pub struct Stdin {
    sink: Mutex<Sink>,
    written: Cell<u64>,
    is_offered: bool,
}

impl Stdin {
    pub fn none() -> Self {
        Stdin::of(Sink::Closed, false)
    }

    pub fn pipe(fd: AsyncFd<OwnedFd>) -> Self {
        Stdin::of(Sink::Pipe(fd), true)
    }

    pub fn terminal(fd: Rc<AsyncFd<OwnedFd>>) -> Self {
        Stdin::of(Sink::Terminal(fd), true)
    }

    fn of(sink: Sink, is_offered: bool) -> Self {
        Stdin {
            sink: Mutex::new(sink),
            written: Cell::new(0),
            is_offered,
        }
    }

    /// Whether the command was started with an input to write to.
    pub fn is_offered(&self) -> bool {
        self.is_offered
    }

    /// Bytes that the pipe or terminal took.
    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Waits while the command does not read. Once it cannot read any more, bytes are discarded.
    pub async fn write(&self, mut bytes: &[u8]) {
        let mut sink = self.sink.lock().await;
        while !bytes.is_empty() {
            let fd = match &*sink {
                Sink::Closed => return,
                Sink::Pipe(fd) => fd,
                Sink::Terminal(fd) => fd,
            };
            let Ok(mut ready) = fd.writable().await else {
                *sink = Sink::Closed;
                return;
            };
            match rustix::io::write(fd.get_ref(), bytes) {
                Ok(count) => {
                    self.written.set(self.written.get() + count as u64);
                    bytes = &bytes[count..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !ready.ready().is_write_closed() => ready.clear_ready(),
                // EPIPE, or EIO of a terminal: nobody reads this any more.
                Err(_) => {
                    drop(ready);
                    *sink = Sink::Closed;
                }
            }
        }
    }

    /// A pipe is closed. A terminal stays open; one in line mode is given its end-of-file character.
    pub async fn close(&self) {
        let mut sink = self.sink.lock().await;
        if let Sink::Terminal(fd) = &*sink {
            if let Ok(modes) = rustix::termios::tcgetattr(fd.get_ref())
                && modes.local_modes.contains(LocalModes::ICANON)
            {
                let end = modes.special_codes[SpecialCodeIndex::VEOF];
                // A terminal whose input is full cannot take it; the program reads the rest first anyway.
                let _ = rustix::io::write(fd.get_ref(), &[end]);
            }
            return;
        }
        *sink = Sink::Closed;
    }
}
