//! A stand-in for AWS that checks signatures: moto, from PyPI.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::poll::wait_for;
use super::python::python;
use super::run::finish;

const PACKAGES: &[&str] = &[
    "moto[iam,sts,s3]==5.2.5",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "boto3==1.44.5",
    "akeyless-cloud-id==0.3.2",
];
/// Calls that `identities.py setup` makes, before which nobody could have signed.
const CALLS_OF_SETUP: &str = "6";
/// The file that it writes every request to.
const RECORDING: &str = "recording";
const BUCKET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kit/moto/bucket.py");
const IDENTITIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kit/moto/identities.py");

/// The server, with a user `/team/alice` and a session `i-0123` of the role `deploy`; ended on
/// drop.
pub(crate) struct Moto {
    /// Its address.
    pub(crate) url: String,
    python: PathBuf,
    credentials: String,
    child: Child,
    dir: TempDir,
}

impl Moto {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let python = python("moto-5.2.5", PACKAGES);
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let [out, err] = [(); 2].map(|()| File::options().append(true).create(true).open(&log));
        let mut command = Command::new(&python);
        command.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS_OF_SETUP).current_dir(dir.path());
        command.env("MOTO_ENABLE_RECORDING", "true").env("MOTO_RECORDER_FILEPATH", RECORDING);
        let child = command.stdout(out.unwrap()).stderr(err.unwrap()).spawn().unwrap();
        let mut moto = Self { url: String::new(), python, credentials: String::new(), child, dir };
        moto.url = wait_for("moto to listen", || {
            let text = fs::read_to_string(&log).unwrap();
            assert!(moto.child.try_wait().unwrap().is_none(), "moto ended: {text}");
            let url = text.split_whitespace().find(|word| word.starts_with("http://"))?;
            text.contains("CTRL").then(|| url.trim_end_matches('/').to_owned())
        });
        moto.credentials = moto.identities("setup");
        moto
    }

    /// The id and the key of the user's access key.
    pub(crate) fn access_key(&self) -> (String, String) {
        let credentials: Value = serde_json::from_str(&self.credentials).unwrap();
        let text = |at: usize| credentials["user"][at].as_str().unwrap().to_owned();
        (text(0), text(1))
    }

    /// What a machine with the user's identity has in its environment.
    pub(crate) fn machine(&self) -> [(&'static str, String); 5] {
        let (id, key) = self.access_key();
        [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", key),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL_STS", self.url.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The bodies of all requests that it got, as they were sent.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join(RECORDING)).unwrap_or_default();
        let body = |line: &str| {
            // The last line may be half written.
            let entry: Value = serde_json::from_str(line).ok()?;
            let bytes = STANDARD.decode(entry["body"].as_str()?).unwrap();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        text.lines().filter_map(body).collect()
    }

    /// Makes a bucket.
    pub(crate) fn make_bucket(&self, name: &str) {
        self.bucket("make", name);
    }

    /// The objects of a bucket: names and contents.
    pub(crate) fn objects(&self, bucket: &str) -> BTreeMap<String, String> {
        serde_json::from_str(&self.bucket("read", bucket)).unwrap()
    }

    fn bucket(&self, what: &str, name: &str) -> String {
        let mut command = Command::new(&self.python);
        command.arg(BUCKET).args([self.url.as_str(), what, name]);
        finish(&mut command, self.credentials.as_bytes()).expect(0).out
    }

    /// Fresh cloud-ids by what they are; see `identities.py`.
    pub(crate) fn cloud_ids(&self) -> Value {
        serde_json::from_str(&self.identities("sign")).unwrap()
    }

    /// Whether it takes requests that this key signs.
    pub(crate) fn takes(&self, id: &str, key: &str) -> bool {
        let credentials = json!({"user": [id, key, null]});
        let said = self.identities_of("ask", &credentials.to_string());
        assert!(["yes", "no"].contains(&said.trim()), "{said}");
        said.trim() == "yes"
    }

    fn identities(&self, what: &str) -> String {
        self.identities_of(what, &self.credentials)
    }

    fn identities_of(&self, what: &str, credentials: &str) -> String {
        let mut command = Command::new(&self.python);
        command.arg(IDENTITIES).args([self.url.as_str(), what]);
        finish(&mut command, credentials.as_bytes()).expect(0).out
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
