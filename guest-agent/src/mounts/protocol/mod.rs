//! The frames of a mount: requests to the host, and its answers. docs/guest-protocol.md is the contract.

mod answers;
mod payload;
mod request;

pub use answers::{Answer, Answers, Malformed};
pub use payload::{Attr, Entry, Kind, Page, Statfs};
pub use request::{Changes, Op, Place, Time};

/// What one read or write carries at most.
pub const MAX_DATA_BYTES: u32 = 128 << 10;
