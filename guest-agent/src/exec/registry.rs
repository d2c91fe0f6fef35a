//! All commands of this guest, running and ended, oldest first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

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
    /// Commands are started by threads of their own.
    spawns_apart: Cell<bool>,
    /// Ids of those that are being started that way.
    starting: RefCell<Vec<String>>,
}

impl Registry {
    pub fn new(reaper: Rc<Reaper>) -> Rc<Self> {
        Rc::new(Registry {
            execs: RefCell::default(),
            env: RefCell::default(),
            reaper,
            spawner: Spawner::new(),
            made_ids: Cell::new(0),
            spawns_apart: Cell::new(false),
            starting: RefCell::default(),
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

    /// From now on what a command is started from may lie in a mount, for which this thread has to go on. It takes longer.
    pub fn spawn_apart(&self) {
        self.spawns_apart.set(true);
    }

    pub async fn start(self: &Rc<Self>, spec: Spec) -> Result<Rc<Exec>> {
        let id = self.id_for(&spec)?;
        self.check_room()?;
        if !self.spawns_apart.get() {
            return self.start_here(id, spec);
        }
        // A host that goes away meanwhile does not call it off: it is a command, or it is not.
        let own = Rc::clone(self);
        let starting = tokio::task::spawn_local(async move { own.start_apart(id, spec).await });
        starting
            .await
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?
    }

    /// No await from the spawn to the reaper's entry, see `Reaper`.
    fn start_here(self: &Rc<Self>, id: String, spec: Spec) -> Result<Rc<Exec>> {
        let started_at = Instant::now();
        let started = start::start(&spec, &self.env.borrow(), &self.spawner)?;
        let ended = self.reaper.expect(started.pid);
        Ok(self.keep(id, spec, started_at, started, ended))
    }

    async fn start_apart(self: &Rc<Self>, id: String, spec: Spec) -> Result<Rc<Exec>> {
        let started_at = Instant::now();
        let env = self.env.borrow().clone();
        self.starting.borrow_mut().push(id.clone());
        let spawning = self.reaper.begin_spawn();
        let started = start::start_apart(&spec, &env, self.spawner.altered()).await;
        self.starting.borrow_mut().retain(|known| *known != id);
        let started = started?;
        let ended = self.reaper.expect(started.pid);
        drop(spawning);
        Ok(self.keep(id, spec, started_at, started, ended))
    }

    fn check_room(&self) -> Result<()> {
        let execs = self.execs.borrow();
        let running = execs.iter().filter(|exec| exec.is_running()).count();
        if running + self.starting.borrow().len() < MAX_RUNNING {
            return Ok(());
        }
        let message = format!("{MAX_RUNNING} commands run already");
        Err(Error::new(Code::Limit, message))
    }

    fn keep(
        self: &Rc<Self>,
        id: String,
        spec: Spec,
        started_at: Instant,
        started: start::Started,
        ended: oneshot::Receiver<Ended>,
    ) -> Rc<Exec> {
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
        exec
    }

    /// A process of the agent's own, of no concern to the host. `None`: it took too long, and was killed.
    pub async fn run_to_end(&self, argv: Vec<String>, patience: Duration) -> Result<Option<Ended>> {
        let spec = Spec::of(argv);
        let (started, ended) = if self.spawns_apart.get() {
            let spawning = self.reaper.begin_spawn();
            let started =
                start::start_apart(&spec, &BTreeMap::new(), self.spawner.altered()).await?;
            let ended = self.reaper.expect(started.pid);
            drop(spawning);
            (started, ended)
        } else {
            let started = start::start(&spec, &BTreeMap::new(), &self.spawner)?;
            let ended = self.reaper.expect(started.pid);
            (started, ended)
        };
        // The pipes are held, unread, until the end: whoever writes to them must not get a signal.
        if let Ok(ended) = tokio::time::timeout(patience, ended).await {
            return Ok(ended.ok());
        }
        signal_group(started.pid, libc::SIGKILL);
        Ok(None)
    }

    fn id_for(&self, spec: &Spec) -> Result<String> {
        if let Some(id) = &spec.id {
            if self.get(id).is_ok() || self.is_starting(id) {
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
            if self.get(&id).is_err() && !self.is_starting(&id) {
                return Ok(id);
            }
        }
    }

    fn is_starting(&self, id: &str) -> bool {
        self.starting.borrow().iter().any(|known| known == id)
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
