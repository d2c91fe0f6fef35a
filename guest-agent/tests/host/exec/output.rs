//! What a command writes: to fast readers, slow ones, none, and several.

use std::time::{Duration, Instant};

use crate::support::Agent;
use serde_json::json;

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
