//! Against a stand-in for Google's services, which lends tokens for the keys that it has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::FaultKind;

use super::*;
use crate::rotator::{Brought, Change, Rotator as _, bring_about, remove};
use crate::testing::google::{KEEPER, World, first, google as stand_in, key};
use crate::testing::rotation::Site;
use crate::testing::stub::Stub;
use crate::testing::{target_of, way};

const APP: &str = "app@own-project.iam.gserviceaccount.com";

struct Google {
    world: Arc<Mutex<World>>,
    site: Site,
    _stub: Stub,
}

/// A project with the keeper's key in it, and whose keys sign in.
async fn google(actor: Actor) -> Google {
    let world = Arc::<Mutex<World>>::default();
    world.lock().unwrap().real = Some(std::iter::once(first()).collect());
    let stub = stand_in(world.clone()).await;
    let mut way = way();
    way.endpoints.google = Some(stub.url.clone());
    let mut site = Site::new(&MEMBER, target_of("gcp", &[("gcp-key", &key(true))]), actor);
    site.endpoints(&way);
    site.limit(Duration::from_secs(60));
    Google { world, site, _stub: stub }
}

impl Google {
    /// The keeper's own key.
    fn own(&self) -> Credential {
        MEMBER.of_target(&self.site.stage().target).unwrap()
    }

    /// A first key of the application.
    async fn first(&self) -> Credential {
        let keeper = self.own();
        let members = [(ENCODED, keeper.text(ENCODED).unwrap()), (EMAIL, APP), (ID, "none")];
        let stage = Stage { actor: Actor::Target, ..self.site.stage() };
        MEMBER.obtained(&stage, &Credential::of_texts(&members)).await.unwrap().unwrap()
    }

    async fn next(&self, old: &Credential) -> Result<Credential, Fault> {
        let made = MEMBER.obtained(&self.site.stage(), old).await?;
        Ok(made.expect("Google makes them"))
    }

    fn keys(&self, account: &str) -> Vec<String> {
        let world = self.world.lock().unwrap();
        let keys = world.real.as_ref().unwrap().iter();
        keys.filter(|(_, (of, _))| of == account).map(|(id, _)| id.clone()).collect()
    }

    async fn brought(&self, (old, new): (&Credential, &Credential), resumed: bool) -> Brought {
        let change = Change { old, new, resumed, beside: false };
        bring_about(&MEMBER, &self.site.stage(), &change, || Ok(())).await
    }
}

