//! Users on a stand-in for SAP HANA (`stand_in`), which no server here could be: what is said to it
//! and what comes of its answers. Its protocol is the one that SAP's own client for Node.js speaks,
//! which signed in to it by hand; its language is not tested.

pub(crate) mod stand_in;

use std::time::Duration;

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use self::stand_in::StandIn;
use super::*;
use crate::testing::{Caller, settings, target, way};
use crate::{NOT_LET_IN, NOT_REACHED, Way};

pub(crate) const ADMIN: &str = "Canary-keeper-1";

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

pub(crate) fn target_at(port: &str, more: &[(&'static str, &str)]) -> Settings {
    let plain = [
        ("db-type", "hanadb"),
        ("host", "127.0.0.1"),
        ("port", port),
        ("user-name", "keeper"),
        ("pwd", ADMIN),
    ];
    target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
}

impl Stage {
    fn new(server: &StandIn, given: &[(&'static str, &str)]) -> Self {
        let target = target_at(&server.port, &[]);
        Self { settings: settings(&Hanadb, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "hanadb", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Hanadb.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self) -> Plan {
        Hanadb.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Hanadb.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        Hanadb.revoke(&self.scene(), handle).await
    }

    async fn lets_in(&self, user: &str, password: &str) -> bool {
        let port = self.target.text(&keysherd_wire::Field::text("port", "")).unwrap().to_owned();
        let target = target_at(&port, &[("user-name", user), ("pwd", password)]);
        connect(&database(&target).unwrap(), &self.way).await.is_ok()
    }
}

#[tokio::test]
async fn a_user_is_made_and_removed_with_its_sessions() {
    for is_old in [false, true] {
        let server = StandIn::new().await;
        server.state.lock().unwrap().is_old = is_old;
        let mut stage = Stage::new(&server, &[]);
        // It has 600 questions to ask.
        stage.way.timeout = Duration::from_secs(120);
        assert_eq!(stage.check().unwrap(), Vec::<String>::new());
        let plan = stage.plan();
        let created = stage.create(&plan).await.unwrap();
        let user = created.value["user"].as_str().unwrap();
        let password = plan.password.expose().as_str();
        assert_eq!(created.value["password"].as_str(), Some(password));
        // With quotes around it or without, it is the same.
        assert!(user.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        assert!(server.has(user) && stage.lets_in(user, password).await);
        assert!(stage.lets_in(&user.to_lowercase(), password).await);
        assert!(!stage.lets_in(user, "wrong").await);
        {
            let mut state = server.state.lock().unwrap();
            assert!(state.forced.is_empty());
            state.sessions = (300_057..300_357).collect();
        }
        assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
        assert!(!server.has(user) && !stage.lets_in(user, password).await);
        assert!(server.state.lock().unwrap().sessions.is_empty(), "all, however many there are");
        let said = server.state.lock().unwrap().said.clone();
        let at = |what: &str| said.iter().position(|text| text.starts_with(what)).unwrap();
        let steps = ["ALTER USER", "SELECT TO_VARCHAR(CONN", "ALTER SYSTEM", "DROP USER"].map(at);
        assert!(steps.is_sorted(), "{said:?}");
        assert_eq!(said[steps[2]], "ALTER SYSTEM DISCONNECT SESSION '300057'");
        assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
        for handle in ["KEEPER", "keeper", "", "x' OR '1'='1", "tmp.x"] {
            assert!(stage.revoke(handle).await.is_err(), "{handle}");
        }
        assert!(server.has("KEEPER"));
    }
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind_and_says_no_password() {
    let statements = "CREATE USER {{name}} PASSWORD \"{{password}}\" \
                      NO FORCE_FIRST_PASSWORD_CHANGE; NONSENSE '{{password}}'";
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("hanadb-create-statements", statements)]);
    let plan = stage.plan();
    let fault = stage.create(&plan).await.err().unwrap();
    assert!(fault.public().contains("statement 2 failed with 257"), "{fault}");
    assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()), "{fault:?}");
    assert_eq!(server.state.lock().unwrap().users.len(), 1);
    // What was sent and not answered may have been done: nobody says that it was not.
    server.state.lock().unwrap().gone_at = Some("CREATE USER");
    let fault = stage.create(&plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert_ne!(fault.code(), NOT_REACHED);
    server.state.lock().unwrap().users.clear();
    assert_eq!(stage.create(&plan).await.err().unwrap().code(), NOT_LET_IN);
}

#[tokio::test]
async fn a_user_that_stays_is_locked_out_or_not_removed() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let user = created.value["user"].as_str().unwrap();
    server.state.lock().unwrap().keeps = true;
    let warnings = stage.revoke(&plan.handle).await.unwrap();
    assert_eq!(warnings, ["the user is deactivated and still there"]);
    assert!(!stage.lets_in(user, plan.password.expose()).await);
    // Who owns something is not dropped, and is locked out as well.
    {
        let mut state = server.state.lock().unwrap();
        state.deactivated.clear();
        state.refuses = vec![("DROP USER", 417)];
    }
    let fault = stage.revoke(&plan.handle).await.unwrap_err();
    assert!(fault.public().contains("417") && fault.public().contains("CASCADE"), "{fault}");
    assert!(!stage.lets_in(user, plan.password.expose()).await);
    // Who may not lock anybody out either has removed nobody.
    {
        let mut state = server.state.lock().unwrap();
        state.deactivated.clear();
        state.refuses = vec![("ALTER USER", 258), ("SELECT", 258)];
    }
    // Who may not look has to believe the server, and is told what may go on.
    let unseen = |warnings: &[String]| warnings.len() == 1 && warnings[0].contains("CATALOG READ");
    assert!(unseen(&stage.revoke(&plan.handle).await.unwrap()));
    server.state.lock().unwrap().refuses = vec![("ALTER USER", 258)];
    assert!(stage.revoke(&plan.handle).await.is_err());
    assert!(server.has(user));
}

#[tokio::test]
async fn sessions_that_may_go_on_are_told_of() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    for (hides, refuses, told) in
        [(true, vec![], "CATALOG READ"), (false, vec![("ALTER SYSTEM", 258)], "SESSION ADMIN")]
    {
        let plan = stage.plan();
        stage.create(&plan).await.unwrap();
        {
            let mut state = server.state.lock().unwrap();
            state.sessions = [7, 9].into();
            (state.hides, state.refuses) = (hides, refuses);
        }
        let warnings = stage.revoke(&plan.handle).await.unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains(told), "{warnings:?}");
    }
}

#[tokio::test]
async fn hostile_names_change_no_statement() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("custom-username-template", "{{ .email }}")]);
    for email in ["x\"; DROP USER \"KEEPER", "'; DROP USER KEEPER --", "_SYS", "1\u{fc}\u{202e}\n"]
    {
        let caller = Caller::with(&[("email", email)]);
        let plan = Hanadb.plan(&stage.scene(), &caller.wish()).unwrap();
        let created = stage.create(&plan).await.unwrap();
        let user = created.value["user"].as_str().unwrap();
        assert!(user.starts_with(|c: char| c.is_ascii_uppercase()), "{user}");
        assert!(stage.lets_in(user, plan.password.expose()).await, "{email}");
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!server.has(user) && server.has("KEEPER"), "{email}");
    }
}

