//! Files and archives, over the real protocol.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use crate::support::{Agent, Client, encode, send_all};
use serde_json::json;

async fn put(client: &Client, path: &Path, query: &str, body: &[u8]) -> crate::support::Answer {
    client
        .request(
            "PUT",
            &format!("/v1/file?path={}{query}", encode(path)),
            body,
        )
        .await
}

async fn get(client: &Client, path: &Path, query: &str) -> crate::support::Answer {
    client
        .request(
            "GET",
            &format!("/v1/file?path={}{query}", encode(path)),
            b"",
        )
        .await
}

fn temporaries(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains(".tmp")
        })
        .count()
}

#[tokio::test]
async fn a_file_goes_there_and_back() {
    let agent = Agent::start("file");
    let client = agent.attach().await;
    let path = agent.path("sub/ä b");
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n * 7) as u8).collect();
    assert_eq!(put(&client, &path, "", &bytes).await.code(), "NOT_FOUND");
    let answer = put(&client, &path, "&parents=true&mode=0750", &bytes).await;
    assert_eq!(
        (answer.status, &answer.json()["mode"]),
        (200, &json!("0750"))
    );
    let answer = get(&client, &path, "").await;
    assert!(answer.body == bytes);
    assert_eq!(answer.head.headers()["content-length"], "5000000");
    let stat: serde_json::Value =
        serde_json::from_slice(answer.head.headers()["firebreak-stat"].as_bytes()).unwrap();
    assert_eq!(
        (&stat["sizeBytes"], &stat["path"]),
        (&json!(5_000_000), &json!(path))
    );
    let part = get(&client, &path, "&offset=4999990&length=100").await;
    assert!(part.body == bytes[4_999_990..]);
    let part = get(&client, &path, "&offset=1000&length=5").await;
    assert!(part.body == bytes[1000..1005]);
    // A file without a size that has bytes all the same.
    assert!(
        !get(&client, Path::new("/proc/self/status"), "")
            .await
            .body
            .is_empty()
    );
    assert_eq!(
        get(&client, &agent.folder, "").await.code(),
        "IS_A_DIRECTORY"
    );
    assert_eq!(
        get(&client, Path::new("/dev/null"), "").await.code(),
        "INVALID_ARGUMENT"
    );
    assert_eq!(
        put(&client, &agent.folder, "", b"x").await.code(),
        "IS_A_DIRECTORY"
    );
    assert_eq!(temporaries(&agent.path("sub")), 0);
}

