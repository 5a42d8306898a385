//! What tests of this crate share: a control plane over a store in a temporary folder, with a
//! clock that stands still, an account, and short ways to sign in and to ask.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keysherd_audit::Record;
use keysherd_authn::Web;
use keysherd_base::{
    AccessId, AccountId, Clock, ClockHandle, Fault, FaultKind, ItemPath, ManualClock, Timestamp,
    Uid,
};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, MethodShared};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Capability, Rule, RuleKind};
use keysherd_plane::auth::{
    LOGIN_LABEL, Login, LoginProof, LoginReply, LoginSubject, NewPassword, PURPOSE_LOGIN,
    PasswordParamsReply,
};
use keysherd_plane::auth_methods::{AccessKeyReset, MethodCreate};
use keysherd_plane::roles::{AssocCreate, RoleCreate, RuleSet};
use keysherd_plane::{Ask, Caller, Client};
use keysherd_store::{Reader, Store, StoreConfig, Tx, audit, auth_methods, roles};
use tempfile::TempDir;

use crate::{
    Control, ControlConfig, ControlKeys, CreatedAccount, GatewayIdentity, Gateways, NewAccount,
    OriginalKey,
};

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp(1_767_600_000_000);
/// The owner's address in the first account.
pub(crate) const OWNER_EMAIL: &str = "owner@example.com";

/// The usual gateway.
pub(crate) const GATEWAY: GatewayIdentity = GatewayIdentity { spki_sha256: [7; 32] };
/// A gateway that no bundle names.
pub(crate) const STRANGER: GatewayIdentity = GatewayIdentity { spki_sha256: [0; 32] };

/// A trust bundle that names every gateway but [`STRANGER`].
struct Everyone;

impl Gateways for Everyone {
    fn bundle_version(&self) -> u64 {
        1
    }

    fn group_of(&self, gateway: &GatewayIdentity) -> Option<String> {
        (*gateway != STRANGER).then(|| "default".to_owned())
    }
}

/// An account and the keys of those who can enter it.
pub(crate) struct Admitted {
    pub(crate) id: AccountId,
    pub(crate) created: CreatedAccount,
    pub(crate) owner_key: SigningKey,
    pub(crate) admin_key: SigningKey,
}

/// A control plane under test.
pub(crate) struct World {
    home: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) control: Control,
    /// The key that audit heads are signed with.
    pub(crate) audit_key: PublicKey,
    pub(crate) first: Admitted,
    /// A token of the first account's first administrator.
    pub(crate) admin: String,
}

