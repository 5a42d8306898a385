//! Credentials that a webhook makes: whatever has no member of its own.
//!
//! Each call says who asks in a header (see [`crate::vouching`]). What the webhook answers is given
//! on as it is; its `id` is what the webhook is asked to revoke in the end. It is known only when
//! the webhook has answered, so a webhook that made something and was not heard keeps it until its
//! own bound: hooks should have one.

use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::http::{HttpGiven, HttpServer, Reply};
use keysherd_targets::{Named, Way};
use keysherd_wire::{Field, Flag, Group, Int, Text, bad_setting, wipe};
use serde_json::{Map, Value, json};

use crate::arguments::arguments;
use crate::fields::{KEY_NAME, REMOTE_NONE, USER_TTL};
use crate::member::{More, not_reached};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse, Wish};

#[cfg(test)]
mod tests;

const CREATE_URL: Field<Text> =
    Field::text("create-sync-url", "The webhook that makes credentials.").required();
const REVOKE_URL: Field<Text> =
    Field::text("revoke-sync-url", "The webhook that removes them.").required();
const ROTATE_URL: Field<Text> =
    Field::text("rotate-sync-url", "The webhook that gives a new payload; kept, not called yet.");
const PAYLOAD: Field<Text> =
    Field::text("payload", "A secret that every call carries, for the webhook's own use.").secret();
const TIMEOUT: Field<Int> =
    Field::int("timeout-sec", "Seconds that one call may take, 1 to 60.").default("60");
const ROTATE: Field<Flag> =
    Field::flag("enable-admin-rotation", "Whether the payload is rotated; must be false.")
        .default("false");
const ROTATE_DAYS: Field<Int> =
    Field::int("admin-rotation-interval-days", "Days between two rotations; kept, without effect.");

