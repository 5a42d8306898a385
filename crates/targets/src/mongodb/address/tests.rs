//! Which addresses are read, and that none leads where nobody looked.

use super::*;

const FIELD: &str = "mongodb-server-uri";

fn at(address: &str) -> Result<Site, Fault> {
    Site::at(Named::none(FIELD).with(Some(address)), Named::none("mongodb-default-auth-db"))
}

#[test]
fn addresses_say_hosts_users_and_databases() {
    let site =
        at("mongodb://ann%40x:p%3Aq%2F@a.example,b.example:27018,[fd00::1]:1/sales?tls=true\
                   &authSource=%24external&replicaSet=rs0")
        .unwrap_err();
    assert!(site.public().contains("database"), "{site}");
    let site =
        at("mongodb://ann%40x:p%3Aq%2F@a.example,b.example:27018,[fd00::1]:1/sales?tls=true\
                   &authSource=keepers&replicaSet=rs0")
        .unwrap();
    assert_eq!(site.place(), "a.example:27017,b.example:27018,[fd00::1]:1");
    let (user, password) = site.credentials().unwrap();
    assert_eq!((user, password.expose().as_str()), ("ann@x", "p:q/"));
    assert_eq!((site.database(), site.source()), ("sales", "keepers"));
    assert!(site.servers().iter().all(Server::is_encrypted));
    let site = at("mongodb://a:b@h.example:1/?ssl=false").unwrap();
    assert_eq!((site.database(), site.source()), ("admin", "admin"));
    assert!(site.warning().is_some());
    // Without a word, connections leave the machine encrypted.
    assert!(at("mongodb://a:b@h.example").unwrap().servers()[0].is_encrypted());
    assert!(!at("mongodb://a:b@127.0.0.1").unwrap().servers()[0].is_encrypted());
    let site = site.signed_in_as("tmp", &SecretString::new("x".to_owned())).unwrap();
    assert_eq!(site.credentials().unwrap().0, "tmp");
}

#[test]
fn what_is_no_address_is_refused_without_being_repeated() {
    for bad in [
        "mongodb+srv://ann:canary@cluster.example/",
        "http://ann:canary@h.example",
        "ann:canary@h.example",
        "mongodb://h.example",
        "mongodb://ann:@h.example/canary",
        "mongodb://:canary@h.example/",
        "mongodb://ann:canary%4@h.example/",
        "mongodb://ann:canary%ff@h.example/",
        "mongodb://ann:canary@h.example:0/",
        "mongodb://ann:canary@h.example:99999/",
        "mongodb://ann:canary@/",
        "mongodb://ann:canary@a,,b/",
        "mongodb://ann:canary@a,b,c,d,e,f,g,h,i/",
        "mongodb://ann:canary@%2Ftmp%2Fmongodb.sock/",
        "mongodb://ann:canary@h.example/a.b",
        "mongodb://ann:canary@h.example/?tls=maybe",
        "mongodb://ann:canary@h.example/?tls=true&ssl=false",
        "mongodb://ann:canary@h.example/?tlsInsecure=true",
        "mongodb://ann:canary@h.example/?tlsAllowInvalidCertificates=1",
        "mongodb://ann:canary@h.example/?TLSALLOWINVALIDHOSTNAMES=true",
        "mongodb://ann:canary@h.example/?tlsCAFile=/etc/passwd",
        "mongodb://ann:canary@h.example/?authMechanism=PLAIN",
        "mongodb://ann:canary@h.example/?authSource=",
        "mongodb://ann:canary@h.example/?authSource=a%00b",
    ] {
        let Err(fault) = at(bad) else { panic!("{bad} is taken") };
        assert!(!format!("{fault:?}").contains("canary"), "{bad}: {fault:?}");
    }
    let long = format!("mongodb://a:b@h.example/?x={}", "y".repeat(ADDRESS_BYTES_MAX));
    assert!(at(&long).is_err());
}
