//! The console, which a person reads when a guest does not come up.

use std::fmt;
use std::io::Write;

use rustix::fs::{Mode, OFlags};

/// One line. Written in one piece; a console that cannot take it loses it.
pub fn say(message: &str) {
    let line = format!("firebreak-agent: {message}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// For steps without which the guest still works.
pub fn check<T, E: fmt::Display>(what: &str, result: std::result::Result<T, E>) {
    if let Err(error) = result {
        say(&format!("{what}: {error}"));
    }
}

/// Makes 0, 1 and 2 the console, or /dev/null while there is none: a pipe that got one of these numbers
/// would be overwritten in a child.
pub fn open_stdio() {
    let opened = ["/dev/console", "/dev/null"].iter().find_map(|path| {
        rustix::fs::open(*path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).ok()
    });
    let Some(fd) = opened else {
        return;
    };
    let _ = rustix::stdio::dup2_stdin(&fd);
    let _ = rustix::stdio::dup2_stdout(&fd);
    let _ = rustix::stdio::dup2_stderr(&fd);
    use std::os::fd::{AsRawFd, IntoRawFd};
    if fd.as_raw_fd() <= 2 {
        // It is one of the three itself, and stays open.
        let _ = fd.into_raw_fd();
    }
}
