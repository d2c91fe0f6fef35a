//! Tar to a tree, confined to one directory.
//!
//! Every folder is opened by the kernel with RESOLVE_BENEATH, relative to the target: no `..`, no absolute
//! name and no symlink, whoever made it and whenever, can lead outside. The last part of a name is never
//! followed at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde_json::{Value, json};
use tar::{Archive, Entry, EntryType};

use super::archive_error;
use crate::error::{Code, Context, Error, Result};

pub fn unpack(target: &Path, reader: impl Read) -> Result<Value> {
    std::fs::create_dir_all(target).context(target.display())?;
    let root = rustix::fs::open(
        target,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .context(target.display())?;
    let mut unpacker = Unpacker {
        root,
        last_folder: None,
        folders: Vec::new(),
        entries: 0,
        bytes: 0,
    };
    let mut archive = Archive::new(reader);
    for entry in archive.entries().map_err(|error| archive_error(&error))? {
        unpacker.add(entry.map_err(|error| archive_error(&error))?)?;
    }
    // What follows the end marker is padding; the host must be able to send it.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| archive_error(&error))?;
    unpacker.finish_folders()?;
    Ok(json!({ "entries": unpacker.entries, "bytes": unpacker.bytes }))
}

struct Unpacker {
    root: OwnedFd,
    /// Archives come folder by folder, so the last one is most often the next one.
    last_folder: Option<(PathBuf, OwnedFd)>,
    /// Mode and time of folders, set at the end: making their content changes both.
    folders: Vec<(PathBuf, u32, u64)>,
    entries: u64,
    bytes: u64,
}

impl Unpacker {
    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let path = confined(&name)?;
        let mode = entry
            .header()
            .mode()
            .map_err(|error| archive_error(&error))?
            & 0o7777;
        let mtime = entry.header().mtime().unwrap_or(0);
        let Some(file_name) = path.file_name().map(OsStr::to_owned) else {
            // The target itself, as in "./".
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let folder = self.folder(&parent)?;
                make_way(folder, &file_name, &path)?;
                self.bytes += write_file(folder, &file_name, &path, mode, mtime, &mut entry)?;
            }
            EntryType::Directory => {
                self.folder(&path)?;
                self.folders.push((path, mode, mtime));
            }
            EntryType::Symlink => {
                let link = link_name(&entry, &path)?;
                let folder = self.folder(&parent)?;
                make_way(folder, &file_name, &path)?;
                rustix::fs::symlinkat(OsStr::from_bytes(&link), folder, &file_name)
                    .context(path.display())?;
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(folder, &file_name, &times(mtime), flags)
                    .context(path.display())?;
            }
            EntryType::Link => {
                let link = link_name(&entry, &path)?;
                self.hard_link(&confined(&link)?, &parent, &file_name, &path)?;
            }
            // Devices, FIFOs and kinds of the future are left out.
            _ => return Ok(()),
        }
        self.entries += 1;
        Ok(())
    }

    /// A link to a file of the target; the file itself must not be a symlink.
    fn hard_link(&mut self, source: &Path, parent: &Path, name: &OsStr, path: &Path) -> Result<()> {
        let source_name = source
            .file_name()
            .ok_or_else(|| {
                Error::invalid(format!("{} links to the target itself", path.display()))
            })?
            .to_owned();
        let source_folder = self
            .folder(source.parent().unwrap_or(Path::new("")))?
            .try_clone()
            .context(source.display())?;
        let stat = rustix::fs::statat(&source_folder, &source_name, AtFlags::SYMLINK_NOFOLLOW)
            .context(source.display())?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Error::invalid(format!(
                "{} links to no regular file",
                path.display()
            )));
        }
        if source == path {
            return Ok(());
        }
        let folder = self.folder(parent)?;
        make_way(folder, name, path)?;
        rustix::fs::linkat(&source_folder, &source_name, folder, name, AtFlags::empty())
            .context(path.display())
    }

    /// The folder of that name below the target; missing ones are made.
    fn folder(&mut self, path: &Path) -> Result<&OwnedFd> {
        let is_last = self
            .last_folder
            .as_ref()
            .is_some_and(|(last, _)| last == path);
        if !is_last {
            let fd = self.open_or_make(path)?;
            self.last_folder = Some((path.to_owned(), fd));
        }
        match &self.last_folder {
            Some((_, fd)) => Ok(fd),
            None => Ok(&self.root),
        }
    }

    fn open_or_make(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path) {
            Err(error) if error.code == Code::NotFound => {}
            other => return other,
        }
        let mut so_far = PathBuf::new();
        let mut fd = self.open(&so_far)?;
        for part in path.components() {
            so_far.push(part);
            fd = match self.open(&so_far) {
                Err(error) if error.code == Code::NotFound => {
                    let name = part.as_os_str();
                    rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(0o755))
                        .context(so_far.display())?;
                    self.open(&so_far)?
                }
                other => other?,
            };
        }
        Ok(fd)
    }

    fn open(&self, path: &Path) -> Result<OwnedFd> {
        let name = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, name, flags, Mode::empty(), resolve).map_err(|errno| {
            match errno {
                Errno::XDEV | Errno::LOOP => {
                    Error::invalid(format!("{} leads out of the target", path.display()))
                }
                errno => Error::os(path.display(), errno.raw_os_error()),
            }
        })
    }

    /// Innermost last in, first out: a folder's own time changes no more after its content's.
    fn finish_folders(&mut self) -> Result<()> {
        while let Some((path, mode, mtime)) = self.folders.pop() {
            // A later entry may have put something else in its place.
            let Ok(fd) = self.open(&path) else { continue };
            // A path descriptor cannot be changed itself, but its "." can.
            rustix::fs::utimensat(&fd, ".", &times(mtime), AtFlags::empty())
                .context(path.display())?;
            rustix::fs::chmodat(&fd, ".", Mode::from_raw_mode(mode), AtFlags::empty())
                .context(path.display())?;
        }
        Ok(())
    }
}

