//! The customer fragments this gateway holds: which there are, and getting one for a derivation.
//!
//! A fragment that is missing, damaged or another one than the key was made with fails what needs
//! it, with a code of its own, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use keysherd_api::HeldFragment;
use keysherd_base::{Fault, FaultKind, Secret, Timestamp, Uid};
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::fragment_file::{
    FragmentEntry, FragmentFile, FragmentKind, fingerprint_text, id_text,
};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manifest::Manifest;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Code of the fault that says: the key is bound to a fragment that is not on this gateway.
pub const FRAGMENT_MISSING: &str = "CustomerFragmentMissing";
/// Code of the fault that says: the fragment is in the file, but cannot be used as it stands there.
pub const FRAGMENT_DAMAGED: &str = "CustomerFragmentDamaged";
/// Code of the fault that says: another fragment stands under the id the key is bound to.
pub const FRAGMENT_WRONG: &str = "CustomerFragmentWrong";
/// Code of the fault that says: the hardware module that keeps the fragment does not give it.
pub const FRAGMENT_UNAVAILABLE: &str = "CustomerFragmentUnavailable";
/// Code of the fault that says: the key's group demands a fragment, and the key has none.
pub const FRAGMENT_REQUIRED: &str = "CustomerFragmentRequired";
/// Code of the fault that says: control and the key's manifest disagree about the fragment.
pub const FRAGMENT_BINDING: &str = "CustomerFragmentBinding";

/// How long the module may take for one fragment. Others wait in the same batch.
const MODULE_PATIENCE: Duration = Duration::from_secs(3);
/// How many times that a module which did not answer is left alone before it is asked again.
const MODULE_RESTS: u32 = 5;

/// A hardware module that keeps the keys of which fragments are made.
pub trait FragmentModule: Send + Sync {
    /// HMAC-SHA-256 of `message` under the module's key `key_label`. May block.
    ///
    /// # Errors
    /// What failed, and what to do about it; nothing secret.
    fn hmac_sha256(&self, key_label: &str, message: &[u8]) -> Result<Secret<[u8; 32]>, String>;
}

/// The fragments, replaced as a whole when their file is read again.
pub struct CustomerFragments {
    held: ArcSwap<Held>,
    module: Option<Arc<dyn FragmentModule>>,
    patience: Duration,
    /// Until when the module is not asked, because it did not answer.
    resting: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<Uid, Arc<Known>>,
    /// Ids that were in the file, and why their fragments cannot be used.
    damaged: HashMap<Uid, String>,
    /// Why nothing of the file can be used.
    unreadable: Option<String>,
    /// In the order of the file.
    order: Vec<Uid>,
}

/// One fragment, or what is needed to make it.
struct Known {
    entry: FragmentEntry,
    made: OnceLock<Arc<CustomerFragment>>,
}

impl CustomerFragments {
    /// No fragment yet. `module` makes those that are kept in hardware.
    pub fn new(module: Option<Arc<dyn FragmentModule>>) -> Self {
        Self::with_patience(module, MODULE_PATIENCE)
    }

    fn with_patience(module: Option<Arc<dyn FragmentModule>>, patience: Duration) -> Self {
        Self { held: ArcSwap::default(), module, patience, resting: Mutex::default() }
    }

    /// Holds these fragments from now on, and no others.
    pub fn replace(&self, file: FragmentFile) {
        let mut held = Held::default();
        for entry in file.entries {
            held.order.push(entry.id);
            let known = Known { entry, made: OnceLock::new() };
            held.by_id.insert(known.entry.id, Arc::new(known));
        }
        for problem in file.problems {
            if let Some(id) = problem.id {
                held.order.push(id);
                held.damaged.insert(id, problem.text);
            }
        }
        self.held.store(Arc::new(held));
    }

    /// Holds nothing from now on: the file could not be read, for this reason.
    pub fn unreadable(&self, why: String) {
        self.held.store(Arc::new(Held { unreadable: Some(why), ..Held::default() }));
    }

