//! Servers that say something else than the protocol has, in every place of an answer, and those
//! that send their clients elsewhere.

use tokio::io::AsyncWriteExt as _;

use super::*;

/// What mutated bytes become, among others the ends of lengths' ranges.
const BYTES: [u8; 8] = [0, 1, 2, 5, 0x7f, 0x80, 0xf6, 0xff];

/// An answer of these parts.
fn answer(kind: u8, parts: &[Piece<'_>]) -> Vec<u8> {
    let mut whole = frames::message(7, 0, 0, parts).unwrap().expose().clone();
    whole[44] = kind;
    whole
}

fn error(code: i32, severity: u8, text: &str) -> Vec<u8> {
    let length = i32::try_from(text.len()).unwrap();
    let head = [code, 0, length].map(i32::to_le_bytes).concat();
    [&head[..], &[severity], b"HY000", text.as_bytes()].concat()
}

/// A session with a server that answers with these bytes and is gone.
async fn session(said: Vec<u8>) -> Session {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let _ = far.write_all(&said).await;
        let _ = far.shutdown().await;
        // What is asked is not read; it has room.
        std::future::pending::<()>().await;
        drop(far);
    });
    Session { stream: Box::new(near), id: 7, number: 0 }
}

#[tokio::test]
async fn rows_are_read_and_errors_told() {
    let rows = [&[1_u8, b'5', 255][..], &[246, 2, 0], b"ab"].concat();
    let said = answer(2, &[(48, 1, b"of no interest"), (RESULT_SET, 3, &rows)]);
    let texts = session(said).await.texts("SELECT").await.unwrap();
    assert_eq!(texts, ["5", "", "ab"]);
    let said = answer(5, &[(6, 1, &error(331, 1, "exists"))]);
    let refused = session(said).await.run("CREATE").await.unwrap_err();
    assert_eq!((refused.code(), refused.text.as_str()), (Some(331), "exists"));
    // A warning is none; and what follows one may be.
    let warning = error(431, 0, "expires");
    assert!(session(answer(2, &[(6, 1, &warning)])).await.run("CREATE").await.is_ok());
    let mut both = warning.clone();
    both.resize(warning.len().next_multiple_of(8), 0);
    both.extend(error(258, 2, "no"));
    let refused = session(answer(5, &[(6, 2, &both)])).await.run("CREATE").await.unwrap_err();
    assert_eq!(refused.code(), Some(258));
    // Who refuses without a word has not done it.
    assert!(session(answer(5, &[])).await.run("CREATE").await.is_err());
    assert!(session(answer(5, &[(6, 1, &warning)])).await.run("CREATE").await.is_err());
}

#[tokio::test]
async fn whatever_is_answered_is_no_panic_and_never_more_rows_than_there_are() {
    let rows = [&[1_u8, b'5'][..], &[246, 2, 0], b"ab"].concat();
    let context = [(39, 1, &b"123"[..]), (RESULT_SET, 2, &rows), (64, 1, b"")];
    for whole in [answer(2, &context), answer(5, &[(6, 1, &error(10, 1, "wrong"))])] {
        for at in 0..whole.len() {
            let cut = whole[..at].to_vec();
            assert!(session(cut).await.texts("SELECT").await.is_err(), "{at}");
            for byte in BYTES {
                let mut said = whole.clone();
                said[at] = byte;
                let _ = session(said.clone()).await.run("SELECT").await;
                if let Ok(texts) = session(said).await.texts("SELECT").await {
                    assert!(texts.len() <= 2, "{at} {byte}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_longer_than_anything_is_not_waited_for() {
    let mut said = answer(2, &[]);
    said[12..16].copy_from_slice(&i32::MAX.to_le_bytes());
    let refused = session(said).await.run("SELECT").await.unwrap_err();
    assert_eq!(refused.text, "the answer is none of this protocol");
    // Nobody asked for compression.
    let mut said = answer(2, &[]);
    said[22] = 2;
    assert!(session(said).await.run("SELECT").await.is_err());
}

/// What a server says of where a database is.
fn place(is_here: u8, host: &str, port: i32) -> Vec<u8> {
    let mut said = Vec::new();
    push_option(&mut said, 2, host);
    said.extend([3, 3]);
    said.extend(port.to_le_bytes());
    said.extend([4, 28, is_here]);
    said
}

#[tokio::test]
async fn a_server_that_sends_its_clients_elsewhere_is_not_followed() {
    let asked = async |said: Vec<u8>| session(said).await.need_database("HDB").await;
    assert!(asked(answer(2, &[(WHERE_TO, 3, &place(1, "a", 1))])).await.is_ok());
    assert!(asked(answer(2, &[])).await.is_err());
    for (host, port, named) in [
        ("hana.example", 30_041, "hana.example:30041"),
        // What is no place is not repeated.
        ("a b<script>", 1, "another one"),
        ("hana.example", 70_000, "another one"),
        ("", 1, "another one"),
    ] {
        let place = place(0, host, port);
        let refused = asked(answer(2, &[(WHERE_TO, 3, &place)])).await.unwrap_err();
        let fault = refused.fault("signing in", None);
        assert!(fault.public().contains(named), "{fault}");
        // HANA Cloud does so when somebody signs in.
        let both = [(6, 1, &error(-10_709, 1, "elsewhere")[..]), (WHERE_TO, 3, &place)];
        let refused = session(answer(5, &both)).await.told(AUTHENTICATE, &[]).await;
        let fault = refused.err().unwrap().fault("signing in", None);
        assert!(fault.public().contains(named), "{fault}");
    }
}

#[test]
fn names_are_those_that_the_server_has() {
    for (given, name) in [
        ("system", "SYSTEM"),
        ("My_User", "MY_USER"),
        ("\"tmp.user\"", "tmp.user"),
        ("\"o\"\"brien\"", "o\"brien"),
        ("\"", "\""),
    ] {
        assert_eq!(account_name(given), name);
    }
}

#[test]
fn texts_beyond_the_first_plane_are_two_halves() {
    let mut into = SecretBuffer::with_capacity(0);
    push_cesu8(&mut into, "a\u{e9}\u{20ac}\u{10400}");
    let wanted = [
        &b"a\xc3\xa9\xe2\x82\xac"[..],
        // U+D801 U+DC00, as Unicode's report 26 has it.
        b"\xed\xa0\x81\xed\xb0\x80",
    ];
    assert_eq!(*into.finish().expose(), wanted.concat());
}
