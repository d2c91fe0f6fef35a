//! Which synthetic address stands for which name, both ways, for as long as there is room.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Far more than a program holds on to; each takes some 300 bytes at most.
const MAX_NAMES: usize = 16_384;
/// 198.18.0.2: the resolver has the one before.
const FIRST: u32 = 0xc612_0002;

struct Slot {
    name: Rc<str>,
    /// Since the hand last came by.
    is_used: bool,
}

#[derive(Default)]
pub struct Names {
    slots: Vec<Slot>,
    by_name: HashMap<Rc<str>, usize>,
    /// Where the next one that has not been used for longest is looked for (the clock algorithm).
    hand: usize,
}

impl Names {
    /// The name's address; a new name may take that of one that has not been used for long.
    pub fn address_of(&mut self, name: &str) -> Ipv4Addr {
        if let Some(&place) = self.by_name.get(name) {
            self.slots[place].is_used = true;
            return address_at(place);
        }
        let name: Rc<str> = Rc::from(name);
        let slot = Slot {
            name: Rc::clone(&name),
            is_used: false,
        };
        let place = if self.slots.len() < MAX_NAMES {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.take_unused();
            self.by_name.remove(&self.slots[place].name);
            self.slots[place] = slot;
            place
        };
        self.by_name.insert(name, place);
        address_at(place)
    }

    pub fn name_at(&mut self, address: Ipv4Addr) -> Option<Rc<str>> {
        let place = usize::try_from(u32::from(address).checked_sub(FIRST)?).ok()?;
        let slot = self.slots.get_mut(place)?;
        slot.is_used = true;
        Some(Rc::clone(&slot.name))
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

fn address_at(place: usize) -> Ipv4Addr {
    // Places are below MAX_NAMES.
    Ipv4Addr::from(FIRST + u32::try_from(place).unwrap_or(0))
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
    }
}
