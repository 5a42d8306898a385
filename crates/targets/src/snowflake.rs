//! Snowflake, by its SQL interface over HTTP: statements one by one, signed in for each by a token
//! that a private key signs, or by a programmatic access token in place of a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, FaultKind, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::jwt::JwtSigner;
use keysherd_crypto::rsa::public_der;
use keysherd_wire::{bad_setting, wipe};
use serde_json::{Map, Value, json};

use crate::http::{HttpGiven, HttpServer, Reply};
use crate::{Named, WRONG_CREDENTIALS, Way};

#[cfg(test)]
mod tests;

/// Where accounts are.
const DOMAIN: &str = "snowflakecomputing.com";
/// Longest name of an account, a user, a role or a database, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// How long a token is good for, in seconds; Snowflake takes an hour at most.
const TOKEN_SECONDS: i64 = 600;
/// How much earlier than now it begins: clocks differ.
const SKEW_SECONDS: i64 = 30;

/// What settings say.
pub struct Given<'a> {
    /// The account's identifier, such as `myorg-account`.
    pub account: Named<'a>,
    /// Whom to sign in as.
    pub user: Named<'a>,
    /// A programmatic access token of that user; Snowflake takes no password here.
    pub password: Named<'a>,
    /// That user's private key in PEM.
    pub key: Named<'a>,
    /// The passphrase of an encrypted key, which is not read.
    pub passphrase: Named<'a>,
    /// The database to work in.
    pub database: Named<'a>,
}

/// An account with who signs in there.
pub struct Account {
    server: HttpServer,
    /// As tokens name it: in capitals, without a region.
    name: String,
    user: String,
    proof: Proof,
    database: Option<String>,
    warehouse: Option<String>,
}

enum Proof {
    Key { signer: JwtSigner, fingerprint: String },
    Token(SecretString),
}

/// The code for tokens that the user's keys did not sign.
const WRONG: &str = "390144";

/// Words for codes, which are in what is answered.
const WORDS: &[(&str, FaultKind, &str)] = &[
    ("001003", FaultKind::BadRequest, "it is not written as Snowflake understands it"),
    ("002002", FaultKind::Conflict, "something of this name exists already"),
    ("002003", FaultKind::BadRequest, "there is no such thing, or it may not be used"),
    ("003001", FaultKind::Forbidden, "whoever signs in there may not do that"),
    ("003540", FaultKind::BadRequest, "there is no such role, or it may not be granted"),
    (WRONG, FaultKind::Forbidden, "the account, the user or the key is wrong"),
    ("390201", FaultKind::Forbidden, "the user may not use that role"),
];

impl Account {
    /// The one that the settings name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: &Given<'_>, way: Option<&Way>) -> Result<Self, Fault> {
        let (url, name) = place(given.account, way)?;
        let url = given.account.with(Some(&url));
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        let user = given.user.need()?;
        if !is_name(user) {
            return Err(bad_setting(given.user.field(), "it is no name of a user"));
        }
        Ok(Self {
            server,
            name,
            user: user.to_uppercase(),
            proof: proof(given)?,
            database: given.database.text().map(str::to_owned),
            warehouse: None,
        })
    }

    /// The same, working in this warehouse and this database, where they are said.
    #[must_use]
    pub fn working(self, warehouse: Option<&str>, database: Option<&str>) -> Self {
        let own = |name: Option<&str>| name.map(str::to_owned);
        Self { warehouse: own(warehouse), database: own(database).or(self.database), ..self }
    }

    /// Which database, if any.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.server.place().to_string()
    }

    /// What whoever set this up should know about the way there.
    pub fn warning(&self) -> Option<String> {
        self.server.warning()
    }

    /// Whether it lets anybody in.
    ///
    /// # Errors
    /// A fault that says what failed.
    pub async fn probe(&self, way: &Way) -> Result<(), Fault> {
        self.run("SELECT 1", "signing in", &[], way).await
    }

    /// Runs one statement. `secrets` are kept out of the log.
    ///
    /// # Errors
    /// A fault of `what` by Snowflake's code; [`Fault::unavailable`] also where it goes on with the
    /// statement after it has answered.
    pub async fn run(
        &self,
        statement: &str,
        what: &str,
        secrets: &[&str],
        way: &Way,
    ) -> Result<(), Fault> {
        self.ask(statement, what, secrets, way).await.map(wipe)
    }

    /// The same; gives what is answered, with rows in `data`.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub async fn ask(
        &self,
        statement: &str,
        what: &str,
        secrets: &[&str],
        way: &Way,
    ) -> Result<Value, Fault> {
        let http = self.server.open(way)?;
        let (token, kind) = self.token(way)?;
        let seconds = way.timeout.as_secs().clamp(1, 600);
        let mut body = json!({ "statement": statement, "timeout": seconds });
        for (name, value) in [("database", &self.database), ("warehouse", &self.warehouse)] {
            if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
                members.insert(name.to_owned(), value.as_str().into());
            }
        }
        let call = http.call("POST", &["api", "v2", "statements"])?.bearer(&token);
        let call = call.header("X-Snowflake-Authorization-Token-Type", kind);
        let reply = call.header("User-Agent", "keysherd/1").json(body).send().await?;
        let secrets: Vec<_> = secrets.iter().copied().chain([token.expose().as_str()]).collect();
        match reply.status() {
            200 => reply.body_json(),
            202 => Err(Fault::unavailable(format!("{what} takes Snowflake too long; try again"))),
            _ => Err(refused(&reply, what, &secrets)),
        }
    }

    /// What signs in, and what kind of token it is.
    fn token(&self, way: &Way) -> Result<(SecretString, &'static str), Fault> {
        let (signer, fingerprint) = match &self.proof {
            Proof::Token(token) => {
                let token = SecretString::new(token.expose().clone());
                return Ok((token, "PROGRAMMATIC_ACCESS_TOKEN"));
            }
            Proof::Key { signer, fingerprint } => (signer, fingerprint),
        };
        let seconds = way.clock.now().plus_seconds(-SKEW_SECONDS).seconds();
        let whom = format!("{}.{}", self.name, self.user);
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), format!("{whom}.{fingerprint}").into());
        claims.insert("sub".to_owned(), whom.into());
        claims.insert("iat".to_owned(), seconds.into());
        claims.insert("exp".to_owned(), (seconds + TOKEN_SECONDS).into());
        let signed = signer.sign(&claims);
        let signed = signed.map_err(|_| Fault::bad_request("the private key does not sign"))?;
        Ok((SecretString::new(signed), "KEYPAIR_JWT"))
    }
}

