//! An account whose audit chain was damaged: it is answered nothing, and nobody else notices.

use keysherd_audit::Record;
use keysherd_base::FaultKind;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::grants::{GrantReply, Granted, ItemRef, VersionWish, Wish};
use keysherd_store::{Tx, audit, used_proofs};

use crate::items::testing::{new_value, secret};
use crate::testing::{Admitted, World, exchange, item};

/// The first account with `/a/mine`, and another one with `/b/theirs` whose chain's head is not
/// what was signed; with the token of its administrator.
async fn world() -> (World, Admitted, String) {
    let mut world = World::new().await;
    world.secrets(&["/a/mine"]).await;
    let mut second = world.another_account("second@example.com").await;
    let token = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let token = token.unwrap().token;
    std::mem::swap(&mut world.first, &mut second);
    world.create(&token, secret("/b/theirs")).await.unwrap();
    std::mem::swap(&mut world.first, &mut second);
    let head = world.control.store.read(|reader| audit::head(reader, second.id));
    let genuine = head.unwrap().unwrap().signature;
    let mut forged = genuine;
    forged[9] ^= 1;
    (world.reopened(|home| exchange(home, &genuine, &forged)), second, token)
}

fn read(path: &str) -> Wish {
    Wish::Read { items: vec![ItemRef::Path(item(path))], version: VersionWish::Latest }
}

fn write(path: &str) -> Wish {
    Wish::Write { target: new_value(path, None, None), salt: [5; 32] }
}

fn of_action<'r>(records: &'r [Record], action: &str) -> Vec<&'r Record> {
    records.iter().filter(|record| record.draft.action == action).collect()
}

/// The permits that somebody could use.
fn usable(reply: &GrantReply) -> usize {
    reply.permits.iter().filter(|permit| !permit.bytes.is_empty()).count()
}

#[tokio::test]
async fn it_does_not_fail_what_others_read_in_the_same_message() {
    let (world, _, theirs) = world().await;
    let mine = &*world.admin;
    let before = of_action(&world.records(), "get_secret_value").len();
    let wishes = vec![
        (&*theirs, read("/b/theirs")),
        (mine, read("/a/mine")),
        (&*theirs, read("/b/theirs")),
        (mine, read("/a/absent")),
        (mine, read("/a/mine")),
    ];
    let reply = world.wishes(wishes, true).await;
    let kinds: Vec<_> = reply.outcomes.iter().map(|outcome| outcome.as_ref().err()).collect();
    let kinds: Vec<_> = kinds.into_iter().map(|fault| fault.map(|fault| fault.kind())).collect();
    let (refused, absent) = (Some(FaultKind::Unavailable), Some(FaultKind::NotFound));
    assert_eq!(kinds, [refused, None, refused, absent, None]);
    assert_eq!(of_action(&world.records(), "get_secret_value").len() - before, 3);
    assert_eq!(usable(&reply), 1, "what nothing explains is not permitted");
    for granted in [1, 4] {
        let granted = &reply.outcomes[granted].as_ref().unwrap().granted;
        let Granted::Read(items) = granted else { panic!("{granted:?}") };
        let slot = items[0].versions[0].permit_slot.unwrap();
        assert!(!reply.permits[usize::from(slot.permit)].bytes.is_empty(), "its own permit");
    }
}

#[tokio::test]
async fn it_does_not_keep_what_others_write_out_of_their_logs() {
    let (world, _, theirs) = world().await;
    let action = "get_item_derivation_creds";
    let before = of_action(&world.records(), action).len();
    let wishes = vec![(&*theirs, write("/b/theirs")), (&*world.admin, write("/a/mine"))];
    let reply = world.wishes(wishes, true).await;
    assert!(reply.outcomes.iter().all(Result::is_ok));
    // Whatever is recorded after it comes behind it.
    world.read(&world.admin, "/a/mine", VersionWish::Latest).await.unwrap();
    assert_eq!(of_action(&world.records(), action).len() - before, 1);
}

#[tokio::test]
async fn it_does_not_end_the_chores() {
    let (world, second, _) = world().await;
    let stranger = SigningKey::generate(&SystemRng).unwrap();
    for _ in 0..3 {
        for admin in [&world.first.created.admin_access_id, &second.created.admin_access_id] {
            world.login(admin, &stranger).await.unwrap_err();
        }
    }
    let mark = [7; 16];
    let until = world.now().plus_seconds(30);
    let take = move |tx: &Tx| used_proofs::take(tx, &mark, until);
    assert!(world.control.store.commit(Vec::new(), take).await.unwrap());
    world.clock.advance_seconds(61);
    assert_eq!(world.control.record_refused_logins(world.now()).await.unwrap(), 1);
    let records = world.records();
    let counted = of_action(&records, "logins_refused");
    assert_eq!(counted.len(), 1, "its own refused logins are counted");
    // The proof was forgotten: it is new again.
    let until = world.now().plus_seconds(30);
    let take = move |tx: &Tx| used_proofs::take(tx, &mark, until);
    assert!(world.control.store.commit(Vec::new(), take).await.unwrap());
}
