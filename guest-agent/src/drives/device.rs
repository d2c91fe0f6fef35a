//! Devices of the controller that drives come by.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::time::Instant;

use crate::error::{Code, Context, Error, Result};

/// How long a drive may take to come after the host has plugged it in.
const PATIENCE: Duration = Duration::from_secs(10);
/// From then on the controller is asked to look again: the word that a drive has come may have been lost.
const RESCAN_AFTER: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(2);

const BLOCK: &str = "/sys/block";
const HOSTS: &str = "/sys/class/scsi_host";

#[derive(Clone)]
pub struct Device {
    /// Such as `/dev/sda`.
    pub node: String,
    folder: PathBuf,
    /// `MAJOR:MINOR` of the disk and its partitions.
    pub numbers: Vec<String>,
}

pub async fn wait_for(serial: &str) -> Result<Device> {
    let started = Instant::now();
    let mut has_rescanned = false;
    loop {
        if let Some(device) = find(serial).filter(Device::is_ready) {
            return Ok(device);
        }
        let waited = started.elapsed();
        if waited >= PATIENCE {
            let message = format!("no drive with the serial {serial} has come");
            return Err(Error::new(Code::NotFound, message));
        }
        if waited >= RESCAN_AFTER && !has_rescanned {
            has_rescanned = true;
            rescan_hosts();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub fn find(serial: &str) -> Option<Device> {
    all()
        .into_iter()
        .find(|device| device.serial().as_deref() == Some(serial))
}

pub fn all() -> Vec<Device> {
    let Ok(entries) = fs::read_dir(BLOCK) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("sd"))
        .filter_map(|name| Device::read(&name))
        .collect()
}

fn rescan_hosts() {
    for host in fs::read_dir(HOSTS).into_iter().flatten().flatten() {
        // What cannot be asked is not heard of, which the wait tells.
        let _ = fs::write(host.path().join("scan"), "- - -");
    }
}

impl Device {
    fn read(name: &str) -> Option<Device> {
        let folder = Path::new(BLOCK).join(name);
        let mut numbers = vec![number_in(&folder)?];
        for part in fs::read_dir(&folder).ok()?.flatten() {
            if part.path().join("partition").exists() {
                numbers.extend(number_in(&part.path()));
            }
        }
        Some(Device {
            node: format!("/dev/{name}"),
            folder,
            numbers,
        })
    }

    /// Page 0x80 of a SCSI device: four bytes, then its serial.
    fn serial(&self) -> Option<String> {
        let page = fs::read(self.folder.join("device/vpd_pg80")).ok()?;
        let text = std::str::from_utf8(page.get(4..)?).ok()?;
        Some(text.trim_matches(['\0', ' ']).to_owned())
    }

    /// It has a name in /sys a moment before it can be opened. What else is wrong with it is for whoever opens it to tell.
    fn is_ready(&self) -> bool {
        use rustix::io::Errno;
        let readable = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.node, readable, Mode::empty());
        !matches!(
            opened,
            Err(Errno::NXIO | Errno::NODEV | Errno::NOENT | Errno::NOMEDIUM)
        )
    }

    pub fn open(&self) -> Result<OwnedFd> {
        let readable = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(&self.node, readable, Mode::empty()).context(&self.node)
    }

    /// Fails with BUSY when something in the kernel has the device, in whatever namespace.
    pub fn claim(&self) -> rustix::io::Result<()> {
        let exclusive = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(&self.node, exclusive, Mode::empty()).map(drop)
    }

    pub fn rescan(&self) -> Result<()> {
        fs::write(self.folder.join("device/rescan"), "1").context("rescan the drive")
    }

    /// The kernel forgets it, before the host takes it away.
    pub fn remove(&self) -> Result<()> {
        fs::write(self.folder.join("device/delete"), "1").context("take the drive out")
    }
}

fn number_in(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("dev")).ok()?;
    Some(text.trim().to_owned())
}
