//! Keys of `ssh-keygen -a 16` and `openssl pkcs8 -topk8`, and keys that would take a machine down.

use russh::keys::ssh_key::{Cipher, HashAlg, LineEnding};

use super::*;
use crate::ssh::Key;

const PASSPHRASE: &str = "canary-pass";
const OF_OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCNBRj6i0
FGHno7wXK5Dq2pAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINCDfN7pJzlfw6tq
T79tsgmLrM5kYSuFAktkJgBcZH1IAAAAkIRCJUIjzwtceq/fNLC2tiLlx+ozyfWFejh3tv
O7DC2YWvuEeSGk/mrPqDtoMd6iTcQ02YHek9jK44J8JAEJmWWQ35fKL2HTh867kwQB7A2y
7ecSEUfkEPXRuVP8oJ1BiTfqvJ+O+e1YiIxMUM5Dn1tzo5XVkNSAALaJYvv+GrW0lSy7s8
TPKdw14iIN+jdZtw==
-----END OPENSSH PRIVATE KEY-----
";
const OF_OPENSSL: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhmrTnkyb5hUgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDid1pCEFtk2l51fcFw+uowEQG1s
YXlBPu6Rqp8lEJBDsS0IQezvPAzMI0RwJ9bM1EYKPvsOZzxQOBo7WLkqNywIqpkO
c208Mh+uksY5vDSyZK4=
-----END ENCRYPTED PRIVATE KEY-----
";
/// A key whose number has a zero at its beginning, which OpenSSH does not write; and the same one
/// with a passphrase.
const SHORT: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQRYe80ZQQVhKJR73ucdNGysZZgAWc0A
EsMZSQSDQOUROuLlqtD/YTI1ZTGw5XajemqIocVQ7znJzXUIXaQ/K2KGAAAAqFUna79VJ2
u/AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFh7zRlBBWEolHve
5x00bKxlmABZzQASwxlJBINA5RE64uWq0P9hMjVlMbDldqN6aoihxVDvOcnNdQhdpD8rYo
YAAAAfROg4/Dn4tUkKl4qdO4SVvhDlijD86I4FzHTJ8RZV9wAAAAthIHNob3J0IG9uZQEC
AwQFBg==
-----END OPENSSH PRIVATE KEY-----
";
const SHORT_PUBLIC: &str = "ecdsa-sha2-nistp256 \
    AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFh7zRlBBWEolHve5x00bKxlmABZzQASwxlJBIN\
    A5RE64uWq0P9hMjVlMbDldqN6aoihxVDvOcnNdQhdpD8rYoY= a short one";
const SHORT_SEALED: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABA7EW785+
awPss9/fQIYP9iAAAAEAAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz
dHAyNTYAAABBBFh7zRlBBWEolHve5x00bKxlmABZzQASwxlJBINA5RE64uWq0P9hMjVlMb
DldqN6aoihxVDvOcnNdQhdpD8rYoYAAACwnc6ShNvhqSoEuV0XcFDmf3W3aCIpdwHXPSz5
Bghu/YVp+OnLQX3vuj8xT2nWTlkH0vnoVz/OyDwWkCzSqxt8rpZ9M4Mqg2jvihRDzS4BfL
A+oLFa6I0SOOBbjo1tdT1LMvRj3p7Dxy/GLHmPLSDtQEYxlerKuHTpXWf5JBur8v2NkeBT
ZA9fZ3/kMFzK9NzL7JgA1BFTI+K5avCYphwOJB1b2IxDDCUNceNz/Jx3lqs=
-----END OPENSSH PRIVATE KEY-----
";

fn secret(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

fn is_read(text: &str, passphrase: Option<&str>) -> bool {
    Key::read(&secret(text), passphrase.map(secret).as_ref()).is_ok()
}

fn pem(kind: &str, bytes: &[u8]) -> String {
    format!("{BEGIN}{kind}-----\n{}\n{END}{kind}-----\n", STANDARD.encode(bytes))
}

fn der(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 0x82], length.as_slice(), &content].concat()
}

/// A key that a function with this name and these arguments is said to open.
fn by_function(name: &[u8], given: &[&[u8]]) -> String {
    let function = der(SEQUENCE, &[&der(NAME, &[name]), &der(SEQUENCE, given)]);
    let aes = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
    let cipher = der(SEQUENCE, &[&der(NAME, &[&aes]), &der(BYTES, &[&[7; 16]])]);
    let parts = der(SEQUENCE, &[&function, &cipher]);
    let encryption = der(SEQUENCE, &[&der(NAME, &[PBES2]), &parts]);
    let whole = der(SEQUENCE, &[&encryption, &der(BYTES, &[&[0; 64]])]);
    pem("ENCRYPTED PRIVATE KEY", &whole)
}

