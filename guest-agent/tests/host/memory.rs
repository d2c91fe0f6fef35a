//! The modes for the memory of snapshots, as the daemon uses them.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

const SIZE: u64 = 1 << 20;
/// sha256 over (2 as u64 in little endian, "data" and zeros up to 64 KiB), by another program.
const DIGEST: &str = "648980ee934d55369d881a33714c5f6469ca9d50f743ffdde2d959e88e7f2258";

fn memory_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("firebreak-{}-{name}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(b"data", 2 << 16).unwrap();
    path
}

fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_firebreak-agent"))
}

#[test]
fn lent_memory_can_be_opened_until_stdin_ends_and_never_be_changed() {
    let path = memory_file("lend");
    let mut child = agent()
        .arg("lend-memory")
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["sizeBytes"], SIZE);
    assert_eq!(report["dataBytes"], 1 << 16);
    assert_eq!(report["sha256"], DIGEST);

    let lent = format!("/proc/{}/fd/{}", child.id(), report["fd"]);
    // As a VMM opens it, which maps it privately.
    let memory = std::fs::File::options()
        .read(true)
        .write(true)
        .open(lent)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let mut bytes = [0; 4];
    memory.read_exact_at(&mut bytes, 2 << 16).unwrap();
    assert_eq!(&bytes, b"data");
    assert_eq!(memory.metadata().unwrap().len(), SIZE);
    assert!(memory.write_all_at(b"x", 0).is_err());
    assert!(memory.set_len(2 * SIZE).is_err());
}

#[test]
fn a_digest_is_the_one_of_the_lent_memory_and_names_no_descriptor() {
    let path = memory_file("digest");
    let output = agent().arg("digest-memory").arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sha256"], DIGEST);
    assert_eq!(report.get("fd"), None);
}

#[test]
fn what_cannot_be_read_is_said_on_stderr() {
    for mode in ["lend-memory", "digest-memory"] {
        for (path, reason) in [("/no/such", "No such file"), ("/dev", "not a regular file")] {
            let output = agent().args([mode, path]).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(
                message.contains(path) && message.contains(reason),
                "{message}"
            );
            assert!(output.stdout.is_empty());
        }
    }
}
