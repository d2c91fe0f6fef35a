//! Atomic uploads.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{blocking, stat};
use crate::error::{Code, Context, Error, Result};
use crate::http::body::{Gone, Incoming};
use crate::http::query::Query;

const CHUNKS_AHEAD: usize = 8;

/// What the thread that writes is told.
pub enum Part {
    Bytes(Bytes),
    /// The body is whole. Without it the channel's end means that it broke off.
    End,
}

/// `PUT /v1/file`.
pub async fn upload(query: &Query, body: &mut Incoming) -> Result<Value> {
    let path = query.path()?;
    let mode = query.mode()?;
    let parents = query.flag("parents", false)?;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let writer = blocking(move || write_file(&path, mode, parents, receiver));
    let (_, result) = tokio::join!(forward(body, sender), writer);
    result
}

/// Feeds a body to a thread, until either ends.
pub async fn forward(body: &mut Incoming, sender: mpsc::Sender<Part>) {
    loop {
        let part = tokio::select! {
            biased;
            // The thread has failed: its error is the answer.
            () = sender.closed() => return,
            chunk = body.chunk() => match chunk {
                Ok(Some(chunk)) => Part::Bytes(chunk),
                Ok(None) => Part::End,
                Err(Gone) => return,
            },
        };
        let is_end = matches!(part, Part::End);
        if sender.send(part).await.is_err() || is_end {
            return;
        }
    }
}

fn write_file(
    path: &Path,
    mode: Option<u32>,
    parents: bool,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Value> {
    // Through a symlink the file behind it is replaced, as with any other program that writes to it.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(Metadata::is_dir)
        || path.as_os_str().as_encoded_bytes().ends_with(b"/")
    {
        return Err(Error::new(
            Code::IsADirectory,
            format!("{} is a directory", path.display()),
        ));
    }
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(Error::invalid(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let (Some(folder), Some(_)) = (target.parent(), target.file_name()) else {
        return Err(Error::invalid(format!(
            "{} does not name a file",
            path.display()
        )));
    };
    if parents {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    let mut temporary = Temporary::create(folder)?;
    loop {
        match parts.blocking_recv() {
            Some(Part::Bytes(bytes)) => temporary.file.write_all(&bytes).context(path.display())?,
            Some(Part::End) => break,
            None => return Err(Error::invalid("the body broke off")),
        }
    }
    if let Some(old) = &old
        && mode.is_none()
    {
        // Before the mode: a change of owner takes setuid bits away.
        fchown(&temporary.file, Some(old.uid()), Some(old.gid())).context(path.display())?;
    }
    let mode = mode.or(old.map(|old| old.mode() & 0o7777)).unwrap_or(0o644);
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    temporary
        .file
        .set_permissions(permissions)
        .context(path.display())?;
    temporary.file.sync_all().context(path.display())?;
    temporary.rename_to(&target).context(path.display())?;
    stat::stat(path, true)
}

/// A new file that is removed unless it is renamed.
struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(folder: &Path) -> Result<Self> {
        let mut random = [0u8; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .context("getrandom")?;
        let name = format!(".firebreak-{:016x}.tmp", u64::from_ne_bytes(random));
        let path = folder.join(name);
        // create_new: neither a file nor a symlink of that name is ever followed.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .context(folder.display())?;
        Ok(Temporary {
            file,
            path: Some(path),
        })
    }

    fn rename_to(&mut self, target: &Path) -> std::io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing is left to do when even this fails.
            let _ = fs::remove_file(path);
        }
    }
}
