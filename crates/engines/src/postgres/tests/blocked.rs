//! Users, and others who may sign in, that want to keep a user from being removed.

use keysherd_crypto::hash::sha256;
use keysherd_targets::postgres::Session;

use super::*;

pub(crate) async fn signed_in(site: &Site, user: &str, password: &str) -> Session {
    signed_in_to(site.target_as(user, password)).await
}

async fn signed_in_to(settings: Settings) -> Session {
    connect(&database(&settings).unwrap(), Family::Postgres, &way()).await.unwrap()
}

/// What takes the lock by which removing waits for making, until the session ends.
pub(crate) fn taking(handle: &str) -> String {
    let hash = sha256(&[b"keysherd user ", handle.as_bytes()]);
    let number = i64::from_be_bytes(hash[..8].try_into().unwrap());
    format!("select pg_advisory_lock({number})")
}

fn stage(site: &Site, target: Settings) -> Stage {
    // Whoever removes it may end its sessions, and owns what it owns.
    let statements = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; \
                      GRANT CREATE ON SCHEMA public TO \"{{name}}\"; \
                      GRANT \"{{name}}\" TO {{userHost}}";
    site.sql("GRANT CREATE ON SCHEMA public TO PUBLIC");
    let mut stage = Stage::new(&[("creation-statements", statements)], target);
    stage.way.timeout = Duration::from_secs(30);
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_takes_locks_is_removed_all_the_same() {
    let site = Site::new("engines_blocked");
    site.sql("CREATE USER blocked_maker PASSWORD 'maker-password' CREATEROLE");
    site.sql("GRANT CREATE ON SCHEMA public TO blocked_maker WITH GRANT OPTION");
    for target in [site.target(), site.target_as("blocked_maker", "maker-password")] {
        let stage = stage(&site, target);
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        let session = signed_in(&site, &plan.handle, &password).await;
        session.run(&taking(&plan.handle)).await.unwrap();
        // What it made is kept from being dropped.
        let table = signed_in(&site, &plan.handle, &password).await;
        table.run("CREATE TABLE mine ()").await.unwrap();
        table.run("SET idle_in_transaction_session_timeout = 0").await.unwrap();
        table.run("BEGIN").await.unwrap();
        table.run("SELECT * FROM mine").await.unwrap();
        // It may warn of a session that has ended by then.
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!site.has(&plan.handle));
        assert!(session.run("SELECT 1").await.is_err() && table.run("SELECT 1").await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_lock_keeps_nobody() {
    let site = Site::new("engines_bystander");
    site.sql("CREATE USER bystander PASSWORD 'bystander-password'");
    site.sql("CREATE USER other_maker PASSWORD 'maker-password' CREATEROLE");
    site.sql("GRANT CREATE ON SCHEMA public TO other_maker WITH GRANT OPTION");
    let stage = stage(&site, site.target_as("other_maker", "maker-password"));
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    let session = signed_in(&site, "bystander", "bystander-password").await;
    session.run(&taking(&plan.handle)).await.unwrap();
    // Everybody's, too: whoever removes the user may not end this session.
    session.run("select pg_advisory_lock(x'6b65797368657264'::bigint)").await.unwrap();
    assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
    assert!(!site.has(&plan.handle));
    let later = stage.plan();
    stage.create(&later).await.unwrap();
    assert!(site.has(&later.handle));
    assert!(session.run("SELECT 1").await.is_ok());
    stage.revoke(&later.handle).await.unwrap();
}

/// Operators that PostgreSQL prefers to its own for these types, and what they do when they are
/// used.
const TRAPS: &str = "
    CREATE TABLE public.caught (by text);
    GRANT ALL ON public.caught TO PUBLIC;
    CREATE FUNCTION public.trap(oid, int4) RETURNS bool LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.caught VALUES (current_user); RETURN true; END$$;
    CREATE FUNCTION public.trap(oid, int8) RETURNS bool LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.caught VALUES (current_user); RETURN true; END$$;
    CREATE FUNCTION public.trap(name, text) RETURNS text LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.caught VALUES (current_user); RETURN $1; END$$;
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = int4, PROCEDURE = public.trap);
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = int8, PROCEDURE = public.trap);
    CREATE OPERATOR public.|| (LEFTARG = name, RIGHTARG = text, PROCEDURE = public.trap);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_of_others_are_not_used() {
    let site = Site::new("engines_operators");
    site.sql("CREATE USER trapper PASSWORD 'trapper-password'");
    site.sql("CREATE USER trap_maker PASSWORD 'maker-password' CREATEROLE");
    site.sql("GRANT CREATE ON SCHEMA public TO trap_maker WITH GRANT OPTION");
    let stage = stage(&site, site.target_as("trap_maker", "maker-password"));
    let trapper = signed_in(&site, "trapper", "trapper-password").await;
    trapper.run_all(TRAPS).await.unwrap();
    // They do catch whoever asks carelessly.
    for careless in [
        "SELECT count(*) FROM pg_stat_activity WHERE usesysid = 10",
        "SELECT count(*) FROM pg_locks WHERE classid = 3000000000",
        "SELECT current_user || 'x'::text",
    ] {
        site.sql("TRUNCATE public.caught");
        site.sql(careless);
        assert_ne!(site.sql("SELECT count(*) FROM public.caught"), "0", "{careless}");
    }
    site.sql("TRUNCATE public.caught");
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    // It has the user's lock, and the maker may not end it: all is asked that there is.
    trapper.run(&taking(&plan.handle)).await.unwrap();
    stage.revoke(&plan.handle).await.unwrap();
    assert!(!site.has(&plan.handle) && trapper.run("SELECT 1").await.is_ok());
    assert_eq!(site.sql("SELECT count(*) FROM public.caught"), "0");
}

/// What keeps a user there, in two databases: who does it, and what undoes it.
const KEPT: &[(&str, &str, &str)] = &[
    // An object in another database, which anybody may make.
    ("postgres", "SELECT lo_create(0)", ""),
    // Somebody else's view, which would have to go with the table.
    ("", "CREATE TABLE seen ()", "CREATE VIEW seeing AS SELECT * FROM seen"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_removed_does_nothing_any_more() {
    let site = Site::new("engines_kept");
    let stage = stage(&site, site.target());
    for (database, own, of_others) in KEPT {
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        let (user, here) = (plan.handle.as_str(), site.database.as_str());
        let database = if database.is_empty() { here } else { database };
        site.server.sql_as((user, &password), database, own).unwrap();
        if !of_others.is_empty() {
            site.sql(of_others);
        }
        let session = signed_in(&site, user, &password).await;
        let fault = stage.revoke(user).await.unwrap_err();
        assert!(fault.public().ends_with("the user is disabled"), "{own}: {fault}");
        assert!(site.has(user), "{own}");
        assert!(session.run("SELECT 1").await.is_err(), "{own}");
        assert!(!site.may(user, &password, "SELECT 1").await, "{own}");
        // Whoever looks after the server takes away what keeps it.
        site.server.sql(database, &format!("DROP OWNED BY \"{user}\" CASCADE"));
        stage.revoke(user).await.unwrap();
        assert!(!site.has(user), "{own}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_its_own_role_busy_is_removed_all_the_same() {
    let site = Site::new("engines_busy");
    let mut stage = stage(&site, site.target());
    // These end no sessions.
    let removal = "DROP OWNED BY \"{{name}}\"; DROP USER \"{{name}}\"";
    let creation = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'";
    let both = [("creation-statements", creation), ("revocation-statement", removal)];
    stage.settings = settings(stage.engine, &both);
    for prepared in [false, true] {
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        let session = signed_in(&site, &plan.handle, &password).await;
        session.run("SET idle_in_transaction_session_timeout = 0").await.unwrap();
        session.run("BEGIN").await.unwrap();
        session.run("ALTER ROLE CURRENT_USER PASSWORD 'another'").await.unwrap();
        if prepared {
            session.run("PREPARE TRANSACTION 'it''s mine'").await.unwrap();
        }
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!site.has(&plan.handle), "{prepared}");
        assert!(session.run("SELECT 1").await.is_err());
    }
    let prepared = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()";
    assert_eq!(site.sql(prepared), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_maker_that_may_not_remove_disables() {
    let site = Site::new("engines_disables");
    site.sql("CREATE USER small_maker PASSWORD 'maker-password' CREATEROLE");
    let mut stage = stage(&site, site.target_as("small_maker", "maker-password"));
    let creation = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'";
    stage.settings = settings(stage.engine, &[("creation-statements", creation)]);
    let plan = stage.plan();
    let password = password_of(&stage.create(&plan).await.unwrap());
    assert!(site.may(&plan.handle, &password, "SELECT 1").await);
    // It is no member of the user, which dropping what that owns takes.
    let fault = stage.revoke(&plan.handle).await.unwrap_err();
    assert!(fault.public().ends_with("the user is disabled"), "{fault}");
    assert!(site.has(&plan.handle));
    assert!(!site.may(&plan.handle, &password, "SELECT 1").await);
    site.sql(&format!("DROP USER \"{}\"", plan.handle));
}
