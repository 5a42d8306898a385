//! Logins whose gateway asks a cluster or a directory: who may be tried, and what is counted.

use std::sync::LazyLock;

use keysherd_base::{AccessId, Fault, FaultKind};
use keysherd_crypto::jwt::{JwtClaims, JwtSigner};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::rsa::RsaPair;
use keysherd_domain::auth_method::{MethodDetail, MethodShared};
use keysherd_plane::Caller;
use keysherd_plane::admission::{LoginAbandon, LoginAdmit, Ticket};
use keysherd_plane::auth::{LoginReply, Present, PresentRefused};
use keysherd_plane::auth_methods::MethodCreate;

use crate::guard::tickets::{TICKET_SECONDS, TICKETS_MAX};
use crate::testing::{World, client, item, kind};

const HERE: &str = "203.0.113.5";
const FREE_TRIES: usize = 5;

static PAIR: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());

/// A method of a directory and one of a cluster, and those who try them.
struct Scene {
    world: World,
    ldap: AccessId,
    k8s: AccessId,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let pem = PAIR.public_pem.replace('\n', "\\n");
        let key = format!(r#""key":{{"public":"{pem}","generated":true}}"#);
        let ldap = format!(r#"{{"unique_identifier":"users",{key}}}"#);
        let bounds = r#""bound_namespaces":[],"bound_accounts":[],"bound_pods":[]"#;
        let k8s = format!(r#"{{"audience":null,{bounds},{key}}}"#);
        let ldap = made(&world, "/ldap", "ldap", ldap).await;
        let k8s = made(&world, "/k8s", "k8s", k8s).await;
        Self { world, ldap, k8s }
    }

    fn restarted(self) -> Self {
        Self { world: self.world.restarted(), ..self }
    }

    fn caller(&self, address: &str) -> Caller {
        Caller { client: client(address, "cli"), ..self.world.caller("") }
    }

    async fn admit(
        &self,
        address: &str,
        id: &AccessId,
        person: Option<&str>,
    ) -> Result<Ticket, Fault> {
        self.instead(address, id, person, None).await
    }

    async fn instead(
        &self,
        address: &str,
        id: &AccessId,
        person: Option<&str>,
        instead: Option<Ticket>,
    ) -> Result<Ticket, Fault> {
        let person = person.map(str::to_owned);
        let message = LoginAdmit { access_id: id.clone(), person, instead };
        Ok(self.world.ask_as(self.caller(address), message).await?.ticket)
    }

    /// What comes of a wrong password.
    async fn wrong(&self, address: &str, id: &AccessId, person: Option<&str>) -> Fault {
        match self.admit(address, id, person).await {
            Ok(ticket) => self.refuse(address, id, Some(ticket)).await,
            Err(fault) => fault,
        }
    }

    async fn refuse(&self, address: &str, id: &AccessId, ticket: Option<Ticket>) -> Fault {
        let (kind, why) = ("ldap".to_owned(), "the password is wrong".to_owned());
        let message = PresentRefused { access_id: id.clone(), kind, why, ticket };
        self.world.ask_as(self.caller(address), message).await.unwrap_err()
    }

    /// Signs in as `user` of the directory, admitted with `ticket`.
    async fn present(&self, user: &str, ticket: Option<Ticket>) -> Result<LoginReply, Fault> {
        let message = Present {
            access_id: self.ldap.clone(),
            kind: "ldap".to_owned(),
            evidence: self.evidence(user),
            ticket,
        };
        self.world.ask_as(self.caller(HERE), message).await
    }

    /// What a gateway signs.
    fn evidence(&self, user: &str) -> String {
        let now = self.world.now();
        let mut claims = JwtClaims::new();
        claims.insert("users".to_owned(), vec![user].into());
        let mut body = JwtClaims::new();
        let aud = format!("keysherd:ldap:{}", self.ldap.as_str());
        let jti = AccessId::random(&SystemRng).unwrap();
        for (name, text) in
            [("iss", "keysherd-gateway"), ("aud", &aud), ("jti", jti.as_str()), ("unique_id", user)]
        {
            body.insert(name.to_owned(), text.into());
        }
        for (name, number) in [("iat", now.seconds()), ("exp", now.seconds() + 60), ("made", now.0)]
        {
            body.insert(name.to_owned(), number.into());
        }
        body.insert("claims".to_owned(), claims.into());
        JwtSigner::from_rsa_pem(&PAIR.private_pem).unwrap().sign(&body).unwrap()
    }
}

async fn made(world: &World, path: &str, kind: &str, settings: String) -> AccessId {
    let detail = MethodDetail::Member { kind: kind.to_owned(), settings };
    let message = MethodCreate { path: item(path), shared: MethodShared::default(), detail };
    world.ask(&world.admin, message).await.unwrap().access_id
}

#[tokio::test]
async fn no_spelling_of_a_person_gets_more_guesses_and_others_are_not_locked() {
    let scene = Scene::new().await;
    for spelling in ["alice", "ALICE", " alice ", "ａｌｉｃｅ", "al\u{ad}ice"] {
        let refused = scene.wrong(HERE, &scene.ldap, Some(spelling)).await;
        assert_eq!(refused.kind(), FaultKind::Unauthorized, "{spelling:?}");
    }
    for spelling in ["alice", "Alice", "\talice", "álice", "alice\u{200b}"] {
        let refused = scene.admit("198.51.100.7", &scene.ldap, Some(spelling)).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::RateLimited, "{spelling:?}");
        assert_eq!(refused.retry_after_seconds(), Some(60));
    }
    scene.admit(HERE, &scene.ldap, Some("bob")).await.unwrap();
    scene.admit(HERE, &scene.k8s, Some("alice")).await.unwrap();
    scene.admit(HERE, &scene.ldap, None).await.unwrap();
    let records = scene.world.records();
    let locked: Vec<_> = records.iter().filter(|r| r.draft.action == "login_locked").collect();
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].draft.access_id.as_ref(), Some(&scene.ldap));
    let user = locked[0].draft.params.iter().find(|param| param.name() == "user").unwrap();
    assert_eq!(user.value(), Some("alice"));

    let scene = scene.restarted();
    assert_eq!(kind(scene.admit(HERE, &scene.ldap, Some("alice")).await), FaultKind::RateLimited);
    scene.world.clock.advance_seconds(60);
    let ticket = scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap();
    scene.present("alice", Some(ticket)).await.unwrap();
    assert_eq!(
        scene.wrong(HERE, &scene.ldap, Some("alice")).await.kind(),
        FaultKind::Unauthorized,
        "a good login forgives"
    );
}

