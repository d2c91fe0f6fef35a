//! Which request goes where.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::body::{Incoming, answer, answer_error};
use super::query::Query;
use crate::agent::Agent;
use crate::egress::{Egress, NetworkBody};
use crate::error::{Code, Error, Result};
use crate::exec::spec::TtySize;
use crate::exec::stream::{self, FollowOptions};
use crate::exec::supervise::terminate;
use crate::exec::{signals, spec};
use crate::{archive, connect, drives, files, mounts, personalise, stats};

/// A whole answer, for all requests but the streaming ones.
pub enum Reply {
    Empty(StatusCode),
    Json(Value),
}

#[derive(Deserialize)]
struct SignalBody {
    signal: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraceBody {
    grace_ms: Option<u64>,
}

/// One request, from its head to the end of its answer.
pub async fn handle(agent: Rc<Agent>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let (head, body) = request.into_parts();
    let body = Incoming::new(body);
    let query = Query::parse(head.uri.query().unwrap_or(""));
    let path = head.uri.path().to_owned();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (mut respond, body, result) = match (&head.method, segments.as_slice()) {
        (&Method::POST, ["v1", "exec"]) => stream::run(&agent.registry, body, respond).await,
        (&Method::POST, ["v1", "execs", id, "attach"]) => {
            match attach_options(&agent, id, &query) {
                Ok((exec, options)) => stream::attach(exec, body, options, respond).await,
                Err(error) => (respond, body, Err(error)),
            }
        }
        (&Method::POST, ["v1", "connect"]) => {
            connect::run(&agent.connections, &query, body, respond).await
        }
        (&Method::POST, ["v1", "mounts"]) => mounts::serve(&agent, &query, body, respond).await,
        (&Method::GET, ["v1", "file"]) => {
            let mut respond = respond;
            let result = files::read::download(&query, &mut respond).await;
            (respond, body, result)
        }
        (&Method::GET, ["v1", "archive"]) => {
            let mut respond = respond;
            let result = archive::download(&query, &mut respond).await;
            (respond, body, result)
        }
        (method, segments) => {
            let (mut respond, mut body) = (respond, body);
            let result = match whole(&agent, method, segments, &query, &mut body).await {
                Ok(Reply::Empty(status)) => {
                    answer(&mut respond, status, Vec::new()).await;
                    Ok(())
                }
                Ok(Reply::Json(value)) => {
                    answer(&mut respond, StatusCode::OK, value.to_string().into_bytes()).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            (respond, body, result)
        }
    };
    if let Err(error) = result {
        answer_error(&mut respond, &error).await;
    }
    body.linger().await;
}

fn attach_options(
    agent: &Agent,
    id: &str,
    query: &Query,
) -> Result<(Rc<crate::exec::Exec>, FollowOptions)> {
    let exec = agent.registry.get(id)?;
    let options = FollowOptions {
        from: query.number("from")?.unwrap_or(0),
        is_snapshot: !query.flag("follow", true)?,
    };
    Ok((exec, options))
}

async fn whole(
    agent: &Rc<Agent>,
    method: &Method,
    segments: &[&str],
    query: &Query,
    body: &mut Incoming,
) -> Result<Reply> {
    let no_content = Ok(Reply::Empty(StatusCode::NO_CONTENT));
    match (method.as_str(), segments) {
        ("GET", ["v1", "hello"]) => Ok(Reply::Json(stats::hello(agent))),
        ("GET", ["v1", "stats"]) => stats::stats().map(Reply::Json),
        ("PUT", ["v1", "personalise"]) => {
            personalise::apply(agent, body.json().await?).await?;
            no_content
        }
        ("PUT", ["v1", "network"]) => {
            let wanted: NetworkBody = body.json().await?;
            Egress::check(&wanted)?;
            agent.set_network(wanted).await?;
            no_content
        }
        ("POST", ["v1", "sync"]) => {
            files::blocking(|| {
                rustix::fs::sync();
                Ok(())
            })
            .await?;
            no_content
        }
        ("POST", ["v1", "shutdown"]) => {
            let wanted: GraceBody = body.json().await?;
            agent.request_shutdown(Duration::from_millis(wanted.grace_ms.unwrap_or(3000)));
            Ok(Reply::Empty(StatusCode::ACCEPTED))
        }
        ("POST", ["v1", "drives", serial, action]) => drive(agent, serial, action, body).await,
        (method, ["v1", "mounts", rest @ ..]) => mount(agent, method, rest, query).await,
        (method, ["v1", "execs", rest @ ..]) => execs(agent, method, rest, body).await,
        (method, ["v1", what]) => files::handle(method, what, query, body).await,
        _ => Err(no_such_request()),
    }
}

pub fn no_such_request() -> Error {
    Error::new(Code::NotFound, "the agent knows no such request")
}

async fn drive(
    agent: &Rc<Agent>,
    serial: &str,
    action: &str,
    body: &mut Incoming,
) -> Result<Reply> {
    let no_content = Ok(Reply::Empty(StatusCode::NO_CONTENT));
    match action {
        "attach" => drives::attach(agent, serial, body.json().await?)
            .await
            .map(Reply::Json),
        "detach" => {
            drives::let_go(agent, serial, body.json().await?).await?;
            no_content
        }
        "grow" => {
            drives::grow(agent, serial, body.json().await?).await?;
            no_content
        }
        _ => Err(no_such_request()),
    }
}

async fn mount(agent: &Rc<Agent>, method: &str, rest: &[&str], query: &Query) -> Result<Reply> {
    let no_content = Ok(Reply::Empty(StatusCode::NO_CONTENT));
    match (method, rest) {
        ("GET", []) => Ok(Reply::Json(agent.mounts.to_json())),
        ("DELETE", [id]) => {
            mounts::unmount(agent, id, query.flag("force", false)?).await?;
            no_content
        }
        ("POST", [id, "refuse"]) => {
            agent.mounts.get(id)?.refuse();
            no_content
        }
        _ => Err(no_such_request()),
    }
}

async fn execs(
    agent: &Rc<Agent>,
    method: &str,
    rest: &[&str],
    body: &mut Incoming,
) -> Result<Reply> {
    let no_content = Ok(Reply::Empty(StatusCode::NO_CONTENT));
    match (method, rest) {
        ("GET", []) => Ok(Reply::Json(agent.registry.list())),
        ("GET", [id]) => Ok(Reply::Json(agent.registry.get(id)?.to_json())),
        ("DELETE", [id]) => {
            agent.registry.forget(id)?;
            no_content
        }
        ("POST", [id, "signal"]) => {
            let exec = agent.registry.get(id)?;
            let wanted: SignalBody = body.json().await?;
            let number = signals::number_of(&wanted.signal)
                .ok_or_else(|| Error::invalid(format!("{:?} names no signal", wanted.signal)))?;
            exec.signal(number)?;
            no_content
        }
        ("POST", [id, "kill"]) => {
            let exec = agent.registry.get(id)?;
            let wanted: GraceBody = body.json().await?;
            if exec.is_reaped.get() {
                return no_content;
            }
            let grace = wanted.grace_ms.unwrap_or(spec::DEFAULT_KILL_GRACE_MS);
            terminate(&exec, Duration::from_millis(grace));
            Ok(Reply::Empty(StatusCode::ACCEPTED))
        }
        ("POST", [id, "resize"]) => {
            let exec = agent.registry.get(id)?;
            let size: TtySize = body.json().await?;
            exec.resize(size)?;
            no_content
        }
        _ => Err(no_such_request()),
    }
}

/// What `PUT /v1/personalise` may carry.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonaliseBody {
    pub hostname: Option<String>,
    pub wall_clock_ms: Option<u64>,
    pub entropy_base64: Option<String>,
    pub machine_id: Option<String>,
    pub boot_id: Option<String>,
    pub overlay_bytes: Option<u64>,
    /// A fork, not the same machine going on.
    #[serde(default)]
    pub is_new_machine: bool,
    pub network: Option<NetworkBody>,
    /// PEM.
    pub trust: Option<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}
