//! The deployment.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use keysherd_api::passwords::{Turns, login_proof};
use keysherd_api::{
    AnswerBudget, BrowserLogins, Ctx, NoCertificate, NoConfigs, NoForwarding, NoStanding, Services,
    commands,
};
use keysherd_audit::HEAD_LABEL;
use keysherd_base::{
    AccessId, AccountId, Clock, Fault, ManualClock, RequestId, Rng, Secret, Timestamp, Uid,
};
use keysherd_control::{
    Control, ControlConfig, ControlKeys, GatewayIdentity, NewAccount, OriginalKey,
};
use keysherd_crypto::{hash::sha256, random::SystemRng, sign::SigningKey};
use keysherd_engines::Way as TargetWay;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::Threshold;
use keysherd_gateway::{
    CacheSettings, CopyKey, CustomerFragments, Gateway, GatewayConfig, OriginalKey as KeyToMake,
    Strictness,
};
use keysherd_manager::{KeyFile, Manager, ManagerConfig, ManagerLimits};
use keysherd_plane::auth::{Login, LoginSubject, NewPassword, PURPOSE_LOGIN, PasswordParamsReply};
use keysherd_plane::{Caller, Client, PlaneHandle};
use keysherd_store::{Store, StoreConfig};
use keysherd_wire::Answer;
use serde_json::Value;
use tempfile::TempDir;

use crate::links::{Circle, Peers, ScriptedLink, ScriptedModule, beside, index, links_of};
use crate::plane::{OneGroup, TamperedPlane};
use crate::steps::Steps;

/// When every test begins: 2026-01-05T10:00:00Z.
const START: Timestamp = Timestamp(1_767_607_200_000);
pub(crate) const GROUP: &str = "default";
const MANAGERS: u8 = 3;

/// The customer fragment that the bundle allows the gateway.
pub const FRAGMENT: Uid = Uid([0xcf; 16]);

/// What a test may choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// What the gateway refuses beyond what it must.
    pub strict: Strictness,
    /// Seconds an opened key stays in the gateway's memory; 0 so that every read derives.
    pub key_cache_seconds: i64,
    /// Which reads the gateway answers by itself.
    pub cache: CacheSettings,
    /// What a copy on disk of it is sealed under; `None`: there is none.
    pub cache_key: Option<[u8; 32]>,
    /// Values wrapped anew in a second after a rotation; `None`: none.
    pub rewraps_per_second: Option<NonZeroU32>,
}

/// A deployment with one account, whose administrator asks.
pub struct Rig {
    dir: TempDir,
    settings: Settings,
    instance: SigningKey,
    bundle: Arc<PinnedBundle>,
    /// Time of control, managers and gateway.
    pub clock: Arc<ManualClock>,
    /// The owner's key.
    pub owner: SigningKey,
    /// The key control signs permits with, for tests that play control.
    pub permit_key: Arc<SigningKey>,
    /// Control itself.
    pub control: Control,
    /// Control's store.
    pub store: Store,
    /// The managers, by index.
    pub managers: Vec<Arc<Manager>>,
    /// The gateway's links to them, by index.
    pub links: Vec<Arc<ScriptedLink>>,
    /// Where the gateway can be stopped.
    pub steps: Arc<Steps>,
    /// The way from the gateway to control.
    pub plane: Arc<TamperedPlane>,
    /// The customer fragments of the gateway; none at first.
    pub fragments: Arc<CustomerFragments>,
    /// What makes those of them that are kept in hardware.
    pub module: Arc<ScriptedModule>,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// What commands work with.
    pub services: Arc<Services>,
    /// The account.
    pub account: AccountId,
    token: Arc<str>,
    /// The administrator.
    admin: Option<(AccessId, SigningKey)>,
}

