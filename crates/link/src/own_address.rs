//! Which of this machine's addresses others see.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};

/// The address that this machine would connect to `address` (`host:port`) from, by its own routing
/// table: nothing is sent. `None` when the name is not resolved or there is no route.
pub async fn own_address(address: &str) -> Option<IpAddr> {
    let remote = lookup_host(address).await.ok()?.next()?;
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(remote).await.ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_way_to_this_machine_begins_on_it() {
        let loopback = own_address("127.0.0.1:9").await.unwrap();
        assert!(loopback.is_loopback(), "{loopback}");
        assert!(own_address("no port").await.is_none());
    }
}
