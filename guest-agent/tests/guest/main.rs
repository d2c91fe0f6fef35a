//! The agent as PID 1 of a running guest, reached through the host's end of its port. Needs a guest that boots
//! from an image with a shell, hence not part of a plain test run:
//!
//!     FIREBREAK_GUEST_SOCKET=agent.sock cargo test --release --test guest -- --ignored --nocapture

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../host/support.rs"]
mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, frame, send_all, try_handshake};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

async fn connect() -> UnixStream {
    let path =
        std::env::var("FIREBREAK_GUEST_SOCKET").expect("FIREBREAK_GUEST_SOCKET names the socket");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(mut stream) = UnixStream::connect(&path).await {
            let patience = Duration::from_secs(3);
            if let Ok(Ok(())) = tokio::time::timeout(patience, try_handshake(&mut stream)).await {
                return stream;
            }
        }
        assert!(Instant::now() < deadline, "the guest does not greet");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn attach() -> Client {
    Client::new(connect().await, 4 << 20).await
}

async fn agent_cpu_ticks(client: &Client) -> u64 {
    let text = client.sh("cat /proc/1/stat").await.text();
    let words: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

#[tokio::test]
#[ignore = "needs a running guest"]
async fn a_guest_does_what_it_should_and_powers_off() {
    let client = attach().await;
    println!(
        "hello {}",
        client.request("GET", "/v1/hello", b"").await.json()
    );
    println!(
        "stats {}",
        client.request("GET", "/v1/stats", b"").await.json()
    );
    let shown = client
        .sh("cat /proc/mounts; ls -l /dev/fd /dev/stdin; cat /etc/hosts; hostname; ls /; ulimit -n; env; id; pwd")
        .await;
    println!("{}{}", shown.text(), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.text().contains("overlay / overlay rw"));
    personalise(&client).await;
    users_and_terminals(&client).await;
    orphans(&client).await;
    measure(&client).await;
    drop(client);
    come_and_go().await;
    let client = attach().await;
    let stopping = client
        .sh("(trap '' TERM; exec sleep 1000) & echo x > /root/kept; exit 0")
        .await;
    assert_eq!(stopping.exit["exitCode"], 0);
    assert_eq!(
        client
            .request("POST", "/v1/shutdown", br#"{"graceMs":300}"#)
            .await
            .status,
        202
    );
}

async fn personalise(client: &Client) {
    let body = json!({
        "hostname": "clone-7", "wallClockMs": 2_000_000_000_123u64, "machineId": "0123456789abcdef0123456789abcdef",
        "entropyBase64": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "env": { "TOKEN": "t" },
    });
    let answer = client
        .request("PUT", "/v1/personalise", body.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 204, "{:?}", answer.body);
    let text = client
        .sh("hostname; cat /etc/machine-id; date +%s; echo $TOKEN; grep clone /etc/hosts")
        .await
        .text();
    println!("{text}");
    assert!(text.starts_with("clone-7\n0123456789abcdef0123456789abcdef\n200000000"));
}

async fn users_and_terminals(client: &Client) {
    let spec = json!({ "argv": ["sh", "-c", "id; pwd; echo $HOME $USER $SHELL; echo via > /dev/stderr"], "user": "ann" });
    let output = client.run(spec).await;
    println!("{}", output.text());
    assert!(
        output
            .text()
            .contains("uid=1000(ann) gid=1000(ann) groups=1000(ann),5(tty)")
    );
    assert_eq!(output.stderr, b"via\n");
    let spec = json!({ "argv": ["sh", "-c", "tty; stty size"], "user": "ann", "tty": { "cols": 90, "rows": 33 }, "stdin": true });
    assert!(client.run(spec).await.text().contains("33 90"));
}

/// Orphans become the agent's children; none may stay a zombie.
async fn orphans(client: &Client) {
    client
        .sh("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.1 &) ; done")
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let text = client
        .sh("cat /proc/[0-9]*/stat | grep -c ') Z ' || true")
        .await
        .text();
    assert_eq!(text.trim(), "0");
}

async fn measure(client: &Client) {
    for round in 0..3 {
        let mut times = Vec::new();
        for _ in 0..40 {
            let began = Instant::now();
            client.run(json!({ "argv": ["/bin/true"] })).await;
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "exec true, round {round}: p50 {:?}, p90 {:?}, max {:?}",
            times[20], times[36], times[39]
        );
    }
    let began = Instant::now();
    for _ in 0..100 {
        client.request("GET", "/v1/hello", b"").await;
    }
    println!("hello: {:?} each", began.elapsed() / 100);
    for _ in 0..2 {
        let began = Instant::now();
        let mut exec = client
            .exec(json!({ "argv": ["head", "-c", "200000000", "/dev/zero"] }))
            .await;
        let output = exec.finish().await;
        assert_eq!(output.stdout.len(), 200_000_000);
        println!("stdout: {:.0} MB/s", 200.0 / began.elapsed().as_secs_f64());
    }
    let began = Instant::now();
    let mut exec = client
        .exec(json!({ "argv": ["wc", "-c"], "stdin": true }))
        .await;
    exec.write(&vec![0; 100_000_000]).await;
    exec.end_input().await;
    assert_eq!(exec.finish().await.text().trim(), "100000000");
    println!("stdin: {:.0} MB/s", 100.0 / began.elapsed().as_secs_f64());
    let bytes = vec![7; 50_000_000];
    let began = Instant::now();
    let answer = client
        .request("PUT", "/v1/file?path=/root/big", &bytes)
        .await;
    assert_eq!(answer.status, 200);
    println!("file up: {:.0} MB/s", 50.0 / began.elapsed().as_secs_f64());
    let began = Instant::now();
    assert!(
        client
            .request("GET", "/v1/file?path=/root/big", b"")
            .await
            .body
            == bytes
    );
    println!(
        "file down: {:.0} MB/s",
        50.0 / began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let tar = client
        .request("GET", "/v1/archive?path=/bin", b"")
        .await
        .body;
    println!("archive down: {} bytes in {:?}", tar.len(), began.elapsed());
    let began = Instant::now();
    let answer = client
        .request("PUT", "/v1/archive?path=/root/copy", &tar)
        .await;
    println!("archive up: {} in {:?}", answer.json(), began.elapsed());
    println!(
        "stats {}",
        client.request("GET", "/v1/stats", b"").await.json()
    );
}

#[tokio::test]
#[ignore = "a measurement, of a running guest"]
async fn how_fast_is_it() {
    let client = attach().await;
    for program in ["/bin/tinytrue", "/bin/statictool --version", "/bin/true"] {
        let mut times = Vec::new();
        for _ in 0..60 {
            let began = Instant::now();
            let argv: Vec<&str> = program.split(' ').collect();
            client.run(json!({ "argv": argv })).await;
            times.push(began.elapsed());
        }
        times.sort();
        println!("{program}: p50 {:?}, p90 {:?}", times[30], times[54]);
    }
    for script in [
        "dd if=/dev/zero bs=64k count=3000",
        "dd if=/dev/zero bs=1M count=200",
        "cat /root/z",
    ] {
        client.sh("head -c 150000000 /dev/zero > /root/z").await;
        let before = agent_cpu_ticks(&client).await;
        let began = Instant::now();
        let output = client.sh(script).await;
        let elapsed = began.elapsed();
        let used = agent_cpu_ticks(&client).await - before;
        println!(
            "{script}: {:.0} MB/s, agent {} ms of {elapsed:?}",
            output.stdout.len() as f64 / 1e6 / elapsed.as_secs_f64(),
            used * 10
        );
    }
}

/// The host goes in the middle of anything and comes back; meanwhile the agent does not spin.
async fn come_and_go() {
    let client = attach().await;
    let mut exec = client
        .exec(json!({ "argv": ["sh", "-c", "cat /dev/zero"], "id": "flood" }))
        .await;
    exec.started().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(exec);
    drop(client);
    let client = attach().await;
    client
        .request("POST", "/v1/execs/flood/kill", br#"{"graceMs":0}"#)
        .await;
    let mut exec = client
        .exec(json!({ "argv": ["cat"], "stdin": true, "id": "cat" }))
        .await;
    exec.started().await;
    let before = agent_cpu_ticks(&client).await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let client = attach().await;
    let used = agent_cpu_ticks(&client).await - before;
    println!(
        "the agent used {} ms while the host was away for 3 s",
        used * 10
    );
    assert!(used < 30, "it spins");
    let mut exec = client.attach("cat", "").await;
    exec.started().await;
    exec.write(b"still here\n").await;
    exec.read_until("still here").await;
    exec.end_input().await;
    exec.finish().await;
    let (_, mut half) = client.open("POST", "/v1/exec", true).await;
    send_all(&mut half, frame(1, b"{\"argv\"").slice(..8), false)
        .await
        .unwrap();
    drop(client);
    for garbage in [&b"garbage"[..], &[0xff; 70_000], b"\nattach 1 2\n\n\n"] {
        let mut stream = connect().await;
        let _ = stream.write_all(garbage).await;
        drop(stream);
        // No gap at all, which a guest may miss; then a proper one.
        drop(connect().await);
        let client = attach().await;
        assert_eq!(client.sh("echo back").await.text(), "back\n");
    }
    let mut times = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let client = attach().await;
        client.request("GET", "/v1/hello", b"").await;
        times.push(began.elapsed());
        drop(client);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    times.sort();
    println!("attach and hello: p50 {:?}, max {:?}", times[5], times[9]);
}
