//! What of a directory has been read ahead of its reader.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::Generation;
use tokio::time::Instant;

use super::super::kernel::Listing;
use super::super::nodes::{Nodes, ROOT};
use super::super::protocol::{Entry, Kind, Page};
use super::attributes::{FRESH, dot_attr, file_attr};

/// `.` and `..`, which the host does not list.
const DOTS: u64 = 2;

pub struct Directory {
    node: u64,
    /// Of the first entry, counted from the first of the host's.
    base: u64,
    entries: Vec<Entry>,
    is_last: bool,
    /// None: nothing has been read yet.
    read_at: Option<Instant>,
}

impl Directory {
    pub fn new(node: u64) -> Directory {
        Directory {
            node,
            base: 0,
            entries: Vec::new(),
            is_last: false,
            read_at: None,
        }
    }

    fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// Offsets count what has been given out: `.`, `..`, then the host's entries.
    pub fn is_before(&self, offset: u64) -> bool {
        offset >= DOTS && offset - DOTS < self.base
    }

    pub fn reaches(&self, offset: u64) -> bool {
        offset < DOTS || offset - DOTS < self.end() || self.is_last
    }

    pub fn has_been_read(&self) -> bool {
        self.read_at.is_some()
    }

    /// Of what has been read; empty before that.
    pub fn last_name(&self) -> Vec<u8> {
        self.entries
            .last()
            .map_or_else(Vec::new, |entry| entry.name.clone())
    }

    /// Goes on with the page that comes after the name; the first comes after an empty one.
    pub fn turn(&mut self, after: &[u8], page: Page) {
        self.base = if after.is_empty() { 0 } else { self.end() };
        self.entries = page.entries;
        self.is_last = page.is_last;
        self.read_at = Some(Instant::now());
    }

    /// Gives the kernel as much as it takes of what has been read ahead.
    pub fn fill(&self, nodes: &mut Nodes, offset: u64, mut listing: Listing) {
        let parent = nodes.parent(self.node);
        if let Some(next) = self.add_dots(parent, offset, &mut listing) {
            self.add_entries(nodes, next, &mut listing);
        }
        listing.finish();
    }

    /// The offset behind them. None: the kernel takes no more.
    fn add_dots(&self, parent: u64, offset: u64, listing: &mut Listing) -> Option<u64> {
        let mut next = offset;
        for number in [self.node, parent].into_iter().skip(offset as usize) {
            let name = OsStr::new(if next == 0 { "." } else { ".." });
            next += 1;
            let attr = dot_attr(number);
            if listing.add(next, name, &Duration::ZERO, &attr, Generation(0)) {
                return None;
            }
        }
        Some(next)
    }

    fn add_entries(&self, nodes: &mut Nodes, offset: u64, listing: &mut Listing) {
        let age = self
            .read_at
            .map_or(FRESH, |at| Instant::now().duration_since(at));
        // What has been read ahead for a while is asked for again when it is used.
        let fresh = if age < FRESH { FRESH } else { Duration::ZERO };
        let mut next = offset;
        let skipped = (next - DOTS).saturating_sub(self.base) as usize;
        for entry in self.entries.iter().skip(skipped) {
            let number = entry.attr.number;
            next += 1;
            if number <= ROOT {
                continue;
            }
            let name = OsStr::from_bytes(&entry.name);
            let attr = file_attr(&entry.attr, number);
            let generation = Generation(entry.attr.generation);
            if listing.add(next, name, &fresh, &attr, generation) {
                return;
            }
            if matches!(listing, Listing::WithAttributes(_)) {
                // The kernel counts it as looked up.
                let is_directory = entry.attr.kind == Kind::Directory;
                nodes.learn(self.node, &entry.name, number, is_directory);
            }
        }
    }
}
