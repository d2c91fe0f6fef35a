//! What the kernel knows by number, known here by path: a host that comes back, or another one, is asked by paths only.

use std::collections::HashMap;

/// The kernel's number of a mount's own root.
pub const ROOT: u64 = 1;
/// PATH_MAX without its NUL.
const MAX_PATH_BYTES: usize = 4095;

type Place = (u64, Vec<u8>);

#[derive(Debug, Default)]
struct Node {
    /// Directory and name, the newest last. Several for a file with hard links, none once it is unlinked.
    places: Vec<Place>,
    /// How often the kernel has been told of it, and has not forgotten it.
    lookups: u64,
}

#[derive(Debug, Default)]
pub struct Nodes {
    by_number: HashMap<u64, Node>,
    by_place: HashMap<Place, u64>,
}

impl Nodes {
    /// Below the mount's root, without a slash at the start; empty for the root. None: it has no name any more, or too long a one.
    pub fn path(&self, number: u64) -> Option<Vec<u8>> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut bytes = 0;
        let mut at = number;
        while at != ROOT {
            let (parent, name) = self.by_number.get(&at)?.places.last()?;
            bytes += name.len() + 1;
            // Also the end of a circle, which host directories that are moved about may leave behind.
            if bytes > MAX_PATH_BYTES + 1 {
                return None;
            }
            names.push(name);
            at = *parent;
        }
        names.reverse();
        Some(names.join(&b'/'))
    }

    pub fn path_of(&self, parent: u64, name: &[u8]) -> Option<Vec<u8>> {
        let mut path = self.path(parent)?;
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        (path.len() <= MAX_PATH_BYTES).then_some(path)
    }

    /// The directory that one lies in, as far as that is known.
    pub fn parent(&self, number: u64) -> u64 {
        let node = self.by_number.get(&number);
        node.and_then(|node| node.places.last())
            .map_or(ROOT, |(parent, _)| *parent)
    }

    /// The kernel is told that a place holds this number.
    pub fn learn(&mut self, parent: u64, name: &[u8], number: u64, is_directory: bool) {
        let place = (parent, name.to_vec());
        if let Some(old) = self.by_place.insert(place.clone(), number)
            && old != number
            && let Some(node) = self.by_number.get_mut(&old)
            // What has been replaced by the host keeps its last name: who works in it goes on in what has that name now.
            && node.places.len() > 1
        {
            node.places.retain(|known| *known != place);
        }
        let node = self.by_number.entry(number).or_default();
        node.lookups += 1;
        if is_directory {
            // A directory is in one place, however often the host moves it.
            for old in std::mem::take(&mut node.places) {
                if old != place && self.by_place.get(&old) == Some(&number) {
                    self.by_place.remove(&old);
                }
            }
        } else {
            node.places.retain(|known| *known != place);
        }
        node.places.push(place);
    }

    pub fn unlink(&mut self, parent: u64, name: &[u8]) {
        let place = (parent, name.to_vec());
        if let Some(number) = self.by_place.remove(&place)
            && let Some(node) = self.by_number.get_mut(&number)
        {
            node.places.retain(|known| *known != place);
        }
    }

    pub fn rename(&mut self, from: (u64, &[u8]), to: (u64, &[u8])) {
        let (from, to) = ((from.0, from.1.to_vec()), (to.0, to.1.to_vec()));
        if from == to {
            return;
        }
        let moved = self.by_place.get(&from).copied();
        let replaced = self.by_place.get(&to).copied();
        // Two names of one file: the rename does nothing.
        if moved.is_some() && moved == replaced {
            return;
        }
        self.unlink(to.0, &to.1);
        let Some(number) = moved else {
            return;
        };
        self.by_place.remove(&from);
        if let Some(node) = self.by_number.get_mut(&number) {
            node.places.retain(|known| *known != from);
            node.places.push(to.clone());
            self.by_place.insert(to, number);
        }
    }

    pub fn forget(&mut self, number: u64, lookups: u64) {
        let Some(node) = self.by_number.get_mut(&number) else {
            return;
        };
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups > 0 {
            return;
        }
        if let Some(node) = self.by_number.remove(&number) {
            for place in node.places {
                if self.by_place.get(&place) == Some(&number) {
                    self.by_place.remove(&place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Nodes {
        let mut nodes = Nodes::default();
        nodes.learn(ROOT, b"a", 10, true);
        nodes.learn(10, b"b", 11, true);
        nodes.learn(11, b"c", 12, false);
        nodes
    }

    #[test]
    fn a_number_leads_to_its_path() {
        let nodes = tree();
        assert_eq!(nodes.path(ROOT).unwrap(), b"");
        assert_eq!(nodes.path(12).unwrap(), b"a/b/c");
        assert_eq!(nodes.path_of(ROOT, b"x").unwrap(), b"x");
        assert_eq!(nodes.path_of(11, b"x").unwrap(), b"a/b/x");
        assert_eq!(nodes.path(99), None);
        assert_eq!(nodes.parent(11), 10);
    }

    #[test]
    fn what_is_moved_takes_what_is_below_along() {
        let mut nodes = tree();
        nodes.rename((10, b"b"), (ROOT, b"z"));
        assert_eq!(nodes.path(12).unwrap(), b"z/c");
        nodes.rename((ROOT, b"z"), (ROOT, b"z"));
        assert_eq!(nodes.path(12).unwrap(), b"z/c");
    }

    #[test]
    fn what_a_rename_replaces_has_no_name_any_more() {
        let mut nodes = tree();
        nodes.learn(11, b"d", 13, false);
        nodes.rename((11, b"d"), (11, b"c"));
        assert_eq!(nodes.path(13).unwrap(), b"a/b/c");
        assert_eq!(nodes.path(12), None);
    }

    #[test]
    fn a_file_with_two_names_lives_as_long_as_one_of_them() {
        let mut nodes = tree();
        nodes.learn(ROOT, b"hard", 12, false);
        nodes.unlink(ROOT, b"hard");
        assert_eq!(nodes.path(12).unwrap(), b"a/b/c");
        nodes.unlink(11, b"c");
        assert_eq!(nodes.path(12), None);
    }

    #[test]
    fn what_the_host_has_replaced_keeps_its_last_name() {
        let mut nodes = tree();
        nodes.learn(11, b"c", 77, false);
        assert_eq!(nodes.path(77).unwrap(), b"a/b/c");
        assert_eq!(nodes.path(12).unwrap(), b"a/b/c");
        nodes.unlink(11, b"c");
        assert_eq!(nodes.path(77), None);
    }

    #[test]
    fn a_directory_that_the_host_moved_is_in_its_new_place() {
        let mut nodes = tree();
        nodes.learn(ROOT, b"moved", 11, true);
        assert_eq!(nodes.path(12).unwrap(), b"moved/c");
    }

    #[test]
    fn a_number_is_kept_until_the_kernel_has_forgotten_it_as_often_as_it_heard_of_it() {
        let mut nodes = tree();
        nodes.learn(11, b"c", 12, false);
        nodes.forget(12, 1);
        assert_eq!(nodes.path(12).unwrap(), b"a/b/c");
        nodes.forget(12, 1);
        assert_eq!(nodes.path(12), None);
        nodes.forget(12, 1);
        assert!(nodes.by_place.len() == 2);
    }

    #[test]
    fn a_circle_and_a_path_that_is_too_long_have_no_path() {
        let mut nodes = Nodes::default();
        nodes.learn(21, b"x", 20, true);
        nodes.learn(20, b"y", 21, true);
        assert_eq!(nodes.path(20), None);
        nodes.learn(ROOT, &[b'n'; 255], 30, true);
        for number in 31..50 {
            nodes.learn(number - 1, &[b'n'; 255], number, true);
        }
        assert_eq!(nodes.path(49), None);
    }
}
