//! A tree to tar. Symlinks stay symlinks. Sockets are left out, for which tar has no kind. What cannot be read is told of by
//! an entry, and costs nothing of the rest.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ChunkWriter;

/// What a file may do that its owner may not (capabilities(7)); part of what it is, as a setuid bit.
const CAPABILITY: &str = "security.capability";
const MAX_CAPABILITY_BYTES: usize = 256;
/// Of a file, to see whether it can be read.
const START_BYTES: u64 = 4096;
/// The kind of an entry without content for what cannot be read: no tar has it, so that all who unpack leave it out by name.
const UNREADABLE: u8 = b'Z';

struct Packing<'a> {
    builder: Builder<ChunkWriter>,
    root: &'a Path,
    /// Of a whole archive only.
    whole: Option<Whole>,
}

/// An archive that a file system can be made of again: with hard links and capabilities, without what is mounted in it.
struct Whole {
    device: u64,
    /// The first name of each file that has several.
    names: HashMap<(u64, u64), PathBuf>,
}

pub fn pack(root: &Path, writer: ChunkWriter, is_whole: bool) -> io::Result<()> {
    let metadata = fs::metadata(root)?;
    let whole = is_whole.then(|| Whole {
        device: metadata.dev(),
        names: HashMap::new(),
    });
    let mut packing = Packing {
        builder: Builder::new(writer),
        root,
        whole,
    };
    if metadata.is_dir() {
        packing.pack_folder()?;
    } else {
        let name = root.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        // The one path that the caller named is followed, if it is a symlink, and there is no archive without it.
        packing.add_file(Opened::new(File::open(root)?)?, Path::new(name))?;
    }
    let mut writer = packing.builder.into_inner()?;
    io::Write::flush(&mut writer)
}

impl Packing<'_> {
    /// Depth first, by an own stack: a tree may be deeper than a thread's stack allows.
    fn pack_folder(&mut self) -> io::Result<()> {
        let mut waiting = vec![PathBuf::new()];
        while let Some(relative) = waiting.pop() {
            let full = self.root.join(&relative);
            if !relative.as_os_str().is_empty() {
                match fs::symlink_metadata(&full) {
                    Ok(metadata) => self.add(&full, &relative, &metadata)?,
                    Err(error) => {
                        self.pass_over(&relative, error)?;
                        continue;
                    }
                }
                if !fs::symlink_metadata(&full).is_ok_and(|metadata| self.is_entered(&metadata)) {
                    continue;
                }
            }
            let mut names = match list(&full) {
                Ok(names) => names,
                Err(error) if relative.as_os_str().is_empty() => return Err(error),
                Err(error) => {
                    self.pass_over(&relative, error)?;
                    continue;
                }
            };
            // The stack turns the order round, so that the archive is in the order of the names.
            names.sort_unstable_by(|a, b| b.cmp(a));
            waiting.extend(names.into_iter().map(|name| relative.join(name)));
        }
        Ok(())
    }

    /// An overlay says of directories alone which file system they are of.
    fn is_entered(&self, metadata: &Metadata) -> bool {
        let is_mounted = self
            .whole
            .as_ref()
            .is_some_and(|whole| whole.device != metadata.dev());
        metadata.is_dir() && !is_mounted
    }

    fn add(&mut self, full: &Path, relative: &Path, metadata: &Metadata) -> io::Result<()> {
        let kind = metadata.file_type();
        if kind.is_file() {
            if self.add_link(relative, metadata)? {
                return Ok(());
            }
            return match open_file(full).and_then(Opened::new) {
                Ok(opened) => self.add_file(opened, relative),
                Err(error) => self.pass_over(relative, error),
            };
        }
        let mut header = Header::new_gnu();
        header.set_metadata(metadata);
        header.set_size(0);
        if kind.is_dir() {
            self.builder.append_data(&mut header, relative, io::empty())
        } else if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            match fs::read_link(full) {
                Ok(target) => self.builder.append_link(&mut header, relative, target),
                Err(error) => self.pass_over(relative, error),
            }
        } else if !kind.is_socket() {
            // Whoever does not make them can say what is left out.
            header.set_entry_type(if kind.is_fifo() {
                EntryType::Fifo
            } else if kind.is_block_device() {
                EntryType::Block
            } else {
                EntryType::Char
            });
            header.set_device_major(rustix::fs::major(metadata.rdev()))?;
            header.set_device_minor(rustix::fs::minor(metadata.rdev()))?;
            self.builder.append_data(&mut header, relative, io::empty())
        } else {
            Ok(())
        }
    }

    /// One more name of a file that has been packed; `false` when it has not.
    fn add_link(&mut self, relative: &Path, metadata: &Metadata) -> io::Result<bool> {
        let Some(whole) = &mut self.whole else {
            return Ok(false);
        };
        if metadata.nlink() < 2 {
            return Ok(false);
        }
        let key = (metadata.dev(), metadata.ino());
        let Some(first) = whole.names.get(&key) else {
            whole.names.insert(key, relative.to_owned());
            return Ok(false);
        };
        let mut header = Header::new_gnu();
        header.set_metadata(metadata);
        header.set_size(0);
        header.set_entry_type(EntryType::Link);
        self.builder.append_link(&mut header, relative, first)?;
        Ok(true)
    }

    /// What is there and cannot be read, or went away since its parent was listed. A whole archive lacks nothing.
    fn pass_over(&mut self, relative: &Path, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::NotFound {
            return Ok(());
        }
        if self.whole.is_some() {
            return Err(error);
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(UNREADABLE));
        header.set_mode(0);
        header.set_mtime(0);
        header.set_size(0);
        self.builder.append_data(&mut header, relative, io::empty())
    }

    fn add_file(&mut self, opened: Opened, relative: &Path) -> io::Result<()> {
        if self.whole.is_some() {
            let mut value = [0u8; MAX_CAPABILITY_BYTES];
            if let Ok(length) = rustix::fs::fgetxattr(&opened.file, CAPABILITY, &mut value[..]) {
                let key = format!("SCHILY.xattr.{CAPABILITY}");
                self.builder
                    .append_pax_extensions([(key.as_str(), &value[..length])])?;
            }
        }
        let mut header = Header::new_gnu();
        header.set_metadata(&opened.metadata);
        let content = Exactly {
            rest: opened.metadata.len(),
            content: io::Cursor::new(opened.start).chain(opened.file),
        };
        self.builder.append_data(&mut header, relative, content)
    }
}

/// A file of which something has been read: the kernel makes some up that open and cannot be read, and behind its head a file
/// that fails costs the whole archive.
struct Opened {
    file: File,
    metadata: Metadata,
    start: Vec<u8>,
}

impl Opened {
    fn new(mut file: File) -> io::Result<Opened> {
        let metadata = file.metadata()?;
        let wanted = metadata.len().min(START_BYTES) as usize;
        let mut start = vec![0; wanted];
        let count = file.read(&mut start)?;
        start.truncate(count);
        Ok(Opened {
            file,
            metadata,
            start,
        })
    }
}

fn list(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// Nobody waits for the other end of a pipe that has taken the file's place since it was looked at.
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// As many bytes as the header promises, whatever happens to the file meanwhile.
struct Exactly<R> {
    content: R,
    rest: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into
            .len()
            .min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let into = &mut into[..most];
        let mut count = self.content.read(into)?;
        if count == 0 {
            into.fill(0);
            count = most;
        }
        self.rest -= count as u64;
        Ok(count)
    }
}
