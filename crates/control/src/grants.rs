//! Grants: the requests that end in a derivation. The hot path of the control plane.
//!
//! Many callers' wishes come in one message. Each is decided by itself; all of them share one
//! audit commit, and those that need a derivation share permits. The reply is given when every
//! record is durable.

mod cluster;
mod find;
mod open;
mod read;
mod transit;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use find::with_value;
pub(crate) use open::facts_of;
pub(crate) use read::entry_of;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keysherd_audit::{Draft, Failure, Param, action};
use keysherd_base::limits::LIST_LEN_MAX;
use keysherd_base::{Fault, Timestamp};
use keysherd_plane::Caller;
use keysherd_plane::grants::{
    Grant, GrantReply, GrantedTo, ItemRef, Keeping, Outcome, VersionWish, Wish,
};
use tokio::time::{Instant, timeout_at};

use crate::audit::{audit_draft, draft_of};
use crate::authorize::log_unrecorded;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::describe::ref_param;
use crate::permits::PermitBatch;
use crate::session::{Principal, Rejection};

/// What the audit log says of reads that nobody waited for.
const AHEAD: &str = "gateway/ahead";
/// How long the wishes of one message wait together for accounts that have to be read. What was
/// begun by then is finished, for the next message.
/// Tests send one message, however busy the machine is.
const TOGETHER_MAX: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });
/// Wishes of one message.
const WISHES_MAX: usize = LIST_LEN_MAX;
/// Items that are looked up between two awaits. A message that names more of them is decided on a
/// thread for blocking work, since each may have to be read from the store.
const ITEMS_INLINE: usize = 64;

/// What grants keep between requests.
#[derive(Default)]
pub(crate) struct GrantState {
    /// Items found in memory.
    cached: AtomicU64,
    /// Items read from the store.
    loaded: AtomicU64,
}

/// Where the items of grants were found, since the control plane was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantStats {
    /// In memory.
    pub cached: u64,
    /// In the store.
    pub loaded: u64,
}

impl Control {
    /// Where the items of grants were found so far.
    pub fn grant_stats(&self) -> GrantStats {
        GrantStats {
            cached: self.grants.cached.load(Ordering::Relaxed),
            loaded: self.grants.loaded.load(Ordering::Relaxed),
        }
    }
}

/// Grants what many callers wish. A refused wish is an outcome, not an error of the message.
///
/// # Errors
/// [`Fault::bad_request`] for too many wishes. A wish whose audit record could not be written is
/// not granted.
pub(crate) async fn grant(
    control: &Control,
    gateway: &GatewayIdentity,
    message: Grant,
) -> Result<GrantReply, Fault> {
    if message.wishes.len() > WISHES_MAX {
        return Err(Fault::bad_request(format!(
            "too many wishes: {}; at most {WISHES_MAX} in one message",
            message.wishes.len()
        )));
    }
    // Before anything is looked at: what is decided knows every change up to this one.
    let newest = control.changes.newest();
    let whos = callers(control, &message).await;
    let asked = Asked { message, newest, whos };
    let Batch { mut outcomes, mut permits, mut records, recorded_of, must_wait, .. } =
        if items_named(&asked.message) <= ITEMS_INLINE {
            decide(control, gateway, asked)
        } else {
            let (control, gateway) = (control.clone(), *gateway);
            tokio::task::spawn_blocking(move || decide(&control, &gateway, asked))
                .await
                .map_err(Fault::internal)?
        };
    permits.explain(control, &mut records)?;
    let recorded = match must_wait {
        true => control.store.record_each(records).await,
        false => {
            record_behind(control, records);
            Vec::new()
        }
    };
    let mut seqs = Vec::with_capacity(recorded.len());
    for (place, (recorded, wish)) in recorded.into_iter().zip(recorded_of).enumerate() {
        seqs.push(recorded.as_ref().copied().unwrap_or_default());
        // One account whose log cannot be written must not keep others from their answers.
        if let (Err(fault), Some(outcome)) = (recorded, outcomes.get_mut(wish)) {
            permits.take_back(place);
            *outcome = Err(fault);
        }
    }
    let permits = permits.sign(control, gateway, &seqs)?;
    Ok(GrantReply { outcomes, permits })
}

