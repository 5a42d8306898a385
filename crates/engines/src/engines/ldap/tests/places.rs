//! Places of people in a group of a real OpenLDAP: a lease's end takes away what the lease gave,
//! and nothing else.

use super::*;

/// A person, a group of its own that always has somebody, and a secret that gives a place in it.
struct Place {
    stage: Stage,
    person: String,
    group: String,
    attribute: &'static str,
    value: String,
}

impl Place {
    async fn new(name: &str, class: &str, attribute: &'static str) -> Self {
        let directory = shared();
        let person = format!("cn={name},ou=people,dc=example");
        let uid = name.as_bytes();
        directory.person(&person, &[("uid", uid)], "A-password-1").await;
        let group = format!("cn={name}-group,dc=example");
        let (number, root) = (b"8".as_slice(), b"cn=root,dc=example".as_slice());
        let more = match attribute {
            "memberUid" => ("gidNumber", vec![number]),
            _ => (attribute, vec![root]),
        };
        let attributes = [("objectClass", vec![class.as_bytes()]), more];
        session().await.add(&group, &attributes, &[]).await.unwrap();
        let value = if attribute == "memberUid" { name.to_owned() } else { person.clone() };
        let stage = Stage::new(&[
            ("user-dn", "ou=people,dc=example"),
            ("user-attribute", "uid"),
            ("external-username", "true"),
            ("group-dn", &group),
        ]);
        Self { stage, person, group, attribute, value }
    }

    fn plan(&self, name: &str) -> Plan {
        let caller = Caller::with(&[("ext_username", name)]);
        Ldap.plan(&self.stage.scene(), &caller.wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Ldap.create(&self.stage.scene(), plan).await
    }

    async fn revoke(&self, plan: &Plan) -> Result<Vec<String>, Fault> {
        Ldap.revoke(&self.stage.scene(), &plan.handle).await
    }

    async fn is_in(&self) -> bool {
        let members = shared().read(&self.group, self.attribute).await.unwrap();
        members.contains(&self.value)
    }

    /// Sets or removes the person's place, as an administrator does.
    async fn set(&self, is_there: bool) {
        let (group, value) = (&self.group, &self.value);
        session().await.set_value(group, self.attribute, value, is_there).await.unwrap();
    }
}

async fn session() -> Session {
    ldap_directory(&shared().target(&[])).unwrap().connect(&way()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_the_group_already_gets_no_lease_and_stays() {
    for (name, class, attribute) in [
        ("bert", "groupOfNames", "member"),
        ("berta", "groupOfUniqueNames", "uniqueMember"),
        ("bertl", "posixGroup", "memberUid"),
    ] {
        let place = Place::new(name, class, attribute).await;
        let (first, second) = (place.plan(name), place.plan(name));
        let refused = async |plan: &Plan| {
            let fault = place.create(plan).await.err().unwrap();
            assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, NOT_REACHED));
            assert!(fault.public().contains("keeps it"), "{fault}");
        };
        // A place of one's own, and one that another lease gave.
        place.set(true).await;
        refused(&first).await;
        assert!(place.is_in().await);
        place.set(false).await;
        place.create(&first).await.unwrap();
        refused(&second).await;
        assert!(place.is_in().await);
        for _ in 0..2 {
            assert!(place.revoke(&first).await.unwrap().is_empty());
            assert!(!place.is_in().await);
        }
        place.create(&second).await.unwrap();
        assert!(place.is_in().await);
        assert!(place.revoke(&second).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_between_the_look_and_the_lease_keeps_the_place() {
    let place = Place::new("bernd", "groupOfNames", "member").await;
    let mut session = session().await;
    let (group, value) = (&place.group, &place.value);
    assert!(join(&mut session, group, "member", value).await.unwrap());
    assert!(!join(&mut session, group, "member", value).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_the_own_name_does_not_stay_unnoticed() {
    for (name, class, attribute) in [
        ("carl", "groupOfNames", "member"),
        ("carla", "groupOfUniqueNames", "uniqueMember"),
        ("carlo", "posixGroup", "memberUid"),
    ] {
        let place = Place::new(name, class, attribute).await;
        let (plan, by_name) = (place.plan(name), attribute == "memberUid");
        let rename = async |old: &str, new: &str| {
            let mut session = session().await;
            session.set_value(&place.person, "uid", new, true).await.unwrap();
            session.set_value(&place.person, "uid", old, false).await.unwrap();
        };
        let ends = async || {
            let ended = place.revoke(&plan).await;
            if by_name {
                // The group has the name itself.
                assert!(ended.unwrap().is_empty());
                assert!(!place.is_in().await);
                place.set(true).await;
            } else {
                let fault = ended.unwrap_err();
                assert_eq!(fault.kind(), FaultKind::Conflict);
                assert!(fault.public().contains("no entry, or several"), "{fault}");
                assert_ne!(fault.code(), NOT_REACHED);
                assert!(place.is_in().await);
            }
        };
        place.create(&plan).await.unwrap();
        rename(name, "somebody-else").await;
        ends().await;
        rename("somebody-else", name).await;
        let twin = format!("cn={name}-twin,ou=people,dc=example");
        shared().person(&twin, &[("uid", name.as_bytes())], "A-password-1").await;
        ends().await;
        session().await.delete(&twin).await.unwrap();
        assert!(place.revoke(&plan).await.unwrap().is_empty());
        assert!(!place.is_in().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_cannot_be_taken_away_is_no_end() {
    let place = Place::new("dora", "groupOfNames", "member").await;
    let plan = place.plan("dora");
    place.create(&plan).await.unwrap();
    let mut session = session().await;
    session.set_value(&place.group, "member", "cn=root,dc=example", false).await.unwrap();
    let fault = place.revoke(&plan).await.unwrap_err();
    assert!(fault.public().contains("last member"), "{fault}");
    assert!(place.is_in().await);
    session.delete(&place.group).await.unwrap();
    let fault = place.revoke(&plan).await.unwrap_err();
    assert!(fault.public().contains("group-dn"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_asked_for_is_not_taken_back() {
    let mut place = Place::new("emil", "groupOfNames", "member").await;
    let plan = place.plan("emil");
    // Nobody there; a server that never says anything; and a wrong password.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("ldap://{}", silent.local_addr().unwrap());
    let nobody = format!("ldap://127.0.0.1:{}", free_port());
    for more in [
        [("ldap-url", nobody.as_str()), ("ldap-ca-cert", "")],
        [("ldap-url", silent.as_str()), ("ldap-ca-cert", "")],
        [("bind-dn", "cn=root,dc=example"), ("bind-dn-password", "wrong")],
    ] {
        place.stage.target = shared().target(&more);
        place.stage.way.timeout = Duration::from_millis(300);
        let fault = place.create(&plan).await.err().unwrap();
        assert!(crate::member::is_untouched(&fault), "{fault}");
    }
}