#[tokio::test]
async fn an_old_file_keeps_its_mode_and_a_symlink_its_place() {
    let agent = Agent::start("keep");
    let client = agent.attach().await;
    let (file, link) = (agent.path("file"), agent.path("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("file", &link).unwrap();
    assert_eq!(put(&client, &link, "", b"new").await.status, 200);
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(put(&client, &file, "", b"").await.status, 200);
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_the_old_file_and_no_other() {
    let agent = Agent::start("broken");
    let path = agent.path("file");
    fs::write(&path, "old").unwrap();
    let url = format!("/v1/file?path={}", encode(&path));
    for is_connection_lost in [false, true] {
        let client = agent.attach().await;
        let (_response, mut stream) = client.open("PUT", &url, true).await;
        send_all(&mut stream, vec![1; 200_000].into(), false)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(temporaries(&agent.folder), 1);
        if is_connection_lost {
            drop(client);
        } else {
            stream.send_reset(h2::Reason::CANCEL);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(temporaries(&agent.folder), 0, "lost: {is_connection_lost}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}

#[tokio::test]
async fn a_full_disk_is_no_space_and_leaves_nothing() {
    let agent = Agent::start("full");
    let client = agent.attach().await;
    let disk = agent.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "none"])
        .arg(&disk)
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: only root can mount a small disk");
        return;
    }
    let answer = put(&client, &disk.join("file"), "", &vec![7; 2 << 20]).await;
    let left = fs::read_dir(&disk).unwrap().count();
    std::process::Command::new("umount")
        .arg(&disk)
        .status()
        .unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str(), left),
        (507, "NO_SPACE", 0)
    );
}

#[tokio::test]
async fn directories_are_made_listed_moved_and_removed() {
    let agent = Agent::start("dir");
    let client = agent.attach().await;
    let dir = agent.path("d");
    let url = |path: &Path, rest: &str| format!("/v1/dir?path={}{rest}", encode(path));
    assert_eq!(
        client
            .request("POST", &url(&dir, "&mode=0700"), b"")
            .await
            .json()["mode"],
        "0700"
    );
    assert_eq!(
        client.request("POST", &url(&dir, ""), b"").await.code(),
        "ALREADY_EXISTS"
    );
    assert_eq!(
        client
            .request("POST", &url(&dir, "&parents=true"), b"")
            .await
            .status,
        200
    );
    for name in ["a", "b", "c"] {
        fs::write(dir.join(name), name).unwrap();
    }
    use std::os::unix::ffi::OsStrExt;
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    symlink("a", dir.join("l")).unwrap();
    let page = client
        .request("GET", &url(&dir, "&limit=2&after=a"), b"")
        .await
        .json();
    let names: Vec<_> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].clone())
        .collect();
    assert_eq!(
        (names, &page["more"]),
        (vec![json!("b"), json!("c")], &json!(true))
    );
    let page = client
        .request("GET", &url(&dir, "&after=k"), b"")
        .await
        .json();
    assert_eq!(page["entries"][0]["target"], "a");
    assert_eq!(page["entries"][1]["nameBase64"], "/w==");
    assert_eq!(page["more"], false);
    let moved = json!({ "from": dir.join("a"), "to": dir.join("b") });
    assert_eq!(
        client
            .request("POST", "/v1/move", moved.to_string().as_bytes())
            .await
            .code(),
        "ALREADY_EXISTS"
    );
    let moved = json!({ "from": dir.join("a"), "to": dir.join("b"), "overwrite": true });
    assert_eq!(
        client
            .request("POST", "/v1/move", moved.to_string().as_bytes())
            .await
            .status,
        204
    );
    let file = |path: &Path, rest: &str| format!("/v1/file?path={}{rest}", encode(path));
    assert_eq!(
        client.request("DELETE", &file(&dir, ""), b"").await.code(),
        "NOT_EMPTY"
    );
    assert_eq!(
        client
            .request("DELETE", &file(&dir, "&recursive=true"), b"")
            .await
            .status,
        204
    );
    for root in ["/", "//", "/.", "/tmp/.."] {
        let answer = client
            .request("DELETE", &file(Path::new(root), "&recursive=true"), b"")
            .await;
        assert_eq!(answer.code(), "INVALID_ARGUMENT");
    }
    let stat = format!("/v1/stat?path={}", encode(&dir));
    assert_eq!(client.request("GET", &stat, b"").await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn an_archive_goes_there_and_back() {
    let agent = Agent::start("archive");
    let client = agent.attach().await;
    let (from, to) = (agent.path("from"), agent.path("to"));
    let long = "n".repeat(150);
    fs::create_dir_all(from.join("deep/er")).unwrap();
    fs::write(from.join("deep/er/file"), vec![3; 700_000]).unwrap();
    fs::set_permissions(from.join("deep/er/file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(from.join(&long), "long").unwrap();
    symlink("er/file", from.join("deep/link")).unwrap();
    symlink("/etc/passwd", from.join("outside")).unwrap();
    let url = |path: &Path| format!("/v1/archive?path={}", encode(path));
    let packed = client.request("GET", &url(&from), b"").await;
    assert_eq!(packed.status, 200);
    let answer = client.request("PUT", &url(&to), &packed.body).await;
    assert_eq!(answer.json(), json!({ "entries": 6, "bytes": 700_004 }));
    assert_eq!(fs::read(to.join("deep/link")).unwrap(), vec![3; 700_000]);
    assert_eq!(
        fs::read_link(to.join("outside")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(fs::read(to.join(&long)).unwrap(), b"long");
    for name in ["deep", "deep/er/file", "deep/link"] {
        let (a, b) = (
            fs::symlink_metadata(from.join(name)).unwrap(),
            fs::symlink_metadata(to.join(name)).unwrap(),
        );
        assert_eq!((a.mtime(), a.mode()), (b.mtime(), b.mode()), "{name}");
    }
    // One file alone, and over what is there.
    let one = client
        .request("GET", &url(&from.join("deep/er/file")), b"")
        .await;
    assert_eq!(
        client.request("PUT", &url(&to), &one.body).await.json()["entries"],
        1
    );
    assert!(to.join("file").exists());
    assert_eq!(
        client.request("PUT", &url(&to), &packed.body).await.status,
        200
    );
    assert_eq!(
        client
            .request("GET", &url(&agent.path("none")), b"")
            .await
            .code(),
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn a_whole_archive_has_links_and_another_has_not_and_both_have_pipes() {
    let agent = Agent::start("whole");
    let client = agent.attach().await;
    let from = agent.path("from");
    fs::create_dir_all(from.join("b")).unwrap();
    fs::write(from.join("a"), "content").unwrap();
    fs::hard_link(from.join("a"), from.join("b/again")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, from.join("pipe"), mode).unwrap();
    let list = |body: &[u8]| -> Vec<(String, tar::EntryType, u64)> {
        let mut archive = tar::Archive::new(body);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                (path, entry.header().entry_type(), entry.size())
            })
            .collect()
    };
    let url = format!("/v1/archive?path={}", encode(&from));
    let whole = client
        .request("GET", &format!("{url}&whole=true"), b"")
        .await;
    let entry = |path: &str, kind, size| (path.to_owned(), kind, size);
    use tar::EntryType::{Directory, Fifo, Link, Regular};
    assert_eq!(
        list(&whole.body),
        [
            entry("a", Regular, 7),
            entry("b", Directory, 0),
            entry("b/again", Link, 0),
            entry("pipe", Fifo, 0)
        ]
    );
    let plain = client.request("GET", &url, b"").await;
    assert_eq!(
        list(&plain.body),
        [
            entry("a", Regular, 7),
            entry("b", Directory, 0),
            entry("b/again", Regular, 7),
            entry("pipe", Fifo, 0)
        ]
    );
}

fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        // Written by hand: the library would refuse the bad names itself.
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if is_link {
            header.as_gnu_mut().unwrap().linkname[..content.len()]
                .copy_from_slice(content.as_bytes());
        }
        let data = if is_link { "" } else { content };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn archives_that_lead_out_are_refused() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let agent = Agent::start("escape");
    let client = agent.attach().await;
    fs::create_dir(agent.path("victim")).unwrap();
    let victim = agent.path("victim");
    let victim = victim.to_str().unwrap();
    let hostile: Vec<Vec<(&str, tar::EntryType, &str)>> = vec![
        vec![("../victim/a", Regular, "x")],
        vec![("a/../../victim/a", Regular, "x")],
        vec![("/tmp/firebreak-never", Regular, "x")],
        vec![("l", Symlink, victim), ("l/a", Regular, "x")],
        vec![("l", Symlink, "../victim"), ("l/a", Regular, "x")],
        vec![("l", Symlink, "../victim"), ("l/sub", Directory, "")],
        vec![
            ("l", Symlink, "../victim"),
            ("l/sub/deeper/x", Regular, "x"),
        ],
        vec![("l", Symlink, "../victim"), ("l", Directory, "")],
        vec![("h", Link, "/etc/passwd")],
        vec![("h", Link, "../victim/a")],
        vec![("l", Symlink, "/etc"), ("h", Link, "l/passwd")],
        vec![("l", Symlink, "/etc/passwd"), ("h", Link, "l")],
    ];
    for (number, entries) in hostile.iter().enumerate() {
        let target = agent.path(&format!("target{number}"));
        let url = format!("/v1/archive?path={}", encode(&target));
        let answer = client.request("PUT", &url, &tar_of(entries)).await;
        assert_eq!(answer.code(), "INVALID_ARGUMENT", "{entries:?}");
    }
    // A symlink that the guest had there before.
    let target = agent.path("prepared");
    fs::create_dir(&target).unwrap();
    symlink(victim, target.join("l")).unwrap();
    let url = format!("/v1/archive?path={}", encode(&target));
    let answer = client
        .request("PUT", &url, &tar_of(&[("l/a", Regular, "x")]))
        .await;
    assert_eq!(answer.code(), "INVALID_ARGUMENT");
    // A file in the place of a symlink replaces the link, not what it points to.
    assert_eq!(
        client
            .request("PUT", &url, &tar_of(&[("l", Regular, "x")]))
            .await
            .status,
        200
    );
    assert!(fs::symlink_metadata(target.join("l")).unwrap().is_file());
    assert_eq!(fs::read_dir(victim).unwrap().count(), 0);
    // Links inside are fine, and so is a symlink that stays below.
    let entries = [
        ("d/f", Regular, "x"),
        ("h", Link, "d/f"),
        ("s", Symlink, "d"),
        ("s/g", Regular, "y"),
    ];
    assert_eq!(
        client.request("PUT", &url, &tar_of(&entries)).await.json()["entries"],
        4
    );
    assert_eq!(fs::read(target.join("d/g")).unwrap(), b"y");
    let devices = [
        ("n", tar::EntryType::Fifo, ""),
        ("c", tar::EntryType::Char, ""),
    ];
    assert_eq!(
        client.request("PUT", &url, &tar_of(&devices)).await.json()["entries"],
        0
    );
    let answer = client.request("PUT", &url, &[b'x'; 3000]).await;
    assert_eq!(answer.code(), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn the_rest_of_the_api_answers() {
    let agent = Agent::start("rest");
    let client = agent.attach().await;
    let hello = client.request("GET", "/v1/hello", b"").await.json();
    assert_eq!(hello["generation"], 1);
    assert_eq!(hello["bootId"].as_str().unwrap().len(), 36);
    assert!(
        client.request("GET", "/v1/stats", b"").await.json()["agentRssBytes"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert_eq!(client.request("POST", "/v1/sync", b"").await.status, 204);
    assert_eq!(
        client.request("GET", "/v2/hello", b"").await.code(),
        "NOT_FOUND"
    );
    assert_eq!(
        client.request("GET", "/v1/stat", b"").await.code(),
        "INVALID_ARGUMENT"
    );
    assert_eq!(
        client
            .request("PUT", "/v1/personalise", b"nonsense")
            .await
            .code(),
        "INVALID_ARGUMENT"
    );
    let long = vec![b' '; (1 << 20) + 1];
    assert_eq!(
        client.request("POST", "/v1/move", &long).await.code(),
        "TOO_LARGE"
    );
    assert_eq!(
        client.request("POST", "/v1/shutdown", b"{}").await.status,
        202
    );
}
