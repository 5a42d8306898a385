//! A cluster's API server as far as a login needs one: it says of every token whose it is. It runs
//! in a process of its own, so that its time does not count as the server's; the bench starts
//! itself again for it, with the hidden command `reviewer`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::console;
use crate::echo::input_end;

/// Largest question.
const QUESTION_BYTES_MAX: usize = 64 * 1024;
/// The token of the service account that signs in: claims that look like a projected token's.
pub(crate) const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.\
    eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMiLCJhdWQiOlsiaHR0cHM6Ly9rdWJlcm5ldGVzLmRl\
    ZmF1bHQuc3ZjIl0sImV4cCI6NDEwMjQ0NDgwMH0.c2lnbmF0dXJl";
const REVIEW: &str = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{
    "authenticated":true,"audiences":["https://kubernetes.default.svc"],"user":{
    "username":"system:serviceaccount:bench:client","uid":"b1","groups":["system:serviceaccounts"],
    "extra":{"authentication.kubernetes.io/pod-name":["client-0"]}}}}"#;

/// The hidden command.
pub(crate) fn command() -> Command {
    let file = |name: &'static str| {
        Arg::new(name).long(name).required(true).value_parser(value_parser!(PathBuf))
    };
    Command::new("reviewer").hide(true).args([file("certificate"), file("key")])
}

/// Serves until standard input ends.
///
/// # Errors
/// When the certificate is unusable or no port is free.
pub(crate) fn serve(flags: &ArgMatches) -> Result<(), String> {
    let file = |name: &str| flags.get_one::<PathBuf>(name).ok_or(format!("--{name} is missing"));
    let chain = CertificateDer::pem_file_iter(file("certificate")?)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_file(file("key")?).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| error.to_string())?;
    let tls = TlsAcceptor::from(Arc::new(tls));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        console::say(&format!("The reviewer listens on https://{address}"));
        let listening = async {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    // A client that leaves is nobody's fault.
                    let _ = answer(&tls, stream).await;
                });
            }
        };
        tokio::select! {
            () = listening => Err("the reviewer's port is gone".to_owned()),
            () = input_end() => Ok(()),
        }
    })
}

/// Answers question after question of one connection.
async fn answer(tls: &TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(tls.accept(stream).await?);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length.min(QUESTION_BYTES_MAX), 0);
        stream.read_exact(&mut body).await?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", REVIEW.len());
        stream.write_all(&[head.as_bytes(), REVIEW.as_bytes()].concat()).await?;
        stream.flush().await?;
    }
}
