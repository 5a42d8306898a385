//! What has to be derived for a grant: contexts, keys and where the permits allow it.

use keysherd_base::{AccountId, Fault, Uid};
use keysherd_crypto::envelope::{Envelope, Wrap, WrapKind};
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_plane::Caller;
use keysherd_plane::grants::{Granted, GrantedTo, KeyRef, PermitSlot};

#[cfg(test)]
mod tests;

/// One derivation.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    /// On whose behalf.
    pub(crate) caller: Caller,
    /// Where it is allowed.
    pub(crate) slot: PermitSlot,
    /// What it is bound to.
    pub(crate) fields: ContextFields,
    /// The customer fragment its key is bound to, as control says.
    pub(crate) customer_fragment: Option<Uid>,
    /// The commitment the key must have, when something is already encrypted under it.
    pub(crate) commitment: Option<[u8; 32]>,
}

/// The derivations `granted` needs; `salt` is the one its wish carried, `commitment` the one a
/// transit window must have.
///
/// # Errors
/// [`Fault::internal`] when a stored envelope is malformed or not the one that was granted.
pub(crate) fn needs(
    caller: &Caller,
    granted: &GrantedTo,
    salt: Option<[u8; 32]>,
    commitment: Option<[u8; 32]>,
) -> Result<Vec<Need>, Fault> {
    let account = AccountId(granted.account);
    match &granted.granted {
        Granted::Read(items) => items
            .iter()
            .flat_map(|item| item.versions.iter().map(move |version| (item, version)))
            .filter_map(|(item, version)| {
                let slot = version.permit_slot?;
                let stored = Stored {
                    ciphertext: &version.ciphertext,
                    uid: item.uid,
                    version: u64::from(version.version),
                };
                Some(stored.need(caller, account, slot, version.key))
            })
            .collect(),
        Granted::SealedKey { uid, version, key, ciphertext, permit_slot, .. } => permit_slot
            .iter()
            .map(|slot| {
                let stored = Stored { ciphertext, uid: *uid, version: u64::from(*version) };
                stored.need(caller, account, *slot, *key)
            })
            .collect(),
        Granted::Write { uid, version, key, permit_slot, class, .. } => {
            let class = Class::from_number(*class)
                .ok_or_else(|| Fault::internal("control granted an unknown class"))?;
            let fields = ContextFields {
                class,
                account,
                key_id: key.key_id,
                key_version: key.version,
                item_id: *uid,
                item_version: u64::from(*version),
                salt: salt.unwrap_or_default(),
            };
            Ok(vec![Need {
                caller: caller.clone(),
                slot: *permit_slot,
                fields,
                customer_fragment: key.customer_fragment,
                commitment: None,
            }])
        }
        Granted::Transit { key, permit_slot, .. } => {
            let fields = ContextFields {
                class: Class::TransitWindow,
                account,
                key_id: key.key_id,
                key_version: key.version,
                item_id: key.key_id,
                item_version: 0,
                salt: salt.unwrap_or_default(),
            };
            let need = |slot: &PermitSlot| Need {
                caller: caller.clone(),
                slot: *slot,
                fields,
                customer_fragment: key.customer_fragment,
                commitment,
            };
            Ok(permit_slot.iter().map(need).collect())
        }
    }
}

/// An envelope that control handed out, and what it must say about itself.
struct Stored<'a> {
    ciphertext: &'a [u8],
    uid: Uid,
    version: u64,
}

impl Stored<'_> {
    /// The derivation that opens the envelope. What it says about itself is compared with what
    /// control granted, so a swapped ciphertext is refused before anyone derives.
    fn need(
        &self,
        caller: &Caller,
        account: AccountId,
        slot: PermitSlot,
        key: KeyRef,
    ) -> Result<Need, Fault> {
        let uid = self.uid;
        let envelope = Envelope::parse(self.ciphertext)
            .map_err(|_| Fault::internal(format!("item {uid}: malformed envelope")))?;
        let header = envelope.header();
        let (_, wrap) = wrap_of(&envelope, &key)
            .ok_or_else(|| Fault::internal(format!("item {uid}: not wrapped by its key")))?;
        let commitment = wrap.com().try_into().map_err(Fault::internal)?;
        let told = (header.account, header.item_id, header.item_version);
        if told != (account.0.0, uid.0, self.version) {
            return Err(Fault::internal(format!("item {uid}: the envelope is another item's")));
        }
        let class = Class::from_number(header.class)
            .ok_or_else(|| Fault::internal(format!("item {uid}: unknown envelope class")))?;
        let fields = ContextFields {
            class,
            account,
            key_id: key.key_id,
            key_version: key.version,
            item_id: uid,
            item_version: header.item_version,
            salt: wrap.params().salt,
        };
        Ok(Need {
            caller: caller.clone(),
            slot,
            fields,
            customer_fragment: key.customer_fragment,
            commitment: Some(commitment),
        })
    }
}

/// The wrap of `envelope` under `key`, with its index.
pub(crate) fn wrap_of<'a>(envelope: &Envelope<'a>, key: &KeyRef) -> Option<(usize, Wrap<'a>)> {
    envelope.wraps().enumerate().find(|(_, wrap)| {
        let params = wrap.params();
        params.kind == WrapKind::Fragments
            && params.key_id == key.key_id.0
            && params.key_version == key.version
            && params.cf_id == key.customer_fragment.unwrap_or_default().0
    })
}
