//! The bound on the sessions of one client's address: `--max-per-client`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// How many sessions each address has, over all workers: clones share one table.
///
/// The kernel spreads the connections of one address over the workers as it likes, so that with a table for
/// each worker a client could have between the bound and `--threads` times the bound. With this one it
/// has the bound exactly. The price is a lock, taken twice in the life of a session and held for one step in a map.
///
/// The table has an entry for each address with a session, so it never has more than `--max-connections`.
#[derive(Clone, Debug)]
pub struct PerClient {
    most: NonZeroU32,
    sessions: Arc<Mutex<HashMap<IpAddr, NonZeroU32>>>,
}

/// A place among the sessions of an address; it is given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    all: PerClient,
    key: IpAddr,
}

impl PerClient {
    /// Creates the table of a proxy on which each address may have `most` sessions.
    #[must_use]
    pub fn new(most: NonZeroU32) -> Self {
        Self {
            most,
            sessions: Arc::default(),
        }
    }

    /// Takes a place for a client at this address; returns `None` if it has as many as it may have.
    #[must_use]
    pub fn enter(&self, client: IpAddr) -> Option<Place> {
        let key = key(client);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(NonZeroU32::MIN);
            }
            Entry::Occupied(mut entry) if *entry.get() < self.most => {
                entry.insert(entry.get().saturating_add(1));
            }
            Entry::Occupied(_) => return None,
        }
        let all = self.clone();
        Some(Place { all, key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self
            .all
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = sessions.entry(self.key) {
            match NonZeroU32::new(entry.get().get() - 1) {
                Some(fewer) => {
                    entry.insert(fewer);
                }
                // Otherwise every address that has ever come would stay.
                None => {
                    entry.remove();
                }
            }
        }
    }
}

/// Returns what counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address.
///
/// A machine chooses the other 64 bits itself, and may have as many of them as it likes at the same time (RFC 4291 section 2.5.1,
/// RFC 8981). So one of 2^64 addresses says nothing, and a network smaller than a /64 is assigned to no customer.
fn key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(u64::MAX) << 64;
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(most: u32) -> PerClient {
        PerClient::new(NonZeroU32::new(most).unwrap())
    }

    fn known(table: &PerClient) -> usize {
        table.sessions.lock().unwrap().len()
    }

    #[test]
    fn an_ipv6_client_is_a_network_of_64_bits() {
        let pairs = [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("::1", "::2", true),
            ("0.0.0.1", "::1", false),
        ];
        for (one, other, same) in pairs {
            let table = table(1);
            let _place = table.enter(one.parse().unwrap()).unwrap();
            let second = table.enter(other.parse().unwrap());
            assert_eq!(second.is_none(), same, "{one} and {other}");
        }
    }

    #[test]
    fn all_clones_count_together_and_a_place_that_is_dropped_is_free() {
        let tables = [table(2)].map(|table| (table.clone(), table));
        let [(one, other)] = tables;
        let client = "192.0.2.1".parse().unwrap();
        let places = [one.enter(client), other.enter(client)];
        assert!(places.iter().all(Option::is_some));
        assert!(one.enter(client).is_none() && other.enter(client).is_none());
        drop(places);
        assert_eq!(known(&one), 0);
        assert!(other.enter(client).is_some());
    }

    #[test]
    fn threads_together_never_have_more_than_the_bound() {
        let (table, client) = (table(3), IpAddr::from([192, 0, 2, 1]));
        let most = Mutex::new((0, 0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let Some(place) = table.enter(client) else {
                            std::thread::yield_now();
                            continue;
                        };
                        let mut now = most.lock().unwrap();
                        *now = (now.0 + 1, now.1.max(now.0 + 1));
                        drop(now);
                        std::thread::yield_now();
                        most.lock().unwrap().0 -= 1;
                        drop(place);
                    }
                });
            }
        });
        assert!(most.lock().unwrap().1 <= 3);
        assert_eq!(known(&table), 0);
    }

    proptest! {
        /// Clients of few addresses come and go in any order; a model counts along.
        #[test]
        fn no_address_has_more_than_the_bound_and_none_is_kept_without_a_session(
            most in 1..5_u32,
            steps in proptest::collection::vec((0..6_u8, any::<bool>(), any::<prop::sample::Index>(), any::<u16>()), 0..200),
        ) {
            let table = table(most);
            let mut open: Vec<(u8, Place)> = Vec::new();
            for (number, comes, which, last) in steps {
                let client = match number {
                    0..3 => IpAddr::from([192, 0, 2, number]),
                    _ => IpAddr::from([0x2001, 0xdb8, 0, u16::from(number), 0, 0, 0, last]),
                };
                let count = open.iter().filter(|(other, _)| *other == number).count();
                if comes {
                    let place = table.enter(client);
                    prop_assert_eq!(place.is_some(), count < most as usize);
                    open.extend(place.map(|place| (number, place)));
                } else if !open.is_empty() {
                    open.swap_remove(which.index(open.len()));
                }
                let mut numbers: Vec<_> = open.iter().map(|(number, _)| number).collect();
                numbers.sort_unstable();
                numbers.dedup();
                prop_assert_eq!(known(&table), numbers.len());
            }
        }
    }
}
