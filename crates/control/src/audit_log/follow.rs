//! Following the audit log: what a gateway forwards to others.

use keysherd_audit::{Brief, Filter, action};
use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::policy::kinds::Scope;
use keysherd_domain::role::RuleKind;
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{AuditFollow, AuditFollowReply, FollowedRecord};
use keysherd_store::{AuditOrder, AuditSearch as Wanted, audit as stored};

use super::Sight;
use super::export::link_of;
use super::search::text;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Most bytes of records on one page, but for a single longer record.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The records that follow one, for somebody who sees the whole log.
///
/// Recorded when there is news on the page. That a page was read is no news, or two forwarders
/// would keep each other busy for ever.
///
/// # Errors
/// [`Fault::unauthorized`] without audit-access all; [`Fault::forbidden`] for administrators,
/// whose keys do not belong into a gateway.
pub(crate) async fn follow(
    control: &Control,
    caller: &Caller,
    message: AuditFollow,
) -> Result<AuditFollowReply, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::FORWARD_AUDIT, "", Vec::new())
        .with("after", message.after.to_string());
    let outcome = page(control, &who, message.after).await;
    if let Ok(reply) = &outcome
        && reply.records.iter().all(|record| is_no_news(&record.record))
    {
        return outcome;
    }
    control.recorded(draft, outcome).await
}

async fn page(control: &Control, who: &Principal, after: u64) -> Result<AuditFollowReply, Fault> {
    let now = control.now();
    let sight = Sight::of(who, now)?;
    if sight.scope() != Scope::All {
        return Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: who forwards the audit log must see all of it; \
             ask an administrator for a role with audit-access all",
            who.access_id()
        )));
    }
    if who.is_admin() {
        return Err(Fault::forbidden(format!(
            "{} is an administrator, whose key does not belong into a gateway; make an API key \
             with a role that has nothing but audit-access all",
            who.access_id()
        )));
    }
    let head = control.store.read(|reader| stored::head(reader, who.account))?;
    let newest = head.map_or(0, |head| head.head.seq);
    let more_rights = has_more_rights(who, now);
    let none = AuditFollowReply {
        account: who.account,
        previous: None,
        records: Vec::new(),
        newest,
        more_rights,
    };
    if after > newest {
        return Ok(none);
    }
    let previous = Some(link_of(control, who, after)?);
    let wanted = Wanted {
        account: who.account,
        filter: Filter::default(),
        order: AuditOrder::OldestFirst,
        start: Some(after.saturating_add(1)),
        limit: PAGE_LEN,
    };
    let found = control.store.search_audit(wanted, |_| true).await?;
    let newest = found.head.map_or(newest, |head| head.head.seq);
    let (mut records, mut bytes) = (Vec::new(), 0);
    for record in found.records {
        bytes += record.bytes.len();
        if bytes > PAGE_BYTES_MAX && !records.is_empty() {
            break;
        }
        let (seq, link) = (record.seq, record.link);
        records.push(FollowedRecord { seq, link, record: text(record)? });
    }
    Ok(AuditFollowReply { previous, records, newest, ..none })
}

fn is_no_news(record: &str) -> bool {
    let brief = Brief::read(record.as_bytes());
    brief.is_ok_and(|brief| brief.action() == action::FORWARD_AUDIT && brief.succeeded())
}

/// Whether the bearer may do anything beside reading the log.
fn has_more_rights(who: &Principal, now: Timestamp) -> bool {
    let mut rules = who.rules.rules().iter();
    rules.any(|rule| rule.is_live(now) && !rule.denies() && rule.rule().kind != RuleKind::Search)
}

#[cfg(test)]
mod tests {
    use keysherd_audit::ChainVerifier;
    use keysherd_base::FaultKind;
    use keysherd_crypto::hash::sha256;
    use keysherd_domain::role::Rule;

    use super::*;
    use crate::items::testing::everything;
    use crate::testing::{World, kind, rule};

    async fn reader(world: &World, name: &str, scope: &str, more: &[Rule]) -> String {
        let mut rules = vec![rule(RuleKind::Search, scope, "read")];
        rules.extend_from_slice(more);
        world.user(name, &rules).await
    }

    async fn after(world: &World, token: &str, after: u64) -> AuditFollowReply {
        world.ask(token, AuditFollow { after }).await.unwrap()
    }

    #[tokio::test]
    async fn the_whole_chain_is_followed_and_reading_it_is_no_news_for_ever() {
        let world = World::new().await;
        let token = reader(&world, "forwarder", "/*", &[]).await;
        let first = after(&world, &token, 0).await;
        assert_eq!(first.account, world.first.id);
        assert_eq!((first.previous, first.more_rights), (Some([0; 32]), false));
        let mut chain = ChainVerifier::new(world.first.id, sha256);
        for record in &first.records {
            chain.push(record.seq, record.record.as_bytes(), &record.link);
        }
        assert_eq!(chain.finding(), None);
        let last = first.records.last().unwrap();
        assert_eq!(last.seq, first.newest);
        // The reading itself was recorded once; from then on there is nothing new.
        let second = after(&world, &token, last.seq).await;
        assert_eq!(second.previous, Some(last.link));
        assert_eq!(second.records.len(), 1);
        assert!(second.records[0].record.contains("\"forward_audit\""));
        for _ in 0..3 {
            assert_eq!(after(&world, &token, second.newest).await.newest, second.newest);
        }
        // A cursor beyond the end, as after a restore from a backup, is told.
        let beyond = after(&world, &token, second.newest + 5).await;
        assert_eq!((beyond.previous, beyond.records.len()), (None, 0));
        assert_eq!(beyond.newest, second.newest);
        assert_eq!(after(&world, &token, u64::MAX).await.records.len(), 0);
    }

    #[tokio::test]
    async fn only_who_sees_everything_and_is_no_administrator_follows() {
        let world = World::new().await;
        for scope in ["/self", "/scoped"] {
            let token = reader(&world, scope.trim_start_matches('/'), scope, &[]).await;
            let fault = world.ask(&token, AuditFollow { after: 0 }).await.unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Unauthorized);
        }
        let none = world.user("nobody", &[rule(RuleKind::Item, "/*", "read")]).await;
        assert_eq!(kind(world.ask(&none, AuditFollow { after: 0 }).await), FaultKind::Unauthorized);
        let admin = world.admin.clone();
        assert_eq!(kind(world.ask(&admin, AuditFollow { after: 0 }).await), FaultKind::Forbidden);
        // One who may do more is told so, and may.
        let item = rule(RuleKind::Item, "/*", "read");
        let more = reader(&world, "more", "/*", &[item]).await;
        assert!(after(&world, &more, 0).await.more_rights);
        // Audit access alone lists no item.
        let token = reader(&world, "auditor", "/*", &[]).await;
        assert!(world.ask(&token, everything()).await.is_ok_and(|reply| reply.items.is_empty()));
    }
}
