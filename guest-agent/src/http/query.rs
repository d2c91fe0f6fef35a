//! The path and query of a request. Guest paths are bytes, not text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

const MAX_PATH_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, Vec<u8>)>,
}

impl Query {
    pub fn parse(text: &str) -> Query {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), percent_decode_str(value).collect())
            })
            .collect();
        Query { pairs }
    }

    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        self.bytes(name)
            .map(|bytes| {
                std::str::from_utf8(bytes)
                    .map_err(|_| Error::invalid(format!("{name} is not UTF-8")))
            })
            .transpose()
    }

    /// An empty value counts as none.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        match self.text(name)? {
            None | Some("") => Ok(None),
            Some(text) => {
                let number = text
                    .parse()
                    .map_err(|_| Error::invalid(format!("{name} is not a number")))?;
                Ok(Some(number))
            }
        }
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.text(name)? {
            None | Some("") => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(Error::invalid(format!("{name} is neither true nor false"))),
        }
    }

    pub fn mode(&self) -> Result<Option<u32>> {
        match self.text("mode")? {
            None | Some("") => Ok(None),
            Some(text) => {
                let mode = u32::from_str_radix(text, 8)
                    .ok()
                    .filter(|mode| *mode <= 0o7777);
                Ok(Some(mode.ok_or_else(|| {
                    Error::invalid("mode is not octal, at most 7777")
                })?))
            }
        }
    }

    pub fn path(&self) -> Result<PathBuf> {
        let bytes = self
            .bytes("path")
            .ok_or_else(|| Error::invalid("path is missing"))?;
        guest_path(bytes.to_vec())
    }
}

pub fn guest_path(bytes: Vec<u8>) -> Result<PathBuf> {
    if bytes.first() != Some(&b'/') {
        return Err(Error::invalid("path is not absolute"));
    }
    if bytes.contains(&0) || bytes.len() >= MAX_PATH_BYTES {
        return Err(Error::invalid("path holds NUL or is too long"));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn values_are_percent_decoded_to_bytes() {
        let query = Query::parse("path=%2Ftmp%2Fa%20b%FF&offset=12&follow=false&mode=0644");
        assert_eq!(
            query.path().unwrap().as_os_str().as_bytes(),
            b"/tmp/a b\xff"
        );
        assert_eq!(query.number("offset").unwrap(), Some(12));
        assert!(!query.flag("follow", true).unwrap());
        assert_eq!(query.mode().unwrap(), Some(0o644));
        assert_eq!(query.number("length").unwrap(), None);
    }

    #[test]
    fn bad_values_are_errors() {
        assert!(Query::parse("path=tmp").path().is_err());
        assert!(Query::parse("path=/a%00").path().is_err());
        assert!(Query::parse("").path().is_err());
        assert!(Query::parse("offset=-1").number("offset").is_err());
        assert!(Query::parse("mode=9").mode().is_err());
        assert!(Query::parse("mode=77777").mode().is_err());
        assert!(Query::parse("follow=maybe").flag("follow", true).is_err());
    }
}
