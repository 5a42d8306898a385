//! Managers that are stopped or slow.

use std::time::Duration;

use keysherd_testkit::{Conduct, Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// Every manager may be down, one at a time: reads and writes go on.
#[tokio::test(start_paused = true)]
async fn t_kfm_down_read_write() {
    for down in 1..=3 {
        let rig = Rig::new(Settings::default()).await;
        create(&rig, "/before", "1").await.unwrap();
        rig.link(down).behave(Conduct::Down);
        for round in 0..4 {
            assert_eq!(read(&rig, "/before").await.unwrap(), "1", "{down} {round}");
        }
        create(&rig, "/while", "2").await.unwrap();
        assert_eq!(read(&rig, "/while").await.unwrap(), "2");
        let health = rig.gateway.health();
        let failures: Vec<_> = health.managers.iter().map(|(_, m)| m.failures > 0).collect();
        assert_eq!(failures, [1, 2, 3].map(|index| index == down));
        assert_eq!(health.unconfirmed, 1);
    }
}

/// The control: two of three down is one too many, for reading as for writing.
#[tokio::test(start_paused = true)]
async fn t_kfm_down_read_write_control() {
    let rig = Rig::new(Settings::default()).await;
    create(&rig, "/before", "1").await.unwrap();
    rig.link(1).behave(Conduct::Down);
    rig.link(3).behave(Conduct::Down);
    read(&rig, "/before").await.unwrap_err();
    create(&rig, "/while", "2").await.unwrap_err();
    rig.link(3).behave(Conduct::Honest);
    assert_eq!(read(&rig, "/before").await.unwrap(), "1");
}

/// With a paused clock: what a read waits for is the hedge delay and nothing longer, and who was
/// slow is not asked first again.
#[tokio::test(start_paused = true)]
async fn t_hedged_latency() {
    let rig = Rig::new(Settings::default()).await;
    create(&rig, "/a", "1").await.unwrap();
    let spent = |since: Vec<usize>| -> Vec<usize> {
        rig.derivations().iter().zip(since).map(|(now, then)| now - then).collect()
    };
    // Everybody is well: two asks, and no time passes.
    let (asks, start) = (rig.derivations(), tokio::time::Instant::now());
    read(&rig, "/a").await.unwrap();
    assert_eq!(spent(asks).iter().sum::<usize>(), 2);
    assert_eq!(start.elapsed(), Duration::ZERO);
    for conduct in [Conduct::Slow(Duration::from_secs(2)), Conduct::Silent] {
        rig.link(2).behave(conduct);
        // Until a read meets the slow one: it asks the third after the hedge delay.
        let (asks, start) = (rig.derivations(), tokio::time::Instant::now());
        let mut reads = 0;
        while spent(asks.clone())[1] == 0 {
            assert_eq!(read(&rig, "/a").await.unwrap(), "1");
            reads += 1;
            assert!(reads <= 3, "its turn comes");
        }
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(10), "{waited:?}");
        assert!(waited <= Duration::from_millis(500), "not the slow one's time: {waited:?}");
        assert_eq!(spent(asks).iter().sum::<usize>(), 2 * reads + 1, "one ask more");
        // From now on it goes last: reads take no time, and nobody asks it.
        let (asks, start) = (rig.derivations(), tokio::time::Instant::now());
        for _ in 0..10 {
            assert_eq!(read(&rig, "/a").await.unwrap(), "1");
        }
        assert_eq!(spent(asks), [10, 0, 10]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        // After a while it is tried again: a minute at most after it last failed.
        rig.link(2).behave(Conduct::Honest);
        let (asks, mut seconds) = (rig.derivations(), 0);
        while spent(asks.clone())[1] == 0 {
            tokio::time::advance(Duration::from_secs(1)).await;
            read(&rig, "/a").await.unwrap();
            seconds += 1;
            assert!(seconds <= 90, "it is never asked again");
        }
    }
}

/// A write waits a second for a manager that was well, and hardly for one that was not.
#[tokio::test(start_paused = true)]
async fn a_write_does_not_wait_for_a_stopped_manager_for_long() {
    let rig = Rig::new(Settings::default()).await;
    rig.link(3).behave(Conduct::Silent);
    let start = tokio::time::Instant::now();
    create(&rig, "/first", "1").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let start = tokio::time::Instant::now();
    create(&rig, "/second", "1").await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(rig.gateway.health().unconfirmed, 2);
}

/// Messages lie where nobody could repair them: no window is opened while a manager is missing, and
/// the last one is used on.
#[tokio::test(start_paused = true)]
async fn encrypt_uses_its_last_window_while_a_manager_is_missing() {
    let mut rig = Rig::new(Settings::default()).await;
    rig.call("create-dfc-key", json!({"name": "/key", "alg": "AES256GCM"})).await.unwrap();
    let encrypt = json!({"key-name": "/key", "plaintext": "message"});
    rig.call("encrypt", encrypt.clone()).await.unwrap();
    rig.link(2).behave(Conduct::Down);
    let mut made = Vec::new();
    for hours in [1, 2, 20] {
        rig.clock.advance_seconds(hours * 3_600);
        rig.sign_in().await;
        let reply = rig.call("encrypt", encrypt.clone()).await.unwrap();
        made.push(reply["result"].as_str().unwrap().to_owned());
    }
    for ciphertext in made {
        let decrypt = json!({"key-name": "/key", "ciphertext": ciphertext});
        let reply = rig.call("decrypt", decrypt).await.unwrap();
        assert_eq!(reply["result"], "message");
    }
    // For a day, and as long as the gateway runs.
    rig.clock.advance_seconds(3_600);
    rig.sign_in().await;
    assert_eq!(rig.call("encrypt", encrypt.clone()).await.unwrap_err().code(), "NotConfirmed");
    rig.link(2).behave(Conduct::Honest);
    rig.call("encrypt", encrypt.clone()).await.unwrap();
    rig.link(2).behave(Conduct::Down);
    rig.restart_gateway();
    assert_eq!(rig.call("encrypt", encrypt).await.unwrap_err().code(), "NotConfirmed");
}