#[tokio::test]
async fn a_probe_says_where_it_stopped_and_goes_nowhere_else() {
    let server = StandIn::new().await;
    let db = target_by_name("db").unwrap();
    let probe = async |more: &[(&'static str, &str)]| {
        let settings = target_at(&server.port, more);
        db.probe(&settings, &way()).await
    };
    probe(&[]).await.unwrap();
    probe(&[("db-name", "HDB")]).await.unwrap();
    let fault = probe(&[("pwd", "canary-wrong")]).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("failed with 10:"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    // A server that does not encrypt is not talked to without.
    let fault = probe(&[("ssl", "true")]).await.unwrap_err();
    assert!(!fault.public().contains("failed with"), "{fault}");
    // One that lets people in without knowing their passwords is somebody else.
    server.state.lock().unwrap().is_false = true;
    let fault = probe(&[]).await.unwrap_err();
    assert!(fault.public().contains("not the one that was meant"), "{fault}");
    server.state.lock().unwrap().routes = true;
    for more in [&[][..], &[("db-name", "HDB")]] {
        let fault = probe(more).await.unwrap_err();
        assert!(fault.public().contains("sends its clients to another one"), "{fault}");
    }
}

#[tokio::test]
async fn a_server_that_encrypts_is_believed_by_its_certificate_only() {
    let (server, authority) = StandIn::encrypted().await;
    let (_, other) = StandIn::encrypted().await;
    let db = target_by_name("db").unwrap();
    let probe = async |more: &[(&'static str, &str)]| {
        let settings = target_at(&server.port, more);
        db.probe(&settings, &way()).await
    };
    probe(&[("ssl-certificate", &authority)]).await.unwrap();
    let fault = probe(&[("ssl-certificate", &authority), ("pwd", "wrong")]).await.unwrap_err();
    assert!(fault.public().contains("failed with 10:"), "{fault}");
    for wrong in [
        &[("ssl-certificate", other.as_str())][..],
        &[("ssl-certificate", &authority), ("db-server-name", "db.example")],
        // This machine's authorities know nothing of it.
        &[("ssl", "true")],
    ] {
        let fault = probe(wrong).await.unwrap_err();
        assert!(fault.public().contains("TLS with"), "{fault}");
        assert!(!format!("{fault:?}").contains("anary"), "{fault:?}");
    }
    // Whoever does not want that is not let in, and says no password.
    assert!(probe(&[]).await.is_err());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| {
        let own = [("hanadb-username", "keeper"), ("hanadb-password", "canary")];
        let given: Vec<_> = own.iter().chain(given).copied().collect();
        Hanadb.check(&settings(&Hanadb, &given), None)
    };
    assert!(check(&[]).unwrap().is_empty());
    for (field, value) in [
        ("hanadb-create-statements", "CREATE USER x"),
        ("hanadb-create-statements", "CREATE USER \"{{name}}"),
        ("hanadb-revocation-statements", "DROP USER {{name}} '{{password}}'"),
        ("hanadb-port", "0"),
        ("hanadb-host", "a b"),
        ("user-ttl", "soon"),
    ] {
        let fault = check(&[(field, value)]).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    let given = [("hanadb-username", "keeper")];
    assert!(Hanadb.check(&settings(&Hanadb, &given), None).is_err());
    // Whoever would have to change the password first could not, by what is given to them.
    let forced = "create user {{name}} password \"{{password}}\"; GRANT ALL PRIVILEGES TO {{name}}";
    let warnings = check(&[("hanadb-create-statements", forced)]).unwrap();
    assert!(warnings.iter().any(|text| text.contains("FORCE_FIRST")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("(ALL)")), "{warnings:?}");
}