/// Who the callers of a message are, by wish. They may be of many accounts, of which one that takes
/// long to read must not keep the others waiting.
async fn callers(control: &Control, message: &Grant) -> Vec<Result<Principal, Box<Rejection>>> {
    let mut whos = Vec::with_capacity(message.wishes.len());
    let deadline = Instant::now() + TOGETHER_MAX;
    for (caller, _) in &message.wishes {
        let who = control.authenticate(caller);
        whos.push(match message.wishes.len() {
            1 => who.await,
            // What is in memory is there also after the deadline.
            _ => timeout_at(deadline, who).await.unwrap_or_else(|_| Err(too_late())),
        });
    }
    whos
}

fn too_late() -> Box<Rejection> {
    let text = "the roles and auth methods of the account are being read, which takes long as \
                there are so many; try again";
    Box::new(Rejection { bearer: None, expires: None, fault: Fault::unavailable(text) })
}

/// Records what explains permits to write, without waiting: the record of the write itself is
/// queued behind it, and no answer leaves before that one is durable.
fn record_behind(control: &Control, records: Vec<(Draft, Option<Failure>)>) {
    let recorded = control.store.record_each(records);
    tokio::spawn(async move {
        for fault in recorded.await.into_iter().filter_map(Result::err) {
            tracing::error!(%fault, "permits to write are not in the audit log");
        }
    });
}

fn items_named(message: &Grant) -> usize {
    let items = message.wishes.iter().map(|(_, wish)| match wish {
        Wish::Read { items, .. } => items.len(),
        Wish::Write { .. } | Wish::Transit { .. } | Wish::Attest { .. } => 1,
        Wish::Open { .. } => 2,
    });
    items.sum()
}

/// A message, and who its callers are.
struct Asked {
    message: Grant,
    /// The last change before anything was looked at.
    newest: u64,
    /// By wish.
    whos: Vec<Result<Principal, Box<Rejection>>>,
}

fn decide(control: &Control, gateway: &GatewayIdentity, asked: Asked) -> Batch {
    let Asked { message, newest, whos } = asked;
    let mut batch = Batch {
        at: *gateway,
        now: control.now(),
        with_permit: message.with_permit,
        keep: (message.keep != Keeping::No).then_some((*gateway, newest)),
        ahead: message.keep == Keeping::Ahead,
        permits: PermitBatch::default(),
        bytes: 0,
        records: Vec::with_capacity(message.wishes.len()),
        recorded_of: Vec::with_capacity(message.wishes.len()),
        must_wait: false,
        outcomes: Vec::with_capacity(message.wishes.len()),
    };
    for ((caller, wish), who) in message.wishes.into_iter().zip(whos) {
        let outcome = batch.decide(control, &caller, wish, who);
        batch.outcomes.push(outcome);
    }
    batch
}

/// What one message comes to.
struct Batch {
    /// The gateway that asks.
    at: GatewayIdentity,
    now: Timestamp,
    with_permit: bool,
    /// The gateway that would keep what is read, and the last change before the decisions.
    keep: Option<(GatewayIdentity, u64)>,
    /// Whether nobody waits for it.
    ahead: bool,
    permits: PermitBatch,
    /// Ciphertext granted so far.
    bytes: usize,
    records: Vec<(Draft, Option<Failure>)>,
    /// The wish that each record tells of.
    recorded_of: Vec<usize>,
    /// Whether an answer rests on one of the records.
    must_wait: bool,
    outcomes: Vec<Outcome>,
}

