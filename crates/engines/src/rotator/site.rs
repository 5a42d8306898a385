//! Changing credentials on many hosts: each by itself, as many as can be.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use keysherd_base::Fault;
use keysherd_targets::linked::{self, Host};
use keysherd_wire::{Args, wipe};
use tokio::sync::Semaphore;

use super::hosts::{Hosts, OnHost, copy};
use super::{Actor, Brought, Change, Credential, Rotator, Stage, bring_about};
use crate::fields::SAME_PASSWORD;
use crate::{BoxFuture, NOT_LET_IN, Settings, TargetUse, Way};

#[cfg(test)]
mod tests;

/// Hosts that are worked on at one time.
const AT_ONCE: usize = 8;
/// For how long somebody who was not heard of again may still set what was stored, in seconds from
/// when they began.
const QUIET_SECONDS: i64 = 900;

/// A linked target that a rotator works on.
pub struct Site<'a> {
    /// What changes credentials there.
    pub rotator: &'static dyn Rotator,
    /// The rotated secret's settings.
    pub settings: &'a Settings,
    /// The linked target's settings.
    pub linked: &'a Settings,
    /// Those of the target whose credentials it uses.
    pub parent: Option<&'a Settings>,
    /// Who changes credentials.
    pub actor: Actor,
    /// Time, randomness and the way out.
    pub way: &'a Way,
}

/// Which hosts get new credentials.
pub enum Which<'a> {
    /// All.
    All,
    /// Those that the last rotation did not reach.
    Behind,
    /// All, those which they had in this version.
    Back(&'a Hosts),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// Hosts that have new credentials.
    pub changed: usize,
    /// Hosts that have not, or of which nobody knows, each with why.
    pub failed: Vec<(String, Fault)>,
    /// Whether nobody knows of some.
    pub unknown: bool,
    /// What hosts warned of.
    pub warnings: Vec<String>,
}

impl Summary {
    /// Where nothing has changed, and why; `None`: everywhere it has. Nothing secret.
    pub fn partly(&self) -> Option<String> {
        let each = self.failed.iter().map(|(name, fault)| format!("{name}: {}", fault.public()));
        let text = each.collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then_some(text)
    }

    /// The same as a fault, of the first one's kind. Where some refuse whom was to be signed in,
    /// that counts: accounts are locked there.
    pub fn fault(mut self) -> Fault {
        self.failed.sort_by_key(|(_, fault)| fault.code() != NOT_LET_IN);
        let text = self.partly().unwrap_or_else(|| "there was no host to work on".to_owned());
        match self.failed.into_iter().next() {
            Some((_, first)) => alike(Fault::new(first.kind(), text), first),
            None => Fault::conflict(text),
        }
    }

    /// Whether some hosts refuse whom was to be signed in there.
    pub fn is_refused(&self) -> bool {
        self.failed.iter().any(|(_, fault)| fault.code() == NOT_LET_IN)
    }
}

/// One host as a target, with the settings that are for it.
pub(super) struct Place {
    pub(super) name: String,
    settings: Settings,
    target: Settings,
    kind: &'static str,
}

impl Place {
    pub(super) fn stage<'a>(&'a self, site: &Site<'a>) -> Stage<'a> {
        let target = TargetUse { type_name: self.kind, settings: &self.target };
        Stage { settings: &self.settings, target, actor: site.actor, way: site.way }
    }
}

