//! Which steps are taken from one key version to another.

use keysherd_base::{AccountId, Uid};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::manager_set::Threshold;
use keysherd_fragments::manifest::{KeyVersion, Manifest};

use super::step::check_step;

fn manifest(version: u32) -> Manifest {
    Manifest {
        key: KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([2; 16]), version },
        threshold: Threshold::new(2, 3).unwrap(),
        group: "default".to_owned(),
        fragment: Uid([4; 16]),
        fragment_check: [5; 16],
        managers: vec![PublicKey([5; 32]); 3],
        group_key: [6; 32],
        public_shares: vec![[7; 32]; 3],
        checks: vec![[8; 16]; 3],
        epoch: 0,
    }
}

#[test]
fn only_steps_that_weaken_nothing_are_taken() {
    let from = manifest(3);
    check_step(&from, &manifest(4)).unwrap();
    check_step(&from, &Manifest { fragment: Uid([9; 16]), ..manifest(9) }).unwrap();
    check_step(&from, &Manifest { threshold: Threshold::new(3, 5).unwrap(), ..manifest(4) })
        .unwrap();
    let unbound = Manifest { fragment: Uid::default(), ..manifest(3) };
    check_step(&unbound, &manifest(4)).unwrap();
    let key = |change: fn(&mut KeyVersion)| {
        let mut to = manifest(4);
        change(&mut to.key);
        to
    };
    for (to, reason) in [
        (manifest(3), "not a newer version"),
        (manifest(2), "not a newer version"),
        (key(|key| key.id = Uid([9; 16])), "another key"),
        (key(|key| key.account = AccountId(Uid([9; 16]))), "another key"),
        (Manifest { group: "other".to_owned(), ..manifest(4) }, "another key group"),
        (Manifest { fragment: Uid::default(), ..manifest(4) }, "customer fragment"),
    ] {
        let refused = check_step(&from, &to).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    let strong = Manifest { threshold: Threshold::new(3, 5).unwrap(), ..manifest(3) };
    let refused = check_step(&strong, &manifest(4)).unwrap_err().to_string();
    assert!(refused.contains("fewer fragment managers"), "{refused}");
}
