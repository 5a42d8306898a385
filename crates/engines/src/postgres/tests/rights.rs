//! Least privilege: what the statements grant, and nothing else.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_secrets_on_one_target_give_different_rights_and_nothing_else() {
    let site = Site::new("engines_rights");
    let granting = |grant: &str| {
        let statements = format!(
            "CREATE USER \"{{{{name}}}}\" PASSWORD '{{{{password}}}}'; \
             GRANT {grant} TO \"{{{{name}}}}\""
        );
        Stage::new(&[("creation-statements", &statements)], site.target())
    };
    let reader = granting("SELECT ON orders");
    let writer = granting("INSERT ON salaries");
    assert!(reader.check().unwrap().is_empty());
    let plans = (reader.plan(), writer.plan());
    let made = (reader.create(&plans.0).await.unwrap(), writer.create(&plans.1).await.unwrap());
    for (user, password, allowed) in
        [(&plans.0.handle, password_of(&made.0), 0), (&plans.1.handle, password_of(&made.1), 1)]
    {
        for (number, statement) in [
            "SELECT * FROM orders",
            "INSERT INTO salaries VALUES (3)",
            "SELECT * FROM salaries",
            "INSERT INTO orders VALUES (3)",
            "DELETE FROM orders",
            "CREATE USER other",
            "CREATE DATABASE other",
            "DROP TABLE orders",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT rolpassword FROM pg_authid",
            "SET ROLE postgres",
        ]
        .iter()
        .enumerate()
        {
            let may = site.may(user, &password, statement).await;
            assert_eq!(may, number == allowed, "{user}: {statement}");
        }
    }
    reader.revoke(&plans.0.handle).await.unwrap();
    assert!(!site.has(&plans.0.handle) && site.has(&plans.1.handle));
    writer.revoke(&plans.1.handle).await.unwrap();
    assert!(!site.has(&plans.1.handle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_change_no_statement() {
    let site = Site::new("engines_hostile");
    // An admin whose own name is an attack on {{userHost}}.
    site.sql("CREATE USER \"Ad'min\"\"; x\" SUPERUSER PASSWORD 'admin-password'");
    let template = [("custom-username-template", "{{ .email }}")];
    let stage = Stage::new(&template, site.target_as("Ad'min\"; x", "admin-password"));
    for email in [
        "'; DROP TABLE orders; --",
        "\"; DROP TABLE orders; --",
        "x' SUPERUSER --",
        "a\\'; DROP TABLE orders",
        "$$; DROP TABLE orders",
        "ünï\u{202e}\n\0code",
    ] {
        let caller = Caller::with(&[("email", email)]);
        let plan = stage.engine.plan(&stage.scene(), &caller.wish()).unwrap();
        let created = stage.create(&plan).await.unwrap();
        let password = password_of(&created);
        assert!(site.may(&plan.handle, &password, "SELECT * FROM orders").await, "{email}");
        let mighty = format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{}'", plan.handle);
        assert_eq!(site.sql(&mighty), "f");
        assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
        assert!(!site.has(&plan.handle));
        assert_eq!(site.sql("SELECT count(*) FROM orders"), "1", "{email}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_removed_who_is_not_temporary() {
    let site = Site::new("engines_others");
    site.sql("CREATE USER alice");
    let stage = Stage::new(&[], site.target());
    for handle in ["alice", "postgres", "", "alice\"; DROP USER alice; --", "x' or '1'='1"] {
        assert!(stage.revoke(handle).await.is_err(), "{handle}");
    }
    assert!(site.has("alice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_leaves_the_user_says_so() {
    let site = Site::new("engines_left");
    let given = [("revocation-statement", "ALTER USER \"{{name}}\" NOLOGIN")];
    let stage = Stage::new(&given, site.target());
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let warnings = stage.revoke(&plan.handle).await.unwrap();
    assert!(warnings.iter().any(|text| text.contains("still there")), "{warnings:?}");
    assert!(!site.may(&plan.handle, &password_of(&created), "SELECT 1").await);
    site.sql(&format!("DROP OWNED BY \"{0}\"; DROP USER \"{0}\"", plan.handle));
}
