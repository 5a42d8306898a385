//! What a machine is offered before anybody signs in.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::server::{Given, Named};
use crate::testing::way;

#[tokio::test]
async fn nobody_is_asked_to_compress() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let machine = Server::new(Given {
        host: Named::none("host").with(Some("127.0.0.1")),
        port: Named::none("port").with(Some(&port)),
        user: Named::none("user"),
        password: Named::none("password"),
        database: None,
        encrypted: Some(false),
        authority: Named::none("host"),
        name: None,
        identity: None,
    });
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-Stub\r\n").await.unwrap();
        let mut heard = Vec::new();
        // The list of compressions comes last; two languages, a flag, and padding follow.
        while !heard.windows(4).any(|piece| piece == b"none") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        heard
    });
    let asked = host_key(&machine.unwrap(), &way()).await;
    assert!(asked.is_err());
    let heard = String::from_utf8_lossy(&heard.await.unwrap()).into_owned();
    assert!(heard.contains("curve25519") && !heard.contains("zlib"), "{heard}");
}
