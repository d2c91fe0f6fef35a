//! The writable drive, and how it grows while it is in use.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::mount_remount;

use crate::error::{Context, Result};
use crate::ext4::{Ext4, Growth, wait_for_size};

/// Both are held open: after the change of the root the mount has no name, and what is in /dev later is the
/// guest's own affair.
pub struct OverlayDrive {
    mount: OwnedFd,
    device: OwnedFd,
}

impl OverlayDrive {
    pub fn hold(mount: &str, device: &Path) -> Result<OverlayDrive> {
        let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(OverlayDrive {
            mount: rustix::fs::open(mount, place, Mode::empty()).context("hold the overlay")?,
            device: rustix::fs::open(device, readable, Mode::empty()).context(device.display())?,
        })
    }

    pub fn make_read_only(&self) -> Result<()> {
        let path = format!("/proc/self/fd/{}", self.mount.as_raw_fd());
        mount_remount(path, rustix::mount::MountFlags::RDONLY, "").context("remount the overlay")
    }

    /// Waits until the drive has `bytes`. `None`: the file system is that large already.
    pub async fn prepare_growth(&self, bytes: u64) -> Result<Option<Growth>> {
        let ext4 = Ext4::read(self.device.as_fd())?;
        let Some(blocks) = ext4.growth_to(bytes)? else {
            return Ok(None);
        };
        wait_for_size(&self.device, bytes).await?;
        let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mount = rustix::fs::openat(&self.mount, c".", readable, Mode::empty())
            .context("open the overlay")?;
        Ok(Some(Growth { mount, blocks }))
    }
}
