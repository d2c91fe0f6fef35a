//! What the guest asks its host for, and how a refusal reads.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{Method, Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Egress, link};

const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// A host that dials a name which does not answer tells of it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 4096;

/// Why something is not to be had.
pub enum Refusal {
    /// The host says so.
    Denied(String),
    /// Nobody says so: there is no host, or it does not answer.
    Away,
}

pub struct Opened {
    pub to_host: SendStream<Bytes>,
    pub from_host: RecvStream,
}

#[derive(Deserialize)]
struct Answer {
    error: AnswerError,
}

#[derive(Deserialize)]
struct AnswerError {
    message: String,
}

/// Whether a name may be used.
pub async fn about_name(egress: &Egress, name: &str) -> Result<(), Refusal> {
    let path = format!("/v1/names/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let asked = async {
        let (response, _) = send(egress, Method::GET, &path, true).await?;
        read(response).await.map(|_| ())
    };
    tokio::time::timeout(ANSWER_PATIENCE, asked)
        .await
        .unwrap_or(Err(Refusal::Away))
}

/// A connection to a name's port.
pub async fn connect(egress: &Egress, name: &str, port: u16) -> Result<Opened, Refusal> {
    let authority = format!("{name}:{port}");
    let asked = async {
        let (response, to_host) = send(egress, Method::CONNECT, &authority, false).await?;
        let from_host = read(response).await?;
        Ok(Opened { to_host, from_host })
    };
    tokio::time::timeout(CONNECT_PATIENCE, asked)
        .await
        .unwrap_or(Err(Refusal::Away))
}

/// Tells of what was refused here.
pub async fn report(egress: &Egress, body: Vec<u8>) -> Result<(), Refusal> {
    let asked = async {
        let (response, mut to_host) = send(egress, Method::POST, "/v1/refusals", false).await?;
        to_host
            .send_data(Bytes::from(body), true)
            .map_err(|_| Refusal::Away)?;
        read(response).await.map(|_| ())
    };
    tokio::time::timeout(ANSWER_PATIENCE, asked)
        .await
        .unwrap_or(Err(Refusal::Away))
}

async fn send(
    egress: &Egress,
    method: Method,
    target: &str,
    is_whole: bool,
) -> Result<(ResponseFuture, SendStream<Bytes>), Refusal> {
    let mut host = link::host(egress).await.ok_or(Refusal::Away)?;
    let is_connect = method == Method::CONNECT;
    let uri = if is_connect {
        target.to_owned()
    } else {
        format!("http://host{target}")
    };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .body(())
        .map_err(|error| Refusal::Denied(error.to_string()))?;
    host.send_request(request, is_whole)
        .map_err(|_| Refusal::Away)
}

async fn read(response: ResponseFuture) -> Result<RecvStream, Refusal> {
    let response = response.await.map_err(|_| Refusal::Away)?;
    let status = response.status();
    let mut body = response.into_body();
    if status.is_success() {
        return Ok(body);
    }
    let mut all = BytesMut::new();
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
        if all.len() + bytes.len() > MAX_ANSWER_BYTES {
            break;
        }
        all.extend_from_slice(&bytes);
    }
    let message = serde_json::from_slice::<Answer>(&all).map_or_else(
        |_| format!("the host answers {status}"),
        |it| it.error.message,
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(Refusal::Away);
    }
    Err(Refusal::Denied(message))
}
