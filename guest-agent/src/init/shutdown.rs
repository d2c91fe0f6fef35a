//! The end of the machine.

use std::fs;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount_remount};
use rustix::system::{RebootCommand, reboot};

use super::console;
use crate::agent::Agent;
use crate::channel::Transport;

/// How long after KILL the last processes may take to vanish.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// For the answer to the request, which is on its way to the host.
const ANSWER_PATIENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(5);

/// TERM to all, KILL after the grace, drives made read-only, power off. The caller goes on reaping.
pub async fn end_machine(grace: Duration, agent: &Agent) {
    tokio::time::sleep(ANSWER_PATIENCE).await;
    signal_all(libc::SIGTERM);
    // A stopped process would not see TERM.
    signal_all(libc::SIGCONT);
    if !wait_until_alone(grace).await {
        signal_all(libc::SIGKILL);
        wait_until_alone(KILL_PATIENCE).await;
    }
    // Before anything here waits for a file system: what these wait for is this thread.
    crate::mounts::let_go_of_all(agent).await;
    rustix::fs::sync();
    crate::drives::let_go_of_all();
    // Best effort: after the sync a drive that stays writable only has its journal replayed next time.
    console::check("remount /", mount_remount("/", MountFlags::RDONLY, ""));
    if let Some(drive) = &agent.overlay {
        console::check("the overlay", drive.make_read_only());
    }
    rustix::fs::sync();
    power_off();
}

/// All but the agent itself, which PID 1's -1 means.
fn signal_all(signal: libc::c_int) {
    // SAFETY: kill takes no pointers.
    unsafe { libc::kill(-1, signal) };
}

async fn wait_until_alone(patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while has_others() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

/// Processes besides the agent; threads of the kernel do not count, for they have no command line.
fn has_others() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        pid.is_some_and(|pid| pid != 1) && is_user_process(&entry.path())
    })
}

fn is_user_process(folder: &std::path::Path) -> bool {
    let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    // "PID (NAME) STATE PPID ...", and the name may hold anything. Kernel threads descend from 2.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut words = after_name.split_whitespace();
    let (state, parent) = (words.next(), words.next());
    let is_kernel = parent == Some("2") || parent == Some("0");
    state.is_some() && !matches!(state, Some("Z" | "X")) && !is_kernel
}

/// Does not return. A machine without power control is restarted, which ends its VMM too: Firecracker's have none, and Linux
/// would halt there for ever instead of failing.
pub fn power_off() -> ! {
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if Transport::of(&command_line) == Transport::VirtioPorts {
        console::check("power off", reboot(RebootCommand::PowerOff));
    }
    console::check("restart", reboot(RebootCommand::Restart));
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
