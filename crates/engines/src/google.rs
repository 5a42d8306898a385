//! Google's services, asked as a service account; keys of such accounts.

use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_targets::google::{CLOUD, GoogleKey, service};
use keysherd_targets::http::Reply;
use keysherd_targets::{Lender as _, Lent};
use keysherd_wire::wipe;
use serde_json::{Value, json};

use crate::Way;

/// Where accounts and their keys are.
pub(crate) const IAM: &str = "iam.googleapis.com";
/// Longest name of a key, in bytes.
const KEY_ID_BYTES_MAX: usize = 64;
/// Who lends tokens of other accounts.
const CREDENTIALS: &str = "iamcredentials.googleapis.com";

/// Somebody who asks.
pub(crate) struct Google<'a> {
    way: &'a Way,
    token: SecretString,
}

impl<'a> Google<'a> {
    /// Signs in with a key, for scopes with spaces between; in the name of `subject`, if there is
    /// one.
    ///
    /// # Errors
    /// A fault that says why there is no token.
    pub(crate) async fn open(
        key: GoogleKey,
        scopes: &str,
        subject: Option<&str>,
        way: &'a Way,
    ) -> Result<Self, Fault> {
        let token = key.lender(scopes, subject, Some(way))?.lend(way).await?.token;
        Ok(Self { way, token })
    }

    /// Asks a service, by the name of its host, about what is at a path; gives whatever is
    /// answered.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when nothing is.
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        host: &str,
        path: &[&str],
        body: Value,
    ) -> Result<Reply, Fault> {
        let http = service(host, Some(self.way))?.open(self.way)?;
        let call = http.call(method, path)?.bearer(&self.token);
        let call = if body.is_null() { call } else { call.json(body) };
        call.send().await
    }

    /// The same about what is there, with a query.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when nothing is answered.
    pub(crate) async fn look(
        &self,
        host: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Reply, Fault> {
        let http = service(host, Some(self.way))?.open(self.way)?;
        http.ask("GET", path, query)?.bearer(&self.token).send().await
    }

    /// What is kept out of the log.
    pub(crate) fn secrets(&self) -> [&str; 1] {
        [self.token.expose()]
    }

    /// A token of another account, for scopes with spaces between.
    ///
    /// # Errors
    /// A fault that says why there is none.
    pub(crate) async fn token_of(
        &self,
        account: &str,
        scopes: &str,
        seconds: i64,
    ) -> Result<Lent, Fault> {
        let what = format!("{account}:generateAccessToken");
        let path = ["v1", "projects", "-", "serviceAccounts", what.as_str()];
        let scopes: Vec<_> = scopes.split_whitespace().collect();
        let body = json!({"scope": scopes, "lifetime": format!("{seconds}s")});
        let reply = self.ask("POST", CREDENTIALS, &path, body).await?;
        let mut answer = reply.done("lending the account's token", &self.secrets())?.json()?;
        let token = answer.get_mut("accessToken").map(Value::take).unwrap_or_default();
        let ends = answer["expireTime"].as_str().and_then(Timestamp::parse_rfc3339);
        wipe(answer);
        match (token, ends) {
            (Value::String(token), Some(ends)) if !token.is_empty() => {
                Ok(Lent { token: SecretString::new(token), ends })
            }
            (token, _) => {
                wipe(token);
                Err(Fault::unavailable("Google answers without a token; try again"))
            }
        }
    }
}

impl Google<'_> {
    /// Makes a key of an account; gives its name, and the key as Google encodes it, which whoever
    /// asks wipes.
    ///
    /// # Errors
    /// A fault that says why there is none.
    pub(crate) async fn make_key(
        &self,
        account: &str,
        algorithm: &str,
    ) -> Result<(String, Value), Fault> {
        let path = ["v1", "projects", "-", "serviceAccounts", account, "keys"];
        let body = json!({"keyAlgorithm": algorithm});
        let reply = self.ask("POST", IAM, &path, body).await?;
        let mut answer = reply.done("making the key", &self.secrets())?.json()?;
        let id = key_id(&answer);
        let encoded = answer.get_mut("privateKeyData").map(Value::take).unwrap_or_default();
        wipe(answer);
        match (id, encoded.as_str().is_some_and(|text| !text.is_empty())) {
            (Some(id), true) => Ok((id, encoded)),
            _ => {
                wipe(encoded);
                Err(Fault::unavailable("Google answers without a key; try again"))
            }
        }
    }

    /// The names of an account's keys, but for those that Google has for itself.
    ///
    /// # Errors
    /// A fault that says why they are not known.
    pub(crate) async fn keys(&self, account: &str) -> Result<Vec<String>, Fault> {
        let path = ["v1", "projects", "-", "serviceAccounts", account, "keys"];
        let reply = self.look(IAM, &path, &[("keyTypes", "USER_MANAGED")]).await?;
        let answer = reply.done("looking at the account's keys", &self.secrets())?.json()?;
        let keys = answer["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(keys.iter().filter_map(key_id).collect())
    }

    /// Removes a key of an account. What is gone already is removed.
    ///
    /// # Errors
    /// A fault that says why it is still there.
    pub(crate) async fn remove_key(&self, account: &str, id: &str) -> Result<(), Fault> {
        let path = ["v1", "projects", "-", "serviceAccounts", account, "keys", id];
        let reply = self.ask("DELETE", IAM, &path, Value::Null).await?;
        match reply.status() {
            404 => Ok(()),
            _ => reply.done("removing the key", &self.secrets()).map(drop),
        }
    }
}

/// What a key is called: the end of its name as Google has it.
fn key_id(key: &Value) -> Option<String> {
    let (_, id) = key["name"].as_str()?.rsplit_once("/keys/")?;
    is_key_id(id).then(|| id.to_owned())
}

/// Whether a text can be the name of a key.
pub(crate) fn is_key_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= KEY_ID_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A token for scopes with spaces between: of another account, if one is named, or else the key's
/// own, which Google lets live for an hour.
///
/// # Errors
/// A fault that says why there is none.
pub(crate) async fn token(
    key: GoogleKey,
    account: Option<&str>,
    scopes: &str,
    seconds: i64,
    way: &Way,
) -> Result<Lent, Fault> {
    match account {
        None => key.lender(scopes, None, Some(way))?.lend(way).await,
        Some(account) => {
            Google::open(key, CLOUD, None, way).await?.token_of(account, scopes, seconds).await
        }
    }
}
