//! The one owner of `wait`. As PID 1 the agent inherits every orphan, so a wait elsewhere could swallow the
//! status of a command.
//!
//! The runtime has one thread, and a command is spawned and registered without an `await` between: the reaper
//! cannot run in the gap, so a child that ends at once still finds its entry.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a process ended, and what it used.
#[derive(Clone, Debug)]
pub struct Ended {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub user_ms: u64,
    pub system_ms: u64,
    pub max_rss_bytes: u64,
    pub at: Instant,
}

#[derive(Default)]
pub struct Reaper {
    waiting: RefCell<HashMap<libc::pid_t, oneshot::Sender<Ended>>>,
}

impl Reaper {
    /// Begins to reap, for as long as the runtime lives.
    pub fn start() -> io::Result<Rc<Reaper>> {
        let mut children = signal(SignalKind::child())?;
        let reaper = Rc::new(Reaper::default());
        let own = Rc::clone(&reaper);
        tokio::task::spawn_local(async move {
            loop {
                own.reap_all();
                if children.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(reaper)
    }

    /// Call in the same turn as the spawn, see above.
    pub fn expect(&self, pid: libc::pid_t) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, sender);
        receiver
    }

    pub fn reap_all(&self) {
        while let Some((pid, ended)) = wait_any() {
            if let Some(sender) = self.waiting.borrow_mut().remove(&pid) {
                // A receiver that is gone has no interest any more.
                let _ = sender.send(ended);
            }
        }
    }
}

fn wait_any() -> Option<(libc::pid_t, Ended)> {
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals of the right type.
    let pid = unsafe { libc::wait4(-1, &mut status, libc::WNOHANG, &mut usage) };
    if pid <= 0 {
        return None;
    }
    let has_exited = libc::WIFEXITED(status);
    let ended = Ended {
        exit_code: has_exited.then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        user_ms: millis(usage.ru_utime),
        system_ms: millis(usage.ru_stime),
        max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        at: Instant::now(),
    };
    Some((pid, ended))
}

fn millis(time: libc::timeval) -> u64 {
    let millis = time.tv_sec * 1000 + time.tv_usec / 1000;
    u64::try_from(millis).unwrap_or(0)
}
