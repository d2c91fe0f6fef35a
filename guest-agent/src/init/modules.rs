//! Kernel modules of the initramfs.

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::console;
use crate::error::{Context, Error, Result};
use crate::files::blocking;

const LIST: &str = "/modules.list";
/// Of what a machine needs that is reached by vsock.
pub const VSOCK_LIST: &str = "/vsock.list";
/// Of what a balloon needs.
pub const BALLOON_LIST: &str = "/balloon.list";
/// Of what drives need that come later.
pub const DRIVES_LIST: &str = "/drives.list";
/// Of what a network card needs, which few machines use.
pub const CARD_LIST: &str = "/card.list";
/// Of what mounts of the host's directories need.
pub const MOUNTS_LIST: &str = "/mounts.list";
const FOLDER: &str = "/modules";

/// What is inserted when it is wanted, held by its folder: after the change of the root it has no name.
pub struct LateModules {
    folder: OwnedFd,
    names: Vec<String>,
}

impl LateModules {
    /// `None`: the kernel has them built in, or the host's kernel was fetched without them.
    pub fn hold(list: &str) -> Option<LateModules> {
        let list = fs::read_to_string(list).ok()?;
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Some(LateModules {
            folder: rustix::fs::open(FOLDER, folder, Mode::empty()).ok()?,
            names: parse_list(&list).map(str::to_owned).collect(),
        })
    }

    /// In the order of the list; one that fails is named and skipped.
    pub fn insert(&self) {
        for name in &self.names {
            let readable = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&self.folder, name.as_str(), readable, Mode::empty())
                .context(name)
                .map(File::from);
            console::check(name, file.and_then(|file| insert_file(&file)));
        }
    }

    fn keeps(&self, name: &std::ffi::OsStr) -> bool {
        self.names.iter().any(|kept| kept.as_str() == name)
    }
}

/// Late modules that wait for the first use of what they are for: a guest that has none does not pay for them.
/// None on a kernel that has them built in.
#[derive(Default)]
pub struct PendingModules(RefCell<Option<LateModules>>);

impl PendingModules {
    pub fn new(modules: Option<LateModules>) -> PendingModules {
        PendingModules(RefCell::new(modules))
    }

    pub fn are_there(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Once; later calls do nothing.
    pub async fn insert(&self) -> Result<()> {
        let modules = self.0.borrow_mut().take();
        match modules {
            Some(modules) => {
                blocking(move || {
                    modules.insert();
                    Ok(())
                })
                .await
            }
            None => Ok(()),
        }
    }
}

/// Gives the memory of what has been inserted back.
pub fn remove_inserted(kept: &[&LateModules]) {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        if !kept.iter().any(|kept| kept.keeps(&entry.file_name())) {
            let _ = fs::remove_file(entry.path());
        }
    }
    for list in [
        LIST,
        VSOCK_LIST,
        BALLOON_LIST,
        DRIVES_LIST,
        CARD_LIST,
        MOUNTS_LIST,
    ] {
        let _ = fs::remove_file(list);
    }
}

/// What every machine needs.
pub fn insert_all() {
    insert_listed(LIST);
}

/// In the order of the list. One that fails is named and skipped: what it was for fails later, with a reason.
pub fn insert_listed(list: &str) {
    // A kernel with everything built in has no list.
    let Ok(list) = fs::read_to_string(list) else {
        return;
    };
    for name in parse_list(&list) {
        console::check(name, insert(&Path::new(FOLDER).join(name)));
    }
}

fn parse_list(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn insert(path: &Path) -> Result<()> {
    insert_file(&File::open(path).context(path.display())?)
}

fn insert_file(file: &File) -> Result<()> {
    let no_parameters = CString::default();
    // SAFETY: an open descriptor and a NUL-terminated string.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_finit_module,
            file.as_raw_fd(),
            no_parameters.as_ptr(),
            0,
        )
    } != 0;
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        _ if !failed => Ok(()),
        // It is in the kernel already.
        Some(libc::EEXIST) => Ok(()),
        _ => Err(Error::io("insert", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_modules() {
        let names: Vec<_> = parse_list("# first\n virtio.ko \n\nvirtio_blk.ko\n").collect();
        assert_eq!(names, ["virtio.ko", "virtio_blk.ko"]);
    }
}
