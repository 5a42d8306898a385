//! The advisor: gathers what the checks look at. The checks themselves are the domain's.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{CLUSTERS_PER_ACCOUNT_MAX, GATEWAY_ACCESS_MAX};
use keysherd_base::{AccountId, Fault, FolderPath};
use keysherd_domain::advice::{Estate, GatewayEstate, KindFacts, PLACES_MAX, Verdict, judge};
use keysherd_domain::auth_method::SecondFactor;
use keysherd_domain::cluster::Cluster;
use keysherd_plane::Caller;
use keysherd_plane::advice::{Advise, AdviseReply};
use keysherd_store::{Query, clusters, gateway_access, items, keys};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::second_factor::second_factor;
use crate::session::Principal;

/// Judges the account. Looks at everything in it, so it is for administrators.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators.
pub(crate) async fn advise(
    control: &Control,
    caller: &Caller,
    _message: Advise,
) -> Result<AdviseReply, Fault> {
    let principal = control.principal(caller).await?;
    let judged = principal
        .require_admin()
        .and_then(|()| estate(control, &principal))
        .map(|estate| AdviseReply { advice: judge(&estate) });
    let mut params = Vec::new();
    if let Ok(reply) = &judged {
        let found = |verdict| reply.advice.iter().filter(|it| it.verdict == verdict).count();
        params.push(Param::public("warnings", found(Verdict::Warn).to_string()));
        params.push(Param::public("failures", found(Verdict::Fail).to_string()));
    }
    let draft = audit_draft(caller, &principal, action::ADVISE, "", params);
    control.recorded(draft, judged).await
}

fn estate(control: &Control, principal: &Principal) -> Result<Estate, Fault> {
    let directory = control.directory_of(principal);
    let account = Arc::clone(&directory.account);
    let roles: Vec<_> = directory.roles_after(None).map(Arc::clone).collect();
    let assocs =
        roles.iter().flat_map(|role| directory.assocs_of_role(role.id)).map(Arc::clone).collect();
    let root = FolderPath::parse("/")?;
    let (root_items, default_key_has_customer_fragment, gateways) =
        control.store.read(|reader| {
            let page = items::Page {
                scope: items::Scope::Directly(&root),
                after: None,
                modified_after: None,
                limit: PLACES_MAX + 1,
            };
            let paths = items::page(reader, account.id, &page)?;
            let paths = paths.into_iter().map(|item| item.path.to_string()).collect();
            let named = match account.settings.default_key {
                Some(item) => items::by_id(reader, account.id, item)?.and_then(|item| item.key),
                None => None,
            };
            let key = keys::latest(reader, named.map_or(account.original_key, |key| key.key_id))?;
            let bound = key.is_some_and(|key| key.customer_fragment.is_some());
            Ok((paths, bound, gateways(reader, account.id)?))
        })?;
    let owner = directory.method_by_id(account.owner_method);
    Ok(Estate {
        methods: directory.methods_after(None).map(Arc::clone).collect(),
        roles,
        assocs,
        kinds: kinds(),
        root_items,
        default_key_has_customer_fragment,
        owner_has_second_factor: owner
            .is_some_and(|owner| second_factor(owner) != SecondFactor::None),
        owner_sealed: account.owner_sealed.is_some(),
        gateways,
        owner_signed_in: owner.and_then(|owner| control.last_use_of(owner)),
        now: control.now(),
        account,
    })
}

fn gateways(q: &dyn Query, account: AccountId) -> Result<Vec<GatewayEstate>, Fault> {
    let all = clusters::of_account(q, account, CLUSTERS_PER_ACCOUNT_MAX)?;
    let estate = |cluster: Cluster| {
        let allowed = gateway_access::of_cluster(q, cluster.id, GATEWAY_ACCESS_MAX)?;
        Ok(GatewayEstate { cluster, allowed })
    };
    all.into_iter().map(estate).collect()
}

fn kinds() -> BTreeMap<String, KindFacts> {
    let facts = |member: &&'static dyn keysherd_authn::Method| {
        let kind = member.kind();
        let facts = KindFacts { shared: kind.shared, federated: kind.federated };
        (kind.name.to_owned(), facts)
    };
    keysherd_authn::all().iter().map(facts).collect()
}
