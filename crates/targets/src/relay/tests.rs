//! Drivers of this process, and others who come to the port.

use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use keysherd_egress::heard::{Bound, Heard, SAID_BYTES_MAX};

/// A relay, and the server behind it.
async fn relay() -> (Relay, DuplexStream) {
    let (near, far) = duplex(64 * 1024);
    let relay = Relay::to(Box::new(Heard::new(near, Bound::default()))).await.unwrap();
    (relay, far)
}

/// What is answered to whoever is none of this process.
async fn told_to_others(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // They are hung up on; whether that is an end or a reset is the machine's.
    let _ = stream.read_to_end(&mut heard).await;
    heard
}

#[tokio::test]
async fn this_process_gets_through() {
    let (relay, mut server) = relay().await;
    let mut driver = TcpStream::connect(relay.address()).await.unwrap();
    driver.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    server.write_all(b"welcome").await.unwrap();
    drop(server);
    let mut heard = Vec::new();
    driver.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"welcome");
}

#[tokio::test]
async fn nobody_gets_through_beside_the_driver_or_after_it() {
    let (relay, mut server) = relay().await;
    let mut driver = TcpStream::connect(relay.address()).await.unwrap();
    driver.write_all(b"x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    let second = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(told_to_others(second).await, b"");
    // The driver is not disturbed.
    server.write_all(b"y").await.unwrap();
    assert_eq!(driver.read_u8().await.unwrap(), b'y');
    drop(driver);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    // Who comes back is refused, and the port is still taken.
    let third = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(told_to_others(third).await, b"");
    assert!(std::net::TcpListener::bind(relay.address()).is_err());
}

#[tokio::test]
async fn another_process_that_is_faster_gets_nothing_and_does_not_keep_the_driver_out() {
    let (relay, mut server) = relay().await;
    let port = relay.address().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf stolen >&3; cat <&3; true");
    let thief = tokio::task::spawn_blocking(move || {
        let bash = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output();
        bash.unwrap()
    });
    // It is hung up on: it would wait for ever otherwise.
    let thief = thief.await.unwrap();
    assert!(thief.status.success(), "{thief:?}");
    assert_eq!(thief.stdout, b"");
    let mut driver = TcpStream::connect(relay.address()).await.unwrap();
    driver.write_all(b"ours").await.unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ours");
}

#[tokio::test]
async fn a_connection_is_told_from_those_of_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let SocketAddr::V4(to) = listener.local_addr().unwrap() else { panic!() };
    let ours = TcpStream::connect(to).await.unwrap();
    let SocketAddr::V4(from) = ours.local_addr().unwrap() else { panic!() };
    let (_held, _) = listener.accept().await.unwrap();
    assert!(is_of_this_process(from, to).unwrap());
    // Nobody's: another address, another port, and one whose socket was closed.
    let elsewhere = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), from.port());
    assert!(!is_of_this_process(elsewhere, to).unwrap());
    assert!(!is_of_this_process(SocketAddrV4::new(*from.ip(), 1), to).unwrap());
    drop(ours);
    assert!(!is_of_this_process(from, to).unwrap());
}

#[tokio::test]
async fn a_server_that_talks_without_end_is_not_carried_on() {
    let (relay, mut server) = relay().await;
    let driver = TcpStream::connect(relay.address()).await.unwrap();
    let talker = tokio::spawn(async move { while server.write_all(&[7; 4_096]).await.is_ok() {} });
    assert!(told_to_others(driver).await.len() <= SAID_BYTES_MAX);
    talker.await.unwrap();
}

#[tokio::test]
async fn it_ends_with_its_value() {
    let (relay, mut server) = relay().await;
    let address = relay.address();
    let mut driver = TcpStream::connect(address).await.unwrap();
    driver.write_all(b"x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    drop(relay);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(told_to_others(driver).await, b"");
    assert!(TcpStream::connect(address).await.is_err());
}
