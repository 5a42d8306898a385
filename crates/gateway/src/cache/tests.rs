//! What tells calls apart.

use keysherd_base::{ItemId, ItemPath};

use super::*;

fn caller(token: &str) -> Caller {
    let mut caller = Caller::of_the_server(Uid::default());
    caller.token = Some(token.into());
    caller
}

fn path(text: &str) -> ItemRef {
    ItemRef::Path(ItemPath::parse(text).unwrap())
}

#[test]
fn calls_that_differ_in_anything_a_decision_may_depend_on_have_different_keys() {
    let items = [path("/a"), path("/b")];
    let latest = VersionWish::Latest;
    let usual = caller("t-1");
    let key =
        |caller: &Caller, items: &[ItemRef], version| key::of(caller, items, version).unwrap();
    let changed = |change: fn(&mut Caller)| {
        let mut caller = usual.clone();
        change(&mut caller);
        key(&caller, &items, latest)
    };
    let mut keys = vec![
        key(&usual, &items, latest),
        key(&caller("t-2"), &items, latest),
        changed(|caller| caller.client.address = [10, 0, 0, 1].into()),
        changed(|caller| caller.client.address = std::net::Ipv6Addr::LOCALHOST.into()),
        changed(|caller| caller.client.kind = "terraform".into()),
        changed(|caller| caller.command = "other".into()),
        key(&usual, &items, VersionWish::Exactly(1)),
        key(&usual, &items, VersionWish::Last(1)),
        key(&usual, &items, VersionWish::Exactly(2)),
        key(&usual, &items[..1], latest),
        key(&usual, &[path("/b"), path("/a")], latest),
        key(&usual, &[path("/a/b")], latest),
        key(&usual, &[ItemRef::Id(ItemId(1))], latest),
        key(&usual, &[ItemRef::Display("/a".to_owned())], latest),
    ];
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
    let mut again = usual.clone();
    again.request = Uid([9; 16]);
    again.received = keysherd_base::Timestamp(5);
    assert_eq!(key(&again, &items, latest), key(&usual, &items, latest), "the same call later");
    assert_eq!(key::of(&Caller::of_the_server(Uid::default()), &items, latest), None);
}
