//! Who calls which server: address, trusted certificates, and the token of a call.

use std::time::Instant;

use keysherd_base::{Secret, SecretBytes, SecretString, Timestamp};
use keysherd_client::{Client, ClientConfig, ClientError, Response};
use keysherd_wire::{Access, Spec, wipe};
use serde_json::Value;

use crate::body::Fields;
use crate::browser;
use crate::cloud;
use crate::context::Context;
use crate::credentials::{
    AUTH, chosen_profile, environment_credentials, explicit_token, identity, login_fields,
    no_profile, server_url, trust,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::profile::Profile;
use crate::token_cache::{self, Key};
use crate::waiting::Waiting;

/// A connection to one server with the credentials of one profile.
pub(crate) struct Session {
    client: Client,
    runtime: tokio::runtime::Runtime,
    profile_name: String,
    /// What to log in with; `None` when there is neither a profile nor an environment for it.
    credentials: Option<Profile>,
    /// Whether the credentials are those of the profile, whose tokens are kept.
    keeps_tokens: bool,
}

/// A successful login.
pub(crate) struct Login {
    pub(crate) token: SecretString,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) answer: SecretBytes,
}

impl Session {
    /// A session for the profile in use.
    pub(crate) fn open(context: &mut Context<'_, '_>) -> Result<Self, Failure> {
        let name = chosen_profile(context)?;
        let found = context.places.load(&name)?;
        if let Some(found) = &found
            && crate::private_file::is_open_to_others(&found.path)
        {
            context.warn(&format!(
                "{} can be read by other users; run: chmod 600 {0}",
                found.path.display()
            ));
        }
        let explicit = context.globals.profile.is_some();
        if found.is_none() && explicit {
            return Err(no_profile(&name));
        }
        let profile = found.map(|found| found.profile);
        let from_environment = (!explicit).then(|| environment_credentials(context)).flatten();
        let mut session = Self::connect(context, profile.as_ref(), name)?;
        session.keeps_tokens = from_environment.is_none();
        session.credentials = from_environment.or(profile);
        Ok(session)
    }

    /// A session for the server of `profile`, without credentials.
    pub(crate) fn connect(
        context: &mut Context<'_, '_>,
        profile: Option<&Profile>,
        profile_name: String,
    ) -> Result<Self, Failure> {
        let url = server_url(context, profile);
        let trust = trust(context, profile);
        let config = ClientConfig::command_line(url, trust, context.program.version);
        let client = Client::new(config)?;
        let base = client.base_url();
        if base.is_plaintext() && !base.is_loopback() {
            context.warn(&format!(
                "{base} is not https: everyone on the way can read secrets and tokens"
            ));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::local(format!("cannot start: {error}")))?;
        Ok(Self { client, runtime, profile_name, credentials: None, keeps_tokens: true })
    }

    /// Asks a probe of the server.
    pub(crate) fn probe(&self, name: &str) -> Result<Response, Failure> {
        Ok(self.runtime.block_on(self.client.probe(name))?)
    }

    /// Calls a command whose fields carry all that it needs.
    pub(crate) fn call(
        &self,
        context: &mut Context<'_, '_>,
        command: &str,
        body: Value,
    ) -> Result<Response, Failure> {
        self.send(context, command, body, None)
    }

    /// Runs a server command as `name`. A kept token that is refused is replaced once.
    pub(crate) fn run(
        &self,
        context: &mut Context<'_, '_>,
        spec: &Spec,
        name: &str,
        body: Value,
    ) -> Result<Response, Failure> {
        let explicit = explicit_token(context);
        let takes_token = spec.field("token").is_some() || spec.field("uid-token").is_some();
        if let Some(token) = explicit.filter(|_| takes_token || needs_token(spec)) {
            return self.send(context, name, body, Some(&token));
        }
        if !needs_token(spec) {
            return self.send(context, name, body, None);
        }
        let Some(kept) = self.kept_token(context) else {
            let token = self.log_in(context)?.token;
            return self.send(context, name, body, Some(&token));
        };
        let again = self.has_credentials().then(|| body.clone());
        match (self.send(context, name, body, Some(&kept)), again) {
            (Err(failure), Some(again)) if failure.status() == Some(401) => {
                // Nothing ran. Whether the token or the permission is at fault, one new login
                // tells.
                context.debug("the kept token was refused; logging in again");
                token_cache::forget(&context.places, &self.profile_name);
                let token = self.log_in(context)?.token;
                self.send(context, name, again, Some(&token))
            }
            (outcome, again) => {
                wipe(again.unwrap_or_default());
                outcome
            }
        }
    }

