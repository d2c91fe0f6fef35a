//! The boot id, by which programs tell one run of a machine from another. The kernel makes it once and lets
//! nobody set it, so that of a clone is mounted over.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use crate::error::{Context, Error, Result};

const KERNELS: &str = "/proc/sys/kernel/random/boot_id";
const FOLDER: &str = "/run/firebreak";
const FILE: &str = "/run/firebreak/boot_id";

pub fn check(id: &str) -> Result<()> {
    let is_good = id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if is_good {
        Ok(())
    } else {
        Err(Error::invalid("bootId is not a lower-case UUID"))
    }
}

pub fn set(id: &str) -> Result<()> {
    fs::create_dir_all(FOLDER).context(FOLDER)?;
    // Not truncated: the length is always the same, so that no reader ever sees half an id.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o444)
        .open(FILE)
        .context(FILE)?;
    file.write_all(format!("{id}\n").as_bytes()).context(FILE)?;
    let own = file.metadata().context(FILE)?;
    let shown = fs::metadata(KERNELS).context(KERNELS)?;
    if (own.dev(), own.ino()) == (shown.dev(), shown.ino()) {
        return Ok(());
    }
    rustix::mount::mount_bind(FILE, KERNELS).context(format!("mount {KERNELS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_in_lower_case_is_one() {
        assert!(check("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9").is_ok());
        for bad in [
            "",
            "0A1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "0a1b2c3d4e5f-6071-8293-a4b5c6d7e8f9-",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9\n",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
