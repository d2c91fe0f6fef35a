//! The kernel's side of a mount: what it asks comes from a thread of its own, and goes on as data.

mod reply;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use tokio::sync::mpsc::UnboundedSender;

pub use reply::{Listing, Reply};

use super::protocol::{Changes, MAX_DATA_BYTES, Op, Place, Time};

/// A request of the kernel's.
pub enum Call {
    /// For the host.
    Ask {
        op: Op,
        reply: Reply,
    },
    OpenDirectory {
        node: u64,
        reply: ReplyOpen,
    },
    ReadDirectory {
        node: u64,
        handle: u64,
        offset: u64,
        reply: Listing,
    },
    CloseDirectory {
        handle: u64,
    },
    Close {
        handle: u64,
    },
    Forget {
        node: u64,
        lookups: u64,
    },
}

pub struct Kernel {
    calls: UnboundedSender<Call>,
}

impl Kernel {
    pub fn new(calls: UnboundedSender<Call>) -> Kernel {
        Kernel { calls }
    }

    /// A mount that has ended drops what it is asked, which the kernel is told as EIO.
    fn send(&self, call: Call) {
        let _ = self.calls.send(call);
    }

    fn ask(&self, op: Op, reply: Reply) {
        self.send(Call::Ask { op, reply });
    }

    fn sync(&self, ino: INodeNo, handle: u64, is_data_only: bool, reply: ReplyEmpty) {
        let op = Op::Fsync {
            node: ino.0,
            handle,
            is_data_only,
        };
        self.ask(op, Reply::Empty(reply));
    }

    fn read_directory(&self, ino: INodeNo, fh: FileHandle, offset: u64, reply: Listing) {
        self.send(Call::ReadDirectory {
            node: ino.0,
            handle: fh.0,
            offset,
            reply,
        });
    }
}

fn place(parent: INodeNo, name: &OsStr) -> Place {
    Place {
        parent: parent.0,
        name: name.as_bytes().to_vec(),
    }
}

fn time(time: TimeOrNow) -> Time {
    match time {
        TimeOrNow::SpecificTime(time) => time.into(),
        TimeOrNow::Now => Time::Now,
    }
}

// What is not here is ENOSYS, after which the kernel asks no more: it then has locks of its own, falls back from fallocate, lseek and
// copy_file_range, and says EOPNOTSUPP for attributes that have names.
impl Filesystem for Kernel {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.set_max_write(MAX_DATA_BYTES);
        let _ = config.set_max_readahead(MAX_DATA_BYTES);
        for wanted in [
            // What the host changes is seen once attributes have been asked for again.
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ] {
            // An older kernel does without.
            let _ = config.add_capabilities(wanted);
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.ask(Op::Lookup(place(parent, name)), Reply::Entry(reply));
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.send(Call::Forget {
            node: ino.0,
            lookups: nlookup,
        });
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let op = Op::Getattr {
            node: ino.0,
            handle: fh.map_or(0, |fh| fh.0),
        };
        self.ask(op, Reply::Attr(reply));
    }

    // The owner is the same for all files: a change of it is taken and means nothing.
    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = Changes {
            mode: mode.map(|mode| mode & 0o777),
            size,
            accessed: atime.map(time),
            modified: mtime.map(time),
        };
        let op = Op::Setattr {
            node: ino.0,
            handle: fh.map_or(0, |fh| fh.0),
            changes,
        };
        self.ask(op, Reply::Attr(reply));
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.ask(Op::Readlink { node: ino.0 }, Reply::Data(reply));
    }

    fn mknod(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG {
            reply.error(Errno::EPERM);
            return;
        }
        let op = Op::Create {
            place: place(parent, name),
            handle: 0,
            flags: (libc::O_RDONLY | libc::O_EXCL) as u32,
            mode: mode & 0o777,
        };
        self.ask(op, Reply::Entry(reply));
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let op = Op::Mkdir {
            place: place(parent, name),
            mode: mode & 0o777,
        };
        self.ask(op, Reply::Entry(reply));
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.ask(Op::Unlink(place(parent, name)), Reply::Empty(reply));
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.ask(Op::Rmdir(place(parent, name)), Reply::Empty(reply));
    }

    fn symlink(
        &self,
        _req: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let op = Op::Symlink {
            place: place(parent, link_name),
            target: target.as_os_str().as_bytes().to_vec(),
        };
        self.ask(op, Reply::Entry(reply));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        // The host has no call that exchanges two names, or spares what is there.
        if !flags.is_empty() {
            reply.error(Errno::EINVAL);
            return;
        }
        let op = Op::Rename {
            from: place(parent, name),
            to: place(newparent, newname),
        };
        self.ask(op, Reply::Empty(reply));
    }

    fn link(
        &self,
        _req: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let op = Op::Link {
            node: ino.0,
            place: place(newparent, newname),
        };
        self.ask(op, Reply::Entry(reply));
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let op = Op::Open {
            node: ino.0,
            handle: 0,
            flags: flags.0 as u32,
        };
        self.ask(op, Reply::Open(reply));
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let op = Op::Create {
            place: place(parent, name),
            handle: 0,
            flags: flags as u32,
            mode: mode & 0o777,
        };
        self.ask(op, Reply::Create(reply));
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let op = Op::Read {
            handle: fh.0,
            offset,
            size: size.min(MAX_DATA_BYTES),
        };
        self.ask(op, Reply::Data(reply));
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // A page of a mapping has its place, however the file was opened.
        let is_from_cache = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let op = Op::Write {
            handle: fh.0,
            offset,
            is_append: !is_from_cache && flags.0 & libc::O_APPEND != 0,
            data: Bytes::copy_from_slice(data),
        };
        self.ask(op, Reply::Write(reply));
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
        self.send(Call::Close { handle: fh.0 });
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.sync(ino, fh.0, datasync, reply);
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.sync(ino, 0, datasync, reply);
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.send(Call::OpenDirectory { node: ino.0, reply });
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.read_directory(ino, fh, offset, Listing::Names(reply));
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.read_directory(ino, fh, offset, Listing::WithAttributes(reply));
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        reply.ok();
        self.send(Call::CloseDirectory { handle: fh.0 });
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.ask(Op::Statfs, Reply::Statfs(reply));
    }

    fn getxattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _name: &OsStr,
        _size: u32,
        reply: ReplyXattr,
    ) {
        reply.error(Errno::ENOSYS);
    }
}

/// What the kernel is told of every file that has been opened: it asks the host for what it reads, and keeps none of it for the next opening.
pub const OPENED: FopenFlags = FopenFlags::empty();
