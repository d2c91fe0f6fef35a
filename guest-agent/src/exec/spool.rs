//! The ring that holds a command's output, stdout and stderr in order of arrival.
//!
//! Pipes are read straight into the ring. It always keeps the newest `capacity` bytes, read or not, so that a
//! host that lost its connection can come back for what was under way. Who follows holds a floor: bytes at or
//! above the floor cannot be overwritten, and a ring without room stops the pump.

use std::collections::VecDeque;
use std::io;

use super::spec::Detach;

/// One run of bytes of one stream; it ends where the next begins.
#[derive(Clone, Copy)]
struct Segment {
    start: u64,
    stream: u8,
}

pub struct Spool {
    ring: Vec<u8>,
    capacity: usize,
    detach: Detach,
    start: u64,
    end: u64,
    segments: VecDeque<Segment>,
    followers: Vec<(u64, u64)>,
    next_follower: u64,
    /// Where the last follower left: the floor of `Detach::Block` while nobody follows.
    parked: u64,
}

pub type FollowerId = u64;

impl Spool {
    pub fn new(capacity: usize, detach: Detach) -> Self {
        Spool {
            ring: Vec::new(),
            capacity,
            detach,
            start: 0,
            end: 0,
            segments: VecDeque::new(),
            followers: Vec::new(),
            next_follower: 0,
            parked: 0,
        }
    }

    /// Offset of the oldest byte that is held.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes that ever came in, which is the offset after the newest.
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn held_bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn follow(&mut self, cursor: u64) -> FollowerId {
        self.next_follower += 1;
        self.followers.push((self.next_follower, cursor));
        self.next_follower
    }

    pub fn advance(&mut self, id: FollowerId, cursor: u64) {
        if let Some(follower) = self.followers.iter_mut().find(|(known, _)| *known == id) {
            follower.1 = cursor;
        }
    }

    pub fn unfollow(&mut self, id: FollowerId) {
        let floor = self.floor();
        self.followers.retain(|(known, _)| *known != id);
        if self.followers.is_empty() {
            self.parked = floor;
        }
    }

    /// A quarter of the ring behind each cursor stays, for bytes that the connection had not delivered yet.
    fn reserve(&self) -> u64 {
        self.capacity as u64 / 4
    }

    fn slowest(&self) -> Option<u64> {
        self.followers.iter().map(|(_, cursor)| *cursor).min()
    }

    fn floor(&self) -> u64 {
        let floor = match (self.slowest(), self.detach) {
            (Some(cursor), _) => cursor.saturating_sub(self.reserve()),
            (None, Detach::Block) => self.parked,
            (None, Detach::Drop) => self.end,
        };
        floor.max(self.start)
    }

    /// How many bytes may come in now.
    pub fn room(&self) -> usize {
        if self.has_too_many_segments() && !self.can_drop_segment() {
            return 0;
        }
        self.capacity - (self.end - self.floor()) as usize
    }

    /// Single bytes that alternate between the streams must not cost more memory than the ring does.
    fn has_too_many_segments(&self) -> bool {
        self.segments.len() >= self.capacity / 64
    }

    fn can_drop_segment(&self) -> bool {
        let floor = match (self.slowest(), self.detach) {
            // Without the reserve: a command that alternates streams would otherwise never go on.
            (Some(cursor), _) => cursor,
            (None, Detach::Block) => self.parked,
            (None, Detach::Drop) => self.end,
        };
        self.segments
            .get(1)
            .is_some_and(|second| second.start <= floor)
    }

    /// Lets `read` put bytes of `stream` into the ring; `room` must have been positive.
    pub fn fill(
        &mut self,
        stream: u8,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let room = self.room().min(most);
        if self.ring.is_empty() {
            // Zeroed memory of this size is mapped, not touched: a quiet command costs nothing.
            self.ring = vec![0; self.capacity];
        }
        let at = (self.end % self.capacity as u64) as usize;
        let until = (at + room).min(self.capacity);
        let count = read(&mut self.ring[at..until])?;
        if count > 0 {
            self.note(stream, count);
        }
        Ok(count)
    }

