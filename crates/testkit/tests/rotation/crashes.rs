//! The gateway dies at every step of a rotation and of the re-wrap that follows: whatever was done
//! by then, every value opens, the key is of use, and the next start goes on.

use keysherd_testkit::Rig;
use serde_json::{Value, json};

use super::{is_done, new_key, read, rig, rotate, status, store, wait};

const KEY: &str = "/keys/a";
const SECRETS: u32 = 3;

fn secret(number: u32) -> String {
    format!("/team/{number}")
}

/// What was there before opens, and what is new is under the newest version.
async fn is_whole(rig: &Rig, message: &Value, what: &str) {
    for number in 0..SECRETS {
        let name = secret(number);
        let value = read(rig, &name).await.unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_eq!(value, format!("value of {name}"), "{what}");
    }
    let args = json!({"key-name": KEY, "ciphertext": message});
    let opened = rig.call("decrypt", args).await.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    assert_eq!(opened["result"], "a message", "{what}");
    let update = json!({"name": "/team/changing", "value": what});
    rig.call("update-secret-val", update).await.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    assert_eq!(read(rig, "/team/changing").await.unwrap(), what);
}

/// Rotates until the work is done, or the gateway has stopped; gives whether it stopped.
async fn rotate_until_stopped(rig: &Rig, step: usize) -> bool {
    rig.steps.stop_at(Some(step));
    let work = async {
        rotate(rig, KEY).await.expect("nothing else is wrong");
        wait(rig, KEY, "end of the work", is_done).await;
    };
    tokio::select! {
        () = work => false,
        () = rig.steps.stopped() => true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_crash_every_step_of_rotation_and_rewrap() {
    let mut rig = rig().await;
    // Its material is sealed, so a rotation seals some, and re-wraps some besides the secrets.
    new_key(&rig, KEY, "AES256SIV").await;
    for number in 0..SECRETS {
        let name = secret(number);
        store(&rig, &name, &format!("value of {name}"), KEY).await;
    }
    store(&rig, "/team/changing", "v", KEY).await;
    let args = json!({"key-name": KEY, "plaintext": "a message"});
    let message = rig.call("encrypt", args).await.unwrap()["result"].take();
    let mut steps = 0;
    let mut versions = 1;
    while rotate_until_stopped(&rig, steps).await {
        // What was stopped stays so; what is started now passes every step.
        rig.steps.stop_at(None);
        rig.restart_gateway();
        let what = format!("stopped at step {steps}");
        is_whole(&rig, &message, &what).await;
        let after = wait(&rig, KEY, &what, is_done).await;
        is_whole(&rig, &message, &what).await;
        let found = after["versions"].as_array().unwrap();
        assert!(found.iter().skip(1).all(|version| version["values"] == 0), "{what}: {after}");
        let newest = found[0]["version"].as_u64().unwrap();
        assert!(newest >= versions, "{what}: {after}");
        versions = newest;
        steps += 1;
    }
    rig.steps.stop_at(None);
    assert!(steps > 50, "only {steps} steps: the test has lost sight of what happens");
    assert!(versions > 5, "{}", status(&rig, KEY).await);
    is_whole(&rig, &message, "never stopped").await;
}
