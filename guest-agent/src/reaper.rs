//! The one owner of `wait`. As PID 1 the agent inherits every orphan, so a wait elsewhere could swallow the
//! status of a command.
//!
//! The runtime has one thread, and a command is spawned and registered without an `await` between: the reaper
//! cannot run in the gap, so a child that ends at once still finds its entry. Where another thread spawns, what ends meanwhile
//! is kept until the spawn is over (`begin_spawn`).

use std::cell::{Cell, RefCell};
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
    /// Spawns by other threads that are under way.
    spawning: Cell<usize>,
    /// What has ended since the first of them began, and was nobody's.
    unclaimed: RefCell<HashMap<libc::pid_t, Ended>>,
}

/// A spawn by another thread: held until the child is expected.
pub struct Spawning(Rc<Reaper>);

impl Drop for Spawning {
    fn drop(&mut self) {
        let left = self.0.spawning.get() - 1;
        self.0.spawning.set(left);
        if left == 0 {
            self.0.unclaimed.borrow_mut().clear();
        }
    }
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

    pub fn begin_spawn(self: &Rc<Self>) -> Spawning {
        self.spawning.set(self.spawning.get() + 1);
        Spawning(Rc::clone(self))
    }

    /// Call in the same turn as the spawn, or before its `Spawning` is dropped, see above.
    pub fn expect(&self, pid: libc::pid_t) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        if let Some(ended) = self.unclaimed.borrow_mut().remove(&pid) {
            let _ = sender.send(ended);
            return receiver;
        }
        self.waiting.borrow_mut().insert(pid, sender);
        receiver
    }

    pub fn reap_all(&self) {
        while let Some((pid, ended)) = wait_any() {
            if let Some(sender) = self.waiting.borrow_mut().remove(&pid) {
                // A receiver that is gone has no interest any more.
                let _ = sender.send(ended);
            } else if self.spawning.get() > 0 {
                self.unclaimed.borrow_mut().insert(pid, ended);
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
