//! Whether targets take what is stored, which is tried out and changes nothing.

use std::collections::BTreeMap;

use keysherd_base::Fault;

use super::hosts::Hosts;
use super::site::{Site, all};
use super::{Credential, Rotator, Stage};
use crate::BoxFuture;

/// What came of it.
#[derive(Debug, Default)]
pub struct Checked {
    /// The hosts that refuse what is stored of them.
    pub refused: Vec<String>,
    /// Those that could not be asked, and why.
    pub silent: BTreeMap<String, Fault>,
    /// Those that have nothing yet.
    pub without: Vec<String>,
    /// How many take what is stored.
    pub taken: usize,
}

/// Whether a target takes what is stored, by one attempt to sign in: servers lock accounts after
/// some.
///
/// # Errors
/// [`Fault::bad_request`] where there is no target that can be asked; a fault when that cannot be
/// said.
pub async fn is_in_force(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    credential: &Credential,
) -> Result<bool, Fault> {
    need_tried(rotator)?;
    rotator.signs_in(stage, credential).await
}

fn need_tried(rotator: &dyn Rotator) -> Result<(), Fault> {
    match rotator.is_tried() {
        true => Ok(()),
        false => Err(Fault::bad_request(format!(
            "nobody but {} knows whether the credentials are in force, and that is not asked",
            rotator.kind().what
        ))),
    }
}

impl Site<'_> {
    /// Whether each host takes what is stored of it, as [`is_in_force`].
    ///
    /// # Errors
    /// [`Fault::bad_request`] for settings that make no sense together.
    pub async fn checked(&self, hosts: &Hosts) -> Result<Checked, Fault> {
        need_tried(self.rotator)?;
        let places = self.places(hosts)?;
        let mut checked = Checked::default();
        let mut asked: Vec<(String, BoxFuture<'_, _>)> = Vec::new();
        for place in &places {
            let stored = hosts.0.get(&place.name).and_then(|host| host.current.as_ref());
            let Some(stored) = stored else {
                checked.without.push(place.name.clone());
                continue;
            };
            let trying = async move { self.rotator.signs_in(&place.stage(self), stored).await };
            asked.push((place.name.clone(), Box::pin(trying)));
        }
        for (name, answer) in all(asked).await {
            match answer {
                Ok(true) => checked.taken += 1,
                Ok(false) => checked.refused.push(name),
                Err(fault) => drop(checked.silent.insert(name, fault)),
            }
        }
        Ok(checked)
    }
}
