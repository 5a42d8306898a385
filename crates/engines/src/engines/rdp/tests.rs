//! Users of a real OpenSSH, on which PowerShell is a stand-in that makes users of this machine: see
//! [`crate::windows::stand_in`].

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::FaultKind;
use keysherd_targets::WRONG_CREDENTIALS;

use super::*;
use crate::testing::sshd::{ROOT, Sshd, Wanted};
use crate::testing::{Caller, settings, target_of, way};
use crate::windows::stand_in;
use crate::{is_handle, is_untouched};

const HOST: &str = "127.0.0.1";

fn shared() -> Option<&'static Sshd> {
    static SHARED: OnceLock<Option<Sshd>> = OnceLock::new();
    let start = || {
        // Who is lent lets nobody in before.
        let before = "groupadd desktop; groupadd dbas\nfor user in ann bob cleo; do\n\
                      useradd -M -s /bin/sh $user; usermod -L -e 1 $user\ndone\n\
                      useradd -M -s /bin/sh poor; echo poor:poor-1 | chpasswd\n";
        let programs = [("powershell.exe", stand_in::program())];
        Sshd::start_with("", &Wanted { before, programs: &programs })
    };
    SHARED.get_or_init(start).as_ref()
}

/// A secret on that server, with more arguments.
struct Site {
    settings: Settings,
    way: crate::Way,
}

