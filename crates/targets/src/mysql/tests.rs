//! Servers that were made to end a gateway.

use keysherd_base::FaultKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::database;
use crate::testing::{settings, way};

fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], content].concat()
}

/// Greets as MySQL 8.0 does, and lets everybody in.
async fn greet(stream: &mut TcpStream) {
    let (low, high) = (0xf7ff_u16.to_le_bytes(), 0xdfff_u16.to_le_bytes());
    let greeting = [
        &b"\x0a8.0.28\0\x01\0\0\0saltsalt\0"[..],
        &low,
        b"\x21\x02\0",
        &high,
        b"\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0mysql_native_password\0",
    ]
    .concat();
    stream.write_all(&packet(0, &greeting)).await.unwrap();
    stream.read_buf(&mut Vec::with_capacity(1_024)).await.unwrap();
    stream.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0])).await.unwrap();
}

/// Signs in to a server that answers the first question so.
async fn signed_in(answer: Vec<u8>) -> Fault {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        greet(&mut stream).await;
        stream.read_buf(&mut Vec::with_capacity(1_024)).await.unwrap();
        let _ = stream.write_all(&answer).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let given = [
        ("db-type", "mysql"),
        ("host", "127.0.0.1"),
        ("port", &port),
        ("user-name", "u"),
        ("pwd", "canary-password"),
    ];
    let settings = settings(crate::by_name("db").unwrap(), &given);
    let fault = connect(&database(&settings).unwrap(), &way()).await.err().unwrap();
    serving.abort();
    fault
}

#[tokio::test]
async fn a_server_that_announces_columns_without_end_is_given_up() {
    for count in [
        // 32 bytes for each of them are more than any machine has.
        &[0xfe, 0, 0, 0, 0, 0, 1, 0, 0][..],
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
        &[0xfd, 0xff, 0xff, 0xff],
    ] {
        let fault = signed_in(packet(1, count)).await;
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{count:?}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_ends_its_answer_is_given_up() {
    let begun =
        [packet(1, &[1]), packet(2, b"\x03def\0\0\0\x01x\0\x0c\x21\0\xff\0\0\0\xfd\0\0\0\0\0")];
    let rows = (0..=255).cycle().take(8 * 1_024).map(|n: u8| packet(n, &[b'x'; 1_000]));
    let answer = begun.into_iter().chain(rows).flatten().collect();
    let fault = signed_in(answer).await;
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
}