impl Rig {
    /// A deployment where everybody is honest.
    pub async fn new(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let clock = Arc::new(ManualClock::new(START));
        let [owner, instance] = [(); 2].map(|()| signing_key());
        let keys = ControlKeys::create_or_load(&dir.path().join("keys"), &SystemRng)
            .expect("control's keys");
        let permit_key = keys.permit.clone();
        let managers = open_managers(dir.path(), &owner, &clock);
        let spki = instance.public().spki_sha256();
        let bundle = bundle(&managers, &permit_key, spki).seal(&owner);
        for manager in &managers {
            manager.accept_bundle(&bundle.to_bytes()).await.expect("the bundle is good");
        }
        let bundle = Arc::new(PinnedBundle::open(owner.public(), bundle).expect("a bundle"));
        let (control, store) = open_control(dir.path().join("store"), keys, &clock);
        let steps = Arc::new(Steps::default());
        let honest = control.plane_for(GatewayIdentity { spki_sha256: spki });
        let plane = Arc::new(TamperedPlane::new(honest, steps.clone()));
        let threshold = Threshold::new(2, MANAGERS).expect("a threshold");
        let links: Vec<_> = managers
            .iter()
            .map(|manager| {
                Arc::new(ScriptedLink::new(manager.clone(), spki, threshold, steps.clone()))
            })
            .collect();
        let module = Arc::new(ScriptedModule::default());
        let fragments = Arc::new(CustomerFragments::new(Some(module.clone())));
        let parts = GatewayParts {
            plane: plane.clone(),
            instance: &instance,
            bundle: &bundle,
            links: &links,
            fragments: &fragments,
            clock: &clock,
            home: dir.path().join("gateway"),
        };
        let (gateway, services) = start_gateway(parts, settings);
        let mut rig = Self {
            dir,
            settings,
            instance,
            bundle,
            clock,
            owner,
            permit_key,
            control,
            store,
            managers,
            links,
            steps,
            plane,
            fragments,
            module,
            gateway,
            services,
            account: AccountId(random_uid()),
            token: "".into(),
            admin: None,
        };
        rig.make_account().await;
        rig
    }

    /// Ends the gateway and starts it again: what it had in memory is gone.
    pub fn restart_gateway(&mut self) {
        let parts = self.parts(self.gateway_home());
        (self.gateway, self.services) = start_gateway(parts, self.settings);
    }

