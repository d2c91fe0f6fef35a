//! The frames of a mount: requests to the host, and its answers. docs/guest-protocol.md is the contract.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::nodes::Nodes;

/// What one read or write carries at most.
pub const MAX_DATA_BYTES: u32 = 128 << 10;
/// Of a frame's rest: data, two paths and what stands before them.
const MAX_ANSWER_BYTES: usize = 512 << 10;
/// What one page of a directory may have, names and attributes.
const PAGE_BYTES: u32 = 64 << 10;

const IS_RETRY: u8 = 1;

/// A request of the kernel's that the host has to answer. Numbers are the kernel's; paths are made when it is sent.
#[derive(Clone, Debug)]
pub enum Op {
    Lookup(Place),
    Getattr {
        node: u64,
        handle: u64,
    },
    Setattr {
        node: u64,
        handle: u64,
        changes: Changes,
    },
    Readlink {
        node: u64,
    },
    Mkdir {
        place: Place,
        mode: u32,
    },
    Unlink(Place),
    Rmdir(Place),
    Symlink {
        place: Place,
        target: Vec<u8>,
    },
    Rename {
        from: Place,
        to: Place,
    },
    Link {
        node: u64,
        place: Place,
    },
    Open {
        node: u64,
        handle: u64,
        flags: u32,
    },
    /// `handle` 0: made, not opened.
    Create {
        place: Place,
        handle: u64,
        flags: u32,
        mode: u32,
    },
    Read {
        handle: u64,
        offset: u64,
        size: u32,
    },
    Write {
        handle: u64,
        offset: u64,
        is_append: bool,
        data: Bytes,
    },
    Fsync {
        node: u64,
        handle: u64,
        is_data_only: bool,
    },
    Statfs,
    Readdir {
        node: u64,
        handle: u64,
        /// The last name of the page before; empty for the first.
        after: Vec<u8>,
    },
    Release {
        handle: u64,
    },
}

