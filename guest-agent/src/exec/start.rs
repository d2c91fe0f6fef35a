//! From a SPEC to a running process.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::pipe::PipeFlags;
use rustix::pty::OpenptFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::spawn::{Altered, Failure, Plan, Spawner, Stage, spawn_apart};
use super::spec::Spec;
use super::stdin::Stdin;
use super::supervise::Source;
use super::users::{self, User};
use super::winsize;
use crate::asyncfd::watch;
use crate::error::{Code, Context, Error, Result, errno_text};
use crate::files::blocking;
use crate::frame;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Fewer switches between a busy writer and the agent than with the default of 64 KiB.
const STDOUT_PIPE_BYTES: usize = 256 << 10;
/// The group `tty` of every distribution; devpts is mounted with it too.
const TTY_GID: u32 = 5;

pub struct Started {
    pub pid: libc::pid_t,
    pub sources: Vec<Source>,
    pub stdin: Stdin,
    pub terminal: Option<Rc<AsyncFd<OwnedFd>>>,
}

/// The agent's ends and the command's ends of its standard streams.
struct Streams {
    started: Started,
    child: [OwnedFd; 3],
}

/// Who a command runs as, and where.
pub struct Identity {
    user: User,
    cwd: String,
}

impl Identity {
    /// Looks at files, which may lie in a mount of the host's.
    pub fn find(wanted_user: Option<&str>, wanted_cwd: Option<&str>) -> Result<Identity> {
        let own_uid = rustix::process::geteuid().as_raw();
        let default_user = own_uid.to_string();
        let wanted = wanted_user.unwrap_or(if own_uid == 0 { "root" } else { &default_user });
        let user = users::look_up(wanted, Path::new("/etc"))?;
        let cwd = working_directory(wanted_cwd, &user);
        Ok(Identity { user, cwd })
    }
}

/// All that a command needs, but for its process.
pub struct Ready {
    plan: Plan,
    streams: Streams,
}

pub fn start(
    spec: &Spec,
    base_env: &BTreeMap<String, String>,
    spawner: &Spawner,
) -> Result<Started> {
    let identity = Identity::find(spec.user.as_deref(), spec.cwd.as_deref())?;
    let Ready { plan, streams } = Ready::prepare(spec, base_env, identity)?;
    let pid = spawner
        .spawn(&plan)
        .map_err(|failure| explain(&spec.argv[0], &plan, failure))?;
    Ok(Started {
        pid,
        ..streams.started
    })
}

/// As `start`, while the runtime's thread goes on: what the command is started from may have to ask the host.
pub async fn start_apart(
    spec: &Spec,
    base_env: &BTreeMap<String, String>,
    altered: Altered,
) -> Result<Started> {
    let (user, cwd) = (spec.user.clone(), spec.cwd.clone());
    let identity = blocking(move || Identity::find(user.as_deref(), cwd.as_deref())).await?;
    let Ready { plan, streams } = Ready::prepare(spec, base_env, identity)?;
    let Streams { started, child } = streams;
    let program = spec.argv[0].clone();
    let pid = blocking(move || {
        // The plan has their numbers.
        let _child = child;
        spawn_apart(&altered, &plan).map_err(|failure| explain(&program, &plan, failure))
    })
    .await?;
    Ok(Started { pid, ..started })
}

impl Ready {
    fn prepare(
        spec: &Spec,
        base_env: &BTreeMap<String, String>,
        Identity { user, cwd }: Identity,
    ) -> Result<Ready> {
        let own_uid = rustix::process::geteuid().as_raw();
        let env = environment(spec, &user, base_env);
        let streams = open_streams(spec, &user)?;
        // Only root can change the user, and only a test runs as anyone else.
        let changes_user = own_uid == 0 || user.uid != own_uid;
        let plan = Plan {
            candidates: candidates(&spec.argv[0], env.get("PATH").map_or(PATH, String::as_str))?,
            argv: spec
                .argv
                .iter()
                .map(|text| c_string(text))
                .collect::<Result<_>>()?,
            env: env
                .iter()
                .map(|(name, value)| c_string(&format!("{name}={value}")))
                .collect::<Result<_>>()?,
            cwd: c_string(&cwd)?,
            user: changes_user.then_some(user),
            fds: streams.child.each_ref().map(AsRawFd::as_raw_fd),
            has_tty: spec.tty.is_some(),
        };
        Ok(Ready { plan, streams })
    }
}

fn environment(
    spec: &Spec,
    user: &User,
    base_env: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    set("PATH", PATH);
    set("LANG", "C.UTF-8");
    set("HOME", &user.home);
    set("USER", &user.name);
    set("LOGNAME", &user.name);
    set("SHELL", &user.shell);
    if spec.tty.is_some() {
        set("TERM", "xterm-256color");
    }
    env.extend(base_env.clone());
    env.extend(spec.env.clone());
    env
}

