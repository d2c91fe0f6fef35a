//! The guest agent of firebreak. As PID 1 it boots the guest and answers the host; see docs/guest-protocol.md.

// The start-up code of std opens /dev/null in place of missing standard streams and aborts if there is none.
// PID 1 of an initramfs may have neither, so `main` is C's, under the name of `start` here.
#![cfg_attr(not(test), no_main)]

mod agent;
mod archive;
mod asyncfd;
mod card;
mod channel;
mod connect;
mod drives;
mod egress;
mod error;
mod exec;
mod ext4;
mod files;
mod frame;
mod host;
mod http;
mod init;
mod keystore;
mod mounts;
mod overlay;
mod personalise;
mod reaper;
mod stats;
mod trust;

use std::ffi::{c_char, c_int};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::agent::{Agent, Role};
use crate::channel::HostEnd;
use crate::init::console;

const PORT_PATIENCE: Duration = Duration::from_secs(10);
/// Uploads, downloads and archives hold one each while they last.
const MAX_BLOCKING_THREADS: usize = 64;

const USAGE: &str = "usage: firebreak-agent serve --socket PATH [--once] | hold-memory BYTES | lend-memory FILE | digest-memory FILE | with-tap DEVICE FD -- PROGRAM... | tsc-khz | --version";

// A test build has a `main` of its own.
#[cfg_attr(not(test), unsafe(export_name = "main"))]
#[cfg_attr(test, allow(dead_code))]
pub extern "C" fn start(_argc: c_int, _argv: *const *const c_char) -> c_int {
    // SAFETY: replaces a disposition, with no handler. A write to a closed pipe is an error, not an end.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    if std::process::id() == 1 {
        run_init()
    }
    let code = run_command();
    c_int::from(code != ExitCode::SUCCESS)
}

/// PID 1. Whatever fails here is said on the console, and ends the machine rather than leave it hanging.
fn run_init() -> ! {
    std::panic::set_hook(Box::new(|panic| {
        console::say(&format!("panic: {panic}"));
        init::power_off();
    }));
    if let Err(reason) = boot_and_serve() {
        console::say(&format!("the guest cannot run: {reason}"));
    }
    init::power_off()
}

fn boot_and_serve() -> Result<(), error::Error> {
    use error::Context;
    let booted = init::boot()?;
    let transport = booted.transport;
    let port = HostEnd::control(transport, PORT_PATIENCE).context("open the port to the host")?;
    let runtime = make_runtime().context("make the runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let (agent, shutdown) =
            Agent::start(Role::Guest, booted.overlay, booted.modules).context("start the agent")?;
        egress::start(&agent.egress, HostEnd::egress(transport));
        tokio::task::spawn_local(agent::serve_port(Rc::clone(&agent), port));
        let grace = shutdown.await.unwrap_or_default();
        init::end_machine(grace, &agent).await;
        Ok(())
    })
}

fn run_command() -> ExitCode {
    console_stdio_if_missing();
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--version"] => {
            println!("firebreak-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        ["with-tap", device, fd, "--", ..] => host::tap::exec_with(device, fd),
        ["tsc-khz"] => host::tsc::print_khz(),
        ["hold-memory", size] => host::memory::hold(size),
        ["lend-memory", path] => host::memory::lend(path),
        ["digest-memory", path] => host::memory::digest(path),
        ["serve", "--socket", path] => serve(Path::new(path), false),
        ["serve", "--socket", path, "--once"] => serve(Path::new(path), true),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// A pipe of ours must never get the number of a standard stream.
fn console_stdio_if_missing() {
    use rustix::fs::{Mode, OFlags};
    use std::os::fd::{AsRawFd, IntoRawFd};
    while let Ok(fd) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        if fd.as_raw_fd() > 2 {
            return;
        }
        let _ = fd.into_raw_fd();
    }
}

fn serve(path: &Path, is_once: bool) -> ExitCode {
    let path = PathBuf::from(path);
    let result = make_runtime().and_then(|runtime| {
        LocalSet::new().block_on(&runtime, async {
            let (agent, shutdown) = Agent::start(Role::Host, None, init::Late::default())?;
            // A task of its own, so that the answer to a shutdown still goes out.
            let mut serving = tokio::task::spawn_local(async move {
                agent::serve_socket(agent, &path, is_once).await
            });
            tokio::select! {
                served = &mut serving => served.map_err(std::io::Error::other)?,
                _ = shutdown => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Ok(())
                }
            }
        })
    });
    match result {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("firebreak-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(5))
        .build()
}
