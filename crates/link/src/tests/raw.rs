//! Ends that do not follow this crate: TLS with other settings, HTTP/2 by hand.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::CryptoProvider;
use rustls::server::ServerConfig;
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tests::rig::keys_of;
use crate::tls::{ALPN_CALLS, any_name, client_config, server_config};
use crate::{Identity, wire};

/// TLS to `address` as `from`, with these settings.
pub(super) async fn connect(
    config: rustls::ClientConfig,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(any_name(), tcp).await
}

/// HTTP/2 to `to` as `from`.
pub(super) async fn speak<B>(from: &Identity, to: &Identity, address: SocketAddr) -> SendRequest<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let config = client_config(from, keys_of([to]), ALPN_CALLS, crate::tls::provider()).unwrap();
    let stream = TokioIo::new(connect(config, address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (send, driver) = handshake.await.unwrap();
    tokio::spawn(driver);
    send
}

/// A call's head with this version of the protocol.
pub(super) fn request<B>(version: &str, path: &str, body: B) -> Request<B> {
    let uri = format!("https://link.keysherd{path}");
    Request::post(uri).header(wire::VERSION, version).body(body).unwrap()
}

/// The fault that answers.
pub(super) async fn fault(answer: Response<Incoming>) -> keysherd_base::Fault {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    crate::codec::read_fault(&bytes).expect("a fault")
}

/// A server with the certificate of `identity` and these settings that says how its handshakes
/// went: the key exchange, or why not.
pub(super) async fn handshakes(
    config: ServerConfig,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Result<String, String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (report, reports) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let shaken = acceptor.accept(tcp).await;
            let said = shaken.map_err(|error| error.to_string()).map(|stream| {
                let group = stream.get_ref().1.negotiated_key_exchange_group();
                format!("{:?}", group.expect("a key exchange").name())
            });
            if report.send(said).is_err() {
                return;
            }
        }
    });
    (address, reports)
}

/// A server that answers every request with `answer`.
pub(super) async fn answering(
    identity: &Identity,
    client: &Identity,
    provider: CryptoProvider,
    answer: fn() -> Response<Full<Bytes>>,
) -> SocketAddr {
    let config = server_config(identity, keys_of([client]), false, provider).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(tcp).await else { continue };
            let service =
                service_fn(
                    move |_: Request<Incoming>| async move { Ok::<_, Infallible>(answer()) },
                );
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    address
}

/// Shows a certificate that may be another's.
#[derive(Debug)]
pub(super) struct Shows(pub(super) Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Shows {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
