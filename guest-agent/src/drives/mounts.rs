//! What is mounted where, as the agent sees it: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::error::{Context, Result};

#[derive(Debug, PartialEq, Eq)]
pub struct Mounted {
    pub path: PathBuf,
    pub is_read_only: bool,
}

/// Mounts of these devices (`MAJOR:MINOR`), the oldest first.
pub fn of(numbers: &[String]) -> Result<Vec<Mounted>> {
    let text = fs::read("/proc/self/mountinfo").context("read the mounts")?;
    Ok(parse(&text, numbers))
}

fn parse(text: &[u8], numbers: &[String]) -> Vec<Mounted> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ').skip(2);
            let (number, _root, path, options) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let is_wanted = numbers.iter().any(|wanted| wanted.as_bytes() == number);
            is_wanted.then(|| Mounted {
                path: PathBuf::from(OsString::from_vec(unescape(path))),
                is_read_only: options
                    .split(|byte| *byte == b',')
                    .any(|word| word == b"ro"),
            })
        })
        .collect()
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_device_are_found() {
        let text = b"22 1 8:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/sda rw\n\
            23 1 8:16 / /mnt/c rw - ext4 /dev/sdb rw\n\
            24 22 8:0 /sub /mnt/ro ro,nosuid - ext4 /dev/sda rw\n\
            short\n";
        let found = parse(text, &["8:0".to_owned(), "8:1".to_owned()]);
        let paths: Vec<_> = found
            .iter()
            .map(|mount| (mount.path.to_str().unwrap(), mount.is_read_only))
            .collect();
        assert_eq!(paths, [("/mnt/a b", false), ("/mnt/ro", true)]);
    }

    #[test]
    fn a_backslash_at_the_end_is_itself() {
        assert_eq!(unescape(b"a\\134b\\"), b"a\\b\\");
        assert_eq!(unescape(b"\\9"), b"\\9");
    }
}
