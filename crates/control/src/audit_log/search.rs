//! Searching the audit log.

use keysherd_audit::action;
use keysherd_base::Fault;
use keysherd_base::limits::PAGE_LEN;
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{AuditSearch, AuditSearchReply};
use keysherd_store::{AuditOrder, AuditPage, AuditSearch as Wanted, audit::StoredRecord};

use super::page::{PageOf, PageState, check_times};
use super::{Sight, params};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Searches as far as the caller's scope reaches.
///
/// # Errors
/// [`Fault::unauthorized`] without a search-rule, [`Fault::bad_request`] for a page token of
/// another search or another caller.
pub(crate) async fn search(
    control: &Control,
    caller: &Caller,
    message: AuditSearch,
) -> Result<AuditSearchReply, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::SEARCH_AUDIT, "", params(&message.filter));
    let outcome = found(control, &who, message).await;
    control.recorded(draft, outcome).await
}

async fn found(
    control: &Control,
    who: &Principal,
    message: AuditSearch,
) -> Result<AuditSearchReply, Fault> {
    let AuditSearch { filter, oldest_first, page, limit } = message;
    let sight = Sight::of(who, control.now())?;
    check_times(filter.from, filter.to)?;
    let purpose = if oldest_first { "search up" } else { "search down" };
    let of = PageOf { who, purpose, filter: &filter };
    let start = page.map(|token| of.state(control, &token)).transpose()?.map(|page| page.start);
    let Some(narrowed) = sight.narrow(filter.clone()) else {
        return Ok(AuditSearchReply { records: Vec::new(), next: None, newest: 0 });
    };
    let wanted = Wanted {
        account: who.account,
        filter: narrowed,
        order: if oldest_first { AuditOrder::OldestFirst } else { AuditOrder::NewestFirst },
        start,
        limit: limit.clamp(1, PAGE_LEN),
    };
    let found = control.store.search_audit(wanted, move |record| sight.sees(record)).await?;
    let AuditPage { records, next, head, .. } = found;
    let token = |start| of.token(control, &PageState { start, records: 0, digest: [0; 32] });
    Ok(AuditSearchReply {
        records: records.into_iter().map(text).collect::<Result<_, _>>()?,
        next: next.map(token),
        newest: head.map_or(0, |head| head.head.seq),
    })
}

/// The text of a record that was read from a chain.
pub(crate) fn text(record: StoredRecord) -> Result<String, Fault> {
    let seq = record.seq;
    String::from_utf8(record.bytes).map_err(|_| {
        Fault::internal(format_args!("audit record {seq} was altered; run keysherd audit verify"))
    })
}
