//! The context a command runs in: who asks, and the services that answer.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keysherd_authn::{BoxFuture, Desk, Entrant, Outward};
use keysherd_base::{AccessId, AccountId, ClockHandle, Fault, FaultKind, RngHandle, SecretString};
use keysherd_plane::admission::{LoginAdmit, Ticket};
use keysherd_plane::challenges::ChallengeMake;
use keysherd_plane::{About, Ask, Caller, Client, NOTE_ABOUT_MAX, PlaneHandle};

use crate::browser::BrowserLogins;
use crate::budget::AnswerBudget;
use crate::certificate::PublicCertificate;
use crate::configs::Configs;
use crate::crypt::Crypt;
use crate::engines::Creations;
use crate::forwarding::Forwarding;
use crate::passwords::Turns;
use crate::standing::Standing;

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
    /// The certificate that clients see.
    pub certificate: Arc<dyn PublicCertificate>,
    /// What sends the audit log to others.
    pub forwarding: Arc<dyn Forwarding>,
    /// Whether this gateway is on standby.
    pub standing: Arc<dyn Standing>,
    /// The way out to the clusters and directories that it names.
    pub outward: Outward,
    /// The logins that browsers finish.
    pub browser_logins: BrowserLogins,
    /// The way to the targets of dynamic secrets.
    pub engines: keysherd_engines::Way,
    /// Turns for making temporary credentials.
    pub creations: Creations,
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

    fn admit<'a>(
        &'a self,
        access_id: &'a AccessId,
        entrant: Entrant<'a>,
    ) -> BoxFuture<'a, Result<&'a Outward, Fault>> {
        let person = match entrant {
            Entrant::Machine => None,
            Entrant::Person(name) => Some(name.to_owned()),
        };
        let instead = self.take_ticket();
        let message = LoginAdmit { access_id: access_id.clone(), person, instead };
        Box::pin(async move {
            let admitted = self.ask(message).await?;
            *self.ticket() = Some(admitted.ticket);
            Ok(&self.services.outward)
        })
    }

    fn config(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault> {
        self.services.configs.of_method(kind, name, access_id)
    }

    fn account(&self, kind: &str, access_id: &AccessId) -> Option<AccountId> {
        let mut configs = self.services.configs.of_kind(kind).into_iter();
        configs.find(|config| config.access_id == *access_id).map(|config| config.account)
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
    so_far: Arc<SoFar>,
}

/// What became of a request so far.
#[derive(Default)]
struct SoFar {
    recorded: AtomicU8,
    /// Whether control found the caller's token to be good.
    accepted: AtomicBool,
    /// What its login was admitted with.
    ticket: Mutex<Option<Ticket>>,
    /// What it is about, for a record that only this gateway can ask for.
    about: Mutex<Vec<(About, String)>>,
}

impl Ctx {
    /// The context of a request by `caller`.
    pub fn new(services: Arc<Services>, caller: Caller) -> Self {
        Self { services, caller, so_far: Arc::default() }
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
        if recorded == Recorded::Success {
            self.so_far.accepted.store(true, Ordering::Release);
        }
        self.so_far.recorded.store(recorded as u8, Ordering::Release);
    }

    /// Remembers that the plane refused with `fault`. A plane that does not answer has recorded
    /// nothing.
    pub fn mark_fault(&self, fault: &Fault) {
        if !matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Internal) {
            self.mark(Recorded::Failure);
        }
        // Who has not shown a good token is not told what there is. Other refusals can come first.
        if matches!(fault.kind(), FaultKind::NotFound | FaultKind::Conflict) {
            self.so_far.accepted.store(true, Ordering::Release);
        }
    }

    /// Whether control found the caller's token to be good, in a command that needs one.
    pub fn accepted(&self) -> bool {
        self.so_far.accepted.load(Ordering::Acquire)
    }

    /// Has the audit record of this request say what it is about. Nothing secret.
    pub(crate) fn tell(&self, what: About, value: impl Into<String>) {
        let mut about = self.so_far.about.lock().unwrap_or_else(PoisonError::into_inner);
        if about.len() < NOTE_ABOUT_MAX {
            about.push((what, value.into()));
        }
    }

    /// What this request is about.
    pub fn told(&self) -> Vec<(About, String)> {
        self.so_far.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this request's login was admitted with, to be brought back once.
    pub(crate) fn take_ticket(&self) -> Option<Ticket> {
        self.ticket().take()
    }

    /// Everything here is consistent between any two statements, so a poisoned lock is usable.
    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.so_far.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the audit log says about this request.
    pub fn recorded(&self) -> Recorded {
        match self.so_far.recorded.load(Ordering::Acquire) {
            1 => Recorded::Success,
            2 => Recorded::Failure,
            _ => Recorded::Nothing,
        }
    }
}