#[derive(Clone, Debug)]
pub struct Place {
    pub parent: u64,
    pub name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Now,
    At { seconds: i64, nanos: u32 },
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Time {
        match time.duration_since(UNIX_EPOCH) {
            Ok(age) => Time::At {
                seconds: i64::try_from(age.as_secs()).unwrap_or(i64::MAX),
                nanos: age.subsec_nanos(),
            },
            Err(error) => {
                let before = error.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Time::At {
                        seconds: -seconds,
                        nanos: 0,
                    },
                    nanos => Time::At {
                        seconds: -seconds - 1,
                        nanos: 1_000_000_000 - nanos,
                    },
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    pub mode: Option<u32>,
    pub size: Option<u64>,
    pub accessed: Option<Time>,
    pub modified: Option<Time>,
}

/// Nothing that has a name: the host cannot be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Nameless;

impl Op {
    /// The whole frame.
    pub fn encode(&self, id: u64, is_retry: bool, nodes: &Nodes) -> Result<Bytes, Nameless> {
        let mut out = BytesMut::with_capacity(256);
        out.put_u32(0);
        out.put_u64(id);
        out.put_u8(self.code());
        out.put_u8(if is_retry { IS_RETRY } else { 0 });
        self.put_fields(&mut out, nodes)?;
        let length = u32::try_from(out.len() - 4).map_err(|_| Nameless)?;
        out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(out.freeze())
    }

    fn code(&self) -> u8 {
        match self {
            Op::Lookup(_) => 1,
            Op::Getattr { .. } => 2,
            Op::Setattr { .. } => 3,
            Op::Readlink { .. } => 4,
            Op::Mkdir { .. } => 5,
            Op::Unlink(_) => 6,
            Op::Rmdir(_) => 7,
            Op::Symlink { .. } => 8,
            Op::Rename { .. } => 9,
            Op::Link { .. } => 10,
            Op::Open { .. } => 11,
            Op::Create { .. } => 12,
            Op::Read { .. } => 13,
            Op::Write { .. } => 14,
            Op::Fsync { .. } => 15,
            Op::Statfs => 16,
            Op::Readdir { .. } => 17,
            Op::Release { .. } => 18,
        }
    }

    fn put_fields(&self, out: &mut BytesMut, nodes: &Nodes) -> Result<(), Nameless> {
        match self {
            Op::Lookup(place) | Op::Unlink(place) | Op::Rmdir(place) => {
                put_place(out, nodes, place)?
            }
            Op::Getattr { node, handle } => {
                put_open(out, nodes, *node, *handle)?;
            }
            Op::Setattr {
                node,
                handle,
                changes,
            } => {
                put_open(out, nodes, *node, *handle)?;
                put_changes(out, changes);
            }
            Op::Readlink { node } => put_node(out, nodes, *node)?,
            Op::Mkdir { place, mode } => {
                put_place(out, nodes, place)?;
                out.put_u32(*mode);
            }
            Op::Symlink { place, target } => {
                put_place(out, nodes, place)?;
                put_bytes(out, target)?;
            }
            Op::Rename { from, to } => {
                put_place(out, nodes, from)?;
                put_place(out, nodes, to)?;
            }
            Op::Link { node, place } => {
                put_node(out, nodes, *node)?;
                put_place(out, nodes, place)?;
            }
            Op::Open {
                node,
                handle,
                flags,
            } => {
                put_node(out, nodes, *node)?;
                out.put_u64(*handle);
                out.put_u32(*flags);
            }
            Op::Create {
                place,
                handle,
                flags,
                mode,
            } => {
                put_place(out, nodes, place)?;
                out.put_u64(*handle);
                out.put_u32(*flags);
                out.put_u32(*mode);
            }
            Op::Read {
                handle,
                offset,
                size,
            } => {
                out.put_u64(*handle);
                out.put_u64(*offset);
                out.put_u32(*size);
            }
            Op::Write {
                handle,
                offset,
                is_append,
                data,
            } => {
                out.put_u64(*handle);
                out.put_u64(*offset);
                out.put_u8(u8::from(*is_append));
                out.extend_from_slice(data);
            }
            Op::Fsync {
                node,
                handle,
                is_data_only,
            } => {
                put_open(out, nodes, *node, *handle)?;
                out.put_u8(u8::from(*is_data_only));
            }
            Op::Statfs => {}
            Op::Readdir {
                node,
                handle,
                after,
            } => {
                put_node(out, nodes, *node)?;
                out.put_u64(*handle);
                put_bytes(out, after)?;
                out.put_u32(PAGE_BYTES);
            }
            Op::Release { handle } => out.put_u64(*handle),
        }
        Ok(())
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), Nameless> {
    out.put_u16(u16::try_from(bytes.len()).map_err(|_| Nameless)?);
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_node(out: &mut BytesMut, nodes: &Nodes, node: u64) -> Result<(), Nameless> {
    put_bytes(out, &nodes.path(node).ok_or(Nameless)?)
}

fn put_place(out: &mut BytesMut, nodes: &Nodes, place: &Place) -> Result<(), Nameless> {
    let path = nodes.path_of(place.parent, &place.name).ok_or(Nameless)?;
    put_bytes(out, &path)
}

/// What is open has a meaning without a name, too.
fn put_open(out: &mut BytesMut, nodes: &Nodes, node: u64, handle: u64) -> Result<(), Nameless> {
    match nodes.path(node) {
        Some(path) => put_bytes(out, &path)?,
        None if handle != 0 => put_bytes(out, b"")?,
        None => return Err(Nameless),
    }
    out.put_u64(handle);
    Ok(())
}

fn put_changes(out: &mut BytesMut, changes: &Changes) {
    let time_bits = |time: Option<Time>, bit: u8| match time {
        None => 0,
        Some(Time::At { .. }) => bit,
        Some(Time::Now) => bit | (bit << 2),
    };
    let mask = u8::from(changes.mode.is_some())
        | u8::from(changes.size.is_some()) << 1
        | time_bits(changes.accessed, 4)
        | time_bits(changes.modified, 8);
    out.put_u8(mask);
    out.put_u32(changes.mode.unwrap_or(0));
    out.put_u64(changes.size.unwrap_or(0));
    for time in [changes.accessed, changes.modified] {
        let (seconds, nanos) = match time {
            Some(Time::At { seconds, nanos }) => (seconds, nanos),
            _ => (0, 0),
        };
        out.put_i64(seconds);
        out.put_u32(nanos);
    }
}

/// One answer of the host's.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub id: u64,
    /// 0: it was done.
    pub errno: i32,
    pub payload: Bytes,
}

/// The host has said what no host says: the attachment is given up.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Frames from pieces of the stream.
#[derive(Default)]
pub struct Answers {
    buffer: BytesMut,
}

impl Answers {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn next(&mut self) -> Result<Option<Answer>, Malformed> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if !(12..=MAX_ANSWER_BYTES).contains(&length) {
            return Err(Malformed);
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(4 + length).freeze();
        frame.advance(4);
        let id = frame.get_u64();
        let errno = i32::try_from(frame.get_u32()).map_err(|_| Malformed)?;
        Ok(Some(Answer {
            id,
            errno,
            payload: frame,
        }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
}

/// What the host says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Of the file while it lives: other names of it have the same.
    pub number: u64,
    /// Another file that gets the number later has another one.
    pub generation: u64,
    pub kind: Kind,
    pub mode: u16,
    pub links: u32,
    pub size: u64,
    pub blocks: u64,
    pub accessed: SystemTime,
    pub modified: SystemTime,
    pub changed: SystemTime,
}

const ATTR_BYTES: usize = 8 + 8 + 1 + 2 + 4 + 8 + 8 + 3 * 12;

impl Attr {
    pub fn take(from: &mut Bytes) -> Result<Attr, Malformed> {
        if from.len() < ATTR_BYTES {
            return Err(Malformed);
        }
        Ok(Attr {
            number: from.get_u64(),
            generation: from.get_u64(),
            kind: match from.get_u8() {
                1 => Kind::File,
                2 => Kind::Directory,
                3 => Kind::Symlink,
                _ => return Err(Malformed),
            },
            mode: from.get_u16() & 0o777,
            links: from.get_u32(),
            size: from.get_u64(),
            blocks: from.get_u64(),
            accessed: take_time(from)?,
            modified: take_time(from)?,
            changed: take_time(from)?,
        })
    }
}

fn take_time(from: &mut Bytes) -> Result<SystemTime, Malformed> {
    let (seconds, nanos) = (from.get_i64(), from.get_u32());
    if nanos >= 1_000_000_000 {
        return Err(Malformed);
    }
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    // A date that nothing can hold is one that nobody set on purpose.
    Ok(moved
        .and_then(|time| time.checked_add(Duration::from_nanos(nanos.into())))
        .unwrap_or(UNIX_EPOCH))
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    pub attr: Attr,
}

/// A page of a directory, sorted by the bytes of the names.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub is_last: bool,
}

impl Page {
    pub fn take(mut from: Bytes) -> Result<Page, Malformed> {
        if from.is_empty() {
            return Err(Malformed);
        }
        let is_last = from.get_u8() == 1;
        let mut entries = Vec::new();
        while !from.is_empty() {
            if from.len() < 2 {
                return Err(Malformed);
            }
            let length = from.get_u16() as usize;
            if length == 0 || length > from.len() {
                return Err(Malformed);
            }
            let name = from.split_to(length).to_vec();
            let attr = Attr::take(&mut from)?;
            entries.push(Entry { name, attr });
        }
        // Without an entry there is no name to go on after.
        if entries.is_empty() && !is_last {
            return Err(Malformed);
        }
        Ok(Page { entries, is_last })
    }
}

pub struct Statfs {
    pub blocks: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub free_files: u64,
    pub block_size: u32,
}

impl Statfs {
    pub fn take(mut from: Bytes) -> Result<Statfs, Malformed> {
        if from.len() != 44 {
            return Err(Malformed);
        }
        Ok(Statfs {
            blocks: from.get_u64(),
            free: from.get_u64(),
            available: from.get_u64(),
            files: from.get_u64(),
            free_files: from.get_u64(),
            block_size: from.get_u32(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::ROOT;
    use super::*;

    fn place(name: &[u8]) -> Place {
        Place {
            parent: ROOT,
            name: name.to_vec(),
        }
    }

    #[test]
    fn a_request_has_the_path_that_its_node_has_when_it_is_sent() {
        let mut nodes = Nodes::default();
        nodes.learn(ROOT, b"d", 5, true);
        let op = Op::Mkdir {
            place: Place {
                parent: 5,
                name: b"new".to_vec(),
            },
            mode: 0o755,
        };
        let frame = op.encode(7, true, &nodes).unwrap();
        assert_eq!(
            &frame[..],
            b"\0\0\0\x15\0\0\0\0\0\0\0\x07\x05\x01\0\x05d/new\0\0\x01\xed"
        );
        nodes.rename((ROOT, b"d"), (ROOT, b"e"));
        let frame = op.encode(8, false, &nodes).unwrap();
        assert_eq!(&frame[13..21], b"\0\0\x05e/new");
    }

    #[test]
    fn what_is_open_can_be_asked_for_without_a_name_and_nothing_else_can() {
        let nodes = Nodes::default();
        let nameless = |handle| Op::Getattr { node: 9, handle }.encode(1, false, &nodes);
        assert_eq!(nameless(0), Err(Nameless));
        assert!(nameless(3).is_ok());
        assert_eq!(
            Op::Readlink { node: 9 }.encode(1, false, &nodes),
            Err(Nameless)
        );
    }

    #[test]
    fn changes_are_told_by_a_mask() {
        let changes = Changes {
            mode: Some(0o600),
            size: None,
            accessed: Some(Time::Now),
            modified: Some(Time::At {
                seconds: -1,
                nanos: 5,
            }),
        };
        let op = Op::Setattr {
            node: ROOT,
            handle: 0,
            changes,
        };
        let frame = op.encode(1, false, &Nodes::default()).unwrap();
        // The mask follows the empty path and the handle.
        assert_eq!(frame[24], 0b1_1101);
        assert_eq!(&frame[25..29], 0o600u32.to_be_bytes());
        assert_eq!(&frame[49..57], (-1i64).to_be_bytes());
    }

    #[test]
    fn a_time_before_the_epoch_counts_its_nanoseconds_forwards() {
        let time = UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(
            Time::from(time),
            Time::At {
                seconds: -2,
                nanos: 500_000_000
            }
        );
    }

    #[test]
    fn answers_are_put_together_from_pieces() {
        let mut answers = Answers::default();
        let frame = b"\0\0\0\x0e\0\0\0\0\0\0\0\x05\0\0\0\x02hi";
        for byte in frame {
            assert_eq!(answers.next(), Ok(None));
            answers.push(&[*byte]);
        }
        assert_eq!(
            answers.next(),
            Ok(Some(Answer {
                id: 5,
                errno: 2,
                payload: Bytes::from_static(b"hi")
            }))
        );
    }

    #[test]
    fn frames_of_an_impossible_length_are_refused() {
        for head in [b"\0\0\0\x0b", b"\xff\xff\xff\xff", b"\0\x10\0\0"] {
            let mut answers = Answers::default();
            answers.push(head);
            assert_eq!(answers.next(), Err(Malformed));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let bytes = Bytes::from(bytes);
            let _ = Attr::take(&mut bytes.clone());
            let _ = Page::take(bytes.clone());
            let _ = Statfs::take(bytes.clone());
            let mut answers = Answers::default();
            answers.push(&bytes);
            while let Ok(Some(_)) = answers.next() {}
        }

        #[test]
        fn every_name_that_the_kernel_may_send_is_framed(name in proptest::collection::vec(1u8.., 1..255)) {
            let frame = Op::Lookup(place(&name)).encode(1, false, &Nodes::default()).unwrap();
            proptest::prop_assert_eq!(frame.len(), 4 + 8 + 2 + 2 + name.len());
        }
    }
}
