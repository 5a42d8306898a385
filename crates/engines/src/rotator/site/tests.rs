//! Several hosts, some of which do not answer: what is stored of each is what it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use keysherd_base::{FaultKind, SecretString};

use super::*;
use crate::rotator::{Everywhere, RotatorKind};
use crate::testing::{target_of, way};

/// What hosts take, and which of them do not answer, or take no new ones.
#[derive(Default)]
struct There {
    passwords: BTreeMap<String, String>,
    silent: BTreeSet<String>,
    stubborn: BTreeSet<String>,
    /// Those that refuse whom is to be signed in for it.
    closed: BTreeSet<String>,
    /// Those that take new ones and say nothing.
    dumb: BTreeSet<String>,
    /// Those that say nothing of new ones, and take them later.
    late: BTreeSet<String>,
    /// Whether something is remembered of them.
    memorable: bool,
    drawn: usize,
}

struct Fake(Mutex<There>);

/// The hosts of this test alone.
fn fake() -> &'static Fake {
    Box::leak(Box::new(Fake(Mutex::new(There::default()))))
}

fn host_of(stage: &Stage<'_>) -> String {
    keysherd_targets::ssh_machine(stage.target.settings).unwrap().place().to_string()
}

fn credential(password: &str) -> Credential {
    Credential::of_user("u", &SecretString::new(password.to_owned()))
}

fn password(credential: &Credential) -> String {
    credential.password().unwrap().expose().clone()
}

impl Rotator for Fake {
    fn kind(&self) -> &'static RotatorKind {
        crate::rotators::by_name("ssh").unwrap().kind()
    }

    fn check(&self, _: &Settings, _: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        Ok(vec!["the same for all".to_owned()])
    }

    fn met<'a>(&'a self, _: &'a Stage<'a>) -> BoxFuture<'a, Result<(Args, Vec<String>), Fault>> {
        let mut args = Args::new();
        if self.0.lock().unwrap().memorable {
            args.put("host-key", "SHA256:x".into());
        }
        Box::pin(std::future::ready(Ok((args, Vec::new()))))
    }

    fn candidate(&self, _: &Stage<'_>, _: &Credential) -> Result<Credential, Fault> {
        let mut there = self.0.lock().unwrap();
        there.drawn += 1;
        Ok(credential(&format!("drawn-{}", there.drawn)))
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        _: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        let (host, mut there) = (host_of(stage), self.0.lock().unwrap());
        let answer = if there.silent.contains(&host) {
            Err(Fault::unavailable("no route").with_code(crate::NOT_REACHED))
        } else if there.closed.contains(&host) {
            Err(Fault::forbidden("wrong password").with_code(NOT_LET_IN))
        } else if there.stubborn.contains(&host) {
            Err(Fault::forbidden("too simple"))
        } else if there.late.contains(&host) {
            Err(Fault::unavailable("no answer"))
        } else {
            there.passwords.insert(host.clone(), password(new));
            match there.dumb.contains(&host) {
                true => Err(Fault::unavailable("no answer")),
                false => Ok(vec!["warned".to_owned()]),
            }
        };
        Box::pin(std::future::ready(answer))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        let (host, there) = (host_of(stage), self.0.lock().unwrap());
        let answer = match there.silent.contains(&host) || there.dumb.contains(&host) {
            true => Err(Fault::unavailable("no answer")),
            false => Ok(there.passwords.get(&host) == Some(&password(credential))),
        };
        Box::pin(std::future::ready(answer))
    }
}

struct Scene {
    fake: &'static Fake,
    settings: Settings,
    linked: Settings,
    way: Way,
}

impl Scene {
    fn new(same: bool) -> Self {
        let fake = fake();
        for host in ["a:22", "b:22", "c:23", "d:22"] {
            fake.0.lock().unwrap().passwords.insert(host.to_owned(), "first".to_owned());
        }
        let mut args = Args::new();
        args.put(SAME_PASSWORD.name(), same.to_string().into());
        let settings = fake.merged(&args, Settings::default()).unwrap();
        let linked = target_of("linked", &[("hosts", "a,b,c:23")]);
        Self { fake, settings, linked, way: way() }
    }

