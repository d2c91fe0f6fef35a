//! `hold-memory`, `lend-memory` and `digest-memory`: the memory of a snapshot, as sealed memory that VMs map privately.
//!
//! Many VMs run from one memory. A file could be changed under all of them by whoever may write to it; sealed
//! memory cannot be changed by anyone. Its digest is taken from the very bytes that went into it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, SeekFrom};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Code, Context, Error, Result};

/// The unit of the digest, and of what counts as empty.
const BLOCK_BYTES: usize = 64 << 10;
/// What is read at once: a few of these stay in the processor's cache between reading, hashing and writing.
const CHUNK_BYTES: usize = 8 * BLOCK_BYTES;
/// How many chunks may be under way between the two threads.
const CHUNKS: usize = 4;

/// How long an ended machine may take to give its memory back.
const UNMAP_PATIENCE: Duration = Duration::from_secs(5);

const MEMFD_NAME: &str = "firebreak-memory";

static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// One line of JSON on stdout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    fd: Option<i32>,
    size_bytes: u64,
    /// The size of the blocks that hold anything but zeros.
    data_bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    fd: i32,
    size_bytes: u64,
}

/// Holds the memory until stdin ends. Whoever wants it opens /proc/PID/fd/FD before that.
pub fn lend(path: &str) -> ExitCode {
    finish(path, || {
        let (file, size) = open(path)?;
        let memory = make_memory(size)?;
        let scanned = scan(&file, size, Some(&memory))?;
        seal(&memory)?;
        say(&scanned.report(Some(memory.as_raw_fd())))?;
        wait_for_end_of_input()
    })
}

/// Blank memory for a machine to write to. A line `save PATH` on stdin writes it to a new file and seals it.
pub fn hold(size: &str) -> ExitCode {
    finish("hold-memory", || {
        let size: u64 = size
            .parse()
            .map_err(|_| Error::invalid(format!("{size} is not a number of bytes")))?;
        let memory = make_memory(size)?;
        // All at once now: page by page would take longer, and that while a guest stands still.
        rustix::fs::fallocate(&memory, FallocateFlags::empty(), 0, size)
            .context("allocate the memory")?;
        say(&Held {
            fd: memory.as_raw_fd(),
            size_bytes: size,
        })?;
        for line in io::stdin().lines() {
            let line = line.context("read a command")?;
            let path = line
                .strip_prefix("save ")
                .ok_or_else(|| Error::invalid(format!("unknown command {line}")))?;
            give_back_zeros(&memory, size)?;
            // First: what is written is what will be lent. Refused while a machine still has it mapped.
            seal(&memory)?;
            say(&save(&memory, size, path)?.report(None))?;
        }
        Ok(())
    })
}

/// Blocks without data need no memory.
fn give_back_zeros(memory: &OwnedFd, size: u64) -> Result<()> {
    let file = File::from(memory.try_clone().context("read the memory")?);
    let mut block = vec![0; BLOCK_BYTES];
    for offset in (0..size).step_by(BLOCK_BYTES) {
        let length = (size - offset).min(BLOCK_BYTES as u64);
        let block = &mut block[..length as usize];
        file.read_exact_at(block, offset)
            .context("read the memory")?;
        if is_zero(block) {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(memory, hole, offset, length).context("give memory back")?;
        }
    }
    Ok(())
}

fn save(memory: &OwnedFd, size: u64, path: &str) -> Result<Scanned> {
    use std::os::unix::fs::OpenOptionsExt;
    let target = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .context(path)?;
    target.set_len(size).context(path)?;
    let source = File::from(memory.try_clone().context("save")?);
    scan(&source, size, Some(&target.into()))
}

pub fn digest(path: &str) -> ExitCode {
    finish(path, || {
        let (file, size) = open(path)?;
        say(&scan(&file, size, None)?.report(None))
    })
}

fn finish(path: &str, work: impl FnOnce() -> Result<()>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firebreak-agent: {path}: {}", error.message);
            ExitCode::FAILURE
        }
    }
}

fn open(path: &str) -> Result<(File, u64)> {
    let file = File::open(path).context("open")?;
    let metadata = file.metadata().context("stat")?;
    if !metadata.is_file() {
        return Err(Error::invalid("not a regular file"));
    }
    Ok((file, metadata.len()))
}

