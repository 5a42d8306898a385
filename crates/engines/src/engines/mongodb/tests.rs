//! Users on a server that speaks MongoDB's protocol: FerretDB, where it was built (`cargo xtask
//! ferretdb`), which knows users and passwords and no roles. What it does not know is tried on a
//! stand-in for MongoDB (`stand_in`).

pub(crate) mod real;
mod stand_in;

use super::*;
use crate::testing::{Caller, settings, target, way};

/// A dynamic secret with its target.
struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)], target: Settings) -> Self {
        Self { settings: settings(&Mongodb, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "mongodb", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Mongodb.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self) -> Plan {
        Mongodb.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Mongodb.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        Mongodb.revoke(&self.scene(), handle).await
    }
}

fn somewhere(more: &[(&'static str, &str)]) -> Settings {
    let plain = [
        ("db-type", "mongodb"),
        ("host", "db.example"),
        ("user-name", "keeper"),
        ("pwd", "canary-password"),
        ("db-name", "sales"),
    ];
    target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
}

#[test]
fn roles_are_read_as_people_write_them() {
    let read = |text: &str| {
        let settings = settings(&Mongodb, &[("mongodb-roles", text)]);
        roles(&settings, "own").map(|roles| format!("{roles:?}"))
    };
    let expected = read("[{\"role\": \"read\", \"db\": \"sales\"}, \"dbOwner\"]").unwrap();
    for same in [
        "[{role: read, db: sales}, dbOwner]",
        "[{role:read,db:sales},'dbOwner']",
        "[{roleName:read, databaseName : sales}, {role: dbOwner, db: own}]",
        "- role: read\n  db: sales\n- dbOwner\n",
    ] {
        assert_eq!(read(same).unwrap(), expected, "{same}");
    }
    for bad in [
        "read",
        "{\"role\": \"read\"}",
        "[[\"read\"]]",
        "[{}]",
        "[7]",
        "[\"\"]",
        "[{\"db\": \"sales\"}]",
        "[{\"role\": 7}]",
        "[{\"role\": \"read\", \"db\": 7}]",
        "[{\"role\": \"read\", \"pwd\": \"x\"}]",
        "[\"a\\u0000b\"]",
        "[",
    ] {
        let fault = read(bad).unwrap_err();
        assert!(fault.public().contains("mongodb-roles"), "{bad}: {fault}");
    }
    assert!(read(&format!("[{}\"x\"]", "\"x\",".repeat(64))).is_err());
    assert!(read(&format!("[\"{}\"]", "x".repeat(16 << 10))).is_err());
}

#[test]
fn what_is_wide_is_warned_of_and_what_makes_no_sense_is_refused() {
    let warned = |roles: &str| {
        Stage::new(&[("mongodb-roles", roles)], somewhere(&[])).check().unwrap().join("; ")
    };
    assert_eq!(warned("[{role: read, db: sales}]"), "");
    assert!(warned("[]").contains("no roles"));
    assert!(warned("[{role: root, db: admin}]").contains("'root' may do everything"));
    let plain = somewhere(&[("ssl", "false")]);
    let warnings = Stage::new(&[("mongodb-roles", "[read]")], plain).check().unwrap();
    assert!(warnings[0].contains("not encrypted"), "{warnings:?}");
    for (field, value) in [
        ("mongodb-custom-data", "[]"),
        ("mongodb-custom-data", "{"),
        ("mongodb-scopes", "[]"),
        ("mongodb-atlas-project-id", "p"),
        ("mongodb-atlas-api-private-key", "canary-key"),
        ("user-ttl", "soon"),
        ("password-length", "4"),
    ] {
        let fault = Stage::new(&[(field, value)], somewhere(&[])).check().unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    for target in [&[("mongodb-atlas", "true")][..], &[("connection-type", "cloud-identity")]] {
        assert!(Stage::new(&[], somewhere(target)).check().is_err(), "{target:?}");
    }
    let postgres = target(&[("db-type", "postgres"), ("host", "a"), ("pwd", "b")]);
    let postgres = TargetUse { type_name: "postgres", settings: &postgres };
    assert!(Mongodb.check(&settings(&Mongodb, &[]), Some(&postgres)).is_err());
}

#[test]
fn without_a_target_an_address_or_hosts_say_where_it_is() {
    let check = |given: &[(&'static str, &str)]| Mongodb.check(&settings(&Mongodb, given), None);
    let roles = ("mongodb-roles", "[{role: read, db: sales}]");
    let address = ("mongodb-server-uri", "mongodb://keeper:canary@db.example/?tls=true");
    assert_eq!(check(&[roles, address]).unwrap(), Vec::<String>::new());
    let hosts = ("mongodb-host-port", "a.example:27017,b.example:27017");
    let who = [("mongodb-username", "keeper"), ("mongodb-password", "canary")];
    assert!(check(&[roles, hosts, who[0], who[1]]).unwrap().is_empty());
    for (given, named) in [
        (&[roles][..], "target-name"),
        (&[roles, hosts], "mongodb-username"),
        (&[roles, hosts, who[0]], "mongodb-password"),
        (&[("mongodb-server-uri", "mongodb+srv://a:canary@c.example")], "mongodb-server-uri"),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}
