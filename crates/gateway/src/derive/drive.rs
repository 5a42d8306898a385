//! How managers are driven: whom a read asks and when it asks more, how long a write waits, and
//! what becomes of those who gave wrong values.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keysherd_base::{Fault, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::derive::DeriveRequest;
use keysherd_fragments::gateway_side::{
    Ask, Confirmation, ReadCombiner, ReadStep, VerifiedAnswer, WriteCombiner, WriteOutcome,
};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_plane::alerts::AlertKind;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Derivations, DerivedKek, Group, contradiction, kek, refused, too_few};
use crate::incidents::Incident;
use crate::managers::Failure;

/// How long a write that has enough answers waits for a manager that is well.
const STRAGGLERS_WAIT: Duration = Duration::from_secs(1);
/// How long a read that met a lie waits for the answers that tell whose it was.
const LIAR_WAIT: Duration = Duration::from_millis(500);
/// The least it waits for one that is not.
const FAILING_WAIT: Duration = Duration::from_millis(50);
/// Entries whose cryptography may run on the event loop; more would make other requests wait.
const ENTRIES_INLINE_MAX: usize = 32;

/// The keys of a group, each or refused.
type Keys = Vec<Result<DerivedKek, Fault>>;
/// The keys of a group, each or all of them refused.
pub(super) type Outcomes = Result<Keys, Fault>;

/// What one manager answered in one round.
type Answered = (u8, ManagerIndex, Result<VerifiedAnswer, Failure>);

/// Requests that are under way, and what was asked.
#[derive(Default)]
pub(super) struct Running {
    tasks: JoinSet<Answered>,
    requests: Vec<(ManagerIndex, Vec<u8>)>,
}

/// How long a write waits for all managers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until each has answered or failed.
    All,
    /// A little longer than enough of them take.
    Enough,
}

impl Derivations {
    /// Reads; once more when something is missing and managers are at epochs that this gateway had
    /// not heard of.
    pub(super) async fn read(self: &Arc<Self>, group: Group) -> Outcomes {
        let (keys, stale) = self.read_once(&group).await?;
        let all_there = keys.iter().all(Result::is_ok);
        if all_there || stale.is_empty() || !self.learn_epochs(&group).await {
            return Ok(keys);
        }
        Ok(self.read_once(&group.renewed(self)).await?.0)
    }

    async fn read_once(self: &Arc<Self>, group: &Group) -> Result<(Keys, ManagerSet), Fault> {
        let commitments = group.needs.iter().filter_map(|need| need.commitment).collect();
        let threshold = group.batch.threshold();
        let health = &self.managers.health;
        let first = health.first(threshold, self.turn.fetch_add(1, Ordering::Relaxed));
        let mut combiner =
            ReadCombiner::new(group.batch.clone(), commitments, first).map_err(refused)?;
        let mut running = Running::default();
        let mut hedge = pin!(tokio::time::sleep(health.hedge_delay(threshold)));
        let mut hedged = false;
        loop {
            match off_loop(group, || combiner.step()) {
                ReadStep::Done => break,
                ReadStep::Ask(ask) => self.send(group, &ask, &mut running)?,
                ReadStep::Wait => tokio::select! {
                    biased;
                    answered = running.tasks.join_next() => match answered {
                        Some(Ok((round, _, Ok(answer)))) => combiner.offer(round, answer),
                        Some(Ok((round, manager, Err(_)))) => combiner.lost(round, manager),
                        Some(Err(panic)) => return Err(Fault::internal(panic)),
                        None => break,
                    },
                    () = hedge.as_mut(), if !hedged => {
                        hedged = true;
                        health.overtaken(combiner.widen());
                    }
                },
            }
        }
        if combiner.suspects() {
            let _named_or_not =
                tokio::time::timeout(LIAR_WAIT, hear_suspects(&mut combiner, &mut running)).await;
        }
        // Whoever still answers is heard for its health alone.
        running.tasks.detach_all();
        let report = combiner.finish();
        if !report.liars.is_empty() {
            health.lied(report.liars);
            let with_outputs = report.liars.len() < threshold.t();
            let kind = AlertKind::LieOnRead;
            let found = Found { kind, managers: report.liars, answers: report.evidence };
            self.report(group, found, running.requests, with_outputs);
        }
        let all = ManagerSet::EMPTY;
        let keys = report.keys.into_iter();
        let keys = keys.map(|key| key.map(|key| kek(key, all)).map_err(refused)).collect();
        Ok((keys, report.stale))
    }

