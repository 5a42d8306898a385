//! A ticket that curl presented, from the create command to control; the live flow is tested with a
//! running KDC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock as _, ClockHandle, FaultKind, RngHandle, SecretString, Timestamp};
use keysherd_crypto::rsa::RsaPair;
use serde_json::{Value, json};

use super::*;
use crate::testing::{TestDesk, access_id};

const TOKEN: &str = include_str!("../../../../crypto/fixtures/kerberos/curl-token.b64");
const KEYTAB: &str = include_str!("../../../../crypto/fixtures/kerberos/http-localhost.keytab.b64");
/// When curl made it.
const MADE: Timestamp = Timestamp(1_795_316_333_000);

/// A gateway that keeps one configuration, for whichever method.
struct Keeper {
    desk: TestDesk,
    kept: Option<SecretString>,
}

impl Keeper {
    fn new() -> Self {
        let desk = TestDesk::new();
        desk.time.advance_seconds(MADE.seconds() - desk.time.now().seconds());
        Self { desk, kept: None }
    }

    /// Makes a method or changes it; gives its settings on their way to control.
    fn settings(&mut self, wanted: Wanted, given: Value) -> Result<String, Fault> {
        let prepared = Kerberos.settings(&args(&given), wanted, self)?;
        assert!(prepared.private_key.is_none());
        self.kept = prepared.kept;
        Ok(prepared.settings)
    }

    async fn evidence(&self, given: Value) -> Result<String, FaultKind> {
        prove(&args(&given), self).await.map_err(|fault| fault.kind())
    }
}

impl Desk for Keeper {
    fn clock(&self) -> &ClockHandle {
        self.desk.clock()
    }

    fn rng(&self) -> &RngHandle {
        self.desk.rng()
    }

    fn admit<'a>(
        &'a self,
        id: &'a AccessId,
        entrant: Entrant<'a>,
    ) -> BoxFuture<'a, Result<&'a Outward, Fault>> {
        assert_eq!(entrant, Entrant::Machine);
        self.desk.admit(id, entrant)
    }

    fn account(&self, kind: &str, id: &AccessId) -> Option<AccountId> {
        self.desk.account(kind, id)
    }

    fn config(&self, kind: &str, name: &str, id: &AccessId) -> Result<Option<SecretString>, Fault> {
        assert_eq!((kind, name), (KERBEROS_CONFIG, id.as_str()));
        Ok(self.kept.as_ref().map(|kept| SecretString::new(kept.expose().clone())))
    }

    fn challenge<'a>(
        &'a self,
        id: &'a AccessId,
        subject: [u8; 32],
    ) -> BoxFuture<'a, Result<Vec<u8>, Fault>> {
        self.desk.challenge(id, subject)
    }
}

fn args(given: &Value) -> Args {
    let known = FIELDS.fields.iter().chain(&CREDENTIAL).map(|field| field.name);
    let known = known.chain([ACCESS_ID.name()]);
    let mut args = Args::new();
    for name in known {
        if let Some(value) = given.get(name) {
            args.put(name, value.clone());
        }
    }
    args
}

fn create() -> Value {
    json!({"keytab-file-data": KEYTAB})
}

fn login(id: &AccessId) -> Value {
    json!({"access-id": id.as_str(), "kerberos-token": TOKEN})
}

async fn told(
    keeper: &Keeper,
    settings: &str,
    evidence: &str,
    id: &AccessId,
    world: &World,
) -> Result<Identity, FaultKind> {
    let attempt = keeper.desk.attempt(settings, evidence, id);
    Kerberos.verify(attempt, world).await.map_err(|fault| fault.kind())
}

#[tokio::test]
async fn a_token_counts_once_wherever_it_is_shown() {
    let mut keeper = Keeper::new();
    let settings = keeper.settings(Wanted::New, create()).unwrap();
    Kerberos.check(&settings).unwrap();
    keeper.desk.time.advance_seconds(-1);
    let world = keeper.desk.world();
    keeper.desk.time.advance_seconds(1);
    let (id, twin) = (access_id(0), access_id(1));
    let evidence = keeper.evidence(login(&id)).await.unwrap();
    let again = keeper.evidence(login(&id)).await.unwrap();
    let elsewhere = keeper.evidence(login(&twin)).await.unwrap();
    let refused = Err(FaultKind::Unauthorized);
    // An assertion for another method is not good, and is not used up by that.
    assert_eq!(told(&keeper, &settings, &evidence, &twin, &world).await, refused);
    let identity = told(&keeper, &settings, &evidence, &id, &world).await.unwrap();
    assert_eq!(identity.unique_id, "alice@EXAMPLE.TEST");
    assert_eq!(identity.claims.values("username"), ["alice"]);
    assert_eq!(identity.claims.values("realm"), ["EXAMPLE.TEST"]);
    let day = identity.ends.unwrap().millis_since(MADE) - 86_400_000;
    assert!(day.abs() < 5_000, "no token outlives the ticket");
    for (evidence, id) in [(&evidence, &id), (&again, &id), (&elsewhere, &twin)] {
        assert_eq!(told(&keeper, &settings, evidence, id, &world).await, refused);
    }
    // A control plane that started after it was made cannot know whether it was used.
    keeper.desk.time.advance_seconds(10);
    let world = keeper.desk.world();
    let late = keeper.evidence(login(&id)).await.unwrap();
    let unknown = Err(FaultKind::Unavailable);
    assert_eq!(told(&keeper, &settings, &late, &id, &world).await, unknown);
    // And it is remembered for as long as its time would do.
    keeper.desk.time.advance_seconds(SKEW_SECONDS);
    assert_eq!(keeper.evidence(login(&id)).await, Err(FaultKind::Unauthorized));
}

