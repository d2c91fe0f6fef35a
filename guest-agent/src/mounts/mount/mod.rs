//! One mount: what the kernel asks goes to the host, whoever that is at the moment, and waits while there is none.

mod attachment;
mod attributes;
mod completion;
mod directory;
mod handles;
mod state;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use fuser::FileHandle;
use tokio::sync::Notify;

use super::kernel::{Call, Listing, OPENED, Reply};
use super::protocol::Op;
use directory::Directory;
use state::State;

const SWEEP: Duration = Duration::from_secs(1);

pub struct Mount {
    pub id: String,
    pub path: PathBuf,
    pub is_read_only: bool,
    state: RefCell<State>,
    /// There is something to send, or the attachment is another one.
    wake: Notify,
    has_ended: Cell<bool>,
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
        self.state.borrow().is_attached()
    }

    /// The kernel has let go of it.
    pub fn end(&self) {
        self.has_ended.set(true);
        let waiting = self.state.borrow_mut().take_waiting();
        for (_, one) in waiting {
            one.reply.fail(libc::ENOTCONN);
        }
        self.wake.notify_waiters();
    }

    /// From now on nothing waits: all that is asked is EIO, until a host attaches.
    pub fn refuse(&self) {
        let waiting = self.state.borrow_mut().refuse();
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
                let handle = state.handles.next();
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
                self.state.borrow_mut().handles.remove(handle);
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
        if state.is_refused() || self.has_ended.get() {
            drop(state);
            reply.fail(libc::EIO);
            return;
        }
        let State { nodes, handles, .. } = &mut *state;
        match &mut op {
            Op::Open { handle, .. } => *handle = handles.next(),
            Op::Create { handle, .. } if matches!(reply, Reply::Create(_)) => {
                *handle = handles.next();
            }
            // One that is lost has a name, maybe.
            Op::Getattr { node, handle }
                if handles.is_lost(*handle) && nodes.path(*node).is_some() =>
            {
                *handle = 0;
            }
            Op::Read { handle, .. }
            | Op::Write { handle, .. }
            | Op::Fsync { handle, .. }
            | Op::Setattr { handle, .. }
                if handles.is_lost(*handle) =>
            {
                drop(state);
                reply.fail(libc::EIO);
                return;
            }
            _ => {}
        }
        state.enqueue(op, reply);
        drop(state);
        self.begin_sweep();
        self.wake.notify_waiters();
    }

    fn begin_sweep(self: &Rc<Self>) {
        if self.state.borrow_mut().begins_sweep() {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Gives up what has waited too long, while no host is there.
    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let mut state = self.state.borrow_mut();
            let overdue = state.take_overdue();
            let is_over = state.ends_sweep();
            drop(state);
            for one in overdue {
                one.reply.fail(libc::EIO);
            }
            if is_over {
                return;
            }
        }
    }

    fn read_directory(self: &Rc<Self>, node: u64, handle: u64, offset: u64, listing: Listing) {
        let mut borrowed = self.state.borrow_mut();
        let state = &mut *borrowed;
        // A kernel that was restored goes on with handles that are known; another number is nobody's.
        let directory = state
            .directories
            .entry(handle)
            .or_insert_with(|| Directory::new(node));
        if offset == 0 || directory.is_before(offset) {
            // From the start: a reader that begins anew sees what is there now.
            *directory = Directory::new(node);
        }
        if directory.has_been_read() && directory.reaches(offset) {
            directory.fill(&mut state.nodes, offset, listing);
            return;
        }
        let after = directory.last_name();
        drop(borrowed);
        let op = Op::Readdir {
            node,
            handle,
            after,
        };
        self.ask(op, Reply::Page { offset, listing });
    }
}
