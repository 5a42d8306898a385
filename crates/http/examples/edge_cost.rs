//! What one request costs the edge: CPU time of the server's thread per request over TLS 1.3 with
//! keep-alive, beside the same for the bare echo on the same stack. Linux only; means something
//! in a release build only: `cargo run --release -p keysherd-http --example edge_cost [seconds]`.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends the program")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keysherd_base::{Fault, Rng, RngFailed, SystemClock};
use keysherd_http::{
    BoxFuture, Edge, Host, Limits, Listener, RequestInfo, Surroundings, TlsReload, TlsVersions,
    Transport, Workers,
};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Group, Run, Show, Spec,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

const CONNECTIONS: usize = 16;
const BODY: &str = concat!(
    r#"{"accessibility":"regular","json":false,"names":["/team/db/password"],"#,
    r#""token":"t-0123456789abcdef0123456789abcdef0123456789abcdef"}"#
);

/// A host that records nothing.
struct Idle;

impl Host for Idle {
    type Call = Arc<RequestInfo>;

    fn open(&self, info: RequestInfo) -> Self::Call {
        Arc::new(info)
    }

    fn finish<'a>(
        &'a self,
        _: &'a Self::Call,
        _: Result<(), &'a Fault>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Bytes that are good enough for ids that nobody looks at.
struct Unsafe;

impl Rng for Unsafe {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(7);
        Ok(())
    }
}

const SESSION: Group = Group {
    title: "Session",
    fields: &[
        Field::text("token", "").secret().spec(),
        Field::text("uid-token", "").secret().spec(),
        Field::flag("json", "").spec(),
    ],
};
const NAMES: Field<keysherd_wire::List> = Field::list("names", "").required();
const FIELDS: &[FieldSpec] = &[NAMES.spec(), Field::text("accessibility", "").spec()];

fn get(_: Arc<RequestInfo>, args: Args) -> Run {
    Box::pin(async move {
        let names = args.need(&NAMES)?;
        let mut body = Vec::with_capacity(128);
        body.extend_from_slice(b"{\"");
        body.extend_from_slice(names.concat().as_bytes());
        body.extend_from_slice(b"\":\"correct horse battery staple, a hundred times over\"}");
        Ok(Answer::raw(body))
    })
}

static GET: Command<Arc<RequestInfo>> = Command {
    spec: Spec {
        name: "get-secret-value",
        aliases: &[],
        success: 200,
        summary: "",
        groups: &[&SESSION],
        fields: FIELDS,
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &get,
};
static COMMANDS: &[&Command<Arc<RequestInfo>>] = &[&GET];

fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    (made.cert.der().clone(), key)
}

/// CPU time so far of the threads of this process named `name`.
fn cpu_of(name: &str) -> Duration {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task").expect("Linux") {
        let path = task.expect("a directory entry").path();
        let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let nanoseconds = read("schedstat");
            let first = nanoseconds.split(' ').next().and_then(|text| text.parse().ok());
            total += Duration::from_nanos(first.unwrap_or(0));
        }
    }
    total
}

/// Sends requests one after the other until `until`; returns how many were answered.
async fn client(address: SocketAddr, config: Arc<ClientConfig>, until: Instant) -> u32 {
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an open socket");
    let mut stream = TlsConnector::from(config).connect(name, stream).await.expect("TLS");
    let length = BODY.len();
    let request = format!(
        "POST /get-secret-value HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nUser-Agent: OpenAPI-Generator/5.0.40/python\r\n\
         Content-Length: {length}\r\n\r\n{BODY}"
    );
    let mut buffer = vec![0; 4096];
    let mut answered = 0;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await.expect("an open connection");
        // Answers are smaller than one TLS record, so one read is one answer.
        let read = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "the server fails");
        answered += 1;
    }
    answered
}

async fn measure(what: &str, address: SocketAddr, config: &Arc<ClientConfig>, seconds: u64) {
    let warm = Instant::now() + Duration::from_millis(500);
    client(address, config.clone(), warm).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let before = cpu_of("http-0");
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(client(address, config.clone(), until))).collect();
    let mut answered = 0;
    for one in clients {
        answered += one.await.expect("a client");
    }
    let used = cpu_of("http-0").saturating_sub(before);
    let each = used.as_secs_f64() * 1e6 / f64::from(answered.max(1));
    println!("{what:>5}: {each:6.2} us CPU per request, {answered} requests");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let (certificate, key) = certificate();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let tls = TlsReload::new(vec![certificate], key, TlsVersions::V13).expect("TLS");
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        rng: Arc::new(Unsafe),
        ready: Arc::new(|| Ok(())),
        status: None,
        traces: None,
        trusted_proxy: Arc::new(|_| false),
        limits: Limits::default(),
    };
    let edge = Edge::new(Arc::new(Idle), COMMANDS, surroundings).expect("an edge");
    let workers = Workers::Threads(1.try_into().expect("not zero"));
    for what in ["echo", "edge", "echo", "edge"] {
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(any, Limits::default(), workers).await.expect("a port");
        let address = listener.address();
        let (stop, asked) = oneshot::channel::<()>();
        let (edge, transport) = (edge.clone(), Transport::Tls(tls.clone()));
        let serving = tokio::spawn(async move {
            let asked = async {
                let _ = asked.await;
            };
            match what {
                "echo" => listener.echo(transport, asked).await,
                _ => listener.serve(transport, edge, asked).await,
            }
        });
        measure(what, address, &config, seconds).await;
        drop(stop);
        serving.await.expect("the server").expect("the server");
    }
}
