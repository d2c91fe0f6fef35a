//! Finds the drives by their virtio serial: the order of the device nodes means nothing, unless the VMM says that it does.
//! Firecracker gives drives no serials of the host's choosing, but has its devices in the order in which they were configured.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Code, Context, Error, Result};

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

pub struct Drives {
    pub image: PathBuf,
    pub image_type: &'static str,
    pub overlay: PathBuf,
}

/// Of the kernel's command line: the drives' names in the order of their device nodes, as in `firebreak.drives=image,overlay`.
const ORDER_WORD: &str = "firebreak.drives=";

pub fn find(command_line: &str) -> Result<Drives> {
    let order = order_of(command_line);
    let find_one = |name: &str| match &order {
        Some(names) => by_order(names, name),
        None => by_serial(name),
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let (Some(image), Some(overlay)) = (find_one("image"), find_one("overlay")) {
            let image_type = superblock_type(&image)?;
            return Ok(Drives {
                image,
                image_type,
                overlay,
            });
        }
        if Instant::now() >= deadline {
            return Err(Error::new(
                Code::NotFound,
                "no drives image and overlay, by serial or by firebreak.drives=",
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

fn order_of(command_line: &str) -> Option<Vec<&str>> {
    let names = command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(ORDER_WORD))?;
    Some(names.split(',').collect())
}

fn by_order(names: &[&str], wanted: &str) -> Option<PathBuf> {
    let index = names.iter().position(|name| *name == wanted)?;
    let letter = char::from(b'a'.checked_add(u8::try_from(index).ok()?)?);
    let device = PathBuf::from(format!("/dev/vd{letter}"));
    device.exists().then_some(device)
}

fn by_serial(wanted: &str) -> Option<PathBuf> {
    for entry in fs::read_dir("/sys/block").ok()?.flatten() {
        let name = entry.file_name();
        let is_virtio = name.as_encoded_bytes().starts_with(b"vd");
        let serial = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
        let device = Path::new("/dev").join(&name);
        if is_virtio && serial.trim_end_matches(['\n', '\0']) == wanted && device.exists() {
            return Some(device);
        }
    }
    None
}

fn superblock_type(device: &Path) -> Result<&'static str> {
    let mut head = [0u8; 2048];
    let mut file = File::open(device).context(device.display())?;
    file.read_exact(&mut head).context(device.display())?;
    type_of(&head).ok_or_else(|| Error::invalid("the image is neither squashfs nor erofs"))
}

fn type_of(head: &[u8; 2048]) -> Option<&'static str> {
    if head.starts_with(b"hsqs") {
        Some("squashfs")
    } else if head[1024..1028] == 0xE0F5_E1E2u32.to_le_bytes() {
        Some("erofs")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_drives_is_a_word_of_the_command_line() {
        let order = order_of("quiet firebreak.drives=image,overlay panic=-1\n");
        assert_eq!(order, Some(vec!["image", "overlay"]));
        assert_eq!(order_of("console=hvc0 xfirebreak.drives=image"), None);
    }

    #[test]
    fn superblocks_are_told_by_their_magic() {
        let mut head = [0u8; 2048];
        assert_eq!(type_of(&head), None);
        head[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
        assert_eq!(type_of(&head), Some("erofs"));
        head[..4].copy_from_slice(b"hsqs");
        assert_eq!(type_of(&head), Some("squashfs"));
    }
}