#[tokio::test]
async fn a_look_alike_who_signs_in_gets_no_more_guesses_at_another() {
    let mut scene = Scene::new().await;
    for round in 0..FREE_TRIES {
        let refused = scene.wrong("198.51.100.7", &scene.ldap, Some("alice")).await;
        assert_eq!(refused.kind(), FaultKind::Unauthorized, "{round}");
        if round == 2 {
            scene = scene.restarted();
        }
        if round + 1 < FREE_TRIES {
            let own = scene.admit("198.51.100.7", &scene.ldap, Some("álice")).await.unwrap();
            scene.world.clock.advance_seconds(1);
            scene.present("álice", Some(own)).await.unwrap();
        }
    }
    let scene = scene.restarted();
    let refused = scene.admit("198.51.100.7", &scene.ldap, Some("alice")).await;
    assert_eq!(kind(refused), FaultKind::RateLimited);
    // They themselves go on from where they usually are, and alice does when the lock is over.
    scene.admit("198.51.100.7", &scene.ldap, Some("álice")).await.unwrap();
    scene.world.clock.advance_seconds(60);
    let ticket = scene.admit(HERE, &scene.ldap, Some("Alice ")).await.unwrap();
    scene.present("alice", Some(ticket)).await.unwrap();
    for round in 0..FREE_TRIES {
        let refused = scene.wrong("198.51.100.7", &scene.ldap, Some("alice")).await;
        assert_eq!(refused.kind(), FaultKind::Unauthorized, "{round}: forgiven");
    }
}

#[tokio::test]
async fn strangers_lock_a_person_everywhere_but_where_they_usually_are() {
    let scene = Scene::new().await;
    let ticket = scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap();
    scene.present("alice", Some(ticket)).await.unwrap();
    let scene = scene.restarted();
    for _ in 0..FREE_TRIES {
        scene.wrong("198.51.100.7", &scene.ldap, Some("alice")).await;
    }
    for elsewhere in ["198.51.100.7", "198.51.100.8"] {
        let refused = scene.admit(elsewhere, &scene.ldap, Some("alice")).await;
        assert_eq!(kind(refused), FaultKind::RateLimited);
    }
    let ticket = scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap();
    scene.world.clock.advance_seconds(1);
    scene.present("alice", Some(ticket)).await.unwrap();
}

#[tokio::test]
async fn guesses_at_one_time_are_not_more_than_guesses_in_a_row() {
    let scene = Scene::new().await;
    let mut tickets = Vec::new();
    for _ in 0..FREE_TRIES {
        tickets.push(scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap());
    }
    let more = scene.admit(HERE, &scene.ldap, Some("alice")).await;
    assert_eq!(kind(more), FaultKind::RateLimited);
    // What was no try gives its place back, and so does one that nobody comes back with.
    let ask = LoginAbandon { ticket: tickets[0] };
    scene.world.ask("", ask).await.unwrap();
    scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap();
    assert_eq!(kind(scene.admit(HERE, &scene.ldap, Some("alice")).await), FaultKind::RateLimited);
    scene.world.clock.advance_seconds(TICKET_SECONDS);
    for _ in 0..FREE_TRIES {
        scene.admit(HERE, &scene.ldap, Some("alice")).await.unwrap();
    }
    let late = scene.refuse(HERE, &scene.ldap, Some(tickets[1])).await;
    assert_eq!(late.kind(), FaultKind::Unavailable);
}

