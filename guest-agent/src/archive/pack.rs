//! A tree to tar. Symlinks stay symlinks; devices, FIFOs and sockets are left out.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ChunkWriter;

pub fn pack(root: &Path, writer: ChunkWriter) -> io::Result<()> {
    let mut builder = Builder::new(writer);
    if fs::metadata(root)?.is_dir() {
        pack_folder(&mut builder, root)?;
    } else {
        let name = root.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        // The one path that the caller named is followed, if it is a symlink.
        add_file(&mut builder, root, Path::new(name))?;
    }
    let mut writer = builder.into_inner()?;
    io::Write::flush(&mut writer)
}

/// Depth first, by an own stack: a tree may be deeper than a thread's stack allows.
fn pack_folder(builder: &mut Builder<ChunkWriter>, root: &Path) -> io::Result<()> {
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let full = root.join(&relative);
        if !relative.as_os_str().is_empty() {
            match fs::symlink_metadata(&full) {
                Ok(metadata) => add(builder, &full, &relative, &metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            if !fs::symlink_metadata(&full).is_ok_and(|metadata| metadata.is_dir()) {
                continue;
            }
        }
        let mut names: Vec<_> = match fs::read_dir(&full) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<_>>()?,
            // It went away since its parent was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // The stack turns the order round, so that the archive is in the order of the names.
        names.sort_unstable_by(|a, b| b.cmp(a));
        waiting.extend(names.into_iter().map(|name| relative.join(name)));
    }
    Ok(())
}

fn add(
    builder: &mut Builder<ChunkWriter>,
    full: &Path,
    relative: &Path,
    metadata: &Metadata,
) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return match add_file(builder, full, relative) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
    }
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_size(0);
    if kind.is_dir() {
        builder.append_data(&mut header, relative, io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        builder.append_link(&mut header, relative, fs::read_link(full)?)
    } else {
        Ok(())
    }
}

fn add_file(builder: &mut Builder<ChunkWriter>, full: &Path, relative: &Path) -> io::Result<()> {
    let file = File::open(full)?;
    let metadata = file.metadata()?;
    let mut header = Header::new_gnu();
    header.set_metadata(&metadata);
    let content = Exactly {
        file,
        rest: metadata.len(),
    };
    builder.append_data(&mut header, relative, content)
}

/// As many bytes as the header promises, whatever happens to the file meanwhile.
struct Exactly {
    file: File,
    rest: u64,
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into
            .len()
            .min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let into = &mut into[..most];
        let mut count = self.file.read(into)?;
        if count == 0 {
            into.fill(0);
            count = most;
        }
        self.rest -= count as u64;
        Ok(count)
    }
}
