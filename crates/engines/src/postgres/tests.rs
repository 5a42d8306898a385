//! Users on a real server: made, doing what they may and nothing else, and removed.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use tokio::task::JoinSet;

use super::*;
use crate::engines::by_name;
use crate::testing::{Caller, settings, target, until, way};

#[path = "../../../app/tests/it/kit/postgres.rs"]
#[expect(dead_code, reason = "the tests of the binary need more of it")]
pub(crate) mod server;

use self::server::{PASSWORD, Postgres, shared};

pub(crate) mod blocked;
mod faults;
mod redshift;
mod rights;

/// A database of its own on the shared server, with two tables.
pub(crate) struct Site {
    server: &'static Postgres,
    database: String,
}

impl Site {
    pub(crate) fn new(name: &str) -> Self {
        let site = Self { server: shared(), database: name.to_owned() };
        site.server.create(name);
        site.sql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
        site.sql("CREATE TABLE salaries (id int); INSERT INTO salaries VALUES (2)");
        site
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        self.server.sql(&self.database, statement)
    }

    pub(crate) fn target_as(&self, user: &str, password: &str) -> Settings {
        self.target_of("postgres", user, password)
    }

    fn target_of(&self, db_type: &str, user: &str, password: &str) -> Settings {
        let port = self.server.port.to_string();
        target(&[
            ("db-type", db_type),
            ("host", "127.0.0.1"),
            ("port", &port),
            ("user-name", user),
            ("pwd", password),
            ("db-name", &self.database),
        ])
    }

    pub(crate) fn target(&self) -> Settings {
        self.target_as("postgres", PASSWORD)
    }

    /// A target where nobody is.
    pub(crate) fn away(&self) -> Settings {
        target(&[
            ("db-type", "postgres"),
            ("host", "127.0.0.1"),
            ("port", "1"),
            ("user-name", "postgres"),
            ("pwd", PASSWORD),
        ])
    }

    /// Whether a role is there.
    pub(crate) fn has(&self, role: &str) -> bool {
        self.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'")) == "1"
    }

    /// Whether somebody may run a statement; their password is their way in.
    pub(crate) async fn may(&self, user: &str, password: &str, statement: &str) -> bool {
        let settings = self.target_as(user, password);
        let Ok(session) = connect(&database(&settings).unwrap(), Family::Postgres, &way()).await
        else {
            return false;
        };
        session.run(statement).await.is_ok()
    }
}

/// An engine with its settings, a target, and a way.
struct Stage {
    engine: &'static dyn Engine,
    settings: Settings,
    target: Settings,
    type_name: &'static str,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)], target: Settings) -> Self {
        let engine = by_name("postgresql").unwrap();
        let settings = settings(engine, given);
        Self { engine, settings, target, type_name: "postgres", way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: self.type_name, settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        let target = TargetUse { type_name: self.type_name, settings: &self.target };
        self.engine.check(&self.settings, Some(&target))
    }

    fn plan(&self) -> Plan {
        self.engine.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        self.engine.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        self.engine.revoke(&self.scene(), handle).await
    }
}

