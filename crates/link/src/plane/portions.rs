//! Grants whose answers together are too large for one message.
//!
//! Many callers' wishes travel as one [`Grant`], and each of them may read megabytes. The server
//! half sends what fits and marks the rest; the client half asks for the rest again. What was
//! asked twice is recorded twice, with the same request id.

use keysherd_base::{Fault, FaultKind};
use keysherd_plane::grants::{Grant, GrantReply, Granted, Outcome, PermitSlot};

/// The code of an outcome that did not fit.
const LATER: &str = "AskAgain";

/// Replaces the outcomes that make `reply` larger than `bytes_max` by the mark. The first one
/// stays in any case, so that asking again comes to an end.
pub(super) fn trim(reply: &mut GrantReply, bytes_max: usize) {
    let mut total = 0;
    for (place, outcome) in reply.outcomes.iter_mut().enumerate() {
        let Ok(granted) = &*outcome else { continue };
        total += size(&granted.granted);
        if place > 0 && total > bytes_max {
            let text = "this did not fit into the answer of the control plane; try again";
            *outcome = Err(Fault::new(FaultKind::RateLimited, text).with_code(LATER));
        }
    }
}

/// The wishes of `asked` whose outcomes are marked, with their places; `None` when there are none.
pub(super) fn rest(asked: &Grant, reply: &GrantReply) -> Option<(Vec<usize>, Grant)> {
    let places: Vec<usize> = (0..asked.wishes.len())
        .filter(|place| reply.outcomes.get(*place).is_some_and(is_marked))
        .collect();
    // An answer with nothing but marks would go on forever.
    if places.is_empty() || places.len() >= asked.wishes.len() {
        return None;
    }
    let wishes = places.iter().filter_map(|place| asked.wishes.get(*place).cloned()).collect();
    Some((places, Grant { wishes, with_permit: asked.with_permit, keep: asked.keep }))
}

/// Puts the outcomes of the rest into their places.
///
/// # Errors
/// [`Fault::internal`] when there are more permits than a slot can count.
pub(super) fn join(
    reply: &mut GrantReply,
    places: &[usize],
    later: GrantReply,
) -> Result<(), Fault> {
    let count = |len: usize| {
        u16::try_from(len).map_err(|_| Fault::internal("a grant has too many permits"))
    };
    let shift = count(reply.permits.len())?;
    count(reply.permits.len() + later.permits.len())?;
    for (place, mut outcome) in places.iter().zip(later.outcomes) {
        if let Ok(granted) = &mut outcome {
            renumber(&mut granted.granted, shift);
        }
        if let Some(marked) = reply.outcomes.get_mut(*place) {
            *marked = outcome;
        }
    }
    reply.permits.extend(later.permits);
    Ok(())
}

fn is_marked(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|fault| fault.code() == LATER)
}

/// Bytes of ciphertext, which is nearly all there is.
fn size(granted: &Granted) -> usize {
    match granted {
        Granted::Read(items) => {
            let versions = items.iter().flat_map(|item| &item.versions);
            versions.map(|version| version.ciphertext.len() + 256).sum()
        }
        Granted::SealedKey { ciphertext, .. } => ciphertext.len(),
        Granted::Write { .. } | Granted::Transit { .. } => 256,
    }
}

fn renumber(granted: &mut Granted, shift: u16) {
    let moved = |slot: &mut PermitSlot| slot.permit = slot.permit.saturating_add(shift);
    match granted {
        Granted::Read(items) => {
            for item in items {
                let versions = &mut std::sync::Arc::make_mut(item).versions;
                versions.iter_mut().filter_map(|v| v.permit_slot.as_mut()).for_each(moved);
            }
        }
        Granted::Write { permit_slot, .. } => moved(permit_slot),
        Granted::Transit { permit_slot, .. } | Granted::SealedKey { permit_slot, .. } => {
            permit_slot.iter_mut().for_each(moved);
        }
    }
}
