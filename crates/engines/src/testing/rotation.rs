//! What every rotator has to do, on a real server.

use std::time::Duration;

use keysherd_base::{Fault, SecretString};

use super::way;
use crate::rotator::{Actor, Credential, Rotator, Stage};
use crate::{NOT_LET_IN, Settings, TargetUse, Way};

/// A rotator with a target.
pub(crate) struct Site {
    pub(crate) rotator: &'static dyn Rotator,
    pub(crate) target: Settings,
    pub(crate) actor: Actor,
    settings: Settings,
    way: Way,
}

pub(crate) fn credential(user: &str, password: &str) -> Credential {
    Credential::of_user(user, &SecretString::new(password.to_owned()))
}

impl Site {
    pub(crate) fn new(rotator: &'static dyn Rotator, target: Settings, actor: Actor) -> Self {
        Self::with(rotator, target, actor, &[])
    }

    /// One whose rotated secret is made with these arguments, too.
    pub(crate) fn with(
        rotator: &'static dyn Rotator,
        target: Settings,
        actor: Actor,
        more: &[(&'static str, &str)],
    ) -> Self {
        let plain = [("use-special-characters", "true"), ("password-length", "40")];
        let given: Vec<_> = plain.iter().chain(more).copied().collect();
        let settings = rotator.merged(&super::args(&given), Settings::default()).unwrap();
        Self { rotator, target, actor, settings, way: way() }
    }

    pub(crate) fn check(&self) -> Result<Vec<String>, Fault> {
        self.rotator.check(&self.settings, &self.stage().target)
    }

    pub(crate) fn stage(&self) -> Stage<'_> {
        let type_name = self.rotator.kind().targets[0];
        Stage {
            settings: &self.settings,
            target: TargetUse { type_name, settings: &self.target },
            actor: self.actor,
            way: &self.way,
        }
    }

    /// Where AWS is.
    pub(crate) fn endpoints(&mut self, way: &Way) {
        self.way.endpoints = way.endpoints.clone();
    }

    /// How long a call may take.
    pub(crate) fn limit(&mut self, timeout: Duration) {
        self.way.timeout = timeout;
    }

    pub(crate) async fn signs_in(&self, credential: &Credential) -> bool {
        self.rotator.signs_in(&self.stage(), credential).await.unwrap()
    }

    pub(crate) fn next(&self, old: &Credential) -> Credential {
        self.rotator.candidate(&self.stage(), old).unwrap()
    }

    pub(crate) async fn change(
        &self,
        old: &Credential,
        new: &Credential,
    ) -> Result<Vec<String>, Fault> {
        self.rotator.change(&self.stage(), old, new).await
    }

    /// Rotates three times, each time as after a crash, too; gives the last credentials.
    pub(crate) async fn rotates(&self, user: &str, password: &str) -> Credential {
        self.check().unwrap();
        let mut old = credential(user, password);
        for round in 1..=3 {
            let new = self.next(&old);
            assert_eq!(new.username().unwrap(), user);
            let length = new.password().unwrap().expose().len();
            assert_eq!(length, 40, "as the policy says");
            assert!(self.signs_in(&old).await && !self.signs_in(&new).await, "round {round}");
            self.change(&old, &new).await.unwrap();
            assert!(!self.signs_in(&old).await && self.signs_in(&new).await, "round {round}");
            // Whoever does not know that it was done may do it once more, if it can still get in.
            let again = self.change(&old, &new).await;
            match self.actor {
                Actor::Target => drop(again.unwrap()),
                Actor::Owner => assert_eq!(again.unwrap_err().code(), NOT_LET_IN),
            }
            assert!(self.signs_in(&new).await, "round {round}");
            old = new;
        }
        old
    }
}
