//! Why a bearer may do something or not: association by association, rule by rule.
//!
//! Everybody may ask about themselves; what concerns roles they may not see is counted and not
//! told. Asking about others is an access review and takes the right to one.

use std::sync::Arc;

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{AccessId, Fault, FaultKind, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_domain::claims::{CLIENT_UNIQUE_ID, SubClaims};
use keysherd_domain::policy::kinds::{Scope, is_administrative};
use keysherd_domain::policy::rule_set::{BoundRule, Decision, RuleSet};
use keysherd_domain::policy::sub_claims::unmet;
use keysherd_domain::policy::trace::{Question, Standing, is_granted, trace};
use keysherd_domain::role::{Assoc, Capabilities, Capability, Role, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::explain::{
    AccessExplain, AccessExplainReply, AssocExplained, ClaimExplained, SupposedBearer, Verdict,
};

use crate::assocs::checked_claims;
use crate::audit::audit_draft;
use crate::authorize::governing;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::permissions::{check_path, review_scope};
use crate::session::Principal;

/// Rules and claim values that one answer tells.
const TOLD_MAX: usize = 2_000;

/// Explains.
///
/// # Errors
/// [`Fault::unauthorized`] for somebody else without a reverse-rbac rule, or with a scoped one for
/// a method the caller may not see; [`Fault::not_found`] for an access id that does not exist, if
/// the caller may know; [`Fault::bad_request`] for a path that is none.
pub(crate) async fn explain(
    control: &Control,
    caller: &Caller,
    mut message: AccessExplain,
) -> Result<AccessExplainReply, Fault> {
    let principal = control.principal(caller).await?;
    let (kind, path) = governing(message.kind, &message.path);
    (message.kind, message.path) = (kind, path.to_owned());
    let now = control.now();
    let draft = draft(caller, &principal, &message);
    let asked = check(&message).and_then(|()| {
        let directory = control.directory_of(&principal);
        let about = whom(&directory, &principal, &message, now)?;
        Ok((directory, about))
    });
    let outcome = match asked {
        Ok((directory, about)) => {
            // Compiles roles of any size: too long for the threads that serve requests.
            let work = move || reply(&directory, &principal, about, &message, now);
            tokio::task::spawn_blocking(work).await.map_err(Fault::internal)
        }
        Err(fault) => Err(fault),
    };
    control.recorded(draft, outcome).await
}

fn draft(caller: &Caller, principal: &Principal, message: &AccessExplain) -> Draft {
    let mut params = vec![
        Param::public("type", message.kind.name()),
        Param::public("path", message.path.clone()),
        Param::public("capability", message.capability.name()),
    ];
    let bearer = message.bearer.as_ref();
    params.extend(bearer.map(|of| Param::public("access-id", of.access_id.to_string())));
    audit_draft(caller, principal, action::EXPLAIN_ACCESS, "", params)
}

fn check(message: &AccessExplain) -> Result<(), Fault> {
    check_path(&message.path)?;
    if is_administrative(message.kind) && Scope::from_path(&message.path) == Scope::None {
        return Err(Fault::bad_request(format!(
            "invalid path for a {}: ask for /self, /scoped or /*",
            message.kind.name()
        )));
    }
    Ok(())
}

/// Whom an explanation is about.
struct About {
    method: Arc<AuthMethod>,
    claims: Arc<SubClaims>,
    rules: Arc<RuleSet>,
    /// Whether the caller may see every role.
    all_roles: bool,
}

fn whom(
    directory: &AccountDirectory,
    principal: &Principal,
    message: &AccessExplain,
    now: Timestamp,
) -> Result<About, Fault> {
    let other = message.bearer.as_ref();
    let other = other.filter(|of| of.access_id != *principal.access_id() || !of.claims.is_empty());
    let Some(SupposedBearer { access_id, claims }) = other else {
        return Ok(About {
            method: Arc::clone(&principal.method),
            claims: Arc::clone(&principal.claims),
            rules: Arc::clone(&principal.rules),
            all_roles: false,
        });
    };
    let scope = review_scope(principal, now)?;
    let found = directory.methods_after(None).find(|method| method.access_id == *access_id);
    let seen = |method: &&Arc<AuthMethod>| {
        let path = method.path.as_str();
        scope == Scope::All || principal.may(RuleKind::AuthMethod, path, Capability::List, now)
    };
    let Some(method) = found.filter(seen) else {
        return Err(if scope == Scope::All {
            absent(access_id)
        } else {
            unseen(principal, access_id)
        });
    };
    let claims = supposed(method, checked_claims(claims)?);
    Ok(About {
        method: Arc::clone(method),
        rules: directory.rules(method.id, &claims),
        claims: Arc::new(claims),
        all_roles: scope == Scope::All,
    })
}

/// The claims a bearer of this method would have with these: those that are known anyway added.
fn supposed(method: &AuthMethod, mut claims: SubClaims) -> SubClaims {
    if claims.values(CLIENT_UNIQUE_ID).is_empty() {
        match &method.detail {
            MethodDetail::ApiKey { .. } => {
                claims.set(CLIENT_UNIQUE_ID, method.access_id.as_str());
            }
            MethodDetail::Email { email, .. } => claims.set(CLIENT_UNIQUE_ID, email.clone()),
            // Many bearers share it: who is meant has to be said.
            MethodDetail::Member { .. } => {}
        }
    }
    claims
}

fn absent(access_id: &AccessId) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("no auth method has access id {access_id}; see them with auth-method-list"),
    )
}

