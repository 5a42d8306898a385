//! Google's services, asked as a service account.

use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_targets::google::{CLOUD, GoogleKey, service};
use keysherd_targets::http::Reply;
use keysherd_targets::{Lender as _, Lent};
use keysherd_wire::wipe;
use serde_json::{Value, json};

use crate::Way;

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
        let token = answer["accessToken"].take();
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
