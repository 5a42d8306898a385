//! Whether control lets a gateway in with the credential of its cluster. It signs in as the gateway
//! itself does, and joins nothing: all that is left of it is the record of a login.

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::commands::{OwnCredential, sign_in};
use keysherd_api::passwords::Turns;
use keysherd_api::{
    AnswerBudget, BrowserLogins, Ctx, NoCertificate, NoConfigs, NoForwarding, NoStanding, Services,
};
use keysherd_authn::Outward;
use keysherd_base::{Fault, FaultKind, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_engines::Way as TargetWay;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_gateway::{
    CLIENT_TYPE, CacheSettings, CustomerFragments, Gateway, GatewayConfig, Proof, Strictness,
};
use keysherd_link::{Channel, RemotePlane};
use keysherd_plane::{Caller, Client};

use super::checks::{Check, Verdict};
use super::endpoints::Known;
use crate::config::cluster::ClusterSettings;
use crate::roles::parties;

/// How long a login may take: what a cloud is asked for included.
const PATIENCE: Duration = Duration::from_secs(20);
const NAME: &str = "credential of the cluster";

/// Tries the credential through `control`; only reads it where control is not reached.
pub(super) async fn check(known: &Known, control: Option<Channel>) -> Option<Check> {
    let cluster = known.settings.serving.cluster.as_ref()?;
    let access_id = &cluster.access_id;
    let credential = match cluster.proof.read(&known.settings.data_dir, &cluster.host) {
        Ok(Proof::Credential(credential)) => credential,
        Ok(Proof::Uid(_)) => {
            // A token of it is good once: signing in would take it from the gateway.
            let detail = format!("that of {access_id}; not tried, as it rotates with each login");
            return Some(Check::new(NAME, Verdict::Ok, detail, ""));
        }
        Err(exit) => {
            let fix = "see --gateway-access-key-file";
            return Some(Check::new(NAME, Verdict::Files, exit.to_string(), fix));
        }
    };
    let (Some(control), Some(bundle)) = (control, known.bundle.clone()) else {
        let detail = format!("that of {access_id}; not tried, as control is not reached");
        return Some(Check::new(NAME, Verdict::Warning, detail, ""));
    };
    let trying = login(known, (control, bundle), cluster, &credential);
    let late = |_| Err(Fault::new(FaultKind::Timeout, "no answer in time"));
    let outcome = tokio::time::timeout(PATIENCE, trying).await.unwrap_or_else(late);
    Some(match outcome {
        Ok(()) => Check::new(NAME, Verdict::Ok, format!("{access_id} is let in"), ""),
        Err(fault) => {
            let (verdict, fix) = match fault.kind() {
                FaultKind::Unavailable | FaultKind::Timeout => {
                    (Verdict::Unreachable, "mend what is named above, and try again")
                }
                _ => (
                    Verdict::Refused,
                    "check --gateway-access-id and its key, that the method allows the client \
                     type gateway-admin and this machine's address, and this machine's clock",
                ),
            };
            Check::new(NAME, verdict, format!("{access_id}: {}", fault.public()), fix)
        }
    })
}

async fn login(
    known: &Known,
    (control, bundle): (Channel, Arc<PinnedBundle>),
    cluster: &ClusterSettings,
    credential: &OwnCredential,
) -> Result<(), Fault> {
    let (clock, rng) = (known.clock.clone(), SystemRng::handle());
    // Without a directory and without links it can keep nothing and ask nobody but control.
    let gateway = Gateway::start(GatewayConfig {
        plane: Arc::new(RemotePlane::new(control)),
        instance: SigningKey::generate(&*rng)?,
        bundle,
        links: Vec::new(),
        fragments: Arc::new(CustomerFragments::new(None)),
        clock: clock.clone(),
        rng: rng.clone(),
        key_cache_seconds: 0,
        cache: CacheSettings::default(),
        copy_key: None,
        rewraps_per_second: None,
        home: None,
        strict: Strictness::default(),
        removes: None,
        duty: keysherd_gateway::Duty::new(false),
    })?;
    let services = Services {
        plane: gateway.plane(),
        crypt: Arc::new(gateway),
        clock: clock.clone(),
        rng: rng.clone(),
        answers: AnswerBudget::default(),
        browser_logins: BrowserLogins::default(),
        configs: Arc::new(NoConfigs),
        certificate: Arc::new(NoCertificate),
        standing: Arc::new(NoStanding),
        forwarding: NoForwarding::new(clock.clone(), rng.clone()),
        outward: Outward::new(&known.settings.serving.egress.egress),
        engines: TargetWay::new(
            clock.clone(),
            rng.clone(),
            known.settings.serving.egress.egress.clone(),
        ),
        creations: Default::default(),
        stretching: Turns::new(1),
    };
    let caller = Caller {
        token: None,
        client: Client {
            address: parties::own_address(&known.settings.controls).await,
            kind: CLIENT_TYPE.into(),
        },
        command: "auth".into(),
        request: Uid::random(&*rng)?,
        received: clock.now(),
    };
    let ctx = Ctx::new(Arc::new(services), caller);
    sign_in(&ctx, &cluster.access_id, credential).await.map(drop)
}
