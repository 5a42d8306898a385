//! Giving an object another path: the one way to change who may do what without touching a rule.

use keysherd_base::{Fault, ItemPath, Timestamp};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::target;

use crate::session::Principal;

/// Demands what it takes to give an object another path: `create` there, and that its new place
/// gives the bearer no right to it that the old one did not. Who may only update a secret could
/// otherwise read it by moving it to a folder of their own.
///
/// An item takes `read` as well: its new place decides who else may read it, and who may not read
/// a value must not decide that.
///
/// # Errors
/// [`Fault::unauthorized`], or [`Fault::forbidden`] with the right that is missing or would be
/// gained; [`Fault::bad_request`] when an item would become a target, or the other way round.
pub(crate) fn check_relocation(
    who: &Principal,
    kind: RuleKind,
    from: &ItemPath,
    to: &ItemPath,
    now: Timestamp,
) -> Result<(), Fault> {
    who.require(kind, to.as_str(), Capability::Create, now)?;
    let is_target = |path: &ItemPath| target::shown(path.as_str()).is_some();
    let reserved = kind == RuleKind::Item && target::is_stored_path(to.as_str());
    if kind == RuleKind::Item && (is_target(from) != is_target(to) || reserved && !is_target(to)) {
        return Err(Fault::bad_request(format!(
            "{from} cannot become {to}: what is below {} are targets, and nothing else is one",
            target::PLACE
        )));
    }
    let may = |path: &ItemPath, capability| who.may(kind, path.as_str(), capability, now);
    if kind == RuleKind::Item && !may(from, Capability::Read) {
        return Err(refused(who, from, to, "decide who reads it without 'read'"));
    }
    let rights = [Capability::Read, Capability::Update, Capability::Delete];
    match rights.into_iter().find(|right| may(to, *right) && !may(from, *right)) {
        None => Ok(()),
        Some(gained) => Err(refused(who, from, to, &format!("gain '{}' on it", gained.name()))),
    }
}

fn refused(who: &Principal, from: &ItemPath, to: &ItemPath, would: &str) -> Fault {
    Fault::forbidden(format!(
        "{from} cannot become {to}: access id {} would {would}; ask somebody who holds that \
         already",
        who.access_id()
    ))
    .with_code("PrivilegeEscalation")
}
