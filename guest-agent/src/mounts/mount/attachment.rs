//! A host that serves a mount: requests go to it, answers come back, until either end has enough.

use std::rc::Rc;

use bytes::Bytes;

use super::super::protocol::{Answers, Malformed};
use super::Mount;
use super::state::Next;
use crate::http::body::{Gone, Incoming, Outgoing};

#[derive(PartialEq, Eq)]
enum Ended {
    Left,
    Malformed,
}

impl Mount {
    /// Serves the kernel by the host at the other end of these bodies, until either ends. True: it was the mount's end.
    pub async fn attach(self: &Rc<Self>, body: &mut Incoming, out: &mut Outgoing) -> bool {
        let attachment = self.state.borrow_mut().attach();
        self.wake.notify_waiters();
        let ended = {
            let answers = self.read_answers(attachment, body);
            let requests = self.send_requests(attachment, out);
            tokio::pin!(answers, requests);
            tokio::select! {
                ended = answers => ended,
                ended = requests => ended,
            }
        };
        self.detach(attachment);
        if self.has_ended.get() {
            let _ = out.finish(Bytes::new()).await;
            return true;
        }
        if ended == Ended::Malformed {
            out.reset(h2::Reason::PROTOCOL_ERROR);
        } else {
            out.reset(h2::Reason::CANCEL);
        }
        false
    }

    fn detach(self: &Rc<Self>, attachment: u64) {
        let mut state = self.state.borrow_mut();
        if !state.is_newest(attachment) {
            return;
        }
        state.detach();
        drop(state);
        self.begin_sweep();
    }

    fn is_over(&self, attachment: u64) -> bool {
        self.has_ended.get() || !self.state.borrow().is_newest(attachment)
    }

    async fn send_requests(&self, attachment: u64, out: &mut Outgoing) -> Ended {
        loop {
            // Before looking, so that no notice is missed.
            let notice = self.wake.notified();
            tokio::pin!(notice);
            notice.as_mut().enable();
            if self.is_over(attachment) {
                return Ended::Left;
            }
            let next = self.state.borrow_mut().next_frame();
            match next {
                Next::Frame(frame) => {
                    tokio::select! {
                        sent = out.send(frame) => if sent.is_err() {
                            return Ended::Left;
                        },
                        // A host that has gone away takes nothing any more.
                        () = self.until_over(attachment) => return Ended::Left,
                    }
                }
                Next::Failed(reply, errno) => reply.fail(errno),
                Next::Nothing => {
                    tokio::select! {
                        () = &mut notice => {}
                        () = out.wait_reset() => return Ended::Left,
                    }
                }
            }
        }
    }

    async fn until_over(&self, attachment: u64) {
        loop {
            let notice = self.wake.notified();
            tokio::pin!(notice);
            notice.as_mut().enable();
            if self.is_over(attachment) {
                return;
            }
            notice.await;
        }
    }

    async fn read_answers(self: &Rc<Self>, attachment: u64, body: &mut Incoming) -> Ended {
        let mut answers = Answers::default();
        loop {
            match body.chunk().await {
                Ok(Some(bytes)) => answers.push(&bytes),
                Ok(None) | Err(Gone) => return Ended::Left,
            }
            if self.is_over(attachment) {
                return Ended::Left;
            }
            loop {
                match answers.next() {
                    Ok(Some(answer)) => {
                        if self.complete(answer).is_err() {
                            return Ended::Malformed;
                        }
                    }
                    Ok(None) => break,
                    Err(Malformed) => return Ended::Malformed,
                }
            }
            self.wake.notify_waiters();
        }
    }
}