    pub(super) async fn write(self: &Arc<Self>, group: Group) -> Outcomes {
        let patience = if self.unconfirmed { Patience::Enough } else { Patience::All };
        let (group, combiner, requests) = self.current_answers(group, patience).await?;
        let keys = self.outcome(&group, combiner, requests)?;
        let missing = keys.iter().flatten().find(|key| !key.missing.is_empty());
        match missing {
            Some(key) if !self.unconfirmed => Err(too_few(key.missing)),
            _ => Ok(keys),
        }
    }

    /// The keys of a write, each with those who have still to confirm it.
    pub(super) fn outcome(
        self: &Arc<Self>,
        group: &Group,
        combiner: WriteCombiner,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
    ) -> Outcomes {
        match off_loop(group, || combiner.finish()) {
            WriteOutcome::Sealed { keys, confirmation, liars, evidence } => {
                self.report_liars(group, liars, evidence, requests);
                let missing = match confirmation {
                    Confirmation::Confirmed => ManagerSet::EMPTY,
                    Confirmation::Unconfirmed { missing } => missing,
                };
                Ok(keys.into_iter().map(|key| Ok(kek(key, missing))).collect())
            }
            WriteOutcome::Refused { suspects, evidence, .. } => {
                self.managers.health.contradicted(suspects);
                let kind = AlertKind::Contradiction;
                let found = Found { kind, managers: suspects, answers: evidence };
                self.report(group, found, requests, true);
                Err(contradiction(suspects))
            }
            WriteOutcome::Failed { refusal, liars, evidence } => {
                self.report_liars(group, liars, evidence, requests);
                Err(refused(refusal))
            }
        }
    }

    /// As [`Self::all_answers`]; once more when managers are at epochs that this gateway had not
    /// heard of.
    pub(super) async fn current_answers(
        self: &Arc<Self>,
        group: Group,
        patience: Patience,
    ) -> Result<(Group, WriteCombiner, Vec<(ManagerIndex, Vec<u8>)>), Fault> {
        let (combiner, requests) = self.all_answers(&group, patience).await?;
        if combiner.stale().is_empty() || !self.learn_epochs(&group).await {
            return Ok((group, combiner, requests));
        }
        let group = group.renewed(self);
        let (combiner, requests) = self.all_answers(&group, patience).await?;
        Ok((group, combiner, requests))
    }

    /// Asks all managers with proofs, and waits until each answered or failed; with
    /// [`Patience::Enough`] only a little longer than it takes until the answers are enough.
    pub(super) async fn all_answers(
        self: &Arc<Self>,
        group: &Group,
        patience: Patience,
    ) -> Result<(WriteCombiner, Vec<(ManagerIndex, Vec<u8>)>), Fault> {
        let mut combiner = off_loop(group, || WriteCombiner::new(group.batch.clone()));
        let mut running = Running::default();
        self.send(group, &combiner.ask(), &mut running)?;
        let mut stragglers = pin!(tokio::time::sleep(STRAGGLERS_WAIT));
        let mut enough = false;
        while !combiner.is_settled() {
            if !enough && patience == Patience::Enough && combiner.is_enough() {
                enough = true;
                let wait = self.stragglers_wait(combiner.outstanding(), group);
                stragglers.as_mut().reset(Instant::now() + wait);
            }
            tokio::select! {
                biased;
                answered = running.tasks.join_next() => match answered {
                    Some(Ok((_, manager, Ok(answer)))) => {
                        if let Err(refusal) = off_loop(group, || combiner.offer(answer)) {
                            tracing::warn!(%manager, %refusal, "invalid answer of a manager");
                        }
                    }
                    Some(Ok((_, manager, Err(failure)))) => {
                        tracing::warn!(%manager, ?failure, "no answer of a fragment manager");
                        combiner.lost(manager);
                    }
                    Some(Err(panic)) => return Err(Fault::internal(panic)),
                    None => break,
                },
                () = stragglers.as_mut(), if enough => {
                    self.managers.health.overtaken(combiner.outstanding());
                    break;
                }
            }
        }
        running.tasks.detach_all();
        Ok((combiner, running.requests))
    }

