//! Commands that have a terminal.

use std::time::Duration;

use crate::support::Agent;
use serde_json::json;

#[tokio::test]
async fn a_terminal_has_its_size_and_is_resized() {
    let agent = Agent::start("tty");
    let client = agent.attach().await;
    let spec = json!({
        "argv": ["sh", "-c", "tty; echo $TERM; stty size; read x; stty size; echo err >&2"],
        "tty": { "cols": 77, "rows": 11 }, "stdin": true, "id": "t",
    });
    let mut exec = client.exec(spec).await;
    let text = exec.read_until("11 77").await;
    assert!(
        text.contains("/dev/pts/") && text.contains("xterm-256color"),
        "{text}"
    );
    let answer = client
        .request("POST", "/v1/execs/t/resize", br#"{"cols":100,"rows":50}"#)
        .await;
    assert_eq!(answer.status, 204);
    exec.write(b"\n").await;
    let text = exec.finish().await.text();
    assert!(text.contains("50 100") && text.contains("err"), "{text}");
}

#[tokio::test]
async fn a_terminal_takes_interrupts_and_an_end_of_input() {
    let agent = Agent::start("ttyeof");
    let client = agent.attach().await;
    let spec = json!({ "argv": ["cat"], "tty": { "cols": 80, "rows": 24 }, "stdin": true });
    let mut exec = client.exec(spec.clone()).await;
    exec.started().await;
    exec.write(b"hi\n").await;
    exec.read_until("hi\r\nhi\r\n").await;
    exec.end_input().await;
    assert_eq!(exec.finish().await.exit["exitCode"], 0);
    let mut exec = client.exec(spec).await;
    exec.started().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    exec.write(b"\x03").await;
    assert_eq!(exec.finish().await.exit["signal"], "SIGINT");
}
