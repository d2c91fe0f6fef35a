//! Reading files and directories.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::stat::{ascii_json, describe};
use super::{blocking, stat};
use crate::error::{Code, Context, Error, Result};
use crate::http::body::Outgoing;
use crate::http::query::Query;

const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that wait between the disk's thread and the connection.
const CHUNKS_AHEAD: usize = 2;
const DEFAULT_LIMIT: u64 = 1000;
const MAX_LIMIT: u64 = 10_000;

/// `GET /v1/file`. An error after the head can only reset the stream.
pub async fn download(query: &Query, respond: &mut SendResponse<Bytes>) -> Result<()> {
    let path = query.path()?;
    let offset = query.number("offset")?.unwrap_or(0);
    let length = query.number("length")?;
    let (file, stat, size) = blocking(move || open_regular(&path)).await?;

    let mut head = Response::new(());
    let stat = HeaderValue::from_str(&ascii_json(&stat))
        .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    head.headers_mut().insert("firebreak-stat", stat);
    // A size of 0 may be that of a file in /proc, which has bytes all the same.
    let known = (size > 0).then(|| size.saturating_sub(offset).min(length.unwrap_or(u64::MAX)));
    if let Some(known) = known {
        head.headers_mut()
            .insert(http::header::CONTENT_LENGTH, HeaderValue::from(known));
    }
    let most = known.or(length).unwrap_or(u64::MAX);
    let (sender, mut chunks) = mpsc::channel::<Result<Bytes>>(CHUNKS_AHEAD);
    let reader = tokio::task::spawn_blocking(move || read_chunks(file, offset, most, &sender));
    let Ok(mut out) = Outgoing::with_head(respond, head) else {
        return Ok(());
    };
    let mut sent = 0;
    while let Some(chunk) = chunks.recv().await {
        let Ok(chunk) = chunk else {
            out.reset(h2::Reason::INTERNAL_ERROR);
            return Ok(());
        };
        sent += chunk.len() as u64;
        if out.send(chunk).await.is_err() {
            return Ok(());
        }
    }
    let _ = reader.await;
    if known.is_some_and(|known| known != sent) {
        // Someone cut the file short while it was read: the promised length cannot be kept.
        out.reset(h2::Reason::INTERNAL_ERROR);
    } else {
        let _ = out.finish(Bytes::new()).await;
    }
    Ok(())
}

fn open_regular(path: &Path) -> Result<(File, Value, u64)> {
    // Opening a FIFO would wait for its writer.
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .context(path.display())?;
    let metadata = file.metadata().context(path.display())?;
    if metadata.is_dir() {
        return Err(Error::new(
            Code::IsADirectory,
            format!("{} is a directory", path.display()),
        ));
    }
    if !metadata.is_file() {
        return Err(Error::invalid(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    Ok((file, describe(path, &metadata), metadata.len()))
}

fn read_chunks(mut file: File, offset: u64, most: u64, sender: &mpsc::Sender<Result<Bytes>>) {
    if let Err(error) = file.seek(SeekFrom::Start(offset)) {
        let _ = sender.blocking_send(Err(Error::io("seek", &error)));
        return;
    }
    let mut rest = most;
    while rest > 0 {
        let mut buffer =
            BytesMut::zeroed(CHUNK_BYTES.min(usize::try_from(rest).unwrap_or(CHUNK_BYTES)));
        let count = match file.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = sender.blocking_send(Err(Error::io("read", &error)));
                return;
            }
        };
        rest -= count as u64;
        buffer.truncate(count);
        if sender.blocking_send(Ok(buffer.freeze())).is_err() {
            return;
        }
    }
}

/// `GET /v1/dir`: a page of names after `after`, in the order of their bytes.
pub fn list(path: &Path, limit: Option<u64>, after: Option<Vec<u8>>) -> Result<Value> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::invalid(format!(
            "limit is not from 1 to {MAX_LIMIT}"
        )));
    }
    let limit = limit as usize;
    let mut names = Vec::new();
    for entry in fs::read_dir(path).context(path.display())? {
        let name = entry.context(path.display())?.file_name().into_vec();
        if after.as_ref().is_none_or(|after| name > *after) {
            names.push(name);
        }
    }
    names.sort_unstable();
    let more = names.len() > limit;
    names.truncate(limit);
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let full = path.join(std::ffi::OsStr::from_bytes(&name));
        let mut entry = match stat::stat(&full, false) {
            Ok(entry) => entry,
            // It went away since it was listed.
            Err(error) if error.code == Code::NotFound => continue,
            Err(error) => return Err(error),
        };
        entry["name"] = String::from_utf8_lossy(&name).into();
        if std::str::from_utf8(&name).is_err() {
            entry["nameBase64"] = STANDARD.encode(&name).into();
        }
        entries.push(entry);
    }
    Ok(json!({ "entries": entries, "more": more }))
}
