//! Making, moving and removing.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path};

use rustix::fs::{CWD, RenameFlags};
use serde::Deserialize;
use serde_json::Value;

use super::stat;
use crate::error::{Context, Error, Result};
use crate::http::query::guest_path;

#[derive(Deserialize)]
pub struct MoveBody {
    from: String,
    to: String,
    #[serde(default)]
    overwrite: bool,
}

pub fn delete(path: &Path, is_recursive: bool) -> Result<()> {
    // Also /.. and /tmp/.. : the root by another name.
    let names_something = matches!(path.components().next_back(), Some(Component::Normal(_)));
    if !names_something {
        return Err(Error::invalid(format!("{} is not deleted", path.display())));
    }
    let metadata = fs::symlink_metadata(path).context(path.display())?;
    let result = if !metadata.is_dir() {
        fs::remove_file(path)
    } else if is_recursive {
        fs::remove_dir_all(path)
    } else {
        fs::remove_dir(path)
    };
    result.context(path.display())
}

pub fn make_dir(path: &Path, parents: bool, mode: u32) -> Result<Value> {
    if parents {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(folder.display())?;
        }
        if path.is_dir() {
            return stat::stat(path, true);
        }
    }
    fs::DirBuilder::new()
        .mode(mode)
        .create(path)
        .context(path.display())?;
    // The umask may have taken bits away.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).context(path.display())?;
    stat::stat(path, true)
}

pub fn rename(wanted: MoveBody) -> Result<()> {
    let from = guest_path(wanted.from.into_bytes())?;
    let to = guest_path(wanted.to.into_bytes())?;
    let what = format!("{} to {}", from.display(), to.display());
    if wanted.overwrite {
        return fs::rename(&from, &to).context(what);
    }
    rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE).context(what)
}
