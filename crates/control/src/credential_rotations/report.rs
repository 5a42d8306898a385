//! What came of attempts.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::credential_rotation::{Attempt, CredentialRotation, Failure, Reason, Task};
use keysherd_domain::item::Item;
use keysherd_plane::Done;
use keysherd_plane::credential_rotations::{RotationReport, RotationResult};
use keysherd_store::credential_rotations::{self as stored, StoredRotation};
use keysherd_store::{Tx, item_versions, items};

use super::prepare::draft;
use super::said::{taken_by_others, worked_on};
use super::{facts_of, subject, versions_kept};
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::{account_now, check};

/// Keeps what a gateway reports.
///
/// # Errors
/// [`Fault::conflict`] when somebody else has the work by now, or what was stored cannot be read
/// under the item's path; [`Fault::unavailable`] when it cannot be recorded;
/// [`Fault::bad_request`] for what cannot have come of it.
pub(crate) async fn report(
    control: &Control,
    gateway: &GatewayIdentity,
    message: RotationReport,
) -> Result<Done, Fault> {
    let (this, gateway, now) = (control.clone(), *gateway, control.now());
    let job = move |tx: &Tx| {
        let (mut found, item) = worked_on(tx, &gateway, message.item, message.attempt)?;
        // Where nothing can be recorded it is done again: once more does no harm.
        if !tx.can_record(found.account)? {
            return Err(Fault::unavailable("the audit log of the account cannot be written"));
        }
        let task = found.rotation.work_of(&gateway.spki_sha256, message.attempt);
        let task = task.ok_or_else(taken_by_others)?;
        let attempt = Attempt { number: message.attempt, task, resumes: None };
        let said = Said { control: &this, item: &item, attempt, now };
        said.keep(tx, &mut found, message.result)?;
        stored::update(tx, found.item, &found.rotation)?;
        Ok(Done)
    };
    control.store.commit(Vec::new(), job).await
}

/// What somebody says about an attempt.
struct Said<'a> {
    control: &'a Control,
    item: &'a Item,
    attempt: Attempt,
    now: Timestamp,
}

