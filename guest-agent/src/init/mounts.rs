//! From the initramfs into the image with its writable overlay.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_move};

use super::console;
use super::drives::Drives;
use super::modules::{LateModules, remove_inserted};
use crate::error::{Context, Result};
use crate::overlay::OverlayDrive;

const IMAGE: &str = "/mnt/image";
const OVERLAY: &str = "/mnt/overlay";
const NEW_ROOT: &str = "/mnt/root";
/// The drive is a file of the host's that begins as a hole: its inode tables read as zeroes. A thread that zeroes them once more would
/// do so in each fork of a template anew, beside whatever is run there.
const OVERLAY_OPTIONS: &CStr = c"noinit_itable";

pub fn mount_kernel_file_systems() -> Result<()> {
    mount_at("proc", "/proc", "proc", plain(), c"")?;
    mount_at("sysfs", "/sys", "sysfs", plain(), c"")?;
    mount_at(
        "devtmpfs",
        "/dev",
        "devtmpfs",
        MountFlags::NOSUID,
        c"mode=755",
    )
}

fn plain() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
}

fn mount_at(
    source: &str,
    target: &str,
    kind: &str,
    flags: MountFlags,
    options: &CStr,
) -> Result<()> {
    fs::create_dir_all(target).context(target)?;
    mount(source, target, kind, flags, options).context(format!("mount {target}"))
}

/// Mounts the drives, and makes the two of them the root. The initramfs cannot be pivoted away, so the new
/// root is moved over it and the old files are removed first, to give their memory back.
pub fn enter_root(drives: &Drives, modules: &[&LateModules]) -> Result<OverlayDrive> {
    for folder in [IMAGE, OVERLAY, NEW_ROOT] {
        fs::create_dir_all(folder).context(folder)?;
    }
    mount(
        &drives.image,
        IMAGE,
        drives.image_type,
        MountFlags::RDONLY,
        None,
    )
    .context("mount the image")?;
    mount(
        &drives.overlay,
        OVERLAY,
        "ext4",
        MountFlags::NOATIME,
        OVERLAY_OPTIONS,
    )
    .context("mount the overlay")?;
    for folder in ["upper", "work"] {
        let path = Path::new(OVERLAY).join(folder);
        fs::create_dir_all(&path).context(path.display())?;
    }
    // redirect_dir: without it a directory of the image could not be renamed.
    let options = c"lowerdir=/mnt/image,upperdir=/mnt/overlay/upper,workdir=/mnt/overlay/work,redirect_dir=on";
    mount("overlay", NEW_ROOT, "overlay", MountFlags::NOATIME, options)
        .context("mount the root")?;
    let held = OverlayDrive::hold(OVERLAY, &drives.overlay)?;
    for name in ["dev", "proc", "sys"] {
        let target = format!("{NEW_ROOT}/{name}");
        fs::create_dir_all(&target).context(&target)?;
        mount_move(format!("/{name}"), &target).context(format!("move /{name}"))?;
    }
    remove_inserted(modules);
    let _ = fs::remove_file("/init");
    rustix::process::chdir(NEW_ROOT).context("enter the root")?;
    mount_move(".", "/").context("move the root")?;
    rustix::process::chroot(".").context("enter the root")?;
    rustix::process::chdir("/").context("enter the root")?;
    Ok(held)
}

/// What a program expects besides. A guest without one of these is still of use.
pub fn mount_system_file_systems() {
    let no_suid = MountFlags::NOSUID | MountFlags::NODEV;
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    let all = [
        mount_at(
            "devpts",
            "/dev/pts",
            "devpts",
            quiet,
            c"gid=5,mode=620,ptmxmode=666",
        ),
        mount_at("tmpfs", "/dev/shm", "tmpfs", no_suid, c"mode=1777"),
        mount_at("tmpfs", "/run", "tmpfs", no_suid, c"mode=755"),
        mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", plain(), c""),
    ];
    for result in all {
        console::check("mount", result);
    }
    console::check("/run/lock", fs::create_dir_all("/run/lock"));
    for (target, link) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        if fs::symlink_metadata(link).is_err() {
            console::check(link, symlink(target, link));
        }
    }
    make_tmp();
}

/// On the overlay, not in memory: what is written there may be large.
fn make_tmp() {
    use std::os::unix::fs::PermissionsExt;
    console::check("/tmp", fs::create_dir_all("/tmp"));
    let is_shared =
        fs::metadata("/tmp").is_ok_and(|metadata| metadata.permissions().mode() & 0o7777 == 0o1777);
    if !is_shared {
        console::check(
            "/tmp",
            fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)),
        );
    }
}
