//! The two bodies of a request, with HTTP/2's flow control: bytes are acknowledged when they are taken, and
//! sent only as far as the window allows.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Response, StatusCode};

use crate::error::{Code, Error, Result};

const MAX_JSON_BYTES: usize = 1 << 20;

/// The stream was reset, or the connection is lost: nobody is there to answer.
#[derive(Debug)]
pub struct Gone;

pub struct Incoming {
    stream: RecvStream,
}

impl Incoming {
    pub fn new(stream: RecvStream) -> Self {
        Incoming { stream }
    }

    /// The next bytes; `None` at the orderly end.
    pub async fn chunk(&mut self) -> std::result::Result<Option<Bytes>, Gone> {
        loop {
            match self.stream.data().await {
                Some(Ok(bytes)) => {
                    // Fails only for a stream that is over, and the next read says so.
                    let _ = self.stream.flow_control().release_capacity(bytes.len());
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(_)) => return Err(Gone),
                None => return Ok(None),
            }
        }
    }

    /// The next bytes, and with them what has come already, in as many pieces as it came in, until there are `enough`; `None` at the orderly end.
    pub async fn chunks(
        &mut self,
        enough: usize,
    ) -> std::result::Result<Option<VecDeque<Bytes>>, Gone> {
        let Some(first) = self.chunk().await? else {
            return Ok(None);
        };
        let mut length = first.len();
        let mut chunks = VecDeque::from([first]);
        while length < enough {
            let next = poll_fn(|cx| Poll::Ready(pin!(self.chunk()).poll(cx))).await;
            // An end, or a break, comes again when it is asked for.
            let Poll::Ready(Ok(Some(bytes))) = next else {
                break;
            };
            length += bytes.len();
            chunks.push_back(bytes);
        }
        Ok(Some(chunks))
    }

    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut all = BytesMut::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) if all.len() + chunk.len() > MAX_JSON_BYTES => {
                    return Err(Error::new(Code::TooLarge, "the body is longer than 1 MiB"));
                }
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(Gone) => return Err(Error::invalid("the request was cancelled")),
            }
        }
        // No body is an empty object: every key is optional in most requests.
        let text: &[u8] = if all.is_empty() { b"{}" } else { &all };
        serde_json::from_slice(text).map_err(|error| Error::invalid(format!("body: {error}")))
    }

    /// Lets a polite host end its side before the stream is dropped, which would reset it.
    pub async fn linger(mut self) {
        let patience = std::time::Duration::from_millis(250);
        // Not acknowledged, so at most a window comes.
        let rest = async { while let Some(Ok(_)) = self.stream.data().await {} };
        let _ = tokio::time::timeout(patience, rest).await;
    }
}

pub struct Outgoing {
    stream: SendStream<Bytes>,
}

impl From<SendStream<Bytes>> for Outgoing {
    fn from(stream: SendStream<Bytes>) -> Self {
        Outgoing { stream }
    }
}

impl Outgoing {
    /// Sends the head of a byte stream's answer.
    pub fn start(respond: &mut SendResponse<Bytes>) -> std::result::Result<Self, Gone> {
        Outgoing::with_head(respond, Response::new(()))
    }

    pub fn with_head(
        respond: &mut SendResponse<Bytes>,
        mut head: Response<()>,
    ) -> std::result::Result<Self, Gone> {
        let kind = http::HeaderValue::from_static("application/octet-stream");
        head.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        match respond.send_response(head, false) {
            Ok(stream) => Ok(Outgoing { stream }),
            Err(_) => Err(Gone),
        }
    }

    /// Waits until some bytes may be sent, and returns how many (at most `wanted`).
    pub async fn wait_capacity(&mut self, wanted: usize) -> std::result::Result<usize, Gone> {
        self.stream.reserve_capacity(wanted);
        loop {
            let capacity = self.stream.capacity();
            if capacity > 0 {
                return Ok(capacity.min(wanted));
            }
            match poll_fn(|cx| self.stream.poll_capacity(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Gone),
            }
        }
    }

    pub async fn send(&mut self, mut bytes: Bytes) -> std::result::Result<(), Gone> {
        while !bytes.is_empty() {
            let capacity = self.wait_capacity(bytes.len()).await?;
            let part = bytes.split_to(capacity.min(bytes.len()));
            self.stream.send_data(part, false).map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Sends the last bytes, which may be none, and ends the answer.
    pub async fn finish(&mut self, mut bytes: Bytes) -> std::result::Result<(), Gone> {
        while !bytes.is_empty() {
            let capacity = self.wait_capacity(bytes.len()).await?;
            let part = bytes.split_to(capacity.min(bytes.len()));
            let is_last = bytes.is_empty();
            self.stream.send_data(part, is_last).map_err(|_| Gone)?;
            if is_last {
                return Ok(());
            }
        }
        self.stream.send_data(Bytes::new(), true).map_err(|_| Gone)
    }

    pub fn reset(&mut self, reason: h2::Reason) {
        self.stream.send_reset(reason);
    }

    /// Returns when the host has reset the stream or is gone.
    pub async fn wait_reset(&mut self) {
        let _ = poll_fn(|cx| self.stream.poll_reset(cx)).await;
    }
}

/// Sends a whole answer.
pub async fn answer(respond: &mut SendResponse<Bytes>, status: StatusCode, body: Vec<u8>) {
    let mut head = Response::new(());
    *head.status_mut() = status;
    if body.is_empty() {
        let _ = respond.send_response(head, true);
        return;
    }
    let kind = http::HeaderValue::from_static("application/json");
    head.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    let length = http::HeaderValue::from(body.len());
    head.headers_mut()
        .insert(http::header::CONTENT_LENGTH, length);
    let Ok(stream) = respond.send_response(head, false) else {
        return;
    };
    // A failure means that nobody listens any more.
    let _ = Outgoing { stream }.finish(Bytes::from(body)).await;
}

pub async fn answer_error(respond: &mut SendResponse<Bytes>, error: &Error) {
    answer(respond, error.code.status(), error.to_json()).await;
}