impl Said<'_> {
    fn keep(
        &self,
        tx: &Tx,
        found: &mut StoredRotation,
        result: RotationResult,
    ) -> Result<(), Fault> {
        let changes = matches!(self.attempt.task, Task::Change(_));
        match result {
            RotationResult::Changed { partly } if changes => {
                self.promote(tx, found, partly.as_deref())
            }
            RotationResult::ChangedOrRefused { partly } if changes => {
                self.promote(tx, found, Some(&partly))?;
                found.rotation.rest_hosts(self.now);
                Ok(())
            }
            RotationResult::Retired if !changes => {
                self.record(tx, &found.rotation, None)?;
                found.rotation.retired();
                Ok(())
            }
            RotationResult::Unchanged { error } => self.fail(tx, found, Failure::Unchanged, &error),
            RotationResult::Refused { error } => self.fail(tx, found, Failure::Refused, &error),
            RotationResult::Unknown { error } => self.fail(tx, found, Failure::Unknown, &error),
            RotationResult::Changed { .. }
            | RotationResult::ChangedOrRefused { .. }
            | RotationResult::Retired => {
                Err(Fault::bad_request("that is not what the rotation was about"))
            }
        }
    }

    /// Makes what was stored the version that everybody reads.
    fn promote(
        &self,
        tx: &Tx,
        found: &mut StoredRotation,
        partly: Option<&str>,
    ) -> Result<(), Fault> {
        let facts = facts_of(self.item)?;
        let mut subject = subject(tx, self.item, facts)?;
        let candidate = found.rotation.candidate.clone().ok_or_else(|| {
            Fault::bad_request("no new credentials were stored, so none can be in force")
        })?;
        if candidate.path != subject.path {
            return Err(Fault::conflict(format!(
                "{} got another path while it was rotated; what was stored is not attested for it",
                subject.called()
            ))
            .with_code("RotationRenamed"));
        }
        let stored = item_versions::candidate(tx, subject.id)?
            .filter(|stored| stored.version == candidate.version)
            .ok_or_else(|| Fault::internal("the stored credentials of a rotation are gone"))?;
        let old = subject.last_version;
        if stored.version <= old
            || !item_versions::promote_candidate(tx, subject.id, stored.version)?
        {
            return Err(Fault::internal("the stored credentials of a rotation are not the newest"));
        }
        subject.last_version = stored.version;
        subject.protection_key = stored.protection_key;
        subject.size_bytes = stored.ciphertext.len() as u64;
        subject.modified = self.now;
        items::update(tx, &subject)?;
        self.record(tx, &found.rotation, partly)?;
        found.rotation.promoted(facts, old, partly, self.now);
        stored::update(tx, found.item, &found.rotation)?;
        let account = account_now(tx, subject.account)?;
        let kept = versions_kept(tx, &subject, check::versions_kept(&subject, &account))?;
        item_versions::prune(tx, subject.id, kept)?;
        match (self.by_itself(), partly) {
            (false, _) => Ok(()),
            (true, None) => self.event(tx, &found.rotation, action::ROTATED_SECRET_SUCCESS),
            (true, Some(_)) => {
                announce_failure(tx, self.control, (self.item, &found.rotation), self.now)
            }
        }
    }

    fn fail(
        &self,
        tx: &Tx,
        found: &mut StoredRotation,
        failure: Failure,
        error: &str,
    ) -> Result<(), Fault> {
        let facts = facts_of(self.item)?;
        let setback = found.rotation.failed(facts, failure, error, self.now);
        if setback.dropped.is_some() {
            item_versions::drop_candidate(tx, subject(tx, self.item, facts)?.id)?;
        }
        let error = found.rotation.last_error.clone();
        self.record(tx, &found.rotation, Some(&error))?;
        if self.by_itself() {
            announce_failure(tx, self.control, (self.item, &found.rotation), self.now)?;
        }
        Ok(())
    }

    /// Whether nobody waited for it, who would have been told.
    fn by_itself(&self) -> bool {
        let Task::Change(reason) = self.attempt.task else { return true };
        !matches!(reason, Reason::Manual | Reason::Rollback(_))
    }

    fn record(
        &self,
        tx: &Tx,
        rotation: &CredentialRotation,
        error: Option<&str>,
    ) -> Result<(), Fault> {
        let about = (action::ROTATE_CREDENTIALS, self.attempt);
        let mut draft = draft(self.control, self.item, &rotation.access_id, about, self.now)?;
        draft.params.extend(error.map(|error| Param::public("error", error.to_owned())));
        tx.record_if_done(&draft);
        Ok(())
    }

    fn event(
        &self,
        tx: &Tx,
        rotation: &CredentialRotation,
        action: &'static str,
    ) -> Result<(), Fault> {
        let about = (action, self.attempt);
        let draft = draft(self.control, self.item, &rotation.access_id, about, self.now)?;
        tx.record_if_done(&draft);
        Ok(())
    }
}

/// Raises the event of credentials that did not change when they should have.
///
/// # Errors
/// [`Fault::internal`] when the random source fails.
pub(super) fn announce_failure(
    tx: &Tx,
    control: &Control,
    (item, rotation): (&Item, &CredentialRotation),
    now: Timestamp,
) -> Result<(), Fault> {
    tracing::warn!(
        item = %item.uid,
        error = rotation.last_error,
        next = ?rotation.due,
        "the credentials of a rotated secret did not change"
    );
    let task = Task::Change(Reason::Scheduled);
    let attempt = Attempt { number: rotation.attempt, task, resumes: None };
    let about = (action::ROTATED_SECRET_FAILURE, attempt);
    let mut draft = draft(control, item, &rotation.access_id, about, now)?;
    draft.params.push(Param::public("error", rotation.last_error.clone()));
    tx.record_if_done(&draft);
    Ok(())
}

/// Raises the event that says when credentials will change by themselves.
///
/// # Errors
/// [`Fault::internal`] when the random source fails.
pub(super) fn announce_next(
    tx: &Tx,
    control: &Control,
    (item, rotation): (&Item, &CredentialRotation),
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(next) = rotation.next else { return Ok(()) };
    let task = Task::Change(Reason::Scheduled);
    let attempt = Attempt { number: rotation.attempt, task, resumes: None };
    let about = (action::NEXT_AUTOMATIC_ROTATION, attempt);
    let mut draft = draft(control, item, &rotation.access_id, about, now)?;
    draft.params.push(Param::public("rotation_date", next.rfc3339()));
    tx.record_if_done(&draft);
    Ok(())
}