/// The address of an account, and its name in tokens.
fn place(account: Named<'_>, way: Option<&Way>) -> Result<(String, String), Fault> {
    let text = account.need()?.trim_end_matches(&format!(".{DOMAIN}"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts = || text.split('.').all(|part| !part.is_empty() && !part.starts_with('-'));
    if text.len() > NAME_BYTES_MAX || !text.chars().all(plain) || !parts() {
        return Err(bad_setting(
            account.field(),
            "it must be an account's identifier, such as myorg-account or xy12345.us-east-1",
        ));
    }
    let name = text.split('.').next().unwrap_or_default().to_uppercase();
    // Names of machines have no underscores; Snowflake takes hyphens for them.
    let host = text.to_ascii_lowercase().replace('_', "-");
    let other = way.and_then(|way| way.endpoints.snowflake.clone());
    Ok((other.unwrap_or_else(|| format!("https://{host}.{DOMAIN}")), name))
}

fn proof(given: &Given<'_>) -> Result<Proof, Fault> {
    if let Some(key) = given.key.text() {
        if given.passphrase.text().is_some() {
            return Err(bad_setting(
                given.passphrase.field(),
                "encrypted keys are not read; give the key without one, it is sealed here",
            ));
        }
        let key = SecretString::new(key.to_owned());
        let bad = || {
            let why = "it must be an RSA private key in PEM, not encrypted";
            bad_setting(given.key.field(), why)
        };
        let public = public_der(&key).ok_or_else(bad)?;
        let fingerprint = format!("SHA256:{}", STANDARD.encode(sha256(&[&public])));
        let signer = JwtSigner::from_rsa_pem(&key).map_err(|_| bad())?;
        return Ok(Proof::Key { signer, fingerprint });
    }
    let field = given.password.field();
    let token = given.password.text().ok_or_else(|| {
        Fault::bad_request(format!(
            "missing required field '{}', or a programmatic access token as '{field}'",
            given.key.field()
        ))
    })?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad_setting(field, "it is no programmatic access token"));
    }
    Ok(Proof::Token(SecretString::new(token.to_owned())))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What was answered, as a fault.
fn refused(reply: &Reply, what: &str, secrets: &[&str]) -> Fault {
    let answer = reply.json().unwrap_or_default();
    let code = answer.get("code").and_then(Value::as_str);
    let code = code.filter(|c| c.len() == 6 && c.bytes().all(|b| b.is_ascii_digit()));
    let fault = code.map(|code| {
        let known = WORDS.iter().find(|(known, ..)| *known == code);
        let (kind, words) = known
            .map_or((FaultKind::BadRequest, "Snowflake refuses it"), |(_, k, words)| (*k, *words));
        let fault = Fault::new(kind, format!("{what} failed with {code}: {words}"));
        if code == WRONG { fault.with_code(WRONG_CREDENTIALS) } else { fault }
    });
    wipe(answer);
    // Without a code, by its status.
    match fault {
        Some(fault) if reply.status() == 422 || reply.status() == 401 => {
            reply.heard(fault, secrets)
        }
        _ => reply.fault(what, secrets),
    }
}
