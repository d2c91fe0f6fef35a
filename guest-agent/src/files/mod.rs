//! Files of the guest. Whatever may wait for a disk runs on a thread of its own.

pub mod change;
pub mod read;
pub mod stat;
pub mod write;

use crate::error::{Error, Result};
use crate::http::body::Incoming;
use crate::http::query::Query;
use crate::http::routes::{Reply, no_such_request};

use http::StatusCode;

/// Runs work that may block.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(crate::error::Code::Internal, error.to_string()))?
}

/// The requests about files that have a whole answer.
pub async fn handle(method: &str, what: &str, query: &Query, body: &mut Incoming) -> Result<Reply> {
    match (method, what) {
        ("PUT", "file") => write::upload(query, body).await.map(Reply::Json),
        ("DELETE", "file") => {
            let (path, is_recursive) = (query.path()?, query.flag("recursive", false)?);
            blocking(move || change::delete(&path, is_recursive)).await?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        ("GET", "stat") => {
            let (path, follows) = (query.path()?, query.flag("follow", true)?);
            blocking(move || stat::stat(&path, follows))
                .await
                .map(Reply::Json)
        }
        ("GET", "dir") => {
            let path = query.path()?;
            let limit = query.number("limit")?;
            let after = query.bytes("after").map(<[u8]>::to_vec);
            blocking(move || read::list(&path, limit, after))
                .await
                .map(Reply::Json)
        }
        ("POST", "dir") => {
            let (path, parents) = (query.path()?, query.flag("parents", false)?);
            let mode = query.mode()?.unwrap_or(0o755);
            blocking(move || change::make_dir(&path, parents, mode))
                .await
                .map(Reply::Json)
        }
        ("POST", "move") => {
            let wanted: change::MoveBody = body.json().await?;
            blocking(move || change::rename(wanted)).await?;
            Ok(Reply::Empty(StatusCode::NO_CONTENT))
        }
        ("PUT", "archive") => crate::archive::upload(query, body).await.map(Reply::Json),
        _ => Err(no_such_request()),
    }
}