impl Site {
    fn new(server: &Sshd, more: &[(&'static str, &str)]) -> Self {
        let port = server.port.to_string();
        let plain = [
            ("rdp-host-name", HOST),
            ("rdp-host-port", port.as_str()),
            ("rdp-admin-name", "root"),
            ("rdp-admin-pwd", ROOT),
            ("host-key", server.fingerprint.as_str()),
        ];
        let given: Vec<_> = plain.iter().chain(more).copied().collect();
        // Its users are changed by one script at a time, for all tests.
        let way = crate::Way { timeout: Duration::from_secs(120), ..way() };
        Self { settings: settings(&Rdp, &given), way }
    }

    fn scene(&self) -> Scene<'_> {
        Scene { settings: &self.settings, target: None, way: &self.way }
    }

    async fn made(&self, caller: &Caller) -> Result<(String, Map<String, Value>), Fault> {
        let scene = self.scene();
        Rdp.check(&self.settings, None).unwrap();
        let plan = Rdp.plan(&scene, &caller.wish())?;
        assert!(is_handle(&plan.handle), "{}", plan.handle);
        let mut created = Rdp.create(&scene, &plan).await?;
        // Who does not know that it was done does it once more.
        Rdp.create(&scene, &plan).await?;
        Ok((plan.handle.clone(), created.take_value()))
    }

    async fn gone(&self, handle: &str) -> Result<(), Fault> {
        let scene = self.scene();
        Rdp.revoke(&scene, handle).await?;
        assert!(Rdp.revoke(&scene, handle).await?.is_empty());
        Ok(())
    }

    /// What `command` says to whom these credentials let in; none: nobody.
    async fn ran(&self, value: &Map<String, Value>, command: &str) -> Option<String> {
        let plot = Plot::of(&self.settings, None).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let proof = Proof::Password(SecretString::new(text("password")));
        match connect(&plot.machine, &plot.known, (&text("user"), &proof), &self.way).await {
            Ok(mut session) => {
                let ended = session.run(command, &SecretString::new(String::new())).await.unwrap();
                Some(ended.done("it", &[]).unwrap())
            }
            Err(fault) => {
                assert_eq!(fault.code(), WRONG_CREDENTIALS, "{fault:?}");
                None
            }
        }
    }
}

fn calls(server: &Sshd) -> String {
    fs::read_to_string(server.home.with_file_name("bin").join("calls")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_made_with_their_groups_sign_in_and_are_removed() {
    let Some(server) = shared() else { return };
    let caller = Caller::with(&[]);
    for (groups, wanted) in [("", "desktop"), ("dbas, desktop", "dbas desktop")] {
        let site = Site::new(server, &[("rdp-user-groups", groups)]);
        let (handle, value) = site.made(&caller).await.unwrap();
        assert_eq!(value["user"], handle.as_str());
        assert!(handle.starts_with("tmp.") && handle.len() <= 20, "{handle}");
        let said = site.ran(&value, "id -Gn").await.unwrap();
        let said: BTreeSet<_> = said.split_whitespace().collect();
        assert!(wanted.split(' ').all(|group| said.contains(group)), "{said:?}");
        site.gone(&handle).await.unwrap();
        assert_eq!(site.ran(&value, "true").await, None);
    }
    // A name that Windows does not take is none.
    let site = Site::new(server, &[("custom-username-template", "@@in.x")]);
    let (handle, _) = site.made(&caller).await.unwrap();
    assert!(handle.starts_with("__i."), "{handle}");
    site.gone(&handle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_lent_their_user_for_a_while_and_the_last_one_has_it() {
    let Some(server) = shared() else { return };
    let site = Site::new(server, &[("fixed-user-only", "true"), ("rdp-user-groups", "dbas")]);
    let ann = Caller::with(&[("ext_username", "ann")]);
    let (first, one) = site.made(&ann).await.unwrap();
    assert!(first.starts_with("lent.ann.") && one["user"] == "ann");
    assert!(site.ran(&one, "id -Gn").await.unwrap().contains("dbas"));
    let (second, two) = site.made(&ann).await.unwrap();
    assert!(site.ran(&one, "true").await.is_none() && site.ran(&two, "true").await.is_some());
    // The end of the first is not that of the second.
    site.gone(&first).await.unwrap();
    assert!(site.ran(&two, "true").await.is_some());
    site.gone(&second).await.unwrap();
    assert!(site.ran(&two, "true").await.is_none());
    let root =
        Map::from_iter([("user".to_owned(), "root".into()), ("password".to_owned(), ROOT.into())]);
    assert!(!site.ran(&root, "id -Gn ann").await.unwrap().contains("dbas"), "still in the group");
    // Nobody, who has no name, whom the gateway itself signs in as, and names that are none.
    for (claims, said) in [
        (vec![("ext_username", "nobody-here")], "no such local user"),
        (vec![], "ext_username"),
        (vec![("ext_username", "ROOT")], "administrator"),
        (vec![("ext_username", "ann@example.com")], "fixed-user-claim-keyname"),
        (vec![("ext_username", "a'; calc")], "ext_username"),
    ] {
        let fault = site.made(&Caller::with(&claims)).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
        assert!(fault.public().contains(said), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_secret_is_in_a_command_or_an_error() {
    let Some(server) = shared() else { return };
    let site = Site::new(server, &[]);
    let (handle, value) = site.made(&Caller::with(&[])).await.unwrap();
    site.gone(&handle).await.unwrap();
    let password = value["password"].as_str().unwrap();
    let mut seen = 0;
    for line in calls(server).lines() {
        let (arguments, input): (Vec<String>, String) = serde_json::from_str(line).unwrap();
        let about = STANDARD.decode(input.trim()).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        // The command is one of ours, and the same for everybody.
        assert!(stand_in::script_of(&format!("powershell.exe {}", arguments.join(" "))).is_some());
        seen += usize::from(about["password"] == password);
    }
    assert_eq!(seen, 2, "made twice");
    // A password that the machine refuses: nothing stays, and nobody reads it.
    let scene = site.scene();
    let mut plan = Rdp.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    plan.password = SecretString::new("canary-8".into());
    let fault = Rdp.create(&scene, &plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
    assert!(fault.public().contains("rules for passwords"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    let root =
        Map::from_iter([("user".to_owned(), "root".into()), ("password".to_owned(), ROOT.into())]);
    let there = format!("getent passwd {} || echo none", plan.handle);
    assert_eq!(site.ran(&root, &there).await.unwrap(), "none\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_place_in_a_group_leaves_no_user() {
    let Some(server) = shared() else { return };
    let site = Site::new(server, &[("rdp-user-groups", "desktop,no such")]);
    let scene = site.scene();
    let plan = Rdp.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    let fault = Rdp.create(&scene, &plan).await.err().unwrap();
    assert!(fault.public().contains("no such local group"), "{fault}");
    let root =
        Map::from_iter([("user".to_owned(), "root".into()), ("password".to_owned(), ROOT.into())]);
    let there = format!("getent passwd {} || echo none", plan.handle);
    assert_eq!(site.ran(&root, &there).await.unwrap(), "none\n");
    // Whose sessions go on lets nobody in, and stays until they have ended.
    let (handle, value) = Site::new(server, &[]).made(&Caller::with(&[])).await.unwrap();
    let mark = |text: &str| format!("usermod -c '{text}' {handle}");
    site.ran(&root, &mark("busy")).await.unwrap();
    let fault = site.gone(&handle).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
    assert!(site.ran(&value, "true").await.is_none());
    site.ran(&root, &mark("")).await.unwrap();
    site.gone(&handle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_host_key_and_a_wrong_password_get_nothing() {
    let Some(server) = shared() else { return };
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = Site::new(server, &[("host-key", other)]);
    let none = Site::new(server, &[("host-key", "")]);
    let poor = Site::new(server, &[("rdp-admin-pwd", "canary-wrong")]);
    for site in [&wrong, &none, &poor] {
        let fault = site.made(&Caller::with(&[])).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
        assert!(is_untouched(&fault), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        let left = site.gone("tmp.abcdefghijklmnop").await.unwrap_err();
        assert_eq!(left.kind(), FaultKind::Forbidden);
    }
    // The first one is remembered where nobody has said so, and nowhere else.
    let (met, said) = Rdp.met(&none.scene()).await.unwrap();
    assert_eq!(met.raw("host-key").unwrap(), server.fingerprint.as_str());
    assert!(said[0].contains(&server.fingerprint), "{said:?}");
    assert!(Rdp.met(&wrong.scene()).await.unwrap().0.raw("host-key").is_none());
    let other = Site::new(server, &[("rdp-admin-name", "poor"), ("rdp-admin-pwd", "poor-1")]);
    other.made(&Caller::with(&[])).await.unwrap_err();
    let wrong = Site::new(server, &[]);
    for handle in ["root", "ann", "", "lent.ann", "lent.a'b.abcdefghijklmnop"] {
        let refused = wrong.gone(handle).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Internal, "{handle}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_both_kinds_are_where_users_are_made() {
    let Some(server) = shared() else { return };
    let port = server.port.to_string();
    let more = [("host-key", server.fingerprint.as_str()), ("rdp-host-port", port.as_str())];
    let ssh = [("host", HOST), ("port", port.as_str()), ("ssh-username", "root")];
    let ssh = target_of("ssh", &[&ssh[..], &[("ssh-password", ROOT)]].concat());
    let windows = [("hostname", HOST), ("username", "root"), ("password", ROOT)];
    for (kind, target) in [("ssh", ssh), ("windows", target_of("windows", &windows))] {
        let (settings, way) = (settings(&Rdp, &more), way());
        let target = Some(TargetUse { type_name: kind, settings: &target });
        assert!(Rdp.check(&settings, target.as_ref()).unwrap().is_empty());
        let scene = Scene { settings: &settings, target, way: &way };
        let plan = Rdp.plan(&scene, &Caller::with(&[]).wish()).unwrap();
        Rdp.create(&scene, &plan).await.unwrap();
        Rdp.revoke(&scene, &plan.handle).await.unwrap();
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let plain = [("rdp-host-name", "w.example"), ("rdp-admin-name", "a"), ("rdp-admin-pwd", "x")];
    assert!(Rdp.check(&settings(&Rdp, &plain), None).unwrap().is_empty());
    for (field, value) in [
        ("rdp-host-name", "a b"),
        ("rdp-host-port", "0"),
        ("rdp-admin-name", "a\nb"),
        ("rdp-user-groups", "a\\b"),
        ("rdp-user-groups", "a\nb"),
        ("fixed-user-only", "maybe"),
        ("host-key", "MD5:aa"),
        ("user-ttl", "soon"),
        ("password-length", "1"),
        ("custom-username-template", "{{ no"),
    ] {
        let given: Vec<_> = plain.iter().copied().chain([(field, value)]).collect();
        let fault = Rdp.check(&settings(&Rdp, &given), None).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    for (field, minutes) in
        [("allow-user-extend-session", -1), ("warn-user-before-expiration", 10_081)]
    {
        let mut args = Args::new();
        plain.iter().for_each(|(name, value)| args.put(name, (*value).into()));
        args.put(field, minutes.into());
        let settings = Rdp.merged(&args, Settings::default()).unwrap();
        let fault = Rdp.check(&settings, None).unwrap_err();
        assert!(fault.public().contains(field), "{fault}");
    }
    for missing in 0..plain.len() {
        let given: Vec<_> = plain.iter().copied().filter(|pair| *pair != plain[missing]).collect();
        let fault = Rdp.check(&settings(&Rdp, &given), None).unwrap_err();
        assert!(fault.public().contains(plain[missing].0), "{fault}");
    }
    let wide: Vec<_> =
        plain.iter().copied().chain([("rdp-user-groups", "Administrators")]).collect();
    assert_eq!(Rdp.check(&settings(&Rdp, &wide), None).unwrap().len(), 1);
    // Whoever may say where it works must not learn the password.
    let mut moved = Args::new();
    moved.put("rdp-host-name", "evil.example".into());
    let moved = Rdp.merged(&moved, settings(&Rdp, &plain)).unwrap();
    assert!(Rdp.check(&moved, None).unwrap_err().public().contains("rdp-admin-pwd"));
}
