//! Servers that say something else than the protocol has, in every place of a message.

use tokio::io::AsyncWriteExt as _;

use super::*;

/// What mutated bytes become, among others the ends of lengths' ranges.
const BYTES: [u8; 9] = [0, 1, 2, 5, 0x12, 0x7f, 0x80, 0xfe, 0xff];

/// A message in answer to the first one.
fn message(doc: Doc) -> Vec<u8> {
    let document = doc.finish();
    let length = i32::try_from(BEFORE_BYTES + document.expose().len()).unwrap();
    let head = [length, 7, 1, OP_MSG, 0].map(i32::to_le_bytes).concat();
    [&head[..], &[0], document.expose()].concat()
}

fn users() -> Doc {
    let user = Doc::new().text("user", "tmp").bytes("userId", &[7; 16]).flag("x", true);
    let more = serde_json::json!({"a": [1, 2.5, null, {"b": "c"}], "d": 5_000_000_000_i64});
    Doc::new().docs("users", vec![user]).json("more", &more).json("ok", &1.0.into())
}

/// Asks for a user, of a server that answers with these bytes and is gone.
async fn asked(answer: Vec<u8>) -> Result<bool, CommandError> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(async move {
        let _ = far.write_all(&answer).await;
        let _ = far.shutdown().await;
        far
    });
    let answered = Session { stream: Box::new(near), number: 0 }.has_user("admin", "tmp").await;
    served.await.unwrap();
    answered
}

#[tokio::test]
async fn whatever_is_cut_or_changed_is_an_error_or_an_answer() {
    let whole = message(users());
    assert!(asked(whole.clone()).await.unwrap());
    for end in 0..whole.len() {
        assert!(asked(whole[..end].to_vec()).await.is_err(), "{end}");
    }
    for at in 0..whole.len() {
        for byte in BYTES {
            let mut changed = whole.clone();
            changed[at] = byte;
            // Neither a panic nor a wait without end.
            let answered = asked(changed).await;
            let is_head = (4..8).contains(&at) || byte == whole[at];
            assert!(is_head || at >= HEAD_BYTES || answered.is_err(), "{at} {byte}");
        }
    }
}

#[tokio::test]
async fn a_length_that_lies_costs_nothing() {
    for length in [i32::MIN, -1, 0, 15, 20, (1 << 20) + 1, i32::MAX] {
        let head = [length, 7, 1, OP_MSG, 0].map(i32::to_le_bytes).concat();
        assert!(asked(head).await.is_err(), "{length}");
    }
}
