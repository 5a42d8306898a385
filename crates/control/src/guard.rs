//! What keeps people's passwords from being guessed, and floods of wrong logins from filling disks.
//!
//! A **person** proves a password, which can be guessed; a **machine** proves a random key, a
//! signed statement or the like, which cannot. So only people are ever locked:
//!
//! | who is tried | counted under | what comes of wrong logins |
//! |---|---|---|
//! | a person, from a place of theirs | person and place | after 5, locked there |
//! | a person, from elsewhere | person | after 5, locked at all places not known to be theirs |
//! | a machine | nothing | never locked: probing its access id shuts nobody out |
//!
//! A lock lasts a minute, then two, four and so on to an hour, with one try after each.
//!
//! A person elsewhere ([`Tried::PersonOf`]) is counted under all names that a directory may take
//! for theirs together, as two people can be whose names only look alike. So a good login forgives
//! the wrong ones under the very name that it came under, and makes its place known for that only.
//!
//! A place is the network of a client ([`client_network`]) that the person signed in from within
//! [`people::PLACE_DAYS`]; strangers can thus not lock a person out of where they usually are.
//! Whether the person exists makes no difference to any of this, and every spelling of an address
//! that leads to one person counts as one.
//!
//! Besides, an address has a small budget of wrong logins, one for people and a larger one for
//! machines ([`addresses`]), and what is refused again and again is recorded with a count
//! ([`floods`]).

pub(crate) mod addresses;
pub(crate) mod floods;
pub(crate) mod people;
#[cfg(test)]
mod tests;
pub(crate) mod tickets;

use std::net::IpAddr;
use std::time::Duration;

use keysherd_base::{AccessId, Fault, FaultKind, Timestamp, client_network};
use keysherd_crypto::hash::HmacKey;
use keysherd_store::login_guards::{GuardRow, PlaceRow};

use self::addresses::{Addresses, Budget};
use self::floods::Floods;
use self::people::People;
use self::tickets::Tickets;

/// Who is tried, whether they exist or not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tried<'a> {
    /// An auth method whose credential cannot be guessed.
    Machine(&'a AccessId),
    /// Somebody with a password, by their address in lower case.
    Person(&'a str),
    /// Somebody with a password elsewhere, whom a gateway asks about.
    PersonOf {
        /// The auth method.
        access_id: &'a AccessId,
        /// The name, as [`keysherd_authn::folded`] makes it.
        name: &'a str,
        /// The name as it was given, up to letter case and spaces around it.
        spelled: &'a str,
    },
}

/// The code of the refusals of this module.
pub(crate) const CODE: &str = "TooManyWrongLogins";

/// Counts wrong logins and says who has to wait.
pub(crate) struct LoginGuard {
    key: HmacKey,
    people: People,
    addresses: Addresses,
    pub(crate) floods: Floods,
    tickets: Tickets,
}

/// One login that was let in to be tried. Given back unused when it is dropped: an attempt that
/// failed for other reasons than a wrong credential counts for nothing.
pub(crate) struct Attempt<'g> {
    guard: &'g LoginGuard,
    /// What it is.
    pub(crate) trying: Trying,
    /// The person's name, where the method has several people.
    pub(crate) person: Option<String>,
    settled: bool,
}

/// What an [`Attempt`] took, for whom.
#[derive(Clone, Copy)]
pub(crate) struct Trying {
    /// Keyed hash of who is tried.
    pub(crate) subject: [u8; 32],
    /// Keyed hash of the very name; the same as the subject where that is one name only.
    spelling: [u8; 32],
    /// The client's network.
    pub(crate) network: IpAddr,
    /// Keyed hash of the very name and the network.
    place: [u8; 32],
    budget: Budget,
    /// Whether something was taken from the budget.
    taken: bool,
    /// What wrong logins of a person are counted under.
    person: Option<[u8; 32]>,
}

impl Trying {
    /// Whether wrong logins under other names are counted together with these.
    fn counted_with_others(&self) -> bool {
        self.person == Some(self.subject) && self.spelling != self.subject
    }
}

/// What a wrong login changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// What is to be kept; `None` for machines.
    pub(crate) row: Option<GuardRow>,
    /// What is to be kept of the very name, where others are counted with it.
    pub(crate) spelled: Option<GuardRow>,
    /// Whether the address has no budget left.
    pub(crate) spent: bool,
}

/// What a good login changed, to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleared {
    /// The subject that is forgiven, if there was something to forgive.
    pub(crate) forgiven: Option<[u8; 32]>,
    /// The very name of which nothing is to be remembered.
    pub(crate) spelled: Option<[u8; 32]>,
    /// What is left of the subject: wrong logins under names that look like this one.
    pub(crate) left: Option<GuardRow>,
    /// The place that is new or was not seen for a day.
    pub(crate) place: Option<PlaceRow>,
    /// The place that had to go for it.
    pub(crate) dropped: Option<[u8; 32]>,
}

impl LoginGuard {
    /// A guard that remembers what the store kept.
    pub(crate) fn new(
        key: HmacKey,
        guards: Vec<GuardRow>,
        places: Vec<PlaceRow>,
        now: Timestamp,
    ) -> Self {
        Self {
            key,
            people: People::new(guards, places, now),
            addresses: Addresses::default(),
            floods: Floods::default(),
            tickets: Tickets::default(),
        }
    }

