//! The guest's network card, in the mode `nat`: an interface with an address of its own, which the host's rules look after.

use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::error::{Code, Context, Error, Result};
use crate::files::blocking;
use crate::init::network::name_resolver;
use crate::init::{LateModules, PendingModules, interface};

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
const MAX_NAMESERVERS: usize = 3;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// `nat` of what the host says of the network.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CardBody {
    mac: String,
    address: Ipv4Addr,
    prefix_bits: u8,
    gateway: Ipv4Addr,
    nameservers: Vec<Ipv4Addr>,
}

impl CardBody {
    pub fn check(&self) -> Result<()> {
        parse_mac(&self.mac)?;
        if !(1..=30).contains(&self.prefix_bits) || self.nameservers.len() > MAX_NAMESERVERS {
            return Err(Error::invalid("the card's network is none"));
        }
        Ok(())
    }
}

pub struct Card {
    /// Its driver.
    modules: PendingModules,
    is_up: Cell<bool>,
}

impl Card {
    pub fn new(modules: Option<LateModules>) -> Card {
        Card {
            modules: PendingModules::new(modules),
            is_up: Cell::new(false),
        }
    }

    /// Doing it again does no harm; a fork gets another address in the place of its parent's.
    pub async fn bring_up(&self, body: CardBody) -> Result<()> {
        self.is_up.set(true);
        self.modules.insert().await?;
        blocking(move || configure(&body)).await
    }

    /// A machine whose policy was another when it was saved: its card is plugged into nothing now.
    pub async fn take_down(&self) -> Result<()> {
        // Nearly all machines never had it up.
        if !self.is_up.replace(false) {
            return Ok(());
        }
        blocking(|| {
            if let Some(name) = find() {
                interface::bring_down(&name)?;
            }
            name_resolver()
        })
        .await
    }
}

fn configure(body: &CardBody) -> Result<()> {
    let name = wait_for_card()?;
    let mac = parse_mac(&body.mac)?;
    // Only a device that is down takes another address.
    interface::bring_down(&name)?;
    interface::set_mac(&name, mac)?;
    let mask = Ipv4Addr::from(u32::MAX << (32 - u32::from(body.prefix_bits)));
    interface::set_address(&name, body.address, mask)?;
    interface::bring_up(&name)?;
    interface::add_gateway(&name, body.gateway)?;
    let text: String = body
        .nameservers
        .iter()
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    fs::write(RESOLV_CONF, text).context(RESOLV_CONF)
}

fn wait_for_card() -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(name) = find() {
            return Ok(name);
        }
        if Instant::now() >= deadline {
            return Err(Error::new(
                Code::NotFound,
                "the machine has no network card, or its kernel no driver for it",
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The one that is a virtio device: others are the guest's own making.
fn find() -> Option<String> {
    fs::read_dir("/sys/class/net")
        .ok()?
        .flatten()
        .find(|entry| {
            fs::canonicalize(entry.path().join("device/driver"))
                .is_ok_and(|driver| driver.ends_with("virtio_net"))
        })
        .and_then(|entry| entry.file_name().into_string().ok())
}

fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?)
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        // A group's address is no machine's.
        .filter(|mac: &[u8; 6]| mac[0] & 1 == 0)
        .ok_or_else(|| Error::invalid("mac is no address of a card"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cards_address_has_six_bytes_and_is_no_groups() {
        assert_eq!(
            parse_mac("0a:fb:00:00:00:02").unwrap(),
            [0x0a, 0xfb, 0, 0, 0, 2]
        );
        for bad in [
            "",
            "0a:fb:00:00:00",
            "0b:fb:00:00:00:02",
            "a:fb:00:00:00:002",
            "+a:fb:00:00:00:02:03",
        ] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }
}
