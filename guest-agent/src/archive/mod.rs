//! Directory trees as tar streams.

mod pack;
mod unpack;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::Response;
use serde_json::Value;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

use crate::error::{Code, Context, Error, Result};
use crate::files::blocking;
use crate::files::write::{Part, forward};
use crate::http::body::{Incoming, Outgoing};
use crate::http::query::Query;

const CHUNK_BYTES: usize = 128 << 10;
const CHUNKS_AHEAD: usize = 4;

/// `GET /v1/archive`. An error after the head can only reset the stream.
pub async fn download(query: &Query, respond: &mut SendResponse<Bytes>) -> Result<()> {
    let path = query.path()?;
    let is_whole = query.flag("whole", false)?;
    let checked = path.clone();
    blocking(move || std::fs::metadata(&checked).context(checked.display())).await?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let packing =
        tokio::task::spawn_blocking(move || pack::pack(&path, ChunkWriter::new(sender), is_whole));
    let Ok(mut out) = Outgoing::with_head(respond, Response::new(())) else {
        return Ok(());
    };
    while let Some(chunk) = chunks.recv().await {
        if out.send(chunk).await.is_err() {
            return Ok(());
        }
    }
    match packing.await {
        Ok(Ok(())) => {
            let _ = out.finish(Bytes::new()).await;
        }
        _ => out.reset(h2::Reason::INTERNAL_ERROR),
    }
    Ok(())
}

/// `PUT /v1/archive`.
pub async fn upload(query: &Query, body: &mut Incoming) -> Result<Value> {
    let path = query.path()?;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let unpacking = blocking(move || unpack::unpack(&path, PartReader::new(receiver)));
    let (_, result) = tokio::join!(forward(body, sender), unpacking);
    result
}

/// Gathers small writes (tar's are of 512 bytes) into chunks for the connection.
struct ChunkWriter {
    sender: mpsc::Sender<Bytes>,
    buffer: BytesMut,
}

impl ChunkWriter {
    fn new(sender: mpsc::Sender<Bytes>) -> Self {
        ChunkWriter {
            sender,
            buffer: BytesMut::new(),
        }
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.sender
            .blocking_send(chunk)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The body as the thread that unpacks reads it. A body that breaks off is an error, never an end.
struct PartReader {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    is_ended: bool,
}

impl PartReader {
    fn new(parts: mpsc::Receiver<Part>) -> Self {
        PartReader {
            parts,
            current: Bytes::new(),
            is_ended: false,
        }
    }
}

impl Read for PartReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.is_ended {
                return Ok(0);
            }
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.current = bytes,
                Some(Part::End) => self.is_ended = true,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionAborted,
                        "the body broke off",
                    ));
                }
            }
        }
        let count = into.len().min(self.current.len());
        into[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// The tar crate's own errors are about the bytes of the archive; those of the system have a number.
fn archive_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) => Error::os("archive", errno),
        None => Error::new(Code::InvalidArgument, format!("archive: {error}")),
    }
}
