//! The owner key changes under a running manager, and what it is started with afterwards.

use keysherd_base::FaultKind;
use keysherd_fragments::bundle::succession::Succession;
use keysherd_fragments::encoding::Encoding;

use super::rig::{Rig, signing_key};
use crate::Manager;

#[tokio::test]
async fn a_new_owner_key_is_believed_by_statement_and_over_restarts() {
    let mut rig = Rig::new().await;
    let (old, new) = (rig.owner.public(), signing_key());
    let statement = Succession {
        deployment: rig.bundle.deployment,
        former: old,
        next: new.public(),
        issued_at: rig.now(),
    };
    let statement = statement.seal(&rig.owner);
    rig.bundle.version += 1;
    let bare = rig.bundle.seal(&new);
    let fault = rig.manager(1).accept_bundle(&bare.to_bytes()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unauthorized);
    let signed = bare.with_successions(vec![statement]).to_bytes();
    assert_eq!(rig.manager(1).accept_bundle(&signed).await.unwrap(), 2);
    // A relay that leaves the statement out later must not keep the manager from starting.
    rig.bundle.version += 1;
    let third = rig.bundle.seal(&new).to_bytes();
    assert_eq!(rig.manager(1).accept_bundle(&third).await.unwrap(), 3);
    rig.stop(1);
    let open = |owner| Manager::open(rig.config(1), owner, None, rig.link(1));
    // Installed with the old key, told the new one, told a stranger's.
    for owner in [old, new.public()] {
        let manager = open(owner).unwrap();
        assert_eq!(manager.status().bundle_version, 3, "{owner}");
        let stale = rig.bundle.seal(&rig.owner).to_bytes();
        manager.accept_bundle(&stale).await.expect_err("the old key is nobody now");
    }
    let fault = open(signing_key().public()).err().unwrap();
    assert!(fault.public().contains("has seen no statement"), "{fault}");
    // A manager that saw no statement does not believe the new key because it is configured.
    rig.stop(2);
    let fault = Manager::open(rig.config(2), new.public(), None, rig.link(2)).err().unwrap();
    assert!(fault.public().contains("has seen no statement"), "{fault}");
}
