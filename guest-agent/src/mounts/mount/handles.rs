//! The files that the kernel has open: known by the agent's own numbers, so that another host opens them again under the same.

use std::collections::HashMap;

use super::super::protocol::Op;

#[derive(Default)]
pub struct Handles {
    open: HashMap<u64, Handle>,
    last: u64,
}

struct Handle {
    node: u64,
    flags: u32,
    /// It could not be opened again.
    is_lost: bool,
}

impl Handles {
    /// A number that none has had.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn keep(&mut self, handle: u64, node: u64, flags: u32) {
        // Opened again it is neither made nor emptied.
        let flags = flags & !((libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC) as u32);
        let known = Handle {
            node,
            flags,
            is_lost: false,
        };
        self.open.insert(handle, known);
    }

    pub fn remove(&mut self, handle: u64) {
        self.open.remove(&handle);
    }

    pub fn is_lost(&self, handle: u64) -> bool {
        handle != 0 && self.open.get(&handle).is_some_and(|known| known.is_lost)
    }

    /// What opens one again has failed.
    pub fn lose(&mut self, opening: &Op) {
        if let Op::Open { handle, .. } = opening
            && let Some(known) = self.open.get_mut(handle)
        {
            known.is_lost = true;
        }
    }

    /// What opens all of them again.
    pub fn openings(&self) -> Vec<Op> {
        let all = self.open.iter();
        all.map(|(handle, known)| Op::Open {
            node: known.node,
            handle: *handle,
            flags: known.flags,
        })
        .collect()
    }
}