    /// The ids of the fragments that can be used or made.
    pub fn ids(&self) -> Vec<Uid> {
        let held = self.held.load();
        held.order.iter().filter(|id| held.by_id.contains_key(id)).copied().collect()
    }

    /// Makes the fragments that a hardware key makes once, so that trouble shows at the start.
    /// Returns what failed; each is tried again when it is needed.
    pub async fn warm(&self) -> Vec<Fault> {
        let mut failed = Vec::new();
        for id in self.ids() {
            let known = self.held.load().by_id.get(&id).cloned();
            let wrapped =
                known.filter(|known| matches!(known.entry.kind, FragmentKind::HsmWrapped { .. }));
            if let Some(known) = wrapped
                && let Err(fault) = self.make(known).await
            {
                failed.push(fault);
            }
        }
        failed
    }

    /// What is shown of the fragments.
    pub fn list(&self) -> Vec<HeldFragment> {
        let held = self.held.load();
        held.order.iter().map(|id| held.shown(id)).collect()
    }

    /// The fragment with this id, if it is the one `manifest` was made with.
    ///
    /// # Errors
    /// A fault with one of the codes of this module.
    pub(crate) async fn of_key(
        &self,
        id: &Uid,
        manifest: &Manifest,
    ) -> Result<Arc<CustomerFragment>, Fault> {
        let fragment = self.get(id).await?;
        if manifest.has_fragment_check() && !fragment.is(id, &manifest.fragment_check) {
            return Err(wrong(id, &fragment.check_value(), &manifest.fragment_check));
        }
        Ok(fragment)
    }

    /// The fragment with this id.
    ///
    /// # Errors
    /// A fault with one of the codes of this module.
    pub(crate) async fn get(&self, id: &Uid) -> Result<Arc<CustomerFragment>, Fault> {
        let known = {
            let held = self.held.load();
            held.by_id.get(id).cloned().ok_or_else(|| held.lacks(id))?
        };
        self.make(known).await
    }

    async fn make(&self, known: Arc<Known>) -> Result<Arc<CustomerFragment>, Fault> {
        if let Some(made) = known.made.get() {
            return Ok(made.clone());
        }
        let id = known.entry.id;
        let malformed = |_| {
            let text = format!("customer fragment {} cannot be used", id_text(&id));
            Fault::forbidden(text).with_code(FRAGMENT_DAMAGED)
        };
        let Some(label) = known.entry.kind.key_label().map(str::to_owned) else {
            let made = Arc::new(known.entry.fragment().map_err(malformed)?);
            return Ok(known.made.get_or_init(|| made).clone());
        };
        let tag = self.ask_module(&known, label).await?;
        let made = Arc::new(CustomerFragment::from_module(id, &tag).map_err(malformed)?);
        match known.entry.kind {
            FragmentKind::HsmWrapped { .. } => Ok(known.made.get_or_init(|| made).clone()),
            _ => Ok(made),
        }
    }

    /// What the module makes of the seed. One that hangs holds up each batch of requests once, and
    /// then fails what needs it at once for a while.
    async fn ask_module(
        &self,
        known: &Arc<Known>,
        label: String,
    ) -> Result<Secret<[u8; 32]>, Fault> {
        let failed = |why: &str| unavailable(&known.entry.id, why);
        let module = self.module.clone();
        let module =
            module.ok_or_else(|| failed("no hardware module is configured on this gateway"))?;
        let resting = *self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.is_some_and(|until| Instant::now() < until) {
            return Err(failed("its hardware module did not answer; it is asked again soon"));
        }
        let asked = known.clone();
        let asking = tokio::task::spawn_blocking(move || {
            module.hmac_sha256(&label, asked.entry.value.expose())
        });
        match tokio::time::timeout(self.patience, asking).await {
            Ok(answered) => answered.map_err(Fault::internal)?.map_err(|why| failed(&why)),
            Err(_) => {
                let until = Instant::now() + self.patience * MODULE_RESTS;
                *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                Err(failed("its hardware module does not answer"))
            }
        }
    }
}

