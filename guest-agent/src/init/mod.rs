//! The duties of PID 1: from the initramfs to a system that a command finds normal, and back.

pub mod console;
mod drives;
pub mod interface;
mod modules;
mod mounts;
pub mod network;
mod shutdown;

use std::fs;

pub use modules::{LateModules, PendingModules};
pub use shutdown::{end_machine, power_off};

use crate::channel::Transport;
use crate::error::Result;
use crate::overlay::OverlayDrive;

/// The kernel's own word that mounting is not wanted: the host only wants to hear the greeting.
const PROBE_WORD: &str = "firebreak.probe";
/// And that the machine has a balloon.
const BALLOON_WORD: &str = "firebreak.balloon";

pub struct Booted {
    /// How the host is reached.
    pub transport: Transport,
    /// The writable drive; none for a probe.
    pub overlay: Option<OverlayDrive>,
    pub modules: Late,
}

/// What is inserted into the kernel with the first use of it.
#[derive(Default)]
pub struct Late {
    pub drives: Option<LateModules>,
    pub card: Option<LateModules>,
    pub mounts: Option<LateModules>,
}

/// In order; the first failure ends the boot.
pub fn boot() -> Result<Booted> {
    mounts::mount_kernel_file_systems()?;
    console::open_stdio();
    modules::insert_all();
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let transport = Transport::of(&command_line);
    if transport == Transport::Vsock {
        modules::insert_listed(modules::VSOCK_LIST);
    }
    if has_word(&command_line, BALLOON_WORD) {
        modules::insert_listed(modules::BALLOON_LIST);
    }
    console::open_stdio();
    if has_word(&command_line, PROBE_WORD) {
        return Ok(Booted {
            transport,
            overlay: None,
            modules: Late::default(),
        });
    }
    let drives = drives::find(&command_line)?;
    let modules = Late {
        drives: LateModules::hold(modules::DRIVES_LIST),
        card: LateModules::hold(modules::CARD_LIST),
        mounts: LateModules::hold(modules::MOUNTS_LIST),
    };
    let kept: Vec<_> = modules
        .drives
        .iter()
        .chain(&modules.card)
        .chain(&modules.mounts)
        .collect();
    let overlay = mounts::enter_root(&drives, &kept)?;
    mounts::mount_system_file_systems();
    network::bring_up_loopback();
    name_machine();
    raise_limits();
    set_environment();
    console::say(concat!("version ", env!("CARGO_PKG_VERSION"), " is ready"));
    Ok(Booted {
        transport,
        overlay: Some(overlay),
        modules,
    })
}

fn has_word(command_line: &str, wanted: &str) -> bool {
    command_line.split_whitespace().any(|word| word == wanted)
}

fn name_machine() {
    let named = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = match named.trim() {
        "" => "firebreak",
        name => name,
    };
    console::check("host name", rustix::system::sethostname(name.as_bytes()));
    if !fs::exists("/etc/hosts").unwrap_or(false) {
        let text = format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n");
        console::check("/etc/hosts", fs::write("/etc/hosts", text));
    }
}

/// The kernel's default of 1024 files is too few for many programs; commands inherit this.
fn raise_limits() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let files = Rlimit {
        current: Some(1 << 16),
        maximum: Some(1 << 20),
    };
    console::check("file limit", setrlimit(Resource::Nofile, files));
}

fn set_environment() {
    for (name, _) in std::env::vars_os() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LANG", "C.UTF-8"),
        ("HOME", "/root"),
    ] {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var(name, value) };
    }
}