/// A relative name without `..`; `.` and empty parts vanish.
fn confined(name: &[u8]) -> Result<PathBuf> {
    let shown = String::from_utf8_lossy(name).into_owned();
    if name.contains(&0) {
        return Err(Error::invalid(format!("{shown:?} holds NUL")));
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(Error::invalid(format!("{shown:?} leads out of the target"))),
        }
    }
    Ok(path)
}

fn link_name(entry: &Entry<'_, impl Read>, path: &Path) -> Result<Vec<u8>> {
    match entry.link_name_bytes() {
        Some(link) if !link.is_empty() && !link.contains(&0) => Ok(link.into_owned()),
        _ => Err(Error::invalid(format!(
            "{} links to nothing",
            path.display()
        ))),
    }
}

/// Removes what has the name, unless it is a directory.
fn make_way(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // EPERM is what a directory gets on some file systems.
        Err(Errno::ISDIR) => Err(Error::new(
            Code::IsADirectory,
            format!("{} is a directory", path.display()),
        )),
        Err(errno) => Err(Error::os(path.display(), errno.raw_os_error())),
    }
}

fn write_file(
    folder: &OwnedFd,
    name: &OsStr,
    path: &Path,
    mode: u32,
    mtime: u64,
    content: &mut impl Read,
) -> Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))
        .context(path.display())?;
    let mut file = File::from(fd);
    let bytes = io::copy(content, &mut file).map_err(|error| match error.raw_os_error() {
        Some(_) => Error::io(path.display(), &error),
        None => archive_error(&error),
    })?;
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode)).context(path.display())?;
    rustix::fs::futimens(file.as_fd(), &times(mtime)).context(path.display())?;
    Ok(bytes)
}

fn times(mtime: u64) -> Timestamps {
    let time = Timespec {
        tv_sec: i64::try_from(mtime).unwrap_or(0),
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["/etc/passwd", "../x", "a/../../x", "a/..", "a\0b"] {
            assert_eq!(
                confined(name.as_bytes()).unwrap_err().code,
                Code::InvalidArgument,
                "{name:?}"
            );
        }
        assert_eq!(confined(b"./a//b/.").unwrap(), Path::new("a/b"));
    }

    proptest! {
        #[test]
        fn any_bytes_unpack_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let folder = std::env::temp_dir().join(format!("firebreak-unpack-{}", std::process::id()));
            let _ = unpack(&folder, &bytes[..]);
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}
