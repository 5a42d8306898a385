//! A control plane that would have keys rotated, or values re-wrapped, into something weaker.

use std::sync::{Arc, Mutex};

use keysherd_base::{Secret, Uid};
use keysherd_fragments::fragment_file::{FragmentEntry, FragmentFile, FragmentKind, id_text};
use keysherd_plane::rotation::RewrapTakeReply;
use keysherd_plane::{KeyReply, KeyRequest, Reply, Request};
use keysherd_testkit::{FRAGMENT, Rig};
use serde_json::json;

use super::{is_done, new_key, read, rig, rotate, store, wait};

/// A deployment with a key that is bound to a customer fragment.
async fn bound() -> Rig {
    let rig = rig().await;
    let entry = FragmentEntry {
        id: FRAGMENT,
        name: "north".to_owned(),
        description: String::new(),
        kind: FragmentKind::Standard,
        value: Secret::new([0x5a; 32]),
        backup_verified_at: None,
    };
    rig.fragments.replace(FragmentFile { entries: vec![entry], problems: Vec::new() });
    let key = json!({"name": "/keys/a", "alg": "AES256GCM", "customer-frg-id": id_text(&FRAGMENT)});
    rig.call("create-dfc-key", key).await.expect("a key");
    store(&rig, "/team/a", "v", "/keys/a").await;
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_takes_no_customer_fragment_off_and_leaves_no_group() {
    let rig = bound().await;
    type Change = fn(&mut keysherd_plane::rotation::KeyRotateBeginReply);
    let changes: [Change; 5] = [
        |begun| begun.to.customer_fragment = None,
        |begun| begun.to.customer_fragment = Some(Uid([1; 16])),
        |begun| begun.group = "another".to_owned(),
        |begun| begun.managers = 2,
        |begun| begun.to.version = 1,
    ];
    for change in changes {
        rig.plane.tamper(move |_, reply| {
            if let Reply::Keys(KeyReply::KeyRotateBegin(begun)) = reply {
                change(begun);
            }
        });
        let refused = rotate(&rig, "/keys/a").await.unwrap_err();
        assert!(!refused.to_string().is_empty());
    }
    rig.plane.be_honest();
    let shown = super::status(&rig, "/keys/a").await;
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(1), "{shown}");
    // The control: left alone, the same rotation works.
    rotate(&rig, "/keys/a").await.unwrap();
    let done = wait(&rig, "/keys/a", "end of the work", is_done).await;
    assert_eq!(done["versions"][0]["customer_fragment_id"], id_text(&FRAGMENT), "{done}");
}

/// The batches that would be handed out, as they are.
type Seen = Arc<Mutex<Vec<RewrapTakeReply>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_not_re_wrapped_by_another_key_or_an_older_version() {
    let rig = bound().await;
    new_key(&rig, "/keys/plain", "AES256GCM").await;
    store(&rig, "/team/plain", "p", "/keys/plain").await;
    let (seen, puts): (Seen, Arc<Mutex<usize>>) = Default::default();
    let (seen_by, puts_by) = (seen.clone(), puts.clone());
    rig.plane.tamper(move |request, reply| match (request, reply) {
        (_, Reply::Keys(KeyReply::RewrapTake(reply))) if reply.batch.is_some() => {
            let mut seen = seen_by.lock().unwrap();
            seen.push(reply.clone());
            let batch = reply.batch.as_mut().unwrap();
            let turn = seen.len() % 3;
            let first = batch.values[0].from;
            match turn {
                // Back to where it came from.
                0 => batch.to = first,
                // By a version that has no fragment.
                1 => batch.to.customer_fragment = None,
                // By another key.
                _ => batch.to.key_id = Uid([9; 16]),
            }
        }
        (Request::Keys(KeyRequest::RewrapPut(put)), _) => {
            *puts_by.lock().unwrap() += put.values.len()
        }
        _ => {}
    });
    rotate(&rig, "/keys/a").await.unwrap();
    rotate(&rig, "/keys/plain").await.unwrap();
    let all_tried = |_: &serde_json::Value| seen.lock().unwrap().len() >= 4;
    wait(&rig, "/keys/a", "attempts", all_tried).await;
    assert_eq!(*puts.lock().unwrap(), 0, "no wrap was given away");
    rig.plane.be_honest();
    for (key, secret, value) in [("/keys/a", "/team/a", "v"), ("/keys/plain", "/team/plain", "p")] {
        wait(&rig, key, "end of the work", is_done).await;
        assert_eq!(read(&rig, secret).await.unwrap(), value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_slots_of_other_values_are_not_re_wrapped() {
    let rig = rig().await;
    new_key(&rig, "/keys/a", "AES256GCM").await;
    for name in ["/team/a", "/team/b"] {
        store(&rig, name, name, "/keys/a").await;
    }
    let turns: Arc<Mutex<usize>> = Default::default();
    let (count, puts) = (turns.clone(), Arc::new(Mutex::new(0)));
    let stored = puts.clone();
    rig.plane.tamper(move |request, reply| match (request, reply) {
        (_, Reply::Keys(KeyReply::RewrapTake(reply))) if reply.batch.is_some() => {
            let mut turn = count.lock().unwrap();
            *turn += 1;
            let batch = reply.batch.as_mut().unwrap();
            let [a, b] = batch.values.as_mut_slice() else { panic!("two values") };
            match *turn % 3 {
                0 => std::mem::swap(&mut a.head, &mut b.head),
                1 => std::mem::swap(&mut a.old_slot, &mut b.old_slot),
                _ => std::mem::swap(&mut a.new_slot, &mut b.new_slot),
            }
        }
        (Request::Keys(KeyRequest::RewrapPut(put)), _) => {
            *stored.lock().unwrap() += put.values.len()
        }
        _ => {}
    });
    rotate(&rig, "/keys/a").await.unwrap();
    wait(&rig, "/keys/a", "attempts", |_| *turns.lock().unwrap() >= 3).await;
    rig.plane.be_honest();
    wait(&rig, "/keys/a", "end of the work", is_done).await;
    for name in ["/team/a", "/team/b"] {
        assert_eq!(read(&rig, name).await.unwrap(), name);
    }
}
