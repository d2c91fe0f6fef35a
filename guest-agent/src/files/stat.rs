//! Stat, as the protocol tells it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Context, Result};

pub fn stat(path: &Path, follows: bool) -> Result<Value> {
    let metadata = if follows {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    let metadata = metadata.context(path.display())?;
    Ok(describe(path, &metadata))
}

pub fn describe(path: &Path, metadata: &Metadata) -> Value {
    let kind = metadata.file_type();
    let kind_name = if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "symlink"
    } else {
        "other"
    };
    let mut value = json!({
        "path": path.to_string_lossy(),
        "type": kind_name,
        "sizeBytes": metadata.len(),
        "mode": format!("{:04o}", metadata.mode() & 0o7777),
        "uid": metadata.uid(),
        "gid": metadata.gid(),
        "mtimeMs": metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
    });
    if kind.is_symlink()
        && let Ok(target) = fs::read_link(path)
    {
        value["target"] = target.to_string_lossy().into();
    }
    value
}

/// JSON that a header may carry: what is not ASCII is escaped.
pub fn ascii_json(value: &Value) -> String {
    let mut out = String::new();
    for unit in value.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ 0x20..=0x7e) => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_json_is_ascii_and_means_the_same() {
        let value = json!({ "path": "/tmp/ä\u{7f}😀\n\"" });
        let text = ascii_json(&value);
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
