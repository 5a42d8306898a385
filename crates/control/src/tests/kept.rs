//! What gateways ask about the auth methods that they keep something for.

use keysherd_base::{AccessId, FaultKind};
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_plane::configs::{KEPT_FOR_MAX, KeepBegin, KeptFor};

use crate::testing::{World, item, kind, rule};

#[tokio::test]
async fn administrators_alone_have_a_gateway_keep_something() {
    let world = World::new().await;
    let (id, _) = world.api_key("/krb", MethodShared::default()).await;
    let begin = |path: Option<&str>| KeepBegin { path: path.map(item) };
    let reply = world.ask(&world.admin, begin(Some("/krb"))).await.unwrap();
    assert_eq!((reply.account, reply.access_id), (world.first.id, Some(id)));
    for path in [None, Some("/nothing")] {
        let reply = world.ask(&world.admin, begin(path)).await.unwrap();
        assert_eq!((reply.account, reply.access_id), (world.first.id, None));
    }
    // Another account's administrator does not see it.
    let other = world.another_account("other@example.com").await;
    let admin = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap().token;
    let reply = world.ask(&admin, begin(Some("/krb"))).await.unwrap();
    assert_eq!((reply.account, reply.access_id), (other.id, None));
    // Nor is it enough to have every right on auth methods; and that is recorded.
    let all = rule(RuleKind::AuthMethod, "/*", "create,read,update,delete,list");
    let user = world.user("maker", &[all]).await;
    let before = world.records().len();
    let refused = world.ask(&user, begin(Some("/krb"))).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask("", begin(None)).await), FaultKind::Unauthorized);
    let records = world.records();
    let of_refusal =
        records[before..].iter().filter(|record| record.draft.action == "test_command");
    assert_eq!(of_refusal.count(), 1);
}

#[tokio::test]
async fn only_what_no_method_needs_is_gone() {
    let world = World::new().await;
    let (kept, _) = world.api_key("/kept", MethodShared::default()).await;
    let (gone, _) = world.api_key("/gone", MethodShared::default()).await;
    let other = world.another_account("other@example.com").await.created.admin_access_id;
    let never = AccessId::parse("p-0123456789ab").unwrap();
    world.ask(&world.admin, MethodDelete { path: item("/gone") }).await.unwrap();
    let methods = vec![kept.clone(), gone.clone(), other, never.clone()];
    // A gateway asks without anybody's token.
    let reply = world.ask("", KeptFor { methods }).await.unwrap();
    assert_eq!(reply.gone, [gone, never]);
    let methods = vec![kept; KEPT_FOR_MAX + 1];
    assert_eq!(kind(world.ask("", KeptFor { methods }).await), FaultKind::BadRequest);
}
