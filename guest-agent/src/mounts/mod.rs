//! Directories and files of the host's, seen live in the guest: the kernel speaks FUSE to the agent, and the agent asks the host.

mod kernel;
mod mount;
mod nodes;
mod protocol;

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fuser::{Config, Session, SessionACL};
use h2::server::SendResponse;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::agent::Agent;
use crate::drives;
use crate::error::{Code, Context, Error, Result};
use crate::files::blocking;
use crate::http::body::{Incoming, Outgoing};
use crate::http::query::Query;
use crate::init::{LateModules, PendingModules};

use kernel::{Call, Kernel};
use mount::Mount;

const MAX_MOUNTS: usize = 32;
const MAX_ID_BYTES: usize = 64;
const DEVICE: &str = "/dev/fuse";
/// What the machine's end waits for a mount to be let go of.
const END_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Mounts {
    all: RefCell<Vec<Rc<Mount>>>,
    /// One mount is made or ended at a time.
    turn: tokio::sync::Mutex<()>,
    modules: PendingModules,
}

impl Mounts {
    pub fn new(modules: Option<LateModules>) -> Mounts {
        Mounts {
            modules: PendingModules::new(modules),
            ..Mounts::default()
        }
    }

    pub fn are_possible(&self) -> bool {
        self.modules.are_there() || Path::new("/sys/class/misc/fuse").exists()
    }

    pub fn get(&self, id: &str) -> Result<Rc<Mount>> {
        let all = self.all.borrow();
        let found = all.iter().find(|mount| mount.id == id);
        found
            .map(Rc::clone)
            .ok_or_else(|| Error::new(Code::NotFound, format!("no mount has the id {id:?}")))
    }

    pub fn to_json(&self) -> Value {
        let all = self.all.borrow();
        let mounts: Vec<Value> = all
            .iter()
            .map(|mount| {
                json!({
                    "id": mount.id,
                    "path": mount.path.to_string_lossy(),
                    "readOnly": mount.is_read_only,
                    "attached": mount.is_attached(),
                })
            })
            .collect();
        json!({ "mounts": mounts })
    }

    fn forget(&self, mount: &Rc<Mount>) {
        self.all
            .borrow_mut()
            .retain(|known| !Rc::ptr_eq(known, mount));
    }
}

/// What is to be mounted, and where.
struct Wanted {
    id: String,
    path: PathBuf,
    is_read_only: bool,
    is_file: bool,
}

impl Wanted {
    fn parse(query: &Query) -> Result<Wanted> {
        let id = query.text("id")?.unwrap_or("");
        let is_good = (1..=MAX_ID_BYTES).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_good {
            return Err(Error::invalid("that is not the id of a mount"));
        }
        let path = query.text("path")?.unwrap_or("");
        let path = drives::mount_path(path.to_owned())?;
        // The agent itself works with what is there, and would wait for itself.
        if path.starts_with("/etc") || path.starts_with("/run/firebreak") {
            let message = format!("nothing of the host's is mounted at {}", path.display());
            return Err(Error::invalid(message));
        }
        Ok(Wanted {
            id: id.to_owned(),
            path,
            is_read_only: query.flag("readOnly", true)?,
            is_file: match query.text("kind")? {
                None | Some("" | "directory") => false,
                Some("file") => true,
                Some(_) => return Err(Error::invalid("kind is neither directory nor file")),
            },
        })
    }
}

/// `POST /v1/mounts`: makes a mount, or goes on with one that is there, for as long as the request lasts.
pub async fn serve(
    agent: &Rc<Agent>,
    query: &Query,
    mut body: Incoming,
    mut respond: SendResponse<Bytes>,
) -> (SendResponse<Bytes>, Incoming, Result<()>) {
    let mount = match Wanted::parse(query) {
        Ok(wanted) => find_or_make(agent, wanted).await,
        Err(error) => Err(error),
    };
    match mount {
        Ok(mount) => {
            if let Ok(mut out) = Outgoing::start(&mut respond) {
                mount.attach(&mut body, &mut out).await;
            }
            (respond, body, Ok(()))
        }
        Err(error) => (respond, body, Err(error)),
    }
}

async fn find_or_make(agent: &Rc<Agent>, wanted: Wanted) -> Result<Rc<Mount>> {
    let _turn = agent.mounts.turn.lock().await;
    if let Ok(mount) = agent.mounts.get(&wanted.id) {
        if mount.path == wanted.path && mount.is_read_only == wanted.is_read_only {
            return Ok(mount);
        }
        let message = format!("the mount {} is at {}", mount.id, mount.path.display());
        return Err(Error::new(Code::Conflict, message));
    }
    {
        let all = agent.mounts.all.borrow();
        if all.iter().any(|mount| mount.path == wanted.path) {
            let message = format!("{} has a mount already", wanted.path.display());
            return Err(Error::new(Code::Conflict, message));
        }
        if all.len() >= MAX_MOUNTS {
            let message = format!("there are {MAX_MOUNTS} mounts already");
            return Err(Error::new(Code::Limit, message));
        }
    }
    agent.mounts.modules.insert().await?;
    // From now on a command may have to wait for this thread before it runs.
    agent.registry.spawn_apart();
    let mount = Mount::new(wanted.id.clone(), wanted.path.clone(), wanted.is_read_only);
    let (sender, calls) = unbounded_channel();
    blocking(move || make(&wanted, Kernel::new(sender))).await?;
    agent.mounts.all.borrow_mut().push(Rc::clone(&mount));
    tokio::task::spawn_local(follow(Rc::clone(agent), Rc::clone(&mount), calls));
    Ok(mount)
}

