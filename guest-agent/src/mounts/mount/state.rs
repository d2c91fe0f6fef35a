//! What is known of a mount, and the order in which its host is asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::kernel::Reply;
use super::super::nodes::Nodes;
use super::super::protocol::Op;
use super::directory::Directory;
use super::handles::Handles;

/// How long a request waits for a host that is not there. A daemon's restart takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that are under way at the host at once.
const MAX_UNDER_WAY: usize = 64;

#[derive(Default)]
pub struct State {
    pub nodes: Nodes,
    pub handles: Handles,
    pub directories: HashMap<u64, Directory>,
    waiting: BTreeMap<u64, Waiting>,
    /// To be sent, in this order.
    queue: VecDeque<u64>,
    /// What has to be open again before anything else is asked.
    reopening: VecDeque<u64>,
    still_reopening: usize,
    under_way: usize,
    last_id: u64,
    /// Counts; the newest is the one that holds.
    attachments: u64,
    is_attached: bool,
    is_refused: bool,
    is_swept: bool,
}

pub struct Waiting {
    pub op: Op,
    pub reply: Reply,
    is_sent: bool,
    /// An earlier attachment ended without the answer: the host may have done it already.
    is_retry: bool,
    /// When it began to wait for a host, or for the answer.
    since: Instant,
}

pub enum Next {
    Frame(Bytes),
    Failed(Reply, i32),
    Nothing,
}

impl State {
    pub fn is_attached(&self) -> bool {
        self.is_attached
    }

    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    pub fn is_newest(&self, attachment: u64) -> bool {
        self.attachments == attachment
    }

    pub fn enqueue(&mut self, op: Op, reply: Reply) {
        let id = self.wait_for(op, reply);
        self.queue.push_back(id);
    }

    fn wait_for(&mut self, op: Op, reply: Reply) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.waiting.insert(
            id,
            Waiting {
                op,
                reply,
                is_sent: false,
                is_retry: false,
                since: Instant::now(),
            },
        );
        id
    }

    /// A host is there from now on. The number of its attachment.
    pub fn attach(&mut self) -> u64 {
        self.attachments += 1;
        self.is_attached = true;
        self.is_refused = false;
        self.under_way = 0;
        // What an attachment before this one was opening again is opened by this one; the host that had things open is gone.
        self.waiting
            .retain(|_, one| !matches!(one.reply, Reply::Reopened | Reply::Nobody));
        for one in self.waiting.values_mut() {
            one.is_retry |= std::mem::replace(&mut one.is_sent, false);
        }
        self.queue = self.waiting.keys().copied().collect();
        let open = self.handles.openings();
        self.reopening.clear();
        self.still_reopening = open.len();
        for op in open {
            let id = self.wait_for(op, Reply::Reopened);
            self.reopening.push_back(id);
        }
        self.attachments
    }

    /// What waits has to wait for another host.
    pub fn detach(&mut self) {
        self.is_attached = false;
        let now = Instant::now();
        for one in self.waiting.values_mut() {
            one.since = now;
        }
    }

    /// All that waits is given up, and what is asked from now on; no attachment holds.
    pub fn refuse(&mut self) -> BTreeMap<u64, Waiting> {
        self.is_refused = true;
        self.is_attached = false;
        self.attachments += 1;
        self.queue.clear();
        self.reopening.clear();
        self.take_waiting()
    }

    pub fn take_waiting(&mut self) -> BTreeMap<u64, Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Something waits for a host, and nobody sees to it that it does not wait for ever. From now on, whoever asks does.
    pub fn begins_sweep(&mut self) -> bool {
        let has_to_wait = !self.is_attached && !self.waiting.is_empty();
        has_to_wait && !std::mem::replace(&mut self.is_swept, true)
    }

    /// There is nothing to see to any more.
    pub fn ends_sweep(&mut self) -> bool {
        let is_over = self.is_attached || self.waiting.is_empty();
        if is_over {
            self.is_swept = false;
        }
        is_over
    }

    /// What has waited too long, while no host is there.
    pub fn take_overdue(&mut self) -> Vec<Waiting> {
        if self.is_attached {
            return Vec::new();
        }
        let now = Instant::now();
        let is_overdue = |one: &Waiting| now.duration_since(one.since) >= PATIENCE;
        self.waiting
            .extract_if(.., |_, one| is_overdue(one))
            .map(|(_, one)| one)
            .collect()
    }

    pub fn next_frame(&mut self) -> Next {
        if self.under_way >= MAX_UNDER_WAY {
            return Next::Nothing;
        }
        let id = match self.reopening.pop_front() {
            Some(id) => id,
            None if self.still_reopening > 0 => return Next::Nothing,
            None => match self.queue.pop_front() {
                Some(id) => id,
                None => return Next::Nothing,
            },
        };
        let Some(one) = self.waiting.get_mut(&id) else {
            // It has been given up.
            return Next::Failed(Reply::Nobody, 0);
        };
        match one.op.encode(id, one.is_retry, &self.nodes) {
            Ok(frame) => {
                one.is_sent = true;
                self.under_way += 1;
                Next::Frame(frame)
            }
            Err(_) => self.fail_nameless(id),
        }
    }

    /// What it was about has been unlinked.
    fn fail_nameless(&mut self, id: u64) -> Next {
        let Some(one) = self.waiting.remove(&id) else {
            return Next::Nothing;
        };
        if matches!(one.reply, Reply::Reopened) {
            self.still_reopening = self.still_reopening.saturating_sub(1);
            self.handles.lose(&one.op);
        }
        Next::Failed(one.reply, libc::ESTALE)
    }

    /// The request of an answer. None: nobody waits for it any more, or it was never sent.
    pub fn take_answered(&mut self, id: u64) -> Option<Waiting> {
        let one = self.waiting.remove(&id)?;
        if one.is_sent {
            self.under_way = self.under_way.saturating_sub(1);
        }
        if matches!(one.reply, Reply::Reopened) {
            self.still_reopening = self.still_reopening.saturating_sub(1);
        }
        Some(one)
    }
}