impl Site<'_> {
    pub(super) fn places(&self, known: &Hosts) -> Result<Vec<Place>, Fault> {
        let kind = linked::hosts_type(self.linked)?;
        let hosts = linked::hosts(self.linked)?;
        hosts.iter().map(|host| self.place(host, kind, known)).collect()
    }

    fn place(&self, host: &Host, kind: &'static str, known: &Hosts) -> Result<Place, Fault> {
        let name = host.place();
        let target = linked::alone(host, kind, self.parent)?;
        let value = self.settings.to_value();
        let copied = Settings::from_value(&value);
        wipe(value);
        let mut args = Args::new();
        if let Some(host) = known.0.get(&name) {
            for field in self.rotator.kind().fields.fields {
                if let Some(value) = host.met.get(field.name) {
                    args.put(field.name, value.clone());
                }
            }
        }
        let settings = self.rotator.merged(&args, copied?)?;
        Ok(Place { name, settings, target, kind })
    }

    /// Whether settings and hosts make sense together; gives what their author should know.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn check(&self) -> Result<Vec<String>, Fault> {
        let mut warnings: Vec<String> = Vec::new();
        for place in self.places(&Hosts(BTreeMap::new()))? {
            for warning in self.rotator.check(&place.settings, &place.stage(self).target)? {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(warnings)
    }

    /// Whether these are of whom the target signs in on its hosts: see [`Rotator::is_keepers`].
    pub fn is_keepers(&self, given: &Credential) -> bool {
        let places = self.places(&Hosts(BTreeMap::new())).unwrap_or_default();
        places.iter().any(|place| self.rotator.is_keepers(&place.stage(self).target, given))
    }

    /// The credentials to begin with: those that are `given`, on every host, tried out there if
    /// `tried`; and what their author should know.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the hosts that do not take them; why, where no host can be
    /// asked.
    pub async fn first(
        &self,
        given: &Credential,
        tried: bool,
    ) -> Result<(Hosts, Vec<String>), Fault> {
        let mut hosts = Hosts(BTreeMap::new());
        for place in self.places(&hosts)? {
            let current = Some(copy(given));
            hosts.0.insert(place.name, OnHost { current, ..OnHost::default() });
        }
        if !tried {
            return Ok((hosts, Vec::new()));
        }
        let mut warnings = self.meet(&mut hosts).await?;
        let (mut refused, mut silent, mut taken) = (Vec::new(), Vec::new(), false);
        for (name, answer) in self.takes(&hosts, given).await? {
            match answer {
                Ok(true) => taken = true,
                Ok(false) => refused.push(name),
                Err(fault) => silent.push((name, fault)),
            }
        }
        if !refused.is_empty() {
            return Err(Fault::bad_request(format!(
                "these hosts do not let anybody in with these credentials, so they could not be \
                 rotated: {}; check them, or set skip-dry-run",
                refused.join(", ")
            )));
        }
        warnings.extend(silent.iter().map(|(name, fault)| {
            format!("{name} could not be asked, and is tried when credentials change: {fault}")
        }));
        match silent.into_iter().next() {
            Some((_, fault)) if !taken => Err(fault),
            _ => Ok((hosts, warnings)),
        }
    }

    /// The credentials as somebody says that they are now: on every host that takes them, or on all
    /// of them where it is not `tried`. None given: only what hosts are remembered by is asked for.
    ///
    /// # Errors
    /// [`Fault::bad_request`] where no host takes them.
    pub async fn corrected(
        &self,
        hosts: &mut Hosts,
        given: Option<&Credential>,
        tried: bool,
    ) -> Result<Vec<String>, Fault> {
        let mut warnings = Vec::new();
        if tried {
            warnings = self.meet(hosts).await?;
        }
        let Some(given) = given else { return Ok(warnings) };
        let answers = match tried {
            true => self.takes(hosts, given).await?,
            false => self.places(hosts)?.into_iter().map(|one| (one.name, Ok(true))).collect(),
        };
        let mut taken = false;
        for (name, answer) in answers {
            match answer {
                Ok(true) => {
                    taken = true;
                    let host = hosts.0.entry(name).or_default();
                    host.current = Some(copy(given));
                    host.maybe = None;
                }
                Ok(false) => warnings.push(format!("{name} does not take these credentials")),
                Err(fault) => warnings.push(format!("{name} could not be asked: {fault}")),
            }
        }
        match taken {
            true => Ok(warnings),
            false => Err(Fault::bad_request(format!(
                "no host takes these credentials; check them, or set skip-dry-run: {}",
                warnings.join("; ")
            ))),
        }
    }

    /// Remembers hosts that nobody has met; gives what their author should know.
    async fn meet(&self, hosts: &mut Hosts) -> Result<Vec<String>, Fault> {
        let places = self.places(hosts)?;
        let unmet = |one: &&Place| hosts.0.get(&one.name).is_none_or(|host| host.met.is_empty());
        let unmet: Vec<_> = places.iter().filter(unmet).collect();
        let each = unmet.into_iter().map(|place| -> (String, BoxFuture<'_, _>) {
            let asking = async move { self.rotator.met(&place.stage(self)).await };
            (place.name.clone(), Box::pin(asking))
        });
        let mut warnings = Vec::new();
        for (name, answer) in all(each.collect()).await {
            // Who does not answer is met another time, and gets nothing until then.
            let Ok((met, said)) = answer else { continue };
            warnings.extend(said);
            let host = hosts.0.entry(name).or_default();
            for field in met.names() {
                if let Some(value) = met.raw(field) {
                    host.met.insert(field.to_owned(), value.clone());
                }
            }
        }
        Ok(warnings)
    }

    async fn takes(
        &self,
        hosts: &Hosts,
        given: &Credential,
    ) -> Result<Vec<(String, Result<bool, Fault>)>, Fault> {
        let places = self.places(hosts)?;
        let each = places.iter().map(|place| -> (String, BoxFuture<'_, _>) {
            let trying = async move { self.rotator.signs_in(&place.stage(self), given).await };
            (place.name.clone(), Box::pin(trying))
        });
        Ok(all(each.collect()).await)
    }

    /// Writes down what hosts are to get, which has to be stored before anything is sent to them.
    /// Hosts that nobody has met are met if `meets`: somebody waits, and is told. `resumed`: what
    /// is there was written down by somebody else for the same rotation.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for what cannot be; [`Fault::internal`] when the random source
    /// fails.
    pub async fn plan(
        &self,
        hosts: &mut Hosts,
        which: &Which<'_>,
        (resumed, meets): (bool, bool),
    ) -> Result<Vec<String>, Fault> {
        let now = self.way.clock.now().0 / 1_000;
        let mut warnings = Vec::new();
        if !resumed {
            let places = self.places(hosts)?;
            // Who is no host any more is forgotten.
            hosts.0.retain(|name, _| places.iter().any(|one| one.name == *name));
            for place in places {
                hosts
                    .0
                    .entry(place.name)
                    .or_insert_with(|| OnHost { behind: true, ..OnHost::default() });
            }
        }
        if meets {
            warnings = self.meet(hosts).await?;
        }
        let places = self.places(hosts)?;
        let shared = self.shared(hosts, &places, which)?;
        let any = hosts.0.values().find_map(|host| host.current.as_ref()).map(copy);
        for place in &places {
            let Some(host) = hosts.0.get_mut(&place.name) else { continue };
            host.fresh = false;
            host.before = host.since;
            host.at_work = match (resumed, which) {
                (true, _) => host.maybe.is_some(),
                (false, Which::Behind) => host.is_behind(),
                (false, Which::All) => true,
                (false, Which::Back(older)) => older.0.contains_key(&place.name),
            };
            if !host.at_work {
                continue;
            }
            host.since = now;
            // What may be set already has to be the one that is set.
            if host.maybe.is_some() {
                continue;
            }
            let old = host.current.as_ref().or(any.as_ref());
            let old = old.ok_or_else(|| Fault::internal("no host has any credentials"))?;
            host.maybe = Some(match (which, &shared) {
                (Which::Back(older), _) => {
                    let version = older.0.get(&place.name).and_then(|one| one.current.as_ref());
                    copy(version.unwrap_or(old))
                }
                (_, Some(shared)) => of_user_of(old, shared),
                (_, None) => self.rotator.candidate(&place.stage(self), old)?,
            });
            host.fresh = true;
        }
        Ok(warnings)
    }

    fn is_shared(&self) -> bool {
        self.settings.text(&SAME_PASSWORD).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// What all hosts are to get, where that is one password.
    fn shared(
        &self,
        hosts: &Hosts,
        places: &[Place],
        which: &Which<'_>,
    ) -> Result<Option<Credential>, Fault> {
        if !self.is_shared() {
            return Ok(None);
        }
        let settled = |host: &&OnHost| !host.behind && host.maybe.is_none();
        let settled = hosts.0.values().filter(settled).find_map(|host| host.current.as_ref());
        let any = hosts.0.values().find_map(|host| host.current.as_ref());
        match (which, settled, any, places.first()) {
            (Which::Behind, Some(settled), ..) => Ok(Some(copy(settled))),
            (_, _, Some(any), Some(place)) => {
                self.rotator.candidate(&place.stage(self), any).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Sets what was written down, on each host by itself. `in_time` is as for
    /// [`super::bring_about`]. Afterwards `hosts` say what is known, to be stored.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for settings that cannot be: nothing was sent then.
    pub async fn bring_about(
        &self,
        hosts: &mut Hosts,
        in_time: &(dyn Fn() -> Result<(), Fault> + Sync),
    ) -> Result<Summary, Fault> {
        let now = self.way.clock.now().0 / 1_000;
        let places = self.places(hosts)?;
        let known = &*hosts;
        let any = known.0.values().find_map(|host| host.current.as_ref());
        let each = places.iter().filter_map(|place| {
            let host = known.0.get(&place.name).filter(|host| host.at_work)?;
            let (new, old) = (host.maybe.as_ref()?, host.current.as_ref().or(any)?);
            let change = Change { old, new, resumed: !host.fresh, beside: false };
            let changing: BoxFuture<'_, _> = Box::pin(async move {
                bring_about(self.rotator, &place.stage(self), &change, in_time).await
            });
            Some((place.name.clone(), changing))
        });
        let results = all(each.collect()).await;
        let shared = self.is_shared();
        let mut summary = Summary::default();
        for (name, brought) in results {
            let Some(host) = hosts.0.get_mut(&name) else { continue };
            match brought {
                Brought::Changed(warnings) => {
                    host.behind = false;
                    host.current = host.maybe.take();
                    summary.changed += 1;
                    summary.warnings.extend(warnings.iter().map(|text| format!("{name}: {text}")));
                }
                Brought::Unchanged(fault) => {
                    host.behind = true;
                    let is_refused = fault.code() == NOT_LET_IN;
                    if host.fresh || (!is_refused && now - host.before > QUIET_SECONDS) {
                        host.maybe = None;
                    } else if !is_refused {
                        // Somebody else may still set it.
                        summary.unknown = true;
                    }
                    summary.failed.push((name, fault));
                }
                Brought::Unknown(fault) => {
                    host.behind = true;
                    summary.unknown = true;
                    summary.failed.push((name, fault));
                }
            }
        }
        if shared {
            mark_others(hosts);
        }
        Ok(summary)
    }
}

/// A fault about many places like that of one of them.
pub(super) fn alike(fault: Fault, one: Fault) -> Fault {
    let fault = if one.code() == NOT_LET_IN { fault.with_code(NOT_LET_IN) } else { fault };
    fault.with_private(one)
}

/// The same as `shared`, of the user that `old` is of.
fn of_user_of(old: &Credential, shared: &Credential) -> Credential {
    let mut members = shared.members();
    if let Ok(user) = old.username() {
        members.insert("username".to_owned(), user.into());
    }
    Credential::of_members(members)
}

/// Marks hosts whose password is not the one that most have: they got what was written down for
/// them before that one was.
fn mark_others(hosts: &mut Hosts) {
    let settled = || hosts.0.values().filter(|host| !host.behind && host.maybe.is_none());
    let known: Vec<_> = settled().filter_map(|host| host.current.as_ref()).collect();
    let like = |one: &Credential| known.iter().filter(|other| is_alike(one, other)).count();
    let Some(common) = known.iter().max_by_key(|one| like(one)).map(|one| copy(one)) else {
        return;
    };
    for host in hosts.0.values_mut().filter(|host| !host.behind) {
        host.behind = host.current.as_ref().is_some_and(|one| !is_alike(one, &common));
    }
}

/// Whether two are the same, whoever they are of.
fn is_alike(one: &Credential, other: &Credential) -> bool {
    let (one, other) = (one.members(), of_user_of(one, other).members());
    let alike = one == other;
    wipe(one.into());
    wipe(other.into());
    alike
}

/// What comes of all of these, a few of which run at one time.
pub(super) async fn all<T>(named: Vec<(String, BoxFuture<'_, T>)>) -> Vec<(String, T)> {
    let places = Semaphore::new(AT_ONCE);
    let mut running: Vec<_> = named
        .into_iter()
        .map(|(name, work)| {
            let places = &places;
            let limited = Box::pin(async move {
                let _place = places.acquire().await;
                work.await
            });
            (name, Some(limited), None)
        })
        .collect();
    poll_fn(|context| {
        let mut left = false;
        for (_, work, done) in &mut running {
            let Some(one) = work else { continue };
            match one.as_mut().poll(context) {
                Poll::Ready(result) => {
                    *done = Some(result);
                    *work = None;
                }
                Poll::Pending => left = true,
            }
        }
        if left { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(name, _, done)| Some((name, done?))).collect()
}