    fn parts(&self, home: PathBuf) -> GatewayParts<'_> {
        GatewayParts {
            plane: self.plane.clone(),
            instance: &self.instance,
            bundle: &self.bundle,
            links: &self.links,
            fragments: &self.fragments,
            clock: &self.clock,
            home,
        }
    }

    /// Signs a changed trust bundle; managers and gateway obey it from now on.
    pub async fn change_bundle(&mut self, change: impl FnOnce(&mut Bundle)) {
        let mut bundle = self.bundle.bundle().clone();
        change(&mut bundle);
        bundle.version += 1;
        let signed = bundle.seal(&self.owner);
        for manager in &self.managers {
            manager.accept_bundle(&signed.to_bytes()).await.expect("the bundle is good");
        }
        self.bundle = Arc::new(self.bundle.accept(signed).expect("a newer bundle"));
        self.gateway.trust(self.bundle.clone(), links_of(&self.links));
    }

    /// A further gateway of the same identity, with a directory and a memory of its own.
    pub fn another_gateway(&self) -> Arc<Services> {
        start_gateway(self.parts(self.dir.path().join("another-gateway")), self.settings).1
    }

    /// The trust bundle.
    pub fn bundle(&self) -> &PinnedBundle {
        &self.bundle
    }

    /// The gateway's own directory.
    pub fn gateway_home(&self) -> PathBuf {
        self.dir.path().join("gateway")
    }

    /// The gateway's signing key.
    pub fn instance(&self) -> &SigningKey {
        &self.instance
    }

    /// The link to the manager with this index.
    pub fn link(&self, index: u8) -> &ScriptedLink {
        &self.links[usize::from(index) - 1]
    }

    /// Derivation requests that were sent to each manager so far.
    pub fn derivations(&self) -> Vec<usize> {
        self.links.iter().map(|link| link.derivations()).collect()
    }

    /// Runs a public command as the administrator; gives its answer as JSON.
    ///
    /// # Errors
    /// The command's fault.
    pub async fn call(&self, command: &str, args: Value) -> Result<Value, Fault> {
        let answer = self.answer(command, args).await?;
        Ok(serde_json::from_slice(answer.body.expose()).expect("answers are JSON"))
    }

    /// Runs a public command as the administrator; gives its whole answer.
    ///
    /// # Errors
    /// The command's fault.
    pub async fn answer(&self, command: &str, args: Value) -> Result<Answer, Fault> {
        self.answer_at(&self.services, command, args).await
    }

    /// Runs a public command at another gateway, as [`Self::call`].
    ///
    /// # Errors
    /// As there.
    pub async fn call_at(
        &self,
        services: &Arc<Services>,
        command: &str,
        args: Value,
    ) -> Result<Value, Fault> {
        let answer = self.answer_at(services, command, args).await?;
        Ok(serde_json::from_slice(answer.body.expose()).expect("answers are JSON"))
    }

    async fn answer_at(
        &self,
        services: &Arc<Services>,
        command: &str,
        args: Value,
    ) -> Result<Answer, Fault> {
        let found = commands::all().find(|known| known.spec.name == command);
        let known = found.unwrap_or_else(|| panic!("there is no command {command}"));
        let body = args.to_string();
        let args = keysherd_http::parse_body(&known.spec, body.as_bytes())?;
        let ctx = Ctx::new(services.clone(), self.caller(command));
        (known.run)(ctx, args).await
    }

    /// A request of the administrator.
    pub fn caller(&self, command: &str) -> Caller {
        Caller {
            token: (!self.token.is_empty()).then(|| self.token.clone()),
            client: Client { address: [192, 0, 2, 7].into(), kind: "sdk".into() },
            command: command.into(),
            request: RequestId::random(&SystemRng).expect("random bytes"),
            received: self.clock.now(),
        }
    }

    async fn make_account(&mut self) {
        let (account, key_id) = (self.account, random_uid());
        let self_test_salt = random();
        let identity = GatewayIdentity { spki_sha256: self.instance.public().spki_sha256() };
        let permit = self
            .control
            .permit_original_key(account, key_id, self_test_salt, &identity)
            .expect("a permit");
        let group = GROUP.to_owned();
        let key = KeyToMake { account, key_id, group, managers: MANAGERS, permit, self_test_salt };
        let (manifest, threshold) =
            self.gateway.make_original_key(key).await.expect("an original key");
        let [owner_key, admin_key] = [(); 2].map(|()| signing_key());
        let admin_access_id = AccessId::random(&SystemRng).expect("random bytes");
        let group = GROUP.to_owned();
        let new = NewAccount {
            account,
            owner_email: "owner@example.com".to_owned(),
            owner_password: password(&owner_key),
            admin_access_id: admin_access_id.clone(),
            admin_public_key: admin_key.public().0,
            original_key: OriginalKey {
                key_id,
                group,
                manifest,
                managers: MANAGERS,
                threshold,
                customer_fragment: None,
            },
        };
        let control = self.control.clone();
        beside(async move { control.create_account(new).await }).await.expect("an account");
        self.admin = Some((admin_access_id, admin_key));
        self.sign_in().await;
    }

    /// The administrator's access id.
    pub fn admin_access_id(&self) -> AccessId {
        self.admin.as_ref().map(|(id, _)| id.clone()).expect("there is an account")
    }

    /// Signs the administrator in again, as tokens end.
    pub async fn sign_in(&mut self) {
        let (access_id, key) = self.admin.as_ref().expect("there is an account");
        let subject = LoginSubject::AccessId(access_id.clone());
        let now = (self.clock.now(), &SystemRng as &dyn Rng);
        let proof = login_proof(now, PURPOSE_LOGIN, &subject, key).expect("randomness");
        let plane: PlaneHandle = self.plane.clone();
        let reply = plane.ask(self.caller("auth"), Login { subject, proof, otp: None }).await;
        self.token = reply.expect("a token").token.as_str().into();
    }
}

struct GatewayParts<'a> {
    plane: PlaneHandle,
    instance: &'a SigningKey,
    bundle: &'a Arc<PinnedBundle>,
    links: &'a [Arc<ScriptedLink>],
    fragments: &'a Arc<CustomerFragments>,
    clock: &'a Arc<ManualClock>,
    home: PathBuf,
}

fn start_gateway(parts: GatewayParts<'_>, settings: Settings) -> (Arc<Gateway>, Arc<Services>) {
    let engines = TargetWay::new(parts.clock.clone(), SystemRng::handle(), Default::default());
    let config = GatewayConfig {
        plane: parts.plane,
        instance: SigningKey::from_seed(parts.instance.seed()),
        bundle: parts.bundle.clone(),
        links: links_of(parts.links),
        fragments: parts.fragments.clone(),
        clock: parts.clock.clone(),
        rng: SystemRng::handle(),
        key_cache_seconds: settings.key_cache_seconds,
        cache: settings.cache,
        copy_key: settings.cache_key.map(|key| CopyKey::alone(Secret::new(key))),
        home: Some(parts.home),
        strict: settings.strict,
        rewraps_per_second: settings.rewraps_per_second,
        removes: Some(engines.clone()),
        duty: keysherd_gateway::Duty::new(true),
    };
    let gateway = Arc::new(Gateway::start(config).expect("a gateway"));
    let services = Services {
        plane: gateway.plane(),
        crypt: gateway.clone(),
        clock: parts.clock.clone(),
        rng: SystemRng::handle(),
        answers: AnswerBudget::default(),
        configs: Arc::new(NoConfigs),
        certificate: Arc::new(NoCertificate),
        forwarding: NoForwarding::new(parts.clock.clone(), SystemRng::handle()),
        browser_logins: BrowserLogins::default(),
        standing: Arc::new(NoStanding),
        outward: Default::default(),
        engines,
        creations: Default::default(),
        stretching: Turns::new(1),
    };
    (gateway, Arc::new(services))
}

