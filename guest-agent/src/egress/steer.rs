//! Steers TCP connections to any port of any synthetic address to one listening socket. Listeners on each port would be 65,535 of them, and
//! a redirection by netfilter needs modules and a table that programs in the guest may use otherwise. The kernel asks an eBPF program of the type
//! SK_LOOKUP (since 5.9) which socket a connection is for: what is accepted has the address that was dialled.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Context, Result};

// linux/bpf.h
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const MAP_TYPE_SOCKMAP: u32 = 15;
const PROG_TYPE_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;
const CALL_MAP_LOOKUP_ELEM: i32 = 1;
const CALL_SK_RELEASE: i32 = 86;
const CALL_SK_ASSIGN: i32 = 124;

/// The parts of `union bpf_attr` that are used here, each at its place; what is not set is zero.
#[repr(C, align(8))]
struct Attributes([u8; 72]);

impl Attributes {
    fn new(words: &[(usize, u32)], pointers: &[(usize, u64)]) -> Attributes {
        let mut bytes = [0; 72];
        for (at, value) in words {
            bytes[*at..*at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in pointers {
            bytes[*at..*at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        Attributes(bytes)
    }

    fn call(&self, command: libc::c_long) -> io::Result<RawFd> {
        // SAFETY: bpf(2) reads the attributes, whose pointers outlive the call: each caller keeps what they point to.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                self.0.as_ptr(),
                self.0.len() as libc::c_long,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        RawFd::try_from(result).map_err(io::Error::other)
    }

    fn open(&self, command: libc::c_long) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: these commands answer with a new descriptor, which nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// What keeps the steering up; the end of it is its end.
pub struct Steering {
    _link: OwnedFd,
}

/// From now on, all TCP connections to 198.18.0.0/15, except to the resolver's address, are for this listening socket.
pub fn steer_to(listener: RawFd) -> Result<Steering> {
    let map = Attributes::new(&[(0, MAP_TYPE_SOCKMAP), (4, 4), (8, 8), (12, 1)], &[])
        .open(MAP_CREATE)
        .context("make a socket map")?;
    let key = 0u32;
    let value = u64::try_from(listener)
        .map_err(io::Error::other)
        .context("the listener")?;
    let (key_at, value_at) = (&raw const key as u64, &raw const value as u64);
    Attributes::new(
        &[(0, word(map.as_raw_fd()))],
        &[(8, key_at), (16, value_at)],
    )
    .call(MAP_UPDATE_ELEM)
    .context("put the listener into the socket map")?;
    let code = program(map.as_raw_fd());
    let license = c"Apache-2.0";
    let program = Attributes::new(
        &[
            (0, PROG_TYPE_SK_LOOKUP),
            (4, u32::try_from(code.len()).unwrap_or(0)),
            (68, ATTACH_SK_LOOKUP),
        ],
        &[(8, code.as_ptr() as u64), (16, license.as_ptr() as u64)],
    )
    .open(PROG_LOAD)
    .context("load the program that steers connections")?;
    let namespace = std::fs::File::open("/proc/self/ns/net").context("/proc/self/ns/net")?;
    let link = Attributes::new(
        &[
            (0, word(program.as_raw_fd())),
            (4, word(namespace.as_raw_fd())),
            (8, ATTACH_SK_LOOKUP),
        ],
        &[],
    )
    .open(LINK_CREATE)
    .context("attach the program that steers connections")?;
    Ok(Steering { _link: link })
}

fn word(fd: RawFd) -> u32 {
    u32::try_from(fd).unwrap_or(u32::MAX)
}

/// One instruction: code, registers (destination in the low half), offset, immediate.
const fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let low = code as u64 | (registers as u64) << 8 | (offset as u16 as u64) << 16;
    low | (immediate as u32 as u64) << 32
}

/// ```text
/// if ctx.family == AF_INET && ctx.protocol == TCP && ctx.local_ip4 in 198.18.0.0/15 && ctx.local_ip4 != 198.18.0.1 {
///     if let Some(socket) = map[0] { sk_assign(ctx, socket); sk_release(socket) }
/// }
/// return SK_PASS
/// ```
fn program(map: RawFd) -> Vec<u64> {
    // Addresses are in network order in the context, and are compared as the words that they are in memory.
    let net = i32::from_ne_bytes([198, 18, 0, 0]);
    let mask = i32::from_ne_bytes([255, 254, 0, 0]);
    let resolver = i32::from_ne_bytes(super::RESOLVER.octets());
    const JNE: u8 = 0x55;
    const JEQ: u8 = 0x15;
    const JEQ_WORD: u8 = 0x16;
    const JNE_WORD: u8 = 0x56;
    vec![
        op(0xbf, 0x16, 0, 0),                 // r6 = r1
        op(0x61, 0x62, 8, 0),                 // r2 = ctx.family
        op(JNE, 0x02, 21, libc::AF_INET),     // pass
        op(0x61, 0x62, 12, 0),                // r2 = ctx.protocol
        op(JNE, 0x02, 19, libc::IPPROTO_TCP), // pass
        op(0x61, 0x62, 40, 0),                // r2 = ctx.local_ip4
        op(0xbf, 0x23, 0, 0),                 // r3 = r2
        op(0x54, 0x03, 0, mask),              // r3 &= mask (32 bit)
        op(JNE_WORD, 0x03, 15, net),          // pass
        op(JEQ_WORD, 0x02, 14, resolver),     // pass
        op(0x62, 0x0a, -4, 0),                // *(u32 *)(fp - 4) = 0
        op(0xbf, 0xa2, 0, 0),                 // r2 = fp
        op(0x07, 0x02, 0, -4),                // r2 += -4
        op(0x18, 0x11, 0, map),               // r1 = map (two slots)
        op(0x00, 0x00, 0, 0),
        op(0x85, 0x00, 0, CALL_MAP_LOOKUP_ELEM),
        op(JEQ, 0x00, 7, 0),  // pass
        op(0xbf, 0x07, 0, 0), // r7 = r0
        op(0xbf, 0x61, 0, 0), // r1 = r6
        op(0xbf, 0x72, 0, 0), // r2 = r7
        op(0xb7, 0x03, 0, 0), // r3 = 0
        op(0x85, 0x00, 0, CALL_SK_ASSIGN),
        op(0xbf, 0x71, 0, 0), // r1 = r7
        op(0x85, 0x00, 0, CALL_SK_RELEASE),
        op(0xb7, 0x00, 0, 1), // pass: r0 = SK_PASS
        op(0x95, 0x00, 0, 0), // exit
    ]
}
