//! Makes a restored clone its own: identity, clock, randomness and environment.

mod boot_id;
mod new_machine;

use std::fs;
use std::io::Write;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::agent::{Agent, Role};
use crate::egress::Egress;
use crate::error::{Context, Error, Result};
use crate::exec::spec::check_env_names;
use crate::files::blocking;
use crate::http::routes::PersonaliseBody;
use crate::overlay::OverlayDrive;
use crate::trust;

const MIN_ENTROPY_BYTES: usize = 32;
const MAX_ENTROPY_BYTES: usize = 4096;
const MAX_HOSTNAME_BYTES: usize = 64;

// linux/random.h: _IOW('R', 0x03, int[2]) and _IO('R', 0x07).
const RNDADDENTROPY: u32 = 0x4008_5203;
const RNDRESEEDCRNG: u32 = 0x5207;

/// The latest time that the kernel's clock takes, roughly: year 2223.
const MAX_CLOCK_SECONDS: u64 = 8_000_000_000;

/// Everything is checked before anything is changed. Every start of a VM waits for this: no process is started
/// and nothing synced unless it must be.
pub async fn apply(agent: &Rc<Agent>, body: PersonaliseBody) -> Result<()> {
    let entropy = body
        .entropy_base64
        .as_deref()
        .map(decode_entropy)
        .transpose()?;
    check_env_names(body.env.keys())?;
    if body.env.values().any(|value| value.contains('\0')) {
        return Err(Error::invalid("env cannot hold NUL"));
    }
    if let Some(name) = &body.hostname {
        check_hostname(name)?;
    }
    if let Some(id) = &body.machine_id {
        check_machine_id(id)?;
    }
    if let Some(id) = &body.boot_id {
        boot_id::check(id)?;
    }
    if body
        .wall_clock_ms
        .is_some_and(|millis| millis / 1000 > MAX_CLOCK_SECONDS)
    {
        return Err(Error::invalid("wallClockMs is too large"));
    }
    if body.overlay_bytes == Some(0) {
        return Err(Error::invalid("overlayBytes is 0"));
    }
    if let Some(network) = &body.network {
        Egress::check(network)?;
    }
    if let Some(pem) = &body.trust {
        trust::check(pem)?;
    }
    if agent.role == Role::Guest {
        let growth = match body.overlay_bytes {
            Some(bytes) => overlay_of(agent)?.prepare_growth(bytes).await?,
            None => None,
        };
        // Randomness first: everything after may want it.
        if let Some(entropy) = entropy {
            add_entropy(&entropy)?;
        }
        if let Some(millis) = body.wall_clock_ms {
            set_clock(millis)?;
        }
        if let Some(name) = &body.hostname {
            set_hostname(name)?;
        }
        if let Some(id) = &body.machine_id {
            write_in_place("/etc/machine-id", &format!("{id}\n"))?;
        }
        if let Some(id) = &body.boot_id {
            boot_id::set(id)?;
        }
        if let Some(growth) = growth {
            blocking(|| growth.apply()).await?;
        }
        if let Some(pem) = body.trust {
            blocking(move || trust::install(&pem)).await?;
        }
        // Last of these: keys are made with the new randomness and name, and take room on the drive.
        if body.is_new_machine {
            new_machine::renew(&agent.registry).await?;
        }
    }
    if let Some(network) = body.network {
        agent.set_network(network).await?;
    }
    agent.registry.add_env(body.env);
    Ok(())
}

fn overlay_of(agent: &Agent) -> Result<&OverlayDrive> {
    agent
        .overlay
        .as_ref()
        .ok_or_else(|| Error::invalid("the guest has no writable drive"))
}

fn decode_entropy(text: &str) -> Result<Vec<u8>> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| Error::invalid(format!("entropyBase64: {error}")))?;
    if !(MIN_ENTROPY_BYTES..=MAX_ENTROPY_BYTES).contains(&bytes.len()) {
        return Err(Error::invalid(
            "entropyBase64 holds less than 32 bytes or more than 4096",
        ));
    }
    Ok(bytes)
}

