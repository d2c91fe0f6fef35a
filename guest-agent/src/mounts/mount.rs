//! One mount: what the kernel asks goes to the host, whoever that is at the moment, and waits while there is none.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fuser::{Errno, FileAttr, FileHandle, FileType, Generation, INodeNo};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::kernel::{Call, Listing, OPENED, Reply};
use super::nodes::{Nodes, ROOT};
use super::protocol::{Answer, Answers, Attr, Entry, Kind, Malformed, Op, Page, Statfs};
use crate::http::body::{Gone, Incoming, Outgoing};

/// How long the kernel may go by what it has been told.
const FRESH: Duration = Duration::from_secs(1);
/// How long a request waits for a host that is not there. A daemon's restart takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(1);
/// Requests that are under way at the host at once.
const MAX_UNDER_WAY: usize = 64;
const BLOCK_BYTES: u32 = 4096;
/// What a symlink holds at most.
const MAX_TARGET_BYTES: usize = 4095;
/// `.` and `..`, which the host does not list.
const DOTS: u64 = 2;

pub struct Mount {
    pub id: String,
    pub path: PathBuf,
    pub is_read_only: bool,
    state: RefCell<State>,
    /// There is something to send, or the attachment is another one.
    wake: Notify,
    has_ended: Cell<bool>,
}

#[derive(Default)]
struct State {
    nodes: Nodes,
    handles: HashMap<u64, Handle>,
    directories: HashMap<u64, Directory>,
    waiting: BTreeMap<u64, Waiting>,
    /// To be sent, in this order.
    queue: VecDeque<u64>,
    /// What has to be open again before anything else is asked.
    reopening: VecDeque<u64>,
    still_reopening: usize,
    under_way: usize,
    last_id: u64,
    last_handle: u64,
    /// Counts; the newest is the one that holds.
    attachments: u64,
    is_attached: bool,
    is_refused: bool,
    is_swept: bool,
}

struct Handle {
    node: u64,
    flags: u32,
    /// It could not be opened again.
    is_lost: bool,
}

struct Waiting {
    op: Op,
    reply: Reply,
    is_sent: bool,
    /// An earlier attachment ended without the answer: the host may have done it already.
    is_retry: bool,
    /// When it began to wait for a host, or for the answer.
    since: Instant,
}

/// What of a directory has been read ahead of its reader.
struct Directory {
    node: u64,
    /// Of the first entry, counted from the first of the host's.
    base: u64,
    entries: Vec<Entry>,
    is_last: bool,
    /// None: nothing has been read yet.
    read_at: Option<Instant>,
}

impl Mount {
    pub fn new(id: String, path: PathBuf, is_read_only: bool) -> Rc<Mount> {
        Rc::new(Mount {
            id,
            path,
            is_read_only,
            state: RefCell::default(),
            wake: Notify::new(),
            has_ended: Cell::new(false),
        })
    }

    pub fn is_attached(&self) -> bool {
        self.state.borrow().is_attached
    }

    /// The kernel has let go of it.
    pub fn end(&self) {
        self.has_ended.set(true);
        let waiting = std::mem::take(&mut self.state.borrow_mut().waiting);
        for (_, one) in waiting {
            one.reply.fail(libc::ENOTCONN);
        }
        self.wake.notify_waiters();
    }

    /// From now on nothing waits: all that is asked is EIO, until a host attaches.
    pub fn refuse(&self) {
        let waiting = {
            let mut state = self.state.borrow_mut();
            state.is_refused = true;
            state.is_attached = false;
            state.attachments += 1;
            state.queue.clear();
            state.reopening.clear();
            std::mem::take(&mut state.waiting)
        };
        for (_, one) in waiting {
            one.reply.fail(libc::EIO);
        }
        self.wake.notify_waiters();
    }

