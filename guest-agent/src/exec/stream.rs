//! The duplex requests: frames of the host go to stdin while the spool is sent back.

use std::rc::Rc;

use bytes::BufMut;
use h2::server::SendResponse;
use serde_json::json;

use super::Exec;
use super::registry::Registry;
use super::spec::Spec;
use super::spool::FollowerId;
use crate::error::{Error, Result};
use crate::frame::{self, Decoder, Frame};
use crate::http::body::{Gone, Incoming, Outgoing};
use bytes::Bytes;

/// The most output in one frame: large enough to make headers cheap, small enough to be fair.
const MAX_OUTPUT_BYTES: usize = 64 << 10;

pub struct FollowOptions {
    pub from: u64,
    /// End when what the spool holds now has been sent, even if the command runs.
    pub is_snapshot: bool,
}

/// `POST /v1/exec`.
pub async fn run(
    registry: &Rc<Registry>,
    mut body: Incoming,
    respond: SendResponse<Bytes>,
) -> (SendResponse<Bytes>, Incoming, Result<()>) {
    let mut decoder = Decoder::default();
    let exec = match read_spec(&mut decoder, &mut body).await {
        Ok(spec) => registry.start(spec).await,
        Err(error) => Err(error),
    };
    match exec {
        Ok(exec) => {
            let input = Input {
                decoder,
                body,
                is_attach: false,
            };
            let options = FollowOptions {
                from: 0,
                is_snapshot: false,
            };
            duplex(exec, input, options, respond).await
        }
        Err(error) => (respond, body, Err(error)),
    }
}

/// `POST /v1/execs/ID/attach`.
pub async fn attach(
    exec: Rc<Exec>,
    body: Incoming,
    options: FollowOptions,
    respond: SendResponse<Bytes>,
) -> (SendResponse<Bytes>, Incoming, Result<()>) {
    let end = exec.spool.borrow().end();
    if options.from > end {
        let message = format!("from={} is beyond the {end} bytes of output", options.from);
        return (respond, body, Err(Error::invalid(message)));
    }
    let input = Input {
        decoder: Decoder::default(),
        body,
        is_attach: true,
    };
    duplex(exec, input, options, respond).await
}

async fn read_spec(decoder: &mut Decoder, body: &mut Incoming) -> Result<Spec> {
    loop {
        match decoder.next()? {
            Some(Frame {
                kind: frame::SPEC,
                payload,
            }) => return Spec::parse(&payload),
            Some(_) => return Err(Error::invalid("the first frame is not SPEC")),
            None => {}
        }
        match body.chunk().await {
            Ok(Some(chunk)) => decoder.push(chunk),
            Ok(None) => return Err(Error::invalid("the body ended before SPEC was whole")),
            Err(Gone) => return Err(Error::invalid("the request was cancelled")),
        }
    }
}

async fn duplex(
    exec: Rc<Exec>,
    mut input: Input,
    options: FollowOptions,
    mut respond: SendResponse<Bytes>,
) -> (SendResponse<Bytes>, Incoming, Result<()>) {
    // From here on the follower holds its place, so that no output is lost before it is sent.
    let mut follower = Follower::new(Rc::clone(&exec), options);
    let Ok(mut out) = Outgoing::start(&mut respond) else {
        return (respond, input.body, Ok(()));
    };
    let is_bad = tokio::select! {
        biased;
        bad = input.forward(&exec) => bad,
        _ = follower.send_all(&mut out) => false,
    };
    if is_bad {
        out.reset(h2::Reason::PROTOCOL_ERROR);
    }
    (respond, input.body, Ok(()))
}

struct Input {
    decoder: Decoder,
    body: Incoming,
    is_attach: bool,
}

