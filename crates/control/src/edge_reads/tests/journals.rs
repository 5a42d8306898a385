//! Journals beside each other: of an account whose log is damaged, and those that are finished.

use keysherd_base::{AccountId, FaultKind, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_plane::cache::{JournalPut, JournalPutReply};
use keysherd_store::{Reader, Tx, audit, gateway_journals};

use super::{HERE, THERE, journal, world};
use crate::edge_reads::journal::JOURNALS_PER_GATEWAY_MAX;
use crate::items::testing::secret;
use crate::testing::{World, exchange, kind};

impl World {
    async fn brought(&self, message: &JournalPut) -> JournalPutReply {
        self.through(HERE, self.caller(""), message.clone()).await.unwrap()
    }

    /// The requests that journals brought into an account's log.
    fn requests(&self, account: AccountId) -> Vec<u8> {
        let read = |reader: &Reader| audit::records(reader, account, 0, 100_000);
        let stored = self.control.store.read(read).unwrap();
        let records = stored.iter().map(|record| record.parse().unwrap());
        let journaled = records.filter(|record| record.draft.component == "gateway/cache");
        journaled.map(|record| record.draft.request.0[0]).collect()
    }

    fn journals(&self) -> u64 {
        let count = |reader: &Reader| gateway_journals::count_of(reader, &HERE.spki_sha256);
        self.control.store.read(count).unwrap()
    }
}

#[tokio::test]
async fn reads_of_an_account_with_a_damaged_log_are_set_aside_and_others_recorded() {
    let (mut world, user) = world().await;
    let mut second = world.another_account("second@example.com").await;
    let token = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let token = token.unwrap().token;
    std::mem::swap(&mut world.first, &mut second);
    world.create(&token, secret("/b/theirs")).await.unwrap();
    std::mem::swap(&mut world.first, &mut second);
    let mine = world.keep(&user, "/a/one").await.receipt;
    let theirs = world.keep(&token, "/b/theirs").await.receipt;
    let head = world.control.store.read(|reader| audit::head(reader, second.id));
    let genuine = head.unwrap().unwrap().signature;
    let mut forged = genuine;
    forged[9] ^= 1;

    let world = world.reopened(|home| exchange(home, &genuine, &forged));
    let mut message = journal(1, &mine, &[1, 2, 3, 4], world.now());
    message.receipts.push(theirs);
    (message.reads[1].receipt, message.reads[3].receipt) = (1, 1);
    let aside = JournalPutReply { taken: 4, aside: vec![2, 4], unproven: 0 };
    assert_eq!(world.brought(&message).await, aside);
    assert_eq!(world.brought(&message).await, aside, "again");
    assert_eq!((world.requests(world.first.id), world.requests(second.id)), (vec![1, 3], vec![]));

    let world = world.reopened(|home| exchange(home, &forged, &genuine));
    let recorded = JournalPutReply { taken: 4, aside: vec![], unproven: 0 };
    assert_eq!(world.brought(&message).await, recorded);
    assert_eq!(world.brought(&message).await, recorded, "once");
    assert_eq!(world.requests(world.first.id), [1, 3]);
    assert_eq!(world.requests(second.id), [2, 4]);
}

#[tokio::test]
async fn journals_that_are_finished_leave_nothing() {
    let (world, user) = world().await;
    let receipt = world.keep(&user, "/a/one").await.receipt;
    for number in 0..50 {
        let id = Uid::random(&SystemRng).unwrap();
        let message = JournalPut { journal: id, ..journal(1, &receipt, &[number], world.now()) };
        assert_eq!(world.brought(&message).await.taken, 1);
        assert_eq!(world.journals(), 1);
        let nothing = JournalPut { reads: vec![], receipts: vec![], ..message.clone() };
        let refused = world.through(HERE, world.caller(""), nothing.clone()).await;
        assert_eq!(kind(refused), FaultKind::BadRequest, "no reads");
        let both = JournalPut { finished: true, ..message };
        let refused = world.through(HERE, world.caller(""), both).await;
        assert_eq!(kind(refused), FaultKind::BadRequest, "the end, and more");
        let finished = JournalPut { finished: true, ..nothing };
        let refused = world.through(THERE, world.caller(""), finished.clone()).await;
        assert_eq!(kind(refused), FaultKind::Forbidden);
        assert_eq!(world.journals(), 1);
        world.brought(&finished).await;
        assert_eq!(world.journals(), 0);
        // The answer was lost.
        world.brought(&finished).await;
    }
    assert_eq!(world.requests(world.first.id).len(), 50);
}

#[tokio::test]
async fn a_gateway_has_so_many_unfinished_journals_and_no_more() {
    let (world, user) = world().await;
    let receipt = world.keep(&user, "/a/one").await.receipt;
    let (now, here) = (world.now(), HERE.spki_sha256);
    let many = move |tx: &Tx| {
        (0..JOURNALS_PER_GATEWAY_MAX).try_for_each(|number| {
            let mut id = Uid::default();
            id.0[8..].copy_from_slice(&number.to_be_bytes());
            gateway_journals::put(tx, id, &here, 1, now)
        })
    };
    world.control.store.commit(Vec::new(), many).await.unwrap();
    let message = journal(1, &receipt, &[1], world.now());
    let refused = world.through(HERE, world.caller(""), message.clone()).await;
    assert_eq!(kind(refused), FaultKind::RateLimited);
    world.through(THERE, world.caller(""), message.clone()).await.unwrap();
    // What brought nothing for long is forgotten in the chores.
    world.clock.advance_seconds(401 * 86_400);
    world.control.record_refused_logins(world.now()).await.unwrap();
    assert_eq!(world.journals(), 0);
}
