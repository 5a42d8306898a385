//! Which texts of gateways are believed, once; and that nobody else fills a log by asking.

use keysherd_base::{AccessId, Uid};
use keysherd_plane::clusters::VouchCheck;

use super::{FIRST, SECOND, hello};
use crate::testing::{STRANGER, World};

/// A text of the first gateway that nobody was asked about.
fn text(world: &World, access_id: &AccessId, mark: u8) -> VouchCheck {
    let now = world.control.now();
    VouchCheck {
        access_id: access_id.clone(),
        account: world.first.id.0,
        item: "/dyn/hook".to_owned(),
        spki_sha256: FIRST.spki_sha256,
        mark: [mark; 16],
        made: now,
        until: now.plus_seconds(300),
    }
}

fn records(world: &World) -> usize {
    let mut records = world.records();
    records.retain(|record| record.draft.action == "validate_producer_credentials");
    records.len()
}

#[tokio::test]
async fn a_text_counts_once_for_the_gateway_and_the_account_that_it_names() {
    let world = World::new().await;
    let (id, token) = world.gateway_token("/gateways/prod").await;
    let (other, foreign) = world.gateway_token("/gateways/other").await;
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    world.at(SECOND, &foreign, hello("prod")).await.unwrap();
    let asked = async |check: VouchCheck| world.at(SECOND, "", check).await;
    // Of no gateway, of one that works with another access id, of one that is in no cluster.
    for (access_id, spki_sha256) in [
        (&id, [9; 32]),
        (&id, STRANGER.spki_sha256),
        (&id, SECOND.spki_sha256),
        (&other, FIRST.spki_sha256),
    ] {
        let check = VouchCheck { spki_sha256, ..text(&world, access_id, 1) };
        let fault = asked(check).await.unwrap_err();
        assert_eq!(fault.public(), "the credentials of this call are not valid");
    }
    assert_eq!(records(&world), 0, "whoever asks fills a log");
    // About an item of another account, which the same gateway serves.
    let check = VouchCheck { account: Uid([8; 16]), ..text(&world, &id, 1) };
    assert!(asked(check).await.unwrap_err().private().unwrap().contains("another account"));
    // None of that has used it up.
    asked(text(&world, &id, 1)).await.unwrap();
    let fault = asked(text(&world, &id, 1)).await.unwrap_err();
    assert!(fault.private().unwrap().contains("before"), "{fault:?}");
    asked(text(&world, &id, 2)).await.unwrap();
    assert_eq!(records(&world), 4);
    // What was signed before this control started, it cannot know.
    let early =
        VouchCheck { made: world.control.now().plus_seconds(-10_000_000), ..text(&world, &id, 3) };
    assert!(asked(early).await.unwrap_err().public().contains("started"));
}