fn make_memory(size: u64) -> Result<OwnedFd> {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let memory = rustix::fs::memfd_create(MEMFD_NAME, flags).context("make the memory")?;
    rustix::fs::ftruncate(&memory, size).context("size the memory")?;
    Ok(memory)
}

/// A machine that has just been ended may have the memory mapped a moment longer: that is waited for.
fn seal(memory: &OwnedFd) -> Result<()> {
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    let deadline = Instant::now() + UNMAP_PATIENCE;
    loop {
        match rustix::fs::fcntl_add_seals(memory, seals) {
            Err(rustix::io::Errno::BUSY) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            sealed => return sealed.context("seal the memory"),
        }
    }
}

fn say(report: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(report)
        .map_err(|error| Error::new(Code::Internal, format!("report: {error}")))?;
    let mut out = io::stdout();
    writeln!(out, "{line}").context("write the report")?;
    out.flush().context("write the report")
}

fn wait_for_end_of_input() -> Result<()> {
    let mut scratch = [0u8; 64];
    loop {
        match io::stdin().read(&mut scratch) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("wait for the end of stdin", &error)),
        }
    }
}

struct Scanned {
    size: u64,
    data: u64,
    sha256: String,
}

impl Scanned {
    fn report(self, fd: Option<i32>) -> Report {
        Report {
            fd,
            size_bytes: self.size,
            data_bytes: self.data,
            sha256: self.sha256,
        }
    }
}

/// Bytes from `offset` on, which is a multiple of the block size.
struct Chunk {
    offset: u64,
    bytes: Vec<u8>,
    filled: usize,
}

impl Chunk {
    fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let blocks = self.bytes[..self.filled].chunks(BLOCK_BYTES);
        let first = self.offset / BLOCK_BYTES as u64;
        (first..).zip(blocks)
    }
}

/// Reads what the file holds once; digests it on a thread of its own, for that takes longest, while this
/// thread writes it to `memory`.
fn scan(file: &File, size: u64, memory: Option<&OwnedFd>) -> Result<Scanned> {
    let (full_sender, full) = channel();
    let (empty_sender, empty) = channel();
    for _ in 0..CHUNKS {
        let chunk = Chunk {
            offset: 0,
            bytes: vec![0; CHUNK_BYTES],
            filled: 0,
        };
        let _ = empty_sender.send(chunk);
    }
    std::thread::scope(|scope| {
        let hasher = scope.spawn(move || hash(full, empty_sender));
        let copied = copy(file, size, memory, &empty, full_sender);
        let hashed = hasher.join();
        copied?;
        let (data, sha256) =
            hashed.map_err(|_| Error::new(Code::Internal, "the digest's thread ended"))?;
        Ok(Scanned { size, data, sha256 })
    })
}

fn copy(
    file: &File,
    size: u64,
    memory: Option<&OwnedFd>,
    empty: &Receiver<Chunk>,
    full: Sender<Chunk>,
) -> Result<()> {
    let gone = || Error::new(Code::Internal, "the digest's thread ended");
    let mut position = 0;
    while let Some((start, end)) = next_data(file, position, size)? {
        position = end;
        let mut at = start;
        while at < end {
            let mut chunk = empty.recv().map_err(|_| gone())?;
            chunk.offset = at;
            chunk.filled = CHUNK_BYTES.min((end - at) as usize);
            let into = &mut chunk.bytes[..chunk.filled];
            file.read_exact_at(into, at).context("read")?;
            at += chunk.filled as u64;
            // Handed on only now: a chunk under digestion is not ours any more.
            if let Some(memory) = memory {
                write_data(&chunk, memory)?;
            }
            full.send(chunk).map_err(|_| gone())?;
        }
    }
    Ok(())
}

/// The next stretch that may hold data, on the borders of blocks. `None`: from `from` on there is none.
fn next_data(file: &File, from: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file.as_fd(), SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error).context("find data"),
    };
    let end = rustix::fs::seek(file.as_fd(), SeekFrom::Hole(start)).context("find a hole")?;
    let block = BLOCK_BYTES as u64;
    // Never before `from`: that is a border of a block too, and what is before it has been read.
    let start = start / block * block;
    Ok((start < size).then(|| (start, end.next_multiple_of(block).min(size))))
}

