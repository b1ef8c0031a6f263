//! Which address peers are told: the configured one, the one listened on, or the one of the default route. And how an IPv4 peer is
//! written on a socket of both families (RFC 4291 §2.5.5.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A peer as everybody else knows it: `::ffff:192.0.2.1` is 192.0.2.1.
pub(crate) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// A peer as a socket bound to `local` takes it.
pub(crate) fn native(peer: SocketAddr, local: IpAddr) -> SocketAddr {
    match (peer.ip(), local) {
        (IpAddr::V4(ip), IpAddr::V6(_)) => SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port()),
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), _) => peer,
    }
}

/// The address to advertise for a socket listening on `listen`.
pub(crate) fn advertised(listen: IpAddr, configured: Option<IpAddr>) -> IpAddr {
    configured.unwrap_or_else(|| if listen.is_unspecified() { default_route(listen) } else { listen })
}

/// The address this host uses towards the internet; loopback when it has no route there. A socket of both families falls back to
/// IPv4.
fn default_route(listen: IpAddr) -> IpAddr {
    // Documentation addresses: nothing is sent to them.
    let v4 = || route((Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()));
    match listen {
        IpAddr::V4(_) => v4().unwrap_or(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => {
            let outside = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            let v6 = route((Ipv6Addr::UNSPECIFIED.into(), outside.into()));
            v6.or_else(v4).unwrap_or(Ipv6Addr::LOCALHOST.into())
        }
    }
}

/// Connecting a UDP socket sends nothing: the kernel only chooses the route.
fn route((any, outside): (IpAddr, IpAddr)) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((outside, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_looks_the_same_on_sockets_of_one_and_of_both_families() {
        let peer: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5060".parse().unwrap();
        assert_eq!((canonical(mapped), canonical(peer)), (peer, peer));
        assert_eq!(native(peer, Ipv6Addr::UNSPECIFIED.into()), mapped);
        assert_eq!(native(peer, Ipv4Addr::UNSPECIFIED.into()), peer);
    }

    #[test]
    fn the_configured_address_wins_then_the_one_listened_on_then_the_route() {
        let listen = IpAddr::from([127, 0, 0, 1]);
        let public = IpAddr::from([203, 0, 113, 7]);
        assert_eq!(advertised(listen, Some(public)), public);
        assert_eq!(advertised(listen, None), listen);
        assert!(!advertised(Ipv4Addr::UNSPECIFIED.into(), None).is_unspecified());
    }
}