#[tokio::test]
async fn t_kerberos_what_the_gateway_refuses() {
    let mut keeper = Keeper::new();
    let id = access_id(0);
    let outcome = keeper.evidence(login(&id)).await;
    assert_eq!(outcome, Err(FaultKind::Unauthorized), "a gateway without the keytab");
    keeper.settings(Wanted::New, create()).unwrap();
    let with = |name: &str, value: &str| {
        let mut given = login(&id);
        given[name] = value.into();
        given
    };
    for spn in ["HTTP/localhost", "HTTP/localhost@EXAMPLE.TEST"] {
        assert!(keeper.evidence(with("gateway-spn", spn)).await.is_ok(), "{spn}");
    }
    for (name, value, kind) in [
        ("gateway-spn", "HTTP/other", FaultKind::Unauthorized),
        ("access-id", "nobody", FaultKind::Unauthorized),
        ("kerberos-token", "AAAA", FaultKind::Unauthorized),
        ("kerberos-token", "?", FaultKind::BadRequest),
        ("kerberos-token", "", FaultKind::BadRequest),
        ("keytab-data", "x", FaultKind::BadRequest),
        ("krb5-conf-data", "x", FaultKind::BadRequest),
        ("kerberos-username", "x", FaultKind::BadRequest),
    ] {
        assert_eq!(keeper.evidence(with(name, value)).await, Err(kind), "{name} {value}");
    }
    let other = "[libdefaults]\ndefault_realm = OTHER.TEST";
    let conf = json!({"keytab-file-data": KEYTAB, "krb5-conf-data": other});
    assert!(keeper.settings(Wanted::New, conf).is_err(), "no key of that realm");
}

#[test]
fn each_gateway_adds_a_key_of_its_own() {
    let (mut one, mut other) = (Keeper::new(), Keeper::new());
    let changed = || Wanted::Changed(Some(access_id(0)));
    let first = one.settings(Wanted::New, create()).unwrap();
    let read = |settings: &str| stored::<Settings>(settings).unwrap();
    let keys = |settings: &str| read(settings).keys;
    // Changing it at the same gateway adds nothing.
    let again = one.settings(changed(), json!({"unique-identifier": "username"})).unwrap();
    let same = Kerberos.replace(&first, again).unwrap();
    assert_eq!(keys(&same), keys(&first));
    assert_eq!(read(&same).unique_identifier, "username");
    // Another gateway does not have the keytab, and brings a key.
    let fault = other.settings(changed(), json!({})).unwrap_err();
    assert!(fault.public().contains("keytab-file-data"), "{}", fault.public());
    let second = other.settings(changed(), create()).unwrap();
    let both = Kerberos.replace(&first, second.clone()).unwrap();
    assert_eq!(keys(&both), [keys(&first), keys(&second)].concat());
    let mut alone = create();
    alone["only-this-gateway"] = true.into();
    let alone = other.settings(changed(), alone).unwrap();
    let left = Kerberos.replace(&both, alone).unwrap();
    assert_eq!(keys(&left), keys(&second));
    assert!(!read(&left).alone);
    // There are only so many.
    let mut full = read(&both);
    let key = || RsaPair::generate().unwrap().public_pem;
    full.keys.extend((2..GATEWAYS_MAX).map(|_| key()));
    let full = serde_json::to_string(&full).unwrap();
    Kerberos.check(&full).unwrap();
    let third = Settings { unique_identifier: "x".into(), keys: vec![key()], alone: false };
    let over = Kerberos.replace(&full, serde_json::to_string(&third).unwrap()).unwrap();
    assert!(Kerberos.check(&over).unwrap_err().public().contains("only-this-gateway"));
}

#[test]
fn groups_are_cut_where_the_method_says() {
    let groups = ["ops".to_owned(), "a;b ,c; ".to_owned(), "ops".to_owned()];
    assert_eq!(split(&groups, &[]), ["a;b ,c;", "ops"]);
    assert_eq!(split(&groups, &[";".to_owned(), "|".to_owned()]), ["a", "b ,c", "ops"]);
}

#[test]
fn what_is_kept_is_not_printed_and_what_is_shown_has_no_secret() {
    let mut keeper = Keeper::new();
    let settings = keeper.settings(Wanted::New, create()).unwrap();
    let shown = Kerberos.show(&settings).unwrap();
    let keytab: String = KEYTAB.split_whitespace().collect();
    for text in [settings, shown.content.to_string()] {
        assert!(!text.contains(&keytab) && !text.contains("PRIVATE"), "{text}");
    }
    let key = STANDARD.decode(shown.content["sign_public_key"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(key).unwrap().contains("BEGIN PUBLIC KEY"));
    let kept = keeper.kept.unwrap();
    assert!(kept.expose().contains(&keytab) && kept.expose().contains("PRIVATE"));
}
