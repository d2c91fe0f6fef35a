//! Kernel modules of the initramfs.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::console;
use crate::error::{Context, Error, Result};

const LIST: &str = "/modules.list";
const FOLDER: &str = "/modules";

/// In the order of the list. One that fails is named and skipped: what it was for fails later, with a reason.
pub fn insert_all() {
    // A kernel with everything built in has no list.
    let Ok(list) = fs::read_to_string(LIST) else {
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
    let file = File::open(path).context(path.display())?;
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
