//! From a running process to its EXIT: moves output into the spool, keeps the time limit, and applies the rule
//! for what is still in the pipes at the end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::signals::signal_group;
use super::{Exec, Exit};
use crate::reaper::Ended;

/// A background child may hold the pipe for ever: after the exit this long, and no longer.
const DRAIN: Duration = Duration::from_millis(250);
const READ_BYTES: usize = 128 << 10;
/// After so many bytes others get a turn.
const TURN_BYTES: usize = 256 << 10;

/// The read end of a pipe, or the master of a terminal.
pub struct Source {
    pub fd: Rc<AsyncFd<OwnedFd>>,
    pub stream: u8,
    pub is_open: bool,
    pub total: u64,
}

impl Source {
    pub fn new(fd: Rc<AsyncFd<OwnedFd>>, stream: u8) -> Self {
        Source {
            fd,
            stream,
            is_open: true,
            total: 0,
        }
    }

    fn buffered(&self) -> u64 {
        rustix::io::ioctl_fionread(self.fd.get_ref().as_fd()).unwrap_or(0)
    }
}

pub async fn supervise(
    exec: Rc<Exec>,
    mut sources: Vec<Source>,
    mut ended: oneshot::Receiver<Ended>,
    timeout: Option<Duration>,
    on_exit: impl FnOnce(),
) {
    let ended = wait_for_end(&exec, &mut sources, &mut ended, timeout).await;
    exec.is_reaped.set(true);
    exec.output.notify_waiters();
    // What the process wrote before its end is delivered however long the reader takes.
    let targets: Vec<u64> = sources
        .iter()
        .map(|source| source.total + source.buffered())
        .collect();
    pump_all(&exec, &mut sources, Some(&targets)).await;
    let _ = tokio::time::timeout(DRAIN, pump_all(&exec, &mut sources, None)).await;

    exec.set_exit(Exit::of(&exec, ended));
    on_exit();
    for source in sources.into_iter().filter(|source| source.is_open) {
        tokio::task::spawn_local(discard(source));
    }
}

async fn wait_for_end(
    exec: &Rc<Exec>,
    sources: &mut [Source],
    ended: &mut oneshot::Receiver<Ended>,
    timeout: Option<Duration>,
) -> Option<Ended> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let on_deadline = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(on_deadline);
    let pumping = async {
        pump_all(exec, sources, None).await;
        std::future::pending::<()>().await;
    };
    tokio::pin!(pumping);
    let mut is_over_time = false;
    loop {
        tokio::select! {
            biased;
            // An error would mean that the reaper forgot the process; there is no status to tell then.
            ended = &mut *ended => return ended.ok(),
            () = &mut on_deadline, if !is_over_time => {
                is_over_time = true;
                exec.is_timed_out.set(true);
                terminate(exec, exec.kill_grace);
            }
            () = &mut pumping => {}
        }
    }
}

/// TERM to the group at once, KILL after the grace if anything of it is left.
pub fn terminate(exec: &Rc<Exec>, grace: Duration) {
    let pid = exec.pid;
    if !signal_group(pid, libc::SIGTERM) {
        return;
    }
    let exec = Rc::clone(exec);
    tokio::task::spawn_local(async move {
        let kill_at = Instant::now() + grace;
        let ended = exec.wait_reaped(kill_at).await;
        if ended {
            // Children of the group that outlived their leader keep its number from being reused.
            if !signal_group(pid, 0) {
                return;
            }
            tokio::time::sleep_until(kill_at).await;
        }
        signal_group(pid, libc::SIGKILL);
    });
}

/// Reads all sources at once, each to its target (or to its end).
async fn pump_all(exec: &Rc<Exec>, sources: &mut [Source], targets: Option<&[u64]>) {
    let target = |index: usize| targets.map_or(u64::MAX, |targets| targets[index]);
    match sources {
        [first, second] => {
            tokio::join!(pump(exec, first, target(0)), pump(exec, second, target(1)));
        }
        [only] => pump(exec, only, target(0)).await,
        _ => {}
    }
}

/// Safe to cancel: every read is in the spool before the next await.
async fn pump(exec: &Rc<Exec>, source: &mut Source, target: u64) {
    let mut turn = 0;
    while source.is_open && source.total < target {
        let fd = Rc::clone(&source.fd);
        let Ok(mut ready) = fd.readable().await else {
            source.is_open = false;
            return;
        };
        let has_room = exec.space.notified();
        if exec.spool.borrow().room() == 0 {
            has_room.await;
            continue;
        }
        let read = exec
            .spool
            .borrow_mut()
            .fill(source.stream, READ_BYTES, |into| {
                Ok(rustix::io::read(fd.get_ref(), into)?)
            });
        match read {
            Ok(0) => source.is_open = false,
            Ok(count) => {
                source.total += count as u64;
                exec.output.notify_waiters();
                turn += count;
                if turn >= TURN_BYTES {
                    turn = 0;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Someone opened the pipe anew after its end: tokio would report the end for ever.
                if ready.ready().is_read_closed() {
                    source.is_open = false;
                }
                ready.clear_ready();
            }
            // A terminal's master says EIO when the last of the other side is gone.
            Err(_) => source.is_open = false,
        }
    }
}

/// Keeps the pipe of a background child alive; its output goes nowhere.
async fn discard(source: Source) {
    let mut scratch = vec![0u8; 16 << 10];
    loop {
        let Ok(mut ready) = source.fd.readable().await else {
            return;
        };
        match rustix::io::read(source.fd.get_ref(), &mut scratch[..]) {
            Ok(0) => return,
            Ok(_) => tokio::task::yield_now().await,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if !ready.ready().is_read_closed() => {
                ready.clear_ready();
            }
            Err(_) => return,
        }
    }
}
