//! Buffers around the byte stream. A virtio port turns each `write` into one transfer of at most 32 KiB and
//! an exit to the VMM, so what one turn of the connection produces is gathered and written together.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that a virtio port takes in one `write`.
const WRITE_BYTES: usize = 32 * 1024;
/// Small reads (the handshake's) go through a buffer of this size.
const READ_AHEAD_BYTES: usize = 4096;

struct Buffers<S> {
    stream: S,
    out: Vec<u8>,
    /// How much of `out` has been written.
    out_done: usize,
    ahead: Vec<u8>,
    ahead_done: usize,
    /// While set, `poll_flush` keeps the bytes: the owner calls `poll_flush_now` at the end of its turn.
    is_flush_deferred: bool,
}

/// Clones share the stream: HTTP/2 owns one, the session flushes through another.
pub struct Wire<S>(Rc<RefCell<Buffers<S>>>);

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Wire(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Wire(Rc::new(RefCell::new(Buffers {
            stream,
            out: Vec::with_capacity(WRITE_BYTES),
            out_done: 0,
            ahead: Vec::new(),
            ahead_done: 0,
            is_flush_deferred: false,
        })))
    }

    pub fn defer_flushes(&self) {
        self.0.borrow_mut().is_flush_deferred = true;
    }

    pub fn poll_flush_now(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.0.borrow_mut();
        ready!(buffers.poll_drain(cx))?;
        Pin::new(&mut buffers.stream).poll_flush(cx)
    }
}

impl<S: AsyncWrite + Unpin> Buffers<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out_done < self.out.len() {
            let rest = &self.out[self.out_done..];
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out_done += written;
        }
        self.out.clear();
        self.out_done = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes what fits; a full buffer is written first.
    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.out.len() == WRITE_BYTES {
            ready!(self.poll_drain(cx))?;
        }
        let taken = bytes.len().min(WRITE_BYTES - self.out.len());
        self.out.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let buffers = &mut *self.0.borrow_mut();
        let has_ahead = buffers.ahead_done < buffers.ahead.len();
        if !has_ahead && into.remaining() >= READ_AHEAD_BYTES {
            return Pin::new(&mut buffers.stream).poll_read(cx, into);
        }
        if !has_ahead {
            buffers.ahead.resize(READ_AHEAD_BYTES, 0);
            // Until the read succeeds there is nothing ahead.
            buffers.ahead_done = READ_AHEAD_BYTES;
            let mut fresh = ReadBuf::new(&mut buffers.ahead);
            ready!(Pin::new(&mut buffers.stream).poll_read(cx, &mut fresh))?;
            let filled = fresh.filled().len();
            buffers.ahead.truncate(filled);
            buffers.ahead_done = 0;
        }
        let rest = &buffers.ahead[buffers.ahead_done..];
        let taken = rest.len().min(into.remaining());
        into.put_slice(&rest[..taken]);
        buffers.ahead_done += taken;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.0.borrow_mut();
        let mut total = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            match buffers.poll_take(cx, slice) {
                Poll::Ready(Ok(taken)) => {
                    total += taken;
                    if taken < slice.len() {
                        break;
                    }
                }
                // What was taken is reported first; the failure or wait comes again with the next call.
                _ if total > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.borrow().is_flush_deferred {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_now(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush_now(cx))?;
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}
