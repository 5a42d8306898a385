//! Bounds on what callers say about items.

use keysherd_base::FaultKind;
use keysherd_base::limits::{
    CUSTOM_FIELDS_MAX, DESCRIPTION_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, VERSIONS_MAX, WEBSITES_MAX,
};
use keysherd_plane::items::SecretCreate;

use crate::items::testing::secret;
use crate::testing::{World, kind};

#[tokio::test]
async fn everything_has_a_bound() {
    let world = World::new().await;
    let many = |count: usize| (0..count).map(|n| format!("{n}")).collect::<Vec<_>>();
    let fields = move |count: usize| many(count).into_iter().map(|n| (n.clone(), n)).collect();
    type Case = Box<dyn Fn(&mut SecretCreate)>;
    let cases: [(Case, bool); 12] = [
        (Box::new(|m| m.description = "d".repeat(DESCRIPTION_BYTES_MAX)), true),
        (Box::new(|m| m.description = "d".repeat(DESCRIPTION_BYTES_MAX + 1)), false),
        (Box::new(move |m| m.tags = many(TAGS_MAX)), true),
        (Box::new(move |m| m.tags = many(TAGS_MAX + 1)), false),
        (Box::new(|m| m.tags = vec!["t".repeat(TAG_BYTES_MAX + 1)]), false),
        (Box::new(|m| m.tags = vec![String::new()]), false),
        (Box::new(move |m| m.websites = many(WEBSITES_MAX + 1)), false),
        (Box::new(move |m| m.custom_fields = fields(CUSTOM_FIELDS_MAX)), true),
        (Box::new(move |m| m.custom_fields = fields(CUSTOM_FIELDS_MAX + 1)), false),
        (Box::new(|m| m.max_versions = Some(0)), false),
        (Box::new(|m| m.max_versions = Some(VERSIONS_MAX)), true),
        (Box::new(|m| m.max_versions = Some(VERSIONS_MAX + 1)), false),
    ];
    for (number, (change, fits)) in cases.into_iter().enumerate() {
        let mut message = secret(&format!("/a/{number}"));
        change(&mut message);
        match world.create(&world.admin, message).await {
            Ok(_) => assert!(fits, "case {number} was accepted"),
            outcome => {
                assert!(!fits, "case {number}");
                assert_eq!(kind(outcome), FaultKind::BadRequest, "case {number}");
            }
        }
    }
}

#[tokio::test]
async fn tags_are_kept_once_in_their_order() {
    let world = World::new().await;
    let mut message = secret("/a/b");
    message.tags = ["b", "a", "b"].map(str::to_owned).to_vec();
    let created = world.create(&world.admin, message).await.unwrap();
    assert_eq!(created.item.tags, ["b", "a"]);
}
