//! The changes that end what gateways keep, in the order in which they took effect here, and the
//! questions of gateways that wait for them.
//!
//! In memory, for this process alone: its numbers begin anew with each start, under another
//! `source`, and whoever hears another source forgets everything. So neither a restart nor a
//! control that was set up again from a backup can leave anything in force that has ended.
//!
//! The store's change feed is what is listed here, as this process follows it (`follow`): after a
//! change is in force in its memory. So a decision that was begun after number N was read knows
//! every change up to N, and a question is answered only after the feed was followed to its end.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_base::{AccountId, Fault, Secret, Uid};
use keysherd_plane::cache::{ChangesReply, ChangesWait, TIES_PER_ANSWER_MAX, Tie};
use tokio::time::Instant;

use super::Ties;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// Ties remembered. A gateway that lags further behind forgets everything it keeps.
const REMEMBERED_MAX: usize = 65_536;
/// How long a question is held at most.
/// Tests wait longer for the news themselves than for their end.
const WAIT_MAX: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });

/// The changes.
pub(crate) struct Changes {
    source: Uid,
    /// What makes the ties of this process.
    pub(crate) ties: Ties,
    ended: Mutex<Ended>,
}

#[derive(Default)]
struct Ended {
    /// The last ones, each with its account.
    ties: VecDeque<(AccountId, Tie)>,
    /// How many there were before them.
    before: u64,
    /// The accounts that each gateway keeps something of, each with the last change that the
    /// gateway may not have heard of: it hears of no other account.
    kept_at: HashMap<[u8; 32], HashMap<AccountId, u64>>,
}

impl Ended {
    fn newest(&self) -> u64 {
        self.before + self.ties.len() as u64
    }
}

impl Changes {
    /// None yet. `source` and the key of ties are drawn for this process.
    pub(crate) fn new(source: Uid, key: &Secret<[u8; 32]>) -> Self {
        Self { source, ties: Ties::new(key), ended: Mutex::default() }
    }

    /// Which process this is.
    pub(crate) fn source(&self) -> Uid {
        self.source
    }

    /// The number of the last change. What is decided from now on knows it.
    pub(crate) fn newest(&self) -> u64 {
        self.ended().newest()
    }

    /// Lists ties of `account` as ended. Their change is in force.
    pub(crate) fn end(&self, account: AccountId, ties: impl IntoIterator<Item = Tie>) {
        let mut ended = self.ended();
        for tie in ties {
            if ended.ties.len() == REMEMBERED_MAX {
                ended.ties.pop_front();
                ended.before += 1;
            }
            ended.ties.push_back((account, tie));
        }
    }

    /// Ends all there is: what changed is not known.
    pub(crate) fn end_everything(&self) {
        let mut ended = self.ended();
        // Nobody knows the number in between.
        ended.before = ended.newest() + 1;
        ended.ties.clear();
    }

    /// From now on `gateway` hears of the account's changes. Whether it has missed none after
    /// `number`: answers that left before were without them.
    pub(crate) fn kept_at(
        &self,
        gateway: &GatewayIdentity,
        account: AccountId,
        number: u64,
    ) -> bool {
        let mut ended = self.ended();
        let newest = ended.newest();
        let accounts = ended.kept_at.entry(gateway.spki_sha256).or_default();
        let unheard = *accounts.entry(account).or_insert(newest);
        if number >= unheard {
            return true;
        }
        let Some(known) = number.checked_sub(ended.before) else { return false };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        ended.ties.iter().skip(known).all(|(of, _)| *of != account)
    }

    /// The newest number, and what has ended for `gateway` since it heard last.
    fn since(&self, gateway: &GatewayIdentity, asked: &ChangesWait) -> (u64, Option<Vec<Tie>>) {
        let ended = self.ended();
        let newest = ended.newest();
        if asked.source != self.source || asked.known > newest {
            return (newest, None);
        }
        let Some(known) = asked.known.checked_sub(ended.before) else { return (newest, None) };
        let Some(accounts) = ended.kept_at.get(&gateway.spki_sha256) else {
            return (newest, Some(Vec::new()));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let of_accounts = ended.ties.iter().skip(known).filter(|(of, _)| accounts.contains_key(of));
        let ties: Vec<Tie> =
            of_accounts.map(|(_, tie)| *tie).take(TIES_PER_ANSWER_MAX + 1).collect();
        (newest, (ties.len() <= TIES_PER_ANSWER_MAX).then_some(ties))
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        // Whole between any two statements that matter: a tie too many harms nobody.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the question of a gateway until there is something to tell, or its time is over.
///
/// # Errors
/// Those of the store: what has changed is not known then.
pub(crate) async fn answer(
    control: &Control,
    gateway: &GatewayIdentity,
    asked: &ChangesWait,
) -> Result<ChangesReply, Fault> {
    let begun = Instant::now();
    let wait = Duration::from_millis(asked.wait_millis.into()).min(WAIT_MAX);
    let mut feed = control.store.watch_changes();
    loop {
        feed.mark_unchanged();
        let held = begun.elapsed();
        // Tells of everything that was committed before this very moment.
        control.catch_up().await?;
        let (newest, ended) = control.changes.since(gateway, asked);
        if held >= wait || ended.as_ref().is_none_or(|ties| !ties.is_empty()) {
            let held_millis = u32::try_from(held.as_millis()).unwrap_or(u32::MAX);
            let source = control.changes.source;
            return Ok(ChangesReply { source, newest, held_millis, ended });
        }
        // Others are woken too: whoever hears of something else waits on.
        let _late = tokio::time::timeout_at(begun + wait, feed.changed()).await;
    }
}
