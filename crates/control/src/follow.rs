//! Control's memory follows the store: whatever a commit touched is forgotten before any request
//! that begins after the commit was answered is looked at, on this node and on every other.
//!
//! Nobody who changes something has to think of it. The store tells what each commit touched
//! ([`keysherd_store::changes`]); each request asks first for the newest change, which costs
//! nothing with an embedded store and a shared question to the database otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{Fault, Timestamp};
use keysherd_store::changes::{self, Change, Mark, Since, Touched};
use keysherd_store::login_guards::{self, GuardRow, PlaceRow};
use keysherd_store::{Reader, revoked_tokens};

use crate::control::Control;

/// Commits that are followed one by one; beyond it everything is forgotten.
const ROWS_MAX: usize = 10_000;

/// How far memory has followed.
pub(crate) struct Followed {
    at: std::sync::RwLock<Mark>,
    /// How often it was begun to follow.
    begun: AtomicU64,
    /// Held while it follows: the number of the last time that it was done.
    turn: tokio::sync::Mutex<u64>,
    /// How many waited for that so far.
    #[cfg(test)]
    waited: AtomicU64,
}

impl Followed {
    /// Everything in memory was read at `mark` or later.
    pub(crate) fn new(mark: Mark) -> Self {
        let (begun, turn) = (AtomicU64::new(0), tokio::sync::Mutex::default());
        Self {
            at: std::sync::RwLock::new(mark),
            begun,
            turn,
            #[cfg(test)]
            waited: AtomicU64::new(0),
        }
    }

    /// How often it was begun to follow, while nobody may do so until the second is dropped.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> (u64, tokio::sync::MutexGuard<'_, u64>) {
        let turn = self.turn.lock().await;
        (self.begun(), turn)
    }

    /// How many waited for their turn so far.
    #[cfg(test)]
    pub(crate) fn waited(&self) -> u64 {
        self.waited.load(Ordering::SeqCst)
    }

    /// How often it was begun to follow.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Goes to a place that is in no history; gives the one it was at.
    #[cfg(test)]
    pub(crate) fn lose_place(&self) -> Mark {
        let at = self.at();
        self.advance(Mark { number: at.number + 1_000, ..at });
        at
    }

    fn at(&self) -> Mark {
        *self.at.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, mark: Mark) {
        *self.at.write().unwrap_or_else(PoisonError::into_inner) = mark;
    }
}

impl Control {
    /// Forgets whatever any commit touched that was made before the call.
    ///
    /// # Errors
    /// Those of the store: what is in memory must not be used then.
    pub(crate) async fn catch_up(&self) -> Result<(), Fault> {
        let before = self.followed.begun();
        let newest = self.store.newest_change().await?;
        if self.followed.at() == newest {
            return Ok(());
        }
        #[cfg(test)]
        self.followed.waited.fetch_add(1, Ordering::SeqCst);
        let mut done = self.followed.turn.lock().await;
        // What was begun after this request came has seen all that it has to.
        if *done > before {
            return Ok(());
        }
        let turn = self.followed.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let (at, now) = (self.followed.at(), self.now());
        let (newest, since, logins) = self.store.read(|reader| {
            let (newest, since) = changes::since(reader, at, None, ROWS_MAX)?;
            let logins = match &since {
                Since::Changes(changes) => logins_of(reader, changes)?,
                Since::Forget => Vec::new(),
            };
            Ok((newest, since, logins))
        })?;
        match since {
            Since::Changes(changes) => {
                changes.into_iter().for_each(|change| self.forget(change));
                for Logins { subject, row, places } in logins {
                    self.guard.follow(subject, row, &places, now);
                }
            }
            Since::Forget => {
                tracing::info!(?at, ?newest, "everything in memory is read again");
                self.forget_all(now)?;
                *done = turn;
                return Ok(());
            }
        }
        self.followed.advance(newest);
        *done = turn;
        Ok(())
    }

    /// Forgets everything, and reads again what decides by being in memory.
    fn forget_all(&self, now: Timestamp) -> Result<(), Fault> {
        let (newest, revoked, guards, places) = self.store.read(|reader| {
            let newest = changes::newest(reader)?;
            let revoked = revoked_tokens::unexpired(reader, now)?;
            let guards = login_guards::all_guards(reader)?;
            Ok((newest, revoked, guards, login_guards::all_places(reader)?))
        })?;
        self.directory.forget_all();
        self.items.cache.forget_all();
        self.sessions.revoked.replace(revoked.into_iter().map(|one| (one.token, one.expires)));
        self.guard.replace(guards, places, now);
        self.changes.end_everything();
        self.followed.advance(newest);
        Ok(())
    }

    /// Forgets here first, then lists it for gateways: whoever knows the number knows the change.
    fn forget(&self, change: Change) {
        let ended = self.changes.ties.ended_by(&change);
        let Change { account, what } = change;
        match what {
            Touched::Identities => self.directory.forget(account),
            Touched::Item { path, .. } => self.items.cache.forget(account, &path),
            Touched::Items => self.items.cache.forget_account(account),
            Touched::Token { token, expires } => self.sessions.revoked.insert(token, expires),
            // Read from the store: before, in the same snapshot, and at each use.
            Touched::Logins { .. } | Touched::UidTokens { .. } => {}
        }
        self.changes.end(account, ended);
    }
}

/// What the store has of somebody's logins.
struct Logins {
    subject: [u8; 32],
    row: Option<GuardRow>,
    places: Vec<PlaceRow>,
}

/// Of all those that are named.
fn logins_of(reader: &Reader, changes: &[Change]) -> Result<Vec<Logins>, Fault> {
    let subjects = changes.iter().filter_map(|change| match change.what {
        Touched::Logins { subject } => Some(subject),
        _ => None,
    });
    let subjects: Vec<[u8; 32]> = subjects.collect::<BTreeSet<_>>().into_iter().collect();
    // Strangers can make them many: each of a flood of wrong logins is one.
    let (guards, of_places) = login_guards::of_all(reader, &subjects)?;
    let mut guards: BTreeMap<_, _> = guards.into_iter().map(|row| (row.subject, row)).collect();
    let mut places: BTreeMap<[u8; 32], Vec<PlaceRow>> = BTreeMap::new();
    for row in of_places {
        places.entry(row.subject).or_default().push(row);
    }
    let logins = subjects.into_iter().map(|subject| Logins {
        subject,
        row: guards.remove(&subject),
        places: places.remove(&subject).unwrap_or_default(),
    });
    Ok(logins.collect())
}