    fn note(&mut self, stream: u8, count: usize) {
        if self
            .segments
            .back()
            .is_none_or(|last| last.stream != stream)
        {
            if self.has_too_many_segments()
                && let Some(second) = self.segments.get(1)
            {
                self.start = self.start.max(second.start);
            }
            self.segments.push_back(Segment {
                start: self.end,
                stream,
            });
        }
        self.end += count as u64;
        self.start = self
            .start
            .max(self.end.saturating_sub(self.capacity as u64));
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.start <= self.start)
        {
            self.segments.pop_front();
        }
    }

    /// The bytes at `cursor` that lie together: one stream, no wrap. `None` at the end.
    pub fn peek(&self, cursor: u64) -> Option<(u8, &[u8])> {
        if cursor < self.start || cursor >= self.end {
            return None;
        }
        let index = self
            .segments
            .partition_point(|segment| segment.start <= cursor)
            .checked_sub(1)?;
        let segment = self.segments.get(index)?;
        let segment_end = self
            .segments
            .get(index + 1)
            .map_or(self.end, |next| next.start);
        let at = (cursor % self.capacity as u64) as usize;
        let length = ((segment_end - cursor) as usize).min(self.capacity - at);
        Some((segment.stream, &self.ring[at..at + length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPACITY: usize = 64 << 10;

    fn put(spool: &mut Spool, stream: u8, bytes: &[u8]) -> usize {
        if spool.room() == 0 {
            return 0;
        }
        spool
            .fill(stream, usize::MAX, |into| {
                let count = into.len().min(bytes.len());
                into[..count].copy_from_slice(&bytes[..count]);
                Ok(count)
            })
            .unwrap()
    }

    #[test]
    fn without_a_follower_the_oldest_bytes_go() {
        let mut spool = Spool::new(CAPACITY, Detach::Drop);
        for _ in 0..5 {
            assert_eq!(put(&mut spool, 17, &[7; CAPACITY / 2]), CAPACITY / 2);
        }
        assert_eq!(spool.start(), 3 * CAPACITY as u64 / 2);
        assert_eq!(spool.held_bytes(), CAPACITY);
    }

    #[test]
    fn a_follower_stops_a_full_ring_and_reading_frees_it() {
        let mut spool = Spool::new(CAPACITY, Detach::Drop);
        let id = spool.follow(0);
        assert_eq!(put(&mut spool, 17, &[1; 2 * CAPACITY]), CAPACITY);
        assert_eq!(spool.room(), 0);
        spool.advance(id, CAPACITY as u64);
        assert_eq!(spool.room(), CAPACITY - CAPACITY / 4);
        spool.unfollow(id);
        assert_eq!(spool.room(), CAPACITY);
    }

    #[test]
    fn detach_block_keeps_what_was_not_delivered() {
        let mut spool = Spool::new(CAPACITY, Detach::Block);
        assert_eq!(put(&mut spool, 17, &[1; CAPACITY]), CAPACITY);
        assert_eq!(spool.room(), 0);
        let id = spool.follow(0);
        spool.advance(id, CAPACITY as u64 / 2);
        spool.unfollow(id);
        assert_eq!(spool.room(), CAPACITY / 4);
    }

    #[test]
    fn alternating_single_bytes_stay_bounded_and_never_stall_a_reader() {
        let mut spool = Spool::new(CAPACITY, Detach::Drop);
        let id = spool.follow(0);
        let mut cursor = 0;
        for turn in 0..10_000u32 {
            let stream = 17 + (turn % 2) as u8;
            if put(&mut spool, stream, &[turn as u8]) == 0 {
                while let Some((_, bytes)) = spool.peek(cursor) {
                    cursor += bytes.len() as u64;
                }
                spool.advance(id, cursor);
                assert_eq!(put(&mut spool, stream, &[turn as u8]), 1);
            }
            assert!(spool.segments.len() <= CAPACITY / 64 + 1);
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(
            writes in proptest::collection::vec((17u8..19, 1usize..30_000), 1..30),
        ) {
            let mut spool = Spool::new(CAPACITY, Detach::Drop);
            let id = spool.follow(0);
            let (mut cursor, mut sent, mut got) = (0u64, Vec::new(), Vec::new());
            for (index, (stream, length)) in writes.into_iter().enumerate() {
                let mut rest = length;
                while rest > 0 {
                    let count = put(&mut spool, stream, &vec![index as u8; rest]);
                    sent.extend(std::iter::repeat_n((stream, index as u8), count));
                    rest -= count;
                    if count == 0 {
                        while let Some((stream, bytes)) = spool.peek(cursor) {
                            got.extend(bytes.iter().map(|b| (stream, *b)));
                            cursor += bytes.len() as u64;
                        }
                        spool.advance(id, cursor);
                    }
                }
            }
            while let Some((stream, bytes)) = spool.peek(cursor) {
                got.extend(bytes.iter().map(|b| (stream, *b)));
                cursor += bytes.len() as u64;
            }
            prop_assert!(got == sent);
        }
    }
}
