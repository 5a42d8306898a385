//! Another customer fragment for a key, by rotation and re-wrap.

use keysherd_base::{Secret, Uid};
use keysherd_fragments::fragment_file::{FragmentEntry, FragmentFile, FragmentKind, id_text};
use keysherd_testkit::{FRAGMENT, Rig};
use serde_json::json;

use super::{is_done, read, rig, store, wait};

const SECOND: Uid = Uid([0xb2; 16]);

fn entry(id: Uid, value: u8) -> FragmentEntry {
    FragmentEntry {
        id,
        name: "north".to_owned(),
        description: String::new(),
        kind: FragmentKind::Standard,
        value: Secret::new([value; 32]),
        backup_verified_at: None,
    }
}

fn hold(rig: &Rig, entries: Vec<FragmentEntry>) {
    rig.fragments.replace(FragmentFile { entries, problems: Vec::new() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_fragment_is_replaced_without_writing_a_value() {
    let mut rig = rig().await;
    rig.change_bundle(|bundle| bundle.clusters[0].fragments.push(SECOND)).await;
    hold(&rig, vec![entry(FRAGMENT, 1), entry(SECOND, 2)]);
    let key = json!({"name": "/keys/a", "alg": "AES256GCM", "customer-frg-id": id_text(&FRAGMENT)});
    rig.call("create-dfc-key", key).await.expect("a key");
    for number in 0..4 {
        store(&rig, &format!("/team/{number}"), "v", "/keys/a").await;
    }
    // A fragment nobody holds, and one the bundle does not know, change nothing.
    for id in [Uid([0xc3; 16]), Uid([0xd4; 16])] {
        let args = json!({"name": "/keys/a", "new-customer-frg-id": id_text(&id)});
        rig.call("rotate-key", args).await.expect_err("no such fragment");
    }
    let args = json!({"name": "/keys/a", "new-customer-frg-id": id_text(&SECOND)});
    rig.call("rotate-key", args).await.expect("a rotation");
    let done = wait(&rig, "/keys/a", "end of the work", is_done).await;
    assert_eq!(done["versions"][0]["customer_fragment_id"], id_text(&SECOND), "{done}");
    assert_eq!(done["versions"][0]["values"], 4, "{done}");
    // The old fragment is of no use any more; without the new one nothing opens.
    hold(&rig, vec![entry(SECOND, 2)]);
    rig.restart_gateway();
    assert_eq!(read(&rig, "/team/2").await.unwrap(), "v");
    hold(&rig, vec![entry(FRAGMENT, 1)]);
    rig.restart_gateway();
    read(&rig, "/team/2").await.expect_err("the new fragment is missing");
    let described = rig.call("describe-item", json!({"name": "/keys/a"})).await.unwrap();
    assert_eq!(described["customer_fragment_id"], id_text(&SECOND), "{described}");
}
