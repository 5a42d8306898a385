//! Taking back new wraps: each is stored only where the envelope is still the one it was made for.

use keysherd_base::{AccountId, Fault, Timestamp};
use keysherd_crypto::envelope::{Envelope, WRAP_BYTES, WrapKind, replace_wrap};
use keysherd_crypto::hash::sha256;
use keysherd_plane::grants::KeyRef;
use keysherd_plane::rotation::{REWRAP_BATCH_MAX, RewrapPut, RewrapPutReply, RewrappedValue};
use keysherd_store::key_rotations::{self, Rotation, RotationState};
use keysherd_store::{Tx, item_versions, items as stored};

use super::take::{draft, finish_if_done};
use crate::control::Control;
use crate::items::cache::key_of;
use crate::items::sealed::wrap_place;

/// Longest description of a problem that is kept.
const PROBLEM_BYTES_MAX: usize = 500;

/// Stores new wraps.
///
/// # Errors
/// [`Fault::conflict`] when the rotation is over or another one is running; [`Fault::bad_request`]
/// for what is not a wrap by the key version; those of the store. Nothing is stored then.
pub(crate) async fn put(control: &Control, message: RewrapPut) -> Result<RewrapPutReply, Fault> {
    if message.values.len() > REWRAP_BATCH_MAX {
        return Err(Fault::bad_request(format!(
            "too many values were re-wrapped at once: at most {REWRAP_BATCH_MAX}"
        )));
    }
    let (this, account, now) = (control.clone(), AccountId(message.account), control.now());
    control.store.commit(Vec::new(), move |tx| store(tx, &this, account, message, now)).await
}

fn store(
    tx: &Tx,
    control: &Control,
    account: AccountId,
    message: RewrapPut,
    now: Timestamp,
) -> Result<RewrapPutReply, Fault> {
    let to = message.to;
    let found = key_rotations::get(tx, to.key_id, to.version)?.filter(|rotation| {
        rotation.account == account && rotation.state != RotationState::Reserved
    });
    let Some(rotation) = found else {
        return Err(Fault::conflict("the key was rotated again; ask for new work"));
    };
    let (mut stored, mut outdated) = (0_u32, 0);
    for value in &message.values {
        match exchange(tx, account, &to, value)? {
            true => stored += 1,
            false => outdated += 1,
        }
    }
    if stored > 0 {
        let count = usize::try_from(stored).map_err(Fault::internal)?;
        tx.also_record(&draft(control, &rotation, &to, now, "values_stored", count)?);
    }
    let finished = finish_if_done(tx, &rotation, now)?;
    let problem = message.problem.as_deref().map(shortened).unwrap_or_default();
    if !finished && problem != rotation.problem {
        key_rotations::put(tx, &Rotation { problem, ..rotation })?;
    }
    Ok(RewrapPutReply { stored, outdated, finished })
}

/// Replaces one wrap; `false` when the value is not the one any more that was handed out.
fn exchange(
    tx: &Tx,
    account: AccountId,
    to: &KeyRef,
    value: &RewrappedValue,
) -> Result<bool, Fault> {
    let wrong = || Fault::bad_request("a new wrap is not by the key version that was handed out");
    let Some(mut version) = item_versions::get_any(tx, value.item, value.version)? else {
        return Ok(false);
    };
    if stored::by_id(tx, account, value.item)?.is_none() {
        return Ok(false);
    }
    let current = key_of(&version);
    if version.unconfirmed
        || current != value.from
        || current.key_id != to.key_id
        || current.version >= to.version
    {
        return Ok(false);
    }
    let Ok((head, _)) = Envelope::split_head(&version.ciphertext) else { return Ok(false) };
    if sha256(&[head]) != value.head_sha256 {
        return Ok(false);
    }
    let wrap: &[u8; WRAP_BYTES] = (&*value.wrap).try_into().map_err(|_| wrong())?;
    let envelope = Envelope::parse_head(head).map_err(|_| wrong())?;
    let Some(place) = wrap_place(&envelope, &current) else { return Ok(false) };
    let exchanged = replace_wrap(&version.ciphertext, place, wrap).map_err(|_| wrong())?;
    let (head, _) = Envelope::split_head(&exchanged).map_err(|_| wrong())?;
    let envelope = Envelope::parse_head(head).map_err(|_| wrong())?;
    let params = envelope.wrap(place).ok_or_else(wrong)?.params();
    let told = (params.kind, params.key_id, params.key_version, params.cf_id);
    let fragment = to.customer_fragment.unwrap_or_default().0;
    if told != (WrapKind::Fragments, to.key_id.0, to.version, fragment) {
        return Err(wrong());
    }
    version.ciphertext = exchanged.into();
    version.key_version = to.version;
    version.customer_fragment = to.customer_fragment;
    item_versions::put(tx, value.item, &version)?;
    Ok(true)
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(PROBLEM_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
