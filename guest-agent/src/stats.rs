//! `hello` and `stats`: what /proc says.

use std::fs;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::channel::handshake::GENERATION;
use crate::error::{Context, Result};

const FEATURES: &[&str] = &[
    "exec",
    "tty",
    "attach",
    "files",
    "archive",
    "archive-whole",
    "egress",
    "java-trust",
    "stats",
    "personalise",
    "knock",
    "grow-overlay",
    "boot-id",
    "new-machine",
    "connect",
    "shutdown",
];

pub fn hello(agent: &Agent) -> Value {
    let mut features = FEATURES.to_vec();
    if agent.drives.are_possible(agent.role) {
        features.push("drives");
    }
    if agent.mounts.are_possible() {
        features.push("mounts");
    }
    json!({
        "generation": GENERATION,
        "agentVersion": env!("CARGO_PKG_VERSION"),
        "bootId": read("/proc/sys/kernel/random/boot_id").trim(),
        "kernel": rustix::system::uname().release().to_string_lossy(),
        "uptimeMs": uptime_ms(),
        "features": features,
    })
}

pub fn stats() -> Result<Value> {
    let info = rustix::system::sysinfo();
    let disk = rustix::fs::statvfs("/").context("statvfs /")?;
    let meminfo = read("/proc/meminfo");
    let loads = read("/proc/loadavg");
    let stat = read("/proc/stat");
    Ok(json!({
        "uptimeMs": uptime_ms(),
        "processes": info.procs,
        "load1": loads.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0),
        "memory": {
            "totalBytes": status_bytes(&meminfo, "MemTotal"),
            "availableBytes": status_bytes(&meminfo, "MemAvailable"),
        },
        "disk": {
            "totalBytes": disk.f_blocks * disk.f_frsize,
            "availableBytes": disk.f_bavail * disk.f_frsize,
        },
        "cpu": cpu_times(&stat),
        "agentRssBytes": status_bytes(&read("/proc/self/status"), "VmRSS"),
    }))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn uptime_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// A line such as `VmRSS:   1234 kB`.
fn status_bytes(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// The first line of /proc/stat counts in ticks of 10 ms: user nice system idle iowait irq softirq.
fn cpu_times(stat: &str) -> Value {
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0) * 10;
    json!({
        "userMs": at(0) + at(1),
        "systemMs": at(2) + at(5) + at(6),
        "idleMs": at(3) + at(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_lines_are_read() {
        assert_eq!(
            status_bytes("MemTotal:  12 kB\nMemAvailable: 3 kB\n", "MemAvailable"),
            3072
        );
        assert_eq!(status_bytes("", "VmRSS"), 0);
        let times = cpu_times("cpu  1 2 3 4 5 6 7 0\ncpu0 1\n");
        assert_eq!(times, json!({"userMs": 30, "systemMs": 160, "idleMs": 90}));
    }

    #[test]
    fn stats_have_plausible_numbers() {
        let stats = stats().unwrap();
        assert!(stats["memory"]["totalBytes"].as_u64().unwrap() > 1 << 20);
        assert!(stats["agentRssBytes"].as_u64().unwrap() > 0);
        assert!(stats["disk"]["totalBytes"].as_u64().unwrap() > 0);
    }
}
