//! Logins on a stand-in for SQL Server (`stand_in`), which no server here could be: what is said to
//! it and what comes of its answers. Its protocol is the driver's and ours, its language is not
//! tested.

pub(crate) mod stand_in;

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use self::stand_in::StandIn;
use super::*;
use crate::testing::{Caller, settings, target, way};
use crate::{NOT_REACHED, Wish, check_wish};

const ADMIN: &str = "canary-keeper";

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

pub(crate) fn target_at(port: &str, more: &[(&'static str, &str)]) -> Settings {
    let plain = [
        ("db-type", "mssql"),
        ("host", "127.0.0.1"),
        ("port", port),
        ("user-name", "keeper"),
        ("pwd", ADMIN),
        ("db-name", "app"),
    ];
    target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
}

impl Stage {
    fn new(server: &StandIn, given: &[(&'static str, &str)]) -> Self {
        let target = target_at(&server.port, &[]);
        Self { settings: settings(&Mssql, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "mssql", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Mssql.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self) -> Plan {
        Mssql.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Mssql.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        Mssql.revoke(&self.scene(), handle).await
    }

    async fn lets_in(&self, user: &str, password: &str) -> bool {
        let port = self.target.text(&keysherd_wire::Field::text("port", "")).unwrap().to_owned();
        let target = target_at(&port, &[("user-name", user), ("pwd", password)]);
        connect(&database(&target).unwrap(), &self.way).await.is_ok()
    }
}

#[tokio::test]
async fn a_login_is_made_and_removed_with_its_sessions() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    assert_eq!(stage.check().unwrap(), Vec::<String>::new());
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let (user, password) = (plan.handle.as_str(), plan.password.expose().as_str());
    assert_eq!((created.value["user"].as_str(), user.len() <= 63), (Some(user), true));
    assert!(server.has(user) && stage.lets_in(user, password).await);
    assert!(!stage.lets_in(user, "wrong").await);
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    assert!(!server.has(user) && !stage.lets_in(user, password).await);
    // Whoever is signed in would keep the login from being removed.
    let said = server.state.lock().unwrap().said.clone();
    let at = |what: &str| said.iter().position(|text| text.starts_with(what)).unwrap();
    let steps = ["ALTER LOGIN", "SELECT CAST(session_id", "KILL 57", "DROP LOGIN"].map(at);
    assert!(steps.is_sorted(), "{said:?}");
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    for handle in ["keeper", "", "x' OR '1'='1", "tmp.x"] {
        assert!(stage.revoke(handle).await.is_err(), "{handle}");
    }
    assert!(server.has("keeper"));
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind_and_says_no_password() {
    let statements = "CREATE LOGIN [{{name}}] WITH PASSWORD = '{{password}}'; \
                      NONSENSE '{{password}}'";
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("mssql-create-statements", statements)]);
    let plan = stage.plan();
    let fault = stage.create(&plan).await.err().unwrap();
    assert!(fault.public().contains("statement 2 failed with 102"), "{fault}");
    assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()), "{fault:?}");
    assert!(!server.has(&plan.handle));
    // What was sent and not answered may have been done: nobody says that it was not.
    server.state.lock().unwrap().gone_at = Some("CREATE LOGIN");
    let fault = stage.create(&plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert_ne!(fault.code(), NOT_REACHED);
    server.state.lock().unwrap().gone_at = Some("DECLARE @got");
    assert_eq!(stage.create(&plan).await.err().unwrap().code(), NOT_REACHED);
}

#[tokio::test]
async fn a_login_that_stays_is_locked_out_or_not_removed() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    server.state.lock().unwrap().keeps = true;
    let warnings = stage.revoke(&plan.handle).await.unwrap();
    assert_eq!(warnings, ["the login is disabled and still there"]);
    assert!(!stage.lets_in(&plan.handle, plan.password.expose()).await);
    // Who may not lock anybody out either has removed nobody.
    {
        let mut state = server.state.lock().unwrap();
        state.disabled.clear();
        state.refuses = vec![("ALTER LOGIN", 15_151)];
    }
    assert!(stage.revoke(&plan.handle).await.is_err());
    server.state.lock().unwrap().refuses.push(("DROP LOGIN", 15_151));
    let fault = stage.revoke(&plan.handle).await.unwrap_err();
    assert!(fault.public().contains("15151"), "{fault}");
    server.state.lock().unwrap().refuses = vec![("DECLARE @got", 297)];
    assert!(stage.revoke(&plan.handle).await.is_err());
    assert!(server.has(&plan.handle));
}

#[tokio::test]
async fn hostile_names_change_no_statement() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("custom-username-template", "{{ .email }}")]);
    for email in ["x]; DROP LOGIN [keeper", "'; DROP LOGIN keeper --", "a\\'", "ünï\u{202e}\n\0"]
    {
        let caller = Caller::with(&[("email", email)]);
        let plan = Mssql.plan(&stage.scene(), &caller.wish()).unwrap();
        stage.create(&plan).await.unwrap();
        assert!(stage.lets_in(&plan.handle, plan.password.expose()).await, "{email}");
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!server.has(&plan.handle) && server.has("keeper"), "{email}");
    }
}

