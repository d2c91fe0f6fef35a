//! The loopback interface, without which no program could talk to itself, and the addresses that stand for names of the world outside.

use std::fs;
use std::net::Ipv4Addr;

use super::{console, interface};
use crate::egress::RESOLVER;
use crate::error::{Context, Result};

/// An alias of the loopback interface: its prefix is local as a whole.
const ALIAS: &str = "lo:fb";
/// Of 198.18.0.0/15, which is for benchmarks (RFC 2544) and hence nobody's address.
const MASK: Ipv4Addr = Ipv4Addr::new(255, 254, 0, 0);

pub fn bring_up_loopback() {
    console::check("loopback", interface::bring_up("lo"));
    console::check(
        "names' addresses",
        interface::set_address(ALIAS, RESOLVER, MASK),
    );
    console::check("/etc/resolv.conf", name_resolver());
}

/// In the place of what an image has, which is of where it was made.
pub fn name_resolver() -> Result<()> {
    let text = format!("nameserver {RESOLVER}\n");
    if fs::symlink_metadata("/etc/resolv.conf").is_ok_and(|it| it.is_symlink()) {
        fs::remove_file("/etc/resolv.conf").context("/etc/resolv.conf")?;
    }
    if fs::read_to_string("/etc/resolv.conf").is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write("/etc/resolv.conf", text).context("/etc/resolv.conf")
}
