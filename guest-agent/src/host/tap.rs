//! `with-tap`: a program with an open TAP device, which it could not open itself.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags};

use crate::error::{Context, Error, Result};
use crate::init::interface;

/// Opens the device, which is there already, and goes on as the program behind "--", which finds it at the number.
pub fn exec_with(device: &str, fd: &str) -> ExitCode {
    let Err(error) = open_and_exec(device, fd);
    eprintln!("with-tap {device}: {error}");
    ExitCode::FAILURE
}

fn open_and_exec(device: &str, fd: &str) -> Result<std::convert::Infallible> {
    let wanted: i32 = fd
        .parse()
        .map_err(|_| Error::invalid("the number of the descriptor is none"))?;
    let tap = open(device)?;
    // SAFETY: both are numbers of descriptors; one that was open under the new number is closed.
    if unsafe { libc::dup2(tap.as_raw_fd(), wanted) } < 0 {
        return Err(std::io::Error::last_os_error()).context("dup2");
    }
    let words: Vec<CString> = std::env::args_os()
        .skip_while(|word| word != "--")
        .skip(1)
        .map(|word| CString::new(std::os::unix::ffi::OsStringExt::into_vec(word)))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::invalid("an argument holds a NUL"))?;
    let Some(program) = words.first() else {
        return Err(Error::invalid("there is no program"));
    };
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: NUL-terminated strings, and a list of them that ends with a null pointer.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    Err(std::io::Error::last_os_error()).context(program.to_string_lossy())
}

/// Without a header before each packet: a machine that is restored elsewhere has none.
fn open(device: &str) -> Result<OwnedFd> {
    let fd =
        rustix::fs::open("/dev/net/tun", OFlags::RDWR, Mode::empty()).context("/dev/net/tun")?;
    let mut request = interface::request(device);
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads an ifreq, which `request` is.
    let failed = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) };
    if failed < 0 {
        return Err(std::io::Error::last_os_error()).context("TUNSETIFF");
    }
    Ok(fd)
}
