//! Opening what gateways use themselves: the settings of secrets and targets.

use std::sync::Arc;

use keysherd_api::{Ctx, OpenedForUse, OpenedItem, Recorded};
use keysherd_base::{AccountId, Fault};
use keysherd_crypto::envelope::Envelope;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::Caller;
use keysherd_plane::credential_leases::LeaseMeans;
use keysherd_plane::grants::{
    Granted, GrantedItem, GrantedTo, ItemRef, KeyRef, Opened, Purpose, SignedPermit, VersionWish,
    Wish,
};

use super::{Reader, cannot_open, open_value, other_grant, payload_key};
use crate::derive::Derivations;
use crate::needs::{Need, needs};

impl Reader {
    /// Opens an item for what gateways do with it themselves, with its target where it has one.
    ///
    /// # Errors
    /// Control's refusal; a fault when a value cannot be opened.
    pub(crate) async fn open(
        &self,
        ctx: &Ctx,
        item: ItemRef,
        purpose: Purpose,
    ) -> Result<OpenedForUse, Fault> {
        let asked = self.keys.asked();
        let wish = Wish::Open { item: item.clone(), purpose };
        let outcome = self.cold.derive(ctx.caller().clone(), wish, None).await;
        let mut derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        let told = derived.granted.opened.take().ok_or_else(other_grant)?;
        if matches!(purpose, Purpose::Settings | Purpose::Credentials { .. } | Purpose::Check) {
            ctx.mark(Recorded::Success);
        }
        let mut read = self.open_all(derived, asked)?;
        let Some((first, others)) = read.items.split_first_mut() else {
            return Err(other_grant());
        };
        let (account, latest) = (read.account, VersionWish::Latest);
        // The version is that of whose the credentials are: the last one.
        let asked = match purpose {
            Purpose::Credentials { version: Some(number) } => VersionWish::Exactly(number),
            _ => latest,
        };
        let wish = if others.is_empty() { asked } else { latest };
        self.check(account, &[item], wish, std::slice::from_mut(first))?;
        for other in others {
            let path = ItemRef::Path(other.item.path.clone());
            self.check(account, &[path], asked, std::slice::from_mut(other))?;
        }
        let Opened { access_id, sub_claims, .. } = *told;
        Ok(OpenedForUse { items: read.items, account, access_id, sub_claims: sub_claims.0 })
    }

    /// Demands that this gateway has seen nothing newer of what control gave as the newest.
    ///
    /// # Errors
    /// That it has.
    pub(crate) fn check_newest(&self, opened: &[OpenedItem]) -> Result<(), Fault> {
        for one in opened {
            for granted in &one.item.versions {
                let envelope = Envelope::parse(&granted.ciphertext).map_err(Fault::internal)?;
                let commitment = envelope.payload_commitment();
                self.seen.newest(one.item.uid, granted.version, commitment)?;
            }
        }
        Ok(())
    }
}

/// Opens what control handed out on nobody's behalf: the items of each group, or why not. Nothing
/// of it is kept.
pub(crate) async fn open_granted(
    derivations: &Arc<Derivations>,
    caller: &Caller,
    groups: &[LeaseMeans],
    permits: &[SignedPermit],
) -> Vec<Result<Vec<OpenedItem>, Fault>> {
    let needs_of = |means: &LeaseMeans| {
        trust_keys(derivations, means)?;
        let granted = Granted::Read(means.items.clone());
        let account = means.account;
        needs(caller, &GrantedTo { account, granted, keep: None, opened: None }, None, None)
    };
    let needs: Vec<_> = groups.iter().map(needs_of).collect();
    let wanted: Vec<_> = needs.iter().flatten().flatten().cloned().collect();
    let mut keks = derivations.derive(permits, wanted).await;
    let open_all = |(needs, means): (Result<Vec<Need>, Fault>, &LeaseMeans)| {
        let mut needs = needs?.into_iter();
        let mut open = |item: &Arc<GrantedItem>| {
            let values = item.versions.iter().map(|version| {
                let unreadable = || cannot_open(item, version.version);
                let need = needs.next().ok_or_else(unreadable)?;
                let kek = keks.take(need.slot)?.kek;
                let envelope = Envelope::parse(&version.ciphertext).map_err(|_| unreadable())?;
                let key = payload_key(&envelope, &version.key, &kek).ok_or_else(unreadable)?;
                open_value(item, version, &envelope, &key)
            });
            let values = values.collect::<Result<_, Fault>>()?;
            Ok(OpenedItem { item: item.clone(), values })
        };
        means.items.iter().map(&mut open).collect()
    };
    needs.into_iter().zip(groups).map(open_all).collect()
}

/// Verifies the manifests that come with `means`: there is nobody in whose name they could be asked
/// for.
fn trust_keys(derivations: &Derivations, means: &LeaseMeans) -> Result<(), Fault> {
    for (item, reply) in means.items.iter().zip(&means.manifests) {
        for KeyRef { key_id: id, version, .. } in item.versions.iter().map(|one| one.key) {
            let key = KeyVersion { account: AccountId(means.account), id, version };
            derivations.trust(&key, &reply.manifest)?;
        }
    }
    Ok(())
}
