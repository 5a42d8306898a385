//! Redshift's statements, on a PostgreSQL server with a view in the place of Redshift's sessions:
//! there is no Redshift to test with. What is tested is the order of things, and the default
//! statements as far as both servers read them the same way.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_made_and_removed() {
    let site = Site::new("engines_redshift");
    site.sql(
        "CREATE VIEW stv_sessions AS SELECT pid AS process, usename::char(50) AS user_name \
         FROM pg_stat_activity",
    );
    let engine = by_name("redshift").unwrap();
    let settings = settings(engine, &[]);
    let target = site.target_of("redshift", "postgres", PASSWORD);
    let stage = Stage { engine, settings, target, type_name: "redshift", way: way() };
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    assert!(site.may(&plan.handle, &password_of(&created), "SELECT * FROM orders").await);
    assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
    assert!(!site.has(&plan.handle));
    assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
}
