//! Servers that are not there, refuse, hang or lie; settings that make no sense.

use keysherd_targets::by_name as target_by_name;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn elsewhere(db_type: &'static str) -> Settings {
    target(&[("db-type", db_type), ("host", "db.example"), ("user-name", "a"), ("pwd", "b")])
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    assert!(Stage::new(&[], elsewhere("postgres")).check().is_ok());
    for (field, value) in [
        ("creation-statements", "CREATE USER x"),
        ("creation-statements", "CREATE USER '{{name}}"),
        ("creation-statements", "CREATE USER {{user}}"),
        ("revocation-statement", "DROP USER x"),
        ("revocation-statement", "DROP USER {{name}} {{password}}"),
        ("custom-username-template", "{{ nothing }}"),
        ("password-length", "4"),
        ("use-numbers", "maybe"),
        ("user-ttl", "soon"),
        ("user-ttl", "0s"),
    ] {
        let fault = Stage::new(&[(field, value)], elsewhere("postgres")).check().unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let stage = Stage { type_name: "mysql", ..Stage::new(&[], elsewhere("mysql")) };
    assert!(stage.check().unwrap_err().public().contains("postgres"));
    let fault = by_name("postgresql").unwrap().check(&Settings::default(), None).unwrap_err();
    assert_eq!(fault.public(), "missing required field 'postgresql-username'");
    let wide = "CREATE USER {{name}} SUPERUSER; GRANT ALL ON x TO {{name}}";
    let warnings =
        Stage::new(&[("creation-statements", wide)], elsewhere("postgres")).check().unwrap();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_target_the_settings_say_where() {
    let site = Site::new("engines_inline");
    let engine = by_name("postgresql").unwrap();
    let port = site.server.port.to_string();
    let settings = settings(
        engine,
        &[
            ("postgresql-port", &port),
            ("postgresql-username", "postgres"),
            ("postgresql-password", PASSWORD),
            ("postgresql-db-name", "engines_inline"),
        ],
    );
    let way = way();
    let scene = Scene { settings: &settings, target: None, way: &way };
    assert!(engine.check(&settings, None).unwrap().is_empty());
    let plan = engine.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    engine.create(&scene, &plan).await.unwrap();
    assert!(site.has(&plan.handle));
    engine.revoke(&scene, &plan.handle).await.unwrap();
    assert!(!site.has(&plan.handle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped_and_what_to_do() {
    let site = Site::new("engines_probe");
    let db = target_by_name("db").unwrap();
    db.probe(&site.target(), &way()).await.unwrap();
    let fault = db.probe(&site.target_as("postgres", "canary-wrong"), &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("28P01") && fault.public().contains("127.0.0.1"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    let port = site.server.port.to_string();
    let at = |more: &[(&'static str, &str)]| {
        let plain = [
            ("db-type", "postgres"),
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("user-name", "postgres"),
            ("pwd", PASSWORD),
        ];
        target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let fault = db.probe(&at(&[("db-name", "nowhere")]), &way()).await.unwrap_err();
    assert!(fault.public().contains("3D000"), "{fault}");
    // The server has no TLS: it gets no password either.
    let fault = db.probe(&at(&[("ssl", "true")]), &way()).await.unwrap_err();
    assert!(fault.public().contains("does not speak TLS"), "{fault}");
    // Nobody listens there.
    let fault = db.probe(&at(&[("port", "1")]), &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("check host, port"), "{fault}");
    let apart = Way { egress: way().egress.elsewhere(), ..way() };
    let fault = db.probe(&at(&[]), &apart).await.unwrap_err();
    assert!(fault.public().contains("--allow-local-targets"), "{fault}");
}

#[tokio::test]
async fn servers_that_hang_or_talk_nonsense_are_given_up() {
    let db = target_by_name("db").unwrap();
    for says in [&b""[..], b"N", b"Sxxxxxxxxxxxx", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"E"] {
        for ssl in ["true", "false"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port().to_string();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(says).await.unwrap();
                let mut heard = Vec::new();
                let _ = stream.read_to_end(&mut heard).await;
                heard
            });
            let target = target(&[
                ("db-type", "postgres"),
                ("host", "127.0.0.1"),
                ("port", &port),
                ("user-name", "a"),
                ("pwd", "canary-password"),
                ("ssl", ssl),
                ("ssl-certificate", &authority_pem()),
            ]);
            let way = Way { timeout: Duration::from_millis(400), ..way() };
            let fault = db.probe(&target, &way).await.unwrap_err();
            assert!(!fault.public().contains("HTTP"), "{fault}");
            let heard = server.await.unwrap();
            assert!(!String::from_utf8_lossy(&heard).contains("canary"), "{says:?} {ssl}");
        }
    }
}

fn authority_pem() -> String {
    tls_authority().cert_pem().to_owned()
}

fn tls_authority() -> LocalCa {
    let (begin, end) = (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(3_600));
    LocalCa::create("a database's authority", begin, end, way().rng.as_ref()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_and_its_name_are_checked() {
    let (begin, end) = (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(3_600));
    let (ours, another) = (tls_authority(), tls_authority());
    let names = ["127.0.0.1".to_owned()];
    let issued = ours.issue_server(&names, begin, end, way().rng.as_ref()).unwrap();
    let server = Postgres::start_with_tls(&issued.cert_pem, issued.key_pem.expose());
    let port = server.port.to_string();
    let db = target_by_name("db").unwrap();
    let at = |more: &[(&'static str, &str)]| {
        let plain = [
            ("db-type", "postgres"),
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("user-name", "postgres"),
            ("pwd", PASSWORD),
        ];
        target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let (good, bad) = (ours.cert_pem(), another.cert_pem());
    db.probe(&at(&[("ssl-certificate", good)]), &way()).await.unwrap();
    db.probe(&at(&[("db-server-certificates", good), ("ssl", "true")]), &way()).await.unwrap();
    for wrong in [
        &[("ssl-certificate", bad)][..],
        &[("ssl-certificate", good), ("db-server-name", "db.example")],
        &[("ssl-certificate", good), ("host", "localhost")],
        &[("ssl", "true")],
    ] {
        let fault = db.probe(&at(wrong), &way()).await.unwrap_err();
        assert!(fault.public().contains("TLS with"), "{fault}");
    }
    // It takes encrypted connections only.
    let fault = db.probe(&at(&[("ssl", "false")]), &way()).await.unwrap_err();
    assert!(fault.public().contains("28000"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_slow_is_waited_for_no_longer_than_said() {
    let site = Site::new("engines_slow");
    let slow = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; select pg_sleep(60)";
    let mut stage = Stage::new(&[("creation-statements", slow)], site.target());
    stage.way.timeout = Duration::from_millis(700);
    let plan = stage.plan();
    let begun = tokio::time::Instant::now();
    let fault = stage.create(&plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // The server cancels by itself, so removing does not wait long for the lock.
    stage.way.timeout = Duration::from_secs(20);
    assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
    assert!(!site.has(&plan.handle));
}
