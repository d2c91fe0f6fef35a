//! One attachment: handshake, then HTTP/2 until the stream ends in whatever way.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::routes;
use crate::agent::Agent;
use crate::channel::handshake;
use crate::channel::wire::Wire;

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const MAX_STREAMS: u32 = 256;
/// A window for each stream: those that nobody reads can never use up the connection's, which would stall the
/// others. Memory is used for what is under way only.
const CONNECTION_WINDOW_BYTES: u32 = MAX_STREAMS * STREAM_WINDOW_BYTES;
const MAX_FRAME_BYTES: u32 = 64 << 10;
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// Per stream; enough to keep the port busy while the runtime does something else.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Returns when the attachment is over. Nothing that happens here may end the agent.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(agent: &Rc<Agent>, stream: S) {
    let mut wire = Wire::new(stream);
    if !matches!(handshake::greet(&mut wire).await, Ok(true)) {
        return;
    }
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake(wire.clone());
    let Ok(mut connection) = handshake.await else {
        return;
    };
    wire.defer_flushes();
    // Dropped at the end: a request of a lost connection is cancelled, which detaches its command.
    let mut requests = JoinSet::new();
    loop {
        let next = poll_fn(|cx| match connection.poll_accept(cx) {
            Poll::Pending => match wire.poll_flush_now(cx) {
                Poll::Ready(Err(_)) => Poll::Ready(None),
                _ => Poll::Pending,
            },
            ready => ready,
        });
        match next.await {
            Some(Ok((request, respond))) => {
                requests.spawn_local(routes::handle(Rc::clone(agent), request, respond));
                while requests.try_join_next().is_some() {}
            }
            Some(Err(_)) | None => break,
        }
    }
    // A GOAWAY, say. The host may be gone already, or not read.
    let _ = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        poll_fn(|cx| wire.poll_flush_now(cx)),
    )
    .await;
}