#[test]
fn keys_are_opened_by_their_passphrase_and_by_no_other() {
    for text in [OF_OPENSSH, OF_OPENSSL] {
        assert!(is_read(text, Some(PASSPHRASE)), "{text}");
        assert!(!is_read(text, Some("canary")) && !is_read(text, None), "{text}");
        let twice = format!("  {}\r\n", text.replace('\n', "\r\n"));
        assert!(is_read(&twice, Some(PASSPHRASE)), "{twice}");
    }
    let plain = Key::of_seed(&[7; 32]).unwrap().private().unwrap();
    for passphrase in [None, Some(PASSPHRASE)] {
        assert!(is_read(plain.expose(), passphrase));
    }
}

#[test]
fn numbers_that_begin_with_zero_are_keys_too() {
    let plain = opened(&secret(SHORT), None).unwrap();
    for key in [&plain, &opened(&secret(SHORT_SEALED), Some(&secret(PASSPHRASE))).unwrap()] {
        let public = key.public_key();
        assert_eq!(public.to_openssh().unwrap(), SHORT_PUBLIC);
        let signed = key.sign("test", HashAlg::Sha512, b"said").unwrap();
        assert!(public.verify("test", b"said", &signed).is_ok());
        assert!(public.verify("test", b"unsaid", &signed).is_err());
    }
    assert!(!is_read(SHORT_SEALED, Some("canary")) && !is_read(SHORT_SEALED, None));
    // What the library writes, with all zeros, is read as others are.
    let written = plain.to_openssh(LineEnding::LF).unwrap();
    assert!(*written != *SHORT && PrivateKey::from_openssh(&*written).is_ok());
}

#[test]
fn a_key_that_takes_more_than_a_gateway_has_is_not_opened() {
    // As many rounds as there can be: years.
    let rounds = |rounds: u32| {
        let kdf = Kdf::Bcrypt { salt: vec![7; 16], rounds: 1 };
        let key = &Key::of_seed(&[7; 32]).unwrap().plain();
        let sealed = key.encrypt_with(Cipher::Aes256Ctr, kdf, 7, PASSPHRASE).unwrap();
        let mut bytes = sealed.to_bytes().unwrap().to_vec();
        let place = bytes.windows(16).position(|salt| salt == [7; 16]).unwrap() + 16;
        bytes[place..place + 4].copy_from_slice(&rounds.to_be_bytes());
        pem(OPENSSH, &bytes)
    };
    assert!(is_read(&rounds(1), Some(PASSPHRASE)));
    for many in [BCRYPT_ROUNDS_MAX + 1, u32::MAX] {
        assert!(!is_read(&rounds(many), Some(PASSPHRASE)), "{many}");
    }
    let salt = der(BYTES, &[b"salt"]);
    for many in [&[0x05, 0xf5, 0xe1, 0][..], &[0x7f, 0xff, 0xff, 0xff], &[1, 0, 0, 0, 0]] {
        let text = by_function(PBKDF2, &[&salt, &der(NUMBER, &[many])]);
        assert!(!is_read(&text, Some(PASSPHRASE)), "{many:?}");
    }
    // 2^40 times 1 KiB of memory, which ends a process that asks for it.
    let scrypt = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
    let cost = der(NUMBER, &[&[1, 0, 0, 0, 0, 0]]);
    let (block, parallel) = (der(NUMBER, &[&[8]]), der(NUMBER, &[&[1]]));
    let text = by_function(&scrypt, &[&salt, &cost, &block, &parallel]);
    for text in [&text, &text.replace("ENCRYPTED ", "")] {
        assert!(!is_read(text, Some(PASSPHRASE)), "{text}");
    }
    // As PuTTY keeps keys: a gibibyte of memory for each lane.
    let putty = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc\nComment: c\n\
                 Public-Lines: 1\nAAAA\nKey-Derivation: Argon2id\nArgon2-Memory: 4294967295\n\
                 Argon2-Passes: 4294967295\nArgon2-Parallelism: 1\nArgon2-Salt: 00\n\
                 Private-Lines: 1\nAAAA\nPrivate-MAC: 00\n";
    assert!(!is_read(putty, Some(PASSPHRASE)));
}

#[test]
fn what_is_cut_or_changed_is_no_key_and_harms_nobody() {
    for text in [OF_OPENSSH, OF_OPENSSL, SHORT_SEALED] {
        let (kind, bytes) = contents(text).unwrap();
        for end in 0..bytes.expose().len() {
            assert!(!is_read(&pem(kind, &bytes.expose()[..end]), None), "{end}");
        }
        for at in 0..bytes.expose().len() {
            let mut changed = bytes.expose().clone();
            changed[at] ^= 0x81;
            assert!(!is_read(&pem(kind, &changed), None), "{at}");
        }
        for end in 0..text.len() - 30 {
            assert!(!is_read(&text[..end], Some("x")), "{end}");
        }
    }
    assert!(!is_read(&format!("{OF_OPENSSH}{}", "x".repeat(KEY_BYTES_MAX)), Some(PASSPHRASE)));
}
