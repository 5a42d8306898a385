//! How logins that are refused leave: counted, recorded, and alike whether the subject exists.
//!
//! Both arms of each function wait for the disk in the same cases: a subject that exists for its
//! audit record, one that does not for a counter.

use std::sync::Arc;

use keysherd_audit::{Draft, Failure, action};
use keysherd_base::{Fault, RequestId, Timestamp};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_plane::Caller;
use keysherd_plane::auth::LoginSubject;
use keysherd_store::login_guards::GuardRow;
use keysherd_store::{Tx, gateway_journals, login_guards, meta, used_proofs};

use crate::audit::draft_of;
use crate::authorize::log_unrecorded;
use crate::control::Control;
use crate::edge_reads::journal::FORGOTTEN_AFTER_SECONDS;
use crate::guard::floods::{Flood, Named};
use crate::guard::people::{
    COUNTING, COUNTING_SPELLED, FORGET_SECONDS, FREE_TRIES, PLACE_DAYS, SUBJECTS_MAX,
};
use crate::guard::{Attempt, Cleared, Counted, Refused};
use crate::login::candidates;

/// Counts the logins of unknown subjects.
const UNKNOWN_LOGINS: &str = "logins of unknown subjects";
/// Stands for the command in records of counts: nobody asked for them.
const COMMAND: &str = "login-guard";

impl Control {
    /// Refuses a login that is not tried.
    pub(crate) async fn login_not_tried(
        &self,
        caller: &Caller,
        subject: &LoginSubject,
        refused: Refused,
    ) -> Fault {
        let fault = refused.fault();
        let named = || candidates(self, subject).ok().and_then(|found| found.first().map(named_of));
        let Refused { subject: key, network, .. } = refused;
        if !self.guard.floods.count(key, network, named, self.now()) {
            return fault;
        }
        match candidates(self, subject) {
            Ok(found) => self.refusal(caller, found.first(), fault).await,
            Err(broken) => broken,
        }
    }

    /// Refuses a login with a wrong credential.
    pub(crate) async fn wrong_login(
        &self,
        caller: &Caller,
        attempt: Attempt<'_>,
        method: Option<&AuthMethod>,
        fault: Fault,
    ) -> Fault {
        let now = self.now();
        let (key, network) = (attempt.trying.subject, attempt.trying.network);
        let person = attempt.person.clone();
        let Counted { row, spelled, spent } = attempt.wrong(now);
        if let Some(row) = row {
            let locked = method.map(|method| {
                let draft = draft_of(caller, method.account, Some(method), action::LOGIN_LOCKED);
                (draft, person)
            });
            let kept = self.keep_wrong(row, spelled, locked, now);
            let refusal = self.refusal(caller, method, fault).await;
            return match kept.await {
                Ok(()) => refusal,
                Err(broken) => broken,
            };
        }
        let fault = if spent { self.guard.spent_fault(network, now) } else { fault };
        let named = || method.map(named_of);
        if self.guard.floods.count(key, network, named, now) {
            return self.refusal(caller, method, fault).await;
        }
        fault
    }

    /// Counts a wrong login in the store, on top of what other nodes have counted, and under the
    /// very name where others are counted with it; records as `locked`, with the name of the
    /// person, that it locks. Queued at once.
    pub(crate) fn keep_wrong(
        &self,
        row: GuardRow,
        spelled: Option<GuardRow>,
        locked: Option<(Draft, Option<String>)>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        self.store.commit(Vec::new(), move |tx| {
            let row = login_guards::add_wrong(tx, &row.subject, now, COUNTING)?;
            if let Some(spelled) = spelled {
                login_guards::add_wrong(tx, &spelled.subject, now, COUNTING_SPELLED)?;
            }
            if let Some((draft, person)) = locked.filter(|_| row.failures >= FREE_TRIES) {
                let draft = draft
                    .with("wrong-logins", row.failures.to_string())
                    .with("until", row.locked_until.rfc3339());
                // Of a method with one person, its own name says who.
                let draft = person.into_iter().fold(draft, |draft, name| draft.with("user", name));
                tx.also_record(&draft);
            }
            Ok(())
        })
    }

