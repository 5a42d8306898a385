//! Counters survive a restart: they are filled again from what the log says was handed out.
//!
//! Otherwise whoever can make a manager restart could spend every budget again.

use std::path::Path;

use keysherd_base::{Fault, FaultKind, Timestamp};
use keysherd_fragments::bundle::Caps;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::context::{Context, ContextFields};
use keysherd_fragments::derive::Mode;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::manager_side::{Budget, Checked, CheckedEntry, CheckedKey, UseCounter};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::permit::{CLOCK_SKEW_MS, PERMIT_LIFE_MS_MAX};

use crate::config::ManagerLimits;
use crate::keys::Keys;
use crate::log::{Checkpoint, DeriveEvent, Event, LogSummary, scan_tail, segments};

/// How long after a use a permit can still be valid: it may have begun one skew later than this
/// manager's clock said, and may be used until one skew after its end.
const USES_MS: i64 = PERMIT_LIFE_MS_MAX + 2 * CLOCK_SKEW_MS;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a manager counts.
pub(crate) struct Counters {
    pub(crate) uses: UseCounter,
    pub(crate) budget: Budget,
}

impl Counters {
    /// Counters at zero.
    pub(crate) fn new(limits: &ManagerLimits) -> Self {
        Self { uses: UseCounter::default(), budget: Budget::new(limits.items_counted_max) }
    }

    /// Fills the counters from the log in `dir`, and gives where the log ends.
    ///
    /// # Errors
    /// When the log is damaged, or shorter than, or different from, what the store remembers.
    pub(crate) fn restore(
        &mut self,
        keys: &Keys,
        bundle: Option<&PinnedBundle>,
        dir: &Path,
        me: ManagerIndex,
        now: Timestamp,
    ) -> Result<LogSummary, Fault> {
        let floor = keys.store().log_floor()?;
        if segments(dir)?.is_empty() {
            return match floor {
                Some(floor) => Err(cut(&floor, 0)),
                None => Ok(LogSummary::default()),
            };
        }
        let since = since(bundle, now);
        let mut uncounted = 0_u64;
        let mut forked = false;
        let summary = scan_tail(dir, since, |after, entry| {
            forked |= floor.is_some_and(|floor| floor.size == after.size && floor != *after);
            if let Event::Derive(derive) = &entry.event
                && entry.at >= since
                && !self.count(keys, bundle, derive, me, entry.at, now)
            {
                uncounted += 1;
            }
        })?;
        if uncounted > 0 {
            tracing::info!(uncounted, "logged derivations are over the caps of today's bundle");
        }
        match floor {
            Some(floor) if forked || summary.end.size < floor.size => {
                Err(cut(&floor, summary.end.size))
            }
            _ => Ok(summary),
        }
    }

    /// Whether all of it could be counted.
    fn count(
        &mut self,
        keys: &Keys,
        bundle: Option<&PinnedBundle>,
        derive: &DeriveEvent,
        me: ManagerIndex,
        at: Timestamp,
        now: Timestamp,
    ) -> bool {
        if at.0 >= now.0.saturating_sub(USES_MS) {
            // It was used, whatever the limit was: the limit counts at the next use.
            self.uses.take(derive.permit_id, u8::MAX, derive.permit_expires_at, at).ok();
        }
        let Some(bundle) = bundle else { return true };
        let Some(checked) = as_checked(keys, derive, me) else { return true };
        self.budget.charge(bundle, &checked, at).is_ok()
    }
}

fn cut(floor: &Checkpoint, size: u64) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!(
            "the fragment manager's log has {size} entries, but had {} before, or other ones: it \
             was cut or written anew; keep it as evidence and let this manager rejoin by repair",
            floor.size,
        ),
    )
}

/// From when the log matters: budgets of items begin anew with each day (UTC).
fn since(bundle: Option<&PinnedBundle>, now: Timestamp) -> Timestamp {
    let uses = now.0.saturating_sub(USES_MS);
    let counts_items =
        |caps: &Caps| caps.items_per_hour != u32::MAX || caps.items_per_day != u32::MAX;
    let capped = bundle.is_some_and(|bundle| {
        let bundle = bundle.bundle();
        let groups = bundle.groups.iter().flat_map(|group| [&group.caps, &group.key_caps]);
        let clusters = bundle.clusters.iter().map(|cluster| &cluster.caps);
        groups.chain(clusters).chain([&bundle.account_caps]).any(counts_items)
    });
    let day = now.0.div_euclid(DAY_MS) * DAY_MS;
    Timestamp(if capped { uses.min(day) } else { uses })
}

/// The logged derivation in the form that budgets are charged with. `None` when its key versions
/// are gone, and with them what could be derived.
fn as_checked(keys: &Keys, derive: &DeriveEvent, me: ManagerIndex) -> Option<Checked> {
    let mut checked_keys = Vec::with_capacity(derive.keys.len());
    for key in &derive.keys {
        let key = KeyVersion { account: derive.account, id: key.key_id, version: key.version };
        let info = keys.info(&key).ok().flatten()?;
        checked_keys.push(CheckedKey { key, group: info.group().to_owned(), epoch_hint: None });
    }
    let entries = derive.derived().zip(0_u16..).map(|((key, item), index)| {
        // Budgets look at the item only; the salt is not in the log.
        let context = Context::new(&ContextFields {
            class: item.class,
            account: derive.account,
            key_id: key.key_id,
            key_version: key.version,
            item_id: item.item_id,
            item_version: item.item_version,
            salt: [0; 32],
        });
        CheckedEntry { slot: item.key, index, item_id: item.item_id, context }
    });
    Some(Checked {
        cluster: derive.cluster,
        gateway_spki_sha256: derive.gateway,
        account: derive.account,
        op: derive.op,
        mode: Mode::Read,
        manager: me,
        quorum: ManagerSet::EMPTY,
        request_sha256: [0; 32],
        request_id: derive.request_id,
        permit_sha256: derive.permit_sha256,
        permit_id: derive.permit_id,
        permit_expires_at: derive.permit_expires_at,
        max_uses: u8::MAX,
        audit_seq: derive.audit_seq,
        keys: checked_keys,
        entries: entries.collect(),
    })
}
