//! Users of RabbitMQ servers, by the HTTP interface of their management plugin.

use keysherd_base::Fault;
use keysherd_targets::Way;
use keysherd_targets::http::{Call, Http};
use keysherd_targets::rabbitmq::Rabbit;
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, json};

use crate::fields::{
    KEY_NAME, PASSWORD_LENGTH, REMOTE_PAGES, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, USER_TTL, need_type,
};
use crate::name::need_handle;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const URI: Field<Text> =
    Field::text("rabbitmq-server-uri", "Where the management plugin answers, without a target.");
const ADMIN: Field<Text> = Field::text(
    "rabbitmq-admin-user",
    "The user that makes and removes others there, without a target.",
);
const ADMIN_PASSWORD: Field<Text> =
    Field::text("rabbitmq-admin-pwd", "That user's password.").secret();
const VHOST: Field<Text> =
    Field::text("rabbitmq-user-vhost", "The virtual host that users may enter.").default("/");
const CONFIGURE: Field<Text> = Field::text(
    "rabbitmq-user-conf-permission",
    "A regular expression of what users may make and remove; none: nothing.",
);
const WRITE: Field<Text> = Field::text(
    "rabbitmq-user-write-permission",
    "A regular expression of what users may send to; none: nothing.",
);
const READ: Field<Text> = Field::text(
    "rabbitmq-user-read-permission",
    "A regular expression of what users may receive from; none: nothing.",
);
const TAGS: Field<Text> = Field::text(
    "rabbitmq-user-tags",
    "Tags with commas between, such as monitoring; they let users into the management plugin.",
);

static KIND: Kind = Kind {
    name: "rabbitmq",
    what: "a RabbitMQ server",
    targets: &["rabbitmq"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-rabbitmq",
            "DynamicSecretCreateRabbitMq",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-rabbitmq",
            "GatewayCreateProducerRabbitMQ",
            "GatewayCreateProducerRabbitMQOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-rabbitmq",
            "DynamicSecretUpdateRabbitMq",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-rabbitmq",
            "GatewayUpdateProducerRabbitMQ",
            "GatewayUpdateProducerRabbitMQOutput",
        )
        .success(201),
    ],
    // A choice; RabbitMQ takes 255.
    name_bytes_max: 127,
    fields: &Group {
        title: "RabbitMQ",
        fields: &[
            VHOST.spec(),
            CONFIGURE.spec(),
            WRITE.spec(),
            READ.spec(),
            TAGS.spec(),
            USER_TTL.spec(),
            URI.spec(),
            ADMIN.spec(),
            ADMIN_PASSWORD.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_PAGES,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["rabbitmq-server-uri"],
    details: &[
        ("rabbitmq_server_uri", "rabbitmq-server-uri"),
        ("rabbitmq_server_user", "rabbitmq-admin-user"),
        ("rabbitmq_user_vhost", "rabbitmq-user-vhost"),
        ("rabbitmq_user_conf_permission", "rabbitmq-user-conf-permission"),
        ("rabbitmq_user_write_permission", "rabbitmq-user-write-permission"),
        ("rabbitmq_user_read_permission", "rabbitmq-user-read-permission"),
        ("rabbitmq_user_tags", "rabbitmq-user-tags"),
    ],
    json_details: &[],
    wrapped: true,
};

/// Longest name of a virtual host, pattern or list of tags, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// The member.
pub(super) struct RabbitMq;

impl Engine for RabbitMq {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let rabbit = rabbit(settings, target)?;
        KIND.check(settings)?;
        for field in [VHOST, CONFIGURE, WRITE, READ, TAGS] {
            let text = settings.text(&field).unwrap_or_default();
            if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(bad_setting(field.name(), "it is over 1024 bytes, or not one line"));
            }
        }
        let mut warnings: Vec<_> = rabbit.server.warning().into_iter().collect();
        let tags = settings.text(&TAGS).unwrap_or_default();
        if tags.split(',').any(|tag| tag.trim().eq_ignore_ascii_case("administrator")) {
            warnings.push("the tag 'administrator' lets users make users".to_owned());
        }
        for field in [CONFIGURE, WRITE, READ] {
            if settings.text(&field).is_some_and(|text| [".*", "^.*$"].contains(&text)) {
                warnings.push(format!("{} allows everything; name what is needed", field.name()));
            }
        }
        Ok(warnings)
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

fn rabbit(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Rabbit, Fault> {
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            Rabbit::of(target.settings)
        }
        None => Rabbit::by(settings, &URI, &ADMIN, &ADMIN_PASSWORD),
    }
}

/// A session, if one can speak of them: every request signs in.
struct Session {
    http: Http,
    rabbit: Rabbit,
}

impl Session {
    fn new(scene: &Scene<'_>, way: &Way) -> Result<Self, Fault> {
        let rabbit = rabbit(scene.settings, scene.target.as_ref())?;
        Ok(Self { http: rabbit.server.open(way)?, rabbit })
    }

    fn call(&self, method: &'static str, path: &[&str]) -> Result<Call<'_>, Fault> {
        Ok(self.http.call(method, path)?.basic(&self.rabbit.user, &self.rabbit.password))
    }

    async fn remove(&self, user: &str) -> Result<(), Fault> {
        let reply = self.call("DELETE", &["api", "users", user])?.send().await?;
        match reply.status() {
            404 => Ok(()),
            _ => reply.done("removing the user", &[self.rabbit.password.expose()]).map(drop),
        }
    }
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let session = Session::new(scene, scene.way)?;
    let (user, secret) = (plan.handle.as_str(), plan.password.expose().as_str());
    let secrets = [secret, session.rabbit.password.expose()];
    let text = |field: &Field<Text>| scene.settings.text(field).unwrap_or_default();
    let body = json!({"password": secret, "tags": text(&TAGS)});
    let call = session.call("PUT", &["api", "users", user])?.json(body);
    call.send().await?.done("making the user", &secrets)?;
    let vhost = scene.settings.text(&VHOST).unwrap_or("/");
    let body = json!({"configure": text(&CONFIGURE), "write": text(&WRITE), "read": text(&READ)});
    let call = session.call("PUT", &["api", "permissions", vhost, user])?.json(body);
    let permitted = match call.send().await {
        Ok(reply) => reply.done("permitting the user what it may", &secrets).map(drop),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = permitted {
        // What is left all the same is removed when the lease ends.
        let left = session.remove(user).await.err();
        return Err(left.map_or(fault.clone(), |left| fault.with_private(left)));
    }
    let mut value = Map::new();
    value.insert("user".to_owned(), user.into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

/// The server ends the connections of a user that is removed.
async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    Session::new(scene, scene.way)?.remove(handle).await?;
    Ok(Vec::new())
}
