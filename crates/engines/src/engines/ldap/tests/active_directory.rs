//! Users in the Active Directory of a real domain controller, which is Samba's: made, signed in
//! with, in their group, and removed.

use super::samba::{Domain, USERS, domain};
use super::*;

const ENABLED: &str = "512";

fn stage(domain: &Domain, given: &[(&'static str, &str)]) -> Stage {
    let given: Vec<_> = [("user-dn", USERS)].iter().chain(given).copied().collect();
    Stage { settings: settings(&Ldap, &given), target: domain.target(&[]), way: way() }
}

/// The names by which somebody signs in there.
fn names(plan: &Plan) -> [String; 3] {
    let name = &plan.handle;
    [format!("cn={name},{USERS}"), format!("{name}@corp.example"), format!("CORP\\{name}")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_signs_in_and_is_in_its_group_until_it_is_removed() {
    let Some(domain) = domain() else { return };
    let group = domain.entry("dbas", None).await;
    // The attribute says what else has the name: in a domain users are named by `cn` only.
    for attribute in ["cn", "sAMAccountName", "uid"] {
        let stage = stage(domain, &[("user-attribute", attribute), ("group-dn", &group)]);
        assert!(stage.check().unwrap().is_empty());
        let (plan, other) = (stage.plan(), stage.plan());
        let made = Ldap.create(&stage.scene(), &plan).await.unwrap();
        let kept = Ldap.create(&stage.scene(), &other).await.unwrap();
        let (password, dn) = (password_of(&made), names(&plan)[0].clone());
        for name in names(&plan) {
            assert!(domain.signs_in(&name, &password).await, "{name}");
            assert!(!domain.signs_in(&name, "Wrong-1-password").await, "{name}");
        }
        let read = async |what: &str| domain.read(&dn, what).await.unwrap();
        assert_eq!(read("userAccountControl").await, [ENABLED]);
        assert_eq!(read("memberOf").await.join("; ").to_lowercase(), group.to_lowercase());
        assert_eq!(read(attribute).await, [plan.handle.as_str()]);
        assert!(read("unicodePwd").await.is_empty());
        for _ in 0..2 {
            let warned = Ldap.revoke(&stage.scene(), &plan.handle).await.unwrap();
            assert_eq!(warned, Vec::<String>::new());
        }
        for name in names(&plan) {
            assert!(!domain.signs_in(&name, &password).await, "{name}");
        }
        assert_eq!(domain.read(&dn, "cn").await, None);
        let members = domain.read(&group, "member").await.unwrap();
        assert_eq!(members.len(), 1, "{members:?}");
        assert!(members[0].contains(&other.handle), "{members:?}");
        assert!(domain.signs_in(&names(&other)[1], &password_of(&kept)).await);
        assert!(Ldap.revoke(&stage.scene(), &other.handle).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nobody_behind() {
    let Some(domain) = domain() else { return };
    let simple = [
        ("use-capital-letters", "false"),
        ("use-numbers", "false"),
        ("use-special-characters", "false"),
    ];
    let no_group = [("group-dn", "cn=none,cn=Users,dc=corp,dc=example")];
    for (more, said) in [
        (&simple[..], "with 19"),
        (&no_group, "no such group"),
        (&[("user-dn", "ou=none,dc=corp,dc=example")], "with 32"),
    ] {
        let stage = stage(domain, more);
        let plan = stage.plan();
        let fault = Ldap.create(&stage.scene(), &plan).await.err().unwrap();
        assert!(fault.public().contains(said), "{fault}");
        assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()));
        assert_eq!(domain.read(&names(&plan)[0], "cn").await, None);
    }
    // Somebody who may not make users.
    let poor = domain.entry("poor", Some("Poor-password-1")).await;
    let as_poor = [("bind-dn", poor.as_str()), ("bind-dn-password", "Poor-password-1")];
    let stage = Stage { target: domain.target(&as_poor), ..stage(domain, &[]) };
    let fault = Ldap.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_the_domain_are_in_a_group_for_a_while() {
    let Some(domain) = domain() else { return };
    let group = domain.entry("helpers", None).await;
    let alice = domain.entry("alice", Some("Alice-password-1")).await;
    let given = [
        // The whole domain, which answers with referrals, too.
        ("user-dn", "dc=corp,dc=example"),
        ("user-attribute", "sAMAccountName"),
        ("external-username", "true"),
        ("group-dn", group.as_str()),
    ];
    let stage = stage(domain, &given);
    let claims = Caller::with(&[("ext_username", "alice")]);
    let (first, second) = (
        Ldap.plan(&stage.scene(), &claims.wish()).unwrap(),
        Ldap.plan(&stage.scene(), &claims.wish()).unwrap(),
    );
    let is_in = async || {
        let members = domain.read(&group, "member").await.unwrap();
        assert!(members.iter().all(|member| member.eq_ignore_ascii_case(&alice)), "{members:?}");
        !members.is_empty()
    };
    let refused = async |plan: &Plan| {
        let fault = Ldap.create(&stage.scene(), plan).await.err().unwrap();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, NOT_REACHED), "{fault}");
    };
    let made = Ldap.create(&stage.scene(), &first).await.unwrap();
    assert_eq!(made.value["user"], "alice");
    assert!(is_in().await);
    // Who is there already has it of another lease, whose end is the place's.
    refused(&second).await;
    for _ in 0..2 {
        assert!(Ldap.revoke(&stage.scene(), &first.handle).await.unwrap().is_empty());
        assert!(!is_in().await);
    }
    // Or for good.
    let mut session = domain.session().await;
    session.set_value(&group, "member", &alice, true).await.unwrap();
    refused(&second).await;
    assert!(is_in().await);
    // What the domain says when there was no look.
    assert!(!join(&mut session, &group, "member", &alice).await.unwrap());
    session.set_value(&group, "member", &alice, false).await.unwrap();
    Ldap.create(&stage.scene(), &second).await.unwrap();
    assert!(is_in().await);
    assert!(Ldap.revoke(&stage.scene(), &second.handle).await.unwrap().is_empty());
    assert!(!is_in().await);
    assert!(domain.signs_in(&alice, "Alice-password-1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_is_reached_by_tls_only() {
    let Some(domain) = domain() else { return };
    let ldap = target_by_name("ldap").unwrap();
    let url = domain.plain_url();
    let probe =
        async |more: &[(&'static str, &str)]| ldap.probe(&domain.target(more), &way()).await;
    probe(&[]).await.unwrap();
    // StartTLS.
    probe(&[("ldap-url", &url)]).await.unwrap();
    let fault = probe(&[("ldap-url", &url), ("ldap-ca-cert", "")]).await.unwrap_err();
    assert!(fault.public().contains("such as TLS"), "{fault}");
    let fault = probe(&[("bind-dn-password", "canary-wrong")]).await.unwrap_err();
    assert!(fault.public().contains("49") && !format!("{fault:?}").contains("canary"), "{fault:?}");
}
