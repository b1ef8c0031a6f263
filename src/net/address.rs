//! Which address peers are told: the configured one, the one listened on, or the one of the default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The address to advertise for a socket listening on `listen`.
pub(crate) fn advertised(listen: IpAddr, configured: Option<IpAddr>) -> IpAddr {
    configured.unwrap_or_else(|| if listen.is_unspecified() { default_route(listen) } else { listen })
}

/// The address this host uses towards the internet; loopback when it has no route there.
fn default_route(listen: IpAddr) -> IpAddr {
    // Connecting a UDP socket sends nothing: the kernel only chooses the route. Both are documentation addresses.
    let (any, outside, loopback): (IpAddr, IpAddr, IpAddr) = match listen {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => {
            let outside = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            (Ipv6Addr::UNSPECIFIED.into(), outside.into(), Ipv6Addr::LOCALHOST.into())
        }
    };
    let chosen = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((outside, 9))?;
        socket.local_addr()
    };
    chosen().map_or(loopback, |address: std::net::SocketAddr| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_address_wins_then_the_one_listened_on_then_the_route() {
        let listen = IpAddr::from([127, 0, 0, 1]);
        let public = IpAddr::from([203, 0, 113, 7]);
        assert_eq!(advertised(listen, Some(public)), public);
        assert_eq!(advertised(listen, None), listen);
        assert!(!advertised(Ipv4Addr::UNSPECIFIED.into(), None).is_unspecified());
    }
}
