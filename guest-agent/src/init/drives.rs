//! Finds the drives by their virtio serial: the order of the device nodes means nothing.

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

pub fn find() -> Result<Drives> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let (Some(image), Some(overlay)) = (by_serial("image"), by_serial("overlay")) {
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
                "no drives with the serials image and overlay",
            ));
        }
        std::thread::sleep(PAUSE);
    }
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
    fn superblocks_are_told_by_their_magic() {
        let mut head = [0u8; 2048];
        assert_eq!(type_of(&head), None);
        head[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
        assert_eq!(type_of(&head), Some("erofs"));
        head[..4].copy_from_slice(b"hsqs");
        assert_eq!(type_of(&head), Some("squashfs"));
    }
}
