//! What the host says of files, as the kernel is told it.

use std::time::{Duration, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use super::super::protocol::{Attr, Kind};

/// How long the kernel may go by what it has been told.
pub const FRESH: Duration = Duration::from_secs(1);
const BLOCK_BYTES: u32 = 4096;

/// All files are root's: the host's users are not the guest's, and git, among others, wants to work in what is its own.
pub fn file_attr(attr: &Attr, number: u64) -> FileAttr {
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
pub fn dot_attr(number: u64) -> FileAttr {
    let attr = Attr {
        number,
        generation: 0,
        kind: Kind::Directory,
        mode: 0o755,
        links: 2,
        size: 0,
        blocks: 0,
        accessed: UNIX_EPOCH,
        modified: UNIX_EPOCH,
        changed: UNIX_EPOCH,
    };
    file_attr(&attr, number)
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}
