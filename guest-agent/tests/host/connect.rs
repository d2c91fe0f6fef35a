//! Connections to what listens in the guest, over the real protocol.

use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::support::{Agent, Client, encode, send_all};

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

struct Connection {
    input: SendStream<Bytes>,
    body: RecvStream,
}

async fn connect(client: &Client, query: &str) -> Connection {
    let (response, input) = client
        .open("POST", &format!("/v1/connect?{query}"), true)
        .await;
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body();
    Connection { input, body }
}

impl Connection {
    async fn send(&mut self, bytes: &[u8], is_end: bool) {
        let bytes = Bytes::copy_from_slice(bytes);
        if bytes.is_empty() {
            self.input.send_data(bytes, is_end).unwrap();
        } else {
            send_all(&mut self.input, bytes, is_end).await.unwrap();
        }
    }

    /// All that comes to the end; an error when it was cut off.
    async fn read(&mut self) -> Result<Vec<u8>, h2::Error> {
        let mut all = Vec::new();
        while let Some(chunk) = self.body.data().await {
            let chunk = chunk?;
            let _ = self.body.flow_control().release_capacity(chunk.len());
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.map(|_| all)
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let agent = Agent::start("connect-half");
    let client = agent.attach().await;
    let (listener, port) = listen().await;

    // The host ends first and still hears the answer.
    let mut host = connect(&client, &format!("port={port}")).await;
    let (mut guest, _) = listener.accept().await.unwrap();
    host.send(b"question", true).await;
    assert_eq!(read_to_end(&mut guest).await.unwrap(), b"question");
    guest.write_all(b"answer").await.unwrap();
    drop(guest);
    assert_eq!(host.read().await.unwrap(), b"answer");

    // The guest ends first and still hears the rest.
    let mut host = connect(&client, &format!("port={port}&host=127.0.0.1")).await;
    let (mut guest, _) = listener.accept().await.unwrap();
    guest.write_all(b"greeting").await.unwrap();
    guest.shutdown().await.unwrap();
    assert_eq!(host.read().await.unwrap(), b"greeting");
    host.send(b"the rest", false).await;
    host.send(b"", true).await;
    assert_eq!(read_to_end(&mut guest).await.unwrap(), b"the rest");
}

#[tokio::test]
async fn what_the_guest_resets_is_reset_and_what_the_host_gives_up_does_not_look_complete() {
    let agent = Agent::start("connect-reset");
    let client = agent.attach().await;
    let (listener, port) = listen().await;
    let query = format!("port={port}");

    let mut host = connect(&client, &query).await;
    let (guest, _) = listener.accept().await.unwrap();
    guest.set_zero_linger().unwrap();
    drop(guest);
    let error = host.read().await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CONNECT_ERROR));

    // Also when it is a write that hears of it first.
    let mut host = connect(&client, &query).await;
    let (guest, _) = listener.accept().await.unwrap();
    guest.set_zero_linger().unwrap();
    host.send(b"question", true).await;
    drop(guest);
    assert!(host.read().await.is_err());

    let mut host = connect(&client, &query).await;
    let (mut guest, _) = listener.accept().await.unwrap();
    host.send(b"half of it", false).await;
    let mut head = [0; 10];
    guest.read_exact(&mut head).await.unwrap();
    host.input.send_reset(h2::Reason::CANCEL);
    assert!(read_to_end(&mut guest).await.is_err());

    // The same of a host that goes away altogether.
    let mut host = connect(&client, &query).await;
    let (mut guest, _) = listener.accept().await.unwrap();
    host.send(b"half of it", false).await;
    guest.read_exact(&mut head).await.unwrap();
    drop(host);
    drop(client);
    assert!(read_to_end(&mut guest).await.is_err());
}