fn id(credential: &Credential) -> String {
    credential.text(ID).unwrap().to_owned()
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one() {
    for (actor, asked_by) in [(Actor::Owner, APP), (Actor::Target, KEEPER)] {
        let google = google(actor).await;
        google.site.check().unwrap();
        let mut old = google.first().await;
        for round in 1..=2 {
            let before = google.world.lock().unwrap().claims.len();
            let new = google.next(&old).await.unwrap();
            let claims = google.world.lock().unwrap().claims[before].clone();
            assert_eq!(claims["iss"], asked_by, "{round}");
            assert!(google.site.signs_in(&old).await && google.site.signs_in(&new).await);
            assert!(!google.site.signs_in(&google.site.next(&new)).await, "nobody has that one");
            google.site.change(&old, &new).await.unwrap();
            assert!(!google.site.signs_in(&old).await && google.site.signs_in(&new).await);
            assert_eq!(google.keys(APP), [id(&new)], "{round}");
            // Whoever does not know that it was done goes on with it.
            let again = google.brought((&old, &new), true).await;
            assert!(matches!(again, Brought::Changed(_)), "{again:?}");
            assert_eq!(google.keys(APP), [id(&new)], "{round}");
            old = new;
        }
        let members = old.members();
        assert_eq!(members[EMAIL], APP);
        assert!(STANDARD.decode(members[ENCODED].as_str().unwrap()).is_ok());
        wipe(members.into());
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_everywhere_is_waited_for() {
    let google = google(Actor::Owner).await;
    let old = google.first().await;
    let new = google.next(&old).await.unwrap();
    // Once, and then whenever it is asked for in this time.
    google.world.lock().unwrap().lag = 1;
    let brought = google.brought((&old, &new), false).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    let google = self::google(Actor::Target).await;
    let old = google.first().await;
    let new = google.next(&old).await.unwrap();
    google.world.lock().unwrap().lag = usize::MAX;
    let mut site = google.site;
    site.limit(Duration::from_secs(10));
    let google = Google { site, ..google };
    let brought = google.brought((&old, &new), false).await;
    let Brought::Unknown(fault) = brought else { panic!("{brought:?}") };
    assert!(fault.public().contains("everywhere"), "{fault}");
    assert_eq!(google.keys(APP).len(), 2, "the old one stays");
    google.world.lock().unwrap().lag = 0;
    let brought = google.brought((&old, &new), true).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(google.keys(APP), [id(&new)]);
}

#[tokio::test]
async fn the_old_key_stays_for_a_while_and_goes_only_after_the_new_one_is_taken() {
    let mut google = google(Actor::Owner).await;
    let old = google.first().await;
    let new = google.next(&old).await.unwrap();
    let change = Change { old: &old, new: &new, resumed: false, beside: true };
    let brought = bring_about(&MEMBER, &google.site.stage(), &change, || Ok(())).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(google.keys(APP).len(), 2);
    let nobodys = google.site.next(&new);
    let stage = google.site.stage();
    remove(&MEMBER, &stage, (&nobodys, &old), || Ok(())).await.unwrap_err();
    assert_eq!(google.keys(APP).len(), 2, "who does not get in removes nothing");
    for _ in 0..2 {
        remove(&MEMBER, &stage, (&new, &old), || Ok(())).await.unwrap();
        assert_eq!(google.keys(APP), [id(&new)]);
    }
    // What is gone does not come back with an older version. It is waited for most of this time.
    google.site.limit(Duration::from_secs(10));
    let brought = google.brought((&new, &old), false).await;
    let Brought::Unchanged(fault) = brought else { panic!("{brought:?}") };
    assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
    assert!(google.site.signs_in(&new).await);
}

#[tokio::test]
async fn no_room_no_right_and_answers_that_get_lost() {
    let google = google(Actor::Target).await;
    let old = google.first().await;
    google.world.lock().unwrap().lost = true;
    let lost = google.next(&old).await.err().unwrap();
    assert_eq!(lost.kind(), FaultKind::Unavailable, "{lost}");
    assert_eq!(google.keys(APP).len(), 2, "one that nobody has");
    let new = google.next(&old).await.unwrap();
    let brought = google.brought((&old, &new), false).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    {
        let mut world = google.world.lock().unwrap();
        let keys = world.real.as_mut().unwrap();
        let (_, one) = first();
        for number in 0..9 {
            keys.insert(format!("used{number}"), (APP.to_owned(), one.1.clone()));
        }
    }
    let full = google.next(&new).await.err().unwrap();
    assert_eq!(full.kind(), FaultKind::Conflict, "{full}");
    assert!(full.public().contains("10 keys"), "{full}");
    google.world.lock().unwrap().denied = true;
    let denied = google.next(&new).await.err().unwrap();
    assert_eq!(denied.kind(), FaultKind::Forbidden, "{denied}");
    let wrong = google.site.next(&new);
    let own = Google { site: self::google(Actor::Owner).await.site, ..google };
    let refused = own.next(&wrong).await.err().unwrap();
    for fault in [lost, full, denied, refused] {
        let said = format!("{fault:?}");
        assert!(!said.contains("canary") && !said.contains("PRIVATE"), "{said}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_key() {
    let google = google(Actor::Target).await;
    let old = google.first().await;
    let stage = google.site.stage();
    let key = target_key(stage.target.settings).unwrap();
    let asked = crate::google::Google::open(key, CLOUD, None, stage.way).await.unwrap();
    for odd in ["[]", "\"a\"", "7", "null", "{\"privateKeyData\": {}, \"accessToken\": []}"] {
        google.world.lock().unwrap().odd = Some(odd);
        let fault = google.next(&old).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{odd}: {fault}");
        let fault = asked.token_of(APP, CLOUD, 60).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{odd}: {fault}");
    }
}

#[test]
fn a_targets_own_key_and_what_makes_no_sense() {
    let target = || target_of("gcp", &[("gcp-key", &key(true))]);
    let site = Site::new(&MEMBER, target(), Actor::Owner);
    let own = MEMBER.of_target(&site.stage().target).unwrap();
    assert_eq!((own.text(EMAIL).unwrap(), own.text(ID).unwrap()), (KEEPER, "kid1"));
    let short = Site::with(&MEMBER, target(), Actor::Owner, &[("password-length", "1")]);
    assert!(short.check().unwrap_err().public().contains("password-length"));
    let mut given = Args::new();
    let refused = |given: &Args| MEMBER.first(given).err().unwrap();
    assert!(refused(&given).public().contains("gcp-key"));
    for wrong in ["no key", "{}", "e30="] {
        let mut given = Args::new();
        given.put("gcp-key", wrong.into());
        assert_eq!(refused(&given).kind(), FaultKind::BadRequest);
    }
    given.put("gcp-key", key(true).into());
    let first = MEMBER.first(&given).unwrap();
    assert_eq!(first.members(), own.members());
    for (field, wrong) in [("gcp-service-account-email", APP), ("gcp-service-account-key-id", "x")]
    {
        let mut given = Args::new();
        given.put(field, wrong.into());
        assert!(MEMBER.corrected(&given, &first).err().unwrap().public().contains(field));
        given.put("gcp-key", key(true).into());
        assert!(refused(&given).public().contains(field));
    }
    given.put("gcp-service-account-email", KEEPER.into());
    assert_eq!(MEMBER.first(&given).unwrap().members(), own.members());
    assert_eq!(MEMBER.corrected(&Args::new(), &first).unwrap().members(), own.members());
    let target = target();
    let target = TargetUse { type_name: "gcp", settings: &target };
    assert!(MEMBER.is_keepers(&target, &first));
    for (name, other) in [(EMAIL, APP), (ID, "0123")] {
        let mut members = first.members();
        members.insert(name.to_owned(), other.into());
        assert!(!MEMBER.is_keepers(&target, &Credential::of_members(members)), "{name}");
    }
}