    /// How long a write that has enough answers waits for these managers: not long for those that
    /// failed just before.
    fn stragglers_wait(&self, outstanding: ManagerSet, group: &Group) -> Duration {
        let health = &self.managers.health;
        if outstanding.is_within(health.passed_over()) {
            health.hedge_delay(group.batch.threshold()).max(FAILING_WAIT)
        } else {
            STRAGGLERS_WAIT
        }
    }

    fn send(
        self: &Arc<Self>,
        group: &Group,
        ask: &Ask,
        running: &mut Running,
    ) -> Result<(), Fault> {
        let request_id = Uid::random(&*self.rng)?;
        let permit_sha256 = sha256(&[&group.permit.body]);
        let index_of = |place: u16| {
            let need = group.needs.get(usize::from(place));
            need.expect("invariant: combiners ask for places of their batch").slot.entry
        };
        for manager in ask.managers.iter() {
            let request = ask.request(manager, permit_sha256, request_id, index_of);
            let call = DeriveCall {
                permit: group.permit.clone(),
                request: request.seal(&self.managers.instance),
                endorsement: self.managers.endorsement(),
            };
            running.requests.push((manager, call.request.signed.body.clone()));
            let (driver, round) = (self.clone(), ask.round);
            running.tasks.spawn(async move { (round, manager, driver.ask(manager, call).await) });
        }
        Ok(())
    }

    async fn ask(
        &self,
        manager: ManagerIndex,
        call: DeriveCall,
    ) -> Result<VerifiedAnswer, Failure> {
        let request_sha256 = DeriveRequest::hash(&call.request.signed.body);
        let answer = self.managers.ask(manager, &ManagerRequest::Derive(call)).await?;
        let ManagerAnswer::Derived(answer) = answer else { return Err(Failure::NoAnswer) };
        let bundle = self.managers.bundle.load();
        let identity = bundle.bundle().manager(manager).ok_or(Failure::NoAnswer)?.key;
        let answer = VerifiedAnswer::open(answer, &identity, manager, &request_sha256);
        let answer = answer.map_err(Failure::Refused)?;
        self.managers.logs.saw(manager, &identity, &answer.body().checkpoint);
        Ok(answer)
    }

    fn report_liars(
        self: &Arc<Self>,
        group: &Group,
        liars: ManagerSet,
        answers: Vec<VerifiedAnswer>,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
    ) {
        if !liars.is_empty() {
            self.managers.health.lied(liars);
            let with_outputs = liars.len() < group.batch.threshold().t();
            let found = Found { kind: AlertKind::LieOnWrite, managers: liars, answers };
            self.report(group, found, requests, with_outputs);
        }
    }

    fn report(
        &self,
        group: &Group,
        found: Found,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
        with_outputs: bool,
    ) {
        let Found { kind, managers, answers } = found;
        if let Some(need) = group.needs.first() {
            let incident = Incident { kind, managers, answers, requests, with_outputs };
            self.incidents.report(&need.caller, incident);
        }
    }
}

/// Hears managers that have not answered while somebody is to be named for a lie.
async fn hear_suspects(combiner: &mut ReadCombiner, running: &mut Running) {
    while combiner.suspects() {
        match running.tasks.join_next().await {
            Some(Ok((round, _, Ok(answer)))) => combiner.offer(round, answer),
            Some(Ok((round, manager, Err(_)))) => combiner.lost(round, manager),
            _ => return,
        }
    }
}

/// Managers that were found out, with what they signed.
struct Found {
    kind: AlertKind,
    managers: ManagerSet,
    answers: Vec<VerifiedAnswer>,
}

/// Runs cryptography of a large batch beside the event loop, so that other requests go on.
fn off_loop<T>(group: &Group, work: impl FnOnce() -> T) -> T {
    let multi_thread = tokio::runtime::Handle::current().runtime_flavor()
        == tokio::runtime::RuntimeFlavor::MultiThread;
    if group.batch.len() > ENTRIES_INLINE_MAX && multi_thread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