    fn site(&self) -> Site<'_> {
        let (settings, linked, way) = (&self.settings, &self.linked, &self.way);
        Site { rotator: self.fake, settings, linked, parent: None, actor: Actor::Owner, way }
    }

    fn there(&self) -> std::sync::MutexGuard<'_, There> {
        self.fake.0.lock().unwrap()
    }

    async fn first(&self) -> Hosts {
        self.site().first(&credential("first"), true).await.unwrap().0
    }

    /// Plans and sets, by way of what is stored in between.
    async fn rotated(&self, hosts: &Hosts, which: &Which<'_>) -> (Hosts, Summary) {
        let mut hosts = stored(hosts);
        self.site().plan(&mut hosts, which, (false, false)).await.unwrap();
        let summary = self.site().bring_about(&mut hosts, &|| Ok(())).await.unwrap();
        (stored(&hosts), summary)
    }

    /// What is read of each, where it takes that.
    fn agree(&self, hosts: &Hosts) -> bool {
        let there = self.there();
        hosts.0.iter().all(|(name, host)| {
            host.current.as_ref().map(password).as_ref() == there.passwords.get(name)
        })
    }
}

fn stored(hosts: &Hosts) -> Hosts {
    Hosts::read(&hosts.stored()).unwrap().unwrap()
}

fn current(hosts: &Hosts, name: &str) -> String {
    password(hosts.0[name].current.as_ref().unwrap())
}

#[tokio::test]
async fn every_host_gets_its_own_and_one_that_is_silent_keeps_its_old_one_and_follows() {
    let scene = Scene::new(false);
    let first = scene.first().await;
    assert_eq!(scene.site().check().unwrap(), ["the same for all"]);
    let (second, summary) = scene.rotated(&first, &Which::All).await;
    assert_eq!((summary.changed, summary.partly(), summary.unknown), (3, None, false));
    assert!(scene.agree(&second) && !second.are_behind());
    let all: BTreeSet<_> = ["a:22", "b:22", "c:23"].map(|name| current(&second, name)).into();
    assert_eq!(all.len(), 3);

    scene.there().silent.insert("b:22".to_owned());
    let (third, summary) = scene.rotated(&second, &Which::All).await;
    assert_eq!((summary.changed, summary.unknown), (2, false));
    assert_eq!(summary.partly().unwrap(), "b:22: no route");
    assert_eq!(current(&third, "b:22"), current(&second, "b:22"));
    assert!(scene.agree(&third) && third.are_behind());
    let (_, summary) = scene.rotated(&third, &Which::Behind).await;
    assert_eq!((summary.changed, summary.failed.len()), (0, 1));

    scene.there().silent.clear();
    let (fourth, summary) = scene.rotated(&third, &Which::Behind).await;
    assert_eq!((summary.changed, summary.partly()), (1, None));
    assert!(scene.agree(&fourth) && !fourth.are_behind());
    assert_eq!(current(&fourth, "a:22"), current(&third, "a:22"), "it was not touched");
    assert_ne!(current(&fourth, "b:22"), current(&third, "b:22"));
    // A version that somebody wants again.
    let (back, _) = scene.rotated(&fourth, &Which::Back(&first)).await;
    assert!(scene.agree(&back) && current(&back, "a:22") == "first");
}

#[tokio::test]
async fn that_some_refuse_whom_is_signed_in_is_not_lost_among_many() {
    let scene = Scene::new(false);
    let first = scene.first().await;
    scene.there().silent.insert("a:22".to_owned());
    let (first, summary) = scene.rotated(&first, &Which::All).await;
    assert!(!summary.is_refused());
    scene.there().closed.insert("b:22".to_owned());
    let (second, summary) = scene.rotated(&first, &Which::All).await;
    assert!(summary.is_refused() && summary.changed == 1);
    assert!(scene.agree(&second));
    scene.there().closed.insert("c:23".to_owned());
    let (_, summary) = scene.rotated(&second, &Which::All).await;
    let fault = summary.fault();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, NOT_LET_IN));
    assert!(fault.public().contains("a:22: no route"), "{fault}");
    // Those that share one.
    let scene = Scene::new(false);
    scene.there().silent.insert("a:22".to_owned());
    let (brought, _) = everywhere(&scene, false).await;
    assert!(matches!(&brought, Brought::Unchanged(why) if why.code() != NOT_LET_IN));
    scene.there().passwords.insert("c:23".to_owned(), "other".to_owned());
    let (brought, _) = everywhere(&scene, false).await;
    assert!(matches!(&brought, Brought::Unchanged(why) if why.code() == NOT_LET_IN));
}

