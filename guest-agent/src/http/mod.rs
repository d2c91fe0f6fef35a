//! The HTTP/2 side of an attachment.

pub mod body;
pub mod query;
pub mod routes;
pub mod session;
