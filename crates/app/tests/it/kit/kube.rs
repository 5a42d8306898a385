//! A real Kubernetes API server with its etcd, built from their sources by `cargo xtask test`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Connection, Http, Reply};
use super::installed::cache;
use super::loopback::{free_port, write_certificates};
use super::mounts::not_tested;
use super::openssl::{self, Authority, Issued, Order, rsa_key};
use super::poll::{wait_for, wait_until};

/// Both servers in one program; see `kube/main.go`.
const PROGRAM: &str = "tools/kube/kube";
/// Where somebody asks whose a token is.
pub(crate) const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// The administrator's token.
const ADMIN: &str = "administrator-of-the-cluster";
/// Ports that somebody else may take before the server does.
const TRIES: usize = 5;
/// Where etcd listens: sockets in the directory of the cluster, so that nobody else reaches it.
const ETCD: [&str; 2] = ["unix://localhost:1", "unix://localhost:2"];

/// A cluster without nodes that run anything; ended on drop.
pub(crate) struct Kube {
    /// The API server's address.
    pub(crate) url: String,
    /// The certificate of its authority, in PEM.
    pub(crate) ca_pem: String,
    http: Http,
    clients: Authority,
    dir: TempDir,
    _servers: [Server; 2],
}

/// A process; ended on drop.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Kube {
    /// Starts one; `None`, after saying so, where the servers were not built.
    pub(crate) fn start() -> Option<Self> {
        let program = cache().join(PROGRAM);
        if !program.is_file() {
            not_tested("there is no Kubernetes API server; cargo xtask kube builds one");
            return None;
        }
        let dir = TempDir::with_prefix("keysherd-kube-").unwrap();
        let ca_pem = write_certificates(dir.path(), "a cluster's authority");
        let clients = Authority::new("/CN=clients of a cluster");
        fs::copy(clients.path("ca.pem"), dir.path().join("clients.pem")).unwrap();
        rsa_key(&dir.path().join("accounts.key"));
        let admin = format!("{ADMIN},admin,admin-uid,\"system:masters\"\n");
        fs::write(dir.path().join("tokens.csv"), admin).unwrap();
        let etcd = spawn(&program, dir.path(), "etcd", &etcd_arguments());
        for _ in 0..TRIES {
            let port = free_port();
            let mut api = spawn(&program, dir.path(), "apiserver", &api_arguments(port));
            let url = format!("https://127.0.0.1:{port}");
            let http = Http::new(&url, &dir.path().join("ca.pem"));
            if is_ready(&mut api, &http, dir.path()) {
                let servers = [api, etcd];
                return Some(Self { url, ca_pem, http, clients, dir, _servers: servers });
            }
        }
        panic!("{TRIES} free ports were taken before the API server had them");
    }

    /// What Helm needs to act as the administrator.
    pub(crate) fn helm_arguments(&self) -> [String; 3] {
        let authority = self.dir.path().join("ca.pem");
        [
            format!("--kube-apiserver={}", self.url),
            format!("--kube-ca-file={}", authority.display()),
            format!("--kube-token={ADMIN}"),
        ]
    }

    /// An object, as the administrator sees it.
    #[track_caller]
    pub(crate) fn look(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, Some(ADMIN), &Value::Null);
        assert!(reply.is_success(), "{path}: {}", reply.text());
        reply.json()
    }

    /// What the administrator is told who makes an object.
    pub(crate) fn try_to_make(&self, path: &str, object: &Value) -> Reply {
        self.ask("POST", path, Some(ADMIN), object)
    }

    /// Asks the API server, as whoever has `token`.
    pub(crate) fn ask(&self, verb: &str, path: &str, token: Option<&str>, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", token.unwrap_or_default());
        let headers = [("Authorization", bearer.as_str())];
        let headers = if token.is_some() { &headers[..] } else { &[] };
        let body = body.to_string();
        let mut connection = self.http.connect().unwrap();
        let mut request = connection.head(verb, path, headers, Some(body.len()));
        request.extend_from_slice(body.as_bytes());
        connection.send(&request).and_then(|()| Connection::reply(&mut connection)).unwrap()
    }

    /// Makes an object; gives it as it was made.
    #[track_caller]
    pub(crate) fn make(&self, path: &str, object: Value) -> Value {
        let reply = self.ask("POST", path, Some(ADMIN), &object);
        assert!(reply.is_success(), "{path} {object}: {}", reply.text());
        reply.json()
    }

    /// Removes an object at once.
    #[track_caller]
    pub(crate) fn remove(&self, path: &str) {
        let at_once = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
        let reply = self.ask("DELETE", path, Some(ADMIN), &at_once);
        assert!(reply.is_success(), "{path}: {}", reply.text());
    }

    /// Makes a namespace.
    pub(crate) fn namespace(&self, name: &str) {
        self.make("/api/v1/namespaces", json!({"metadata": {"name": name}}));
    }

    /// Makes a service account; gives its uid.
    pub(crate) fn account(&self, namespace: &str, name: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        uid(&self.make(&path, json!({"metadata": {"name": name}})))
    }

    /// Makes a node, which is nowhere.
    pub(crate) fn node(&self, name: &str) {
        self.make("/api/v1/nodes", json!({"metadata": {"name": name}}));
    }

    /// Makes a pod of a service account on a node, which nobody starts; gives its uid.
    pub(crate) fn pod(&self, namespace: &str, name: &str, account: &str, node: &str) -> String {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": account, "nodeName": node,
                "containers": [{"name": "main", "image": "none"}],
            },
        });
        uid(&self.make(&format!("/api/v1/namespaces/{namespace}/pods"), pod))
    }

    /// A token of a service account for `audiences`, or for the API server; bound to `pod`.
    #[track_caller]
    pub(crate) fn token(&self, account: (&str, &str), audiences: &[&str], pod: &str) -> String {
        let (namespace, name) = account;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let mut spec = json!({"audiences": audiences, "expirationSeconds": 600});
        if !pod.is_empty() {
            let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": pod});
            spec["boundObjectRef"] = bound;
        }
        let made = self.make(&path, json!({ "spec": spec }));
        made["status"]["token"].as_str().unwrap().to_owned()
    }

    /// The token of an account that may have tokens reviewed.
    pub(crate) fn reviewer(&self) -> String {
        self.account("kube-system", "reviewer");
        self.may_review(json!({
            "kind": "ServiceAccount", "name": "reviewer", "namespace": "kube-system",
        }));
        let token = self.token(("kube-system", "reviewer"), &[], "");
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token},
        });
        wait_until("the reviewer's right to be in force", || {
            self.ask("POST", REVIEWS, Some(&token), &review).is_success()
        });
        token
    }

    /// Gives a subject the right to have tokens reviewed.
    pub(crate) fn may_review(&self, subject: Value) {
        let name = format!("review-{}", subject["name"].as_str().unwrap());
        let role = json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "system:auth-delegator",
        });
        let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": [subject]});
        self.make("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding);
    }

    /// Puts a token into a secret, where clusters kept them before tokens were bound.
    pub(crate) fn secret(&self, account: (&str, &str), uid: &str, name: &str, token: &str) {
        let (namespace, account) = account;
        let secret = json!({
            "metadata": {
                "name": name,
                "annotations": {
                    "kubernetes.io/service-account.name": account,
                    "kubernetes.io/service-account.uid": uid,
                },
            },
            "type": "kubernetes.io/service-account-token",
            "stringData": {"token": token},
        });
        self.make(&format!("/api/v1/namespaces/{namespace}/secrets"), secret);
    }

    /// A client's certificate that the API server knows as the user `name`.
    pub(crate) fn client(&self, name: &str) -> Issued {
        self.clients.issue(name, &Order::client(&format!("/CN={name}")))
    }

    /// A token with these claims, signed with the key of the cluster's own tokens.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        sign(&self.dir.path().join("accounts.key"), header, claims)
    }
}

