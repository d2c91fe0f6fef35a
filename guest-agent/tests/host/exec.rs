//! Commands, over the real protocol.

use std::time::{Duration, Instant};

use crate::support::{Agent, SPEC, STDIN, STDOUT, frame, handshake, send_all};
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
async fn a_background_child_that_holds_the_output_does_not_delay_the_exit() {
    let agent = Agent::start("background");
    let client = agent.attach().await;
    let began = Instant::now();
    let output = client.sh("echo before; sleep 30 & echo after").await;
    assert_eq!(output.text(), "before\nafter\n");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // Its pipe stays alive: a write neither fails nor blocks.
    let marker = agent.path("alive");
    let script = format!(
        "(sleep 0.6; head -c 300000 /dev/zero && touch {}) & exit 0",
        marker.display()
    );
    client.sh(&script).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(marker.exists());
}

#[tokio::test]
async fn output_before_the_exit_is_whole_even_for_a_slow_reader() {
    let agent = Agent::start("whole");
    let client = agent.attach().await;
    let spec =
        json!({ "argv": ["sh", "-c", "head -c 3000000 /dev/zero; exit 3"], "spoolBytes": 65536 });
    let mut exec = client.exec(spec).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let output = exec.finish().await;
    assert_eq!(output.stdout.len(), 3_000_000);
    assert_eq!(output.exit["exitCode"], 3);
    assert_eq!(output.skipped, 0);
}

#[tokio::test]
async fn a_reader_that_stops_costs_bounded_memory_and_stalls_nobody() {
    let agent = Agent::start("slow");
    let client = agent.attach().await;
    client.sh("true").await;
    let before = agent.rss_bytes();
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(client.exec(json!({ "argv": ["cat", "/dev/zero"] })).await);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let grown = agent.rss_bytes().saturating_sub(before);
    assert!(grown < 4 * (2 << 20) + (6 << 20), "{grown} bytes");
    assert_eq!(client.sh("echo quick").await.text(), "quick\n");
}

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

#[tokio::test]
async fn without_a_follower_the_oldest_output_goes_and_skipped_says_how_much() {
    let agent = Agent::start("skipped");
    let client = agent.attach().await;
    let spec = json!({
        "argv": ["sh", "-c", "read go; head -c 500000 /dev/zero; echo last; read end"],
        "id": "s", "spoolBytes": 65536, "stdin": true,
    });
    let mut exec = client.exec(spec).await;
    exec.started().await;
    exec.write(b"go\n").await;
    exec.read_until("\0").await;
    drop(exec);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut exec = client.attach("s", "?from=10").await;
    assert_eq!(exec.started().await["offset"], 10);
    exec.write(b"end\n").await;
    let output = exec.finish().await;
    assert_eq!(output.skipped, 500_005 - 65536 - 10);
    assert_eq!(output.stdout.len(), 65536);
    assert!(output.stdout.ends_with(b"last\n"));
    // Once ended it can be read again, by an offset too, and by one that is too large not at all.
    let again = client.attach("s", "?from=500000").await.finish().await;
    assert_eq!(again.stdout, b"last\n");
    assert_eq!(again.exit["exitCode"], 0);
    assert_eq!(client.attach("s", "?from=500006").await.status, 400);
}

#[tokio::test]
async fn detach_block_loses_nothing() {
    let agent = Agent::start("block");
    let client = agent.attach().await;
    // More than all windows and buffers on the way take.
    let spec = json!({
        "argv": ["sh", "-c", "seq 1 1000000"], "id": "b", "spoolBytes": 65536, "detach": "block",
    });
    let mut exec = client.exec(spec).await;
    exec.started().await;
    let mut got = Vec::new();
    while got.len() < 100_000 {
        got.extend_from_slice(&exec.next().await.unwrap().unwrap().1);
    }
    drop(exec);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let info = client.request("GET", "/v1/execs/b", b"").await.json();
    assert_eq!(info["state"], "running");
    // What was under way to the reader that left may be gone; nothing that came after may.
    let from = info["spooledFrom"].as_u64().unwrap();
    let output = client
        .attach("b", &format!("?from={from}"))
        .await
        .finish()
        .await;
    let all: String = (1..=1_000_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(output.text(), all[from as usize..]);
    assert_eq!(output.skipped, 0);
}

#[tokio::test]
async fn a_lost_connection_detaches_and_another_attach_continues() {
    let agent = Agent::start("reattach");
    let client = agent.attach().await;
    let spec = json!({ "argv": ["sh", "-c", "echo one; read line; echo $line; read line; echo $line"], "id": "r", "stdin": true });
    let mut exec = client.exec(spec).await;
    exec.read_until("one\n").await;
    drop(client);
    drop(exec);
    let client = agent.attach().await;
    let mut exec = client.attach("r", "?from=4").await;
    assert_eq!(exec.started().await["offset"], 4);
    exec.write(b"two\n").await;
    exec.read_until("two\n").await;
    // A reader with an empty body does not close the input of the other one.
    let snapshot = client
        .attach("r", "?from=0&follow=false")
        .await
        .finish()
        .await;
    assert_eq!(snapshot.text(), "one\ntwo\n");
    assert_eq!(snapshot.exit, json!(null));
    let (response, _) = client.open("POST", "/v1/execs/r/attach", false).await;
    let _reader = response.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    exec.write(b"three\n").await;
    assert_eq!(exec.finish().await.text(), "three\n");
}

#[tokio::test]
async fn two_followers_see_the_same() {
    let agent = Agent::start("two");
    let client = agent.attach().await;
    let mut first = client
        .exec(json!({ "argv": ["sh", "-c", "sleep 0.3; seq 1 200000"], "id": "t" }))
        .await;
    let mut second = client.attach("t", "").await;
    let (a, b) = tokio::join!(first.finish(), second.finish());
    assert!(a.stdout == b.stdout && a.stdout.len() > 1_000_000);
    assert_eq!(a.exit, b.exit);
}

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

#[tokio::test]
async fn ended_commands_are_listed_and_forgotten() {
    let agent = Agent::start("list");
    let client = agent.attach().await;
    for number in 0..70 {
        client
            .run(json!({ "argv": ["true"], "id": format!("n{number}") }))
            .await;
    }
    let list = client.request("GET", "/v1/execs", b"").await.json();
    let execs = list["execs"].as_array().unwrap();
    assert_eq!(execs.len(), 64);
    assert_eq!(execs[0]["id"], "n6");
    assert_eq!(execs[0]["state"], "exited");
    assert_eq!(
        client.request("DELETE", "/v1/execs/n69", b"").await.status,
        204
    );
    assert_eq!(
        client.request("GET", "/v1/execs/n69", b"").await.code(),
        "NOT_FOUND"
    );
    let mut exec = client
        .exec(json!({ "argv": ["sleep", "9"], "id": "busy" }))
        .await;
    exec.started().await;
    assert_eq!(
        client.request("DELETE", "/v1/execs/busy", b"").await.code(),
        "CONFLICT"
    );
    assert_eq!(
        client
            .start(json!({ "argv": ["true"], "id": "busy" }))
            .await
            .status,
        409
    );
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
