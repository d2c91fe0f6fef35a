//! What the kernel waits for.

use std::ffi::OsStr;
use std::time::Duration;

use fuser::{
    Errno, FileAttr, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
};

const MAX_ERRNO: i32 = 512;

/// One for each kind of answer that it takes.
pub enum Reply {
    Entry(ReplyEntry),
    Attr(ReplyAttr),
    Data(ReplyData),
    Empty(ReplyEmpty),
    Open(ReplyOpen),
    Create(ReplyCreate),
    Write(ReplyWrite),
    Statfs(ReplyStatfs),
    /// The page that a directory's reader goes on with.
    Page {
        offset: u64,
        listing: Listing,
    },
    /// Opened anew after an attachment.
    Reopened,
    Nobody,
}

impl Reply {
    pub fn fail(self, errno: i32) {
        // The kernel takes no others, and would wait for ever.
        let known = (1..MAX_ERRNO).contains(&errno);
        let errno = Errno::from_i32(if known { errno } else { libc::EIO });
        match self {
            Reply::Entry(reply) => reply.error(errno),
            Reply::Attr(reply) => reply.error(errno),
            Reply::Data(reply) => reply.error(errno),
            Reply::Empty(reply) => reply.error(errno),
            Reply::Open(reply) => reply.error(errno),
            Reply::Create(reply) => reply.error(errno),
            Reply::Write(reply) => reply.error(errno),
            Reply::Statfs(reply) => reply.error(errno),
            Reply::Page { listing, .. } => listing.fail(errno),
            Reply::Reopened | Reply::Nobody => {}
        }
    }
}

pub enum Listing {
    Names(ReplyDirectory),
    WithAttributes(ReplyDirectoryPlus),
}

impl Listing {
    /// `next` is the offset behind it. True: there is no room for it.
    pub fn add(
        &mut self,
        next: u64,
        name: &OsStr,
        fresh: &Duration,
        attr: &FileAttr,
        generation: Generation,
    ) -> bool {
        match self {
            Listing::Names(reply) => reply.add(attr.ino, next, attr.kind, name),
            Listing::WithAttributes(reply) => {
                reply.add(attr.ino, next, name, fresh, attr, generation)
            }
        }
    }

    pub fn fail(self, errno: Errno) {
        match self {
            Listing::Names(reply) => reply.error(errno),
            Listing::WithAttributes(reply) => reply.error(errno),
        }
    }

    pub fn finish(self) {
        match self {
            Listing::Names(reply) => reply.ok(),
            Listing::WithAttributes(reply) => reply.ok(),
        }
    }
}