static KIND: Kind = Kind {
    name: "custom",
    what: "a webhook",
    targets: &[],
    create: &[
        Spelling::current(
            "dynamic-secret-create-custom",
            "DynamicSecretCreateCustom",
            "DynamicSecretCreateOutput",
        )
        .success(200),
        Spelling::older(
            "gateway-create-producer-custom",
            "GatewayCreateProducerCustom",
            "GatewayCreateProducerCustomOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-custom",
            "DynamicSecretUpdateCustom",
            "DynamicSecretUpdateOutput",
        )
        .success(200),
        Spelling::older(
            "gateway-update-producer-custom",
            "GatewayUpdateProducerCustom",
            "GatewayUpdateProducerCustomOutput",
        ),
    ],
    // Nothing here has a name.
    name_bytes_max: 0,
    fields: &Group {
        title: "Webhook",
        fields: &[
            CREATE_URL.spec(),
            REVOKE_URL.spec(),
            ROTATE_URL.spec(),
            PAYLOAD.spec(),
            TIMEOUT.spec(),
            USER_TTL.spec(),
            ROTATE.spec(),
            ROTATE_DAYS.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["create-sync-url", "revoke-sync-url", "rotate-sync-url"],
    details: &[
        ("create_sync_url", "create-sync-url"),
        ("revoke_sync_url", "revoke-sync-url"),
        ("rotate_sync_url", "rotate-sync-url"),
        ("timeout_seconds", "timeout-sec"),
        ("enable_admin_rotation", "enable-admin-rotation"),
        ("admin_rotation_interval_days", "admin-rotation-interval-days"),
    ],
    json_details: &[],
    wrapped: false,
};

/// The header that says who asks.
const CREDS: &str = "AkeylessCreds";
/// Longest id of what a webhook made, in bytes.
const ID_BYTES_MAX: usize = 1_024;
/// Who asks when a secret is tried out, as hooks know it.
const TRIAL: &str = "p-custom";
/// Longest call, in seconds.
const TIMEOUT_MAX: i64 = 60;

/// The member.
pub(super) struct Custom;

impl Engine for Custom {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(&self, settings: &Settings, _: Option<&TargetUse<'_>>) -> Result<Vec<String>, Fault> {
        KIND.check(settings)?;
        timeout(settings)?;
        if settings.flag(&ROTATE, false) {
            return Err(bad_setting(ROTATE.name(), "this version does not rotate payloads"));
        }
        settings.text(&ROTATE_URL).map(|_| server(settings, &ROTATE_URL)).transpose()?;
        let servers = [server(settings, &CREATE_URL)?, server(settings, &REVOKE_URL)?];
        Ok(servers.iter().filter_map(HttpServer::warning).collect())
    }

    fn takes_args(&self) -> bool {
        true
    }

    fn plan(&self, _: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let input = match arguments(wish.args)? {
            // As hooks know it when nobody says anything.
            nothing if nothing.is_empty() => "".into(),
            given => Value::Object(given),
        };
        let client = match wish.is_trial {
            true => json!({"access_id": TRIAL, "sub_claims": {}}),
            false => json!({"access_id": wish.access_id, "sub_claims": wish.sub_claims}),
        };
        let more =
            Map::from_iter([("input".to_owned(), input), ("client_info".to_owned(), client)]);
        Ok(Plan {
            handle: String::new(),
            password: SecretString::new(String::new()),
            more: More(more),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(created(scene, plan))
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(revoked(scene, handle))
    }
}

fn server(settings: &Settings, field: &Field<Text>) -> Result<HttpServer, Fault> {
    let url = Named::of(settings, field);
    HttpServer::new(HttpGiven { url, authority: None, identity: None })
}

fn timeout(settings: &Settings) -> Result<Duration, Fault> {
    let seconds = settings.int(&TIMEOUT).unwrap_or(TIMEOUT_MAX);
    let fits = (1..=TIMEOUT_MAX).contains(&seconds);
    let seconds = u64::try_from(seconds).ok().filter(|_| fits);
    let seconds = seconds.ok_or_else(|| bad_setting(TIMEOUT.name(), "it must be 1 to 60"))?;
    Ok(Duration::from_secs(seconds))
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    let what = "making credentials";
    let (reply, _) = called(scene, &CREATE_URL, what, plan.more.0.clone()).await?;
    let Ok(Value::Object(mut answer)) = reply.json() else {
        return Err(misspoken(what, "no JSON object"));
    };
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let response = answer.remove("response");
    wipe(Value::Object(answer));
    let fits = !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control);
    let value = match response {
        Some(Value::Object(value)) if fits => value,
        other => {
            wipe(other.unwrap_or_default());
            // What cannot be given to anybody, or be removed later, must not stay.
            let left = if fits { revoked(scene, &id).await.err() } else { None };
            let lacks = "no id of 1 to 1024 bytes, or no response that is an object";
            let fault = misspoken(what, lacks);
            return Err(left.map_or(fault.clone(), |left| fault.with_private(left)));
        }
    };
    Ok(Created { value, handle: Some(id), ends: None, warnings: Vec::new() })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    if handle.is_empty() {
        // The webhook never said what it made, if anything.
        return Ok(Vec::new());
    }
    let what = "revoking credentials";
    let body = Map::from_iter([("ids".to_owned(), json!([handle]))]);
    let (reply, word) = called(scene, &REVOKE_URL, what, body).await?;
    let answer = reply.json()?;
    let ids = answer.get("revoked").and_then(Value::as_array);
    if ids.is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(handle))) {
        return Ok(Vec::new());
    }
    let fault = "the webhook did not revoke the credentials; its answer is in the gateway's log";
    let payload = scene.settings.text(&PAYLOAD).unwrap_or_default();
    Err(reply.heard(Fault::unavailable(fault), &[payload, word.expose()]))
}

/// Calls a webhook. The payload goes along, and who asks; gives what was said of the latter, too.
async fn called(
    scene: &Scene<'_>,
    field: &Field<Text>,
    what: &str,
    mut body: Map<String, Value>,
) -> Result<(Reply, SecretString), Fault> {
    let settings = scene.settings;
    let server = server(settings, field)?;
    let patience = timeout(settings)?.min(scene.way.timeout);
    let way = Way { timeout: patience, ..scene.way.clone() };
    let payload = settings.text(&PAYLOAD).unwrap_or_default();
    body.insert("payload".to_owned(), payload.into());
    posted(&server, &way, (what, payload), body).await
}

/// Sends a body with this payload to a webhook, and who asks; gives what was said of the latter,
/// too.
pub(crate) async fn posted(
    server: &HttpServer,
    way: &Way,
    (what, payload): (&str, &str),
    body: Map<String, Value>,
) -> Result<(Reply, SecretString), Fault> {
    let voucher = way.voucher.as_ref().ok_or_else(|| {
        not_reached(Fault::unavailable(
            "this gateway has no identity that it could show a webhook: only gateways of a cluster \
             call webhooks, which are started with --gateway-access-id",
        ))
    })?;
    let mut audience = server.url().clone();
    audience.set_query(None);
    let word = voucher.vouch(audience.as_str())?;
    let http = server.open(way)?;
    let call = http.call("POST", &[])?.header(CREDS, word.expose()).json(Value::Object(body));
    let reply = call.send().await?.done(what, &[payload, word.expose()])?;
    Ok((reply, word))
}

pub(crate) fn misspoken(what: &str, lacks: &str) -> Fault {
    Fault::unavailable(format!("{what} failed: the webhook answers with {lacks}"))
}