fn password_of(created: &Created) -> String {
    created.value["password"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_made_works_and_is_removed_for_good() {
    let site = Site::new("engines_life");
    let stage = Stage::new(&[], site.target());
    assert_eq!(stage.check().unwrap(), Vec::<String>::new());
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let (user, password) = (created.value["user"].as_str().unwrap(), password_of(&created));
    assert_eq!((user, created.handle.as_deref()), (plan.handle.as_str(), None));
    assert_eq!((created.value.len(), created.ends), (2, None));
    assert!(user.starts_with("tmp.p-abc123def456."), "{user}");
    assert!(site.may(user, &password, "SELECT * FROM orders").await);
    assert!(!site.may(user, "wrong", "SELECT * FROM orders").await);
    assert!(!site.may(user, &password, "DELETE FROM orders").await);
    assert!(!site.may(user, &password, "CREATE USER other").await);

    // It goes with what it owns and while it is signed in.
    site.sql(&format!("CREATE SCHEMA theirs AUTHORIZATION \"{user}\""));
    let target = site.target_as(user, &password);
    let session = connect(&database(&target).unwrap(), Family::Postgres, &way()).await.unwrap();
    assert!(session.run("SELECT 1").await.is_ok());
    assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
    assert!(session.run("SELECT 1").await.is_err());
    assert!(!site.has(user));
    assert!(!site.may(user, &password, "SELECT 1").await);
    // Once more does no harm.
    assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nothing_behind() {
    let site = Site::new("engines_failed");
    for (statements, code) in [
        (
            "CREATE USER {{name}} PASSWORD {{password}}; GRANT SELECT ON nowhere TO {{name}}",
            "42P01",
        ),
        ("CREATE USER {{name}} PASSWORD '{{password}}'; GRANT x TO {{name}}", "42704"),
        ("CREATE USER {{name}} PASSWORD {{password}}; CREATE DATABASE d", "25001"),
        ("CREATE USER {{name}} PASSWORD '{{password}}' NONSENSE", "42601"),
    ] {
        let stage = Stage::new(&[("creation-statements", statements)], site.target());
        let plan = stage.plan();
        let fault = stage.create(&plan).await.err().unwrap();
        assert!(fault.public().contains(code), "{statements}: {fault}");
        let text = format!("{fault:?}");
        assert!(!text.contains(plan.password.expose().as_str()), "{text}");
        assert!(!site.has(&plan.handle), "{statements}");
        assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_only_warns_of_is_said() {
    let site = Site::new("engines_warned");
    site.sql("CREATE USER maker PASSWORD 'maker-password' CREATEROLE");
    let target = site.target_as("maker", "maker-password");
    // Somebody who may make users, and nothing with the tables: the server lets that pass.
    let statements = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; \
                      GRANT USAGE ON SCHEMA public TO \"{{name}}\"";
    let stage = Stage::new(&[("creation-statements", statements)], target);
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    assert!(
        created.warnings.iter().any(|text| text.contains("no privileges")),
        "{:?}",
        created.warnings
    );
    assert!(site.has(&plan.handle));

    // The default way to remove it needs membership, and says so.
    let fault = stage.revoke(&plan.handle).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("42501") && fault.public().contains("GRANT"), "{fault}");
    assert!(site.has(&plan.handle));
    let member = format!("{statements}; GRANT \"{{{{name}}}}\" TO {{{{userHost}}}}");
    let target = site.target_as("maker", "maker-password");
    let stage = Stage::new(&[("creation-statements", &member)], target);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
    assert!(!site.has(&plan.handle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_waits_for_a_making_that_is_still_under_way() {
    let site = Site::new("engines_race");
    let slow = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; select pg_sleep(1.5)";
    let mut stage = Stage::new(&[("creation-statements", slow)], site.target());
    // A sixth of it is what removing waits before it ends whoever is in its way.
    stage.way.timeout = Duration::from_secs(60);
    let plan = stage.plan();
    let (made, removed) = tokio::join!(stage.create(&plan), async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1.5)%' \
                       AND application_name = 'keysherd'";
        until("it is under way", || site.sql(waiting) != "0").await;
        // As after 120 seconds without a confirmation, in a hurry.
        stage.revoke(&plan.handle).await
    });
    assert!(made.is_ok());
    assert_eq!(removed.unwrap(), Vec::<String>::new());
    assert!(!site.has(&plan.handle), "the user appeared after it was removed");
}

/// Rights on one table are one row, which everybody changes here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_one_time_are_not_in_each_others_way() {
    let site = Site::new("engines_crowd");
    let statements = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; \
                      GRANT SELECT ON orders TO \"{{name}}\"";
    let mut stage = Stage::new(&[("creation-statements", statements)], site.target());
    // Nothing waits for it, and a busy machine signs in 48 times for each of them.
    stage.way.timeout = Duration::from_secs(600);
    let stage = Arc::new(stage);
    let mut running = JoinSet::new();
    for _ in 0..48 {
        let stage = stage.clone();
        running.spawn(async move {
            let plan = stage.plan();
            stage.create(&plan).await?;
            stage.revoke(&plan.handle).await
        });
    }
    while let Some(done) = running.join_next().await {
        assert_eq!(done.unwrap().unwrap(), Vec::<String>::new());
    }
}