/// A host whose user is locked refuses what it has, too.
#[tokio::test]
async fn what_a_locked_host_may_have_is_kept_however_long_it_is_locked() {
    let scene = Scene::new(false);
    let first = scene.first().await;
    scene.there().dumb.insert("b:22".to_owned());
    let (mut hosts, _) = scene.rotated(&first, &Which::All).await;
    scene.there().dumb.clear();
    let has = scene.there().passwords.insert("b:22".to_owned(), "nobody's".to_owned()).unwrap();
    scene.there().closed.insert("b:22".to_owned());
    for _ in 0..3 {
        // As an hour later.
        hosts.0.get_mut("b:22").unwrap().since -= 4 * QUIET_SECONDS;
        let (after, summary) = scene.rotated(&hosts, &Which::All).await;
        assert!(summary.is_refused() && summary.changed == 2 && !summary.unknown);
        hosts = after;
    }
    scene.there().closed.clear();
    scene.there().passwords.insert("b:22".to_owned(), has.clone());
    let (hosts, summary) = scene.rotated(&hosts, &Which::Behind).await;
    assert_eq!((summary.changed, current(&hosts, "b:22")), (1, has));
    assert!(scene.agree(&hosts) && !hosts.are_behind());
}

#[tokio::test]
async fn what_may_have_been_set_is_kept_until_somebody_has_found_out() {
    let scene = Scene::new(false);
    let first = scene.first().await;
    scene.there().dumb.insert("b:22".to_owned());
    let (second, summary) = scene.rotated(&first, &Which::All).await;
    assert!(summary.unknown && summary.changed == 2);
    assert_eq!(current(&second, "b:22"), "first", "nobody knows better");
    let maybe = password(second.0["b:22"].maybe.as_ref().unwrap());
    assert_eq!(scene.there().passwords["b:22"], maybe);
    // It is found to be set, and not set once more.
    scene.there().dumb.clear();
    scene.there().stubborn.insert("b:22".to_owned());
    let (third, summary) = scene.rotated(&second, &Which::Behind).await;
    assert_eq!((summary.changed, current(&third, "b:22")), (1, maybe));
    assert!(scene.agree(&third) && !third.are_behind());
}

#[tokio::test]
async fn whoever_follows_a_gateway_that_ended_finds_out_where_it_stopped() {
    for reached in [vec![], vec!["a:22"], vec!["a:22", "b:22", "c:23"]] {
        let scene = Scene::new(false);
        let mut planned = scene.first().await;
        scene.site().plan(&mut planned, &Which::All, (false, false)).await.unwrap();
        let mut found = stored(&planned);
        for name in &reached {
            let set = password(found.0[*name].maybe.as_ref().unwrap());
            scene.there().passwords.insert((*name).to_owned(), set);
        }
        let meant: Vec<_> = found.0.values().map(|h| password(h.maybe.as_ref().unwrap())).collect();
        scene.site().plan(&mut found, &Which::All, (true, false)).await.unwrap();
        let summary = scene.site().bring_about(&mut found, &|| Ok(())).await.unwrap();
        assert_eq!((summary.changed, summary.partly()), (3, None), "{reached:?}");
        assert!(scene.agree(&found) && !found.are_behind());
        let now: Vec<_> = found.0.values().map(|h| password(h.current.as_ref().unwrap())).collect();
        assert_eq!(now, meant, "the very same");
    }
}

#[tokio::test]
async fn what_somebody_else_may_still_set_is_not_forgotten() {
    let scene = Scene::new(false);
    let mut planned = scene.first().await;
    scene.site().plan(&mut planned, &Which::All, (false, false)).await.unwrap();
    let mut found = stored(&planned);
    scene.there().stubborn.insert("a:22".to_owned());
    scene.site().plan(&mut found, &Which::All, (true, false)).await.unwrap();
    let summary = scene.site().bring_about(&mut found, &|| Ok(())).await.unwrap();
    assert!(summary.unknown && summary.changed == 2);
    assert!(found.0["a:22"].maybe.is_some() && found.0["a:22"].behind);
    // Nobody who stood still that long comes back.
    let mut later = stored(&found);
    later.0.get_mut("a:22").unwrap().since -= QUIET_SECONDS + 1;
    let (later, summary) = scene.rotated(&later, &Which::Behind).await;
    assert!(!summary.unknown && later.0["a:22"].maybe.is_none() && later.0["a:22"].behind);
    assert!(scene.agree(&later));
}

