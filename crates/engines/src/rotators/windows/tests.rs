//! Passwords on a stand-in for Windows: see [`super::stand_in`].

use std::time::Duration;

use keysherd_base::FaultKind;
use keysherd_targets::{by_name as target_by_name, linked};

use super::stand_in::{Ill, Machine};
use super::*;
use crate::rotator::{Brought, Change, Everywhere};
use crate::testing::rotation::{Site, credential};
use crate::testing::{target_of, way};
use crate::windows::stand_in::script_of;
use crate::{NOT_LET_IN, NOT_REACHED};

const ADMIN: &str = "admin-1";

fn target(machine: &Machine, more: &[(&'static str, &str)]) -> Settings {
    let port = machine.stub.url.rsplit(':').next().unwrap();
    let plain = [
        ("hostname", "127.0.0.1"),
        ("port", port),
        ("username", "Administrator"),
        ("password", ADMIN),
        ("certificate", machine.authority.as_str()),
    ];
    target_of("windows", &plain.iter().chain(more).copied().collect::<Vec<_>>())
}

fn site(machine: &Machine, actor: Actor) -> Site {
    Site::new(&MEMBER, target(machine, &[]), actor)
}

#[tokio::test]
async fn a_user_and_the_target_change_passwords() {
    let machine = Machine::start(Ill::No).await;
    let last = site(&machine, Actor::Owner).rotates("own", "first-1").await;
    let password = last.password().unwrap();
    site(&machine, Actor::Target).rotates("own", password.expose()).await;
    site(&machine, Actor::Target).rotates("app", "first-1").await;
    // The target's own, by itself.
    let target = target(&machine, &[]);
    let own = MEMBER.of_target(&TargetUse { type_name: "windows", settings: &target }).unwrap();
    assert_eq!(
        (own.username().unwrap(), own.password().unwrap().expose().as_str()),
        ("Administrator", ADMIN)
    );
    site(&machine, Actor::Owner).rotates("Administrator", ADMIN).await;
    // What was secret was in no command and in no address.
    for asked in machine.stub.asked() {
        for secret in [ADMIN, "first-1", last.password().unwrap().expose().as_str()] {
            assert!(!asked.body.contains(secret) && !asked.line.contains(secret));
        }
    }
}

#[tokio::test]
async fn hosts_of_a_linked_target_change_passwords_each_by_itself() {
    let machines = [Machine::start(Ill::No).await, Machine::start(Ill::No).await];
    let port = |machine: &Machine| machine.stub.url.rsplit(':').next().unwrap().to_owned();
    let places = machines.iter().map(|machine| format!("127.0.0.1:{}", port(machine)));
    let places: Vec<_> = places.collect();
    let hosts = places.join(",");
    let linked = target_of("linked", &[("hosts", &hosts), ("type", "windows")]);
    // What the parent says besides is true of each host: here who vouches for them.
    let vouch = format!("{}{}", machines[0].authority, machines[1].authority);
    let parent = target(&machines[0], &[("certificate", &vouch)]);
    let (settings, way) = (Settings::default(), way());
    let linked_site = |actor| crate::rotator::Site {
        rotator: &MEMBER,
        settings: &settings,
        linked: &linked,
        parent: Some(&parent),
        actor,
        way: &way,
    };
    let given = |password: &str| Credential::of_user("app", &SecretString::new(password.into()));
    for actor in [Actor::Target, Actor::Owner] {
        let site = linked_site(actor);
        assert!(site.check().unwrap().is_empty());
        let named = |name| Credential::of_user(name, &SecretString::new("x".into()));
        assert!(site.is_keepers(&named("Administrator")) && !site.is_keepers(&named("app")));
        for machine in &machines {
            let mut users = machine.users.lock().unwrap();
            users.insert("app".to_owned(), "first-1".to_owned());
        }
        let (mut hosts, _) = site.first(&given("first-1"), true).await.unwrap();
        let refused = site.first(&given("wrong-1"), true).await.err().unwrap();
        assert!(refused.public().contains(&places[1]), "{refused}");
        // One whose password somebody changed keeps what it has, and is said so.
        let by_hand = "changed-by-hand".to_owned();
        if actor == Actor::Owner {
            machines[1].users.lock().unwrap().insert("app".to_owned(), by_hand.clone());
        }
        site.plan(&mut hosts, &crate::rotator::Which::All, (false, false)).await.unwrap();
        let summary = site.bring_about(&mut hosts, &|| Ok(())).await.unwrap();
        let of = |machine: &Machine| machine.users.lock().unwrap()["app"].clone();
        let now = [of(&machines[0]), of(&machines[1])];
        let read = |place: &str| hosts.of_host(place).unwrap()["password"].clone();
        assert_eq!(read(&places[0]), now[0]);
        assert!(now[0] != "first-1" && now[0] != now[1]);
        match actor {
            Actor::Target => {
                assert_eq!((summary.changed, summary.partly()), (2, None));
                assert_eq!(read(&places[1]), now[1]);
            }
            Actor::Owner => {
                assert_eq!((summary.changed, summary.failed.len()), (1, 1));
                assert!(summary.partly().unwrap().contains(&places[1]));
                assert_eq!(now[1], by_hand);
            }
        }
    }
}

#[tokio::test]
async fn the_parents_own_password_changes_on_all_hosts_or_on_none() {
    let machines = [Machine::start(Ill::No).await, Machine::start(Ill::No).await];
    let places = machines.iter().map(|machine| {
        let target = target(machine, &[]);
        let (name, settings) = linked::itself("windows", &target).unwrap();
        assert!(name.starts_with("127.0.0.1:"));
        (name, settings)
    });
    let (settings, way) = (Settings::default(), way());
    let (rotator, places) = (&MEMBER, places.collect());
    let all = Everywhere { rotator, settings: &settings, kind: "windows", places, way: &way };
    let own =
        |password: &str| Credential::of_user("Administrator", &SecretString::new(password.into()));
    let (old, new, newer) = (own(ADMIN), own("admin-new-2"), own("admin-new-3"));
    let now = || {
        let of = |machine: &Machine| machine.users.lock().unwrap()["Administrator"].clone();
        [of(&machines[0]), of(&machines[1])]
    };
    let change = Change { old: &old, new: &new, resumed: false, beside: false };
    match all.bring_about(&change, &|| Ok(())).await {
        Brought::Changed(said) => assert!(said.is_empty(), "{said:?}"),
        Brought::Unchanged(fault) | Brought::Unknown(fault) => panic!("{fault}"),
    }
    assert_eq!(now(), ["admin-new-2", "admin-new-2"]);
    // One host takes another password, so nothing is sent to either.
    let other = "changed-by-hand".to_owned();
    machines[1].users.lock().unwrap().insert("Administrator".to_owned(), other.clone());
    let change = Change { old: &new, new: &newer, resumed: false, beside: false };
    assert!(matches!(all.bring_about(&change, &|| Ok(())).await, Brought::Unchanged(_)));
    assert_eq!(now(), ["admin-new-2".to_owned(), other]);
}

#[test]
fn hosts_without_a_parent_have_nobody_of_their_own() {
    let linked = target_of("linked", &[("hosts", "w1.example,w2.example"), ("type", "windows")]);
    let (settings, way) = (Settings::default(), way());
    let site = crate::rotator::Site {
        rotator: &MEMBER,
        settings: &settings,
        linked: &linked,
        parent: None,
        actor: Actor::Owner,
        way: &way,
    };
    assert!(site.check().unwrap().is_empty());
    let anybody = Credential::of_user("Administrator", &SecretString::new("x".into()));
    assert!(!site.is_keepers(&anybody));
}

#[tokio::test]
async fn an_answer_that_comes_late_is_waited_for() {
    let machine = Machine::start(Ill::Late).await;
    let site = site(&machine, Actor::Target);
    let old = credential("app", "first-1");
    let new = site.next(&old);
    site.change(&old, &new).await.unwrap();
    assert!(site.signs_in(&new).await && !site.signs_in(&old).await);
}

#[tokio::test]
async fn nothing_in_a_name_or_a_password_becomes_a_command() {
    let machine = Machine::start(Ill::No).await;
    let site = site(&machine, Actor::Target);
    let mut old = credential("app", "first-1");
    for hostile in [
        "';calc;'x",
        "\u{2019};calc;\u{2018}",
        "$(calc)``x",
        "a\r\nb;calc",
        "<&>\"]]>x",
        "üö %PATH%",
    ] {
        let new = credential("app", hostile);
        site.change(&old, &new).await.unwrap();
        assert_eq!(machine.users.lock().unwrap()["app"], hostile);
        assert!(site.signs_in(&new).await);
        old = new;
    }
    for name in ["a';calc;'b/c", "*", "a\\b", "a:b", "", "a\nb", "a@b", "a,user"] {
        let bad = credential(name, "first-1");
        let fault = site.change(&bad, &site.next(&bad)).await.unwrap_err();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::BadRequest, NOT_REACHED), "{name}");
        assert!(fault.public().contains("rotated-username"), "{fault}");
        let mut given = Args::new();
        given.put("rotated-username", name.into());
        given.put("rotated-password", "x".into());
        assert_eq!(MEMBER.first(&given).err().unwrap().kind(), FaultKind::BadRequest, "{name:?}");
    }
    // Each command is one of ours, and the same for everybody.
    let commands = machine.stub.asked().into_iter().filter_map(|asked| {
        let (_, rest) = asked.body.split_once("<rsp:Command>")?;
        Some(rest.split_once("</rsp:Command>")?.0.to_owned())
    });
    let commands: Vec<_> = commands.collect();
    assert_eq!(commands.len(), 6);
    assert!(commands.iter().all(|command| script_of(command) == Some(Script::Set)));
}

