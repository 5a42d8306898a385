//! Where targets may be: not on the gateway's own machine, where people and programs are believed
//! who they are without a password, unless its operator says so.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use serde_json::json;

use crate::kit::Site;

/// The address that others reach this machine at, where there is one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: it is a documentation address.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    Some(address).filter(|address| !address.is_loopback())
}

#[test]
fn targets_are_not_on_the_machine_of_their_gateway() {
    let site = Site::new();
    let mut command = site.server(&site.data());
    command.env_remove("KEYSHERD_ALLOW_LOCAL_TARGETS");
    let server = site.launch(command).ready();
    let admin = server.admin();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let hosts = ["127.0.0.1", "127.8.7.6", "localhost", "db.localhost", "0.0.0.0", "::1"];
    let hosts = hosts.map(str::to_owned).into_iter().chain(own_address().map(|a| a.to_string()));
    for (number, host) in hosts.enumerate() {
        for (db_type, engine) in [
            ("postgres", "postgresql"),
            ("redis", "redis"),
            ("mongodb", "mongodb"),
            ("mssql", "mssql"),
            ("cassandra", "cassandra"),
            ("hanadb", "hanadb"),
        ] {
            let target = format!("/db/{db_type}/{number}");
            let args = json!({
                "name": target, "db-type": db_type, "host": host, "port": port, "ssl": false,
                "user-name": "keeper", "pwd": "canary-password", "connection-type": "credentials",
            });
            admin.ok("target-create-db", args);
            let args = json!({"name": format!("/dyn/{db_type}/{number}"), "target-name": target});
            let reply = admin.call(&format!("dynamic-secret-create-{engine}"), args);
            let said = reply.text();
            assert!(!reply.is_success(), "{host}: {said}");
            assert!(said.contains("--allow-local-targets"), "{host}: {said}");
        }
    }
    let nobody = listener.accept().map(drop).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock, "somebody was connected to");
}
