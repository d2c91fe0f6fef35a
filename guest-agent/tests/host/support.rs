//! An agent in host mode, and a client for it.

// Each of the two test programs uses a part of this.
#![allow(dead_code)]

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub const SPEC: u8 = 1;
pub const STDIN: u8 = 2;
pub const STDIN_EOF: u8 = 3;
pub const STARTED: u8 = 16;
pub const STDOUT: u8 = 17;
pub const STDERR: u8 = 18;
pub const SKIPPED: u8 = 19;
pub const EXIT: u8 = 20;

pub struct Agent {
    child: Child,
    pub folder: PathBuf,
}

impl Agent {
    pub fn start(name: &str) -> Agent {
        let folder =
            std::env::temp_dir().join(format!("firebreak-agent-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_firebreak-agent"))
            .args(["serve", "--socket"])
            .arg(folder.join("agent.sock"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Agent { child, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    pub async fn connect(&self) -> UnixStream {
        for _ in 0..500 {
            if let Ok(stream) = UnixStream::connect(self.folder.join("agent.sock")).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the agent does not listen");
    }

    pub async fn attach(&self) -> Client {
        let mut stream = self.connect().await;
        handshake(&mut stream).await;
        Client::new(stream, 1 << 20).await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub async fn read_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await?;
        if byte == b'\n' {
            if line.is_empty() {
                continue;
            }
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        line.push(byte);
    }
}

pub async fn handshake(stream: &mut UnixStream) {
    try_handshake(stream).await.unwrap();
}

/// As the host does it: answers every greeting, and drops all else until the answer to its own nonce.
pub async fn try_handshake(stream: &mut UnixStream) -> std::io::Result<()> {
    let own = format!(
        "{:032x}",
        std::process::id() as u128 ^ std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()
    );
    loop {
        let line = read_line(stream).await?;
        if let Some(nonce) = line.strip_prefix("firebreak-agent 1 ") {
            stream
                .write_all(format!("\nattach {nonce} {own}\n").as_bytes())
                .await?;
        } else if line == format!("attached {own}") {
            return Ok(());
        }
    }
}

pub struct Client {
    send: SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub struct Answer {
    pub status: u16,
    pub head: Response<()>,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub async fn new(stream: UnixStream, window: u32) -> Client {
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(16 << 20)
            .handshake(stream)
            .await
            .unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Client { send, driver }
    }

    pub async fn open(
        &self,
        method: &str,
        path: &str,
        has_body: bool,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut send = self.send.clone().ready().await.unwrap();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://guest{path}"))
            .body(())
            .unwrap();
        send.send_request(request, !has_body).unwrap()
    }

    pub async fn request(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let (response, mut stream) = self.open(method, path, !body.is_empty()).await;
        if !body.is_empty() {
            // An early error answer may end the request before the body is out.
            let _ = send_all(&mut stream, Bytes::copy_from_slice(body), true).await;
        }
        collect(response.await.unwrap()).await
    }

    pub async fn exec(&self, spec: Value) -> Exec {
        let exec = self.start(spec).await;
        assert_eq!(exec.status, 200);
        exec
    }

    pub async fn start(&self, spec: Value) -> Exec {
        let (response, mut input) = self.open("POST", "/v1/exec", true).await;
        send_all(&mut input, frame(SPEC, spec.to_string().as_bytes()), false)
            .await
            .unwrap();
        let response = response.await.unwrap();
        Exec::new(response, input)
    }

    pub async fn attach(&self, id: &str, query: &str) -> Exec {
        let (response, input) = self
            .open("POST", &format!("/v1/execs/{id}/attach{query}"), true)
            .await;
        Exec::new(response.await.unwrap(), input)
    }

    /// Runs a command to its end.
    pub async fn run(&self, spec: Value) -> Output {
        self.exec(spec).await.finish().await
    }

    pub async fn sh(&self, script: &str) -> Output {
        self.run(serde_json::json!({ "argv": ["sh", "-c", script] }))
            .await
    }
}

pub async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    is_end: bool,
) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        while stream.capacity() == 0 {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(result) => result?,
                None => return Err(h2::Reason::CANCEL.into()),
            };
        }
        let part = bytes.split_to(stream.capacity().min(bytes.len()));
        let is_last = bytes.is_empty();
        stream.send_data(part, is_end && is_last)?;
    }
    Ok(())
}

pub async fn collect(response: Response<RecvStream>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let mut all = BytesMut::new();
    while let Some(Ok(chunk)) = body.data().await {
        body.flow_control().release_capacity(chunk.len()).unwrap();
        all.extend_from_slice(&chunk);
    }
    let status = parts.status.as_u16();
    Answer {
        status,
        head: Response::from_parts(parts, ()),
        body: all.freeze(),
    }
}

pub fn frame(kind: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(kind);
    out.put_u32(payload.len() as u32);
    out.extend_from_slice(payload);
    out.freeze()
}

pub struct Exec {
    pub status: u16,
    pub input: SendStream<Bytes>,
    body: RecvStream,
    buffer: BytesMut,
}

#[derive(Debug, Default)]
pub struct Output {
    pub started: Value,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub skipped: u64,
    pub exit: Value,
    /// The stream ended with an error.
    pub is_reset: bool,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Exec {
    fn new(response: Response<RecvStream>, input: SendStream<Bytes>) -> Exec {
        let status = response.status().as_u16();
        Exec {
            status,
            input,
            body: response.into_body(),
            buffer: BytesMut::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(64 << 10) {
            send_all(&mut self.input, frame(STDIN, chunk), false)
                .await
                .unwrap();
        }
    }

    pub async fn end_input(&mut self) {
        send_all(&mut self.input, frame(STDIN_EOF, b""), false)
            .await
            .unwrap();
    }

    /// `None` at the end, an error when the stream was reset.
    pub async fn next(&mut self) -> Result<Option<(u8, Bytes)>, h2::Error> {
        loop {
            if self.buffer.len() >= 5 {
                let length = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
                if self.buffer.len() >= 5 + length {
                    let mut whole = self.buffer.split_to(5 + length).freeze();
                    let payload = whole.split_off(5);
                    return Ok(Some((whole[0], payload)));
                }
            }
            match self.body.data().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    self.body
                        .flow_control()
                        .release_capacity(chunk.len())
                        .unwrap();
                    self.buffer.extend_from_slice(&chunk);
                }
                None => {
                    assert!(self.buffer.is_empty(), "half a frame at the end");
                    return Ok(None);
                }
            }
        }
    }

    pub async fn started(&mut self) -> Value {
        let (kind, payload) = self.next().await.unwrap().unwrap();
        assert_eq!(kind, STARTED);
        serde_json::from_slice(&payload).unwrap()
    }

    pub async fn finish(&mut self) -> Output {
        let mut output = Output::default();
        loop {
            match self.next().await {
                Ok(Some((STARTED, payload))) => {
                    output.started = serde_json::from_slice(&payload).unwrap()
                }
                Ok(Some((STDOUT, payload))) => output.stdout.extend_from_slice(&payload),
                Ok(Some((STDERR, payload))) => output.stderr.extend_from_slice(&payload),
                Ok(Some((SKIPPED, payload))) => {
                    let value: Value = serde_json::from_slice(&payload).unwrap();
                    output.skipped += value["bytes"].as_u64().unwrap();
                }
                Ok(Some((EXIT, payload))) => {
                    output.exit = serde_json::from_slice(&payload).unwrap()
                }
                Ok(Some((kind, _))) => panic!("frame type {kind}"),
                Ok(None) => return output,
                Err(_) => {
                    output.is_reset = true;
                    return output;
                }
            }
        }
    }

    /// Output until it holds `text`.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let (kind, payload) = self.next().await.unwrap().expect("output");
            if kind == STDOUT {
                seen.push_str(&String::from_utf8_lossy(&payload));
            }
            assert_ne!(kind, EXIT, "{seen}");
        }
        seen
    }
}

pub fn encode(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| format!("%{byte:02X}"))
        .collect()
}
