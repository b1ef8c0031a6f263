//! How many connections a listener takes, in all and from one address. A connection too many is closed at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The part of an IPv6 address that is the network's: a customer is given at least all addresses behind it.
const NETWORK: u128 = !0 << 64;

/// The counts of one listener, shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    counts: Arc<Mutex<Counts>>,
    total: usize,
    per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionLimits {
    /// At most `total` connections, of which `per_address` from one address.
    pub(crate) fn new(total: usize, per_address: usize) -> Self {
        Self { counts: Arc::default(), total, per_address }
    }

    /// Room for one connection more, given back when the permit is dropped.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Permit> {
        let address = customer(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.total || held >= self.per_address {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, held + 1);
        Some(Permit { limits: self.clone(), address })
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
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        match counts.by_address.get_mut(&self.address) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => drop(counts.by_address.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_places_come_back() {
        let limits = ConnectionLimits::new(3, 2);
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
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let limits = ConnectionLimits::new(3, 1);
        let held = limits.admit("2001:db8::1".parse().unwrap());
        assert!(held.is_some() && limits.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(limits.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
