//! The byte stream to the host: a virtio port in a guest, a UNIX socket in tests.

pub mod handshake;
pub mod port;
pub mod wire;