/// Neighbouring blocks go in one write; those of zeros stay holes.
fn write_data(chunk: &Chunk, memory: &OwnedFd) -> Result<()> {
    let bytes = &chunk.bytes[..chunk.filled];
    // Where the blocks begin that are not written yet.
    let mut pending = 0;
    for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        if is_zero(block) {
            let at = index * BLOCK_BYTES;
            write_all_at(memory, &bytes[pending..at], chunk.offset + pending as u64)?;
            pending = at + block.len();
        }
    }
    write_all_at(memory, &bytes[pending..], chunk.offset + pending as u64)
}

fn write_all_at(memory: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(memory, bytes, offset) {
            Ok(0) => return Err(Error::new(Code::NoSpace, "no more can be written")),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("copy the memory"),
        }
    }
    Ok(())
}

fn is_zero(block: &[u8]) -> bool {
    block == &ZEROS[..block.len()]
}

/// The bytes of all blocks that hold data, and the digest over each one's index (u64, little endian) and bytes.
/// Where the file's holes are makes no difference to it.
fn hash(full: Receiver<Chunk>, empty: Sender<Chunk>) -> (u64, String) {
    let mut digest = Sha256::new();
    let mut data = 0;
    for chunk in full {
        for (index, block) in chunk.blocks().filter(|(_, block)| !is_zero(block)) {
            digest.update(index.to_le_bytes());
            digest.update(block);
            data += block.len() as u64;
        }
        // The other side is done when it has gone.
        let _ = empty.send(chunk);
    }
    (data, hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8]) -> (u64, String) {
        let mut digest = Sha256::new();
        let mut data = 0;
        for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                digest.update((index as u64).to_le_bytes());
                digest.update(block);
                data += block.len() as u64;
            }
        }
        (data, hex(&digest.finalize()))
    }

    fn file_of(parts: &[(u64, &[u8])], size: u64) -> File {
        let memory = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        let file = File::from(memory);
        file.set_len(size).unwrap();
        for (offset, bytes) in parts {
            file.write_all_at(bytes, *offset).unwrap();
        }
        file
    }

    fn content(file: &File, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_only_blocks_of_data_take_memory() {
        let block = BLOCK_BYTES as u64;
        let size = 40 * block + 777;
        let zeros = vec![0; 5 * BLOCK_BYTES];
        let ones = vec![1; CHUNK_BYTES + 3 * BLOCK_BYTES];
        let parts: &[(u64, &[u8])] = &[
            (block + 4096, b"in the middle of a block"),
            (4 * block, &zeros),
            (10 * block, &ones),
            (30 * block - 1, b"over a border"),
            (size - 1, b"e"),
        ];
        let file = file_of(parts, size);
        let memory = make_memory(size).unwrap();
        let scanned = scan(&file, size, Some(&memory)).unwrap();
        seal(&memory).unwrap();
        let bytes = content(&file, size);
        let memory = File::from(memory);
        assert!(content(&memory, size) == bytes);
        let (data, sha256) = naive(&bytes);
        assert_eq!((scanned.data, scanned.sha256), (data, sha256));
        assert_eq!(data, (1 + 11 + 2) * block + 777);
        use std::os::unix::fs::MetadataExt;
        assert!(memory.metadata().unwrap().blocks() * 512 <= data + 4096);
        assert!(memory.write_all_at(b"x", 0).is_err());
        assert!(memory.set_len(0).is_err());
    }

    #[test]
    fn holes_and_written_zeros_are_the_same_to_the_digest() {
        let size = 10 * BLOCK_BYTES as u64;
        let zeros = vec![0; size as usize];
        let sparse = file_of(&[(300_000, b"data")], size);
        let dense = file_of(&[(0, &zeros), (300_000, b"data")], size);
        let digests = [&sparse, &dense].map(|file| scan(file, size, None).unwrap().sha256);
        assert_eq!(digests[0], digests[1]);
        let moved = file_of(&[(300_000 + BLOCK_BYTES as u64, b"data")], size);
        assert_ne!(scan(&moved, size, None).unwrap().sha256, digests[0]);
    }

    #[test]
    fn nothing_has_the_digest_of_nothing() {
        let scanned = scan(&file_of(&[], 0), 0, None).unwrap();
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!((scanned.data, scanned.sha256.as_str()), (0, of_nothing));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let file = file_of(&[(0, b"data")], 4096);
        file.set_len(10).unwrap();
        assert!(scan(&file, 4096, None).is_err());
    }
}
