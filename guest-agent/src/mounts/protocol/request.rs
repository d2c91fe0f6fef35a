//! What the host is asked for, as frames.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

use super::super::nodes::Nodes;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::nodes::ROOT;
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

    proptest::proptest! {
        #[test]
        fn every_name_that_the_kernel_may_send_is_framed(name in proptest::collection::vec(1u8.., 1..255)) {
            let frame = Op::Lookup(place(&name)).encode(1, false, &Nodes::default()).unwrap();
            proptest::prop_assert_eq!(frame.len(), 4 + 8 + 2 + 2 + name.len());
        }
    }
}
