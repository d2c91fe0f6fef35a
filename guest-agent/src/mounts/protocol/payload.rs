//! What an answer carries: attributes, pages of directories, figures of a file system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes};

use super::answers::Malformed;

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
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let bytes = Bytes::from(bytes);
            let _ = Attr::take(&mut bytes.clone());
            let _ = Page::take(bytes.clone());
            let _ = Statfs::take(bytes);
        }
    }
}
