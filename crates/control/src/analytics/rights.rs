//! Rules of roles that grant what nobody made use of for a while.

use std::sync::Arc;

use keysherd_audit::{Filter, Param, Place, StatusFilter, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::kinds::Scope;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Capability, Role, Rule, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{UnusedRights, UnusedRightsReply, UnusedRule};
use keysherd_store::{AuditOrder, AuditSearch};

use super::CATCH_UP_MAX;
use crate::audit::audit_draft;
use crate::audit_log::scope_of;
use crate::authorize::governing;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::session::Principal;

/// Searches of the audit log in one call at most; the rest is on further pages.
const SEARCHES_MAX: usize = 300;

/// What a use of each capability is recorded as.
const USES: &[(Capability, &[&str])] = &[
    (
        Capability::Read,
        &[
            action::GET_SECRET_VALUE,
            action::GET_ITEM_DERIVATION_CREDS,
            action::GET_DYNAMIC_SECRET_VALUE,
            action::GET_DYNAMIC_SECRET_DETAILS,
            action::GET_ROTATED_SECRET_VALUE,
            action::GET_ROTATED_SECRET_DETAILS,
            action::CHECK_OUT_ITEM,
            action::END_SESSION,
            action::LIST_CREDENTIALS,
        ],
    ),
    (Capability::Create, &[action::CREATE_ITEM]),
    (
        Capability::Update,
        &[
            action::UPDATE_ITEM,
            action::SET_ITEM_STATE,
            action::LOCK_ITEM,
            action::UNLOCK_ITEM,
            action::ROTATE_ITEM,
            action::CREATE_TARGET_ASSOC,
            action::DELETE_TARGET_ASSOC,
            action::EXTEND_CREDENTIAL,
            action::REVOKE_CREDENTIALS,
        ],
    ),
    (Capability::Delete, &[action::DELETE_ITEM, action::DELETE_ITEMS]),
];

/// The item rules, of roles the caller may list, with capabilities that no auth method of the role
/// made use of.
///
/// # Errors
/// [`Fault::unauthorized`] without a search-rule for the whole account: it tells what others did.
pub(crate) async fn rights(
    control: &Control,
    caller: &Caller,
    message: UnusedRights,
) -> Result<UnusedRightsReply, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![Param::public("since", message.since.rfc3339())];
    let draft = audit_draft(caller, &who, action::LIST_UNUSED, "", params);
    let outcome = unused(control, &who, message).await;
    control.recorded(draft, outcome).await
}

async fn unused(
    control: &Control,
    who: &Principal,
    message: UnusedRights,
) -> Result<UnusedRightsReply, Fault> {
    let now = control.now();
    if scope_of(who, RuleKind::Search, now) != Scope::All {
        return Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: it would tell what others did; ask an \
             administrator for a role with audit-access all",
            who.access_id()
        )));
    }
    control.store.index_audit(CATCH_UP_MAX).await;
    let directory = control.directory_of(who);
    let mut look = Look { control, who, directory: &directory, since: message.since, searches: 0 };
    let mut reply = UnusedRightsReply { rules: Vec::new(), next: None };
    let (from, first) = message.after.unwrap_or_default();
    let roles = directory.roles_after(None).filter(|role| role.path.as_str() >= from.as_str());
    let listed =
        |role: &&Arc<Role>| who.may(RuleKind::Role, role.path.as_str(), Capability::List, now);
    for role in roles.filter(listed) {
        let skipped = if role.path.as_str() == from { first } else { 0 };
        for (rule, index) in role.rules.iter().zip(0_u32..).skip(skipped.try_into().unwrap_or(0)) {
            if look.searches >= SEARCHES_MAX {
                reply.next = Some((role.path.to_string(), index));
                return Ok(reply);
            }
            let unused = look.unused(role, rule, now).await?;
            if !unused.is_empty() {
                reply.rules.push(UnusedRule {
                    role: role.path.clone(),
                    rule: rule.path.clone(),
                    unused,
                    methods: directory.assocs_of_role(role.id).len(),
                });
            }
        }
    }
    Ok(reply)
}

struct Look<'a> {
    control: &'a Control,
    who: &'a Principal,
    directory: &'a AccountDirectory,
    since: Timestamp,
    searches: usize,
}

impl Look<'_> {
    /// The capabilities of a rule that nobody made use of.
    async fn unused(
        &mut self,
        role: &Role,
        rule: &Rule,
        now: Timestamp,
    ) -> Result<Vec<Capability>, Fault> {
        let mut unused = Vec::new();
        let counts = rule.kind == RuleKind::Item
            && !rule.capabilities.has(Capability::Deny)
            && rule.expires.is_none_or(|end| now < end);
        for (capability, actions) in USES {
            if counts
                && rule.capabilities.has(*capability)
                && !self.is_used(role, rule, *capability, actions).await?
            {
                unused.push(*capability);
            }
        }
        Ok(unused)
    }

    async fn is_used(
        &mut self,
        role: &Role,
        rule: &Rule,
        capability: Capability,
        actions: &[&str],
    ) -> Result<bool, Fault> {
        let covers = Covers::of(role, rule, capability);
        for assoc in self.directory.assocs_of_role(role.id) {
            let Some(method) = self.directory.method_by_id(assoc.method) else { continue };
            for action in actions {
                self.searches += 1;
                let filter = Filter {
                    from: Some(self.since),
                    access_id: Some(method.access_id.as_str().to_owned()),
                    action: Some((*action).to_owned()),
                    status: Some(StatusFilter::Exactly(200)),
                    folder: Some(covers.folder.clone()),
                    ..Filter::default()
                };
                let wanted = AuditSearch {
                    account: self.who.account,
                    filter,
                    order: AuditOrder::NewestFirst,
                    start: None,
                    limit: 1,
                };
                let covers = covers.clone();
                let now = self.control.now();
                let accept = move |record: &keysherd_audit::Brief<'_>| {
                    record.places().any(|place| covers.place(place, now))
                };
                let page = self.control.store.search_audit(wanted, accept).await?;
                // A search that gave up counts as a find: nothing is called unused by mistake.
                if !page.records.is_empty() || page.next.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Which places a rule is about.
#[derive(Clone)]
struct Covers {
    /// The folder that the fixed beginning of its path names.
    folder: String,
    /// The rule by itself; `None` when it has templates: then the folder decides.
    rules: Option<Arc<RuleSet>>,
    capability: Capability,
}

impl Covers {
    fn of(role: &Role, rule: &Rule, capability: Capability) -> Self {
        let fixed = rule.path.split(['*', '+', '{']).next().unwrap_or_default();
        let folder = fixed.rfind('/').and_then(|slash| fixed.get(..=slash)).unwrap_or("/");
        let alone = Role { rules: vec![rule.clone()], admin: false, ..role.clone() };
        let rules = (!rule.path.contains("{{"))
            .then(|| Arc::new(RuleSet::compile([(&alone, true)], &SubClaims::default())));
        Self { folder: folder.to_owned(), rules, capability }
    }

    fn place(&self, place: Place<'_>, now: Timestamp) -> bool {
        // Rules for items say nothing about targets.
        if governing(RuleKind::Item, place.path()).0 != RuleKind::Item {
            return false;
        }
        match &self.rules {
            Some(rules) => {
                rules.decide(RuleKind::Item, place.path(), self.capability, now).is_granted()
            }
            None => place.is_in(&self.folder),
        }
    }
}
