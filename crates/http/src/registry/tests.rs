//! Tests of the registry, on made-up time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        connections_max: 3,
        connections_per_address_max: 2,
        header_timeout: 5 * SECOND,
        idle_timeout: 20 * SECOND,
        ..Limits::default()
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn no_address_takes_all_places() {
    let registry = Arc::new(Registry::new(limits()));
    let now = Instant::now();
    let first = registry.admit(address(1), false, now);
    let second = registry.admit(address(1), false, now);
    assert!(first.is_some() && second.is_some());
    assert!(registry.admit(address(1), false, now).is_none());
    let other = registry.admit(address(2), false, now);
    assert!(other.is_some());
    drop(first);
    assert!(registry.admit(address(1), false, now).is_some());
    drop((second, other));
    assert_eq!(registry.len(), 0);
    assert!(registry.inner().per_address.is_empty());
}

#[test]
fn proxies_stand_for_many() {
    let registry = Arc::new(Registry::new(limits()));
    let now = Instant::now();
    let places: Vec<_> = (0..4).map(|_| registry.admit(address(1), true, now)).collect();
    assert_eq!(places.iter().flatten().count(), 3);
}

#[test]
fn a_full_house_makes_room_by_sending_away_the_longest_idle() {
    let registry = Arc::new(Registry::new(limits()));
    let start = Instant::now();
    let old = registry.admit(address(1), false, start).unwrap();
    let young = registry.admit(address(1), false, start + SECOND).unwrap();
    let lonely = registry.admit(address(2), false, start).unwrap();
    assert!(registry.admit(address(3), false, start).is_none(), "nobody is idle yet");
    let later = start + 3 * SECOND;
    let newcomer = registry.admit(address(3), false, later);
    assert!(newcomer.is_some());
    let orders = [&old, &young, &lonely].map(|place| place.activity.order());
    assert_eq!(orders, [Order::Stop, Order::Serve, Order::Serve]);
    drop(old);
    assert_eq!(registry.inner().leaving, 0);
}

#[test]
fn a_busy_connection_is_never_sent_away() {
    let registry = Arc::new(Registry::new(limits()));
    let now = Instant::now();
    let place = registry.admit(address(1), false, now).unwrap();
    let running = place.activity.begin(http::Version::HTTP_11);
    registry.look(now + 1000 * SECOND);
    assert_eq!(place.activity.order(), Order::Serve);
    drop(running);
    registry.look(now + 1010 * SECOND);
    assert_eq!(place.activity.order(), Order::Serve);
    registry.look(now + 1040 * SECOND);
    assert_eq!(place.activity.order(), Order::Finish);
    registry.look(now + 1050 * SECOND);
    assert_eq!(place.activity.order(), Order::Stop);
}

#[test]
fn an_ipv6_client_is_its_network() {
    let network_of = |text: &str| client_network(text.parse().unwrap());
    assert_eq!(network_of("2001:db8::1"), network_of("2001:db8::ffff:1"));
    assert_ne!(network_of("2001:db8::1"), network_of("2001:db8:0:1::1"));
}
