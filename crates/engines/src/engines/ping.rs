//! OAuth clients of PingFederate. The tests have a stand-in for the service.

use keysherd_base::Fault;
use keysherd_targets::ping::{NO_BROWSER, Ping, PingFields, ping};
use keysherd_wire::bad_setting;
use serde_json::{Map, Value, json};

use self::fields::{
    AUTH_TYPE, GRANTS, ISSUER_DN, JWKS, JWKS_URL, KIND, PASSWORD, PORT, REDIRECTS, REPLAY, SCOPES,
    SIGNING, SUBJECT_DN, TOKEN_MANAGER, URL, USER,
};
use crate::Settings;
use crate::driver::{Account, Ending, Facts, Service, SignIn, Step, conflict, segments, text};
use crate::fields::need_type;

mod fields;
#[cfg(test)]
mod tests;

const FIELDS: PingFields = PingFields { url: URL, port: PORT, user: USER, password: PASSWORD };

/// How clients sign in, as settings and as PingFederate say it.
const AUTH_TYPES: [&str; 3] = ["CLIENT_SECRET", "CERTIFICATE", "PRIVATE_KEY_JWT"];
/// What clients may ask for tokens with.
const GRANT_TYPES: [&str; 10] = [
    "AUTHORIZATION_CODE",
    "IMPLICIT",
    "RESOURCE_OWNER_CREDENTIALS",
    "CLIENT_CREDENTIALS",
    "REFRESH_TOKEN",
    "EXTENSION",
    "DEVICE_CODE",
    "ACCESS_TOKEN_VALIDATION",
    "CIBA",
    "TOKEN_EXCHANGE",
];
/// Most entries of a list.
const ENTRIES_MAX: usize = 100;

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, _| {
        let found = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                ping(target.settings)?
            }
            None => Ping::by(settings, &FIELDS)?,
        };
        let Ping { server, user, password: secret } = found;
        Ok(Account { server, user, secret, lender: None, signer: None })
    },
    check: |settings| {
        client(settings, "", "")?;
        Ok(Vec::new())
    },
    sign_in: SignIn::BasicWith(NO_BROWSER.0, NO_BROWSER.1),
    find: None,
    make: Step::new("POST", |_| segments(&CLIENTS))
        .json(|facts| client(facts.settings, facts.name, facts.password)),
    exists: conflict,
    then: &[],
    gives: |facts, answer| {
        let id = text(answer, "/clientId").filter(|id| *id == facts.name)?;
        let mut value = Map::from_iter([("client_id".to_owned(), id.into())]);
        if auth_type(facts.settings).ok()? == AUTH_TYPES[0] {
            value.insert("client_secret".to_owned(), facts.password.into());
        }
        Some(value)
    },
    ending: Ending::Named(Step::new("DELETE", removed)),
};

/// Where clients are.
const CLIENTS: [&str; 2] = ["oauth", "clients"];

fn removed(facts: &Facts<'_>) -> Result<Vec<String>, Fault> {
    segments(&[&CLIENTS[..], &[facts.name]].concat())
}

fn auth_type(settings: &Settings) -> Result<&'static str, Fault> {
    settings.choice(&AUTH_TYPE, &AUTH_TYPES, AUTH_TYPES[0])
}

/// The client that is wanted.
fn client(settings: &Settings, name: &str, secret: &str) -> Result<Value, Fault> {
    let grants = settings.list(&GRANTS);
    let known = |grant: &String| GRANT_TYPES.contains(&grant.as_str());
    if !grants.iter().all(known) {
        let want = format!("each must be of {}", GRANT_TYPES.join(", "));
        return Err(bad_setting(GRANTS.name(), &want));
    }
    let grants = if grants.is_empty() { vec![GRANT_TYPES[0].to_owned()] } else { grants };
    let (redirects, scopes) = (settings.list(&REDIRECTS), settings.list(&SCOPES));
    for (field, list) in [(&REDIRECTS, &redirects), (&SCOPES, &scopes)] {
        if list.len() > ENTRIES_MAX || list.iter().any(|one| one.chars().any(char::is_control)) {
            return Err(bad_setting(
                field.name(),
                "it has over 100 entries, or one of other signs",
            ));
        }
    }
    let mut client = json!({
        "clientId": name, "name": name, "enabled": true,
        "grantTypes": grants, "redirectUris": redirects,
        "clientAuth": authentication(settings, secret)?,
        "restrictScopes": !scopes.is_empty(), "restrictedScopes": scopes,
    });
    if let Some(id) = settings.text(&TOKEN_MANAGER) {
        client["defaultAccessTokenManagerRef"] = json!({"id": id});
    }
    match (settings.text(&JWKS_URL), settings.text(&JWKS)) {
        (Some(url), None) => client["jwksSettings"] = json!({"jwksUrl": url}),
        (None, Some(keys)) => client["jwksSettings"] = json!({"jwks": keys}),
        (Some(_), Some(_)) => {
            return Err(bad_setting(JWKS.name(), "ping-jwks-url is there already"));
        }
        (None, None) if auth_type(settings)? == AUTH_TYPES[2] => {
            let why = "keys or where they are must be given for PRIVATE_KEY_JWT";
            return Err(bad_setting(JWKS_URL.name(), why));
        }
        (None, None) => {}
    }
    Ok(client)
}

fn authentication(settings: &Settings, secret: &str) -> Result<Value, Fault> {
    Ok(match auth_type(settings)? {
        "CERTIFICATE" => {
            let issuer = settings.text(&ISSUER_DN).unwrap_or("Trust Any");
            let subject = settings.need(&SUBJECT_DN)?;
            json!({
                "type": "CERTIFICATE", "clientCertIssuerDn": issuer,
                "clientCertSubjectDn": subject,
            })
        }
        "PRIVATE_KEY_JWT" => {
            let replay = settings.choice(&REPLAY, &["true", "false"], "false")? == "true";
            let mut auth = json!({"type": "PRIVATE_KEY_JWT", "enforceReplayPrevention": replay});
            if let Some(algorithm) = settings.text(&SIGNING) {
                auth["tokenEndpointAuthSigningAlgorithm"] = algorithm.into();
            }
            auth
        }
        _ => json!({"type": "SECRET", "secret": secret}),
    })
}
