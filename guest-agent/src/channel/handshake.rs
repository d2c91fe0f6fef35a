//! The lines that begin an attachment. See docs/guest-protocol.md.

use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub const GENERATION: u32 = 1;
const MAX_LINE_BYTES: usize = 128;
const NONCE_DIGITS: usize = 32;
/// In the place of the guest's nonce: a host that has heard no greeting.
const KNOCK: &str = "00000000000000000000000000000000";

/// A line of either side that means something.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Greeting {
        generation: u32,
        guest_nonce: String,
    },
    Attach {
        guest_nonce: String,
        host_nonce: String,
    },
    Attached {
        host_nonce: String,
    },
}

/// Cuts bytes into lines, in bounded memory. What is not a line of ours is dropped.
#[derive(Default)]
pub struct LineScanner {
    line: Vec<u8>,
    is_too_long: bool,
}

impl LineScanner {
    /// Takes one byte: HTTP/2 follows the last line at once, and must stay unread.
    pub fn push(&mut self, byte: u8) -> Option<Line> {
        if byte != b'\n' {
            // The limit counts the line without its newline.
            if self.line.len() == MAX_LINE_BYTES {
                self.is_too_long = true;
            } else {
                self.line.push(byte);
            }
            return None;
        }
        let line = if self.is_too_long {
            None
        } else {
            parse_line(&self.line)
        };
        self.line.clear();
        self.is_too_long = false;
        line
    }
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["firebreak-agent", generation, nonce] if is_nonce(nonce) => Some(Line::Greeting {
            generation: parse_generation(generation)?,
            guest_nonce: (*nonce).to_owned(),
        }),
        ["attach", guest, host] if is_nonce(guest) && is_nonce(host) => Some(Line::Attach {
            guest_nonce: (*guest).to_owned(),
            host_nonce: (*host).to_owned(),
        }),
        ["attached", nonce] if is_nonce(nonce) => Some(Line::Attached {
            host_nonce: (*nonce).to_owned(),
        }),
        _ => None,
    }
}

fn parse_generation(word: &str) -> Option<u32> {
    let is_plain = !word.is_empty()
        && word.len() <= 9
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && !word.starts_with('0');
    if is_plain { word.parse().ok() } else { None }
}

fn is_nonce(word: &str) -> bool {
    word.len() == NONCE_DIGITS
        && word
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 16 bytes from the kernel as 32 hex digits.
fn fresh_nonce() -> io::Result<String> {
    let mut bytes = [0u8; NONCE_DIGITS / 2];
    let mut filled = 0;
    while filled < bytes.len() {
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Greets the host and drops input until it answers. `Ok(false)`: the host went away first.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    let mut nonce = say_greeting(stream).await?;
    let mut scanner = LineScanner::default();
    loop {
        // Byte by byte only here: whatever follows the attach line belongs to HTTP/2. The stream reads
        // ahead for itself, so this is not one system call a byte.
        let mut byte = [0u8; 1];
        if read_some(stream, &mut byte).await? == 0 {
            return Ok(false);
        }
        let Some(Line::Attach {
            guest_nonce,
            host_nonce,
        }) = scanner.push(byte[0])
        else {
            continue;
        };
        if guest_nonce == nonce {
            let answer = format!("\nattached {host_nonce}\n");
            write_all(stream, answer.as_bytes()).await?;
            return Ok(true);
        }
        if guest_nonce == KNOCK {
            // The greeting went to an earlier host, whose leaving and this one's arrival were too close to be
            // seen. A fresh nonce: were the first answered too, its answer must not run into HTTP/2.
            nonce = say_greeting(stream).await?;
        }
    }
}

async fn say_greeting<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<String> {
    let nonce = fresh_nonce()?;
    let greeting = format!("\nfirebreak-agent {GENERATION} {nonce}\n");
    write_all(stream, greeting.as_bytes()).await?;
    Ok(nonce)
}

async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, into: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(into);
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await?;
    Ok(buffer.filled().len())
}

async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written =
            std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(bytes: &[u8]) -> Vec<Line> {
        let mut scanner = LineScanner::default();
        bytes.iter().filter_map(|&b| scanner.push(b)).collect()
    }

    fn describe(line: &Line) -> serde_json::Value {
        match line {
            Line::Greeting {
                generation,
                guest_nonce,
            } => {
                serde_json::json!({"line": "greeting", "generation": generation, "guestNonce": guest_nonce})
            }
            Line::Attach {
                guest_nonce,
                host_nonce,
            } => {
                serde_json::json!({"line": "attach", "guestNonce": guest_nonce, "hostNonce": host_nonce})
            }
            Line::Attached { host_nonce } => {
                serde_json::json!({"line": "attached", "hostNonce": host_nonce})
            }
        }
    }

    #[test]
    fn golden_lines_parse_as_written_down() {
        let text = include_str!("../../golden/attachment.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 8);
        for case in &cases {
            let hex = case["bytesHex"].as_str().unwrap();
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            // Each side reacts to the other side's lines only.
            let is_guest = case["reader"] == "guest";
            let got: Vec<_> = scan(&bytes)
                .iter()
                .filter(|line| is_guest == matches!(line, Line::Attach { .. }))
                .map(describe)
                .collect();
            assert_eq!(
                serde_json::Value::from(got),
                case["expect"],
                "{}",
                case["name"]
            );
        }
    }

    async fn next_nonce(host: &mut tokio::io::DuplexStream) -> String {
        use tokio::io::AsyncReadExt;
        let mut greeting = [0u8; "\nfirebreak-agent 1 \n".len() + NONCE_DIGITS];
        host.read_exact(&mut greeting).await.unwrap();
        match scan(&greeting).pop() {
            Some(Line::Greeting { guest_nonce, .. }) => guest_nonce,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_knock_is_answered_with_another_greeting_and_only_the_last_one_counts() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut host, mut guest) = tokio::io::duplex(4096);
        let greeting = tokio::spawn(async move { greet(&mut guest).await });
        let first = next_nonce(&mut host).await;
        let lines = format!("\nattach {KNOCK} {KNOCK}\n\nattach {first} {first}\n");
        host.write_all(lines.as_bytes()).await.unwrap();
        let second = next_nonce(&mut host).await;
        assert_ne!(first, second);
        let line = format!("\nattach {second} {first}\n");
        host.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        host.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, format!("\nattached {first}\n"));
        assert!(greeting.await.unwrap().unwrap());
    }

    proptest! {
        #[test]
        fn a_line_is_found_behind_any_bytes(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
            let guest = "0123456789abcdef0123456789abcdef";
            let mut bytes = garbage;
            bytes.extend_from_slice(format!("\nattach {guest} {guest}\n").as_bytes());
            let want = Line::Attach { guest_nonce: guest.into(), host_nonce: guest.into() };
            prop_assert_eq!(scan(&bytes).pop(), Some(want));
        }
    }
}
