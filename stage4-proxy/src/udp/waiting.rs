//! Datagrams that wait for the address of their target.

/// Datagrams of one key that wait: a client asks again, and more of them would only be late.
const PER_KEY: usize = 4;
/// Datagrams of all keys that wait, and their bytes, in one worker.
const DATAGRAMS: usize = 1024;
const BYTES: usize = 4 * 1024 * 1024;

/// A bounded set of datagrams, each of one key.
#[derive(Debug)]
pub(super) struct Waiting<K> {
    datagrams: Vec<(K, Box<[u8]>)>,
    bytes: usize,
}

impl<K: Clone + PartialEq> Waiting<K> {
    /// Creates an empty set.
    pub(super) fn new() -> Self {
        Self {
            datagrams: Vec::new(),
            bytes: 0,
        }
    }

    /// Lets a datagram wait; returns whether there is room for it.
    #[must_use]
    pub(super) fn put(&mut self, key: &K, datagram: &[u8]) -> bool {
        let of_key = self.datagrams.iter().filter(|(known, _)| known == key);
        let has_room = of_key.count() < PER_KEY
            && self.datagrams.len() < DATAGRAMS
            && self.bytes + datagram.len() <= BYTES;
        if has_room {
            self.bytes += datagram.len();
            self.datagrams.push((key.clone(), datagram.into()));
        }
        has_room
    }

    /// Takes the datagrams of a key, in the order in which they came.
    pub(super) fn take(&mut self, key: &K) -> Vec<Box<[u8]>> {
        let taken = self.datagrams.extract_if(.., |(known, _)| known == key);
        let taken: Vec<_> = taken.map(|(_, datagram)| datagram).collect();
        self.bytes -= taken.iter().map(|datagram| datagram.len()).sum::<usize>();
        taken
    }

    /// Drops the datagrams of the keys that `is_over` names, and returns their number.
    pub(super) fn take_all(&mut self, is_over: impl Fn(&K) -> bool) -> usize {
        let before = self.datagrams.len();
        self.datagrams.retain(|(key, _)| !is_over(key));
        self.bytes = self
            .datagrams
            .iter()
            .map(|(_, datagram)| datagram.len())
            .sum();
        before - self.datagrams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_few_places_and_all_keys_have_a_bound() {
        let mut waiting = Waiting::new();
        for number in 0..4 {
            assert!(waiting.put(&1, &[number]));
        }
        assert!(!waiting.put(&1, &[4]), "four wait");
        assert!(waiting.put(&2, &[0; 60_000]));
        let taken = waiting.take(&1);
        let first: Vec<u8> = taken.iter().map(|datagram| datagram[0]).collect();
        assert_eq!(first, [0, 1, 2, 3]);
        assert!(waiting.put(&1, &[4]));
        let all = (3..).take_while(|key| waiting.put(key, &[0; 60_000]));
        assert_eq!(all.count(), BYTES / 60_000 - 1);
        for key in 0..BYTES {
            if waiting.take(&key).is_empty() && key > 2 {
                break;
            }
        }
        assert_eq!((waiting.bytes, waiting.datagrams.len()), (0, 0));
    }
}
