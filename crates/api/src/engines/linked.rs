//! A rotation on the hosts of a linked target: what is stored before, and after.

use keysherd_base::{Fault, SecretBytes};
use keysherd_engines::Way;
use keysherd_engines::rotator::{Brought, Hosts, Site, Summary, Which};
use keysherd_plane::credential_rotations::{Reason, RotationWork, Task};

use super::rotated::{OpenedRotated, Rotation};
use super::sealed::{OpenedTarget, other};
use crate::crypt::OpenedItem;

/// A rotation that was opened, of one place or of many.
pub enum OpenedRotation {
    /// Of one.
    One(Box<Rotation>),
    /// Of the hosts of a linked target.
    Many(Box<LinkedRotation>),
}

/// A rotation on many hosts.
pub struct LinkedRotation {
    secret: OpenedRotated,
    target: OpenedTarget,
    hosts: Hosts,
    resumed: bool,
    reason: Reason,
    /// What they had in the version that somebody wants again.
    older: Option<Hosts>,
    warnings: Vec<String>,
}

/// What came of one on many hosts.
pub enum BroughtMany {
    /// Some hosts have new credentials, or all: what is stored has to be stored once more as
    /// [`LinkedRotation::plaintext`] gives it, before anybody reads it.
    Changed {
        /// Where not, and why.
        partly: Option<String>,
        /// Whether some of those refuse whom was to be signed in there.
        is_refused: bool,
        /// What hosts warned of.
        warnings: Vec<String>,
    },
    /// No host has: nothing has to be stored.
    Nothing(Brought),
}

impl OpenedRotation {
    /// The rotation that was handed out, with its items opened.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted than it needs; [`Fault::conflict`] when
    /// the parent of a linked target was deleted.
    pub fn of(work: &RotationWork, opened: &[OpenedItem]) -> Result<Self, Fault> {
        if let [secret, target @ ..] = opened
            && let Some((first, _)) = target.split_first()
            && OpenedTarget::of(first)?.is_linked()
        {
            return LinkedRotation::of(work, (secret, target)).map(Box::new).map(Self::Many);
        }
        Rotation::of(work, opened).map(Box::new).map(Self::One)
    }

    /// What is to be stored before anything is set.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for a policy that cannot be; [`Fault::internal`] when the random
    /// source fails.
    pub async fn candidate(&mut self, way: &Way) -> Result<SecretBytes, Fault> {
        match self {
            Self::One(one) => one.candidate(way).await,
            Self::Many(many) => many.planned(way).await,
        }
    }

    /// Whether it is stored once more although it is stored: that says when it was tried.
    pub fn stores_again(&self) -> bool {
        matches!(self, Self::Many(_))
    }
}

impl LinkedRotation {
    fn of(
        work: &RotationWork,
        (secret, target): (&OpenedItem, &[OpenedItem]),
    ) -> Result<Self, Fault> {
        let opened = OpenedRotated::of(secret)?;
        let target = OpenedTarget::to_use(target)?;
        opened.check_target(&target)?;
        let (Some(write), Task::Change(reason)) = (work.write, work.task) else {
            return Err(other());
        };
        if write.place != 0 {
            return Err(other());
        }
        let hosts_in = |place: usize| -> Result<Option<Hosts>, Fault> {
            let Some(value) = secret.values.get(place) else { return Ok(None) };
            let opened = OpenedRotated::of_value(secret, value.version, &value.value)?;
            Hosts::read(&opened.credentials.ok_or_else(other)?)
        };
        let (current, second) = (hosts_in(0)?, hosts_in(1)?);
        let (resumed, back) = (write.is_stored, matches!(reason, Reason::Rollback(_)));
        let (hosts, older) = match (resumed, back) {
            (true, _) => (second, None),
            (false, true) => (current, second),
            (false, false) => (current, None),
        };
        let hosts = hosts.ok_or_else(other)?;
        if back && !resumed && older.is_none() {
            return Err(Fault::bad_request("that version has no credentials of hosts"));
        }
        let warnings = Vec::new();
        Ok(Self { secret: opened, target, hosts, resumed, reason, older, warnings })
    }

    async fn planned(&mut self, way: &Way) -> Result<SecretBytes, Fault> {
        let Self { secret, target, hosts, older, reason, resumed, .. } = self;
        let site = site(secret, target, way)?;
        let which = match (older.as_ref(), *reason) {
            (Some(older), _) => Which::Back(older),
            (None, Reason::Hosts) => Which::Behind,
            (None, _) => Which::All,
        };
        // Somebody waits, and is told which host keys are believed from now on.
        let meets = matches!(reason, Reason::Manual | Reason::Rollback(_));
        let warnings = site.plan(hosts, &which, (*resumed, meets)).await?;
        self.warnings = warnings;
        self.plaintext()
    }

    /// What is known of the hosts, to be stored.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn plaintext(&self) -> Result<SecretBytes, Fault> {
        self.secret.plaintext(Some(&self.hosts.stored()))
    }

    /// Sets what is stored on each host, and says what came of it.
    pub async fn bring_about(
        &mut self,
        way: &Way,
        in_time: &(dyn Fn() -> Result<(), Fault> + Sync),
    ) -> BroughtMany {
        let Self { secret, target, hosts, resumed, .. } = self;
        let brought = match site(secret, target, way) {
            Ok(site) => site.bring_about(hosts, in_time).await,
            Err(fault) => Err(fault),
        };
        let summary: Summary = match brought {
            Ok(summary) => summary,
            Err(fault) if *resumed => return BroughtMany::Nothing(Brought::Unknown(fault)),
            Err(fault) => return BroughtMany::Nothing(Brought::Unchanged(fault)),
        };
        if summary.changed == 0 && summary.partly().is_some() {
            let unknown = summary.unknown;
            let fault = summary.fault();
            return BroughtMany::Nothing(match unknown {
                true => Brought::Unknown(fault),
                false => Brought::Unchanged(fault),
            });
        }
        let mut partly = summary.partly();
        if partly.is_none() && self.hosts.are_behind() {
            partly = Some("some hosts have an earlier password, and get the new one next".into());
        }
        let mut warnings = std::mem::take(&mut self.warnings);
        let is_refused = summary.is_refused();
        warnings.extend(summary.warnings);
        BroughtMany::Changed { partly, is_refused, warnings }
    }
}

fn site<'a>(
    secret: &'a OpenedRotated,
    target: &'a OpenedTarget,
    way: &'a Way,
) -> Result<Site<'a>, Fault> {
    let settings = (&secret.settings, secret.actor);
    target.site(secret.rotator, settings, way).ok_or_else(other)
}