impl World {
    /// A control plane with one account.
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let (control, audit_key) = open(home.path(), clock.clone());
        let first = create_account(&control, OWNER_EMAIL).await.unwrap();
        let mut world = Self { home, clock, control, audit_key, first, admin: String::new() };
        let reply = world.login(&world.first.created.admin_access_id, &world.first.admin_key);
        world.admin = reply.await.unwrap().token;
        world
    }

    /// A further account.
    pub(crate) async fn another_account(&self, owner_email: &str) -> Admitted {
        create_account(&self.control, owner_email).await.unwrap()
    }

    /// Ends the control plane and opens it again over the same folder.
    pub(crate) fn restarted(self) -> Self {
        self.reopened(|_| ())
    }

    /// The same, and does something to the folder in between.
    pub(crate) fn reopened(self, between: impl FnOnce(&Path)) -> Self {
        let Self { home, clock, control, first, admin, .. } = self;
        drop(control);
        between(home.path());
        let (control, audit_key) = open(home.path(), clock.clone());
        Self { home, clock, control, audit_key, first, admin }
    }

    /// The same, as one of several control planes.
    pub(crate) fn sharing(mut self) -> Self {
        self.control = self.another_node();
        self
    }

    /// Another control plane with the same keys over the same store.
    pub(crate) fn another_node(&self) -> Control {
        let keys = ControlKeys::create_or_load(&self.home().join("keys"), &SystemRng).unwrap();
        node(self.home(), self.clock.clone(), keys, self.control.store.clone(), true)
    }

    /// Where everything is kept.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The file of the setup token.
    pub(crate) fn setup_token(&self) -> PathBuf {
        self.home.path().join("setup-token")
    }

    /// The current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks with `token` (empty: none) from the usual client.
    pub(crate) async fn ask<A: Ask>(&self, token: &str, message: A) -> Result<A::Reply, Fault> {
        self.ask_as(self.caller(token), message).await
    }

    /// Asks as this very caller.
    pub(crate) async fn ask_as<A: Ask>(
        &self,
        caller: Caller,
        message: A,
    ) -> Result<A::Reply, Fault> {
        let plane = self.control.plane_for(GATEWAY);
        plane.ask(caller, message).await
    }

    /// The usual caller with `token` (empty: none).
    pub(crate) fn caller(&self, token: &str) -> Caller {
        Caller {
            token: (!token.is_empty()).then(|| token.into()),
            client: client("192.0.2.7", "sdk"),
            command: "test-command".into(),
            request: Uid::random(&SystemRng).unwrap(),
            received: self.now(),
        }
    }

    /// Signs in with an access key.
    pub(crate) async fn login(
        &self,
        access_id: &AccessId,
        key: &SigningKey,
    ) -> Result<LoginReply, Fault> {
        let subject = LoginSubject::AccessId(access_id.clone());
        let proof = self.proof(PURPOSE_LOGIN, &subject, key);
        self.ask("", Login { subject, proof, otp: None }).await
    }

    /// Signs in with an e-mail address.
    pub(crate) async fn login_email(
        &self,
        email: &str,
        account: Option<AccountId>,
        key: &SigningKey,
    ) -> Result<LoginReply, Fault> {
        let subject = LoginSubject::Email { email: email.to_owned(), account };
        let proof = self.proof(PURPOSE_LOGIN, &subject, key);
        self.ask("", Login { subject, proof, otp: None }).await
    }

    /// A proof signed now.
    pub(crate) fn proof(
        &self,
        purpose: &str,
        subject: &LoginSubject,
        key: &SigningKey,
    ) -> LoginProof {
        signed(purpose, subject, key, self.now())
    }

    /// Makes an API-key method as the administrator.
    pub(crate) async fn api_key(&self, path: &str, shared: MethodShared) -> (AccessId, SigningKey) {
        let key = SigningKey::generate(&SystemRng).unwrap();
        let created = self.ask(&self.admin, method(path, shared, &key)).await.unwrap();
        (created.access_id, key)
    }

    /// Makes a role with rules as the administrator.
    pub(crate) async fn role(&self, path: &str, rules: &[Rule]) {
        self.ask(&self.admin, role(path)).await.unwrap();
        for rule in rules {
            let message = RuleSet { role: item(path), rule: rule.clone() };
            self.ask(&self.admin, message).await.unwrap();
        }
    }

    /// Associates a role with a method as the administrator.
    pub(crate) async fn associate(&self, role: &str, method: &str, claims: SubClaims) {
        self.ask(&self.admin, assoc(role, method, claims)).await.unwrap();
    }

    /// Makes a method `/users/NAME` and a role `/roles/NAME` with these rules; gives a token.
    pub(crate) async fn user(&self, name: &str, rules: &[Rule]) -> String {
        let (method, role) = (format!("/users/{name}"), format!("/roles/{name}"));
        let (access_id, key) = self.api_key(&method, MethodShared::default()).await;
        self.role(&role, rules).await;
        self.associate(&role, &method, SubClaims::default()).await;
        self.login(&access_id, &key).await.unwrap().token
    }

    /// Puts a method that many bearers share into the store, past the use cases; nobody can sign
    /// in by it.
    pub(crate) async fn shared_method(&self, path: &str) -> AccessId {
        let access_id = AccessId::random(&SystemRng).unwrap();
        let kind = "oauth2/jwt".to_owned();
        let method = AuthMethod {
            id: 0,
            account: self.first.id,
            access_id: access_id.clone(),
            path: item(path),
            shared: MethodShared::default(),
            detail: MethodDetail::Member { kind, settings: String::new() },
            generation: 1,
            created: START,
            modified: START,
        };
        let add = move |tx: &Tx| auth_methods::insert(tx, &method);
        self.control.store.commit(Vec::new(), add).await.unwrap();
        access_id
    }

    /// Puts many rules into a role at once, past the use cases.
    pub(crate) async fn many_rules(&self, path: &str, rules: &[Rule]) {
        let (account, path, rules) = (self.first.id, item(path), rules.to_vec());
        let add = move |tx: &Tx| {
            let mut role = roles::by_path(tx, account, &path)?.unwrap();
            role.rules.extend(rules);
            roles::update(tx, &role)
        };
        assert!(self.control.store.commit(Vec::new(), add).await.unwrap());
    }

    /// The audit records of the first account.
    pub(crate) fn records(&self) -> Vec<Record> {
        let account = self.first.id;
        let read = |reader: &Reader| audit::records(reader, account, 0, 100_000);
        let stored = self.control.store.read(read).unwrap();
        stored.iter().map(|record| record.parse().unwrap()).collect()
    }
}

/// A proof signed at `signed_at`.
pub(crate) fn signed(
    purpose: &str,
    subject: &LoginSubject,
    key: &SigningKey,
    signed_at: Timestamp,
) -> LoginProof {
    let nonce = Uid::random(&SystemRng).unwrap().0;
    let body = LoginProof::signed_body(purpose, subject, signed_at, &nonce);
    LoginProof { signed_at, nonce, signature: key.sign(LOGIN_LABEL, &body).0 }
}

