//! The family of rotators: each changes credentials that stay on one kind of target, and tries them
//! out.
//!
//! A member is one file and two lines in `rotators.rs`. Nothing is ever changed to credentials that
//! are not stored: [`Rotator::candidate`] draws new ones without any IO, they are durable before
//! [`Rotator::change`] sets them on the target, and only when [`Rotator::signs_in`] says so are
//! they what people read. After a crash anywhere, trying both out says where it stopped.

mod bringing;
mod checking;
mod conformance;
mod credential;
pub(crate) mod database;
mod everywhere;
mod hosts;
pub(crate) mod labels;
pub(crate) mod services;
mod site;

use keysherd_base::Fault;
use keysherd_wire::{Args, Group};
use serde_json::{Map, Value};

pub use self::bringing::{Brought, Change, bring_about, remove};
pub use self::checking::{Checked, is_in_force};
pub use self::conformance::complaints;
pub use self::credential::Credential;
pub use self::everywhere::Everywhere;
pub use self::hosts::Hosts;
pub use self::site::{Site, Summary, Which};
use crate::{BoxFuture, Settings, Spelling, TargetUse, Way};

/// What of a target a rotator changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotatorType {
    /// V2's `rotator-type`, such as `password`.
    pub name: &'static str,
    /// What V2 shows for it, such as `user-pass-rotator`.
    pub shown: &'static str,
    /// Whether it changes the credentials in the target's own settings.
    pub of_target: bool,
}

/// What a rotator is called, and which settings it has.
#[derive(Debug)]
pub struct RotatorKind {
    /// The name, such as `postgresql`: what control keeps in the clear.
    pub name: &'static str,
    /// What it changes credentials on, to end a sentence: "a PostgreSQL server".
    pub what: &'static str,
    /// The types of targets that it works with (V2's `target_type`).
    pub targets: &'static [&'static str],
    /// What it can change, the usual one first.
    pub types: &'static [RotatorType],
    /// Its create commands, the current one first.
    pub create: &'static [Spelling],
    /// Its update commands, the current one first.
    pub update: &'static [Spelling],
    /// Its settings. The credentials themselves are no settings: they are the item's value.
    pub fields: &'static Group,
    /// The credentials as they are given when a rotated secret is made.
    pub given: &'static Group,
    /// The settings of a target that have its credentials, each with the member of a [`Credential`]
    /// that it is.
    pub target_settings: &'static [(&'static str, &'static str)],
    /// Fields that V2 has for remote access, which is not served: accepted, without effect.
    pub remote: &'static Group,
}

impl RotatorKind {
    /// The type with this name.
    pub fn type_of(&self, name: &str) -> Option<&'static RotatorType> {
        self.types.iter().find(|known| known.name == name)
    }
}

/// Who changes credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whose credentials they are: V2's `use-user-creds`.
    Owner,
    /// Whom the target signs in: V2's `use-target-creds`.
    Target,
}

/// Where a rotator works.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The rotated secret's settings.
    pub settings: &'a Settings,
    /// Its target.
    pub target: TargetUse<'a>,
    /// Who changes them.
    pub actor: Actor,
    /// Time, randomness and the way out.
    pub way: &'a Way,
}

/// A way to change credentials.
pub trait Rotator: Send + Sync {
    /// What it is.
    fn kind(&self) -> &'static RotatorKind;

    /// Whether the settings make sense, for this target. Nothing is connected to. Gives what their
    /// author should know.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault>;

    /// What is remembered of the target from now on: settings beside those that were given, and
    /// what their author should know of them. Nobody signs in. Asked for once, before credentials
    /// are tried out for the first time.
    ///
    /// # Errors
    /// A fault that says why it is not known.
    fn met<'a>(&'a self, _: &'a Stage<'a>) -> BoxFuture<'a, Result<(Args, Vec<String>), Fault>> {
        Box::pin(std::future::ready(Ok((Args::new(), Vec::new()))))
    }

    /// The credentials that somebody gives when the rotated secret is made: a user and a password,
    /// unless the member says otherwise.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        database::first(given)
    }

    /// The credentials as somebody says that they are from now on; what is not given stays as in
    /// `old`.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        database::corrected(given, old)
    }

    /// What people read of them: V2's `value`. Wipe it with [`keysherd_wire::wipe`].
    fn shown(&self, _: &Settings, credential: &Credential) -> Map<String, Value> {
        credential.members()
    }

    /// The credentials that a target has.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when it has none.
    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        database::of_target(target)
    }

    /// Whether `given` are of whom the target signs in, however they are written: as far as that
    /// can be said without IO. They are the target's to rotate.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        is_same_user(self.of_target(target).ok().as_ref(), given, str::eq)
    }

    /// New credentials in place of `old`: the same user with another password, unless the member
    /// says otherwise. No IO.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field of a policy that cannot be.
    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        database::next(stage, old)
    }

    /// New credentials that only the target can make, which it takes from now on beside `old`;
    /// none: [`Self::candidate`] draws them. They are stored right afterwards. If that fails, or
    /// nobody hears the answer, the target is asked again and makes others.
    ///
    /// # Errors
    /// A fault that says what failed on the target.
    fn obtained<'a>(
        &'a self,
        _: &'a Stage<'a>,
        _old: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Credential>, Fault>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether intervals between two rotations are minutes, not days.
    fn counts_minutes(&self) -> bool {
        false
    }

    /// Has the target take `new` in place of `old`, which it takes now; gives what it warned of.
    /// Doing it again with the same `new` does no harm.
    ///
    /// # Errors
    /// A fault that says what failed on the target, by its error code; of code
    /// [`crate::NOT_REACHED`] or [`crate::NOT_LET_IN`] where nothing was changed for certain.
    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>>;

    /// Whether old credentials can stay valid beside new ones: [`Self::add`] and [`Self::retire`]
    /// are its own then.
    fn is_graceful(&self) -> bool {
        false
    }

    /// As [`Self::change`], but the target takes `old` as well from then on.
    ///
    /// # Errors
    /// As [`Self::change`].
    fn add<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        self.change(stage, old, new)
    }

    /// Has the target take `old` no more where it takes it beside `current`, which it does take:
    /// what stayed for a while, or what a [`Self::change`] left that nobody heard of again. Doing
    /// it again does no harm.
    ///
    /// # Errors
    /// A fault that says what failed on the target, by its error code.
    fn retire<'a>(
        &'a self,
        _stage: &'a Stage<'a>,
        _current: &'a Credential,
        _old: &'a Credential,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether [`Self::signs_in`] says anything: whether there is a target that can be asked.
    fn is_tried(&self) -> bool {
        true
    }

    /// Whether the target takes these credentials.
    ///
    /// # Errors
    /// A fault when that cannot be said: it was not reached, or refuses for another reason.
    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>>;

    /// What the arguments make of the settings there were (none: of a new rotated secret).
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn merged(&self, given: &Args, old: Settings) -> Result<Settings, Fault> {
        Settings::merged(self.kind().fields, given, old, &[])
    }
}

/// Whether the target's own credentials are of the same user as those that are given, by how
/// names are compared.
pub(crate) fn is_same_user(
    own: Option<&Credential>,
    given: &Credential,
    is_same: impl Fn(&str, &str) -> bool,
) -> bool {
    let names = own.map(Credential::username).zip(Some(given.username()));
    // Secrets of applications may have none.
    matches!(names, Some((Ok(own), Ok(given))) if !given.is_empty() && is_same(own, given))
}
