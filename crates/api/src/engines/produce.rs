//! Making temporary credentials: an intent that is durable, then the target, then the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use keysherd_base::{AccessId, Fault, FaultKind, ItemId, Timestamp, Uid};
use keysherd_engines::{Created, Plan, Wish, check_wish, is_untouched};
use keysherd_plane::credential_leases::{LeaseAbandon, LeaseActivate, LeaseIntend};
use keysherd_plane::grants::{ItemRef, Purpose};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::sealed::OpenedSecret;
use crate::crypt::OpenedForUse;
use crate::ctx::Ctx;

/// How long a target may take unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long making credentials may take from before control was told: well within what control
/// leaves to an intent.
const MADE_WITHIN: Duration = Duration::from_secs(100);

/// How long a target may take to undo what failed there, while somebody waits for the answer.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// What a caller may say about the credentials it asks for.
#[derive(Debug)]
pub struct Asked {
    /// Texts `key=value`, or JSON objects of texts.
    pub args: Vec<String>,
    /// A host of a linked target.
    pub host: Option<String>,
    /// A database.
    pub dbname: Option<String>,
    /// How long the target may take.
    pub patience: Duration,
}

impl Default for Asked {
    fn default() -> Self {
        Self { args: Vec::new(), host: None, dbname: None, patience: PATIENCE }
    }
}

/// When credentials end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// When control says so.
    InTime,
    /// As soon as they are made: it was a trial.
    AtOnce,
}

/// Temporary credentials.
pub struct Produced {
    /// Their id.
    pub lease: Uid,
    /// What the caller is given. Wipe it.
    pub value: Map<String, Value>,
    /// What the target had to say.
    pub warnings: Vec<String>,
}

/// Makes credentials. When this returns, they are on the target and control knows when they end;
/// whatever happens before that, control has what is needed to remove them again.
///
/// # Errors
/// Control's refusal; the engine's when the target refuses; [`Fault::unavailable`] when it did not
/// answer in time; [`FaultKind::RateLimited`] when too many are made on it at this moment. In all
/// of these nothing stays on the target.
pub async fn produce(ctx: &Ctx, item: ItemRef, asked: &Asked) -> Result<Produced, Fault> {
    make(ctx, item, asked, Ending::InTime).await
}

/// The same, ending as it says.
pub(super) async fn make(
    ctx: &Ctx,
    item: ItemRef,
    asked: &Asked,
    ending: Ending,
) -> Result<Produced, Fault> {
    let opened = ctx.crypt().open(ctx, item, Purpose::Produce).await?;
    let OpenedForUse { items, account, access_id, sub_claims } = opened;
    let secret = OpenedSecret::with_target(&items)?;
    drop(items);
    let on = secret.target.as_ref().map(|target| target.id);
    let asker = Asker { account, access_id, sub_claims };
    make_with(ctx, (&secret, on), &asker, (asked, ending)).await
}

/// Who asks for credentials, and in which account.
pub(crate) struct Asker {
    pub(crate) account: Uid,
    pub(crate) access_id: AccessId,
    pub(crate) sub_claims: BTreeMap<String, Vec<String>>,
}

/// The same with a secret that is open, whose target is `on` as far as control knows.
pub(super) async fn make_with(
    ctx: &Ctx,
    (secret, on): (&OpenedSecret, Option<ItemId>),
    Asker { account, access_id, sub_claims }: &Asker,
    (asked, ending): (&Asked, Ending),
) -> Result<Produced, Fault> {
    let way = ctx.services().engines.about((*account, secret.path()), asked.patience);
    let scene = secret.scene(&way);
    let lease = Uid::random(&*ctx.services().rng)?;
    let ttl_seconds = secret.engine.kind().ttl_seconds(&secret.settings)?;
    let wish = Wish {
        lease,
        item: secret.path(),
        access_id: access_id.as_str(),
        sub_claims,
        ttl_seconds,
        args: &asked.args,
        host: asked.host.as_deref(),
        dbname: asked.dbname.as_deref(),
        is_trial: ending == Ending::AtOnce,
    };
    check_wish(secret.engine, &scene, &wish)?;
    let plan = secret.engine.plan(&scene, &wish)?;
    let _turn = ctx.services().creations.take(secret.place(), secret.path()).await?;
    let intend = LeaseIntend {
        item: secret.id(),
        target: on,
        lease,
        handle: plan.handle.clone(),
        ttl_seconds,
    };
    let began = Began::now(ctx);
    let intended = ctx.ask(intend).await?;
    let making = Making { ctx, lease };
    let Some(patience) = began.left(ctx).map(|left| left.min(asked.patience)) else {
        making.abandon(Left::Nothing).await;
        return Err(Fault::unavailable(
            "making the credentials took too long before it began; ask again",
        ));
    };
    let mut created = making.create(secret, &scene, &plan, patience).await?;
    let (handle, ends) = (created.handle.take(), created.ends);
    let (mut value, warnings) = (created.take_value(), std::mem::take(&mut created.warnings));
    if ending == Ending::AtOnce {
        let handle = handle.unwrap_or_else(|| plan.handle.clone());
        let removed = making.remove(secret, &scene, &handle, asked.patience).await;
        making.abandon(Left::unless(&removed)).await;
        wipe_all(value);
        let more = removed.map_err(|fault| {
            let text = format!("credentials were made but not removed: {}", fault.public());
            Fault::new(fault.kind(), text).with_private(fault)
        })?;
        let warnings = warnings.into_iter().chain(more).collect();
        return Ok(Produced { lease, value: Map::new(), warnings });
    }
    let name = handle.clone().unwrap_or_else(|| plan.handle.clone());
    let activate = LeaseActivate { lease, handle, ends };
    if let Err(fault) = ctx.ask(activate).await {
        wipe_all(value);
        return Err(making.refused(secret, &scene, &name, fault).await);
    }
    let minutes = intended.ttl_seconds.div_euclid(60).max(1);
    if secret.engine.kind().wrapped {
        value.insert("id".to_owned(), lease.to_string().into());
        value.insert("ttl_in_minutes".to_owned(), minutes.to_string().into());
    }
    Ok(Produced { lease, value, warnings })
}

