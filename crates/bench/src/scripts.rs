//! What one connection sends, request by request, and what it expects back.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::names::{Names, VALUE_BYTES, value, value_start};
use crate::template::{Template, blank};
use crate::walk::Walk;

/// The part of one connection.
pub(crate) trait Script: Send {
    /// The next request; `None` when there is nothing left to do.
    fn next(&mut self) -> Option<&[u8]>;

    /// Compares an answer to what the last request should have brought.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, answer: &[u8]) -> Result<(), String>;

    /// Whether an answer may have this status.
    fn accepts(&self, status: u16) -> bool {
        status == 200
    }

    /// One in a hundred of the values that must be in the store now, with the secret's number.
    fn written(&self) -> Vec<(u32, String)> {
        Vec::new()
    }
}

/// The body of a command with the fields that the official SDKs always send.
fn body(token: &str, mut fields: Value) -> String {
    fields["accessibility"] = json!("regular");
    fields["json"] = json!(false);
    fields["token"] = json!(token);
    // Places in the template are control characters, which JSON would escape.
    fields.to_string().replace("\\u0001", &blank(1))
}

fn parse(answer: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(answer).map_err(|error| format!("an answer is no JSON: {error}"))
}

/// Reads secrets, some in each call (rows B1 and B2).
pub(crate) struct Read {
    template: Template,
    names: Arc<Names>,
    walk: Arc<Walk>,
    last: Vec<u32>,
    count: u32,
}

impl Read {
    /// Reads `count` secrets in each call, in the order of `walk`.
    pub(crate) fn new(token: &str, names: Arc<Names>, walk: Arc<Walk>, count: u32) -> Self {
        let blanks: Vec<_> = (0..count).map(|_| Names::blank()).collect();
        // Two blanks beside each other would be one place: JSON puts quotes and a comma between.
        let body = body(token, json!({ "names": blanks }));
        let template = Template::post("/get-secret-value", &body);
        Self { template, names, walk, last: Vec::new(), count }
    }

    /// Bytes of a request's body.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.template.body_bytes()
    }
}

impl Script for Read {
    fn next(&mut self) -> Option<&[u8]> {
        self.last.clear();
        self.last.extend(self.walk.take(self.count)?);
        for (place, index) in self.last.iter().enumerate() {
            self.template.fill(place, self.names.of(*index));
        }
        Some(self.template.bytes())
    }

    fn check(&self, answer: &[u8]) -> Result<(), String> {
        let answer = parse(answer)?;
        let values = answer.as_object().ok_or("an answer is no object")?;
        if values.len() != self.last.len() {
            return Err(format!("asked for {} values, got {}", self.last.len(), values.len()));
        }
        for index in &self.last {
            let name = self.names.of(*index);
            let value = values.get(name).and_then(Value::as_str).unwrap_or_default();
            if value.len() != VALUE_BYTES || !value.starts_with(&value_start(*index)) {
                return Err(format!("{name} has another value than was written"));
            }
        }
        Ok(())
    }
}

/// Which connection of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// From 0.
    pub(crate) number: u32,
    /// Connections.
    pub(crate) of: u32,
}

/// Writes new values; each connection to secrets of its own (row B3).
pub(crate) struct Update {
    template: Template,
    names: Arc<Names>,
    way: Walk,
    turn: Turn,
    run: u64,
    count: u32,
}

impl Update {
    /// Writes to every secret whose place on the way is `turn`'s. `run` tells the values from
    /// those of all other runs.
    pub(crate) fn new(token: &str, names: Arc<Names>, turn: Turn, run: u64) -> Self {
        let fields = json!({ "name": Names::blank(), "value": blank(VALUE_BYTES) });
        let template = Template::post("/update-secret-val", &body(token, fields));
        let secrets = names.count();
        Self { template, names, way: Walk::around(secrets, secrets), turn, run, count: 0 }
    }

    /// Bytes of a request's body.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.template.body_bytes()
    }

    /// How many secrets are this connection's; 0 when there are more connections than secrets.
    fn own(&self) -> u32 {
        (self.names.count() + self.turn.of - 1 - self.turn.number) / self.turn.of
    }

    /// The secret of write number `count`.
    fn index(&self, count: u32) -> Option<u32> {
        let place = count.checked_rem(self.own())?;
        Some(self.way.at(u64::from(place * self.turn.of + self.turn.number)))
    }
}

impl Script for Update {
    fn next(&mut self) -> Option<&[u8]> {
        let index = self.index(self.count)?;
        self.template.fill(0, self.names.of(index));
        self.template.fill(1, &value(index, self.run, self.count));
        self.count += 1;
        Some(self.template.bytes())
    }