#[tokio::test]
async fn a_guest_that_does_not_read_holds_no_connection_that_the_host_has_given_up() {
    let agent = Agent::start("connect-stall");
    let client = agent.attach().await;
    let (listener, port) = listen().await;
    let query = format!("port={port}");
    let mut kept = Vec::new();
    // Twice as many as there may be at once: each that is given up makes room.
    for _ in 0..320 {
        let mut host = connect(&client, &query).await;
        let (mut guest, _) = listener.accept().await.unwrap();
        guest.shutdown().await.unwrap();
        assert_eq!(host.read().await.unwrap(), b"");
        // The end of the guest's side has been seen, and it takes nothing: the host gives up.
        host.input
            .send_data(Bytes::from(vec![0; 1000]), false)
            .unwrap();
        host.input.send_reset(h2::Reason::CANCEL);
        kept.push(guest);
    }
}

#[tokio::test]
async fn there_are_only_so_many_and_commands_still_run() {
    let agent = Agent::start("connect-limit");
    let client = agent.attach().await;
    let (listener, port) = listen().await;
    let query = format!("port={port}");
    let mut open = Vec::new();
    for _ in 0..160 {
        open.push((
            connect(&client, &query).await,
            listener.accept().await.unwrap(),
        ));
    }
    let path = format!("/v1/connect?{query}");
    let refused = client.request("POST", &path, b"").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "LIMIT"));
    assert_eq!(client.sh("echo works").await.text(), "works\n");
    open.pop();
    // Its place is free when the agent has heard of it.
    for _ in 0..200 {
        let (response, _input) = client.open("POST", &path, true).await;
        if response.await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a connection that has ended still counts");
}

#[tokio::test]
async fn failures_are_told_as_data() {
    let agent = Agent::start("connect-fail");
    let client = agent.attach().await;
    let (listener, port) = listen().await;
    drop(listener);
    for (query, status, code) in [
        (format!("port={port}"), 502, "REFUSED"),
        ("port=0".to_owned(), 400, "INVALID_ARGUMENT"),
        ("host=127.0.0.1".to_owned(), 400, "INVALID_ARGUMENT"),
        (
            "port=1&host=example.org".to_owned(),
            400,
            "INVALID_ARGUMENT",
        ),
        ("path=/no/such/socket".to_owned(), 404, "NOT_FOUND"),
    ] {
        let answer = client
            .request("POST", &format!("/v1/connect?{query}"), b"")
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{query}"
        );
    }
}

#[tokio::test]
async fn sockets_with_a_path_and_listeners_on_the_other_loopback_address_are_reached() {
    let agent = Agent::start("connect-other");
    let client = agent.attach().await;
    let path = agent.path("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut host = connect(&client, &format!("path={}", encode(&path))).await;
    let (mut guest, _) = listener.accept().await.unwrap();
    guest.write_all(b"hi").await.unwrap();
    drop(guest);
    assert_eq!(host.read().await.unwrap(), b"hi");

    if let Ok(listener) = TcpListener::bind("[::1]:0").await {
        let port = listener.local_addr().unwrap().port();
        let mut host = connect(&client, &format!("port={port}")).await;
        let (mut guest, _) = listener.accept().await.unwrap();
        guest.write_all(b"six").await.unwrap();
        drop(guest);
        host.send(b"", true).await;
        assert_eq!(host.read().await.unwrap(), b"six");
    }
}

#[tokio::test]
async fn megabytes_come_back_as_they_went_and_a_slow_side_slows_the_other() {
    let agent = Agent::start("connect-bulk");
    let client = agent.attach().await;
    let (listener, port) = listen().await;
    let Connection {
        mut input,
        mut body,
    } = connect(&client, &format!("port={port}")).await;
    let (guest, _) = listener.accept().await.unwrap();
    let sent: Vec<u8> = (0..2_000_000u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = guest.into_split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    let bytes = Bytes::from(sent.clone());
    let writing = tokio::spawn(async move { send_all(&mut input, bytes, true).await.unwrap() });
    let mut received = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        let _ = body.flow_control().release_capacity(chunk.len());
        received.extend_from_slice(&chunk);
    }
    writing.await.unwrap();
    echo.await.unwrap();
    assert!(received == sent);
}
