//! Commands: what one is while it runs and after.

pub mod registry;
pub mod signals;
pub mod spawn;
pub mod spec;
pub mod spool;
pub mod start;
pub mod stdin;
pub mod stream;
pub mod supervise;
pub mod users;

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::termios::Winsize;
use serde_json::{Value, json};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::spec::TtySize;
use self::spool::Spool;
use self::stdin::Stdin;
use crate::error::{Code, Context, Error, Result};
use crate::reaper::Ended;

pub struct Exec {
    pub id: String,
    pub argv: Vec<String>,
    pub pid: libc::pid_t,
    pub started_at_ms: u64,
    pub started: std::time::Instant,
    pub kill_grace: Duration,
    pub spool: RefCell<Spool>,
    /// Output has come, or the exit.
    pub output: Notify,
    /// A follower read on, or left.
    pub space: Notify,
    pub stdin: Stdin,
    /// The master of the command's terminal.
    pub terminal: Option<Rc<AsyncFd<OwnedFd>>>,
    pub is_timed_out: Cell<bool>,
    /// The process has been waited for: its number may be another's soon.
    pub is_reaped: Cell<bool>,
    exit: RefCell<Option<Exit>>,
}

#[derive(Clone, Debug)]
pub struct Exit {
    json: Value,
}

impl Exit {
    fn of(exec: &Exec, ended: Option<Ended>) -> Exit {
        let ended_at = ended
            .as_ref()
            .map_or_else(std::time::Instant::now, |e| e.at);
        let duration = ended_at.saturating_duration_since(exec.started);
        Exit {
            json: json!({
                "exitCode": ended.as_ref().and_then(|e| e.exit_code),
                "signal": ended.as_ref().and_then(|e| e.signal).map(signals::name_of),
                "timedOut": exec.is_timed_out.get(),
                "durationMs": duration.as_millis() as u64,
                "userMs": ended.as_ref().map_or(0, |e| e.user_ms),
                "systemMs": ended.as_ref().map_or(0, |e| e.system_ms),
                "maxRssBytes": ended.as_ref().map_or(0, |e| e.max_rss_bytes),
                "outputBytes": exec.spool.borrow().end(),
                "stdinBytes": exec.stdin.written(),
            }),
        }
    }

    pub fn to_json(&self) -> &Value {
        &self.json
    }
}

impl Exec {
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    fn set_exit(&self, exit: Exit) {
        *self.exit.borrow_mut() = Some(exit);
        self.output.notify_waiters();
    }

    /// Whether the process ended before `deadline`. Its end is always followed by a notice of `output`.
    async fn wait_reaped(&self, deadline: Instant) -> bool {
        loop {
            let notice = self.output.notified();
            if self.is_reaped.get() {
                return true;
            }
            if tokio::time::timeout_at(deadline, notice).await.is_err() {
                return self.is_reaped.get();
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let spool = self.spool.borrow();
        let exit = self.exit();
        json!({
            "id": self.id,
            "argv": self.argv,
            "pid": self.pid,
            "state": if exit.is_some() { "exited" } else { "running" },
            "startedAtMs": self.started_at_ms,
            "outputBytes": spool.end(),
            "spooledFrom": spool.start(),
            "tty": self.terminal.is_some(),
            "exit": exit.map(|exit| exit.json),
        })
    }

    pub fn signal(&self, number: libc::c_int) -> Result<()> {
        if self.is_reaped.get() || !signals::signal_group(self.pid, number) {
            return Err(Error::new(Code::Conflict, "the command has ended"));
        }
        Ok(())
    }

    pub fn resize(&self, size: TtySize) -> Result<()> {
        let Some(terminal) = &self.terminal else {
            return Err(Error::new(Code::Conflict, "the command has no terminal"));
        };
        rustix::termios::tcsetwinsize(terminal.get_ref(), winsize(size)).context("resize")
    }
}

pub fn winsize(size: TtySize) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