    /// Refuses a login for another reason than its credential.
    pub(crate) async fn refused_login(
        &self,
        caller: &Caller,
        attempt: Attempt<'_>,
        method: Option<&AuthMethod>,
        fault: Fault,
    ) -> Fault {
        let (key, network) = (attempt.trying.subject, attempt.trying.network);
        drop(attempt);
        let named = || method.map(named_of);
        if self.guard.floods.count(key, network, named, self.now()) {
            return self.refusal(caller, method, fault).await;
        }
        fault
    }

    /// Records or counts one refusal, and waits for the disk.
    async fn refusal(&self, caller: &Caller, method: Option<&AuthMethod>, fault: Fault) -> Fault {
        let written = match method {
            Some(method) => {
                let draft = draft_of(caller, method.account, Some(method), action::AUTHENTICATE);
                self.recorded::<()>(draft, Err(fault)).await
            }
            None => {
                log_unrecorded(caller, &fault);
                let counted = self.store.commit(Vec::new(), |tx| meta::next(tx, UNKNOWN_LOGINS));
                counted.await.and(Err(fault))
            }
        };
        match written {
            Err(fault) => fault,
            Ok(()) => Fault::internal("a failure was recorded and came back as a success"),
        }
    }

    /// Keeps what a good login changed. Queued at once; durable when the future completes.
    pub(crate) fn keep_cleared(
        &self,
        cleared: Cleared,
    ) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        let nothing = cleared == Cleared::default();
        let subject = cleared.place.map(|row| row.subject);
        let job = move |tx: &Tx| {
            if let (Some(left), Some(spelled)) = (&cleared.left, &cleared.spelled) {
                login_guards::forgive(tx, &left.subject, spelled)?;
            }
            for forgiven in [&cleared.forgiven, &cleared.spelled].into_iter().flatten() {
                login_guards::remove(tx, forgiven)?;
            }
            if let (Some(subject), Some(dropped)) = (&subject, &cleared.dropped) {
                login_guards::remove_place(tx, subject, dropped)?;
            }
            cleared.place.iter().try_for_each(|row| login_guards::put_place(tx, row))
        };
        let queued = (!nothing).then(|| self.store.commit(Vec::new(), job));
        async move {
            match queued {
                Some(queued) => queued.await,
                None => Ok(()),
            }
        }
    }

    /// Records the counts of refused logins whose minute is over at `now`, and forgets locks that
    /// are over; gives how many records it made. A count whose account's log cannot be written is
    /// only in the log of the process. To be called again and again by a task of the server.
    ///
    /// # Errors
    /// Only when the store is broken or the disk full.
    pub async fn record_refused_logins(&self, now: Timestamp) -> Result<usize, Fault> {
        let floods = self.guard.floods.take(now);
        let mut records: Vec<(Draft, Option<Failure>)> = Vec::with_capacity(floods.len());
        for flood in floods {
            records.push((self.draft_of_flood(flood, now)?, None));
        }
        let mut count = 0;
        for recorded in self.store.record_each(records).await {
            match recorded {
                Ok(_) => count += 1,
                Err(fault) => tracing::error!(%fault, "refused logins are not in an audit log"),
            }
        }
        self.guard.forget(now);
        let failures_before = now.plus_seconds(-FORGET_SECONDS);
        let places_before = now.plus_seconds(-PLACE_DAYS * 24 * 3_600);
        let journals_before = now.plus_seconds(-FORGOTTEN_AFTER_SECONDS);
        let forget = move |tx: &Tx| {
            used_proofs::forget(tx, now)?;
            gateway_journals::forget(tx, journals_before)?;
            login_guards::forget(tx, failures_before, places_before, SUBJECTS_MAX, now)
        };
        self.store.commit(Vec::new(), forget).await?;
        Ok(count)
    }

    fn draft_of_flood(&self, flood: Flood, now: Timestamp) -> Result<Draft, Fault> {
        let Flood { named, network, count } = flood;
        let request = RequestId::random(&*self.rng)?;
        let draft =
            Draft::new(named.account, request, Arc::from(COMMAND), action::LOGINS_REFUSED, now);
        Ok(Draft {
            access_id: Some(named.access_id),
            access_type: named.kind.into(),
            client_address: network,
            ..draft.with("count", count.to_string())
        })
    }
}

fn named_of(method: &AuthMethod) -> Named {
    Named {
        account: method.account,
        access_id: method.access_id.clone(),
        kind: method.detail.kind_name().to_owned(),
    }
}
