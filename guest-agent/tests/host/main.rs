//! The agent in host mode, driven over the real protocol by an independent HTTP/2 client.

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connect;
mod exec;
mod files;
mod memory;
mod support;
