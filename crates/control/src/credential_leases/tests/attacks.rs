//! Gateways that speak for others, answers that come late, and what nobody may say.

use keysherd_base::Timestamp;

use super::*;

#[tokio::test]
async fn another_gateway_neither_activates_nor_abandons_nor_reports() {
    let world = World::new().await;
    let ids = world.database().await;
    let (lease, intended) = world.intend(&world.admin, ids).await;
    intended.unwrap();
    let activate = LeaseActivate { lease, handle: Some("root".to_owned()), ends: None };
    assert_eq!(kind(world.at(OTHER, "", activate).await), FaultKind::NotFound);
    world.at(OTHER, "", LeaseAbandon { lease, touched: false, late: false }).await.unwrap();
    world.at(OTHER, "", LeaseAbandon { lease, touched: true, late: false }).await.unwrap();
    let listed = &world.leases().await[0];
    assert_eq!((listed.state, listed.handle.contains("tmp.")), (LeaseState::Intended, true));

    world.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let result =
        LeaseResult { lease, attempt: taken.work[0].attempt, failed: None, untried: false };
    world.at(OTHER, "", LeaseReport { results: vec![result.clone()] }).await.unwrap();
    assert_eq!(world.leases().await.len(), 1, "it is not the other one's to say");
    assert!(
        world
            .at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() })
            .await
            .unwrap()
            .work
            .is_empty()
    );
    world.ask("", LeaseReport { results: vec![result] }).await.unwrap();
    assert!(world.leases().await.is_empty());
}

#[tokio::test]
async fn a_late_report_of_an_old_attempt_changes_nothing() {
    let world = World::new().await;
    let ids = world.database().await;
    world.lease(ids).await;
    world.clock.advance_seconds(LIFE);
    let first = world.take_leases().await;
    world.clock.advance_seconds(work_seconds(1));
    // Nothing was heard of it: another gateway takes over.
    let second =
        world.at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await.unwrap();
    assert_eq!((first.work[0].attempt, second.work[0].attempt), (1, 2));
    assert_eq!(first.work[0].lease, second.work[0].lease);
    let due = world.take_leases().await.next_due_millis;
    world.report(&first, Some("no route to host")).await;
    world.report(&first, None).await;
    let listed = &world.leases().await[0];
    assert_eq!((listed.attempts, listed.last_error.as_str()), (2, ""));
    assert_eq!(world.take_leases().await.next_due_millis, due);
    let result =
        LeaseResult { lease: second.work[0].lease, attempt: 2, failed: None, untried: false };
    let twice = LeaseReport { results: vec![result.clone(), result] };
    world.at(OTHER, "", twice.clone()).await.unwrap();
    world.at(OTHER, "", twice).await.unwrap();
    assert!(world.leases().await.is_empty());
    assert_eq!(world.recorded("remove_temporary_credential").len(), 1);
}