impl Input {
    /// Returns only when the host broke the rules (`true`) or went away (`false`).
    async fn forward(&mut self, exec: &Exec) -> bool {
        let mut has_frames = false;
        loop {
            loop {
                match self.decoder.next() {
                    Ok(None) => break,
                    Ok(Some(Frame {
                        kind: frame::STDIN,
                        payload,
                    })) => {
                        if !exec.stdin.is_offered() {
                            return true;
                        }
                        exec.stdin.write(&payload).await;
                    }
                    Ok(Some(Frame {
                        kind: frame::STDIN_EOF,
                        ..
                    })) => exec.stdin.close().await,
                    Ok(Some(_)) | Err(_) => return true,
                }
                has_frames = true;
            }
            match self.body.chunk().await {
                Ok(Some(chunk)) => self.decoder.push(chunk),
                Ok(None) if !self.decoder.is_between_frames() => return true,
                Ok(None) => {
                    // A mere reader that attaches with an empty body must not close what another one feeds.
                    if has_frames || !self.is_attach {
                        exec.stdin.close().await;
                    }
                    std::future::pending::<()>().await;
                }
                Err(Gone) => return false,
            }
        }
    }
}

struct Follower {
    exec: Rc<Exec>,
    id: FollowerId,
    from: u64,
    cursor: u64,
    /// Where a snapshot ends.
    until: Option<u64>,
}

impl Follower {
    fn new(exec: Rc<Exec>, options: FollowOptions) -> Self {
        let mut spool = exec.spool.borrow_mut();
        let cursor = options.from.max(spool.start());
        let id = spool.follow(cursor);
        let until = options.is_snapshot.then(|| spool.end());
        drop(spool);
        Follower {
            exec,
            id,
            from: options.from,
            cursor,
            until,
        }
    }

    async fn send_all(&mut self, out: &mut Outgoing) -> std::result::Result<(), Gone> {
        let exec = Rc::clone(&self.exec);
        let started = json!({
            "id": exec.id,
            "pid": exec.pid,
            "offset": self.from,
            "stdinBytes": exec.stdin.written(),
        });
        out.send(frame::json(frame::STARTED, &started)).await?;
        if self.cursor > self.from {
            let skipped = json!({ "bytes": self.cursor - self.from });
            out.send(frame::json(frame::SKIPPED, &skipped)).await?;
        }
        loop {
            let notice = exec.output.notified();
            if self.send_next(out).await? {
                continue;
            }
            if let Some(exit) = exec.exit() {
                // Output may have come between the two looks; it is always before the exit.
                if self.has_more() {
                    continue;
                }
                return out.finish(frame::json(frame::EXIT, exit.to_json())).await;
            }
            if self.until.is_some() {
                return out.finish(Bytes::new()).await;
            }
            tokio::select! {
                () = notice => {}
                () = out.wait_reset() => return Err(Gone),
            }
        }
    }

    fn limit(&self) -> u64 {
        self.until.unwrap_or(u64::MAX)
    }

    fn has_more(&self) -> bool {
        self.cursor < self.exec.spool.borrow().end().min(self.limit())
    }

    /// One frame of output; `false` when there is none now.
    async fn send_next(&mut self, out: &mut Outgoing) -> std::result::Result<bool, Gone> {
        if !self.has_more() {
            return Ok(false);
        }
        // Wait for the window first: what is copied out of the ring then leaves at once.
        let window = out
            .wait_capacity(frame::HEADER_BYTES + MAX_OUTPUT_BYTES)
            .await?;
        let most = window
            .saturating_sub(frame::HEADER_BYTES)
            .clamp(1, MAX_OUTPUT_BYTES)
            .min(
                (self.limit() - self.cursor)
                    .try_into()
                    .unwrap_or(usize::MAX),
            );
        let bytes = {
            let spool = self.exec.spool.borrow();
            let Some((stream, bytes)) = spool.peek(self.cursor) else {
                return Ok(false);
            };
            let bytes = &bytes[..bytes.len().min(most)];
            let mut output = frame::begin(stream, bytes.len());
            output.put_slice(bytes);
            self.cursor += bytes.len() as u64;
            output.freeze()
        };
        out.send(bytes).await?;
        self.exec.spool.borrow_mut().advance(self.id, self.cursor);
        self.exec.space.notify_waiters();
        Ok(true)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.exec.spool.borrow_mut().unfollow(self.id);
        self.exec.space.notify_waiters();
    }
}
