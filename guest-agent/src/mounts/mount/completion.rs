//! What the host has answered: the kernel hears of it, and what is known of names and handles changes with it.

use std::rc::Rc;

use bytes::Bytes;
use fuser::{Errno, FileHandle, Generation, ReplyCreate, ReplyEmpty, ReplyEntry, ReplyStatfs};

use super::super::kernel::{Listing, OPENED, Reply};
use super::super::nodes::ROOT;
use super::super::protocol::{Answer, Attr, Kind, Malformed, Op, Page, Place, Statfs};
use super::Mount;
use super::attributes::{FRESH, file_attr};
use super::state::{State, Waiting};

/// What a symlink holds at most.
const MAX_TARGET_BYTES: usize = 4095;
const MAX_NAME_BYTES: u32 = 255;

/// A reader of a directory that wants what is beyond the page.
struct Further {
    node: u64,
    handle: u64,
    offset: u64,
    listing: Listing,
}

impl Mount {
    pub(super) fn complete(self: &Rc<Self>, answer: Answer) -> Result<(), Malformed> {
        let mut state = self.state.borrow_mut();
        let Some(one) = state.take_answered(answer.id) else {
            return Ok(());
        };
        if answer.errno != 0 {
            if matches!(one.reply, Reply::Reopened) {
                state.handles.lose(&one.op);
            }
            drop(state);
            one.reply.fail(answer.errno);
            return Ok(());
        }
        let next = state.succeed(one, answer.payload)?;
        drop(state);
        if let Some(further) = next {
            let Further {
                node,
                handle,
                offset,
                listing,
            } = further;
            self.read_directory(node, handle, offset, listing);
        }
        Ok(())
    }
}

impl State {
    fn succeed(&mut self, one: Waiting, mut payload: Bytes) -> Result<Option<Further>, Malformed> {
        match (one.reply, one.op) {
            (Reply::Entry(reply), op) => match Attr::take(&mut payload) {
                Ok(attr) => self.enter(reply, &op, &attr),
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
            (Reply::Empty(reply), op) => self.change_names(reply, &op),
            (
                Reply::Open(reply),
                Op::Open {
                    node,
                    handle,
                    flags,
                },
            ) => {
                self.handles.keep(handle, node, flags);
                reply.opened(FileHandle(handle), OPENED);
            }
            (Reply::Create(reply), op) => match Attr::take(&mut payload) {
                Ok(attr) => self.create(reply, &op, &attr),
                Err(Malformed) => return Err(failed(Reply::Create(reply))),
            },
            (Reply::Write(reply), Op::Write { data, .. }) => match payload.first_chunk::<4>() {
                Some(count) if u32::from_be_bytes(*count) as usize <= data.len() => {
                    reply.written(u32::from_be_bytes(*count));
                }
                _ => return Err(failed(Reply::Write(reply))),
            },
            (Reply::Statfs(reply), _) => match Statfs::take(payload) {
                Ok(all) => tell_statfs(reply, &all),
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
                Ok(page) => {
                    let further = Further {
                        node,
                        handle,
                        offset,
                        listing,
                    };
                    return Ok(self.turn_page(&after, page, further));
                }
                Err(Malformed) => return Err(failed(Reply::Page { offset, listing })),
            },
            (Reply::Reopened | Reply::Nobody, _) => {}
            // A reply of another kind than its request is not made.
            (reply, _) => reply.fail(libc::EIO),
        }
        Ok(None)
    }

    fn enter(&mut self, reply: ReplyEntry, op: &Op, attr: &Attr) {
        match self.learn(op, attr) {
            Some(number) => {
                let generation = Generation(attr.generation);
                reply.entry(&FRESH, &file_attr(attr, number), generation);
            }
            None => reply.error(Errno::EIO),
        }
    }

    fn create(&mut self, reply: ReplyCreate, op: &Op, attr: &Attr) {
        match (op, self.learn(op, attr)) {
            (Op::Create { handle, flags, .. }, Some(number)) => {
                self.handles.keep(*handle, number, *flags);
                reply.created(
                    &FRESH,
                    &file_attr(attr, number),
                    Generation(attr.generation),
                    FileHandle(*handle),
                    OPENED,
                );
            }
            _ => reply.error(Errno::EIO),
        }
    }

    fn change_names(&mut self, reply: ReplyEmpty, op: &Op) {
        match op {
            Op::Unlink(place) | Op::Rmdir(place) => self.nodes.unlink(place.parent, &place.name),
            Op::Rename { from, to } => self
                .nodes
                .rename((from.parent, &from.name), (to.parent, &to.name)),
            _ => {}
        }
        reply.ok();
    }

    /// The number of what the kernel has asked for by its name. None: it is not one that a host may give.
    fn learn(&mut self, op: &Op, attr: &Attr) -> Option<u64> {
        let Place { parent, name } = match op {
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
        self.nodes.learn(*parent, name, attr.number, is_directory);
        Some(attr.number)
    }

    fn turn_page(&mut self, after: &[u8], page: Page, wanted: Further) -> Option<Further> {
        let Some(directory) = self.directories.get_mut(&wanted.handle) else {
            wanted.listing.fail(Errno::EBADF);
            return None;
        };
        directory.turn(after, page);
        if !directory.reaches(wanted.offset) {
            return Some(wanted);
        }
        directory.fill(&mut self.nodes, wanted.offset, wanted.listing);
        None
    }
}

/// The kernel does not wait for what cannot be read.
fn failed(reply: Reply) -> Malformed {
    reply.fail(libc::EIO);
    Malformed
}

fn tell_statfs(reply: ReplyStatfs, all: &Statfs) {
    reply.statfs(
        all.blocks,
        all.free,
        all.available,
        all.files,
        all.free_files,
        all.block_size,
        MAX_NAME_BYTES,
        all.block_size,
    );
}