    fn check(&self, answer: &[u8]) -> Result<(), String> {
        let index = self.count.checked_sub(1).and_then(|last| self.index(last));
        let name = index.map(|index| self.names.of(index));
        match parse(answer)?["name"].as_str() {
            answered if answered == name => Ok(()),
            answered => Err(format!("wrote {name:?}, the answer is about {answered:?}")),
        }
    }

    fn written(&self) -> Vec<(u32, String)> {
        // Older writes were written over by this connection itself.
        let from = self.count.saturating_sub(self.own());
        let sample = (from..self.count).rev().step_by(100);
        sample
            .filter_map(|count| {
                let index = self.index(count)?;
                Some((index, value(index, self.run, count)))
            })
            .collect()
    }
}

/// Makes the secrets (before the rows). A secret that is there already is left as it is.
pub(crate) struct Create {
    template: Template,
    names: Arc<Names>,
    walk: Arc<Walk>,
}

impl Create {
    /// Makes the secrets of `walk`.
    pub(crate) fn new(token: &str, names: Arc<Names>, walk: Arc<Walk>) -> Self {
        let fields = json!({ "name": Names::blank(), "value": blank(VALUE_BYTES) });
        let template = Template::post("/create-secret", &body(token, fields));
        Self { template, names, walk }
    }
}

impl Script for Create {
    fn next(&mut self) -> Option<&[u8]> {
        let index = self.walk.take(1)?.next()?;
        self.template.fill(0, self.names.of(index));
        self.template.fill(1, &value(index, 0, 0));
        Some(self.template.bytes())
    }

    fn check(&self, _: &[u8]) -> Result<(), String> {
        // Every row reads what was made here.
        Ok(())
    }

    fn accepts(&self, status: u16) -> bool {
        matches!(status, 200 | 409)
    }
}

/// Signs in (row B6).
pub(crate) struct Login {
    template: Template,
}

impl Login {
    /// Signs in with an access key.
    pub(crate) fn new(access_id: &str, access_key: &str) -> Self {
        let body = json!({
            "access-id": access_id,
            "access-key": access_key,
            "access-type": "access_key",
            "json": false,
        });
        Self { template: Template::post("/auth", &body.to_string()) }
    }

    /// Signs in with the token of an issuer.
    pub(crate) fn with_token(access_id: &str, token: &str) -> Self {
        let body = json!({
            "access-id": access_id,
            "access-type": "jwt",
            "json": false,
            "jwt": token,
        });
        Self { template: Template::post("/auth", &body.to_string()) }
    }

    /// Signs in as a service account whose token `cluster`, a configuration of the gateway, knows.
    pub(crate) fn with_cluster(access_id: &str, cluster: &str, token: &str) -> Self {
        let body = json!({
            "access-id": access_id,
            "access-type": "k8s",
            "json": false,
            "k8s-auth-config-name": cluster,
            "k8s-service-account-token": token,
        });
        Self { template: Template::post("/auth", &body.to_string()) }
    }

    /// Bytes of a request's body.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.template.body_bytes()
    }
}

impl Script for Login {
    fn next(&mut self) -> Option<&[u8]> {
        Some(self.template.bytes())
    }

    fn check(&self, answer: &[u8]) -> Result<(), String> {
        match parse(answer)?["token"].as_str() {
            Some(token) if token.starts_with("t-") => Ok(()),
            _ => Err("a login brought no token".to_owned()),
        }
    }
}

/// Asks whether its own token is good: what every request does before anything else.
pub(crate) struct Validate {
    template: Template,
}

impl Validate {
    /// Asks about `token`.
    pub(crate) fn new(token: &str) -> Self {
        let body = json!({ "json": false, "token": token });
        Self { template: Template::post("/validate-token", &body.to_string()) }
    }

    /// Bytes of a request's body.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.template.body_bytes()
    }
}

impl Script for Validate {
    fn next(&mut self) -> Option<&[u8]> {
        Some(self.template.bytes())
    }

    fn check(&self, answer: &[u8]) -> Result<(), String> {
        match parse(answer)?["is_valid"].as_bool() {
            Some(true) => Ok(()),
            _ => Err("a good token was called a bad one".to_owned()),
        }
    }
}

/// Sends what comes back unchanged (the bare echo).
pub(crate) struct Mirror {
    template: Template,
    body: String,
}

impl Mirror {
    /// Sends a body of `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let body = "m".repeat(bytes);
        Self { template: Template::post("/echo", &body), body }
    }
}

impl Script for Mirror {
    fn next(&mut self) -> Option<&[u8]> {
        Some(self.template.bytes())
    }

    fn check(&self, answer: &[u8]) -> Result<(), String> {
        if answer == self.body.as_bytes() { Ok(()) } else { Err("the echo is wrong".to_owned()) }
    }
}

#[cfg(test)]
mod tests;
