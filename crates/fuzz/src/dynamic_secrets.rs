//! What tenants write for engines: statements, rules, and templates of names.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{ItemPath, ManualClock, Secret, Timestamp, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_egress::Egress;
use keysherd_engines::vouching::{Vouched, read, vouch};
use keysherd_engines::{Engine, Scene, Settings, Way, Wish, by_name, is_handle};
use keysherd_wire::Args;

/// Longest name of a user that any engine makes, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// When texts of gateways were signed, in milliseconds.
const VOUCHED_AT: i64 = 1_000_000;

/// The fields that statements are in, by engine.
const STATEMENTS: &[(&str, &str)] = &[
    ("postgresql", "creation-statements"),
    ("postgresql", "revocation-statement"),
    ("redshift", "creation-statements"),
    ("redis", "acl-rules"),
    ("mssql", "mssql-create-statements"),
    ("mssql", "mssql-revocation-statements"),
    ("cassandra", "cassandra-creation-statements"),
    ("hanadb", "hanadb-create-statements"),
    ("hanadb", "hanadb-revocation-statements"),
    ("mongodb", "mongodb-roles"),
];

fn settings(engine: &dyn Engine, given: &[(&'static str, &str)]) -> Option<Settings> {
    let mut args = Args::new();
    for (name, value) in given {
        args.put(name, (*value).into());
    }
    engine.merged(&args, Settings::default()).ok()
}

/// Reads the bytes as statements or rules of each engine. A refusal names the field, and repeats
/// nothing of a text that could be a password in a statement.
pub fn statements(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (name, field) in STATEMENTS {
        let engine = by_name(name).expect("there is such an engine");
        let given = [
            (*field, text),
            ("postgresql-username", "a"),
            ("postgresql-password", "b"),
            ("redshift-username", "a"),
            ("redshift-password", "b"),
            ("host", "a"),
            ("password", "b"),
            ("mssql-username", "a"),
            ("mssql-password", "b"),
            ("cassandra-hosts", "a"),
            ("cassandra-username", "a"),
            ("cassandra-password", "b"),
            ("hanadb-username", "a"),
            ("hanadb-password", "b"),
            ("mongodb-server-uri", "mongodb://a:b@c"),
        ];
        let Some(settings) = settings(engine, &given) else { continue };
        if let Err(fault) = engine.check(&settings, None) {
            assert!(fault.public().contains(field), "{field}: {fault}");
            // Rules and roles have no passwords, and a refusal shows an example of some.
            let quotes = !matches!(*name, "redis" | "mongodb")
                && text.len() > 12
                && fault.public().contains(text);
            assert!(!quotes, "{field}: a refusal repeats the text");
        }
    }
}

/// Reads the bytes as a template of names, with a claim that is the same bytes. Whatever comes of
/// it is a name that can be removed, is short enough, and differs with every lease.
pub fn name_templates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let engine = by_name("postgresql").expect("there is such an engine");
    let Some(settings) = settings(engine, &[("custom-username-template", text)]) else { return };
    let way = Way::new(
        Arc::new(ManualClock::new(Timestamp(1_000_000))),
        SystemRng::handle(),
        Egress::default(),
    );
    let claims = BTreeMap::from([("email".to_owned(), vec![text.to_owned()])]);
    let item = ItemPath::parse("/a/b").expect("a path");
    let scene = Scene { settings: &settings, target: None, way: &way };
    let named = |lease: u8| {
        let wish = Wish {
            lease: Uid([lease; 16]),
            item: &item,
            access_id: "p-abc123def456",
            sub_claims: &claims,
            ttl_seconds: 60,
            args: &[],
            host: None,
            dbname: None,
            is_trial: false,
        };
        engine.plan(&scene, &wish).ok().map(|plan| plan.handle)
    };
    let Some(first) = named(1) else { return };
    assert!(is_handle(&first) && first.len() <= NAME_BYTES_MAX, "{first:?}");
    assert_ne!(Some(first), named(2));
}

/// Reads the bytes as what a gateway shows a webhook. Only what was signed is believed, for what
/// it was signed for.
pub fn vouching_texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let now = Timestamp(VOUCHED_AT);
    let Ok(signed) = read(text, now) else { return };
    let key = SigningKey::from_seed(&Secret::new([9; 32]));
    let again = vouch(&key, &signed.vouched, now, [3; 16]);
    let again = read(again.expose(), now).expect("what was just signed");
    assert_eq!((again.vouched, again.key), (signed.vouched, key.public()));
}

/// A text as gateways show it.
pub(crate) fn vouching_seeds() -> Vec<Vec<u8>> {
    let vouched = Vouched {
        account: Uid([7; 16]),
        access_id: "p-gateway".to_owned(),
        item: "/a/b".to_owned(),
        audience: "https://hook.example/".to_owned(),
    };
    let key = SigningKey::from_seed(&Secret::new([9; 32]));
    vec![vouch(&key, &vouched, Timestamp(VOUCHED_AT), [1; 16]).expose().clone().into_bytes()]
}

/// Statements and rules as they are usual.
pub(crate) fn statement_seeds() -> Vec<Vec<u8>> {
    [
        "CREATE USER \"{{name}}\" WITH PASSWORD '{{password}}'; GRANT SELECT ON t TO \"{{name}}\"",
        "DO $x$ BEGIN PERFORM 'a;'; END $x$; /* {{name}} */ SELECT E'\\';', {{userHost}} -- end",
        "[\"~app:*\", \"+@read\", \"(+get ~x)\"]",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Templates as they are usual.
pub(crate) fn template_seeds() -> Vec<Vec<u8>> {
    [
        "{{ .email | lowercase | replace \"@\" \"-\" | truncate 12 }}",
        "x-{{- (truncate_sha256 uuid 6) -}} {{ timestamp \"20060102\" }}{{ random 4 }}",
        "{{ restricted_chars .DynamicSecretName `ab` }}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
