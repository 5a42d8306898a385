//! Re-wrapping waits for managers that are missing, and takes no wrong value from one that lies.

use keysherd_plane::{KeyReply, Reply};
use keysherd_testkit::Conduct;
use serde_json::json;

use super::{is_done, new_key, read, rig, rotate, status, store, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn re_wrapping_waits_for_a_manager_and_says_so() {
    let rig = rig().await;
    new_key(&rig, "/keys/a", "AES256GCM").await;
    for number in 0..3 {
        store(&rig, &format!("/team/{number}"), "v", "/keys/a").await;
    }
    // The version is recorded, and the manager is gone before the first batch is done.
    rig.plane.tamper(|_, reply| {
        if let Reply::Keys(KeyReply::RewrapTake(reply)) = reply {
            reply.batch = None;
        }
    });
    rotate(&rig, "/keys/a").await.unwrap();
    for conduct in [Conduct::Down, Conduct::WrongLastPartial, Conduct::WrongPoint] {
        rig.link(3).behave(conduct);
        rig.plane.be_honest();
        let problem = |status: &serde_json::Value| {
            status["rotation"]["problem"].as_str().is_some_and(|text| !text.is_empty())
        };
        rig.call("rotate-key", json!({"name": "/keys/a"})).await.expect_err("no third manager");
        // What can be done with the managers that are there is done for reads only.
        let shown = wait(&rig, "/keys/a", "problem", problem).await;
        assert_eq!(shown["versions"][0]["values"], 0, "{conduct:?}: {shown}");
        assert_eq!(read(&rig, "/team/1").await.unwrap(), "v");
    }
    rig.link(3).behave(Conduct::Honest);
    let done = wait(&rig, "/keys/a", "end of the work", is_done).await;
    assert_eq!(done["versions"][0]["values"], 3, "{done}");
    assert_eq!(done["rotation"].get("problem"), None, "{done}");
    assert_eq!(read(&rig, "/team/1").await.unwrap(), "v");
    let owner = status(&rig, "/team/1").await;
    assert_eq!(owner["versions"][0]["key_version"], done["versions"][0]["version"]);
}
