//! What a command reads, and what a caller may send.

use std::time::Duration;

use crate::support::{Agent, STDIN, STDOUT, frame, handshake, send_all};
use serde_json::json;

#[tokio::test]
async fn input_that_nobody_reads_is_held_back_and_stalls_nobody() {
    let agent = Agent::start("unread");
    let client = agent.attach().await;
    let mut stalled = Vec::new();
    for _ in 0..24 {
        let mut exec = client
            .exec(json!({ "argv": ["sleep", "60"], "stdin": true }))
            .await;
        let task = tokio::spawn(async move {
            exec.write(&vec![0; 4 << 20]).await;
        });
        stalled.push(task);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(stalled.iter().all(|task| !task.is_finished()));
    let quick = tokio::time::timeout(
        Duration::from_secs(5),
        client.run(json!({ "argv": ["true"] })),
    );
    assert_eq!(quick.await.unwrap().exit["exitCode"], 0);
    let mut echo = client
        .exec(json!({ "argv": ["wc", "-c"], "stdin": true }))
        .await;
    echo.write(&vec![1; 3 << 20]).await;
    echo.end_input().await;
    assert_eq!(echo.finish().await.text().trim(), (3 << 20).to_string());
    assert!(agent.rss_bytes() < 100 << 20, "{}", agent.rss_bytes());
}

#[tokio::test]
async fn stdin_is_echoed_and_its_end_is_seen() {
    let agent = Agent::start("stdin");
    let client = agent.attach().await;
    let mut exec = client.exec(json!({ "argv": ["cat"], "stdin": true })).await;
    exec.write(b"hello ").await;
    exec.read_until("hello").await;
    let big: Vec<u8> = (0..2_000_000u32).map(|n| n as u8).collect();
    let (mut exec, sent) = {
        let mut input = std::mem::replace(
            &mut exec.input,
            client.open("POST", "/v1/none", true).await.1,
        );
        let bytes = big.clone();
        let sender = tokio::spawn(async move {
            for chunk in bytes.chunks(100_000) {
                send_all(&mut input, frame(STDIN, chunk), false)
                    .await
                    .unwrap();
            }
            // The end of the body is the end of the input.
            input.send_data(bytes::Bytes::new(), true).unwrap();
        });
        (exec, sender)
    };
    let output = exec.finish().await;
    sent.await.unwrap();
    assert!(output.stdout == big);
    assert_eq!(output.exit["stdinBytes"], 2_000_006);
}

#[tokio::test]
async fn input_for_a_command_that_closed_it_is_discarded() {
    let agent = Agent::start("epipe");
    let client = agent.attach().await;
    let spec = json!({ "argv": ["sh", "-c", "exec 0<&-; sleep 0.4; echo done"], "stdin": true });
    let mut exec = client.exec(spec).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    exec.write(&vec![0; 1 << 20]).await;
    assert_eq!(exec.finish().await.text(), "done\n");
}

#[tokio::test]
async fn frames_out_of_place_end_the_request_but_not_the_command() {
    let agent = Agent::start("rules");
    let client = agent.attach().await;
    let mut exec = client
        .exec(json!({ "argv": ["sleep", "20"], "id": "rules" }))
        .await;
    exec.started().await;
    send_all(&mut exec.input, frame(STDIN, b"not offered"), false)
        .await
        .unwrap();
    assert!(exec.finish().await.is_reset);
    let answer = client.request("GET", "/v1/execs/rules", b"").await;
    assert_eq!(answer.json()["state"], "running");
    for bytes in [
        vec![9, 0, 0, 0, 0],
        vec![2, 0, 0, 0, 1, 0],
        vec![1, 0, 32, 0, 0],
    ] {
        let (response, mut input) = client.open("POST", "/v1/exec", true).await;
        send_all(&mut input, bytes.into(), true).await.unwrap();
        let answer = crate::support::collect(response.await.unwrap()).await;
        assert_eq!(answer.code(), "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn garbage_and_half_a_frame_do_not_harm_the_next_attachment() {
    use tokio::io::AsyncWriteExt;
    let agent = Agent::start("garbage");
    for garbage in [
        &b"\xff\xfe\0garbage"[..],
        b"\nattach 00 11\n",
        &[b'x'; 9000],
    ] {
        let mut stream = agent.connect().await;
        stream.write_all(garbage).await.unwrap();
        handshake(&mut stream).await;
        // Not a preface.
        stream
            .write_all(b"GET / HTTP/1.1\r\n\r\n\0\0\0\0\0\0")
            .await
            .unwrap();
    }
    {
        let mut stream = agent.connect().await;
        handshake(&mut stream).await;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04")
            .await
            .unwrap();
    }
    let client = agent.attach().await;
    let (_, mut input) = client.open("POST", "/v1/exec", true).await;
    send_all(&mut input, vec![1, 0, 0].into(), false)
        .await
        .unwrap();
    drop(client);
    let client = agent.attach().await;
    let mut exec = client.exec(json!({ "argv": ["echo", "fine"] })).await;
    exec.started().await;
    let (kind, payload) = exec.next().await.unwrap().unwrap();
    assert_eq!((kind, &payload[..]), (STDOUT, &b"fine\n"[..]));
}