    /// Lets a login be tried, or says how long to wait. The refusal is the same whether `who`
    /// exists or not.
    ///
    /// `costly`: checking the credential takes more than a signature, such as a question to
    /// another server.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`].
    pub(crate) fn admit(
        &self,
        who: Tried<'_>,
        address: IpAddr,
        costly: bool,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Box<Refused>> {
        let network = client_network(address);
        let (subject, spelling) = (self.subject(who), self.spelling(who));
        let place = self.place(&spelling, network);
        let refused = |until: Timestamp| Box::new(Refused { subject, network, until, now });
        let budget = match who {
            Tried::Person(_) | Tried::PersonOf { .. } => Budget::People,
            Tried::Machine(_) => Budget::Machines,
        };
        // A machine with a good key is let in even from an address that floods.
        let taken = self.addresses.take(network, budget, now);
        if let Err(until) = taken
            && (costly || budget == Budget::People)
        {
            return Err(refused(until));
        }
        let taken = taken.is_ok();
        let trying = Trying { subject, spelling, network, place, budget, taken, person: None };
        let mut attempt = self.attempt(trying);
        if budget == Budget::People {
            self.end_tickets(now);
            let counted = self.people.counted_under(&attempt.trying, now);
            self.people.reserve(counted, now).map_err(refused)?;
            attempt.trying.person = Some(counted);
        }
        Ok(attempt)
    }

    fn attempt(&self, trying: Trying) -> Attempt<'_> {
        Attempt { guard: self, trying, person: None, settled: false }
    }

    /// Refuses what [`LoginGuard::admit`] would refuse now, and counts nothing.
    ///
    /// # Errors
    /// As [`LoginGuard::admit`].
    pub(crate) fn look(
        &self,
        who: Tried<'_>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.admit(who, address, true, now).map(drop).map_err(|refused| refused.fault())
    }

    /// What machines at an address without a budget are told.
    pub(crate) fn spent_fault(&self, network: IpAddr, now: Timestamp) -> Fault {
        let until = self.addresses.refilled_at(network, Budget::Machines, now);
        let wait = Duration::from_millis(until.millis_since(now).max(1).unsigned_abs());
        Fault::new(
            FaultKind::RateLimited,
            "too many wrong logins from your address; check the credential before you try again",
        )
        .with_code(CODE)
        .with_retry_after(wait)
    }

    /// Takes over what the store has of a subject by now.
    pub(crate) fn follow(
        &self,
        subject: [u8; 32],
        row: Option<GuardRow>,
        places: &[PlaceRow],
        now: Timestamp,
    ) {
        self.people.follow(subject, row, places, now);
    }

    /// Whether no login under this subject would be tried.
    #[cfg(test)]
    pub(crate) fn is_locked(&self, subject: [u8; 32], now: Timestamp) -> bool {
        self.people.reserve(subject, now).is_err()
    }

    /// Forgets everything, for what the store has by now.
    pub(crate) fn replace(&self, guards: Vec<GuardRow>, places: Vec<PlaceRow>, now: Timestamp) {
        self.people.replace(guards, places, now);
    }

    /// Forgets what is over.
    pub(crate) fn forget(&self, now: Timestamp) {
        self.end_tickets(now);
        self.people.forget(now);
    }

    fn subject(&self, who: Tried<'_>) -> [u8; 32] {
        let (kind, within, name) = match who {
            Tried::Machine(id) => (b"machine", "", id.as_str()),
            Tried::Person(email) => (b"person\0", "", email),
            Tried::PersonOf { access_id, name, .. } => (b"member\0", access_id.as_str(), name),
        };
        // An access id has no zero byte.
        let within = within.as_bytes();
        let separator: &[u8] = if within.is_empty() { b"" } else { b"\0" };
        let name = name.as_bytes();
        self.key.tag(&[b"login-guard\0", kind, b"\0", within, separator, name])
    }

    fn spelling(&self, who: Tried<'_>) -> [u8; 32] {
        let Tried::PersonOf { access_id, spelled, .. } = who else { return self.subject(who) };
        // An access id has no zero byte.
        let (within, name) = (access_id.as_str().as_bytes(), spelled.as_bytes());
        self.key.tag(&[b"login-spelling\0", within, b"\0", name])
    }

    fn place(&self, spelling: &[u8; 32], network: IpAddr) -> [u8; 32] {
        let octets = match network {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        self.key.tag(&[b"login-place\0", spelling, &octets])
    }
}

impl Attempt<'_> {
    /// The credential was wrong.
    pub(crate) fn wrong(mut self, now: Timestamp) -> Counted {
        self.settled = true;
        let Trying { network, budget, .. } = self.trying;
        let (row, spelled) = self.guard.people.wrong(&self.trying, now);
        Counted { row, spelled, spent: self.guard.addresses.is_spent(network, budget, now) }
    }

    /// The credential was good.
    pub(crate) fn good(mut self, now: Timestamp) -> Cleared {
        self.settled = true;
        self.give_back();
        self.guard.people.good(&self.trying, now)
    }

    /// What was taken, which somebody else gives back.
    fn taken_over(mut self) -> Trying {
        self.settled = true;
        self.trying
    }

    fn give_back(&self) {
        if self.trying.taken {
            self.guard.addresses.give_back(self.trying.network, self.trying.budget);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.give_back();
        if let Some(counted) = self.trying.person {
            self.guard.people.release(counted);
        }
    }
}

/// A login that is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Keyed hash of who was to be tried.
    pub(crate) subject: [u8; 32],
    /// The client's network.
    pub(crate) network: IpAddr,
    /// When trying makes sense again.
    pub(crate) until: Timestamp,
    now: Timestamp,
}

impl Refused {
    /// What the caller is told.
    pub(crate) fn fault(&self) -> Fault {
        let wait = Duration::from_millis(self.until.millis_since(self.now).max(1).unsigned_abs());
        Fault::new(
            FaultKind::RateLimited,
            format!(
                "too many wrong logins; no password is tried before {}; wait, or sign in from a \
                 network you signed in from lately",
                self.until
            ),
        )
        .with_code(CODE)
        .with_retry_after(wait)
    }
}