fn open_managers(
    dir: &std::path::Path,
    owner: &SigningKey,
    clock: &Arc<ManualClock>,
) -> Vec<Arc<Manager>> {
    let circle = Circle::default();
    let open = |number: u8| {
        let home = dir.join(format!("manager-{number}"));
        std::fs::create_dir(&home).expect("a directory for a manager");
        let config = ManagerConfig {
            index: index(number),
            dir: home.join("store"),
            clock: clock.clone(),
            rng: SystemRng::handle(),
            at_rest: Arc::new(KeyFile::new(home.join("epoch.key"))),
            limits: ManagerLimits::default(),
        };
        let peers = Arc::new(Peers { from: index(number), circle: circle.clone() });
        Manager::open(config, owner.public(), None, peers).expect("a manager")
    };
    let managers: Vec<_> = (1..=MANAGERS).map(open).collect();
    let _first = circle.set(managers.iter().map(Arc::downgrade).collect());
    managers
}

fn open_control(dir: PathBuf, keys: ControlKeys, clock: &Arc<ManualClock>) -> (Control, Store) {
    let audit = keys.audit.clone();
    let signer = move |body: &[u8]| audit.sign(HEAD_LABEL, body).0;
    let clock: keysherd_base::ClockHandle = clock.clone();
    let config = StoreConfig {
        reserve_bytes: 0,
        ..StoreConfig::new(dir, sha256, Arc::new(signer), clock.clone())
    };
    let store = Store::open(config).expect("a store");
    let control = Control::open(ControlConfig {
        store: store.clone(),
        clock,
        rng: SystemRng::handle(),
        keys,
        gateways: Arc::new(OneGroup),
        setup_token: None,
        web: keysherd_control::Web::default(),
        shared: false,
    });
    (control.expect("a control plane"), store)
}

fn bundle(managers: &[Arc<Manager>], permit_key: &SigningKey, gateway: [u8; 32]) -> Bundle {
    let entry = |manager: &Arc<Manager>| ManagerEntry {
        index: manager.index(),
        key: manager.identity(),
        tls_spki_sha256: manager.identity().spki_sha256(),
        former_keys: Vec::new(),
        address: String::new(),
    };
    Bundle {
        deployment: Uid([0xde; 16]),
        version: 1,
        issued_at: START,
        accounts: Vec::new(),
        managers: managers.iter().map(entry).collect(),
        permit_keys: vec![PermitKey {
            key: permit_key.public(),
            not_before: START.plus_seconds(-3_600),
            not_after: START.plus_seconds(365 * 86_400),
        }],
        clusters: vec![Cluster {
            id: Uid([0xc1; 16]),
            instances: vec![gateway],
            cluster_key: None,
            groups: vec![GROUP.to_owned()],
            fragments: vec![FRAGMENT],
            ops: keysherd_fragments::permit::Op::ALL.to_vec(),
            caps: Caps::UNLIMITED,
        }],
        groups: vec![KeyGroup {
            name: GROUP.to_owned(),
            fragment_required: false,
            caps: Caps::UNLIMITED,
            key_caps: Caps::UNLIMITED,
        }],
        account_caps: Caps::UNLIMITED,
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    }
}

fn password(key: &SigningKey) -> NewPassword {
    let params =
        PasswordParamsReply { salt: [7; 16], memory_kib: 19_456, iterations: 2, parallelism: 1 };
    NewPassword { public_key: key.public().0, params }
}

fn signing_key() -> SigningKey {
    SigningKey::generate(&SystemRng).expect("random bytes")
}

fn random<const N: usize>() -> [u8; N] {
    let rng: &dyn Rng = &SystemRng;
    rng.array().expect("random bytes")
}

fn random_uid() -> Uid {
    Uid(random())
}
