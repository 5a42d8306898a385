//! Writers that remember what was acknowledged to them, and what they sent last.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::kit::{Connection, Http, Reply, random};

/// Writers at the same time; the last one writes other things than values.
pub(super) const COUNT: usize = 6;

/// How many writes were acknowledged.
#[derive(Default)]
pub(super) struct Progress {
    count: Mutex<u64>,
    more: Condvar,
}

impl Progress {
    /// Waits until so many writes were acknowledged.
    pub(super) fn wait_for(&self, count: u64) {
        let enough = |known: &mut u64| *known < count;
        let waited =
            self.more.wait_timeout_while(self.count.lock().unwrap(), crate::kit::LONG, enough);
        let (known, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "only {} of {count} writes were acknowledged", *known);
    }

    fn one_more(&self) {
        *self.count.lock().unwrap() += 1;
        self.more.notify_all();
    }
}

/// A value that was sent.
#[derive(Clone, Debug)]
pub(super) struct Write {
    value: String,
    /// Whether it makes a version of its own.
    new_version: bool,
}

impl Write {
    /// The versions that an item has afterwards.
    pub(super) fn applied_to(&self, versions: &[String]) -> Vec<String> {
        let kept = versions.len() - usize::from(!self.new_version && !versions.is_empty());
        let mut after = versions[..kept].to_vec();
        after.push(self.value.clone());
        after
    }
}

/// What is known of a secret.
#[derive(Debug, Default)]
pub(super) struct Secret {
    /// Acknowledged values by version.
    pub(super) versions: Vec<String>,
    /// Sent and not acknowledged.
    pub(super) pending: Option<Write>,
    /// Its deletion was sent.
    pub(super) deleted: bool,
    /// Its deletion was not acknowledged.
    pub(super) deletion_pending: bool,
}

/// Something else that was acknowledged.
#[derive(Debug)]
pub(super) enum Fact {
    Role(String),
    Method { access_id: String, access_key: String },
    Key(String),
}

/// What writers did.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) secrets: HashMap<String, Secret>,
    pub(super) facts: Vec<Fact>,
    /// Ids of the acknowledged requests.
    pub(super) requests: Vec<String>,
}

impl Work {
    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.secrets.extend(other.secrets);
        self.facts.extend(other.facts);
        self.requests.extend(other.requests);
        self
    }
}

/// Where the items of a round lie.
pub(super) fn folder(round: u64) -> String {
    format!("/crash/{round}/")
}

struct Writer<'a> {
    connection: Connection,
    token: String,
    folder: String,
    number: usize,
    progress: &'a Progress,
    work: Work,
}

/// A writer that writes until the server is gone.
pub(super) fn write<'a>(
    http: Arc<Http>,
    token: &str,
    round: u64,
    number: usize,
    progress: &'a Progress,
) -> impl FnOnce() -> Work + Send + 'a {
    let (token, folder) = (token.to_owned(), folder(round));
    move || {
        // The server may be gone before the last writer came to it.
        let Ok(connection) = http.connect() else { return Work::default() };
        let work = Work::default();
        let mut writer = Writer { connection, token, folder, number, progress, work };
        let others = number + 1 == COUNT;
        for step in 0_usize.. {
            let alive = if others { writer.other(step) } else { writer.value(step) };
            if alive.is_none() {
                break;
            }
        }
        writer.work
    }
}

impl Writer<'_> {
    /// `None` when the server is gone.
    fn call(&mut self, command: &str, mut args: Value) -> Option<Reply> {
        args["token"] = self.token.as_str().into();
        let path = format!("/{command}");
        let reply = self.connection.post(&path, &[], args.to_string().as_bytes()).ok()?;
        assert!(reply.is_success(), "{command}: {} {}", reply.status, reply.text());
        self.work.requests.push(reply.request_id());
        self.progress.one_more();
        Some(reply)
    }

    fn name(&self, step: usize) -> String {
        format!("{}{}-{step}", self.folder, self.number)
    }

    /// Makes a secret, or gives one a new value with or without a new version.
    fn value(&mut self, step: usize) -> Option<()> {
        let choice = random();
        let old = usize::try_from(choice >> 8).unwrap_or(0) % step.max(1);
        let creates = step == 0 || choice.is_multiple_of(3) || !self.known(old);
        let name = self.name(if creates { step } else { old });
        let write = Write {
            value: format!("{name} {:016x}", random()),
            new_version: creates || choice & 16 == 0,
        };
        let args = json!({
            "name": name,
            "value": write.value,
            "keep-prev-version": write.new_version.to_string(),
        });
        self.work.secrets.entry(name.clone()).or_default().pending = Some(write);
        self.call(if creates { "create-secret" } else { "update-secret-val" }, args)?;
        let secret = self.work.secrets.get_mut(&name).unwrap();
        if let Some(write) = secret.pending.take() {
            secret.versions = write.applied_to(&secret.versions);
        }
        Some(())
    }

    fn known(&self, step: usize) -> bool {
        self.work.secrets.contains_key(&self.name(step))
    }

    /// Makes a role, an auth method or a key, or makes and deletes a secret.
    fn other(&mut self, step: usize) -> Option<()> {
        let name = self.name(step);
        match step % 4 {
            0 => {
                self.call("create-role", json!({ "name": name }))?;
                let rule = json!({"role-name": name, "path": "/a/*", "capability": ["read"]});
                self.call("set-role-rule", rule)?;
                self.work.facts.push(Fact::Role(name));
            }
            1 => {
                let made = self.call("auth-method-create-api-key", json!({ "name": name }))?.json();
                let text = |field: &str| made[field].as_str().unwrap().to_owned();
                let (access_id, access_key) = (text("access_id"), text("access_key"));
                self.work.facts.push(Fact::Method { access_id, access_key });
            }
            2 => {
                self.call("create-dfc-key", json!({"name": name, "alg": "AES128GCM"}))?;
                self.work.facts.push(Fact::Key(name));
            }
            _ => self.short_lived(name)?,
        }
        Some(())
    }

    fn short_lived(&mut self, name: String) -> Option<()> {
        let write = Write { value: "short-lived".to_owned(), new_version: true };
        let args = json!({"name": name, "value": write.value});
        let secret = self.work.secrets.entry(name.clone()).or_default();
        secret.pending = Some(write);
        self.call("create-secret", args)?;
        let secret = self.work.secrets.get_mut(&name)?;
        secret.versions = vec![secret.pending.take()?.value];
        (secret.deleted, secret.deletion_pending) = (true, true);
        self.call("delete-item", json!({ "name": name }))?;
        self.work.secrets.get_mut(&name)?.deletion_pending = false;
        Some(())
    }
}
