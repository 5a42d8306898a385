//! A store that has something in every table.

use keysherd_base::{AccessId, Uid};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::cluster::Cluster;
use keysherd_domain::item::ItemState;

use crate::export_file::Cell;
use crate::keys::ProtectionKey;
use crate::tables::statements;
use crate::tests::fixture::*;
use crate::{
    Store, Tx, accounts, assocs, auth_methods, clusters, gateway_journals, item_versions, items,
    keys, login_guards, revoked_tokens, roles, used_proofs,
};

/// Writes one row past the noun modules.
pub(super) fn raw(tx: &Tx, table: &str, row: Vec<Cell>) {
    let all = statements();
    let statements = all.iter().find(|found| found.table.name == table).unwrap();
    assert_eq!(tx.raw().put_rows(statements, &[row]).unwrap(), 1, "{table}");
}

pub(super) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

pub(super) fn bytes(length: usize) -> Cell {
    Cell::Blob(vec![7; length])
}

/// A store that has something in every table, and numbers that were given and are gone.
pub(super) fn fill(store: &Store) {
    let key = ProtectionKey {
        key_id: KEY,
        version: 1,
        account: ACCOUNT,
        state: ItemState::Enabled,
        group: "default".to_owned(),
        customer_fragment: None,
        managers: 3,
        threshold: 2,
        created: NOW,
        manifest: b"signed".as_slice().into(),
    };
    done(store, move |tx| {
        let ci = auth_methods::insert(tx, &method("/ci", "p-aaaaaaaaaaaa"))?;
        let theirs = AuthMethod { account: OTHER, ..method("/them", "p-cccccccccccc") };
        let theirs = auth_methods::insert(tx, &theirs)?;
        for (id, owner) in [(ACCOUNT, ci), (OTHER, theirs)] {
            let mut owned = account(id);
            owned.owner_method = owner;
            accounts::update(tx, &owned)?;
        }
        let reader = roles::insert(tx, &role("/reader"))?;
        assocs::insert(tx, ACCOUNT, &assoc("ass-1", reader, ci))?;
        keys::insert(tx, &key)?;
        let mut first = item("/team/a secret of \u{fc}nc\u{f6}mmon name");
        let first_id = items::insert(tx, &first)?;
        let key_item = items::insert(tx, &item("/keys/later"))?;
        first.id = first_id;
        first.protection_key = Some(key_item);
        items::update(tx, &first)?;
        // Several frames, and several pages.
        for number in 0..20 {
            let id = items::insert(tx, &item(&format!("/many/{number}")))?;
            item_versions::put(tx, id, &version(1, &[number; 200_000]))?;
        }
        let gone = items::insert(tx, &item("/gone"))?;
        items::delete(tx, gone)?;
        crate::folders::insert(tx, &explicit_folder("/team"))?;
        let expires = NOW.plus_seconds(60);
        let token = revoked_tokens::RevokedToken { token: Uid([1; 16]), account: ACCOUNT, expires };
        revoked_tokens::insert(tx, &token)?;
        let place = login_guards::PlaceRow { subject: [5; 32], place: [6; 32], seen: NOW };
        login_guards::put_place(tx, &place)?;
        used_proofs::take(tx, &[9; 16], NOW)?;
        gateway_journals::put_gap(tx, Uid([4; 16]), 7)?;
        let cluster = Cluster {
            id: 0,
            uid: Uid([3; 16]),
            account: ACCOUNT,
            access_id: AccessId::parse("p-0123456789ab").unwrap(),
            name: "prod".to_owned(),
            display_name: String::new(),
            url: String::new(),
            protection_key: None,
            created: NOW,
        };
        let cluster = clusters::insert(tx, &cluster)?;
        let key = clusters::ConfigKey { key_id: KEY, version: 1, customer_fragment: None };
        let (ciphertext, name_tag) = (b"sealed".as_slice().into(), None);
        let config = clusters::StoredConfig { version: 1, key, ciphertext, name_tag };
        assert!(clusters::put_config(tx, cluster, &config)?);
        fill_the_rest(tx, ci, cluster);
        Ok(())
    });
    for id in [ACCOUNT, OTHER, ACCOUNT] {
        wait(store.commit(vec![draft(id)], |_| Ok(()))).unwrap();
    }
}

/// Rows of the tables that the noun modules have no short way to.
fn fill_the_rest(tx: &Tx, ci: i64, cluster: i64) {
    let (body, account) = (|| text("{}"), || Cell::Blob(vec![1; 16]));
    let number = Cell::Int;
    raw(tx, "meta", vec![text("color"), text("blue")]);
    let wrong = vec![bytes(32), number(3), number(-5), number(i64::MAX)];
    raw(tx, "login_guards", wrong);
    let seed = vec![number(ci), bytes(60), number(1), number(7), text("[]"), number(1)];
    raw(tx, "second_factors", seed);
    let token = vec![number(9), number(ci), text("ab"), Cell::Null, number(8), Cell::Null, body()];
    raw(tx, "uid_tokens", token);
    raw(tx, "bearer_groups", vec![text("g-1"), account(), text("g"), text("a"), body()]);
    let rotation = vec![
        bytes(16),
        number(2),
        account(),
        text("running"),
        text("p-1"),
        number(1),
        Cell::Null,
        number(4),
        text(""),
    ];
    raw(tx, "key_rotations", rotation);
    raw(tx, "gateway_instances", vec![bytes(32), number(cluster), number(1), body()]);
    raw(tx, "gateway_leases", vec![number(cluster), text("logs"), body()]);
    let place = vec![number(cluster), text("logs"), text("one"), body()];
    raw(tx, "gateway_places", place);
    raw(tx, "gateway_journals", vec![bytes(16), bytes(32), number(4), number(5)]);
    raw(tx, "gateway_access", vec![number(2), number(cluster), text("all"), body()]);
    raw(tx, "item_targets", vec![number(1), number(2)]);
    let lease = vec![
        bytes(16),
        account(),
        number(1),
        number(cluster),
        text("active"),
        number(9),
        number(0),
        number(1),
        body(),
    ];
    raw(tx, "credential_leases", lease);
    let rotation = vec![number(1), account(), number(cluster), number(9), body()];
    raw(tx, "credential_rotations", rotation);
    let assoc = vec![text("ass-2"), account(), number(1), number(2), number(4)];
    raw(tx, "target_assocs", assoc);
}