#[tokio::test]
async fn gateways_of_other_clusters_get_nothing_of_a_clusters_own() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let (_, elsewhere) = world.gateway_token("/gateways/test").await;
    world.ask(&token, crate::clusters::tests::hello("prod")).await.unwrap();
    world.at(OTHER, &elsewhere, crate::clusters::tests::hello("test")).await.unwrap();
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    let facts = world.open(&world.admin, SECRET, Purpose::Produce).await.unwrap().opened.unwrap();
    assert!(facts.facts[0].engine.as_ref().unwrap().cluster > 0);

    let wish = Wish::Open { item: ItemRef::Path(item(SECRET)), purpose: Purpose::Produce };
    let grant = keysherd_plane::grants::Grant {
        wishes: vec![(world.caller(&world.admin), wish)],
        with_permit: true,
        keep: keysherd_plane::grants::Keeping::No,
    };
    let reply = world.at(OTHER, "", grant).await.unwrap();
    let fault = reply.outcomes.into_iter().next().unwrap().unwrap_err();
    assert_eq!(fault.code(), "OtherCluster");
    assert!(reply.permits.is_empty());
    let intend = LeaseIntend {
        item: ids.0,
        target: Some(ids.1),
        lease: Uid([5; 16]),
        handle: "tmp.x".to_owned(),
        ttl_seconds: 60,
    };
    let fault = world.at(OTHER, &world.admin, intend).await.unwrap_err();
    assert_eq!(fault.code(), "OtherCluster");
    world.clock.advance_seconds(LIFE);
    let theirs =
        world.at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await.unwrap();
    assert_eq!((theirs.work.len(), theirs.next_due_millis), (0, None));
    let strangers = GatewayIdentity { spki_sha256: [8; 32] };
    assert!(
        world
            .at(strangers, "", LeaseTake { limit: 10, each: 0, room: Vec::new() })
            .await
            .unwrap()
            .work
            .is_empty()
    );

    // When the cluster is gone, nothing of it is left behind.
    let gone = keysherd_plane::clusters::ClusterDelete { name: "prod".to_owned(), force: true };
    world.ask(&world.admin, gone).await.unwrap();
    let taken =
        world.at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await.unwrap();
    assert_eq!(taken.work.iter().map(|work| work.lease).collect::<Vec<_>>(), [lease]);
    world
        .at(strangers, &world.admin, LeaseList { item: item(SECRET), after: None, limit: 1 })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let ids = world.database().await;
    let good = LeaseIntend {
        item: ids.0,
        target: Some(ids.1),
        lease: Uid([5; 16]),
        handle: "tmp.x".to_owned(),
        ttl_seconds: 60,
    };
    for handle in ["x".repeat(1_025), "x".repeat(1 << 20), "a\nb".to_owned()] {
        let message = LeaseIntend { handle, ..good.clone() };
        assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::BadRequest);
    }
    for ttl_seconds in [0, -1, i64::MIN, i64::MAX] {
        let message = LeaseIntend { ttl_seconds, ..good.clone() };
        assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::BadRequest);
    }
    for target in [None, Some(ItemId(999)), Some(ids.0), Some(ItemId(i64::MAX))] {
        let message = LeaseIntend { target, ..good.clone() };
        assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::Conflict);
    }
    for (item, expected) in
        [(ids.1, FaultKind::BadRequest), (ItemId(i64::MAX), FaultKind::NotFound)]
    {
        let message = LeaseIntend { item, ..good.clone() };
        assert_eq!(kind(world.ask(&world.admin, message).await), expected);
    }
    for limit in [0, 257, usize::MAX] {
        assert_eq!(
            kind(world.ask("", LeaseTake { limit, each: 0, room: Vec::new() }).await),
            FaultKind::BadRequest
        );
    }
    assert!(world.leases().await.is_empty());

    world.ask(&world.admin, good.clone()).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, good.clone()).await), FaultKind::Conflict);
    let lease = good.lease;
    for ends in [Timestamp(0), world.now(), Timestamp(i64::MAX)] {
        let message = LeaseActivate { lease, handle: None, ends: Some(ends) };
        assert_eq!(kind(world.ask("", message).await), FaultKind::BadRequest);
    }
    for handle in [String::new(), "y".repeat(1 << 20)] {
        let message = LeaseActivate { lease, handle: Some(handle), ends: None };
        assert_eq!(kind(world.ask("", message).await), FaultKind::BadRequest);
    }
    assert_eq!(world.leases().await[0].state, LeaseState::Intended);
    let unnamed = LeaseIntend { lease: Uid([6; 16]), handle: String::new(), ..good };
    world.ask(&world.admin, unnamed).await.unwrap();
    let handle = Some("named-by-its-target".to_owned());
    let named = LeaseActivate { lease: Uid([6; 16]), handle: handle.clone(), ends: None };
    world.ask("", named).await.unwrap();
    assert_eq!(Some(&world.leases().await[1].handle), handle.as_ref());
    let result = LeaseResult { lease, attempt: 1, failed: None, untried: false };
    let many = LeaseReport { results: vec![result; 257] };
    assert_eq!(kind(world.ask("", many).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn a_token_that_ended_makes_nothing_and_what_it_began_is_finished_without_it() {
    let world = World::new().await;
    let ids = world.database().await;
    let (lease, intended) = world.intend(&world.admin, ids).await;
    intended.unwrap();
    let revoke = keysherd_plane::auth::RevokeToken;
    let token = world.admin.clone();
    world.ask(&token, revoke).await.unwrap();
    let (_, refused) = world.intend(&token, ids).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
    // The user is there: it must have an end, whoever asked for it.
    world.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
    world.clock.advance_seconds(LIFE);
    assert_eq!(world.take_leases().await.work.len(), 1);
    let kinds: Vec<_> = world.recorded("refused_request");
    assert_eq!(kinds.len(), 1);
}
