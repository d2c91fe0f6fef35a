//! What of ext4 is ours to know: its size, and how it grows while it is in use.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Code, Context, Error, Result};

/// How long the kernel may take to hear that the host has enlarged a drive.
const GROWTH_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 1024;

// linux/fs.h: _IOR(0x12, 114, size_t).
const BLKGETSIZE64: u32 = 0x8008_1272;
// fs/ext4/ext4.h: _IOW('f', 16, __u64), the new number of blocks.
const EXT4_IOC_RESIZE_FS: u32 = 0x4008_6610;

/// A growth that can be done: nothing is left to check.
pub struct Growth {
    /// A folder of the file system, open for reading, which the request wants.
    pub mount: OwnedFd,
    pub blocks: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Ext4 {
    blocks: u64,
    block_bytes: u64,
}

impl Growth {
    /// Blocks until it is done.
    pub fn apply(self) -> Result<()> {
        // SAFETY: the request reads one u64 behind the pointer, to a live local.
        let done = unsafe {
            libc::ioctl(
                self.mount.as_raw_fd(),
                EXT4_IOC_RESIZE_FS as _,
                &raw const self.blocks,
            )
        };
        if done < 0 {
            return Err(std::io::Error::last_os_error()).context("grow the file system");
        }
        Ok(())
    }
}

impl Ext4 {
    /// From the drive: the kernel keeps the superblock of a mounted file system in the drive's page cache.
    /// statfs would not do, for it leaves out what the file system uses for itself.
    pub fn read(device: BorrowedFd<'_>) -> Result<Ext4> {
        let mut bytes = [0u8; SUPERBLOCK_BYTES];
        let count = rustix::io::pread(device, &mut bytes, SUPERBLOCK_AT)
            .context("read the drive's superblock")?;
        Ext4::parse(&bytes)
            .filter(|_| count == SUPERBLOCK_BYTES)
            .ok_or_else(|| Error::invalid("the drive has no ext4 file system"))
    }

    fn parse(bytes: &[u8; SUPERBLOCK_BYTES]) -> Option<Ext4> {
        const HAS_64_BIT: u32 = 0x80;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if bytes[0x38..0x3a] != [0x53, 0xef] {
            return None;
        }
        let high = if word(0x60) & HAS_64_BIT == 0 {
            0
        } else {
            word(0x150)
        };
        let block_bytes = 1024u64.checked_shl(word(0x18)).filter(|size| *size > 0)?;
        Some(Ext4 {
            blocks: u64::from(high) << 32 | u64::from(word(4)),
            block_bytes,
        })
    }

    /// The number of blocks that `bytes` have room for; `None` when there are as many. A smaller size is an error.
    pub fn growth_to(&self, bytes: u64) -> Result<Option<u64>> {
        let blocks = bytes / self.block_bytes;
        if blocks < self.blocks {
            let message = format!(
                "{bytes} bytes are asked for, and the file system has {} blocks of {} bytes already",
                self.blocks, self.block_bytes
            );
            return Err(Error::invalid(message));
        }
        Ok((blocks > self.blocks).then_some(blocks))
    }
}

/// By a short poll: the kernel tells of a new size only by netlink or udev, and most often it has come
/// already when the host asks.
pub async fn wait_for_size(device: &impl AsFd, bytes: u64) -> Result<()> {
    let deadline = Instant::now() + GROWTH_PATIENCE;
    loop {
        let size = device_bytes(device.as_fd())?;
        if size >= bytes {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let message = format!("the drive has {size} bytes, not {bytes}");
            return Err(Error::new(Code::Conflict, message));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub fn device_bytes(device: BorrowedFd<'_>) -> Result<u64> {
    let mut bytes = 0u64;
    // SAFETY: the request writes one u64 behind the pointer, to a live local.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), BLKGETSIZE64 as _, &raw mut bytes) };
    if done < 0 {
        return Err(std::io::Error::last_os_error()).context("size of the drive");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(blocks: u64, log_block_kib: u32, features: u32) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0u8; SUPERBLOCK_BYTES];
        bytes[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[4..8].copy_from_slice(&(blocks as u32).to_le_bytes());
        bytes[0x18..0x1c].copy_from_slice(&log_block_kib.to_le_bytes());
        bytes[0x60..0x64].copy_from_slice(&features.to_le_bytes());
        bytes[0x150..0x154].copy_from_slice(&((blocks >> 32) as u32).to_le_bytes());
        bytes
    }

    #[test]
    fn superblocks_are_read() {
        let large = Ext4::parse(&superblock(5 << 32 | 7, 2, 0x80)).unwrap();
        assert_eq!((large.blocks, large.block_bytes), (5 << 32 | 7, 4096));
        assert_eq!(
            Ext4::parse(&superblock(5 << 32 | 7, 0, 0)).unwrap().blocks,
            7
        );
        assert_eq!(Ext4::parse(&[0; SUPERBLOCK_BYTES]), None);
        assert_eq!(Ext4::parse(&superblock(1, 77, 0)), None);
    }

    #[test]
    fn a_file_system_only_grows() {
        let ext4 = Ext4 {
            blocks: 100,
            block_bytes: 4096,
        };
        assert_eq!(ext4.growth_to(200 * 4096 + 5).unwrap(), Some(200));
        assert_eq!(ext4.growth_to(100 * 4096 + 5).unwrap(), None);
        assert_eq!(
            ext4.growth_to(99 * 4096).unwrap_err().code,
            Code::InvalidArgument
        );
    }
}
