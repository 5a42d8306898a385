//! Logins that gateways are trying: let in, and not yet settled.
//!
//! A gateway that does not come back (its client left, it was killed) learned nothing that it
//! could tell, so its try counts for nothing when the ticket is over. Until then it holds its
//! place among the tries that are left.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_base::{AccessId, Fault, Timestamp};
use keysherd_plane::admission::Ticket;

use super::{Attempt, LoginGuard, Trying};

/// How long a ticket is good, in seconds: longer than gateways ask others.
pub(crate) const TICKET_SECONDS: i64 = 30;
/// Tickets at one time.
pub(crate) const TICKETS_MAX: usize = 10_000;

/// A login that is being tried.
struct Held {
    access_id: AccessId,
    person: Option<String>,
    trying: Trying,
}

/// All of them.
#[derive(Default)]
pub(super) struct Tickets(Mutex<State>);

#[derive(Default)]
struct State {
    held: HashMap<Ticket, Held>,
    /// All live equally long, so the first one is over first.
    ends: VecDeque<(Timestamp, Ticket)>,
}

impl LoginGuard {
    /// Keeps `attempt`, for the method `access_id` and the person of this name, under `ticket`
    /// until [`LoginGuard::resume`].
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many are kept.
    pub(crate) fn hold(
        &self,
        attempt: Attempt<'_>,
        ticket: Ticket,
        access_id: AccessId,
        person: Option<String>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.end_tickets(now);
        let mut tickets = self.tickets.state();
        if tickets.held.len() >= TICKETS_MAX {
            // The attempt gives back what it took.
            return Err(Fault::unavailable(
                "too many logins are being checked; try again in a few seconds",
            ));
        }
        let held = Held { access_id, person, trying: attempt.taken_over() };
        tickets.ends.push_back((now.plus_seconds(TICKET_SECONDS), ticket));
        tickets.held.insert(ticket, held);
        Ok(())
    }

    /// The attempt under `ticket`, to be settled. Once.
    pub(crate) fn resume(
        &self,
        ticket: Ticket,
        access_id: &AccessId,
        now: Timestamp,
    ) -> Option<Attempt<'_>> {
        self.end_tickets(now);
        let held = self.tickets.state().held.remove(&ticket)?;
        let mut attempt = self.attempt(held.trying);
        attempt.person = held.person;
        (held.access_id == *access_id).then_some(attempt)
    }

    /// Ends the attempt under `ticket`, which was none.
    pub(crate) fn abandon(&self, ticket: Ticket) {
        let held = self.tickets.state().held.remove(&ticket);
        drop(held.map(|held| self.attempt(held.trying)));
    }

    /// Ends those whose time is over.
    pub(super) fn end_tickets(&self, now: Timestamp) {
        let mut over = Vec::new();
        let mut tickets = self.tickets.state();
        while tickets.ends.front().is_some_and(|(end, _)| now >= *end) {
            let ended = tickets.ends.pop_front();
            over.extend(ended.and_then(|(_, ticket)| tickets.held.remove(&ticket)));
        }
        drop(tickets);
        over.into_iter().for_each(|held| drop(self.attempt(held.trying)));
    }
}

impl Tickets {
    /// Everything here is consistent between any two statements, so a poisoned lock is usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