#[tokio::test]
async fn who_may_not_and_what_is_refused_is_said_and_nothing_changes() {
    let machine = Machine::start(Ill::No).await;
    let before = machine.users.lock().unwrap().clone();
    let by_owner = site(&machine, Actor::Owner);
    let wrong = credential("own", "canary-wrong");
    let refused = by_owner.change(&wrong, &by_owner.next(&wrong)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::Forbidden, NOT_LET_IN));
    assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    let by_target = site(&machine, Actor::Target);
    let nobody = credential("nobody", "first-1");
    let refused = by_target.change(&nobody, &by_target.next(&nobody)).await.unwrap_err();
    assert!(refused.public().contains("no such local user"), "{refused}");
    let old = credential("app", "first-1");
    let refused = by_target.change(&old, &credential("app", "x7x")).await.unwrap_err();
    assert!(refused.public().contains("rules for passwords"), "{refused}");
    assert!(!format!("{refused:?}").contains("x7x"), "{refused:?}");
    let poor = target(&machine, &[("username", "own"), ("password", "first-1")]);
    let poor = Site::new(&MEMBER, poor, Actor::Target);
    let refused = poor.change(&old, &poor.next(&old)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Forbidden, "{refused}");
    assert_eq!(*machine.users.lock().unwrap(), before);
}

