//! Network interfaces, by the ioctls of netdevice(7).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{Code, Context, Result};

/// A request about the interface; names have at most 15 bytes.
pub fn request(name: &str) -> libc::ifreq {
    // SAFETY: zeroes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().take(15).zip(name.as_bytes()) {
        *place = *byte as libc::c_char;
    }
    request
}

pub fn bring_up(name: &str) -> Result<()> {
    let mut up = request(name);
    up.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    call(libc::SIOCSIFFLAGS as _, &up).context("SIOCSIFFLAGS")
}

pub fn bring_down(name: &str) -> Result<()> {
    let down = request(name);
    call(libc::SIOCSIFFLAGS as _, &down).context("SIOCSIFFLAGS")
}

/// Of an interface that is down.
pub fn set_mac(name: &str, mac: [u8; 6]) -> Result<()> {
    let mut with = request(name);
    let mut data = [0 as libc::c_char; 14];
    for (place, byte) in data.iter_mut().zip(mac) {
        *place = byte as libc::c_char;
    }
    with.ifr_ifru.ifru_hwaddr = libc::sockaddr {
        sa_family: libc::ARPHRD_ETHER,
        sa_data: data,
    };
    call(libc::SIOCSIFHWADDR as _, &with).context("SIOCSIFHWADDR")
}

pub fn set_address(name: &str, address: Ipv4Addr, mask: Ipv4Addr) -> Result<()> {
    for (code, word, value) in [
        (libc::SIOCSIFADDR, "SIOCSIFADDR", address),
        (libc::SIOCSIFNETMASK, "SIOCSIFNETMASK", mask),
    ] {
        let mut with = request(name);
        with.ifr_ifru.ifru_addr = socket_address(value);
        call(code as _, &with).context(word)?;
    }
    Ok(())
}

/// Of all that is not local, through the interface, without a gateway.
pub fn add_default_route(name: &str) -> Result<()> {
    add_route(name, None)
}

/// The same by way of a machine behind the interface. It comes before routes that are there.
pub fn add_gateway(name: &str, gateway: Ipv4Addr) -> Result<()> {
    match add_route(name, Some(gateway)) {
        Err(error) if error.code == Code::AlreadyExists => Ok(()),
        done => done,
    }
}

fn add_route(name: &str, gateway: Option<Ipv4Addr>) -> Result<()> {
    let mut device = [0u8; 16];
    for (place, byte) in device.iter_mut().take(15).zip(name.as_bytes()) {
        *place = *byte;
    }
    // SAFETY: zeroes are a valid rtentry.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_flags = libc::RTF_UP;
    if let Some(gateway) = gateway {
        route.rt_gateway = socket_address(gateway);
        route.rt_flags |= libc::RTF_GATEWAY;
    }
    route.rt_dev = device.as_mut_ptr().cast();
    call(libc::SIOCADDRT as _, &route).context("SIOCADDRT")
}

/// An address of IPv6 for the interface, and the default route through it.
pub fn add_default_route_v6(name: &str, address: Ipv6Addr) -> Result<()> {
    let socket = datagram_socket(AddressFamily::INET6).context("a socket of IPv6")?;
    let index = rustix::net::netdevice::name_to_index(&socket, name).context(name)?;
    let index = i32::try_from(index).unwrap_or(0);
    let with = libc::in6_ifreq {
        ifr6_addr: in6_address(address),
        ifr6_prefixlen: 128,
        ifr6_ifindex: index,
    };
    call_on(&socket, libc::SIOCSIFADDR as _, &with).context("SIOCSIFADDR")?;
    // All zeroes: of all addresses, through no gateway.
    let route = RouteV6 {
        metric: 1024,
        flags: u32::from(libc::RTF_UP),
        index,
        ..RouteV6::default()
    };
    call_on(&socket, libc::SIOCADDRT as _, &route).context("SIOCADDRT")
}

/// `struct in6_rtmsg` of linux/ipv6_route.h, whose fields libc keeps to itself.
#[repr(C)]
#[derive(Default)]
struct RouteV6 {
    to: [u8; 16],
    from: [u8; 16],
    gateway: [u8; 16],
    kind: u32,
    to_bits: u16,
    from_bits: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    index: libc::c_int,
}

fn in6_address(address: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr {
        s6_addr: address.octets(),
    }
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let inet = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(address.octets()),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: a sockaddr_in is as large as the sockaddr that it takes the place of.
    unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(inet) }
}

fn call<T>(code: libc::Ioctl, argument: &T) -> io::Result<()> {
    call_on(&datagram_socket(AddressFamily::INET)?, code, argument)
}

/// The family of the socket decides which structure a request reads.
fn call_on<T>(socket: &OwnedFd, code: libc::Ioctl, argument: &T) -> io::Result<()> {
    // SAFETY: each caller pairs the request with the structure that it reads.
    if unsafe { libc::ioctl(socket.as_raw_fd(), code, &raw const *argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn datagram_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map_err(Into::into)
}
