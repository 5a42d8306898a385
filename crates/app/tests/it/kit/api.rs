//! Calls of the public API, and people who make them.

use std::sync::Arc;

use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use super::http::{Http, Reply};

/// A caller: a server and perhaps a token.
#[derive(Clone)]
pub(crate) struct Api {
    http: Arc<Http>,
    token: Option<String>,
}

/// An identity with an access key.
#[derive(Clone)]
pub(crate) struct Person {
    /// The path of the auth method.
    pub(crate) method: String,
    pub(crate) access_id: String,
    pub(crate) access_key: String,
    /// Calls with a token of it.
    pub(crate) api: Api,
}

/// A rule to grant: type, path, capabilities with commas.
pub(crate) type Rule<'a> = (&'a str, &'a str, &'a str);

impl Api {
    /// A caller without a token.
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http, token: None }
    }

    /// The same caller with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { http: self.http.clone(), token: Some(token.to_owned()) }
    }

    /// The token.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// The server.
    pub(crate) fn http(&self) -> &Arc<Http> {
        &self.http
    }

    /// Calls a command; the token goes into the body, or with an array into a header.
    pub(crate) fn call(&self, command: &str, args: Value) -> Reply {
        self.try_call(command, args).unwrap()
    }

    /// The same where nobody may answer.
    pub(crate) fn try_call(&self, command: &str, mut args: Value) -> std::io::Result<Reply> {
        let path = format!("/{command}");
        let token = self.token.as_deref();
        if let (Value::Object(map), Some(token)) = (&mut args, token) {
            map.entry("token").or_insert_with(|| token.into());
        }
        let bearer = format!("Bearer {}", token.unwrap_or_default());
        let headers: &[_] = match (&args, token) {
            (Value::Array(_), Some(_)) => &[("Authorization", bearer.as_str())],
            _ => &[],
        };
        self.http.try_post(&path, headers, args.to_string().as_bytes())
    }

    /// Calls a command that must work; gives its answer.
    #[track_caller]
    pub(crate) fn ok(&self, command: &str, args: Value) -> Value {
        let shown = args.to_string();
        let reply = self.call(command, args);
        assert!(reply.is_success(), "{command} {shown:.300}: {} {}", reply.status, reply.text());
        reply.json()
    }

    /// Calls a command that must be refused with `status`; gives the error's text.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, command: &str, args: Value) -> String {
        let shown = args.to_string();
        let reply = self.call(command, args);
        assert_eq!(reply.status, status, "{command} {shown:.300}: {}", reply.text());
        reply.error()
    }

    /// The same caller with the token that this key gives.
    #[track_caller]
    pub(crate) fn login(&self, access_id: &str, access_key: &str) -> Self {
        let login = json!({"access-id": access_id, "access-key": access_key});
        let answer = Self::new(self.http.clone()).ok("auth", login);
        self.with_token(answer["token"].as_str().unwrap())
    }

    /// Stores a secret.
    #[track_caller]
    pub(crate) fn store(&self, name: &str, value: &str) {
        self.ok("create-secret", json!({"name": name, "value": value}));
    }

    /// Stores a secret where that may not work yet; whether it is there. An attempt that nobody
    /// answered may have stored it.
    pub(crate) fn try_store(&self, name: &str, value: &str) -> bool {
        let stored = self.call("create-secret", json!({"name": name, "value": value}));
        matches!(stored.status, 200 | 409)
    }

    /// Stores a new value in place of the newest one.
    #[track_caller]
    pub(crate) fn overwrite(&self, name: &str, value: &str) {
        self.ok("update-secret-val", json!({"name": name, "value": value}));
    }

    /// Stores a new version.
    #[track_caller]
    pub(crate) fn add_version(&self, name: &str, value: &str) {
        let args = json!({"name": name, "value": value, "keep-prev-version": "true"});
        self.ok("update-secret-val", args);
    }

    /// Reads a secret.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        let answer = self.ok("get-secret-value", json!({"names": [name]}));
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Reads a secret, which may fail.
    pub(crate) fn try_read(&self, name: &str) -> Option<String> {
        let reply = self.call("get-secret-value", json!({"names": [name]}));
        let value = (reply.status == 200).then(|| reply.json()[name].take());
        value.and_then(|value| value.as_str().map(str::to_owned))
    }

    /// Reads one version of a secret.
    #[track_caller]
    pub(crate) fn read_version(&self, name: &str, version: i64) -> Value {
        self.ok("get-secret-value", json!({"names": [name], "version": version}))[name].take()
    }

    /// Describes an item.
    #[track_caller]
    pub(crate) fn describe(&self, name: &str) -> Value {
        self.ok("describe-item", json!({"name": name}))
    }

    /// Makes an identity that may do nothing.
    #[track_caller]
    pub(crate) fn new_person(&self, method: &str) -> Person {
        self.new_person_with(method, json!({}))
    }

    /// The same with further arguments for its auth method.
    #[track_caller]
    pub(crate) fn new_person_with(&self, method: &str, mut args: Value) -> Person {
        args["name"] = method.into();
        let made = self.ok("auth-method-create-api-key", args);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (access_id, access_key) = (text("access_id"), text("access_key"));
        let api = self.login(&access_id, &access_key);
        Person { method: method.to_owned(), access_id, access_key, api }
    }

    /// Makes an identity whose access, and the token it has, end within seconds.
    pub(crate) fn new_person_until_soon(&self, method: &str) -> Person {
        // A busy machine may need longer than that to log in.
        for seconds in [2, 8, 30] {
            let end = SystemClock.now().seconds() + seconds;
            let args = json!({"name": method, "access-expires": end});
            let made = self.ok("auth-method-create-api-key", args);
            let text = |name: &str| made[name].as_str().unwrap().to_owned();
            let (access_id, access_key) = (text("access_id"), text("access_key"));
            let login = json!({"access-id": access_id, "access-key": access_key});
            let reply = Self::new(self.http.clone()).call("auth", login);
            if reply.is_success() {
                let api = self.with_token(reply.json()["token"].as_str().unwrap());
                return Person { method: method.to_owned(), access_id, access_key, api };
            }
            self.ok("auth-method-delete", json!({ "name": method }));
        }
        panic!("no login within 30 seconds");
    }

    /// Makes a role with these rules.
    #[track_caller]
    pub(crate) fn new_role(&self, role: &str, rules: &[Rule<'_>]) {
        self.ok("create-role", json!({"name": role}));
        for rule in rules {
            self.ok("set-role-rule", rule_args(role, *rule));
        }
    }

    /// Gives a role to an identity.
    #[track_caller]
    pub(crate) fn associate(&self, role: &str, person: &Person) -> String {
        let args = json!({"role-name": role, "am-name": person.method});
        self.ok("assoc-role-am", args)["assoc_id"].as_str().unwrap().to_owned()
    }

    /// Makes an identity with a role of these rules; both have the path `name`.
    #[track_caller]
    pub(crate) fn person_who_may(&self, name: &str, rules: &[Rule<'_>]) -> Person {
        let person = self.new_person(name);
        self.new_role(name, rules);
        self.associate(name, &person);
        person
    }
}

/// The arguments that set a rule.
pub(crate) fn rule_args(role: &str, (kind, path, capabilities): Rule<'_>) -> Value {
    let capabilities: Vec<_> = capabilities.split(',').collect();
    json!({"role-name": role, "rule-type": kind, "path": path, "capability": capabilities})
}