#[tokio::test]
async fn one_password_for_all_reaches_those_that_follow_later() {
    let scene = Scene::new(true);
    let first = scene.first().await;
    scene.there().silent.insert("b:22".to_owned());
    let (second, _) = scene.rotated(&first, &Which::All).await;
    assert_eq!(current(&second, "a:22"), current(&second, "c:23"));
    scene.there().silent.clear();
    let (third, _) = scene.rotated(&second, &Which::Behind).await;
    assert_eq!(current(&third, "b:22"), current(&third, "a:22"));
    assert!(scene.agree(&third) && !third.are_behind());
    // What was written down for a host earlier is set first, then the one of all.
    scene.there().dumb.insert("b:22".to_owned());
    let (fourth, _) = scene.rotated(&third, &Which::All).await;
    scene.there().dumb.clear();
    let (fifth, _) = scene.rotated(&fourth, &Which::All).await;
    assert!(scene.agree(&fifth) && fifth.0["b:22"].behind, "another one than the others");
    let (sixth, _) = scene.rotated(&fifth, &Which::Behind).await;
    assert_eq!(current(&sixth, "b:22"), current(&sixth, "c:23"));
    assert!(scene.agree(&sixth) && !sixth.are_behind());
}

#[tokio::test]
async fn hosts_come_and_go_and_nothing_is_read_of_one_that_has_nothing() {
    let mut scene = Scene::new(false);
    let first = scene.first().await;
    scene.linked = target_of("linked", &[("hosts", "b,d")]);
    scene.there().silent.insert("d:22".to_owned());
    let (second, summary) = scene.rotated(&first, &Which::All).await;
    assert_eq!(summary.changed, 1);
    assert!(second.0["d:22"].current.is_none() && second.of_host("d").is_err());
    assert_eq!(second.0.len(), 2);
    scene.there().silent.clear();
    let (third, _) = scene.rotated(&second, &Which::Behind).await;
    assert!(scene.agree(&third) && third.of_host("d").is_ok());
}

#[tokio::test]
async fn a_host_that_was_only_met_follows() {
    let mut scene = Scene::new(false);
    let mut hosts = scene.first().await;
    scene.linked = target_of("linked", &[("hosts", "a,b,c:23,d")]);
    scene.there().memorable = true;
    assert!(scene.site().corrected(&mut hosts, None, true).await.unwrap().is_empty());
    let met = stored(&hosts);
    assert!(met.are_behind() && met.of_host("d").is_err());
    let (followed, summary) = scene.rotated(&met, &Which::Behind).await;
    assert_eq!((summary.changed, summary.partly()), (1, None));
    assert!(scene.agree(&followed) && !followed.are_behind() && followed.of_host("d").is_ok());
    assert_eq!(current(&followed, "a:22"), "first", "it was not touched");
}

#[tokio::test]
async fn nothing_is_sent_when_the_work_may_be_somebody_elses() {
    let scene = Scene::new(false);
    let mut hosts = scene.first().await;
    scene.site().plan(&mut hosts, &Which::All, (false, false)).await.unwrap();
    let late = || Err(Fault::unavailable("too late"));
    let summary = scene.site().bring_about(&mut hosts, &late).await.unwrap();
    assert_eq!((summary.changed, summary.failed.len(), summary.unknown), (0, 3, false));
    assert!(scene.agree(&hosts));
}

#[tokio::test]
async fn credentials_that_hosts_do_not_take_are_refused_and_silent_hosts_are_told_of() {
    let scene = Scene::new(false);
    scene.there().passwords.insert("b:22".to_owned(), "other".to_owned());
    let fault = scene.site().first(&credential("first"), true).await.err().unwrap();
    assert!(fault.public().contains("b:22") && !fault.public().contains("a:22"), "{fault}");
    scene.there().silent.insert("b:22".to_owned());
    let (_, warnings) = scene.site().first(&credential("first"), true).await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("b:22"), "{warnings:?}");
    for host in ["a:22", "c:23"] {
        scene.there().silent.insert(host.to_owned());
    }
    assert!(scene.site().first(&credential("first"), true).await.is_err(), "nobody was asked");
    // Somebody says what one host has: it is what that host gets, and no other.
    scene.there().silent.clear();
    let mut hosts = scene.site().first(&credential("first"), false).await.unwrap().0;
    let given = credential("other");
    let warnings = scene.site().corrected(&mut hosts, Some(&given), true).await.unwrap();
    assert_eq!((current(&hosts, "b:22").as_str(), warnings.len()), ("other", 2));
    assert!(scene.agree(&hosts));
    let nobodys = credential("nobody's");
    assert!(scene.site().corrected(&mut hosts, Some(&nobodys), true).await.is_err());
    assert!(scene.agree(&hosts));
}