/// When it was said that credentials are about to be made.
struct Began {
    /// By the clock that only runs forward, and stands still while a machine sleeps.
    running: Instant,
    /// By the clock that is set.
    told: Timestamp,
}

impl Began {
    fn now(ctx: &Ctx) -> Self {
        Self { running: Instant::now(), told: ctx.services().clock.now() }
    }

    /// How long the target may take from now on; `None`: no time is left, by either clock.
    fn left(&self, ctx: &Ctx) -> Option<Duration> {
        let told = ctx.services().clock.now().millis_since(self.told);
        let told = Duration::from_millis(u64::try_from(told).unwrap_or_default());
        let left = MADE_WITHIN.checked_sub(self.running.elapsed().max(told));
        left.filter(|left| !left.is_zero())
    }
}

/// What may be on the target of credentials that nobody gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing.
    Nothing,
    /// What was made, or a part of it.
    Something,
    /// The same, and it may come there yet, after it was removed.
    MayCome,
}

impl Left {
    fn unless<T>(removed: &Result<T, Fault>) -> Self {
        if removed.is_ok() { Self::Nothing } else { Self::Something }
    }
}

/// Credentials that are being made.
struct Making<'a> {
    ctx: &'a Ctx,
    lease: Uid,
}

impl Making<'_> {
    async fn create(
        &self,
        secret: &OpenedSecret,
        scene: &keysherd_engines::Scene<'_>,
        plan: &Plan,
        patience: Duration,
    ) -> Result<Created, Fault> {
        let created = tokio::time::timeout(patience, secret.engine.create(scene, plan)).await;
        let fault = match created {
            Ok(Ok(created)) => return Ok(created),
            Ok(Err(fault)) => fault,
            Err(_) => silent(secret, patience),
        };
        if is_untouched(&fault) {
            self.abandon(Left::Nothing).await;
            return Err(fault);
        }
        // What may be there is removed: now, or else as soon as the target answers. And what was
        // asked for and not answered may come yet, after that.
        let removed = self.remove(secret, scene, &plan.handle, AFTERWARDS).await;
        let unanswered = matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Internal);
        let left = match unanswered && !secret.engine.settles() {
            true => Left::MayCome,
            false => Left::unless(&removed),
        };
        self.abandon(left).await;
        Err(fault)
    }

    /// Removes again what was made.
    async fn remove(
        &self,
        secret: &OpenedSecret,
        scene: &keysherd_engines::Scene<'_>,
        handle: &str,
        patience: Duration,
    ) -> Result<Vec<String>, Fault> {
        let removed = tokio::time::timeout(patience, secret.engine.revoke(scene, handle)).await;
        removed.unwrap_or_else(|_| Err(silent(secret, patience)))
    }

    /// Removes what control does not let anybody have. It may know nothing of it any more, so that
    /// nobody else would.
    async fn refused(
        &self,
        secret: &OpenedSecret,
        scene: &keysherd_engines::Scene<'_>,
        name: &str,
        fault: Fault,
    ) -> Fault {
        let removed = self.remove(secret, scene, name, AFTERWARDS).await;
        self.abandon(Left::unless(&removed)).await;
        match removed {
            Ok(_) => fault,
            Err(left) => fault.with_private(format!("{name} may be left on the target: {left}")),
        }
    }

    async fn abandon(&self, left: Left) {
        let (touched, late) = (left != Left::Nothing, left == Left::MayCome);
        let abandon = LeaseAbandon { lease: self.lease, touched, late };
        // Where control does not hear of it, the intent ends by itself a while later.
        let _unheard = self.ctx.services().plane.ask(self.ctx.caller().clone(), abandon).await;
        self.ctx.crypt().leases_due();
    }
}

fn silent(secret: &OpenedSecret, patience: Duration) -> Fault {
    Fault::unavailable(format!(
        "the target of {} did not answer within {} s; ask again, or give a longer timeout",
        secret.path(),
        patience.as_secs()
    ))
}

/// Wipes a value that is not given to anybody.
pub(super) fn wipe_all(value: Map<String, Value>) {
    keysherd_wire::wipe(Value::Object(value));
}
