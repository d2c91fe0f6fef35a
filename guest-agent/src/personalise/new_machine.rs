//! What two machines may not have in common, though a fork starts with all of its template's files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Context, Result};
use crate::exec::registry::Registry;
use crate::init::console;

const SSH: &str = "/etc/ssh";
const KEY_PREFIX: &str = "ssh_host_";
const KEY_SUFFIX: &str = "_key";
/// Even an RSA key, in an emulated guest on a busy host.
const KEY_PATIENCE: Duration = Duration::from_secs(30);

/// Where init systems keep random bytes from one boot for the next.
const SEEDS: &[&str] = &[
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/random-seed",
    "/var/lib/misc/random-seed",
    "/var/lib/seedrng/seed.credit",
    "/var/lib/seedrng/seed.no-credit",
];

pub async fn renew(registry: &Registry) -> Result<()> {
    for seed in SEEDS {
        remove(Path::new(seed))?;
    }
    renew_ssh_keys(registry).await
}

/// Old keys never stay: a machine without one says so to whoever connects, one with another's does not.
async fn renew_ssh_keys(registry: &Registry) -> Result<()> {
    let present = present_kinds()?;
    let wanted = kinds_to_make(&present);
    for kind in &present {
        let key = key_path(kind);
        // Made beside it and put in its place: were this request cut off in between, its repetition would
        // find the old key and make it anew.
        let fresh = key.with_extension("firebreak");
        let is_made = wanted.contains(&kind.as_str()) && make_key(registry, kind, &fresh).await?;
        if is_made {
            fs::rename(public(&fresh), public(&key)).context(SSH)?;
            fs::rename(&fresh, &key).context(SSH)?;
        } else {
            remove(&public(&key))?;
            remove(&key)?;
        }
    }
    Ok(())
}

/// The types for which there is a `ssh_host_TYPE_key`.
fn present_kinds() -> Result<Vec<String>> {
    let entries = match fs::read_dir(SSH) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).context(SSH),
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names
        .filter_map(|name| kind_of(name.to_str()?).map(str::to_owned))
        .collect())
}

fn kind_of(name: &str) -> Option<&str> {
    let kind = name.strip_prefix(KEY_PREFIX)?.strip_suffix(KEY_SUFFIX)?;
    (!kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(kind)
}

/// RSA takes an emulated guest seconds, and every client of today takes the others.
fn kinds_to_make(present: &[String]) -> Vec<&str> {
    let fast: Vec<&str> = present
        .iter()
        .map(String::as_str)
        .filter(|kind| matches!(*kind, "ed25519" | "ecdsa"))
        .collect();
    match fast.as_slice() {
        [] if present.iter().any(|kind| kind == "rsa") => vec!["rsa"],
        _ => fast,
    }
}

/// `false`: it could not be made, for a reason that is the guest's own.
async fn make_key(registry: &Registry, kind: &str, path: &Path) -> Result<bool> {
    remove(path)?;
    remove(&public(path))?;
    let path = path.to_string_lossy();
    let argv = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", &path];
    let ended = registry
        .run_to_end(argv.map(str::to_owned).to_vec(), KEY_PATIENCE)
        .await;
    let reason = match ended {
        Ok(Some(ended)) if ended.exit_code == Some(0) => return Ok(true),
        Ok(Some(ended)) => format!("it ended with {:?} {:?}", ended.exit_code, ended.signal),
        Ok(None) => "it took too long".to_owned(),
        Err(error) => error.message,
    };
    console::say(&format!("ssh-keygen for an {kind} key: {reason}"));
    Ok(false)
}

fn key_path(kind: &str) -> PathBuf {
    Path::new(SSH).join(format!("{KEY_PREFIX}{kind}{KEY_SUFFIX}"))
}

fn public(key: &Path) -> PathBuf {
    let mut path = key.as_os_str().to_owned();
    path.push(".pub");
    PathBuf::from(path)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(error).context(path.display())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_keys_are_told_from_other_files() {
        assert_eq!(kind_of("ssh_host_ed25519_key"), Some("ed25519"));
        for other in [
            "ssh_host_ed25519_key.pub",
            "ssh_host_ed25519_key-cert.pub",
            "ssh_host__key",
            "ssh_host_key",
            "sshd_config",
        ] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }

    #[test]
    fn an_rsa_key_is_made_only_where_no_other_is() {
        let kinds = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let all = kinds(&["rsa", "ecdsa", "ed25519"]);
        assert_eq!(kinds_to_make(&all), ["ecdsa", "ed25519"]);
        assert_eq!(kinds_to_make(&kinds(&["dsa", "rsa"])), ["rsa"]);
        assert!(kinds_to_make(&kinds(&["dsa"])).is_empty());
    }
}