    /// One request of the kernel's.
    pub fn take(self: &Rc<Self>, call: Call) {
        match call {
            Call::Ask { op, reply } => self.ask(op, reply),
            Call::Forget { node, lookups } => self.state.borrow_mut().nodes.forget(node, lookups),
            Call::OpenDirectory { node, reply } => {
                let mut state = self.state.borrow_mut();
                let handle = state.next_handle();
                state.directories.insert(handle, Directory::new(node));
                reply.opened(FileHandle(handle), OPENED);
            }
            Call::ReadDirectory {
                node,
                handle,
                offset,
                reply,
            } => self.read_directory(node, handle, offset, reply),
            Call::CloseDirectory { handle } => {
                self.state.borrow_mut().directories.remove(&handle);
                self.release(handle);
            }
            Call::Close { handle } => {
                self.state.borrow_mut().handles.remove(&handle);
                self.release(handle);
            }
        }
    }

    fn release(self: &Rc<Self>, handle: u64) {
        // A host that is gone has let go of it already.
        if self.is_attached() {
            self.ask(Op::Release { handle }, Reply::Nobody);
        }
    }

    fn ask(self: &Rc<Self>, mut op: Op, reply: Reply) {
        let mut state = self.state.borrow_mut();
        if state.is_refused || self.has_ended.get() {
            drop(state);
            reply.fail(libc::EIO);
            return;
        }
        match &mut op {
            Op::Open { handle, .. } => *handle = state.next_handle(),
            Op::Create { handle, .. } if matches!(reply, Reply::Create(_)) => {
                *handle = state.next_handle();
            }
            // One that is lost has a name, maybe.
            Op::Getattr { node, handle }
                if state.is_lost(*handle) && state.nodes.path(*node).is_some() =>
            {
                *handle = 0;
            }
            Op::Read { handle, .. }
            | Op::Write { handle, .. }
            | Op::Fsync { handle, .. }
            | Op::Setattr { handle, .. }
                if state.is_lost(*handle) =>
            {
                drop(state);
                reply.fail(libc::EIO);
                return;
            }
            _ => {}
        }
        let id = state.enqueue(op, reply);
        state.queue.push_back(id);
        let must_sweep = !state.is_attached && !std::mem::replace(&mut state.is_swept, true);
        drop(state);
        if must_sweep {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
        self.wake.notify_waiters();
    }

    /// Gives up what has waited too long, while no host is there.
    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let mut state = self.state.borrow_mut();
            let now = Instant::now();
            let overdue: Vec<u64> = if state.is_attached {
                Vec::new()
            } else {
                let is_overdue = |one: &Waiting| now.duration_since(one.since) >= PATIENCE;
                let all = state.waiting.iter();
                all.filter(|(_, one)| is_overdue(one))
                    .map(|(id, _)| *id)
                    .collect()
            };
            let failed: Vec<Waiting> = overdue
                .iter()
                .filter_map(|id| state.waiting.remove(id))
                .collect();
            let is_over = state.is_attached || state.waiting.is_empty();
            if is_over {
                state.is_swept = false;
            }
            drop(state);
            for one in failed {
                one.reply.fail(libc::EIO);
            }
            if is_over {
                return;
            }
        }
    }

    fn read_directory(self: &Rc<Self>, node: u64, handle: u64, offset: u64, listing: Listing) {
        let mut state = self.state.borrow_mut();
        // A kernel that was restored goes on with handles that are known; another number is nobody's.
        let directory = state
            .directories
            .entry(handle)
            .or_insert_with(|| Directory::new(node));
        if offset == 0 || directory.is_before(offset) {
            // From the start: a reader that begins anew sees what is there now.
            *directory = Directory::new(node);
        }
        if directory.read_at.is_some() && directory.reaches(offset) {
            state.fill(handle, offset, listing);
            return;
        }
        let after = directory.last_name();
        drop(state);
        let op = Op::Readdir {
            node,
            handle,
            after,
        };
        self.ask(op, Reply::Page { offset, listing });
    }

    /// Serves the kernel by the host at the other end of these bodies, until either ends. True: it was the mount's end.
    pub async fn attach(self: &Rc<Self>, body: &mut Incoming, out: &mut Outgoing) -> bool {
        let attachment = self.begin();
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

    fn begin(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        state.attachments += 1;
        state.is_attached = true;
        state.is_refused = false;
        state.under_way = 0;
        // What an attachment before this one was opening again is opened by this one; the host that had things open is gone.
        state
            .waiting
            .retain(|_, one| !matches!(one.reply, Reply::Reopened | Reply::Nobody));
        for one in state.waiting.values_mut() {
            one.is_retry |= std::mem::replace(&mut one.is_sent, false);
        }
        state.queue = state.waiting.keys().copied().collect();
        let open: Vec<Op> = state
            .handles
            .iter()
            .map(|(handle, known)| Op::Open {
                node: known.node,
                handle: *handle,
                flags: known.flags,
            })
            .collect();
        state.reopening.clear();
        state.still_reopening = open.len();
        for op in open {
            let id = state.enqueue(op, Reply::Reopened);
            state.reopening.push_back(id);
        }
        self.wake.notify_waiters();
        state.attachments
    }

    fn detach(self: &Rc<Self>, attachment: u64) {
        let mut state = self.state.borrow_mut();
        if state.attachments != attachment {
            return;
        }
        state.is_attached = false;
        let now = Instant::now();
        for one in state.waiting.values_mut() {
            one.since = now;
        }
        let must_sweep = !state.waiting.is_empty() && !std::mem::replace(&mut state.is_swept, true);
        drop(state);
        if must_sweep {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    fn is_over(&self, attachment: u64) -> bool {
        self.has_ended.get() || self.state.borrow().attachments != attachment
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

    fn complete(self: &Rc<Self>, answer: Answer) -> Result<(), Malformed> {
        let mut state = self.state.borrow_mut();
        // One that nobody waits for any more, or that was never sent.
        let Some(one) = state.waiting.remove(&answer.id) else {
            return Ok(());
        };
        if one.is_sent {
            state.under_way = state.under_way.saturating_sub(1);
        }
        if matches!(one.reply, Reply::Reopened) {
            state.still_reopening = state.still_reopening.saturating_sub(1);
        }
        if answer.errno != 0 {
            if let (Reply::Reopened, Op::Open { handle, .. }) = (&one.reply, &one.op)
                && let Some(known) = state.handles.get_mut(handle)
            {
                known.is_lost = true;
            }
            drop(state);
            one.reply.fail(answer.errno);
            return Ok(());
        }
        let next = state.succeed(one, answer.payload)?;
        drop(state);
        // A reader of a directory that wants what is beyond the page.
        if let Some(Further {
            node,
            handle,
            offset,
            listing,
        }) = next
        {
            self.read_directory(node, handle, offset, listing);
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Left,
    Malformed,
}

enum Next {
    Frame(Bytes),
    Failed(Reply, i32),
    Nothing,
}

struct Further {
    node: u64,
    handle: u64,
    offset: u64,
    listing: Listing,
}

impl Directory {
    fn new(node: u64) -> Directory {
        Directory {
            node,
            base: 0,
            entries: Vec::new(),
            is_last: false,
            read_at: None,
        }
    }

    fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// Offsets count what has been given out: `.`, `..`, then the host's entries.
    fn is_before(&self, offset: u64) -> bool {
        offset >= DOTS && offset - DOTS < self.base
    }

    fn reaches(&self, offset: u64) -> bool {
        offset < DOTS || offset - DOTS < self.end() || self.is_last
    }

    fn last_name(&self) -> Vec<u8> {
        self.entries
            .last()
            .map_or_else(Vec::new, |entry| entry.name.clone())
    }
}

impl State {
    fn next_handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle
    }

    fn is_lost(&self, handle: u64) -> bool {
        handle != 0 && self.handles.get(&handle).is_some_and(|known| known.is_lost)
    }

    fn enqueue(&mut self, op: Op, reply: Reply) -> u64 {
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

    fn next_frame(&mut self) -> Next {
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
        if let (Reply::Reopened, Op::Open { handle, .. }) = (&one.reply, &one.op) {
            self.still_reopening = self.still_reopening.saturating_sub(1);
            if let Some(known) = self.handles.get_mut(handle) {
                known.is_lost = true;
            }
        }
        Next::Failed(one.reply, libc::ESTALE)
    }

    /// The host has done it: the kernel hears of it, and what is known of names changes with it.
    fn succeed(&mut self, one: Waiting, mut payload: Bytes) -> Result<Option<Further>, Malformed> {
        let failed = |reply: Reply| {
            reply.fail(libc::EIO);
            Malformed
        };
        match (one.reply, one.op) {
            (Reply::Entry(reply), op) => match Attr::take(&mut payload) {
                Ok(attr) => match self.learn(&op, &attr) {
                    Some(number) => reply.entry(
                        &FRESH,
                        &file_attr(&attr, number),
                        Generation(attr.generation),
                    ),
                    None => reply.error(Errno::EIO),
                },
                Err(Malformed) => return Err(failed(Reply::Entry(reply))),
            },
            (Reply::Attr(reply), Op::Getattr { node, .. } | Op::Setattr { node, .. }) => {
                match Attr::take(&mut payload) {
                    Ok(attr) => reply.attr(&FRESH, &file_attr(&attr, node)),
                    Err(Malformed) => return Err(failed(Reply::Attr(reply))),
                }
            }
            (Reply::Data(reply), op) => {
                let most = match op {
                    Op::Read { size, .. } => size as usize,
                    _ => MAX_TARGET_BYTES,
                };
                if payload.len() > most {
                    return Err(failed(Reply::Data(reply)));
                }
                reply.data(&payload);
            }
            (Reply::Empty(reply), op) => {
                match op {
                    Op::Unlink(place) | Op::Rmdir(place) => {
                        self.nodes.unlink(place.parent, &place.name);
                    }
                    Op::Rename { from, to } => self
                        .nodes
                        .rename((from.parent, &from.name), (to.parent, &to.name)),
                    _ => {}
                }
                reply.ok();
            }
            (
                Reply::Open(reply),
                Op::Open {
                    node,
                    handle,
                    flags,
                },
            ) => {
                self.keep(handle, node, flags);
                reply.opened(FileHandle(handle), OPENED);
            }
            (
                Reply::Create(reply),
                Op::Create {
                    place,
                    handle,
                    flags,
                    mode,
                },
            ) => match Attr::take(&mut payload) {
                Ok(attr) => {
                    let op = Op::Create {
                        place,
                        handle,
                        flags,
                        mode,
                    };
                    match self.learn(&op, &attr) {
                        Some(number) => {
                            self.keep(handle, number, flags);
                            let generation = Generation(attr.generation);
                            reply.created(
                                &FRESH,
                                &file_attr(&attr, number),
                                generation,
                                FileHandle(handle),
                                OPENED,
                            );
                        }
                        None => reply.error(Errno::EIO),
                    }
                }
                Err(Malformed) => return Err(failed(Reply::Create(reply))),
            },
            (Reply::Write(reply), Op::Write { data, .. }) => match payload.first_chunk::<4>() {
                Some(count) if u32::from_be_bytes(*count) as usize <= data.len() => {
                    reply.written(u32::from_be_bytes(*count));
                }
                _ => return Err(failed(Reply::Write(reply))),
            },
            (Reply::Statfs(reply), _) => match Statfs::take(payload) {
                Ok(all) => reply.statfs(
                    all.blocks,
                    all.free,
                    all.available,
                    all.files,
                    all.free_files,
                    all.block_size,
                    255,
                    all.block_size,
                ),
                Err(Malformed) => return Err(failed(Reply::Statfs(reply))),
            },
            (
                Reply::Page { offset, listing },
                Op::Readdir {
                    node,
                    handle,
                    after,
                },
            ) => match Page::take(payload) {
                Ok(page) => return Ok(self.turn_page(node, handle, &after, page, offset, listing)),
                Err(Malformed) => return Err(failed(Reply::Page { offset, listing })),
            },
            (Reply::Reopened | Reply::Nobody, _) => {}
            // A reply of another kind than its request is not made.
            (reply, _) => reply.fail(libc::EIO),
        }
        Ok(None)
    }

    fn learn(&mut self, op: &Op, attr: &Attr) -> Option<u64> {
        let place = match op {
            Op::Lookup(place)
            | Op::Mkdir { place, .. }
            | Op::Symlink { place, .. }
            | Op::Link { place, .. }
            | Op::Create { place, .. } => place,
            _ => return None,
        };
        if attr.number <= ROOT {
            return None;
        }
        let is_directory = attr.kind == Kind::Directory;
        self.nodes
            .learn(place.parent, &place.name, attr.number, is_directory);
        Some(attr.number)
    }

    fn keep(&mut self, handle: u64, node: u64, flags: u32) {
        // Opened again it is neither made nor emptied.
        let flags = flags & !((libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC) as u32);
        let known = Handle {
            node,
            flags,
            is_lost: false,
        };
        self.handles.insert(handle, known);
    }

    fn turn_page(
        &mut self,
        node: u64,
        handle: u64,
        after: &[u8],
        page: Page,
        offset: u64,
        listing: Listing,
    ) -> Option<Further> {
        let Some(directory) = self.directories.get_mut(&handle) else {
            listing.fail(Errno::EBADF);
            return None;
        };
        directory.base = if after.is_empty() { 0 } else { directory.end() };
        directory.entries = page.entries;
        directory.is_last = page.is_last;
        directory.read_at = Some(Instant::now());
        if directory.reaches(offset) {
            self.fill(handle, offset, listing);
            return None;
        }
        Some(Further {
            node,
            handle,
            offset,
            listing,
        })
    }

    /// Gives the kernel as much as it takes of what has been read ahead.
    fn fill(&mut self, handle: u64, offset: u64, mut listing: Listing) {
        let Some(directory) = self.directories.get(&handle) else {
            listing.fail(Errno::EBADF);
            return;
        };
        let parent = self.nodes.parent(directory.node);
        let age = directory
            .read_at
            .map_or(FRESH, |at| Instant::now().duration_since(at));
        // What has been read ahead for a while is asked for again when it is used.
        let fresh = if age < FRESH { FRESH } else { Duration::ZERO };
        let mut next = offset;
        for number in [directory.node, parent].into_iter().skip(offset as usize) {
            let name = if next == 0 { "." } else { ".." };
            next += 1;
            let is_full = match &mut listing {
                Listing::Names(reply) => {
                    reply.add(INodeNo(number), next, FileType::Directory, name)
                }
                Listing::WithAttributes(reply) => reply.add(
                    INodeNo(number),
                    next,
                    name,
                    &Duration::ZERO,
                    &dot_attr(number),
                    Generation(0),
                ),
            };
            if is_full {
                listing.finish();
                return;
            }
        }
        let skipped = (next - DOTS).saturating_sub(directory.base) as usize;
        let node = directory.node;
        for entry in directory.entries.iter().skip(skipped) {
            let number = entry.attr.number;
            next += 1;
            if number <= ROOT {
                continue;
            }
            let name = OsStr::from_bytes(&entry.name);
            let is_full = match &mut listing {
                Listing::Names(reply) => {
                    reply.add(INodeNo(number), next, file_type(entry.attr.kind), name)
                }
                Listing::WithAttributes(reply) => {
                    let is_full = reply.add(
                        INodeNo(number),
                        next,
                        name,
                        &fresh,
                        &file_attr(&entry.attr, number),
                        Generation(entry.attr.generation),
                    );
                    if !is_full {
                        // The kernel counts it as looked up.
                        let is_directory = entry.attr.kind == Kind::Directory;
                        self.nodes.learn(node, &entry.name, number, is_directory);
                    }
                    is_full
                }
            };
            if is_full {
                break;
            }
        }
        listing.finish();
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}

/// All files are root's: the host's users are not the guest's, and git, among others, wants to work in what is its own.
fn file_attr(attr: &Attr, number: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: attr.size,
        blocks: attr.blocks,
        atime: attr.accessed,
        mtime: attr.modified,
        ctime: attr.changed,
        crtime: attr.changed,
        kind: file_type(attr.kind),
        perm: attr.mode,
        nlink: attr.links,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// Of `.` and `..` the kernel takes the number only.
fn dot_attr(number: u64) -> FileAttr {
    let attr = Attr {
        number,
        generation: 0,
        kind: Kind::Directory,
        mode: 0o755,
        links: 2,
        size: 0,
        blocks: 0,
        accessed: std::time::UNIX_EPOCH,
        modified: std::time::UNIX_EPOCH,
        changed: std::time::UNIX_EPOCH,
    };
    file_attr(&attr, number)
}