#[tokio::test]
async fn the_name_of_the_directory_takes_the_place_of_the_typed_one() {
    let scene = Scene::new().await;
    for _ in 0..FREE_TRIES {
        let typed = scene.admit(HERE, &scene.ldap, Some("al")).await.unwrap();
        let known = scene.instead(HERE, &scene.ldap, Some("alice"), Some(typed)).await.unwrap();
        scene.refuse(HERE, &scene.ldap, Some(known)).await;
    }
    // The alias is as free as it was, and leads to the locked person.
    let typed = scene.admit(HERE, &scene.ldap, Some("al")).await.unwrap();
    let refused = scene.instead(HERE, &scene.ldap, Some("alice"), Some(typed)).await;
    assert_eq!(kind(refused), FaultKind::RateLimited);
    let over = scene.present("al", Some(typed)).await;
    assert_eq!(kind(over), FaultKind::Unavailable, "the first ticket ended");
}

#[tokio::test]
async fn an_assertion_comes_with_the_ticket_of_its_own_person() {
    let scene = Scene::new().await;
    assert_eq!(kind(scene.present("alice", None).await), FaultKind::Unauthorized);
    let bob = scene.admit(HERE, &scene.ldap, Some("bob")).await.unwrap();
    assert_eq!(kind(scene.present("alice", Some(bob)).await), FaultKind::Unauthorized);
    let machine = scene.admit(HERE, &scene.ldap, None).await.unwrap();
    assert_eq!(kind(scene.present("alice", Some(machine)).await), FaultKind::Unauthorized);
    let other = scene.admit(HERE, &scene.k8s, Some("alice")).await.unwrap();
    assert_eq!(kind(scene.present("alice", Some(other)).await), FaultKind::Unavailable);
    let made_up = Ticket([7; 16]);
    assert_eq!(kind(scene.present("alice", Some(made_up)).await), FaultKind::Unavailable);
    let good = scene.admit(HERE, &scene.ldap, Some("ALICE")).await.unwrap();
    scene.present("alice", Some(good)).await.unwrap();
    assert_eq!(kind(scene.present("alice", Some(good)).await), FaultKind::Unavailable);
}

#[tokio::test]
async fn a_flood_makes_nobody_ask_a_cluster_and_locks_no_machine() {
    let scene = Scene::new().await;
    let before = scene.world.records().len();
    for number in 0..1_050 {
        let refused = scene.wrong(HERE, &scene.k8s, None).await;
        let expected = if number < 999 { FaultKind::Unauthorized } else { FaultKind::RateLimited };
        assert_eq!(refused.kind(), expected, "{number}");
    }
    // Asking is what costs, so without a budget nothing is asked; elsewhere nothing happened.
    assert_eq!(kind(scene.admit(HERE, &scene.k8s, None).await), FaultKind::RateLimited);
    scene.admit("198.51.100.7", &scene.k8s, None).await.unwrap();
    assert_eq!(scene.world.records().len() - before, 1);
}

#[tokio::test]
async fn whether_a_method_exists_shows_in_nothing() {
    let scene = Scene::new().await;
    let unknown = AccessId::random(&SystemRng).unwrap();
    for round in 0..7 {
        let mut told = Vec::new();
        for id in [&scene.ldap, &unknown] {
            let stats = scene.world.control.store.stats();
            let fault = scene.wrong(HERE, id, Some("alice")).await;
            let after = scene.world.control.store.stats();
            let waited = after.jobs + after.records > stats.jobs + stats.records;
            told.push((fault.public().to_owned(), fault.retry_after_seconds(), waited));
        }
        assert_eq!(told[0], told[1], "round {round}");
    }
}

#[tokio::test]
async fn logins_that_are_being_tried_are_bounded_and_names_too() {
    let scene = Scene::new().await;
    let long = "a".repeat(1_025);
    assert_eq!(kind(scene.admit(HERE, &scene.ldap, Some(&long)).await), FaultKind::BadRequest);
    for number in 0..TICKETS_MAX {
        let address = format!("10.{}.{}.1", number / 250, number % 250);
        scene.admit(&address, &scene.k8s, None).await.unwrap();
    }
    let full = scene.admit(HERE, &scene.ldap, Some("alice")).await;
    assert_eq!(kind(full), FaultKind::Unavailable);
    // It took nothing: all tries are left when there is room again.
    scene.world.clock.advance_seconds(TICKET_SECONDS);
    for _ in 0..FREE_TRIES {
        let refused = scene.wrong(HERE, &scene.ldap, Some("alice")).await;
        assert_eq!(refused.kind(), FaultKind::Unauthorized);
    }
}
