//! The context a command runs in: who asks, and the services that answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use keysherd_authn::{BoxFuture, Desk, Outward};
use keysherd_base::{AccessId, ClockHandle, Fault, FaultKind, RngHandle, SecretString};
use keysherd_plane::challenges::ChallengeMake;
use keysherd_plane::{Ask, Caller, Client, PlaneHandle};

use crate::browser::BrowserLogins;
use crate::budget::AnswerBudget;
use crate::configs::Configs;
use crate::crypt::Crypt;
use crate::passwords::Turns;

/// What commands can use.
pub struct Services {
    /// The control plane.
    pub plane: PlaneHandle,
    /// Derivation, sealing and opening.
    pub crypt: Arc<dyn Crypt>,
    /// Time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// How much of large answers may be in memory.
    pub answers: AnswerBudget,
    /// This gateway's own configuration.
    pub configs: Arc<dyn Configs>,
    /// The way out to the clusters and directories that it names.
    pub outward: Outward,
    /// The logins that browsers finish.
    pub browser_logins: BrowserLogins,
    /// Turns for stretching passwords, so that logins cannot exhaust memory.
    pub stretching: Turns,
}

impl Desk for Ctx {
    fn clock(&self) -> &ClockHandle {
        &self.services.clock
    }

    fn rng(&self) -> &RngHandle {
        &self.services.rng
    }

    fn outward(&self) -> &Outward {
        &self.services.outward
    }

    fn config(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault> {
        self.services.configs.of_method(kind, name, access_id)
    }

    fn challenge<'a>(
        &'a self,
        access_id: &'a AccessId,
        subject: [u8; 32],
    ) -> BoxFuture<'a, Result<Vec<u8>, Fault>> {
        let access_id = access_id.clone();
        Box::pin(async move { Ok(self.ask(ChallengeMake { access_id, subject }).await?.challenge) })
    }
}

/// What the audit log already says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Recorded {
    /// Nothing yet.
    Nothing = 0,
    /// That it was granted.
    Success = 1,
    /// That it was refused.
    Failure = 2,
}

/// One request's context. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    services: Arc<Services>,
    caller: Caller,
    recorded: Arc<AtomicU8>,
}

impl Ctx {
    /// The context of a request by `caller`.
    pub fn new(services: Arc<Services>, caller: Caller) -> Self {
        Self { services, caller, recorded: Arc::new(AtomicU8::new(Recorded::Nothing as u8)) }
    }

    /// What commands can use.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Derivation, sealing and opening.
    pub fn crypt(&self) -> &dyn Crypt {
        &*self.services.crypt
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Asks the control plane, and remembers what it wrote into the audit log.
    ///
    /// # Errors
    /// The plane's [`Fault`].
    pub async fn ask<A: Ask>(&self, message: A) -> Result<A::Reply, Fault> {
        let outcome = self.services.plane.ask(self.caller.clone(), message).await;
        match &outcome {
            Ok(_) if A::RECORDS_SUCCESS => self.mark(Recorded::Success),
            Ok(_) => {}
            Err(fault) => self.mark_fault(fault),
        }
        outcome
    }

    /// The same on behalf of another client, for whom this request only brings something.
    ///
    /// # Errors
    /// The plane's [`Fault`].
    pub async fn ask_for<A: Ask>(&self, client: Client, message: A) -> Result<A::Reply, Fault> {
        let caller = Caller { client, ..self.caller.clone() };
        Self { caller, ..self.clone() }.ask(message).await
    }

    /// Remembers that the audit log says `recorded` about this request.
    pub fn mark(&self, recorded: Recorded) {
        self.recorded.store(recorded as u8, Ordering::Release);
    }

    /// Remembers that the plane refused with `fault`. A plane that does not answer has recorded
    /// nothing.
    pub fn mark_fault(&self, fault: &Fault) {
        if !matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Internal) {
            self.mark(Recorded::Failure);
        }
    }

    /// What the audit log says about this request.
    pub fn recorded(&self) -> Recorded {
        match self.recorded.load(Ordering::Acquire) {
            1 => Recorded::Success,
            2 => Recorded::Failure,
            _ => Recorded::Nothing,
        }
    }
}
