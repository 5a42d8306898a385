//! What a caller learns of what they have no right to: 401 or 404, by the table of `authorize`.

use keysherd_base::{Fault, FaultKind, ItemId};
use keysherd_plane::grants::{ItemRef, VersionWish, Wish};
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemDescribe, ItemUpdate};

use crate::items::testing::rules;
use crate::testing::{World, item};

const UNAUTHORIZED: Option<FaultKind> = Some(FaultKind::Unauthorized);
const NOT_FOUND: Option<FaultKind> = Some(FaultKind::NotFound);

async fn attempt(world: &World, token: &str, what: &str, path: &str) -> Result<(), Fault> {
    let reference = ItemRef::Path(item(path));
    match what {
        "read" => world.read(token, path, VersionWish::Latest).await.map(drop),
        "describe" => {
            let message = ItemDescribe { item: reference, with_versions: true };
            world.ask(token, message).await.map(drop)
        }
        "update" => {
            let message = ItemUpdate { path: item(path), parts: Default::default() };
            world.ask(token, message).await.map(drop)
        }
        "delete" => {
            let message = ItemDelete {
                path: item(path),
                versions: DeleteVersions::All,
                in_days: 7,
                immediately: false,
                force: false,
            };
            world.ask(token, message).await.map(drop)
        }
        "put" => world.put(token, path, None).await.map(drop),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn existence_shows_to_those_who_may_list_only() {
    let world = World::new().await;
    world.secrets(&["/team/db"]).await;
    let nobody = world.user("nobody", &[]).await;
    let lister = world.user("lister", &rules(&["/team/* list"])).await;
    let denied = world.user("denied", &rules(&["/* read,update,delete", "/team/* deny"])).await;
    for what in ["read", "update", "put", "delete"] {
        for (who, token, existing, absent) in [
            ("nobody", &nobody, UNAUTHORIZED, UNAUTHORIZED),
            ("lister", &lister, UNAUTHORIZED, NOT_FOUND),
            ("denied", &denied, UNAUTHORIZED, UNAUTHORIZED),
            ("admin", &world.admin, None, NOT_FOUND),
        ] {
            let outcome = attempt(&world, token, what, "/team/absent").await;
            assert_eq!(outcome.err().map(|f| f.kind()), absent, "{who} {what} what is absent");
            if who == "admin" && what == "delete" {
                continue;
            }
            let outcome = attempt(&world, token, what, "/team/db").await;
            assert_eq!(outcome.err().map(|f| f.kind()), existing, "{who} {what} what exists");
        }
    }
    for (token, existing, absent) in
        [(&nobody, UNAUTHORIZED, UNAUTHORIZED), (&lister, None, NOT_FOUND)]
    {
        for (path, expect) in [("/team/db", existing), ("/team/absent", absent)] {
            let outcome = attempt(&world, token, "describe", path).await;
            assert_eq!(outcome.err().map(|f| f.kind()), expect, "describe {path}");
        }
    }
}

#[tokio::test]
async fn the_hidden_and_the_absent_are_answered_in_the_same_words() {
    let world = World::new().await;
    world.secrets(&["/team/db"]).await;
    let nobody = world.user("nobody", &[]).await;
    for what in ["read", "update", "put", "delete", "describe"] {
        let texts =
            ["/team/db", "/team/no"].map(|path| (path, attempt(&world, &nobody, what, path)));
        let mut answers = Vec::new();
        for (path, attempt) in texts {
            let fault = attempt.await.unwrap_err();
            answers.push((fault.code().to_owned(), fault.public().replace(path, "PATH")));
        }
        assert_eq!(answers[0], answers[1], "{what}");
    }
}

#[tokio::test]
async fn an_id_says_nothing_about_what_is_hidden() {
    let world = World::new().await;
    world.secrets(&["/team/db"]).await;
    let granted = world.read(&world.admin, "/team/db", VersionWish::Latest).await.unwrap();
    let nobody = world.user("nobody", &[]).await;
    let lister = world.user("lister", &rules(&["/team/* list"])).await;
    let read = |id: ItemId| {
        let items = vec![ItemRef::Id(id)];
        Wish::Read { items, version: VersionWish::Latest }
    };
    let absent = ItemId(granted.id.0 + 1_000);
    let mut answers = Vec::new();
    for id in [granted.id, absent] {
        let fault = world.wish(&nobody, read(id), false).await.0.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::NotFound);
        answers.push(fault.public().replace(&id.to_string(), "ID"));
        let message = ItemDescribe { item: ItemRef::Id(id), with_versions: false };
        let fault = world.ask(&nobody, message).await.unwrap_err();
        answers.push(fault.public().replace(&id.to_string(), "ID"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let fault = world.wish(&lister, read(granted.id), false).await.0.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unauthorized);
    assert!(world.wish(&world.admin, read(granted.id), true).await.0.is_ok());
}

#[tokio::test]
async fn a_protection_key_is_named_to_those_who_may_list_it() {
    let world = World::new().await;
    let algorithm = keysherd_domain::item::KeyAlgorithm::Aes256Gcm;
    world.key(&world.admin, "/keys/k", algorithm).await.unwrap();
    let mut message = crate::items::testing::secret("/team/db");
    message.protection_key = Some(item("/keys/k"));
    world.create(&world.admin, message).await.unwrap();
    let lister = world.user("lister", &rules(&["/team/* list"])).await;
    for (token, name) in [(&world.admin, Some("/keys/k")), (&lister, None)] {
        let item = ItemRef::Path(item("/team/db"));
        let view = world.ask(token, ItemDescribe { item, with_versions: false }).await.unwrap();
        assert_eq!(view.protection_key_name.as_deref(), name);
    }
}
