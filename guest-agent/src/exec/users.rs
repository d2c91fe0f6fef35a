//! Users from the guest's own /etc/passwd and /etc/group. A static glibc has no NSS, so files only.

use std::path::Path;

use crate::error::{Code, Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    pub home: String,
    pub shell: String,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

/// `NAME` or `UID`, either with `:GROUP` or `:GID`.
pub fn look_up(wanted: &str, etc: &Path) -> Result<User> {
    // A rootfs may lack both files; root must work all the same.
    let passwd = read_lossy(&etc.join("passwd"));
    let group = read_lossy(&etc.join("group"));
    resolve(wanted, &passwd, &group)
}

fn read_lossy(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn resolve(wanted: &str, passwd: &str, group: &str) -> Result<User> {
    let unknown = || {
        Error::new(
            Code::UserNotFound,
            format!("the guest has no user {wanted:?}"),
        )
    };
    let accounts = || passwd.lines().filter_map(parse_account);
    if let Some((user, of_group)) = wanted.split_once(':') {
        let named = accounts().find(|account| account.name == user);
        let uid = match &named {
            Some(account) => account.uid,
            None => parse_id(user).ok_or_else(unknown)?,
        };
        let gid = group_id(of_group, group)
            .or_else(|| parse_id(of_group))
            .ok_or_else(unknown)?;
        let account = named.or_else(|| accounts().find(|account| account.uid == uid));
        return Ok(user_of(account, uid, gid, vec![gid]));
    }
    if let Some(account) = accounts().find(|account| account.name == wanted) {
        let (uid, gid) = (account.uid, account.gid);
        let groups = groups_of(account.name, gid, group);
        return Ok(user_of(Some(account), uid, gid, groups));
    }
    if let Some(uid) = parse_id(wanted) {
        return Ok(match accounts().find(|account| account.uid == uid) {
            Some(account) => {
                let gid = account.gid;
                let groups = groups_of(account.name, gid, group);
                user_of(Some(account), uid, gid, groups)
            }
            // A number needs no account; its group is root's, as in container runtimes.
            None => user_of(None, uid, 0, vec![0]),
        });
    }
    if wanted == "root" {
        return Ok(user_of(None, 0, 0, vec![0]));
    }
    Err(unknown())
}

/// -1 means "unchanged" to the kernel, so it is no id.
fn parse_id(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn parse_account(line: &str) -> Option<Account<'_>> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields.as_slice() else {
        return None;
    };
    Some(Account {
        name,
        uid: parse_id(uid)?,
        gid: parse_id(gid)?,
        home,
        shell,
    })
}

fn group_id(name: &str, group: &str) -> Option<u32> {
    group.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [found, _, id, _] if *found == name => parse_id(id),
            _ => None,
        }
    })
}

fn groups_of(name: &str, gid: u32, group: &str) -> Vec<u32> {
    let mut groups = vec![gid];
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, id, members] = fields.as_slice() else {
            continue;
        };
        let is_member = members.split(',').any(|member| member == name);
        if let Some(id) = parse_id(id)
            && is_member
            && !groups.contains(&id)
        {
            groups.push(id);
        }
    }
    groups
}

fn user_of(account: Option<Account<'_>>, uid: u32, gid: u32, groups: Vec<u32>) -> User {
    let pick = |text: Option<&str>, default: &str| match text {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => default.to_owned(),
    };
    let account = account.as_ref();
    let default_name = if uid == 0 {
        "root".to_owned()
    } else {
        uid.to_string()
    };
    let default_home = if uid == 0 { "/root" } else { "/" };
    User {
        name: pick(account.map(|a| a.name), &default_name),
        uid,
        gid,
        groups,
        home: pick(account.map(|a| a.home), default_home),
        shell: pick(account.map(|a| a.shell), "/bin/sh"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nann:x:1000:100:,,:/home/ann:\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:ann\ndocker:x:999:bob,ann\n";

    #[test]
    fn a_name_brings_its_supplementary_groups() {
        let user = resolve("ann", PASSWD, GROUP).unwrap();
        assert_eq!((user.uid, user.gid), (1000, 100));
        assert_eq!(user.groups, [100, 999]);
        assert_eq!(user.home, "/home/ann");
        assert_eq!(user.shell, "/bin/sh");
        assert_eq!(resolve("1000", PASSWD, GROUP).unwrap(), user);
    }

    #[test]
    fn numbers_need_no_account_and_names_do() {
        let user = resolve("77:88", PASSWD, GROUP).unwrap();
        assert_eq!((user.uid, user.gid, user.groups), (77, 88, vec![88]));
        assert_eq!(resolve("77", PASSWD, GROUP).unwrap().home, "/");
        for wanted in ["eve", "", "1:x", "4294967295", "-1", "+5"] {
            assert_eq!(
                resolve(wanted, PASSWD, GROUP).unwrap_err().code,
                Code::UserNotFound
            );
        }
    }

    #[test]
    fn a_group_is_a_name_or_a_number_and_replaces_the_own_ones() {
        for (wanted, uid, gid) in [
            ("ann:docker", 1000, 999),
            ("ann:7", 1000, 7),
            ("1000:docker", 1000, 999),
            ("5:users", 5, 100),
        ] {
            let user = resolve(wanted, PASSWD, GROUP).unwrap();
            assert_eq!((user.uid, user.gid, user.groups), (uid, gid, vec![gid]));
        }
        for wanted in ["ann:eve", "ann:", "eve:users", ":users"] {
            assert_eq!(
                resolve(wanted, PASSWD, GROUP).unwrap_err().code,
                Code::UserNotFound
            );
        }
    }

    #[test]
    fn root_works_without_files() {
        let user = resolve("root", "", "").unwrap();
        assert_eq!((user.uid, user.home.as_str()), (0, "/root"));
    }
}
