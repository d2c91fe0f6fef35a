//! Who uses a drive, so that whoever wants it back knows whom to end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// More are of no help to a reader.
const MAX_NAMED: usize = 5;

/// Processes with an open file, a working directory or a program on these devices, such as `sh (pid 12)`.
pub fn of(numbers: &[String]) -> Vec<String> {
    let devices: Vec<u64> = numbers.iter().filter_map(|text| number(text)).collect();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| uses(&Path::new("/proc").join(pid.to_string()), &devices))
        .take(MAX_NAMED)
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim())
        })
        .collect()
}

fn uses(process: &Path, devices: &[u64]) -> bool {
    let is_on = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|found| devices.contains(&found.dev()) || devices.contains(&found.rdev()))
    };
    let opened = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    ["cwd", "root", "exe"]
        .iter()
        .any(|name| is_on(&process.join(name)))
        || opened.into_iter().any(|entry| is_on(&entry.path()))
}

fn number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(
        major.parse().ok()?,
        minor.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_a_file_open_is_named() {
        let here = fs::metadata(".").unwrap().dev();
        let text = format!("{}:{}", rustix::fs::major(here), rustix::fs::minor(here));
        let own = format!("(pid {})", std::process::id());
        let devices = [number(&text).unwrap()];
        assert!(uses(Path::new("/proc/self"), &devices), "{own}");
        assert!(!uses(Path::new("/proc/self"), &[u64::MAX]));
        assert_eq!(number("8"), None);
    }
}
