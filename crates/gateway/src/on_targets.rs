//! What a gateway does on targets: removing temporary credentials and changing those that rotate.

use std::sync::Arc;

use keysherd_base::RngHandle;
use keysherd_engines::Way;
use keysherd_plane::PlaneHandle;

use crate::derive::Derivations;
use crate::duty::Duty;
use crate::reader::Reader;
use crate::revoking::Revoker;
use crate::rotating::{Rotating, Rotators};

/// The work on targets. What nobody waits for ends when this is dropped.
pub(crate) struct OnTargets {
    /// Changing credentials, for somebody who waits.
    pub(crate) rotating: Rotating,
    revoker: Option<Revoker>,
    _rotators: Option<Rotators>,
}

impl OnTargets {
    /// Starts on the current runtime what nobody waits for, if there is a way to targets; it rests
    /// while the gateway does.
    pub(crate) fn start(
        parts: (PlaneHandle, Arc<Derivations>, RngHandle),
        reader: &Arc<Reader>,
        way: Option<Way>,
        duty: &Duty,
    ) -> Self {
        let rotating = Rotating::new(parts.clone());
        let rotators = way.clone().map(|way| Rotators::start(rotating.clone(), way, duty.clone()));
        let revoker = way.map(|way| Revoker::start(parts, reader.clone(), way, duty.clone()));
        Self { rotating, revoker, _rotators: rotators }
    }

    /// Says that there may be temporary credentials to remove.
    pub(crate) fn leases_due(&self) {
        if let Some(revoker) = &self.revoker {
            revoker.wake();
        }
    }
}
