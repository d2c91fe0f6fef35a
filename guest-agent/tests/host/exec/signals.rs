//! How commands are ended and signalled.

use std::time::{Duration, Instant};

use crate::support::Agent;
use serde_json::json;

#[tokio::test]
async fn a_time_limit_ends_the_whole_group() {
    let agent = Agent::start("timeout");
    let client = agent.attach().await;
    let began = Instant::now();
    let spec = json!({
        "argv": ["sh", "-c", "trap '' TERM; sleep 40 & wait; sleep 40"],
        "timeoutMs": 200, "killGraceMs": 300,
    });
    let output = client.run(spec).await;
    assert_eq!(output.exit["timedOut"], true);
    assert_eq!(output.exit["signal"], "SIGKILL");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn kill_reaches_the_group_and_a_child_that_ignores_term() {
    let agent = Agent::start("kill");
    let client = agent.attach().await;
    let pid_file = agent.path("pid");
    let script = format!(
        "(trap '' TERM; echo $$ >/dev/null; exec sleep 50) & echo $! > {}; wait",
        pid_file.display()
    );
    let mut exec = client
        .exec(json!({ "argv": ["sh", "-c", script], "id": "group" }))
        .await;
    exec.started().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let child: i32 = std::fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let answer = client
        .request("POST", "/v1/execs/group/kill", br#"{"graceMs":300}"#)
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(exec.finish().await.exit["signal"], "SIGTERM");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    assert_eq!(
        client
            .request("POST", "/v1/execs/group/kill", b"")
            .await
            .status,
        204
    );
    let answer = client
        .request("POST", "/v1/execs/group/signal", br#"{"signal":"SIGINT"}"#)
        .await;
    assert_eq!(answer.code(), "CONFLICT");
}

#[tokio::test]
async fn signals_reach_a_running_command() {
    let agent = Agent::start("signal");
    let client = agent.attach().await;
    let script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let mut exec = client
        .exec(json!({ "argv": ["sh", "-c", script], "id": "s" }))
        .await;
    exec.read_until("ready").await;
    let answer = client
        .request("POST", "/v1/execs/s/signal", br#"{"signal":"SIGUSR1"}"#)
        .await;
    assert_eq!(answer.status, 204);
    let output = exec.finish().await;
    assert_eq!(
        (output.text().as_str(), &output.exit["exitCode"]),
        ("got\n", &json!(5))
    );
    let answer = client
        .request("POST", "/v1/execs/s/signal", br#"{"signal":"USR1"}"#)
        .await;
    assert_eq!(answer.code(), "INVALID_ARGUMENT");
}
