//! The connection to the host: attached by the same lines as the other port's, with the roles of HTTP/2 swapped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Egress, Sender};
use crate::channel::wire::Wire;
use crate::channel::{HostEnd, handshake};

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// A window for each flow that there may be: those that nobody reads must not stall the others. Memory is used for what is under way only.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;
const MAX_FRAME_BYTES: u32 = 64 << 10;
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// How long a question waits for a host that is about to come: a daemon that has just been started again.
const HOST_PATIENCE: Duration = Duration::from_secs(3);

/// Serves the port for ever: whatever ends a connection, the next one is waited for.
pub async fn serve(egress: Rc<Egress>, port: HostEnd) {
    loop {
        match port.next_stream().await {
            Ok(stream) => run(&egress, stream).await,
            // An error that lasts must not become a spin.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// One attachment, to its end.
async fn run<S: AsyncRead + AsyncWrite + Unpin>(egress: &Egress, stream: S) {
    let mut wire = Wire::new(stream);
    if !matches!(handshake::greet(&mut wire).await, Ok(true)) {
        return;
    }
    let handshake = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .enable_push(false)
        .handshake::<_, Bytes>(wire.clone());
    let Ok((sender, connection)) = handshake.await else {
        return;
    };
    wire.defer_flushes();
    egress.host.send_replace(Some(sender));
    let mut connection = pin!(connection);
    poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => match wire.poll_flush_now(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        },
    })
    .await;
    egress.host.send_replace(None);
}

/// The host's end, once it is there; `None` when it does not come.
pub async fn host(egress: &Egress) -> Option<Sender> {
    let mut watched = egress.host.subscribe();
    let arrival = async {
        let found = watched.wait_for(Option::is_some).await.ok()?;
        found.clone()
    };
    let sender = tokio::time::timeout(HOST_PATIENCE, arrival).await.ok()??;
    sender.ready().await.ok()
}