/// Changes one password on all hosts; what is said of it, and what they take then.
async fn everywhere(scene: &Scene, resumed: bool) -> (Brought, Vec<String>) {
    let hosts = linked::hosts(&scene.linked).unwrap();
    let place = |host: &Host| (host.place(), linked::alone(host, "ssh", None).unwrap());
    let places = hosts.iter().map(place).collect();
    let (rotator, settings, way) = (scene.fake, &scene.settings, &scene.way);
    let all = Everywhere { rotator, settings, kind: "ssh", places, way };
    let (old, new) = (credential("first"), credential("new"));
    let change = Change { old: &old, new: &new, resumed, beside: false };
    let brought = all.bring_about(&change, &|| Ok(())).await;
    let there = scene.there();
    (brought, ["a:22", "b:22", "c:23"].map(|name| there.passwords[name].clone()).into())
}

#[tokio::test]
async fn a_password_of_all_changes_everywhere_or_nowhere() {
    let (before, after) = (vec!["first"; 3], vec!["new"; 3]);
    let scene = Scene::new(false);
    let (brought, taken) = everywhere(&scene, false).await;
    assert!(matches!(brought, Brought::Changed(said) if said.len() == 3));
    assert_eq!(taken, after);
    // One is not there, or has another one: nothing is sent to any.
    let scene = Scene::new(false);
    scene.there().silent.insert("b:22".to_owned());
    let (brought, taken) = everywhere(&scene, false).await;
    assert!(matches!(&brought, Brought::Unchanged(why) if why.public().contains("b:22")));
    assert_eq!(taken, before);
    let scene = Scene::new(false);
    scene.there().passwords.insert("b:22".to_owned(), "other".to_owned());
    let (brought, taken) = everywhere(&scene, false).await;
    assert!(matches!(brought, Brought::Unchanged(_)) && taken == ["first", "other", "first"]);
    // One refuses the new one: the others get the old one again.
    let scene = Scene::new(false);
    scene.there().stubborn.insert("c:23".to_owned());
    let (brought, taken) = everywhere(&scene, false).await;
    assert!(matches!(&brought, Brought::Unchanged(why) if why.public().contains("c:23")));
    assert_eq!(taken, before);
}

#[tokio::test]
async fn whoever_follows_brings_all_to_the_new_one_or_back() {
    let scene = Scene::new(false);
    scene.there().passwords.insert("a:22".to_owned(), "new".to_owned());
    let (brought, taken) = everywhere(&scene, true).await;
    assert!(matches!(brought, Brought::Changed(_)) && taken == ["new"; 3]);
    // While one does not answer nobody knows of it, and the others take what people read.
    let scene = Scene::new(false);
    scene.there().passwords.insert("a:22".to_owned(), "new".to_owned());
    scene.there().silent.insert("b:22".to_owned());
    let (brought, taken) = everywhere(&scene, true).await;
    assert!(matches!(brought, Brought::Unknown(_)) && taken == ["first"; 3]);
}

#[tokio::test]
async fn what_one_may_still_take_later_is_not_forgotten_although_all_take_the_old_one() {
    let scene = Scene::new(false);
    scene.there().late.insert("b:22".to_owned());
    let (brought, taken) = everywhere(&scene, false).await;
    assert!(matches!(&brought, Brought::Unknown(why) if why.public().contains("b:22")));
    assert_eq!(taken, ["first"; 3]);
    // It comes; whoever follows finds it and brings the others along.
    {
        let mut there = scene.there();
        there.late.clear();
        there.passwords.insert("b:22".to_owned(), "new".to_owned());
    }
    let (brought, taken) = everywhere(&scene, true).await;
    assert!(matches!(brought, Brought::Changed(_)) && taken == ["new"; 3]);
}
