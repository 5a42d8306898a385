//! Which instances answer now. In memory; the store learns of it seldom, for other nodes of control
//! and for the time after a restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_base::{AccessId, AccountId, Timestamp};
use keysherd_plane::clusters::ClusterSync;
use tokio::sync::watch;

/// An instance that was not heard of for so long is down, in seconds: a few heartbeats.
const SILENCE_SECONDS: i64 = 5;
/// How often the store is told that an instance is there, in seconds.
const NOTED_EVERY_SECONDS: i64 = 20;
/// An instance that another node of control noted so long ago is still taken for running, in
/// seconds: two notes.
const NOTED_SECONDS: i64 = 2 * NOTED_EVERY_SECONDS;

/// What is remembered of the instances that this node of control hears.
pub(crate) struct Live {
    heard: Mutex<HashMap<[u8; 32], Heard>>,
    changed: watch::Sender<()>,
}

/// One of them.
#[derive(Clone)]
struct Heard {
    cluster: i64,
    account: AccountId,
    access_id: AccessId,
    said: ClusterSync,
    last: Timestamp,
    noted: Timestamp,
}

impl Default for Live {
    fn default() -> Self {
        Self { heard: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

/// What hearing of an instance asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is new here, or says something else than before: look at the store.
    Register,
    /// It is a member of this cluster; the store shall be told.
    Note(i64),
    /// It is a member of this cluster.
    Nothing(i64),
}

impl Live {
    fn heard(&self) -> MutexGuard<'_, HashMap<[u8; 32], Heard>> {
        // Each change is one statement.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an instance was heard, and says what follows.
    pub(crate) fn hear(
        &self,
        spki_sha256: &[u8; 32],
        (account, access_id): (AccountId, &AccessId),
        said: &ClusterSync,
        now: Timestamp,
    ) -> Next {
        let mut all = self.heard();
        let Some(known) = all.get_mut(spki_sha256) else { return Next::Register };
        let same = known.account == account && known.access_id == *access_id;
        if !same || !says_the_same(&known.said, said) {
            return Next::Register;
        }
        known.last = now;
        if now < known.noted.plus_seconds(NOTED_EVERY_SECONDS) {
            return Next::Nothing(known.cluster);
        }
        known.noted = now;
        Next::Note(known.cluster)
    }

    /// The instance is a member of `cluster`; the store knows since `now`.
    pub(crate) fn joined(
        &self,
        spki_sha256: [u8; 32],
        (account, access_id): (AccountId, &AccessId),
        cluster: i64,
        said: &ClusterSync,
        now: Timestamp,
    ) {
        let heard = Heard {
            cluster,
            account,
            access_id: access_id.clone(),
            said: said.clone(),
            last: now,
            noted: now,
        };
        self.heard().insert(spki_sha256, heard);
    }

    /// The cluster is gone: its instances have to register again.
    pub(crate) fn forget(&self, cluster: i64) {
        self.heard().retain(|_, heard| heard.cluster != cluster);
        self.tell();
    }

    /// When an instance was heard last, and whether it runs. `noted` is what the store says.
    pub(crate) fn state(
        &self,
        spki_sha256: &[u8; 32],
        noted: Timestamp,
        now: Timestamp,
    ) -> (Timestamp, bool) {
        let here = self.heard().get(spki_sha256).map(|heard| (heard.last, heard.noted));
        let heard_here = here.is_some_and(|(last, _)| now < last.plus_seconds(SILENCE_SECONDS));
        // A note that is not from here is from another node of control, or from before a restart.
        let noted_elsewhere =
            here.is_none_or(|(_, own)| noted > own) && now < noted.plus_seconds(NOTED_SECONDS);
        let last = here.map_or(noted, |(last, _)| last.max(noted));
        (last, heard_here || noted_elsewhere)
    }

    /// Wakes everybody who waits for a configuration.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Sees everything that is told from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Whether two heartbeats tell the same of their instance.
fn says_the_same(before: &ClusterSync, now: &ClusterSync) -> bool {
    let same = ClusterSync {
        known: now.known,
        wait_millis: now.wait_millis,
        process: now.process,
        leases: now.leases.clone(),
        ..before.clone()
    };
    same == *now
}
