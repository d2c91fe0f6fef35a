//! The frames of an exec's two bodies: type (u8), length (u32, big endian), payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{Error, Result};

pub const HEADER_BYTES: usize = 5;
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

pub const SPEC: u8 = 1;
pub const STDIN: u8 = 2;
pub const STDIN_EOF: u8 = 3;
pub const STARTED: u8 = 16;
pub const STDOUT: u8 = 17;
pub const STDERR: u8 = 18;
pub const SKIPPED: u8 = 19;
pub const EXIT: u8 = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub payload: Bytes,
}

/// Decodes what the host sends. Holds at most one frame, and none when chunks end where frames do.
#[derive(Default)]
pub struct Decoder {
    pending: BytesMut,
    chunk: Bytes,
}

impl Decoder {
    /// Takes a chunk; `next` must have returned `None` before.
    pub fn push(&mut self, chunk: Bytes) {
        if self.pending.is_empty() && self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.pending.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            self.pending.extend_from_slice(&chunk);
        }
    }

    /// The next whole frame. An error is final: the stream cannot be read on.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        let source: &[u8] = if self.pending.is_empty() {
            &self.chunk
        } else {
            &self.pending
        };
        let Some((kind, length)) = parse_header(source)? else {
            return Ok(None);
        };
        if source.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        let payload = if self.pending.is_empty() {
            self.chunk.advance(HEADER_BYTES);
            self.chunk.split_to(length)
        } else {
            self.pending.advance(HEADER_BYTES);
            self.pending.split_to(length).freeze()
        };
        Ok(Some(Frame { kind, payload }))
    }

    /// Whether the bytes so far end between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.pending.is_empty() && self.chunk.is_empty()
    }
}

fn parse_header(bytes: &[u8]) -> Result<Option<(u8, usize)>> {
    let Some(&kind) = bytes.first() else {
        return Ok(None);
    };
    if !matches!(kind, SPEC | STDIN | STDIN_EOF) {
        return Err(Error::invalid(format!("unknown frame type {kind}")));
    }
    let Some(length) = bytes.get(1..HEADER_BYTES) else {
        return Ok(None);
    };
    let length = length
        .iter()
        .fold(0usize, |sum, &byte| (sum << 8) | usize::from(byte));
    if length > MAX_PAYLOAD_BYTES {
        return Err(Error::invalid(format!(
            "a frame of {length} bytes is longer than {MAX_PAYLOAD_BYTES}"
        )));
    }
    if kind == STDIN_EOF && length != 0 {
        return Err(Error::invalid("STDIN_EOF has no payload"));
    }
    Ok(Some((kind, length)))
}

/// Starts a frame whose payload of `length` bytes the caller appends.
pub fn begin(kind: u8, length: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + length);
    out.put_u8(kind);
    // Callers keep payloads below MAX_PAYLOAD_BYTES, so nothing is cut off.
    out.put_u32(length as u32);
    out
}

pub fn json(kind: u8, value: &serde_json::Value) -> Bytes {
    let text = value.to_string();
    let mut out = begin(kind, text.len());
    out.put_slice(text.as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_all(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<Frame>, bool)> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut rest = Bytes::copy_from_slice(bytes);
        for cut in cuts {
            decoder.push(rest.split_to((*cut).min(rest.len())));
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
        }
        decoder.push(rest);
        while let Some(frame) = decoder.next()? {
            frames.push(frame);
        }
        Ok((frames, decoder.is_between_frames()))
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn golden_frames_decode_as_written_down() {
        let text = include_str!("../golden/frames.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        for case in cases.iter().filter(|c| c["direction"] == "hostToGuest") {
            seen += 1;
            let name = case["name"].as_str().unwrap();
            let mut bytes = unhex(case["bytesHex"].as_str().unwrap());
            bytes.resize(
                bytes.len() + case["thenZeroBytes"].as_u64().unwrap_or(0) as usize,
                0,
            );
            for cuts in [
                vec![],
                vec![1; bytes.len().min(64)],
                vec![3; bytes.len().min(64)],
            ] {
                let got = decode_all(&bytes, &cuts);
                match case["error"].as_str() {
                    Some("TRUNCATED") => assert!(!got.unwrap().1, "{name}"),
                    Some(_) => assert!(got.is_err(), "{name}"),
                    None => {
                        let (frames, whole) = got.unwrap();
                        assert!(whole, "{name}");
                        let expect = case["expect"].as_array().unwrap();
                        assert_eq!(frames.len(), expect.len(), "{name}");
                        for (frame, want) in frames.iter().zip(expect) {
                            assert_eq!(u64::from(frame.kind), want["type"], "{name}");
                            match want["payloadZeroBytes"].as_u64() {
                                Some(n) => assert_eq!(frame.payload, vec![0; n as usize], "{name}"),
                                None => assert_eq!(
                                    frame.payload,
                                    unhex(want["payloadHex"].as_str().unwrap()),
                                    "{name}"
                                ),
                            }
                        }
                    }
                }
            }
        }
        assert!(seen > 5);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_decode_like_the_whole(
            bytes in proptest::collection::vec(prop_oneof![4 => 0u8..4, 1 => any::<u8>()], 0..400),
            cuts in proptest::collection::vec(0usize..20, 0..60),
        ) {
            let whole = decode_all(&bytes, &[]);
            let cut = decode_all(&bytes, &cuts);
            match (whole, cut) {
                (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                (Err(_), Err(_)) => {}
                (a, b) => prop_assert!(false, "{:?} {:?}", a, b),
            }
        }

        #[test]
        fn frames_survive_any_chunking(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..10),
            cuts in proptest::collection::vec(0usize..40, 0..60),
        ) {
            let mut bytes = BytesMut::new();
            for payload in &payloads {
                bytes.extend_from_slice(&begin(STDIN, payload.len()));
                bytes.extend_from_slice(payload);
            }
            let (frames, whole) = decode_all(&bytes, &cuts).unwrap();
            prop_assert!(whole);
            let got: Vec<_> = frames.iter().map(|f| f.payload.to_vec()).collect();
            prop_assert_eq!(got, payloads);
        }
    }
}
