//! Starts a process: `clone(CLONE_VM | CLONE_VFORK)`, as posix_spawn does. Nothing of the agent's memory is
//! copied, so the cost does not grow with the spools, and a failure comes back through that shared memory.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::Arc;

use super::users::User;

const STACK_BYTES: usize = 64 << 10;
const LAST_SIGNAL: c_int = 64;

/// The kernel's own sigaction: handler, flags, restorer, mask. All zero is the default action. The C library's
/// function refuses signals 32 and 33, which a parent may have ignored all the same.
type KernelAction = [usize; 4];
const KERNEL_SET_BYTES: usize = 8;

/// What the child is to become. All memory is made before the clone: the child may not allocate.
pub struct Plan {
    /// Paths to try in turn, already joined with the entries of PATH.
    pub candidates: Vec<CString>,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub cwd: CString,
    /// `None`: stay who the agent is.
    pub user: Option<User>,
    /// stdin, stdout, stderr; none of them below 3.
    pub fds: [RawFd; 3],
    /// stdout is a terminal that becomes the controlling one.
    pub has_tty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Clone,
    Session,
    User,
    Cwd,
    Exec,
}

#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub stage: Stage,
    pub errno: i32,
}

/// Owns the child's stack; one spawn at a time, as the runtime has one thread.
pub struct Spawner {
    stack: RefCell<Vec<u8>>,
    altered: Altered,
}

/// Signals that the agent ignores or handles: the child sets them back.
#[derive(Clone)]
pub struct Altered(Arc<[c_int]>);

struct Job<'a> {
    plan: &'a Plan,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    altered: &'a [c_int],
    failure: Option<Failure>,
}

impl Spawner {
    /// To be made after the agent has installed its signal handlers.
    pub fn new() -> Self {
        Spawner {
            stack: RefCell::new(vec![0; STACK_BYTES]),
            altered: Altered(altered_signals().into()),
        }
    }

    pub fn spawn(&self, plan: &Plan) -> Result<libc::pid_t, Failure> {
        spawn_on(&mut self.stack.borrow_mut(), &self.altered, plan)
    }

    pub fn altered(&self) -> Altered {
        self.altered.clone()
    }
}

/// On the calling thread, which need not be the runtime's: it stands still until the child runs its program.
pub fn spawn_apart(altered: &Altered, plan: &Plan) -> Result<libc::pid_t, Failure> {
    spawn_on(&mut vec![0; STACK_BYTES], altered, plan)
}

fn spawn_on(stack: &mut [u8], altered: &Altered, plan: &Plan) -> Result<libc::pid_t, Failure> {
    let mut job = Job {
        plan,
        argv: pointers(&plan.argv),
        env: pointers(&plan.env),
        altered: &altered.0,
        failure: None,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let blocked = block_signals();
    // SAFETY: the stack is ours alone and outlives the child's use of it, for CLONE_VFORK suspends this
    // thread until the child execs or exits. `job` lives here too. `run_child` makes only system calls
    // that do not touch the state of the C library.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        let top = top.sub(top as usize % 16);
        libc::clone(run_child, top.cast(), flags, (&raw mut job).cast())
    };
    let clone_errno = last_errno();
    restore_signals(&blocked);
    if pid < 0 {
        return Err(Failure {
            stage: Stage::Clone,
            errno: clone_errno,
        });
    }
    match job.failure {
        None => Ok(pid),
        Some(failure) => {
            let mut status = 0;
            // SAFETY: a live local. The child has exited, so this returns at once: with its status, or without, if
            // the reaper on the runtime's thread was first.
            unsafe { libc::waitpid(pid, &mut status, 0) };
            Err(failure)
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn altered_signals() -> Vec<c_int> {
    (1..=LAST_SIGNAL)
        .filter(|&signal| {
            let mut action = KernelAction::default();
            // SAFETY: only reads the disposition, into a live local of the kernel's form.
            let known = unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    ptr::null::<KernelAction>(),
                    &raw mut action,
                    KERNEL_SET_BYTES,
                )
            } == 0;
            known && action[0] != libc::SIG_DFL
        })
        .collect()
}

/// A handler of the agent's must not run in the child, which shares its memory.
fn block_signals() -> libc::sigset_t {
    // SAFETY: zeroes are valid sets, and both are live locals.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut old: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
        old
    }
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: `old` was filled by pthread_sigmask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old, ptr::null_mut()) };
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

extern "C" fn run_child(argument: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its Job, and waits until this function has exec'd or exited.
    let job = unsafe { &mut *argument.cast::<Job<'_>>() };
    // SAFETY: we are the cloned child, with the memory that `become_command` needs prepared.
    let failure = unsafe { become_command(job) };
    job.failure = Some(failure);
    // SAFETY: ends this process at once, without the exit handlers of the memory that it shares.
    unsafe { libc::_exit(127) }
}

/// Returns only when something failed.
///
/// # Safety
/// Only in a child that shares the parent's memory while the parent waits: system calls only, no allocation.
unsafe fn become_command(job: &Job<'_>) -> Failure {
    let plan = job.plan;
    let failed = |stage| Failure {
        stage,
        errno: last_errno(),
    };
    // SAFETY: system calls with pointers into the Job, all of which are alive. User and group are set by raw
    // system calls, because the C library's functions would change the agent's own threads too.
    unsafe {
        for &signal in job.altered {
            let default = KernelAction::default();
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null_mut::<KernelAction>(),
                KERNEL_SET_BYTES,
            );
        }
        if libc::setsid() < 0 {
            return failed(Stage::Session);
        }
        for (target, &fd) in plan.fds.iter().enumerate() {
            if libc::dup2(fd, target as c_int) < 0 {
                return failed(Stage::Session);
            }
        }
        if plan.has_tty && libc::ioctl(1, libc::TIOCSCTTY, 0) < 0 {
            return failed(Stage::Session);
        }
        // Ours are all close-on-exec; one that the agent itself inherited may not be.
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
        if let Some(user) = &plan.user {
            let groups = user.groups.as_ptr();
            if libc::syscall(libc::SYS_setgroups, user.groups.len(), groups) < 0
                || libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) < 0
                || libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) < 0
            {
                return failed(Stage::User);
            }
        }
        if libc::chdir(plan.cwd.as_ptr()) < 0 {
            return failed(Stage::Cwd);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        let mut worst = libc::ENOENT;
        for path in &plan.candidates {
            libc::execve(path.as_ptr(), job.argv.as_ptr(), job.env.as_ptr());
            match last_errno() {
                libc::ENOENT | libc::ENOTDIR => {}
                // As execvp: a later entry of PATH may hold one that can be run.
                libc::EACCES => worst = libc::EACCES,
                other => {
                    return Failure {
                        stage: Stage::Exec,
                        errno: other,
                    };
                }
            }
        }
        Failure {
            stage: Stage::Exec,
            errno: worst,
        }
    }
}