impl Batch {
    fn decide(
        &mut self,
        control: &Control,
        caller: &Caller,
        wish: Wish,
        who: Result<Principal, Box<Rejection>>,
    ) -> Outcome {
        let who = match who {
            Ok(who) => who,
            Err(rejection) => return Err(self.rejected(caller, *rejection)),
        };
        let about = About::of(&wish);
        // The place its record will have: nothing else is recorded before it.
        let record = self.records.len();
        let mut opened = None;
        let granted = match wish {
            Wish::Read { items, version } => match items.as_slice() {
                [ItemRef::GatewayCluster(cluster)] => {
                    self.cluster_config(control, &who, *cluster, record)
                }
                _ => self.read(control, &who, &items, version, record),
            },
            Wish::Write { target, salt } => self.write(control, &who, target, salt, record),
            Wish::Attest { item } => self.attest(control, &who, &item, record),
            Wish::Open { item, purpose } => {
                self.open(control, &who, (&item, purpose), record).map(|(granted, facts)| {
                    opened = Some(Box::new(facts));
                    granted
                })
            }
            Wish::Transit { key, version, salt, encrypt: _ } => {
                let wish = transit::KeyUse { key: &key, version, salt };
                self.transit(control, &who, &wish, record)
            }
        };
        let failure = granted.as_ref().err().map(Failure::from);
        self.must_wait |= about.granted_is_answered || failure.is_some();
        let action = if failure.is_some() { about.refused } else { about.granted };
        let item_type = granted.as_ref().map_or("", read::item_type);
        let action = open::action_of(action, item_type);
        let mut draft = audit_draft(caller, &who, action, item_type, about.params);
        let keep = match (&self.keep, &granted) {
            (Some((gateway, number)), Ok(granted)) if about.may_be_kept => {
                control.keep(gateway, &who, granted, &draft, (*number, self.now))
            }
            _ => None,
        };
        if self.ahead {
            draft.component = AHEAD.into();
        }
        self.record(draft, failure);
        granted.map(|granted| GrantedTo { account: who.account.0, granted, keep, opened })
    }

    /// Adds the record of the wish that is being decided.
    fn record(&mut self, draft: Draft, failure: Option<Failure>) {
        self.records.push((draft, failure));
        self.recorded_of.push(self.outcomes.len());
    }

    fn rejected(&mut self, caller: &Caller, rejection: Rejection) -> Fault {
        let Rejection { bearer, fault, .. } = rejection;
        match bearer {
            Some((account, method)) => {
                let action = action::REFUSED_REQUEST;
                let draft = draft_of(caller, account, method.as_deref(), action);
                self.record(draft, Some(Failure::from(&fault)));
                self.must_wait = true;
            }
            None => log_unrecorded(caller, &fault),
        }
        fault
    }
}

/// What the audit record of a wish says.
struct About {
    /// The action when it is granted.
    granted: &'static str,
    /// The action when it is refused.
    refused: &'static str,
    params: Vec<Param>,
    /// Whether the answer to the caller rests on this record. That to a write rests on the record
    /// of what was written; this one says only what a permit was given for.
    granted_is_answered: bool,
    /// Whether a gateway may repeat the answer.
    may_be_kept: bool,
}

impl About {
    /// Of a wish whose answer rests on its record.
    fn answered(action: &'static str, params: Vec<Param>) -> Self {
        let (granted, refused) = (action, action);
        Self { granted, refused, params, granted_is_answered: true, may_be_kept: false }
    }

    fn of(wish: &Wish) -> Self {
        match wish {
            Wish::Read { items, version } => {
                let mut params: Vec<_> = items.iter().map(ref_param).collect();
                params.extend(match version {
                    VersionWish::Latest => None,
                    VersionWish::Exactly(number) => {
                        Some(Param::public("version", number.to_string()))
                    }
                    VersionWish::Last(count) => {
                        Some(Param::public("last_versions", count.to_string()))
                    }
                });
                match items.as_slice() {
                    [ItemRef::GatewayCluster(_)] => {
                        Self::answered(action::GET_GATEWAY_CONFIG, params)
                    }
                    _ => Self {
                        may_be_kept: true,
                        ..Self::answered(action::GET_SECRET_VALUE, params)
                    },
                }
            }
            Wish::Transit { key, version, encrypt, .. } => {
                let operation = if *encrypt { "encrypt" } else { "decrypt" };
                let mut params = vec![ref_param(key), Param::public("operation", operation)];
                params.extend(version.map(|n| Param::public("version", n.to_string())));
                Self::answered(action::GET_ITEM_DERIVATION_CREDS, params)
            }
            Wish::Attest { item } => {
                let params = vec![ref_param(item), Param::public("operation", "attest_name")];
                let action = action::GET_ITEM_DERIVATION_CREDS;
                Self { granted_is_answered: false, ..Self::answered(action, params) }
            }
            Wish::Open { item, purpose } => open::about(item, *purpose),
            Wish::Write { target, .. } => {
                let (refused, path) = write::recorded_as(target);
                let params = vec![crate::items::item_param(path)];
                let granted = action::GET_ITEM_DERIVATION_CREDS;
                Self { refused, granted_is_answered: false, ..Self::answered(granted, params) }
            }
        }
    }
}
