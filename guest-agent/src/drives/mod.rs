//! Drives that come and go while the guest runs: found by their serial, mounted, grown, let go of.

mod device;
mod holders;
mod mounts;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::{Agent, Role};
use crate::error::{Code, Context, Error, Result};
use crate::ext4::{Ext4, Growth, device_bytes, wait_for_size};
use crate::files::blocking;
use crate::http::query::guest_path;
use crate::init::{LateModules, PendingModules};

use device::Device;

/// As many as the host's controller can have.
const MAX_SERIAL_BYTES: usize = 36;

/// Where the guest's own life takes place: nothing is to be mounted over it.
const RESERVED: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountBody {
    path: Option<String>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
pub struct UnmountBody {
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
pub struct GrowBody {
    bytes: u64,
}

/// One request at a time works on drives.
pub struct Drives {
    turn: tokio::sync::Mutex<()>,
    /// What a controller needs.
    modules: PendingModules,
}

impl Drives {
    pub fn new(modules: Option<LateModules>) -> Drives {
        Drives {
            turn: tokio::sync::Mutex::new(()),
            modules: PendingModules::new(modules),
        }
    }

    /// Whether the kernel has what drives need, or can get it.
    pub fn are_possible(&self, role: Role) -> bool {
        let is_there = || Path::new("/sys/bus/scsi/drivers/sd").exists();
        role == Role::Host || self.modules.are_there() || is_there()
    }
}

/// Finds the drive and, where a path is given, has its file system there, as large as the drive. Doing it again does no harm.
pub async fn attach(agent: &Rc<Agent>, serial: &str, wanted: MountBody) -> Result<Value> {
    check_serial(serial)?;
    let path = wanted.path.map(mount_path).transpose()?;
    if agent.role == Role::Host {
        return Ok(json!({ "device": "/dev/none", "sizeBytes": 0 }));
    }
    let _turn = agent.drives.turn.lock().await;
    agent.drives.modules.insert().await?;
    let device = device::wait_for(serial).await?;
    let opened = device.open()?;
    if let Some(path) = path {
        let (device, is_read_only) = (device.clone(), wanted.read_only);
        blocking(move || mount_at(&device, &path, is_read_only)).await?;
    }
    let size = device_bytes(opened.as_fd())?;
    Ok(json!({ "device": device.node, "sizeBytes": size }))
}

/// Unmounts a drive wherever it is mounted, and takes its device out. A drive that is not there is let go of already.
pub async fn let_go(agent: &Rc<Agent>, serial: &str, wanted: UnmountBody) -> Result<()> {
    check_serial(serial)?;
    if agent.role == Role::Host {
        return Ok(());
    }
    let _turn = agent.drives.turn.lock().await;
    let serial = serial.to_owned();
    blocking(move || match device::find(&serial) {
        Some(device) => {
            unmount_all(&device, wanted.force)?;
            device.remove()
        }
        None => Ok(()),
    })
    .await
}

/// Waits until the drive has `bytes`, and has its file system as large, if it is mounted.
pub async fn grow(agent: &Rc<Agent>, serial: &str, wanted: GrowBody) -> Result<()> {
    check_serial(serial)?;
    if agent.role == Role::Host {
        return Ok(());
    }
    let _turn = agent.drives.turn.lock().await;
    let device = device::find(serial)
        .ok_or_else(|| Error::new(Code::NotFound, format!("no drive has the serial {serial}")))?;
    device.rescan()?;
    let opened = device.open()?;
    wait_for_size(&opened, wanted.bytes).await?;
    blocking(move || {
        let mounted = mounts::of(&device.numbers)?;
        match mounted.iter().find(|mount| !mount.is_read_only) {
            Some(mount) => fill_device(&device, &mount.path),
            None => Ok(()),
        }
    })
    .await
}

/// At the machine's end, when no process is left.
pub fn let_go_of_all() {
    for device in device::all() {
        let released = unmount_all(&device, true);
        crate::init::console::check(&device.node, released);
    }
}

fn check_serial(serial: &str) -> Result<()> {
    let is_good = (1..=MAX_SERIAL_BYTES).contains(&serial.len())
        && serial
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if is_good {
        Ok(())
    } else {
        Err(Error::invalid("that is not the serial of a drive"))
    }
}

/// Where in the guest something may be mounted.
pub fn mount_path(text: String) -> Result<PathBuf> {
    let path = guest_path(text.into_bytes())?;
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let is_reserved = RESERVED.iter().any(|reserved| path == Path::new(reserved))
        || ["/dev", "/proc", "/sys"]
            .iter()
            .any(|reserved| path.starts_with(reserved));
    if !is_plain || path == Path::new("/") || is_reserved {
        let message = format!("nothing is mounted at {}", path.display());
        return Err(Error::invalid(message));
    }
    Ok(path)
}

fn mount_at(device: &Device, path: &Path, is_read_only: bool) -> Result<()> {
    let mounted = mounts::of(&device.numbers)?;
    if let Some(elsewhere) = mounted.first() {
        if mounted.iter().any(|mount| mount.path == path) {
            return Ok(());
        }
        let message = format!("the drive is mounted at {}", elsewhere.path.display());
        return Err(Error::new(Code::Conflict, message));
    }
    Ext4::read(device.open()?.as_fd())?;
    fs::create_dir_all(path).context(path.display())?;
    // A symlink in the way would have it mounted somewhere else, where it would be looked for in vain.
    if fs::canonicalize(path).context(path.display())? != path {
        let message = format!("{} leads somewhere else", path.display());
        return Err(Error::invalid(message));
    }
    let flags = if is_read_only {
        MountFlags::NOATIME | MountFlags::RDONLY
    } else {
        MountFlags::NOATIME
    };
    mount(&device.node, path, "ext4", flags, None)
        .map_err(|errno| explain_mount(errno, is_read_only, path))?;
    if is_read_only {
        return Ok(());
    }
    fill_device(device, path)
}

fn explain_mount(errno: rustix::io::Errno, is_read_only: bool, path: &Path) -> Error {
    if is_read_only && errno == rustix::io::Errno::ROFS {
        return Error::new(
            Code::PermissionDenied,
            "the drive was not unmounted the last time, and a read-only one cannot be put in order: attach it writable once",
        );
    }
    Error::os(
        format!("mount the drive at {}", path.display()),
        errno.raw_os_error(),
    )
}

fn fill_device(device: &Device, mount: &Path) -> Result<()> {
    let opened = device.open()?;
    let size = device_bytes(opened.as_fd())?;
    let Some(blocks) = Ext4::read(opened.as_fd())?.growth_to(size)? else {
        return Ok(());
    };
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mount = rustix::fs::open(mount, readable, Mode::empty()).context(mount.display())?;
    Growth { mount, blocks }.apply()
}

/// Those on top first. With force, what is in use is written out and cut off from its path.
fn unmount_all(device: &Device, is_forced: bool) -> Result<()> {
    for mounted in mounts::of(&device.numbers)?.iter().rev() {
        let Err(errno) = unmount(&mounted.path, UnmountFlags::NOFOLLOW) else {
            continue;
        };
        if !is_forced {
            return Err(busy(device, &mounted.path.display().to_string(), errno));
        }
        rustix::fs::sync();
        let flags = UnmountFlags::NOFOLLOW | UnmountFlags::DETACH;
        unmount(&mounted.path, flags).context(mounted.path.display())?;
    }
    let written = device.open()?;
    rustix::fs::fsync(&written).context("write the drive out")?;
    drop(written);
    match device.claim() {
        Err(errno) if !is_forced => Err(busy(device, &device.node, errno)),
        _ => Ok(()),
    }
}

fn busy(device: &Device, what: &str, errno: rustix::io::Errno) -> Error {
    if errno != rustix::io::Errno::BUSY {
        return Error::os(format!("let go of {what}"), errno.raw_os_error());
    }
    let holders = holders::of(&device.numbers);
    let who = if holders.is_empty() {
        String::from("something else, such as a mount of a container")
    } else {
        holders.join(", ")
    };
    Error::new(Code::Conflict, format!("{what} is in use by {who}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_plain_words() {
        assert!(check_serial("d-0123456789ab").is_ok());
        for bad in ["", "../sda", "a b", &"a".repeat(37), "D"] {
            assert!(check_serial(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn drives_are_mounted_at_plain_places_only() {
        for good in ["/mnt/data", "/srv", "/run/data", "/tmp/x", "/mnt/data/"] {
            assert!(mount_path(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "/",
            "//",
            "mnt",
            "/mnt/../etc",
            "/proc",
            "/proc/1",
            "/sys/x",
            "/dev/shm",
            "/run",
            "/a\0b",
            "",
        ] {
            assert!(mount_path(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