#[tokio::test]
async fn nobody_chooses_another_database() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("mssql-allowed-db-names", "*")]);
    let caller = Caller::with(&[]);
    for (name, fine) in [("app", true), ("", true), ("master", false)] {
        let wish = Wish { dbname: Some(name), ..caller.wish() };
        assert_eq!(check_wish(&Mssql, &stage.scene(), &wish).is_ok(), fine, "{name}");
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
    let fault = probe(&[("pwd", "canary-wrong")]).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("18456"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    // A server that does not encrypt is not talked to without.
    let fault = probe(&[("ssl", "true")]).await.unwrap_err();
    assert!(!fault.public().contains("18456"), "{fault}");
    server.state.lock().unwrap().routes = true;
    let fault = probe(&[]).await.unwrap_err();
    assert!(fault.public().contains("sends its clients to another one"), "{fault}");
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
    assert!(fault.public().contains("18456"), "{fault}");
    for wrong in [
        &[("ssl-certificate", other.as_str())][..],
        &[("ssl-certificate", &authority), ("db-server-name", "db.example")],
        // This machine's authorities know nothing of it.
        &[("ssl", "true")],
    ] {
        let fault = probe(wrong).await.unwrap_err();
        assert!(fault.public().contains("TLS fails"), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    // Whoever does not want that is not let in, and says no password.
    assert!(probe(&[]).await.is_err());
}

#[tokio::test]
async fn a_user_in_the_database_whose_login_is_gone_is_told_of() {
    let statements = "CREATE LOGIN [{{name}}] WITH PASSWORD = '{{password}}'; \
                      CREATE USER [{{name}}] FOR LOGIN [{{name}}]";
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("mssql-create-statements", statements)]);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    let warnings = stage.revoke(&plan.handle).await.unwrap();
    assert!(warnings[0].contains("DROP USER"), "{warnings:?}");
    assert!(!server.has(&plan.handle));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| {
        let own = [("mssql-username", "keeper"), ("mssql-password", "canary")];
        let given: Vec<_> = own.iter().chain(given).copied().collect();
        Mssql.check(&settings(&Mssql, &given), None)
    };
    assert!(check(&[]).unwrap().is_empty());
    for (field, value) in [
        ("mssql-create-statements", "CREATE LOGIN x"),
        ("mssql-create-statements", "CREATE LOGIN [{{name}}"),
        ("mssql-revocation-statements", "DROP LOGIN [{{name}}] '{{password}}'"),
        ("mssql-port", "0"),
        ("mssql-host", "a b"),
        ("user-ttl", "soon"),
    ] {
        let fault = check(&[(field, value)]).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    let given = [("mssql-username", "keeper")];
    assert!(Mssql.check(&settings(&Mssql, &given), None).is_err());
}
