//! What a command starts with, and what does not start.

use crate::support::{Agent, SPEC, frame, send_all};
use serde_json::json;

#[tokio::test]
async fn a_command_that_succeeds_says_so() {
    let agent = Agent::start("true");
    let client = agent.attach().await;
    let output = client.run(json!({ "argv": ["true"] })).await;
    assert_eq!(output.exit["exitCode"], 0);
    assert_eq!(output.exit["signal"], json!(null));
    assert_eq!(output.started["offset"], 0);
}

#[tokio::test]
async fn exit_codes_signals_and_both_streams_come_through() {
    let agent = Agent::start("codes");
    let client = agent.attach().await;
    let output = client.sh("echo out; echo err >&2; exit 7").await;
    assert_eq!(output.exit["exitCode"], 7);
    assert_eq!(
        (output.stdout, output.stderr),
        (b"out\n".to_vec(), b"err\n".to_vec())
    );
    assert_eq!(output.exit["outputBytes"], 8);
    let output = client.sh("kill -KILL $$").await;
    assert_eq!(output.exit["signal"], "SIGKILL");
    assert_eq!(output.exit["exitCode"], json!(null));
}

#[tokio::test]
async fn commands_that_cannot_start_are_error_answers() {
    let agent = Agent::start("cannot");
    let client = agent.attach().await;
    std::fs::write(agent.path("plain"), "no program").unwrap();
    let plain = agent.path("plain");
    for (spec, code) in [
        (
            json!({ "argv": ["no-such-command-anywhere"] }),
            "COMMAND_NOT_FOUND",
        ),
        (json!({ "argv": ["/no/such/file"] }), "COMMAND_NOT_FOUND"),
        (json!({ "argv": [plain] }), "COMMAND_NOT_EXECUTABLE"),
        (
            json!({ "argv": ["true"], "user": "no-such-user" }),
            "USER_NOT_FOUND",
        ),
        (
            json!({ "argv": ["true"], "cwd": "/no/such/folder" }),
            "NOT_FOUND",
        ),
        (
            json!({ "argv": ["true"], "env": { "PATH": "/nowhere" } }),
            "COMMAND_NOT_FOUND",
        ),
        (json!({ "argv": [] }), "INVALID_ARGUMENT"),
        (json!({ "argv": ["true"], "id": "a/b" }), "INVALID_ARGUMENT"),
    ] {
        let (response, mut input) = client.open("POST", "/v1/exec", true).await;
        send_all(&mut input, frame(SPEC, spec.to_string().as_bytes()), false)
            .await
            .unwrap();
        let answer = crate::support::collect(response.await.unwrap()).await;
        assert_eq!(answer.code(), code, "{spec}");
    }
    assert_eq!(client.sh("exit 0").await.exit["exitCode"], 0);
}

#[tokio::test]
async fn the_environment_is_the_documented_one() {
    let agent = Agent::start("env");
    let client = agent.attach().await;
    let body =
        json!({ "env": { "BASE": "1", "BOTH": "base" }, "hostname": "never-set-in-host-mode" });
    let answer = client
        .request("PUT", "/v1/personalise", body.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 204);
    let spec = json!({ "argv": ["env"], "env": { "OWN": "2", "BOTH": "own" }, "cwd": "/" });
    let text = client.run(spec).await.text();
    for line in ["BASE=1", "OWN=2", "BOTH=own", "LANG=C.UTF-8"] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(text.contains("PATH=/usr/local/sbin:"));
    assert!(
        !text.contains("CARGO"),
        "nothing of the agent's own environment"
    );
    assert_ne!(
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .unwrap()
            .trim(),
        "never-set-in-host-mode"
    );
}

#[tokio::test]
async fn values_that_mean_nothing_are_refused_and_then_nothing_changes() {
    let agent = Agent::start("refused");
    let client = agent.attach().await;
    for mut body in [
        json!({ "bootId": "0A1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" }),
        json!({ "bootId": 7 }),
        json!({ "overlayBytes": 0 }),
        json!({ "overlayBytes": -1 }),
        json!({ "overlayBytes": 1.5 }),
        json!({ "isNewMachine": "yes" }),
        json!({ "wallClockMs": u64::MAX }),
    ] {
        body["env"] = json!({ "REFUSED": "1" });
        let answer = client
            .request("PUT", "/v1/personalise", body.to_string().as_bytes())
            .await;
        assert_eq!(answer.code(), "INVALID_ARGUMENT", "{body}");
    }
    let body = json!({
        "bootId": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "overlayBytes": 1, "isNewMachine": true,
        "aFieldOfLater": [], "env": { "TAKEN": "1" },
    });
    let answer = client
        .request("PUT", "/v1/personalise", body.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 204);
    let text = client.sh("echo $REFUSED$TAKEN").await.text();
    assert_eq!(text, "1\n");
}

#[tokio::test]
async fn a_child_has_clean_signals_and_no_descriptors_of_the_agent() {
    let agent = Agent::start("clean");
    let client = agent.attach().await;
    let text = client
        .sh("ls /proc/self/fd | wc -l; grep -E 'SigIgn|SigBlk' /proc/self/status")
        .await
        .text();
    let mut lines = text.lines();
    // 0, 1, 2 and the one that ls reads the folder with.
    assert_eq!(lines.next().unwrap().trim(), "4");
    for line in lines {
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
}

#[tokio::test]
async fn at_most_64_commands_run_at_once() {
    let agent = Agent::start("limit");
    let client = agent.attach().await;
    let mut running = Vec::new();
    for _ in 0..64 {
        running.push(client.exec(json!({ "argv": ["sleep", "30"] })).await);
    }
    assert_eq!(client.start(json!({ "argv": ["true"] })).await.status, 429);
}

#[tokio::test]
async fn many_short_commands_at_once_all_get_their_own_status() {
    let agent = Agent::start("many");
    let client = std::sync::Arc::new(agent.attach().await);
    let mut tasks = Vec::new();
    for number in 0..200u32 {
        if number % 40 == 0 {
            for task in tasks.drain(..) {
                let task: tokio::task::JoinHandle<()> = task;
                task.await.unwrap();
            }
        }
        let client = std::sync::Arc::clone(&client);
        tasks.push(tokio::spawn(async move {
            let code = number % 256;
            let output = client.sh(&format!("echo {number}; exit {code}")).await;
            assert_eq!(output.exit["exitCode"], code);
            assert_eq!(output.text(), format!("{number}\n"));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
