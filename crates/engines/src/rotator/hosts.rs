//! Credentials on many hosts: what of each is stored, beside what people read.
//!
//! A host takes what is read of it, or else what is written down as `maybe`: that is stored before
//! anything is sent to the host, and stays until somebody has found out. So whoever goes on, after
//! whatever end, tries both and sets the same one again.

use std::collections::BTreeMap;

use keysherd_base::{Fault, FaultKind};
use keysherd_wire::wipe;
use serde_json::{Map, Value};

use super::Credential;

#[cfg(test)]
mod tests;

/// The member that V2 shows.
const SHOWN: &str = "linked_hosts";
/// The member with all else.
const STATES: &str = "host_states";

/// The credentials of a rotated secret that works on many hosts, by the host's name with its port.
pub struct Hosts(pub(super) BTreeMap<String, OnHost>);

/// Those on one host.
#[derive(Default)]
pub(super) struct OnHost {
    /// What people read; none: nothing was ever set there.
    pub(super) current: Option<Credential>,
    /// What may have been set there instead.
    pub(super) maybe: Option<Credential>,
    /// When somebody was last about to set it, in seconds.
    pub(super) since: i64,
    /// Whether the last rotation did not reach it.
    pub(super) behind: bool,
    /// What is remembered of it: settings beside those that were given.
    pub(super) met: Map<String, Value>,
    /// Whether `maybe` was drawn just now, so that nobody can have set it. Not stored.
    pub(super) fresh: bool,
    /// Whether this host is worked on now. Not stored.
    pub(super) at_work: bool,
    /// When somebody was about to set it before. Not stored.
    pub(super) before: i64,
}

impl OnHost {
    /// Whether a rotation did not reach it: one that was only met has nothing yet, either.
    pub(super) fn is_behind(&self) -> bool {
        self.behind || self.maybe.is_some() || self.current.is_none()
    }
}

pub(super) fn copy(credential: &Credential) -> Credential {
    Credential::of_members(credential.members())
}

impl Hosts {
    /// Those that stored credentials are; `None` for credentials of one place.
    ///
    /// # Errors
    /// [`Fault::internal`] for what nobody stored.
    pub fn read(stored: &Credential) -> Result<Option<Self>, Fault> {
        let mut members = stored.members();
        let (shown, states) = (members.remove(SHOWN), members.remove(STATES));
        wipe(Value::Object(members));
        let (Some(Value::Object(shown)), states) = (shown, states) else { return Ok(None) };
        let mut hosts = BTreeMap::new();
        for (name, value) in shown {
            let Value::Object(members) = value else { return Err(unreadable()) };
            let current = Some(Credential::of_members(members));
            hosts.insert(name, OnHost { current, ..OnHost::default() });
        }
        let states = match states {
            Some(Value::Object(states)) => states,
            _ => Map::new(),
        };
        for (name, value) in states {
            let Value::Object(mut state) = value else { return Err(unreadable()) };
            let host = hosts.entry(name).or_default();
            if let Some(Value::Object(members)) = state.remove("maybe") {
                host.maybe = Some(Credential::of_members(members));
            }
            host.since = state.get("since").and_then(Value::as_i64).unwrap_or_default();
            host.behind = state.get("behind").and_then(Value::as_bool).unwrap_or_default();
            if let Some(Value::Object(met)) = state.remove("met") {
                host.met = met;
            }
        }
        Ok(Some(Self(hosts)))
    }

    /// As they are stored.
    pub fn stored(&self) -> Credential {
        let mut states = Map::new();
        for (name, host) in &self.0 {
            let mut state = Map::new();
            if let Some(maybe) = &host.maybe {
                state.insert("maybe".to_owned(), Value::Object(maybe.members()));
                state.insert("since".to_owned(), host.since.into());
            }
            if host.behind {
                state.insert("behind".to_owned(), true.into());
            }
            if !host.met.is_empty() {
                state.insert("met".to_owned(), Value::Object(host.met.clone()));
            }
            if !state.is_empty() {
                states.insert(name.clone(), Value::Object(state));
            }
        }
        let mut members = Map::new();
        members.insert(SHOWN.to_owned(), Value::Object(self.shown()));
        members.insert(STATES.to_owned(), Value::Object(states));
        Credential::of_members(members)
    }

    /// What people read of all hosts; wipe it with [`keysherd_wire::wipe`].
    pub fn all(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert(SHOWN.to_owned(), Value::Object(self.shown()));
        members
    }

    fn shown(&self) -> Map<String, Value> {
        let known = self.0.iter().filter_map(|(name, host)| Some((name, host.current.as_ref()?)));
        known.map(|(name, current)| (name.clone(), Value::Object(current.members()))).collect()
    }

    /// What people read of the host that they call so: with its port, or without where one host
    /// has that name only. Wipe it.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] for no host of it.
    pub fn of_host(&self, wanted: &str) -> Result<Map<String, Value>, Fault> {
        let wanted = wanted.trim().to_ascii_lowercase();
        let known = || self.0.iter().filter(|(_, host)| host.current.is_some());
        let called = |name: &str| {
            let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
            host == wanted || host.trim_matches(['[', ']']) == wanted
        };
        let exact = known().find(|(name, _)| **name == wanted);
        let mut alike = known().filter(|(name, _)| called(name));
        let found = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()));
        match found.and_then(|(_, host)| host.current.as_ref()) {
            Some(current) => Ok(current.members()),
            None => Err(Fault::new(
                FaultKind::NotFound,
                "there are no credentials for that host, or it has several ports; name it as the \
                 value does without host, such as web1:22",
            )),
        }
    }

    /// Whether a rotation did not reach some of them.
    pub fn are_behind(&self) -> bool {
        self.0.values().any(OnHost::is_behind)
    }

    /// Those of some host: whose user is that of all of them.
    pub fn any(&self) -> Option<Credential> {
        self.0.values().find_map(|host| host.current.as_ref()).map(copy)
    }
}

fn unreadable() -> Fault {
    Fault::internal("stored credentials of hosts cannot be read")
}
