//! Exporting the audit log, and its signed head.

use keysherd_audit::{
    EXPORT_LABEL, ExportHeader, ExportSeal, Filter, HeadFields, Link, NO_DIGEST, NO_LINK, action,
    export_digest, export_line,
};
use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, FaultKind};
use keysherd_crypto::hash::sha256;
use keysherd_domain::policy::kinds::Scope;
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{
    AuditCheckpoint, AuditCheckpointReply, AuditExport, AuditExportReply,
};
use keysherd_store::{AuditOrder, AuditPage, AuditSearch as Wanted, audit as stored};

use super::page::{PageOf, PageState, check_times};
use super::search::text;
use super::{Sight, params};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Exports a page of records.
///
/// # Errors
/// [`Fault::unauthorized`] without a search-rule; [`Fault::bad_request`] for a page token of
/// another export or another caller.
pub(crate) async fn export(
    control: &Control,
    caller: &Caller,
    message: AuditExport,
) -> Result<AuditExportReply, Fault> {
    let who = control.principal(caller).await?;
    let mut draft = audit_draft(caller, &who, action::EXPORT_AUDIT, "", params(&message.filter));
    if message.after > 0 {
        draft = draft.with("after", message.after.to_string());
    }
    let outcome = page(control, &who, message).await;
    control.recorded(draft, outcome).await
}

async fn page(
    control: &Control,
    who: &Principal,
    message: AuditExport,
) -> Result<AuditExportReply, Fault> {
    let AuditExport { filter, after, page } = message;
    let sight = Sight::of(who, control.now())?;
    check_times(filter.from, filter.to)?;
    // With links whoever has the file can tell that nothing is missing, which is of use when
    // nothing was left out.
    let linked = sight.scope() == Scope::All && filter == Filter::default();
    let purpose = format!("export {} after {after}", scope_name(sight.scope()));
    let of = PageOf { who, purpose: &purpose, filter: &filter };
    let mut lines = Vec::new();
    let mut state = match page {
        Some(token) => of.state(control, &token)?,
        None => {
            let previous = linked.then(|| link_of(control, who, after)).transpose()?;
            let scope = scope_name(sight.scope()).to_owned();
            let account = who.account;
            let header = ExportHeader { account, scope, filter: filter.clone(), after, previous };
            lines.push(header.line());
            PageState { start: after + 1, records: 0, digest: NO_DIGEST }
        }
    };
    let found = match sight.narrow(filter.clone()) {
        None => AuditPage::default(),
        Some(filter) => {
            let wanted = Wanted {
                account: who.account,
                filter,
                order: AuditOrder::OldestFirst,
                start: Some(state.start),
                limit: PAGE_LEN,
            };
            control.store.search_audit(wanted, move |record| sight.sees(record)).await?
        }
    };
    let AuditPage { records, next, head, .. } = found;
    for record in records {
        let link = record.link;
        lines.push(export_line(&text(record)?, linked.then_some(&link)));
        state.records += 1;
    }
    state.digest = lines.iter().fold(state.digest, |digest, l| export_digest(sha256, &digest, l));
    let next = match next {
        Some(start) => Some(of.token(control, &PageState { start, ..state })),
        None => {
            let (records, digest, time) = (state.records, state.digest, control.now());
            let seal = ExportSeal { account: who.account, records, digest, time };
            let signature = control.audit_key.sign(EXPORT_LABEL, &seal.signed_body()).0;
            lines.push(seal.line(&signature, head.as_ref().filter(|_| linked)));
            None
        }
    };
    Ok(AuditExportReply { lines, records: state.records, next })
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::None => "none",
        Scope::Own => "own",
        Scope::Scoped => "scoped",
        Scope::All => "all",
    }
}

/// The link of a record of the caller's account.
pub(super) fn link_of(control: &Control, who: &Principal, seq: u64) -> Result<Link, Fault> {
    let Some(before) = seq.checked_sub(1) else { return Ok(NO_LINK) };
    let read = control.store.read(|reader| stored::records(reader, who.account, before, 1))?;
    let found = read.into_iter().find(|record| record.seq == seq);
    found.map(|record| record.link).ok_or_else(|| {
        Fault::new(
            FaultKind::NotFound,
            format!("there is no audit record {seq} yet; give the number of one that there is"),
        )
    })
}

/// The signed head of the account's chain.
///
/// # Errors
/// [`Fault::unauthorized`] without a search-rule for the whole account.
pub(crate) async fn checkpoint(
    control: &Control,
    caller: &Caller,
    _message: AuditCheckpoint,
) -> Result<AuditCheckpointReply, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::CHECKPOINT_AUDIT, "", Vec::new());
    let outcome = Sight::of(&who, control.now()).and_then(|sight| {
        if sight.scope() != Scope::All {
            return Err(Fault::unauthorized(format!(
                "unauthorized access for access id {}: a checkpoint is of the whole log; ask an \
                 administrator for a role with audit-access all",
                who.access_id()
            )));
        }
        let head = control.store.read(|reader| stored::head(reader, who.account))?;
        let head = head.ok_or_else(|| Fault::internal("the account has no audit record"))?;
        let key = control.audit_key.public().to_string();
        Ok(AuditCheckpointReply { head: HeadFields::of(&head), key })
    });
    control.recorded(draft, outcome).await
}
