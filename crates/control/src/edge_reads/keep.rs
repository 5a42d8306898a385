//! For how long, and on what, a granted read may be kept.

use keysherd_audit::Draft;
use keysherd_base::Timestamp;
use keysherd_plane::cache::{Keep, Receipt};
use keysherd_plane::grants::Granted;

use super::What;
use super::receipt::Proof;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// Items of one call that may be kept: longer calls are rare and their receipts long.
const ITEMS_MAX: usize = 64;

impl Control {
    /// What lets `gateway` repeat a read that was granted at `now`; `None` when it may not.
    /// `number` is that of the last change before it was decided, and `draft` its audit record.
    pub(crate) fn keep(
        &self,
        gateway: &GatewayIdentity,
        who: &Principal,
        granted: &Granted,
        draft: &Draft,
        (number, now): (u64, Timestamp),
    ) -> Option<Keep> {
        let Granted::Read(items) = granted else { return None };
        // Universal-identity tokens change with every rotation; control judges each use itself.
        if items.len() > ITEMS_MAX || who.uid.is_some() {
            return None;
        }
        let until = good_until(who, now);
        let good_millis =
            u64::try_from(until.millis_since(now)).ok().filter(|millis| *millis > 0)?;
        let account = who.account;
        let whole = [What::Identities, What::Items, What::Token(who.token_id)];
        let single = items.iter().map(|item| What::Item(&item.path));
        let tie = |what| self.changes.ties.tie(account, what);
        let ties = whole.into_iter().chain(single).map(tie).collect();
        let proof = Proof { gateway: gateway.spki_sha256, from: now, until, draft: draft.clone() };
        let bytes = self.seal_proof(&proof)?.into();
        if !self.changes.kept_at(gateway, account, number) {
            return None;
        }
        let source = self.changes.source();
        let access_id = who.access_id().clone();
        Some(Keep { source, number, good_millis, access_id, ties, receipt: Receipt { bytes } })
    }
}

/// When time alone may end the decision: with the token, the method, or the next rule that ends.
fn good_until(who: &Principal, now: Timestamp) -> Timestamp {
    let rules = who.rules.rules().iter().filter_map(|bound| bound.rule().expires);
    let ends = rules.filter(|end| *end > now).chain(who.method.shared.access_expires);
    ends.min().map_or(who.token_expires, |end| end.min(who.token_expires))
}