#[tokio::test]
async fn what_does_not_speak_winrm_as_it_should_is_not_believed() {
    for (ill, said) in [
        (Ill::DocumentType, "does not speak WinRM"),
        (Ill::Text, "does not speak WinRM"),
        (Ill::Identifier, "does not speak WinRM"),
        (Ill::Flood, "says too much"),
        (Ill::NoBase64, "does not speak WinRM"),
        (Ill::Endless, "does not end"),
        (Ill::Refusal, "code 2150858770"),
        (Ill::Denied, "lets this user do nothing"),
    ] {
        let machine = Machine::start(ill).await;
        let mut site = site(&machine, Actor::Target);
        // The one that does not end is given up for the number of its answers.
        site.limit(Duration::from_secs(300));
        let old = credential("app", "first-1");
        let fault = site.change(&old, &site.next(&old)).await.unwrap_err();
        assert!(fault.public().contains(said), "{ill:?}: {fault}");
        assert!(!format!("{fault:?}").contains(ADMIN), "{ill:?}");
        if ill == Ill::Denied {
            // The password is right, whatever it lets this user do.
            assert!(site.signs_in(&old).await);
        }
    }
}

#[tokio::test]
async fn a_machine_that_nobody_vouches_for_gets_nothing() {
    let (ours, other) = (Machine::start(Ill::No).await, Machine::start(Ill::No).await);
    let probe = target_by_name("windows").unwrap();
    probe.probe(&target(&ours, &[]), &way()).await.unwrap();
    let before = ours.stub.asked().len();
    let foreign = target(&ours, &[("certificate", other.authority.as_str())]);
    for target in [foreign, target(&ours, &[("hostname", "localhost")])] {
        let fault = probe.probe(&target, &way()).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        let site = Site::new(&MEMBER, target, Actor::Target);
        let old = credential("app", "first-1");
        let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
        assert_eq!(refused.code(), NOT_REACHED);
    }
    assert_eq!(ours.stub.asked().len(), before);
    let wrong = target(&ours, &[("password", "canary-wrong")]);
    let fault = probe.probe(&wrong, &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[tokio::test]
async fn a_machine_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let machine = Machine::start(Ill::No).await;
    let mut site = Site::new(&MEMBER, target(&machine, &[("port", &port)]), Actor::Target);
    site.limit(Duration::from_millis(200));
    let old = credential("app", "first-1");
    let fault = site.change(&old, &site.next(&old)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
}

#[test]
fn targets_that_make_no_sense_are_refused_by_name() {
    let plain = [("hostname", "w.example"), ("username", "a"), ("password", "x")];
    let check = |more: (&'static str, &str)| {
        let given: Vec<_> = plain.iter().copied().filter(|(name, _)| *name != more.0).collect();
        let target = target_of("windows", &[&given[..], &[more]].concat());
        Site::new(&MEMBER, target, Actor::Target).check()
    };
    check(("domain", ".")).unwrap();
    for (field, value) in [
        ("use-tls", "false"),
        ("domain", "corp"),
        ("certificate", "canary"),
        ("port", "0"),
        ("hostname", "a b"),
        ("username", "a:b"),
    ] {
        let fault = check((field, value)).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let target = target_of("windows", &plain);
    let short = Site::with(&MEMBER, target, Actor::Owner, &[("password-length", "1")]);
    assert!(short.check().unwrap_err().public().contains("password-length"));
}

#[test]
fn the_targets_own_user_is_known_in_capitals_too() {
    let plain = [("hostname", "w.example"), ("username", "Keeper"), ("password", "x")];
    let site = Site::new(&MEMBER, target_of("windows", &plain), Actor::Target);
    let is_keepers = |name: &str| {
        let given = Credential::of_user(name, &SecretString::new("any".to_owned()));
        MEMBER.is_keepers(&site.stage().target, &given)
    };
    assert!(is_keepers("Keeper") && is_keepers("KEEPER") && is_keepers("keeper"));
    assert!(!is_keepers("keeper2") && !is_keepers(""));
}
