//! Passwords and keys on a real OpenSSH, with users of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::FaultKind;
use keysherd_targets::ssh::KeyKind;

use super::*;
use crate::rotator::{Brought, Change, bring_about};
use crate::testing::rotation::{Site, credential};
use crate::testing::sshd::{FIRST, ROOT, Sshd};
use crate::testing::target_of;
use crate::{NOT_LET_IN, NOT_REACHED};

/// Who has an account, each with the password [`FIRST`].
const USERS: &str = "app own fixed custom keyed moved beside stranger kinds";

/// The server, which takes root.
fn shared() -> Option<&'static Sshd> {
    static SHARED: OnceLock<Option<Sshd>> = OnceLock::new();
    SHARED.get_or_init(|| Sshd::start(USERS)).as_ref()
}

impl Sshd {
    fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let port = self.port.to_string();
        let plain = [
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("ssh-username", "root"),
            ("ssh-password", ROOT),
        ];
        target_of("ssh", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    fn site(&self, actor: Actor, more: &[(&'static str, &str)]) -> Site {
        let known = [("host-key", self.fingerprint.as_str())];
        let more: Vec<_> = known.iter().chain(more).copied().collect();
        Site::with(&MEMBER, self.target(&[]), actor, &more)
    }

    fn keys(&self, user: &str) -> String {
        fs::read_to_string(self.home.join(user).join(".ssh/authorized_keys")).unwrap()
    }

    /// Gives a user a key beside somebody else's; the file has no line break at its end.
    async fn keyed(&self, user: &str) -> Credential {
        let key = Key::of_seed(&[u8::try_from(user.len()).unwrap(); 32]).unwrap();
        let (kind, value) = key.public().unwrap();
        let folder = self.home.join(user).join(".ssh");
        let script = format!(
            "umask 077; mkdir -p ~/.ssh; printf '%s' 'ssh-ed25519 AAAAother other@x\n\
             no-pty {kind} {value} me' > ~/.ssh/authorized_keys"
        );
        let by_root = self.site(Actor::Target, &[]);
        let mut session = signed_in(&by_root.stage(), &credential(user, "")).await.unwrap();
        let made = session.run(&format!("su {user}"), &SecretString::new(script)).await.unwrap();
        made.done("making a key", &[]).unwrap();
        assert!(folder.is_dir());
        of_key(user, &key).unwrap()
    }
}

fn public(credential: &Credential) -> String {
    credential.text(PUBLIC).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_and_the_target_change_passwords() {
    let Some(server) = shared() else { return };
    let last = server.site(Actor::Owner, &[]).rotates("own", FIRST).await;
    let password = last.password().unwrap();
    server.site(Actor::Target, &[]).rotates("own", password.expose()).await;
    server.site(Actor::Target, &[]).rotates("app", FIRST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_command_changes_a_password_and_no_value_becomes_a_command() {
    let Some(server) = shared() else { return };
    let command = "printf '%s:%s\\n' {{USERNAME}} '{{ NEW_PASSWORD }}' | /usr/sbin/chpasswd";
    let plain = [("rotator-custom-cmd", command), ("use-special-characters", "false")];
    let site = server.site(Actor::Target, &plain);
    let last = site.rotates("custom", FIRST).await;
    for hostile in ["a'; touch /home/x; '", "a b", "$(id)", "a\nb", "`id`", "a;b"] {
        let refused = site.change(&last, &credential("custom", hostile)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
        assert!(!format!("{refused:?}").contains(hostile));
    }
    assert!(site.signs_in(&last).await && !server.home.join("x").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_and_what_else_is_in_the_file_stays() {
    let Some(server) = shared() else { return };
    for (user, actor) in [("keyed", Actor::Owner), ("moved", Actor::Target)] {
        let site = server.site(actor, &[]);
        let mut old = server.keyed(user).await;
        for round in 1..=3 {
            let new = site.next(&old);
            assert!(site.signs_in(&old).await && !site.signs_in(&new).await, "{user} {round}");
            site.change(&old, &new).await.unwrap();
            assert!(!site.signs_in(&old).await && site.signs_in(&new).await, "{user} {round}");
            let again = site.change(&old, &new).await;
            match actor {
                Actor::Target => drop(again.unwrap()),
                Actor::Owner => assert_eq!(again.unwrap_err().code(), NOT_LET_IN),
            }
            let want = format!("ssh-ed25519 AAAAother other@x\nno-pty {} me\n", public(&new));
            assert_eq!(server.keys(user), want, "{user} {round}");
            old = new;
        }
    }
}

/// Keys as `ssh-keygen` and openssl write them, in OpenSSH's form and in both of PEM.
fn of_other_programs(home: &Path) -> Vec<(KeyKind, String)> {
    let run = |program: &str, args: &[&str]| {
        let ended = Command::new(program).args(args).current_dir(home).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    let (mut keys, kinds) = (Vec::new(), ["rsa 3072", "rsa 4096", "ecdsa 256", "ecdsa 384"]);
    for (number, of) in kinds.into_iter().enumerate() {
        let (kind, bits) = of.split_once(' ').unwrap();
        let file = format!("made-{number}");
        run("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &file]);
        keys.push(file.clone());
        if number == 0 {
            // The form that keys had before OpenSSH's own.
            run("cp", &["-p", &file, "made-pem"]);
            run("ssh-keygen", &["-q", "-p", "-m", "PEM", "-N", "", "-f", "made-pem"]);
            run("cp", &["-p", &file, "made-pkcs8"]);
            run("ssh-keygen", &["-q", "-p", "-m", "PKCS8", "-N", "", "-f", "made-pkcs8"]);
            keys.extend(["made-pem".to_owned(), "made-pkcs8".to_owned()]);
        }
    }
    let kinds = [
        KeyKind::Rsa3072,
        KeyKind::Rsa3072,
        KeyKind::Rsa3072,
        KeyKind::Rsa4096,
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
    ];
    let read = |file: &String| fs::read_to_string(home.join(file)).unwrap();
    kinds.into_iter().zip(keys.iter().map(read)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_all_kinds_sign_in_and_give_way_to_their_like() {
    let Some(server) = shared() else { return };
    let folder = server.home.join("made");
    fs::create_dir(&folder).unwrap();
    let site = server.site(Actor::Target, &[]);
    let mut old = server.keyed("kinds").await;
    for (kind, text) in of_other_programs(&folder) {
        let key = Key::read(&SecretString::new(text), None).unwrap();
        assert_eq!(key.kind(), kind);
        let given = of_key("kinds", &key).unwrap();
        site.change(&old, &given).await.unwrap();
        assert!(site.signs_in(&given).await && !site.signs_in(&old).await, "{kind:?}");
        // A target that has such a key signs in with it, too.
        let private = key.private().unwrap();
        let port = server.port.to_string();
        let target = target_of(
            "ssh",
            &[
                ("host", "127.0.0.1"),
                ("port", &port),
                ("ssh-username", "kinds"),
                ("private-key", private.expose()),
            ],
        );
        let known = [("host-key", server.fingerprint.as_str())];
        let own = Site::with(&MEMBER, target, Actor::Target, &known);
        let mut session = signed_in(&own.stage(), &given).await.unwrap();
        let asked = session.run("id -un", &SecretString::new(String::new())).await.unwrap();
        assert_eq!(asked.done("asking", &[]).unwrap().trim(), "kinds");
        // And its like comes when it rotates.
        let next = site.next(&given);
        assert_eq!(key_of(&next).unwrap().kind(), kind);
        site.change(&given, &next).await.unwrap();
        assert!(site.signs_in(&next).await && !site.signs_in(&given).await, "{kind:?}");
        old = next;
    }
    for (name, kind) in KeyKind::ALL {
        let site = server.site(Actor::Owner, &[("key-algorithm", name)]);
        let next = site.next(&old);
        assert_eq!(key_of(&next).unwrap().kind(), kind);
        site.change(&old, &next).await.unwrap();
        assert!(site.signs_in(&next).await && !site.signs_in(&old).await, "{name}");
        old = next;
    }
    assert_eq!(server.keys("kinds").lines().count(), 2, "the stranger's key stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_a_gateway_that_was_not_heard_of_removes_the_old_key() {
    let Some(server) = shared() else { return };
    let site = server.site(Actor::Owner, &[]);
    let (old, stage) = (server.keyed("beside").await, site.stage());
    let new = site.next(&old);
    let mut session = signed_in(&stage, &old).await.unwrap();
    let commands = Commands::of(&stage, &mut session, "beside").await.unwrap();
    for _ in 0..2 {
        let script = commands.add(&public(&old), &public(&new)).unwrap();
        session.run(&commands.shell, &script).await.unwrap().done("adding", &[]).unwrap();
    }
    assert!(site.signs_in(&old).await && site.signs_in(&new).await);
    let change = Change { old: &old, new: &new, resumed: true, beside: false };
    let brought = bring_about(&MEMBER, &stage, &change, || Ok(())).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert!(!site.signs_in(&old).await && site.signs_in(&new).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_host_key_gets_nothing() {
    let Some(server) = shared() else { return };
    let old = credential("fixed", FIRST);
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = Site::with(&MEMBER, server.target(&[]), Actor::Owner, &[("host-key", other)]);
    let none = Site::new(&MEMBER, server.target(&[]), Actor::Owner);
    for (site, said) in [(&wrong, "not the one that is known"), (&none, "nobody has confirmed")] {
        let fault = MEMBER.signs_in(&site.stage(), &old).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Forbidden);
        assert!(fault.public().contains(said) && fault.public().contains(&server.fingerprint));
        let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
        assert_eq!(refused.code(), NOT_REACHED);
    }
    // Which one it is, is remembered where nobody has said so, and nowhere else.
    let (met, said) = MEMBER.met(&none.stage()).await.unwrap();
    assert_eq!(met.raw("host-key").unwrap(), server.fingerprint.as_str());
    assert!(said[0].contains(&server.fingerprint), "{said:?}");
    let (met, said) = MEMBER.met(&wrong.stage()).await.unwrap();
    assert!(met.raw("host-key").is_none() && said.is_empty());
    let several = format!("{other},{}", server.fingerprint);
    let known = Site::with(&MEMBER, server.target(&[]), Actor::Owner, &[("host-key", &several)]);
    assert!(known.signs_in(&old).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_or_may_not_is_said_so_and_nothing_changes() {
    let Some(server) = shared() else { return };
    let by_root = server.site(Actor::Target, &[]);
    let nobody = credential("nobody-here", FIRST);
    let refused = by_root.change(&nobody, &by_root.next(&nobody)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::BadRequest, "{refused}");
    for name in ["-x", "a:b", "a'b", "a/b", "a\nb"] {
        let old = credential(name, FIRST);
        let refused = by_root.change(&old, &by_root.next(&old)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
    }
    let by_owner = server.site(Actor::Owner, &[]);
    let wrong = credential("stranger", "wrong");
    let refused = by_owner.change(&wrong, &by_owner.next(&wrong)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_LET_IN);
    // What the machine's rules do not allow stays as it was, and no log has it.
    let old = credential("stranger", FIRST);
    let refused = by_owner.change(&old, &credential("stranger", "x7x")).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("x7x"), "{refused:?}");
    assert!(by_owner.signs_in(&old).await);
    // Who is not root may change nobody else.
    let poor = [("ssh-username", "stranger"), ("ssh-password", FIRST)];
    let known = [("host-key", server.fingerprint.as_str())];
    let poor = Site::with(&MEMBER, server.target(&poor), Actor::Target, &known);
    let app = credential("fixed", FIRST);
    poor.change(&app, &poor.next(&app)).await.unwrap_err();
    assert!(poor.signs_in(&app).await);
}

#[test]
fn what_is_secret_is_in_no_command() {
    let secret = |text: &str| SecretString::new(text.to_owned());
    for actor in [Actor::Owner, Actor::Target] {
        for more in [vec![], vec![("rotator-custom-cmd", "set {{OLD_PASSWORD}} {{NEW_PASSWORD}}")]]
        {
            let site =
                Site::with(&MEMBER, target_of("ssh", &[("host", "m.example")]), actor, &more);
            for root in [true, false] {
                let words = ("app", &secret("canary-old"), &secret("canary-new"));
                let (command, input) = command(&site.stage(), root, words).unwrap();
                assert!(!command.contains("canary"), "{command}");
                assert!(input.expose().contains("canary-new"));
            }
        }
    }
}

#[test]
fn keys_are_given_in_base64_and_shown_with_their_public_ones() {
    let key = Key::of_seed(&[7; 32]).unwrap();
    let private = key.private().unwrap();
    let mut given = Args::new();
    given.put("rotator-type", "key".into());
    given.put("rotated-username", "app".into());
    let missing = MEMBER.first(&given).err().unwrap();
    assert!(missing.public().contains("key-data-base64"), "{missing}");
    given.put("key-data-base64", STANDARD.encode(private.expose()).into());
    let first = MEMBER.first(&given).unwrap();
    assert_eq!(first.text(PRIVATE).unwrap(), private.expose());
    let (kind, value) = key.public().unwrap();
    assert_eq!((kind.as_str(), public(&first)), ("ssh-ed25519", format!("{kind} {value}")));
    for wrong in ["canary", "Y2FuYXJ5", "!"] {
        given.put("key-data-base64", wrong.into());
        let fault = MEMBER.first(&given).err().unwrap();
        assert!(!format!("{fault:?}").to_lowercase().contains("canary"), "{fault:?}");
    }
    // A target's key, with its user.
    let more = [("host", "m"), ("ssh-username", "k"), ("private-key", private.expose().as_str())];
    let target = target_of("ssh", &more);
    let own = MEMBER.of_target(&TargetUse { type_name: "ssh", settings: &target }).unwrap();
    assert_eq!((own.username().unwrap(), public(&own)), ("k", public(&first)));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let site = |field: &'static str, value: &str| {
        let target = target_of("ssh", &[("host", "m.example")]);
        Site::with(&MEMBER, target, Actor::Owner, &[(field, value)])
    };
    for (field, value) in [
        ("host-key", "MD5:aa:bb"),
        ("host-key", "SHA256:short"),
        ("key-algorithm", "RSA1024"),
        ("key-algorithm", "DSA"),
        ("public-key-remote-path", "~/.ssh/$(id)"),
        ("public-key-remote-path", "/etc/keys/"),
        ("public-key-remote-path", "~/"),
        ("rotator-custom-cmd", "echo {{PASSWORD}}"),
        ("rotator-custom-cmd", "echo {{NEW_PASSWORD"),
        ("rotator-custom-cmd", "echo x"),
        ("password-length", "1"),
    ] {
        let fault = site(field, value).check().unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    for (field, value) in [
        ("host-key", ""),
        ("key-algorithm", "ed25519"),
        ("key-algorithm", "RSA4096"),
        ("public-key-remote-path", "/etc/ssh/keys/%u.app"),
        ("rotator-custom-cmd", "echo '{{USERNAME}}:{{NEW_PASSWORD}}' | chpasswd"),
    ] {
        site(field, value).check().unwrap();
    }
}