fn check_hostname(name: &str) -> Result<()> {
    let is_good = (1..=MAX_HOSTNAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_good {
        Ok(())
    } else {
        Err(Error::invalid("hostname is not a host name"))
    }
}

fn check_machine_id(id: &str) -> Result<()> {
    let is_good = id.len() == 32
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_good {
        Ok(())
    } else {
        Err(Error::invalid("machineId is not 32 lower-case hex digits"))
    }
}

/// Mixes the host's bytes into the kernel's pool and makes its generator use them at once.
fn add_entropy(bytes: &[u8]) -> Result<()> {
    let device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/urandom")
        .context("/dev/urandom")?;
    // struct rand_pool_info: bits to credit, bytes that follow, then the bytes, in whole words.
    let mut info: Vec<libc::c_int> =
        vec![bytes.len() as libc::c_int * 8, bytes.len() as libc::c_int];
    for word in bytes.chunks(4) {
        let mut padded = [0u8; 4];
        padded[..word.len()].copy_from_slice(word);
        info.push(libc::c_int::from_ne_bytes(padded));
    }
    use std::os::fd::AsRawFd;
    // SAFETY: `info` is a rand_pool_info whose buf_size does not exceed the bytes that follow it.
    if unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY as _, info.as_ptr()) } < 0 {
        return Err(std::io::Error::last_os_error()).context("RNDADDENTROPY");
    }
    // SAFETY: the request takes no argument.
    if unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG as _) } < 0 {
        return Err(std::io::Error::last_os_error()).context("RNDRESEEDCRNG");
    }
    Ok(())
}

fn set_clock(millis: u64) -> Result<()> {
    let time = rustix::time::Timespec {
        tv_sec: i64::try_from(millis / 1000)
            .map_err(|_| Error::invalid("wallClockMs is too large"))?,
        tv_nsec: (millis % 1000) as i64 * 1_000_000,
    };
    rustix::time::clock_settime(rustix::time::ClockId::Realtime, time).context("set the clock")
}

fn set_hostname(name: &str) -> Result<()> {
    let old = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    rustix::system::sethostname(name.as_bytes()).context("set the host name")?;
    write_in_place("/etc/hostname", &format!("{name}\n"))?;
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    match hosts_with(name, &old, &hosts) {
        Some(hosts) => write_in_place("/etc/hosts", &hosts),
        None => Ok(()),
    }
}

/// Programs look up their own name; without a line in /etc/hosts that would be a DNS request. The line of the
/// name before goes: it is another machine's now. `None`: there is a line already.
fn hosts_with(name: &str, old: &str, hosts: &str) -> Option<String> {
    let knows = hosts
        .lines()
        .any(|line| line.split_whitespace().skip(1).any(|word| word == name));
    if knows {
        return None;
    }
    let rest: String = hosts
        .split_inclusive('\n')
        .filter(|line| !line.split_whitespace().eq(["127.0.1.1", old]))
        .collect();
    Some(format!("127.0.1.1 {name}\n{rest}"))
}

/// Over the old bytes, not by truncation: ext4 writes a file that was truncated to the disk when it is closed,
/// which takes an emulated guest some 20 ms.
fn write_in_place(path: &str, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .context(path)?;
    file.write_all(text.as_bytes()).context(path)?;
    let size = text.len() as u64;
    if file.metadata().context(path)?.len() != size {
        file.set_len(size).context(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_names_the_machine_once_and_not_its_template() {
        let template = "127.0.0.1 localhost\n127.0.1.1 template\n127.0.1.1 template other\n";
        let fork = hosts_with("fork", "template", template).unwrap();
        let want = "127.0.1.1 fork\n127.0.0.1 localhost\n127.0.1.1 template other\n";
        assert_eq!(fork, want);
        assert_eq!(hosts_with("fork", "fork", &fork), None);
        assert_eq!(hosts_with("localhost", "fork", &fork), None);
        assert_eq!(hosts_with("one", "", "").unwrap(), "127.0.1.1 one\n");
    }

    #[test]
    fn a_file_written_in_place_holds_nothing_of_the_old() {
        let path = std::env::temp_dir().join(format!("firebreak-place-{}", std::process::id()));
        let path = path.to_str().unwrap();
        for text in ["first and long\n", "x\n", "longer\n"] {
            write_in_place(path, text).unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn names_and_entropy_are_checked() {
        assert!(check_hostname("box-1.local").is_ok());
        assert!(check_hostname("").is_err());
        assert!(check_hostname("a b").is_err());
        assert!(check_machine_id(&"a".repeat(32)).is_ok());
        assert!(check_machine_id(&"A".repeat(32)).is_err());
        assert!(decode_entropy(&STANDARD.encode([1u8; 31])).is_err());
        assert_eq!(
            decode_entropy(&STANDARD.encode([1u8; 32])).unwrap().len(),
            32
        );
    }
}
