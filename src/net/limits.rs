//! How many connections a listener takes: in all, and of strangers in all and from one address. A connection too many is closed at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The part of an IPv6 address that is the network's: a customer is given at least all addresses behind it.
const NETWORK: u128 = !0 << 64;

/// The counts of one listener, shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    counts: Arc<Mutex<Counts>>,
    total: usize,
    strangers: usize,
    per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    strangers: usize,
    /// The strangers of each.
    by_address: HashMap<IpAddr, usize>,
}

impl Counts {
    fn forget_stranger(&mut self, address: IpAddr) {
        self.strangers -= 1;
        match self.by_address.get_mut(&address) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => drop(self.by_address.remove(&address)),
        }
    }
}

impl ConnectionLimits {
    /// At most `total` connections, of which `strangers` of peers that have not proved who they are, `per_address` of those from one
    /// address.
    pub(crate) fn new(total: usize, strangers: usize, per_address: usize) -> Self {
        Self { counts: Arc::default(), total, strangers, per_address }
    }

    /// Room for one connection more, given back when the permit is dropped.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Permit> {
        let address = customer(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.total || counts.strangers >= self.strangers || held >= self.per_address {
            return None;
        }
        counts.total += 1;
        counts.strangers += 1;
        counts.by_address.insert(address, held + 1);
        Some(Permit { limits: self.clone(), address, proven: AtomicBool::new(false) })
    }
}

/// Whom an address stands for.
pub(crate) fn customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: ConnectionLimits,
    address: IpAddr,
    proven: AtomicBool,
}

impl Permit {
    /// The peer has proved who it is: it takes no stranger's place any more. An office whose connections all broke at once comes back
    /// beside those that nobody has missed yet.
    pub(crate) fn prove(&self) {
        if !self.proven.swap(true, Ordering::Relaxed) {
            let mut counts = self.limits.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.forget_stranger(self.address);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if !*self.proven.get_mut() {
            counts.forget_stranger(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_places_come_back() {
        let limits = ConnectionLimits::new(3, 3, 2);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = limits.admit(a).unwrap();
        let second = limits.admit(a).unwrap();
        assert!(limits.admit(a).is_none(), "two from one address are enough");
        let third = limits.admit(b).unwrap();
        assert!(limits.admit(b).is_none(), "three in all are enough");
        drop(first);
        assert!(limits.admit(b).is_some());
        drop((second, third));
        assert!(limits.counts.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn who_is_proven_takes_no_strangers_place_but_one_of_all() {
        let limits = ConnectionLimits::new(4, 2, 1);
        let (a, b, c) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 3]));
        let first = limits.admit(a).unwrap();
        assert!(limits.admit(a).is_none(), "one stranger from one address is enough");
        first.prove();
        first.prove();
        let second = limits.admit(a).unwrap();
        let third = limits.admit(b).unwrap();
        assert!(limits.admit(c).is_none(), "two strangers in all are enough");
        second.prove();
        let fourth = limits.admit(c).unwrap();
        fourth.prove();
        assert!(limits.admit(a).is_none(), "four in all are enough");
        drop((first, second, third, fourth));
        let counts = limits.counts.lock().unwrap();
        assert_eq!((counts.total, counts.strangers, counts.by_address.len()), (0, 0, 0));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let limits = ConnectionLimits::new(3, 3, 1);
        let held = limits.admit("2001:db8::1".parse().unwrap());
        assert!(held.is_some() && limits.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(limits.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