/// A JSON Web Token, signed with an RSA key (RS256) whatever its header says.
pub(crate) fn sign(key: &Path, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = openssl::sign(key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn log(dir: &Path, server: &str) -> PathBuf {
    dir.join(format!("{server}.log"))
}

fn spawn(program: &Path, dir: &Path, server: &str, arguments: &[String]) -> Server {
    let mut command = Command::new(program);
    command.arg(server).args(arguments).current_dir(dir).env_clear().env("HOME", dir);
    command.stdout(File::create(dir.join("out")).unwrap());
    command.stderr(File::create(log(dir, server)).unwrap());
    Server(command.spawn().unwrap())
}

fn etcd_arguments() -> Vec<String> {
    let [clients, peers] = ETCD;
    let mut arguments = vec!["--unsafe-no-fsync".to_owned(), "--log-level=warn".to_owned()];
    arguments.extend(["--data-dir=etcd", "--name=one"].map(str::to_owned));
    for name in ["listen-client-urls", "advertise-client-urls"] {
        arguments.push(format!("--{name}={clients}"));
    }
    for name in ["listen-peer-urls", "initial-advertise-peer-urls"] {
        arguments.push(format!("--{name}={peers}"));
    }
    arguments.push(format!("--initial-cluster=one={peers}"));
    arguments
}

fn api_arguments(port: u16) -> Vec<String> {
    let mut arguments = vec![format!("--etcd-servers={}", ETCD[0])];
    arguments.push(format!("--secure-port={port}"));
    let rest = [
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--cert-dir=certificates",
        "--tls-cert-file=cert.pem",
        "--tls-private-key-file=key.pem",
        "--client-ca-file=clients.pem",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=accounts.key",
        "--service-account-signing-key-file=accounts.key",
    ];
    arguments.extend(rest.map(str::to_owned));
    arguments
}

/// Whether the API server became ready; `false` when somebody else has its port.
fn is_ready(api: &mut Server, http: &Http, dir: &Path) -> bool {
    wait_for("the API server to be ready", || {
        if api.0.try_wait().unwrap().is_some() {
            let said = fs::read_to_string(log(dir, "apiserver")).unwrap();
            assert!(said.contains("address already in use"), "the API server ended: {said}");
            return Some(false);
        }
        http.get("/readyz").is_ok_and(|reply| reply.status == 200).then_some(true)
    })
}