    /// Logs in with `fields` of the login command.
    pub(crate) fn log_in_with(
        &self,
        context: &mut Context<'_, '_>,
        mut fields: Fields,
    ) -> Result<Login, Failure> {
        cloud::add_identity(context, &self.runtime, &mut fields)?;
        let response =
            self.send(context, AUTH, fields.into_value(), None).map_err(|failure| match failure
                .status()
            {
                Some(401) => {
                    failure.hint("the login was refused; 'keysherd configure' changes what it uses")
                }
                _ => failure,
            })?;
        let (login, link) = read_login(response)?;
        match link {
            None => Ok(login),
            Some(link) => {
                let response = browser::complete(self, context, &link, &login.token)?;
                read_login(response).map(|(login, _)| login)
            }
        }
    }

    /// Keeps a login's token for later runs, if it may be kept.
    pub(crate) fn keep(&self, context: &Context<'_, '_>, login: &Login, identity: Option<&str>) {
        let Some(expires) = login.expires.filter(|_| self.keeps_tokens) else {
            return;
        };
        let url = self.client.base_url().to_string();
        let key = Key { profile: &self.profile_name, url: &url, identity };
        token_cache::save(&context.places, key, &login.token, expires);
    }

    /// The credentials in use.
    pub(crate) const fn credentials(&self) -> Option<&Profile> {
        self.credentials.as_ref()
    }

    fn has_credentials(&self) -> bool {
        self.credentials.as_ref().is_some_and(|profile| identity(profile).is_some())
    }

    fn kept_token(&self, context: &Context<'_, '_>) -> Option<SecretString> {
        if !self.keeps_tokens {
            return None;
        }
        let url = self.client.base_url().to_string();
        let key = Key {
            profile: &self.profile_name,
            url: &url,
            identity: self.credentials.as_ref().and_then(identity),
        };
        token_cache::load(&context.places, key, context.clock.now())
    }

    fn log_in(&self, context: &mut Context<'_, '_>) -> Result<Login, Failure> {
        let profile =
            self.credentials.as_ref().filter(|_| self.has_credentials()).ok_or_else(|| {
                Failure::local(format!(
                    "there are no credentials: profile '{}' has none",
                    self.profile_name
                ))
                .hint("run 'keysherd configure' once, or 'keysherd auth', or set KEYSHERD_TOKEN")
            })?;
        let fields = login_fields(context, profile);
        let login = self.log_in_with(context, fields)?;
        self.keep(context, &login, identity(profile));
        Ok(login)
    }

    fn send(
        &self,
        context: &mut Context<'_, '_>,
        command: &str,
        body: Value,
        token: Option<&SecretString>,
    ) -> Result<Response, Failure> {
        context.debug(&format!(
            "POST {}/{command}, profile {}",
            self.client.base_url(),
            self.profile_name
        ));
        let started = Instant::now();
        let token = token.map(|token| token.expose().as_str());
        let waiting = Waiting::of(context, command, &body);
        let call = self.client.call(command, body, token);
        let outcome = self.runtime.block_on(async {
            match waiting {
                Some(waiting) => waiting.during(context, call).await,
                None => call.await,
            }
        });
        let took = started.elapsed().as_millis();
        match outcome {
            Ok(response) => {
                let id = response.request_id.as_deref().unwrap_or("none");
                context.debug(&format!("status {}, request id {id}, {took} ms", response.status));
                Ok(response)
            }
            Err(error) => {
                if let ClientError::Refused { status, request_id, .. } = &error {
                    let id = request_id.as_deref().unwrap_or("none");
                    context.debug(&format!("status {status}, request id {id}, {took} ms"));
                }
                Err(error.into())
            }
        }
    }
}

/// The login in an answer, and the link that a browser has to finish it with.
fn read_login(response: Response) -> Result<(Login, Option<String>), Failure> {
    let mut answer: Value = serde_json::from_slice(response.body.expose())
        .map_err(|_| Failure::new(Exit::ServerError, "the login's answer is no JSON"))?;
    let expires = token_cache::expiration(&answer);
    let factor = answer.pointer("/creds/need_mfa_app_first_config").and_then(Value::as_bool);
    let link = answer.get("complete_auth_link").and_then(Value::as_str).map(str::to_owned);
    let token = answer.get_mut("token").map(Value::take);
    wipe(answer);
    match token {
        Some(Value::String(token)) if !token.is_empty() => {
            Ok((Login { token: Secret::new(token), expires, answer: response.body }, link))
        }
        _ => Err(match factor {
            Some(true) => {
                Failure::new(Exit::Unauthorized, "a second factor is demanded and not set up")
                    .hint("run 'keysherd mfa-enroll', then 'keysherd mfa-confirm'")
            }
            Some(false) => Failure::new(
                Exit::Unauthorized,
                "a one-time code is needed beside the password",
            )
            .hint("give the code of your app, or a recovery code, with --otp-file or --otp-fd"),
            None => {
                Failure::new(Exit::ServerError, "the server accepted the login and sent no token")
            }
        }),
    }
}

fn needs_token(spec: &Spec) -> bool {
    spec.access != Access::Open
        || ["token", "uid-token"]
            .iter()
            .any(|name| spec.field(name).is_some_and(|field| field.required))
}
