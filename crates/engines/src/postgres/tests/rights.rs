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
    let given = [
        ("custom-username-template", "{{ .email }}"),
        (
            "revocation-statement",
            "REASSIGN OWNED BY \"{{name}}\" TO {{userHost}}; DROP OWNED BY \"{{name}}\"; \
             DROP USER \"{{name}}\"",
        ),
    ];
    let stage = Stage::new(&given, site.target_as("Ad'min\"; x", "admin-password"));
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
    site.sql("CREATE USER alice PASSWORD 'alice-password'");
    let target = site.target_as("alice", "alice-password");
    let session = connect(&database(&target).unwrap(), Family::Postgres, &way()).await.unwrap();
    let stage = Stage::new(&[], site.target());
    for handle in ["alice", "postgres", "", "alice\"; DROP USER alice; --", "x' or '1'='1"] {
        let fault = stage.revoke(handle).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Internal, "{handle}: {fault}");
    }
    assert!(site.has("alice"));
    // Nor are they disabled, or their sessions ended.
    assert!(session.run("SELECT 1").await.is_ok());
    assert!(site.may("alice", "alice-password", "SELECT 1").await);
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
    // What others change at the same time is tried again, as the gateway does.
    Stage::new(&[], site.target()).revoke(&plan.handle).await.unwrap();
    assert!(!site.has(&plan.handle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_leaves_somebody_who_can_sign_in_has_failed() {
    let site = Site::new("engines_stays");
    for statement in ["select '{{name}}'", "DROP USER IF EXISTS \"x{{name}}\""] {
        let stage = Stage::new(&[("revocation-statement", statement)], site.target());
        let plan = stage.plan();
        let created = stage.create(&plan).await.unwrap();
        let refused = stage.revoke(&plan.handle).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Conflict, "{statement}");
        // It was let in until then.
        assert!(!site.may(&plan.handle, &password_of(&created), "SELECT 1").await);
        Stage::new(&[], site.target()).revoke(&plan.handle).await.unwrap();
        assert!(!site.has(&plan.handle));
    }
}

/// What runs with its owner's rights must not get another owner: that one may do everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_made_gives_nobody_the_rights_of_who_removed_it() {
    let site = Site::new("engines_made");
    site.sql("GRANT CREATE ON SCHEMA public TO PUBLIC");
    let (first, second) = (Stage::new(&[], site.target()), Stage::new(&[], site.target()));
    assert!(!first.check().unwrap().iter().any(|text| text.contains("SECURITY DEFINER")));
    let plan = first.plan();
    let password = password_of(&first.create(&plan).await.unwrap());
    for statement in [
        "CREATE FUNCTION public.anything(text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER \
         AS $f$BEGIN EXECUTE $1; END$f$",
        "CREATE VIEW public.peek AS SELECT * FROM salaries",
    ] {
        assert!(site.may(&plan.handle, &password, statement).await, "{statement}");
    }
    first.revoke(&plan.handle).await.unwrap();
    let later = second.plan();
    let password = password_of(&second.create(&later).await.unwrap());
    let mighty = format!("SELECT public.anything('ALTER ROLE \"{}\" SUPERUSER')", later.handle);
    assert!(!site.may(&later.handle, &password, &mighty).await);
    assert!(!site.may(&later.handle, &password, "SELECT * FROM public.peek").await);
    second.revoke(&later.handle).await.unwrap();
    // Whoever writes it themselves is told what it means.
    let given = "REASSIGN OWNED BY \"{{name}}\" TO {{userHost}}; DROP USER \"{{name}}\"";
    let given = Stage::new(&[("revocation-statement", given)], site.target());
    assert!(given.check().unwrap().iter().any(|text| text.contains("SECURITY DEFINER")));
}
