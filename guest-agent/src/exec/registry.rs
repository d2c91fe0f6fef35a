//! All commands of this guest, running and ended, oldest first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::signals::signal_group;
use super::spawn::Spawner;
use super::spec::Spec;
use super::spool::Spool;
use super::supervise::supervise;
use super::{Exec, start};
use crate::error::{Code, Error, Result};
use crate::reaper::{Ended, Reaper};

const MAX_RUNNING: usize = 64;
const MAX_ENDED: usize = 64;
const MAX_ENDED_SPOOL_BYTES: usize = 32 << 20;

pub struct Registry {
    execs: RefCell<Vec<Rc<Exec>>>,
    env: RefCell<BTreeMap<String, String>>,
    reaper: Rc<Reaper>,
    spawner: Spawner,
    made_ids: Cell<u64>,
}

impl Registry {
    pub fn new(reaper: Rc<Reaper>) -> Rc<Self> {
        Rc::new(Registry {
            execs: RefCell::default(),
            env: RefCell::default(),
            reaper,
            spawner: Spawner::new(),
            made_ids: Cell::new(0),
        })
    }

    /// Becomes part of the base environment of every command from now on.
    pub fn add_env(&self, env: BTreeMap<String, String>) {
        self.env.borrow_mut().extend(env);
    }

    pub fn get(&self, id: &str) -> Result<Rc<Exec>> {
        let execs = self.execs.borrow();
        let found = execs.iter().find(|exec| exec.id == id);
        found
            .map(Rc::clone)
            .ok_or_else(|| Error::new(Code::NotFound, format!("no exec has the id {id:?}")))
    }

    pub fn list(&self) -> Value {
        let execs = self.execs.borrow();
        let all: Vec<Value> = execs.iter().map(|exec| exec.to_json()).collect();
        json!({ "execs": all })
    }

    /// No await from the spawn to the reaper's entry, see `Reaper`.
    pub fn start(self: &Rc<Self>, spec: Spec) -> Result<Rc<Exec>> {
        let id = self.id_for(&spec)?;
        let running = self
            .execs
            .borrow()
            .iter()
            .filter(|exec| exec.is_running())
            .count();
        if running >= MAX_RUNNING {
            let message = format!("{MAX_RUNNING} commands run already");
            return Err(Error::new(Code::Limit, message));
        }
        let started_at = Instant::now();
        let started = start::start(&spec, &self.env.borrow(), &self.spawner)?;
        let ended = self.reaper.expect(started.pid);
        let exec = Rc::new(Exec {
            id,
            pid: started.pid,
            started_at_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |age| age.as_millis() as u64),
            started: started_at,
            kill_grace: Duration::from_millis(spec.kill_grace_ms()),
            spool: RefCell::new(Spool::new(spec.spool_bytes(), spec.detach)),
            argv: spec.argv,
            output: Notify::new(),
            space: Notify::new(),
            stdin: started.stdin,
            terminal: started.terminal,
            is_timed_out: Cell::new(false),
            is_reaped: Cell::new(false),
            exit: RefCell::default(),
        });
        self.execs.borrow_mut().push(Rc::clone(&exec));
        let timeout = spec.timeout_ms.map(Duration::from_millis);
        let registry = Rc::clone(self);
        tokio::task::spawn_local(supervise(
            Rc::clone(&exec),
            started.sources,
            ended,
            timeout,
            move || registry.forget_surplus(),
        ));
        Ok(exec)
    }

    /// A process of the agent's own, of no concern to the host. `None`: it took too long, and was killed.
    pub async fn run_to_end(&self, argv: Vec<String>, patience: Duration) -> Result<Option<Ended>> {
        let spec = Spec::of(argv);
        let started = start::start(&spec, &BTreeMap::new(), &self.spawner)?;
        let ended = self.reaper.expect(started.pid);
        // The pipes are held, unread, until the end: whoever writes to them must not get a signal.
        if let Ok(ended) = tokio::time::timeout(patience, ended).await {
            return Ok(ended.ok());
        }
        signal_group(started.pid, libc::SIGKILL);
        Ok(None)
    }

    fn id_for(&self, spec: &Spec) -> Result<String> {
        if let Some(id) = &spec.id {
            if self.get(id).is_ok() {
                return Err(Error::new(
                    Code::AlreadyExists,
                    format!("an exec has the id {id:?}"),
                ));
            }
            return Ok(id.clone());
        }
        loop {
            self.made_ids.set(self.made_ids.get() + 1);
            let id = format!("exec-{}", self.made_ids.get());
            if self.get(&id).is_err() {
                return Ok(id);
            }
        }
    }

    fn forget_surplus(&self) {
        let mut execs = self.execs.borrow_mut();
        let ended = || execs.iter().filter(|exec| !exec.is_running());
        let mut count = ended().count();
        let mut bytes: usize = ended().map(|exec| exec.spool.borrow().held_bytes()).sum();
        execs.retain(|exec| {
            if exec.is_running() || (count <= MAX_ENDED && bytes <= MAX_ENDED_SPOOL_BYTES) {
                return true;
            }
            count -= 1;
            bytes -= exec.spool.borrow().held_bytes();
            false
        });
    }

    pub fn forget(&self, id: &str) -> Result<()> {
        if self.get(id)?.is_running() {
            return Err(Error::new(Code::Conflict, "the command still runs"));
        }
        self.execs.borrow_mut().retain(|exec| exec.id != id);
        Ok(())
    }
}
