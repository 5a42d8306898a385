//! Reading the audit log: who may see which records, and pages of them.
//!
//! | scope | what is seen |
//! |---|---|
//! | own | the records of the same auth method and the same unique id |
//! | scoped | those, and records that name items or folders, if the caller may list all of them |
//! | all | every record of the account |

pub(crate) mod export;
pub(crate) mod follow;
pub(crate) mod page;
pub(crate) mod search;

#[cfg(test)]
mod tests;

use keysherd_audit::{Brief, Filter, Param, Place, StatusFilter};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::policy::kinds::Scope;
use keysherd_domain::role::{Capability, RuleKind};

use crate::session::Principal;

/// How far the caller's right of an administrative kind reaches.
pub(crate) fn scope_of(who: &Principal, kind: RuleKind, now: Timestamp) -> Scope {
    if who.is_admin() { Scope::All } else { who.rules.scope(kind, Capability::Read, now) }
}

/// What of the audit log somebody may see.
pub(crate) struct Sight {
    who: Principal,
    scope: Scope,
    now: Timestamp,
}

impl Sight {
    /// What the caller may see.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] for one who may see nothing.
    pub(crate) fn of(who: &Principal, now: Timestamp) -> Result<Self, Fault> {
        let scope = scope_of(who, RuleKind::Search, now);
        if scope == Scope::None {
            return Err(Fault::unauthorized(format!(
                "unauthorized access for access id {}: reading the audit log is not granted; ask \
                 an administrator for a role with audit-access",
                who.access_id()
            )));
        }
        Ok(Self { who: who.clone(), scope, now })
    }

    /// How far it reaches.
    pub(crate) const fn scope(&self) -> Scope {
        self.scope
    }

    /// The filter within what may be seen, as far as a filter can say it; `None` when nothing can
    /// be in both.
    pub(crate) fn narrow(&self, filter: Filter) -> Option<Filter> {
        if self.scope != Scope::Own {
            return Some(filter);
        }
        let (access, unique) = (self.who.access_id().as_str(), &*self.who.unique_id);
        let other =
            |asked: &Option<String>, own: &str| asked.as_ref().is_some_and(|asked| asked != own);
        if other(&filter.access_id, access) || other(&filter.unique_id, unique) {
            return None;
        }
        let (access_id, unique_id) = (Some(access.to_owned()), Some(unique.to_owned()));
        Some(Filter { access_id, unique_id, ..filter })
    }

    /// Whether a record may be seen. Asked of each record that is found, whatever the filter was.
    pub(crate) fn sees(&self, record: &Brief<'_>) -> bool {
        let own = || {
            record.access_id() == self.who.access_id().as_str()
                && record.unique_id() == &*self.who.unique_id
        };
        match self.scope {
            Scope::None => false,
            Scope::Own => own(),
            Scope::Scoped => own() || self.lists_all(record),
            Scope::All => true,
        }
    }

    /// Whether the record is about items and folders, and the caller may list all of them.
    fn lists_all(&self, record: &Brief<'_>) -> bool {
        let visible = |place: Place<'_>| match place {
            Place::Item(path) => self.who.may(RuleKind::Item, path, Capability::List, self.now),
            Place::Folder(path) => self.who.may_see_below(RuleKind::Item, path, self.now),
        };
        let mut places = record.places().peekable();
        places.peek().is_some() && places.all(visible)
    }
}

/// The parameters of an audit record that say what was looked for.
fn params(filter: &Filter) -> Vec<Param> {
    let mut params = Vec::new();
    let mut add = |name: &'static str, value: Option<String>| {
        params.extend(value.map(|value| Param::public(name, value)));
    };
    add("from", filter.from.map(|time| time.rfc3339()));
    add("to", filter.to.map(|time| time.rfc3339()));
    // Under another name than items have: to look for an item is not to use it.
    add("searched_item", filter.item.clone());
    add("searched_folder", filter.folder.clone());
    add("searched_access_id", filter.access_id.clone());
    add("searched_unique_id", filter.unique_id.clone());
    add("searched_action", filter.action.clone());
    add(
        "searched_status",
        filter.status.map(|status| match status {
            StatusFilter::Exactly(status) => status.to_string(),
            StatusFilter::Failed => "failed".to_owned(),
        }),
    );
    params
}