impl Held {
    fn lacks(&self, id: &Uid) -> Fault {
        let name = id_text(id);
        let (code, text) = if let Some(why) = self.damaged.get(id) {
            let text = format!("customer fragment {name} on this gateway is damaged: {why}");
            (FRAGMENT_DAMAGED, text)
        } else if let Some(why) = &self.unreadable {
            let text = format!(
                "the key is bound to customer fragment {name}, and the gateway's file of fragments \
                 cannot be read: {why}"
            );
            (FRAGMENT_DAMAGED, text)
        } else {
            let text = format!(
                "the key is bound to customer fragment {name}, which this gateway does not hold; \
                 add it to the gateway's fragments, or use a gateway that has it"
            );
            (FRAGMENT_MISSING, text)
        };
        Fault::forbidden(text).with_code(code)
    }

    fn shown(&self, id: &Uid) -> HeldFragment {
        let Some(known) = self.by_id.get(id) else {
            return HeldFragment {
                id: *id,
                name: String::new(),
                description: String::new(),
                kind: "",
                key_label: None,
                fingerprint: None,
                backup_verified_at: None,
                problem: self.damaged.get(id).cloned(),
            };
        };
        let entry = &known.entry;
        let made = known.made.get().map(|made| made.check_value());
        let check = made.or_else(|| entry.fragment().ok().map(|made| made.check_value()));
        HeldFragment {
            id: *id,
            name: entry.name.clone(),
            description: entry.description.clone(),
            kind: entry.kind.name(),
            key_label: entry.kind.key_label().map(str::to_owned),
            fingerprint: check.map(|check| fingerprint_text(&check)),
            backup_verified_at: entry.backup_verified_at.map(Timestamp::seconds),
            problem: None,
        }
    }
}

fn wrong(id: &Uid, held: &[u8; 16], wanted: &[u8; 16]) -> Fault {
    let text = format!(
        "another value stands under customer fragment {}: this gateway's has the fingerprint {}, \
         the key was made with {}; restore the right one",
        id_text(id),
        fingerprint_text(held),
        fingerprint_text(wanted)
    );
    Fault::forbidden(text).with_code(FRAGMENT_WRONG)
}

fn unavailable(id: &Uid, why: &str) -> Fault {
    let text = format!("customer fragment {} is not available: {why}", id_text(id));
    Fault::new(FaultKind::Unavailable, text).with_code(FRAGMENT_UNAVAILABLE)
}

/// Keys of a group for which the owner demands a fragment must have one. Managers refuse others
/// too; the gateway does before it asks them.
///
/// # Errors
/// A fault with the code [`FRAGMENT_REQUIRED`].
pub(crate) fn check_group(group: &str, bound: bool, bundle: &Bundle) -> Result<(), Fault> {
    if bound || bundle.group(group).is_none_or(|group| !group.fragment_required) {
        return Ok(());
    }
    let text = format!(
        "keys of the group '{group}' must be bound to a customer fragment, says the owner's trust \
         bundle, and this key is not"
    );
    Err(Fault::forbidden(text).with_code(FRAGMENT_REQUIRED))
}

/// What control says about a key's fragment must be what all its managers signed: otherwise it
/// could have values written without the fragment.
///
/// # Errors
/// A fault with the code [`FRAGMENT_BINDING`].
pub(crate) fn check_binding(told: Option<Uid>, manifest: &Manifest) -> Result<(), Fault> {
    let signed = manifest.fragment().copied();
    if told == signed {
        return Ok(());
    }
    let name = |id: Option<Uid>| id.map_or_else(|| "none".to_owned(), |id| id_text(&id));
    let text = format!(
        "key {}: its managers signed customer fragment {}, the control plane says {}; nothing was \
         derived, and the control plane must be looked at",
        manifest.key.id,
        name(signed),
        name(told)
    );
    Err(Fault::forbidden(text).with_code(FRAGMENT_BINDING))
}