/// Takes what the kernel asks until it has let go of the mount.
async fn follow(agent: Rc<Agent>, mount: Rc<Mount>, mut calls: UnboundedReceiver<Call>) {
    while let Some(call) = calls.recv().await {
        mount.take(call);
    }
    agent.mounts.forget(&mount);
    mount.end();
}

fn make(wanted: &Wanted, kernel: Kernel) -> Result<()> {
    make_place(wanted)?;
    let path = &wanted.path;
    // A symlink in the way would have it mounted somewhere else, where it would be looked for in vain.
    if fs::canonicalize(path).context(path.display())? != *path {
        let message = format!("{} leads somewhere else", path.display());
        return Err(Error::invalid(message));
    }
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(DEVICE)
        .context(DEVICE)?;
    let device = OwnedFd::from(device);
    let kind = if wanted.is_file {
        libc::S_IFREG
    } else {
        libc::S_IFDIR
    };
    let options = format!(
        "fd={},rootmode={kind:o},user_id=0,group_id=0,allow_other",
        device.as_raw_fd()
    );
    let options = CString::new(options).map_err(|_| Error::invalid("NUL"))?;
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    if wanted.is_read_only {
        flags |= MountFlags::RDONLY;
    }
    rustix::mount::mount(
        wanted.id.as_str(),
        path,
        "fuse.firebreak",
        flags,
        options.as_c_str(),
    )
    .context(format!("mount at {}", path.display()))?;
    let begun = Session::from_fd(kernel, device, SessionACL::All, Config::default())
        .and_then(Session::spawn)
        .context("begin with the kernel");
    match begun {
        Ok(_session) => Ok(()),
        Err(error) => {
            let _ = rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            Err(error)
        }
    }
}

/// The folder or file that the mount hides.
fn make_place(wanted: &Wanted) -> Result<()> {
    let path = &wanted.path;
    if !wanted.is_file {
        return fs::create_dir_all(path).context(path.display());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).context(parent.display())?;
    }
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.map(drop).context(path.display())
}

/// Takes a mount away. What is in use is a conflict, or is cut off with force.
pub async fn unmount(agent: &Rc<Agent>, id: &str, is_forced: bool) -> Result<()> {
    let _turn = agent.mounts.turn.lock().await;
    let mount = agent.mounts.get(id)?;
    if is_forced {
        mount.refuse();
    }
    let path = mount.path.clone();
    blocking(move || take_away(&path, is_forced)).await?;
    agent.mounts.forget(&mount);
    Ok(())
}

fn take_away(path: &Path, is_forced: bool) -> Result<()> {
    let flags = if is_forced {
        UnmountFlags::NOFOLLOW | UnmountFlags::DETACH | UnmountFlags::FORCE
    } else {
        UnmountFlags::NOFOLLOW
    };
    match rustix::mount::unmount(path, flags) {
        Ok(()) => Ok(()),
        // Somebody in the guest was first.
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(Errno::BUSY) => {
            let message = format!("{} is in use", path.display());
            Err(Error::new(Code::Conflict, message))
        }
        Err(errno) => Err(Error::os(
            format!("unmount {}", path.display()),
            errno.raw_os_error(),
        )),
    }
}

/// At the machine's end, when no process is left; the newest first, which may lie in an older one.
pub async fn let_go_of_all(agent: &Agent) {
    let all: Vec<Rc<Mount>> = agent.mounts.all.borrow().clone();
    for mount in all.into_iter().rev() {
        for is_forced in [false, true] {
            if is_forced {
                mount.refuse();
            }
            let path = mount.path.clone();
            let work = blocking(move || take_away(&path, is_forced));
            if let Ok(Ok(())) = tokio::time::timeout(END_PATIENCE, work).await {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Wanted> {
        Wanted::parse(&Query::parse(query))
    }

    #[test]
    fn a_mount_has_an_id_and_a_place() {
        let wanted = parse("id=m-1&path=%2Fmnt%2Fdata").unwrap();
        assert_eq!(wanted.path, Path::new("/mnt/data"));
        assert!(wanted.is_read_only && !wanted.is_file);
        let wanted = parse("id=m&path=/srv/f&readOnly=false&kind=file").unwrap();
        assert!(!wanted.is_read_only && wanted.is_file);
    }

    #[test]
    fn anything_else_is_refused() {
        for query in [
            "path=/mnt/data",
            "id=&path=/mnt/data",
            "id=a/b&path=/mnt/data",
            "id=a",
            "id=a&path=mnt",
            "id=a&path=/",
            "id=a&path=/proc/1",
            "id=a&path=/mnt/../etc",
            "id=a&path=/etc",
            "id=a&path=/etc/ssl",
            "id=a&path=/run/firebreak/x",
            "id=a&path=/mnt/a%00b",
            "id=a&path=/mnt&kind=socket",
            "id=a&path=/mnt&readOnly=maybe",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_makes_it_panic(text in ".{0,300}") {
            let _ = parse(&text);
        }
    }
}
