//! What the host's own processes ask of this binary. Nothing here runs in a guest.

pub mod memory;
pub mod tap;
pub mod tsc;
