//! The host's answers, from pieces of the stream.

use bytes::{Buf, Bytes, BytesMut};

/// Of a frame's rest: data, two paths and what stands before them.
const MAX_ANSWER_BYTES: usize = 512 << 10;

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

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut answers = Answers::default();
            answers.push(&bytes);
            while let Ok(Some(_)) = answers.next() {}
        }
    }
}
