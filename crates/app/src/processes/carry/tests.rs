//! Files that operators make; carrying itself is tested with whole processes.

use super::*;

#[test]
fn a_pair_of_keys_is_made_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let [key, public] = ["carry.key", "carry.pub"].map(|name| dir.path().join(name));
    for (taken, other) in [(&public, &key), (&key, &public)] {
        fs::write(taken, "somebody's").unwrap();
        let Err(Exit::Files(why)) = recipient(&key, &public) else { panic!("written over") };
        assert!(why.contains("choose another name"), "{why}");
        assert!(!other.exists(), "in the way of the next attempt");
        assert_eq!(fs::read_to_string(taken).unwrap(), "somebody's");
        fs::remove_file(taken).unwrap();
    }
    recipient(&key, &public).unwrap();
    let seed = private_key(&key).unwrap();
    let made = public_key(&fs::read(&public).unwrap()).unwrap();
    assert_eq!(made, hpke::public_key(&seed));
}
