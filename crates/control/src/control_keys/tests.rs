//! The file of keys: made once, refused when it is damaged, completed when it is old.

use super::*;
use keysherd_crypto::random::SystemRng;

fn publics(keys: &ControlKeys) -> [String; 2] {
    [keys.permit.public().to_string(), keys.audit.public().to_string()]
}

#[test]
fn keys_are_made_once_and_differ() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("keys");
    let made = ControlKeys::create_or_load(&directory, &SystemRng).unwrap();
    let loaded = ControlKeys::create_or_load(&directory, &SystemRng).unwrap();
    assert_eq!(publics(&made), publics(&loaded));
    assert_ne!(publics(&made)[0], publics(&made)[1]);
    let token = made.token.seal("t-", b"body");
    assert_eq!(loaded.token.open("t-", token.expose()).as_deref(), Some(b"body".as_slice()));
    let mode = fs::metadata(directory.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn refuses_a_file_others_may_read_and_a_damaged_one() {
    let home = tempfile::tempdir().unwrap();
    ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
    let file = home.path().join(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let fault = ControlKeys::create_or_load(home.path(), &SystemRng).unwrap_err();
    assert!(fault.private().unwrap().contains("mode 640"), "{fault:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, [0; FILE_BYTES]).unwrap();
    assert!(ControlKeys::create_or_load(home.path(), &SystemRng).is_err());
    fs::write(&file, MAGIC).unwrap();
    assert!(ControlKeys::create_or_load(home.path(), &SystemRng).is_err());
}

#[test]
fn an_unfinished_file_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("control.keys.new"), b"torn").unwrap();
    ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
    assert!(!home.path().join("control.keys.new").exists());
}

/// A file as the first release wrote it, with `keys`' seeds.
fn as_the_first_release(directory: &Path) -> Vec<u8> {
    let file = directory.join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(FILE_BYTES_1);
    bytes[..MAGIC.len()].copy_from_slice(MAGIC_1);
    fs::write(&file, &bytes).unwrap();
    bytes
}

#[test]
fn a_file_of_the_first_release_is_completed_once() {
    let home = tempfile::tempdir().unwrap();
    let made = ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
    let old = as_the_first_release(home.path());
    assert!(ControlKeys::load(home.path()).is_err());
    assert_eq!(ControlKeys::audit_public(home.path()).unwrap(), made.audit.public());
    assert_eq!(fs::read(home.path().join(FILE)).unwrap(), old);

    let completed = ControlKeys::load_and_complete(home.path(), &SystemRng).unwrap();
    assert_eq!(publics(&completed), publics(&made));
    let secret = Secret::new(b"seed".to_vec());
    let sealed = completed.vault.seal("test", b"", &secret, &SystemRng).unwrap();
    assert!(made.vault.open("test", b"", &sealed).is_err(), "the new seed was drawn");
    let again = ControlKeys::load_and_complete(home.path(), &SystemRng).unwrap();
    assert_eq!(again.vault.open("test", b"", &sealed).unwrap().expose(), b"seed");
    let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read(home.path().join(FILE)).unwrap()[8..FILE_BYTES_1], old[8..]);
}

#[test]
fn the_length_of_one_format_with_the_name_of_the_other_is_refused() {
    let home = tempfile::tempdir().unwrap();
    ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
    let mut bytes = as_the_first_release(home.path());
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    fs::write(home.path().join(FILE), &bytes).unwrap();
    assert!(ControlKeys::load_and_complete(home.path(), &SystemRng).is_err());
    assert!(ControlKeys::audit_public(home.path()).is_err());
    bytes[..MAGIC.len()].copy_from_slice(MAGIC_1);
    bytes.extend([0; 32]);
    fs::write(home.path().join(FILE), &bytes).unwrap();
    assert!(ControlKeys::load_and_complete(home.path(), &SystemRng).is_err());
    assert!(ControlKeys::audit_public(home.path()).is_err());
}