fn working_directory(wanted: Option<&str>, user: &User) -> String {
    match wanted {
        Some(cwd) => cwd.to_owned(),
        // An account may name a home that nobody made.
        None if Path::new(&user.home).is_dir() => user.home.clone(),
        None => "/".to_owned(),
    }
}

fn candidates(program: &str, path: &str) -> Result<Vec<CString>> {
    if program.contains('/') {
        return Ok(vec![c_string(program)?]);
    }
    path.split(':')
        .map(|folder| match folder {
            // An empty entry is the working directory.
            "" => c_string(&format!("./{program}")),
            folder => c_string(&format!("{folder}/{program}")),
        })
        .collect()
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid("a text holds NUL"))
}

fn open_streams(spec: &Spec, user: &User) -> Result<Streams> {
    match spec.tty {
        Some(_) => open_terminal(spec, user),
        None => open_pipes(spec, user),
    }
}

fn open_pipes(spec: &Spec, user: &User) -> Result<Streams> {
    let (input, stdin) = if spec.stdin {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        give_to(&read, user);
        (read, Stdin::pipe(registered(write, Interest::WRITABLE)?))
    } else {
        (dev_null()?, Stdin::none())
    };
    let (out_read, out_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    let (err_read, err_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    // Only a wish: beyond the user's limit the pipe keeps its size.
    let _ = rustix::pipe::fcntl_setpipe_size(&out_write, STDOUT_PIPE_BYTES);
    give_to(&out_write, user);
    give_to(&err_write, user);
    let source = |fd, stream| -> Result<Source> {
        Ok(Source::new(
            Rc::new(registered(fd, Interest::READABLE)?),
            stream,
        ))
    };
    Ok(Streams {
        started: Started {
            pid: 0,
            sources: vec![
                source(out_read, frame::STDOUT)?,
                source(err_read, frame::STDERR)?,
            ],
            stdin,
            terminal: None,
        },
        child: [input, out_write, err_write],
    })
}

fn open_terminal(spec: &Spec, user: &User) -> Result<Streams> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).context("open a terminal")?;
    rustix::pty::unlockpt(&master).context("unlock a terminal")?;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).context("open a terminal")?;
    if let Some(size) = spec.tty {
        rustix::termios::tcsetwinsize(&master, winsize(size)).context("size a terminal")?;
    }
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(TTY_GID));
        let _ = rustix::fs::fchown(&slave, Some(uid), Some(gid));
        let _ = rustix::fs::fchmod(&slave, Mode::from_raw_mode(0o620));
    }
    let again = || slave.try_clone().context("open a terminal");
    let input = if spec.stdin { again()? } else { dev_null()? };
    let errors = again()?;
    let master = Rc::new(registered(master, Interest::READABLE | Interest::WRITABLE)?);
    let stdin = if spec.stdin {
        Stdin::terminal(Rc::clone(&master))
    } else {
        Stdin::none()
    };
    Ok(Streams {
        started: Started {
            pid: 0,
            sources: vec![Source::new(Rc::clone(&master), frame::STDOUT)],
            stdin,
            terminal: Some(master),
        },
        child: [input, slave, errors],
    })
}

fn dev_null() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("/dev/null")
}

/// So that the command can open /dev/stdout anew, which asks for the pipe's owner.
fn give_to(pipe: &OwnedFd, user: &User) {
    if user.uid != 0 && rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        let _ = rustix::fs::fchown(pipe, Some(uid), Some(gid));
    }
}

/// Only our end must not block; the command's end keeps what programs expect.
fn registered(fd: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&fd, true).context("set non-blocking")?;
    watch(fd, interest).context("register a descriptor")
}

fn explain(program: &str, plan: &Plan, failure: Failure) -> Error {
    let errno = failure.errno;
    let text = errno_text(errno);
    let (code, message) = match (failure.stage, errno) {
        (Stage::Exec, libc::ENOENT | libc::ENOTDIR) => (
            Code::CommandNotFound,
            format!("{program}: not found in the guest"),
        ),
        (Stage::Exec, libc::E2BIG) => (Code::TooLarge, format!("{program}: {text}")),
        (Stage::Exec, libc::ENOMEM | libc::EMFILE | libc::ENFILE) | (Stage::Clone, _) => {
            (Code::Limit, format!("cannot start {program}: {text}"))
        }
        (Stage::Exec, _) => (Code::CommandNotExecutable, format!("{program}: {text}")),
        (Stage::Cwd, _) => {
            return Error::os(
                format!("working directory {}", plan.cwd.to_string_lossy()),
                errno,
            );
        }
        (Stage::User, _) => return Error::os("change the user", errno),
        (Stage::Session, _) => (Code::Internal, format!("make a session: {text}")),
    };
    Error {
        code,
        message,
        errno: Some(errno),
    }
}
