//! Servers that say something else than the protocol has, in every place of a frame.

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::testing::way;

/// What mutated bytes become, among others the ends of lengths' ranges.
const BYTES: [u8; 8] = [0, 1, 2, 8, 0x7f, 0x80, 0x84, 0xff];

/// A frame of this operation.
fn frame(flags: u8, operation: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[ANSWERED, flags, 0, 0, operation][..], &length, body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// Rows of one column, described once.
fn found(rows: u32) -> Vec<u8> {
    let head = [2, ONE_TABLE, 1].map(u32::to_be_bytes).concat();
    let kind = 13_u16.to_be_bytes();
    let table = [text("system_auth"), text("roles"), text("role")].concat();
    [&head[..], &table, &kind, &rows.to_be_bytes()].concat()
}

/// Asks whether there is something, of a server that answers with these bytes and is gone.
async fn asked(answer: Vec<u8>) -> Result<bool, StatementError> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(async move {
        let _ = far.write_all(&answer).await;
        let _ = far.shutdown().await;
        far
    });
    let answered = Session { stream: Box::new(near) }.finds("SELECT").await;
    served.await.unwrap();
    answered
}

#[tokio::test]
async fn rows_are_counted_with_and_without_warnings() {
    let warned = [&[0, 1][..], &text("careful"), &found(3)].concat();
    assert!(asked(frame(0, RESULT, &found(3))).await.unwrap());
    assert!(asked(frame(8, RESULT, &warned)).await.unwrap());
    assert!(!asked(frame(0, RESULT, &found(0))).await.unwrap());
    let no_metadata = [2, NO_METADATA, 1, 1].map(u32::to_be_bytes).concat();
    assert!(asked(frame(0, RESULT, &no_metadata)).await.unwrap());
    let refused = [&0x2100_u32.to_be_bytes()[..], &text("no")].concat();
    assert_eq!(asked(frame(0, ERROR, &refused)).await.unwrap_err().code, Some(0x2100));
}

#[tokio::test]
async fn whatever_is_cut_or_changed_is_an_error_or_an_answer() {
    let warned = [&[0, 1][..], &text("careful"), &found(3)].concat();
    for whole in [frame(0, RESULT, &found(3)), frame(8, RESULT, &warned)] {
        for end in 0..whole.len() {
            assert!(asked(whole[..end].to_vec()).await.is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for byte in BYTES {
                let mut changed = whole.clone();
                changed[at] = byte;
                // Neither a panic nor a wait without end.
                let _ = asked(changed).await;
            }
        }
    }
    for at in 0..found(3).len() {
        for byte in BYTES {
            let mut changed = found(3);
            changed[at] = byte;
            let _ = (rows(&changed), without_warnings(&changed), StatementError::said(&changed));
        }
    }
}

#[tokio::test]
async fn lengths_and_counts_that_lie_cost_nothing() {
    // Four gigabytes are announced: nobody makes room for them, or waits.
    let head = [ANSWERED, 0, 0, 0, RESULT, 0xff, 0xff, 0xff, 0xff];
    assert!(asked(head.to_vec()).await.is_err());
    let columns = [2, ONE_TABLE, u32::MAX].map(u32::to_be_bytes).concat();
    assert_eq!(rows(&columns), None);
    assert_eq!(without_warnings(&[0xff, 0xff, 0, 1]), None);
}

#[tokio::test]
async fn a_password_cannot_end_early_and_sign_in_somebody_else() {
    // On the way there, name and password stand between zero bytes.
    let server = Server::new(crate::server::Given {
        host: crate::Named::none("host").with(Some("127.0.0.1")),
        port: crate::Named::none("port").with(Some("9")),
        user: crate::Named::none("user-name").with(Some("keeper")),
        password: crate::Named::none("pwd").with(Some("other\0canary")),
        database: None,
        encrypted: Some(false),
        authority: crate::Named::none("ssl-certificate"),
        name: None,
        identity: None,
    });
    let fault = connect(&[server.unwrap()], &way()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}
