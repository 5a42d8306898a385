//! Managers that give wrong values, signed.

#![expect(non_snake_case, reason = "the attack table writes the legs in capitals")]

use keysherd_testkit::{Conduct, Rig, Settings};

use crate::{create, read};

const LIES: [Conduct; 3] =
    [Conduct::WrongPoint, Conduct::WrongFirstPartial, Conduct::WrongLastPartial];

fn lies(rig: &Rig) -> Vec<u64> {
    rig.gateway.health().managers.iter().map(|(_, manager)| manager.lies).collect()
}

/// Waits until what is reported beside the request has come to rest.
async fn wait_for_evidence(rig: &Rig, files: usize) {
    // The clock of the runtime stands still here.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while rig.gateway.health().evidence < files {
        assert!(std::time::Instant::now() < deadline, "{:?}", rig.gateway.health());
        tokio::task::yield_now().await;
    }
}

/// Whoever lies, about whatever: the value is read, and the liar is named.
#[tokio::test(start_paused = true)]
async fn t_lying_kfm_read_recovers() {
    for lie in LIES {
        for liar in 1..=3 {
            let rig = Rig::new(Settings::default()).await;
            create(&rig, "/a", "value").await.unwrap();
            rig.link(liar).behave(lie);
            for _ in 0..3 {
                assert_eq!(read(&rig, "/a").await.unwrap(), "value", "{lie:?} {liar}");
            }
            let named: Vec<_> = lies(&rig).iter().map(|lies| *lies > 0).collect();
            assert_eq!(named, [1, 2, 3].map(|index| index == liar), "{lie:?}");
            wait_for_evidence(&rig, 1).await;
            let asked = rig.plane.take_asked();
            let alerts = asked.iter().filter(|name| **name == "ManagerAlert").count();
            assert_eq!(alerts, 1, "the same liar is reported once a minute");
        }
    }
}

/// The control: when what can be compared is taken away, the lie works. With one manager down and
/// one lying there is no quorum left that tells the truth, and nothing is read.
#[tokio::test(start_paused = true)]
async fn t_lying_kfm_read_recovers_control() {
    for lie in LIES {
        let rig = Rig::new(Settings::default()).await;
        create(&rig, "/a", "value").await.unwrap();
        rig.link(1).behave(lie);
        rig.link(2).behave(Conduct::Down);
        let fault = read(&rig, "/a").await.unwrap_err();
        assert!(!fault.public().contains("value\""), "{fault}");
        rig.link(2).behave(Conduct::Honest);
        assert_eq!(read(&rig, "/a").await.unwrap(), "value");
    }
}

/// A wrong point of leg G has no proof: its manager is named, and the write goes on with the
/// others.
#[tokio::test(start_paused = true)]
async fn t_lying_kfm_write_G_named() {
    for liar in 1..=3 {
        let rig = Rig::new(Settings::default()).await;
        rig.link(liar).behave(Conduct::WrongPoint);
        create(&rig, "/a", "value").await.unwrap();
        assert_eq!(lies(&rig), [1, 2, 3].map(|index| u64::from(index == liar)));
        wait_for_evidence(&rig, 1).await;
        // Nobody could compare what it said of leg S, so the value waits for confirmation.
        assert_eq!(rig.gateway.health().unconfirmed, 1);
        rig.link(liar).behave(Conduct::Honest);
        assert_eq!(read(&rig, "/a").await.unwrap(), "value");
        let confirmed = rig.gateway.confirm_pending().await;
        assert_eq!((confirmed.confirmed, confirmed.rescued), (1, 0));
    }
}

/// A wrong value of leg S cannot be proven: when all answer it is noticed, nothing is written, and
/// both signed answers are kept.
#[tokio::test(start_paused = true)]
async fn t_lying_kfm_write_S_refused() {
    for (liar, lie) in
        [(1, LIES[1]), (1, LIES[2]), (2, LIES[1]), (2, LIES[2]), (3, LIES[1]), (3, LIES[2])]
    {
        let rig = Rig::new(Settings::default()).await;
        rig.link(liar).behave(lie);
        let fault = create(&rig, "/a", "value").await.unwrap_err();
        assert_eq!(fault.code(), "ManagersContradict", "{fault}");
        let health = rig.gateway.health();
        let suspects: Vec<_> =
            health.managers.iter().filter(|(_, m)| m.contradictions > 0).collect();
        assert_eq!(suspects.len(), 2, "one of two lies");
        assert!(suspects.iter().any(|(index, _)| index.get() == liar));
        assert_eq!(health.unconfirmed, 0);
        wait_for_evidence(&rig, 2).await;
        let dir = rig.gateway_home().join("evidence");
        for file in std::fs::read_dir(dir).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in ["request: 8", "answer: 8", "signature: ", "outputs: "] {
                assert!(text.contains(line), "{text}");
            }
        }
        read(&rig, "/a").await.unwrap_err();
        // The owner takes the liar away: writing goes on.
        rig.link(liar).behave(Conduct::Down);
        create(&rig, "/a", "value").await.unwrap();
        rig.link(liar).behave(Conduct::Honest);
        assert_eq!(read(&rig, "/a").await.unwrap(), "value");
    }
}

/// The control: when nobody can compare, the lie goes into what is stored. That is why such a value
/// is unconfirmed.
#[tokio::test(start_paused = true)]
async fn t_lying_kfm_write_S_refused_control() {
    let rig = Rig::new(Settings::default()).await;
    rig.link(3).behave(Conduct::Down);
    // The last set of manager 1 is {1, 3}: with 3 away, nobody else has its key.
    rig.link(1).behave(Conduct::WrongLastPartial);
    create(&rig, "/a", "value").await.unwrap();
    rig.link(1).behave(Conduct::Honest);
    rig.link(3).behave(Conduct::Honest);
    let fault = read(&rig, "/a").await.unwrap_err();
    assert_eq!(fault.code(), "CommitmentMismatch", "{fault}");
}