fn unseen(principal: &Principal, access_id: &AccessId) -> Fault {
    Fault::unauthorized(format!(
        "unauthorized access for access id {}: the access of {access_id} cannot be explained; ask \
         an administrator for 'list' on its auth method",
        principal.access_id()
    ))
}

fn reply(
    directory: &AccountDirectory,
    principal: &Principal,
    about: About,
    message: &AccessExplain,
    now: Timestamp,
) -> AccessExplainReply {
    let AccessExplain { kind, path, capability, all_rules, .. } = message;
    let question = Question { kind: *kind, path, capability: *capability, now };
    let sees = |kind: RuleKind, path: &str| {
        about.all_roles || principal.may(kind, path, Capability::List, now)
    };
    let mut telling = Telling { left: TOLD_MAX, untold: 0, all_rules: *all_rules };
    let (mut assocs, mut hidden) = (Vec::new(), 0);
    for assoc in directory.assocs_of_method(about.method.id) {
        let Some(role) = directory.role_by_id(assoc.role) else { continue };
        if !sees(RuleKind::Role, role.path.as_str()) {
            hidden += 1;
            continue;
        }
        assocs.push(telling.assoc(assoc, role, &about.claims, question));
    }
    let method = &about.method.path;
    let owner = directory.is_owner(&about.method);
    AccessExplainReply {
        access_id: about.method.access_id.clone(),
        method: sees(RuleKind::AuthMethod, method.as_str()).then(|| method.clone()),
        verdict: if owner {
            Verdict::Owner
        } else {
            verdict(&about.rules, question, |role| sees(RuleKind::Role, role))
        },
        held: held(&about.rules, question),
        claims: (*about.claims).clone(),
        assocs,
        hidden,
        untold: telling.untold,
    }
}

fn held(set: &RuleSet, question: Question<'_>) -> Capabilities {
    let all = Capability::NAMES.into_iter().map(|(capability, _)| capability);
    all.filter(|capability| is_granted(set, Question { capability: *capability, ..question }))
        .collect()
}

/// What is still to be told, so that no answer grows without bound.
struct Telling {
    left: usize,
    untold: usize,
    all_rules: bool,
}

impl Telling {
    fn assoc(
        &mut self,
        assoc: &Assoc,
        role: &Role,
        claims: &SubClaims,
        question: Question<'_>,
    ) -> AssocExplained {
        let unmet = unmet(&assoc.sub_claims, assoc.case_sensitive, claims);
        let unmet = unmet.map(|(name, required)| ClaimExplained {
            name: name.to_owned(),
            required: self.some(required.iter()).cloned().collect(),
            held: self.some(claims.values(name).iter()).cloned().collect(),
        });
        let unmet = unmet.collect();
        let traced = trace(role, assoc.case_sensitive, claims, question);
        let wanted = traced.into_iter().filter(|rule| self.all_rules || has_say(&rule.standing));
        let wanted: Vec<_> = wanted.collect();
        let rules = self.some(wanted.into_iter());
        AssocExplained {
            id: assoc.id.clone(),
            role: role.path.clone(),
            admin: role.admin,
            case_sensitive: assoc.case_sensitive,
            unmet,
            rules: rules.map(|traced| (traced.rule.clone(), traced.standing)).collect(),
        }
    }

    /// As many of `things` as may still be told.
    fn some<I: ExactSizeIterator>(&mut self, things: I) -> impl Iterator<Item = I::Item> + use<I> {
        let told = things.len().min(self.left);
        self.left -= told;
        self.untold += things.len() - told;
        things.take(told)
    }
}

/// Whether a rule covers the path, so that it is worth telling without being asked for all.
const fn has_say(standing: &Standing) -> bool {
    matches!(
        standing,
        Standing::Denies
            | Standing::Grants
            | Standing::GrantsOther
            | Standing::Expired
            | Standing::Narrower
            | Standing::NoClaimValue(_)
    )
}

fn verdict(set: &RuleSet, question: Question<'_>, sees: impl Fn(&str) -> bool) -> Verdict {
    let Question { kind, path, capability, now } = question;
    let told = |rule: &BoundRule| {
        let (role, rule) = (rule.role(), rule.rule());
        sees(role.as_str()).then(|| (role.clone(), rule.path.clone()))
    };
    let decision = set.decide(kind, path, capability, now);
    if let Decision::Admin(role) = decision {
        return Verdict::Admin(sees(role.as_str()).then(|| role.clone()));
    }
    if is_administrative(kind) {
        return of_scope(set, question).map_or(Verdict::NoRule, |rule| {
            if rule.denies() { Verdict::Denied(told(rule)) } else { Verdict::Granted(told(rule)) }
        });
    }
    match decision {
        Decision::Denied(rule) => Verdict::Denied(told(rule)),
        Decision::Granted(rule) => Verdict::Granted(told(rule)),
        Decision::Admin(_) | Decision::NoRule => Verdict::NoRule,
    }
}

/// The rule that decides about an administrative kind.
fn of_scope<'s>(set: &'s RuleSet, question: Question<'_>) -> Option<&'s BoundRule> {
    let Question { kind, path, capability, now } = question;
    let live = || set.rules().iter().filter(|rule| rule.rule().kind == kind && rule.is_live(now));
    live().find(|rule| rule.denies()).or_else(|| {
        live().find(|rule| {
            let reach = Scope::from_path(&rule.rule().path);
            rule.grants(capability) && reach != Scope::None && reach >= Scope::from_path(path)
        })
    })
}
