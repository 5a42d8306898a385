//! Who asks, and whether they may: the helpers every use case starts with.
//!
//! What a caller learns about an object they have no permission for:
//!
//! | the caller may | exists | absent |
//! |---|---|---|
//! | do it | done | 404 |
//! | not do it, but see the object in a listing | 401 | 404 |
//! | neither | 401 | 401, the same text |
//!
//! A token that proves nothing leads to no account, so its refusal has no audit record; it is
//! written to the log only. Every other refusal is recorded before it is answered.

use keysherd_audit::action;
use keysherd_base::{Fault, FaultKind, Timestamp};
use keysherd_domain::policy::rule_set::Decision;
use keysherd_domain::role::{Capabilities, Capability, RuleKind};
use keysherd_domain::target;
use keysherd_plane::Caller;

use crate::audit::draft_of;
use crate::control::Control;
use crate::owner::seal_hint;
use crate::session::{Principal, Rejection};
use crate::uid::{bearer, is_uid_token};

impl Control {
    /// The bearer of the caller's token.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] with what to do, recorded when the token leads to an account.
    pub(crate) async fn principal(&self, caller: &Caller) -> Result<Principal, Fault> {
        match self.authenticate(caller).await {
            Ok(principal) => Ok(principal),
            Err(rejection) => Err(self.reject(caller, *rejection).await),
        }
    }

    /// As [`Control::principal`], recording nothing: the caller of this sees to the record.
    ///
    /// # Errors
    /// [`Rejection`].
    pub(crate) async fn authenticate(&self, caller: &Caller) -> Result<Principal, Box<Rejection>> {
        let now = self.now();
        match caller.token.as_deref() {
            Some(text) if is_uid_token(text) => bearer::authenticate(self, caller, text, now).await,
            _ => {
                let principal = self.sessions.verify(&self.directory, caller, now).await?;
                bearer::check_origin(self, principal)
            }
        }
    }

    /// Records that a token was not accepted, if it leads to an account. Gives what the caller is
    /// told.
    pub(crate) async fn reject(&self, caller: &Caller, rejection: Rejection) -> Fault {
        self.reject_as(caller, rejection, action::REFUSED_REQUEST).await
    }

    /// As [`Control::reject`], for a request whose action is known.
    pub(crate) async fn reject_as(
        &self,
        caller: &Caller,
        rejection: Rejection,
        action: &'static str,
    ) -> Fault {
        let Rejection { bearer, fault, .. } = rejection;
        let Some((account, method)) = bearer else {
            log_unrecorded(caller, &fault);
            return fault;
        };
        let draft = draft_of(caller, account, method.as_deref(), action);
        match self.recorded::<()>(draft, Err(fault)).await {
            Err(fault) => fault,
            Ok(()) => Fault::internal("a failure was recorded and came back as a success"),
        }
    }
}

/// Logs a refusal that belongs to no account.
pub(crate) fn log_unrecorded(caller: &Caller, fault: &Fault) {
    tracing::info!(
        request = %caller.request,
        command = %caller.command,
        client = %caller.client.address,
        code = fault.code(),
        reason = fault.public(),
        "refused a request of unknown origin"
    );
}

impl Principal {
    /// Whether the bearer may do everything in the account.
    pub fn is_admin(&self) -> bool {
        self.owner || self.rules.is_admin()
    }

    /// Whether the bearer may use `capability` on the object or folder at `path`.
    pub fn may(&self, kind: RuleKind, path: &str, capability: Capability, now: Timestamp) -> bool {
        let (kind, path) = governing(kind, path);
        self.rules.decide(kind, path, capability, now).is_granted()
    }

    /// Everything the bearer may do at `path`.
    pub fn permissions(&self, kind: RuleKind, path: &str, now: Timestamp) -> Capabilities {
        let (kind, path) = governing(kind, path);
        self.rules.effective(kind, path, now)
    }

    /// Whether the bearer may see something in a folder or below it.
    pub fn may_see_below(&self, kind: RuleKind, folder: &str, now: Timestamp) -> bool {
        let (kind, folder) = governing(kind, folder);
        self.rules.may_see_below(kind, folder, now)
    }

    /// Demands `capability` at `path`, of an object known to exist or about to be created.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] with what is missing; the private text has the rule that decided.
    pub fn require(
        &self,
        kind: RuleKind,
        path: &str,
        capability: Capability,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (kind, path) = governing(kind, path);
        match self.rules.decide(kind, path, capability, now) {
            Decision::Admin(_) | Decision::Granted(_) => Ok(()),
            Decision::Denied(rule) => Err(self.unpermitted(kind, path, capability).with_private(
                format_args!("denied by {} of role {}", rule.rule().path, rule.role()),
            )),
            Decision::NoRule => Err(self.unpermitted(kind, path, capability)),
        }
    }

    /// Demands `capability` on the object looked up at `path`, and that there is one, as in the
    /// table above.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] or [`Fault::not_found`].
    pub fn require_found<T>(
        &self,
        kind: RuleKind,
        path: &str,
        capability: Capability,
        now: Timestamp,
        found: Option<T>,
    ) -> Result<T, Fault> {
        if found.is_none() && self.may(kind, path, Capability::List, now) {
            return Err(absent(kind, path));
        }
        self.require(kind, path, capability, now)?;
        found.ok_or_else(|| absent(kind, path))
    }

    /// Demands an admin role.
    ///
    /// # Errors
    /// [`Fault::unauthorized`].
    pub fn require_admin(&self) -> Result<(), Fault> {
        if self.is_admin() {
            return Ok(());
        }
        Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: only administrators may do this; ask one, or \
             ask for a role that is an admin role",
            self.access_id()
        )))
    }

    /// The refusal of `capability` at `path`; the same whether there is something or not.
    fn unpermitted(&self, kind: RuleKind, path: &str, capability: Capability) -> Fault {
        let (id, noun, capability) = (self.access_id(), noun(kind), capability.name());
        Fault::unauthorized(format!(
            "unauthorized access for access id {id}: '{capability}' on {noun} {path} is not \
             granted; ask an administrator for a role that grants it{}",
            seal_hint(self.settings.owner_sealed.filter(|_| self.owner))
        ))
    }
}

/// The rules that decide about an object, and the path it has for them: what is stored in the place
/// of targets is a target, whoever asks for it as an item. The one place that tells them apart.
pub(crate) fn governing(kind: RuleKind, path: &str) -> (RuleKind, &str) {
    match target::shown(path) {
        Some(shown) if kind == RuleKind::Item => (RuleKind::Target, shown),
        _ => (kind, path),
    }
}

/// What objects of a kind are called.
fn noun(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Item | RuleKind::Sra | RuleKind::Ara => "item",
        RuleKind::Target => "target",
        RuleKind::Role => "role",
        RuleKind::AuthMethod => "auth method",
        other => other.name(),
    }
}

/// The fault of an object that is not there, for those who may know.
pub(crate) fn absent(kind: RuleKind, path: &str) -> Fault {
    let (kind, path) = governing(kind, path);
    Fault::new(FaultKind::NotFound, format!("{} {path} does not exist; check its name", noun(kind)))
}
