//! Users on a stand-in for Snowflake's SQL interface.

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;
use serde_json::json;

use super::*;
use crate::testing::stub::Stub;
use crate::testing::{Caller, settings, target, way};

const TOKEN: &str = "canary-token";

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

fn target_with(more: &[(&'static str, &str)]) -> Settings {
    let plain =
        [("db-type", "snowflake"), ("snowflake-account", "myorg-account"), ("user-name", "keeper")];
    target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
}

impl Stage {
    fn new(server: &Stub, given: &[(&'static str, &str)]) -> Self {
        let mut way = way();
        way.endpoints.snowflake = Some(server.url.clone());
        let target = target_with(&[("pwd", TOKEN)]);
        Self { settings: settings(&Snowflake, given), target, way }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "snowflake", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        Snowflake.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Snowflake.create(&self.scene(), plan).await
    }
}

fn statements(server: &Stub) -> Vec<String> {
    let said = |asked: &crate::testing::stub::Asked| {
        assert_eq!(asked.line, "POST /api/v2/statements");
        asked.json()["statement"].as_str().unwrap().to_owned()
    };
    server.asked().iter().map(said).collect()
}

async fn good() -> Stub {
    Stub::new(|_| (200, json!({"code": "090001"}).to_string())).await
}

#[tokio::test]
async fn a_user_with_a_password_gets_its_role_and_is_removed() {
    let server = good().await;
    let given = [("role", "analyst"), ("warehouse", "my wh"), ("db-name", "SALES")];
    let stage = Stage::new(&server, &given);
    assert!(Snowflake.check(&stage.settings, stage.scene().target.as_ref()).unwrap().is_empty());
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let (user, password) = (plan.handle.as_str(), plan.password.expose().as_str());
    assert_eq!(
        (&created.value["user"], &created.value["password"]),
        (&json!(user), &json!(password))
    );
    Snowflake.revoke(&stage.scene(), user).await.unwrap();
    assert_eq!(
        statements(&server),
        [
            format!(
                "CREATE USER \"{user}\" PASSWORD = '{password}' MUST_CHANGE_PASSWORD = FALSE \
                 DEFAULT_ROLE = analyst DEFAULT_WAREHOUSE = \"my wh\" DEFAULT_NAMESPACE = SALES"
            ),
            format!("GRANT ROLE analyst TO USER \"{user}\""),
            format!("ALTER USER IF EXISTS \"{user}\" ABORT ALL QUERIES"),
            format!("DROP USER IF EXISTS \"{user}\""),
        ]
    );
    let first = &server.asked()[0];
    assert_eq!(first.header("authorization"), Some("Bearer canary-token"));
    let kind = first.header("x-snowflake-authorization-token-type");
    assert_eq!(kind, Some("PROGRAMMATIC_ACCESS_TOKEN"));
    assert_eq!(first.json()["warehouse"], "my wh");
    for handle in ["keeper", "", "x\"; DROP USER keeper", "tmp.x"] {
        assert!(Snowflake.revoke(&stage.scene(), handle).await.is_err(), "{handle}");
    }
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_user_with_a_key_has_no_password_and_the_key_is_nowhere_else() {
    let server = good().await;
    let stage = Stage::new(&server, &[("auth-mode", "key")]);
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    assert!(created.value.get("password").is_none());
    let key = SecretString::new(created.value["private_key"].as_str().unwrap().to_owned());
    let public = keysherd_crypto::rsa::public_der(&key).unwrap();
    let said = statements(&server);
    let shown = said[0].split("RSA_PUBLIC_KEY = '").nth(1).unwrap().trim_end_matches('\'');
    use base64::Engine as _;
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(shown).unwrap(), public);
    assert!(said[0].contains("TYPE = SERVICE") && !said[0].contains("PASSWORD"), "{}", said[0]);
    assert_eq!(said.len(), 1);
}

#[tokio::test]
async fn who_signs_in_with_a_key_signs_a_token_for_each_statement() {
    let server = good().await;
    let mut stage = Stage::new(&server, &[]);
    let pair = RsaPair::generate().unwrap();
    stage.target = target_with(&[("snowflake-api-private-key", pair.private_pem.expose())]);
    stage.create(&stage.plan()).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].header("x-snowflake-authorization-token-type"), Some("KEYPAIR_JWT"));
    let db = target_by_name("db").unwrap();
    db.probe(&stage.target, &stage.way).await.unwrap();
    assert_eq!(statements(&server).last().unwrap(), "SELECT 1");
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind_and_says_no_secret() {
    for (fails, status, code, kind) in [
        ("CREATE USER", 422, "002002", FaultKind::Conflict),
        ("CREATE USER", 422, "999999", FaultKind::BadRequest),
        ("CREATE USER", 401, "390144", FaultKind::Forbidden),
        ("CREATE USER", 403, "", FaultKind::Forbidden),
        ("CREATE USER", 202, "", FaultKind::Unavailable),
        ("CREATE USER", 503, "", FaultKind::Unavailable),
        ("GRANT ROLE", 422, "003001", FaultKind::Forbidden),
    ] {
        let server = Stub::new(move |asked| {
            let statement = asked.json()["statement"].as_str().unwrap().to_owned();
            match statement.starts_with(fails) {
                true => (status, json!({"code": code, "message": statement}).to_string()),
                false => (200, "{}".to_owned()),
            }
        })
        .await;
        let stage = Stage::new(&server, &[("role", "analyst")]);
        let plan = stage.plan();
        let fault = stage.create(&plan).await.err().unwrap();
        assert_eq!(fault.kind(), kind, "{fault}");
        assert!(fault.public().contains(code), "{fault}");
        for secret in [plan.password.expose().as_str(), TOKEN] {
            assert!(!format!("{fault:?}").contains(secret), "{fault:?}");
        }
        let undone = statements(&server).iter().any(|text| text.starts_with("DROP USER"));
        assert_eq!(undone, fails == "GRANT ROLE");
    }
}

#[tokio::test]
async fn a_user_that_stays_is_not_removed() {
    let server = Stub::new(|asked| match asked.body.contains("DROP USER") {
        true => (422, json!({"code": "003001", "message": "no"}).to_string()),
        false => (200, "{}".to_owned()),
    })
    .await;
    let stage = Stage::new(&server, &[]);
    let handle = stage.plan().handle;
    let fault = Snowflake.revoke(&stage.scene(), &handle).await.unwrap_err();
    assert!(fault.public().contains("003001"), "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |more: &[(&'static str, &str)]| {
        let own = [
            ("account", "myorg-account"),
            ("account-username", "keeper"),
            ("account-password", TOKEN),
        ];
        let given: Vec<_> = own.iter().chain(more).copied().collect();
        Snowflake.check(&settings(&Snowflake, &given), None)
    };
    assert!(check(&[("role", "analyst")]).unwrap().is_empty());
    assert!(check(&[]).unwrap()[0].contains("no role"));
    assert!(check(&[("role", "accountadmin")]).unwrap()[0].contains("administers"));
    for (field, value) in [
        ("account", "evil.example/"),
        ("account-password", "canary x"),
        ("private-key", "canary"),
        ("role", "a\nb"),
        ("warehouse", "a\0b"),
        ("user-ttl", "soon"),
    ] {
        let fault = check(&[(field, value)]).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[test]
fn names_are_names_whatever_is_in_them() {
    for (text, made) in [
        ("analyst", "analyst"),
        ("my role", "\"my role\""),
        ("1st", "\"1st\""),
        ("a\"; DROP USER keeper; --", "\"a\"\"; DROP USER keeper; --\""),
    ] {
        assert_eq!(identifier("role", text).unwrap(), made);
    }
}
