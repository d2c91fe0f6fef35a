//! Which synthetic address stands for which name, both ways, for as long as there is room.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Far more than a program holds on to; each takes some 300 bytes at most.
const MAX_NAMES: usize = 16_384;
/// 198.18.0.2: the resolver has the one before.
const FIRST: u32 = 0xc612_0002;
/// 198.19.255.254, eight times as many as there are names: an address that a name has lost goes to another one as late as can be, when
/// programs that still hold it are likely to be gone.
const LAST: u32 = 0xc613_fffe;

struct Slot {
    name: Rc<str>,
    address: u32,
    /// Since the hand last came by.
    is_used: bool,
}

pub struct Names {
    slots: Vec<Slot>,
    by_name: HashMap<Rc<str>, usize>,
    by_address: HashMap<u32, usize>,
    /// Where the next one that has not been used for longest is looked for (the clock algorithm).
    hand: usize,
    /// Where the next free address is looked for.
    next: u32,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            slots: Vec::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            hand: 0,
            next: FIRST,
        }
    }
}

impl Names {
    /// The name's address; a new name may take the place of one that has not been used for long.
    pub fn address_of(&mut self, name: &str) -> Ipv4Addr {
        if let Some(&place) = self.by_name.get(name) {
            let slot = &mut self.slots[place];
            slot.is_used = true;
            return Ipv4Addr::from(slot.address);
        }
        let name: Rc<str> = Rc::from(name);
        let address = self.take_address();
        let slot = Slot {
            name: Rc::clone(&name),
            address,
            is_used: false,
        };
        let place = if self.slots.len() < MAX_NAMES {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.take_unused();
            let lost = std::mem::replace(&mut self.slots[place], slot);
            self.by_name.remove(&lost.name);
            self.by_address.remove(&lost.address);
            place
        };
        self.by_name.insert(name, place);
        self.by_address.insert(address, place);
        Ipv4Addr::from(address)
    }

    pub fn name_at(&mut self, address: Ipv4Addr) -> Option<Rc<str>> {
        let place = *self.by_address.get(&u32::from(address))?;
        let slot = &mut self.slots[place];
        slot.is_used = true;
        Some(Rc::clone(&slot.name))
    }

    /// The one that has been free for longest. There are more addresses than names.
    fn take_address(&mut self) -> u32 {
        loop {
            let address = self.next;
            self.next = if address == LAST { FIRST } else { address + 1 };
            if !self.by_address.contains_key(&address) {
                return address;
            }
        }
    }

    fn take_unused(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !self.slots[place].is_used {
                return place;
            }
            self.slots[place].is_used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_an_address_its_name() {
        let mut names = Names::default();
        let first = names.address_of("a.example");
        assert_eq!(first, Ipv4Addr::new(198, 18, 0, 2));
        assert_eq!(names.address_of("b.example"), Ipv4Addr::new(198, 18, 0, 3));
        assert_eq!(names.address_of("a.example"), first);
        assert_eq!(names.name_at(first).as_deref(), Some("a.example"));
        for address in ["198.18.0.1", "198.18.0.4", "198.20.0.0", "0.0.0.0"] {
            assert_eq!(names.name_at(address.parse().unwrap()), None);
        }
    }

    #[test]
    fn a_flood_takes_the_places_of_what_is_not_used() {
        let mut names = Names::default();
        let kept = names.address_of("kept.example");
        for index in 0..100_000 {
            names.address_of(&format!("n{index}.example"));
            if index % 1000 == 0 {
                assert_eq!(names.address_of("kept.example"), kept);
            }
        }
        assert_eq!(names.slots.len(), MAX_NAMES);
        assert_eq!(names.by_name.len(), MAX_NAMES);
        assert_eq!(names.by_address.len(), MAX_NAMES);
    }

    #[test]
    fn an_address_that_a_name_has_lost_stands_for_no_other_until_all_have_been_given() {
        let mut names = Names::default();
        let kept = names.address_of("kept.example");
        let lost = names.address_of("lost.example");
        let all = (LAST - FIRST + 1) as usize;
        for index in 2..all {
            names.address_of(&format!("n{index}.example"));
            names.address_of("kept.example");
            let there = names.name_at(lost);
            assert!(index < MAX_NAMES || there.is_none(), "{there:?}");
            if index < MAX_NAMES {
                // It was looked at just now: not for this test.
                names.slots[1].is_used = false;
            }
        }
        // Around, and past the one that is in use.
        assert_eq!(names.address_of("again.example"), lost);
        assert_eq!(names.name_at(kept).as_deref(), Some("kept.example"));
        assert_eq!(names.name_at(lost).as_deref(), Some("again.example"));
    }
}