/// A client.
pub(crate) fn client(address: &str, kind: &str) -> Client {
    Client { address: address.parse::<IpAddr>().unwrap(), kind: kind.into() }
}

/// The message that makes an API-key method.
pub(crate) fn method(path: &str, shared: MethodShared, key: &SigningKey) -> MethodCreate {
    let detail = MethodDetail::ApiKey { public_key: key.public().0, key_created: START };
    MethodCreate { path: item(path), shared, detail }
}

/// The message that replaces a method's credential by this key.
pub(crate) fn key_reset(path: &str, key: &SigningKey) -> AccessKeyReset {
    AccessKeyReset { path: item(path), public_key: key.public().0, password: password(key) }
}

/// The message that makes an empty role.
pub(crate) fn role(path: &str) -> RoleCreate {
    RoleCreate {
        path: item(path),
        comment: String::new(),
        delete_protection: None,
        rules: Vec::new(),
    }
}

/// The message that associates.
pub(crate) fn assoc(role: &str, method: &str, sub_claims: SubClaims) -> AssocCreate {
    AssocCreate { role: item(role), method: item(method), sub_claims, case_sensitive: true }
}

/// A rule that lasts, with capabilities as in `read,list`.
pub(crate) fn rule(kind: RuleKind, path: &str, capabilities: &str) -> Rule {
    let named = |name| Capability::from_name(name).unwrap();
    let capabilities = capabilities.split(',').filter(|name| !name.is_empty()).map(named);
    Rule { kind, path: path.to_owned(), capabilities: capabilities.collect(), expires: None }
}

/// A path.
pub(crate) fn item(path: &str) -> ItemPath {
    ItemPath::parse(path).unwrap()
}

/// The kind of the fault of an outcome that must be one.
pub(crate) fn kind<T>(outcome: Result<T, Fault>) -> FaultKind {
    match outcome {
        Ok(_) => panic!("it was not refused"),
        Err(fault) => fault.kind(),
    }
}

/// A verifier as a gateway makes it, without the stretching.
pub(crate) fn password(key: &SigningKey) -> NewPassword {
    let params =
        PasswordParamsReply { salt: [5; 16], memory_kib: 19_456, iterations: 2, parallelism: 1 };
    NewPassword { params, public_key: key.public().0 }
}

/// Exchanges bytes in the store's file, as who can write to the disk may.
pub(crate) fn exchange(home: &Path, from: &[u8; 64], to: &[u8; 64]) {
    let mut exchanged = 0;
    for file in std::fs::read_dir(home.join("store")).unwrap() {
        let path = file.unwrap().path();
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        while let Some(at) = bytes.windows(64).position(|window| window == from) {
            bytes[at..at + 64].copy_from_slice(to);
            exchanged += 1;
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    assert!(exchanged > 0, "the head is in no file");
}

fn open(home: &Path, clock: ClockHandle) -> (Control, PublicKey) {
    let keys = ControlKeys::create_or_load(&home.join("keys"), &SystemRng).unwrap();
    let audit = Arc::clone(&keys.audit);
    let audit_key = audit.public();
    let signer = move |body: &[u8]| audit.sign(keysherd_audit::HEAD_LABEL, body).0;
    let config = StoreConfig {
        reserve_bytes: 0,
        ..StoreConfig::new(home.join("store"), sha256, Arc::new(signer), clock.clone())
    };
    (node(home, clock, keys, Store::open(config).unwrap(), false), audit_key)
}

/// A control plane over an open store.
fn node(home: &Path, clock: ClockHandle, keys: ControlKeys, store: Store, shared: bool) -> Control {
    let gateways = Arc::new(Everyone);
    let rng = SystemRng::handle();
    let setup_token = Some(home.join("setup-token"));
    let web = Web::default();
    let config = ControlConfig { store, clock, rng, keys, gateways, setup_token, web, shared };
    Control::open(config).unwrap()
}

async fn create_account(control: &Control, owner_email: &str) -> Result<Admitted, Fault> {
    let [owner_key, admin_key] = [(); 2].map(|()| SigningKey::generate(&SystemRng).unwrap());
    let id = AccountId(Uid::random(&SystemRng).unwrap());
    let original_key = OriginalKey {
        key_id: Uid::random(&SystemRng).unwrap(),
        group: "default".to_owned(),
        manifest: b"manifest".as_slice().into(),
        managers: 3,
        threshold: 2,
        customer_fragment: None,
    };
    let new = NewAccount {
        account: id,
        owner_email: owner_email.to_owned(),
        owner_password: password(&owner_key),
        admin_access_id: AccessId::random(&SystemRng).unwrap(),
        admin_public_key: admin_key.public().0,
        original_key,
    };
    let created = control.create_account(new).await?;
    Ok(Admitted { id, created, owner_key, admin_key })
}
