//! Keys of all kinds, made, written and read again; those of `ssh-keygen` are in the tests of who
//! signs in with them.

use keysherd_crypto::random::SystemRng;

use super::*;

#[test]
fn keys_of_all_kinds_are_written_and_read_again() {
    for (name, kind) in KeyKind::ALL {
        let key = Key::fresh(kind, &SystemRng).unwrap();
        let text = key.private().unwrap();
        let again = Key::read(&text, None).unwrap();
        assert_eq!((key.kind(), again.kind()), (kind, kind), "{name}");
        assert_eq!(KeyKind::by_name(&name.to_lowercase()), Some(kind));
        assert_eq!(key.public().unwrap(), again.public().unwrap());
        assert_eq!(
            again.private().unwrap().expose().lines().count(),
            text.expose().lines().count()
        );
        assert_eq!(key.signer().is_some(), name.starts_with("RSA"), "{name}");
        let other = Key::fresh(kind, &SystemRng).unwrap();
        assert_ne!(key.public().unwrap(), other.public().unwrap());
    }
    assert_eq!(KeyKind::by_name("RSA1024"), None);
}

#[test]
fn what_is_no_number_of_a_curve_is_drawn_again_and_given_up() {
    struct Same(u8);

    impl Rng for Same {
        fn fill(&self, out: &mut [u8]) -> Result<(), keysherd_base::RngFailed> {
            out.fill(self.0);
            Ok(())
        }
    }

    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521] {
        assert!(Key::fresh(kind, &Same(0)).is_err(), "{kind:?}");
        assert!(Key::fresh(kind, &Same(1)).is_ok(), "{kind:?}");
    }
    assert!(Key::fresh(KeyKind::EcdsaP256, &Same(0xff)).is_err());
}
