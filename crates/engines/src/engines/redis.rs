//! Users of Redis servers, by their access lists (Redis 6 and newer).
//!
//! A user is one entry, made and removed by one command each; there is nothing in between. Rules
//! are arguments of their own, so no text ends a rule and begins another.

use keysherd_base::Fault;
use keysherd_targets::redis::{Session, connect};
use keysherd_targets::{Given, Named, Server, database};
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL, need_type,
};
use crate::member::not_reached;
use crate::name::need_handle;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse};

#[cfg(test)]
pub(crate) mod tests;

const ACL_RULES: Field<Text> =
    Field::text("acl-rules", "The user's rules as a JSON list, such as [\"~app:*\", \"+@read\"].")
        .default("[\"~*\", \"+@read\"]");
const HOST: Field<Text> = Field::text("host", "The server, without a target.").default("127.0.0.1");
const PORT: Field<Text> = Field::text("port", "Its port, without a target.").default("6379");
const USERNAME: Field<Text> = Field::text(
    "username",
    "The user that makes and removes others there, without a target; none: the default user.",
);
const PASSWORD: Field<Text> = Field::text("password", "That user's password.").secret();
const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections, without a target; without a word they are, except to this machine.",
);
const SSL_CERTIFICATE: Field<Text> = Field::text(
    "ssl-certificate",
    "Certificates of the authorities that vouch for the server, PEM or that in base64.",
);

static KIND: Kind = Kind {
    name: "redis",
    what: "a Redis server",
    targets: &["redis"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-redis",
            "DynamicSecretCreateRedis",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-Redis",
            "GatewayCreateProducerRedis",
            "GatewayCreateProducerRedisOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-redis",
            "DynamicSecretUpdateRedis",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-redis",
            "GatewayUpdateProducerRedis",
            "GatewayUpdateProducerRedisOutput",
        )
        .success(201),
    ],
    // A choice, Redis has no limit.
    name_bytes_max: 63,
    fields: &Group {
        title: "Redis",
        fields: &[
            ACL_RULES.spec(),
            USER_TTL.spec(),
            HOST.spec(),
            PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            SSL.spec(),
            SSL_CERTIFICATE.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["host", "port", "ssl", "ssl-certificate"],
    details: &[
        ("db_host_name", "host"),
        ("db_port", "port"),
        ("db_user_name", "username"),
        ("ssl_connection_mode", "ssl"),
        ("ssl_connection_certificate", "ssl-certificate"),
    ],
    json_details: &[("acl_rules", "acl-rules")],
    wrapped: true,
};

/// What a user gets when nobody says what: to read every key.
const RULES: &[&str] = &["~*", "+@read"];
/// Most rules, and the longest one in bytes.
const RULES_MAX: usize = 128;
const RULE_BYTES_MAX: usize = 512;
/// Rules that say who signs in and how, which is not the author's to say.
const OURS: &[&str] = &["on", "off", "nopass", "resetpass", "reset"];
/// Rules that are as good as everything, with what they do.
const WIDE: &[(&str, &str)] = &[
    ("+@all", "allows every command"),
    ("allcommands", "allows every command"),
    ("+@admin", "allows to administer the server"),
    ("+@dangerous", "allows dangerous commands"),
    ("+acl", "allows to make users"),
    ("+config", "allows to configure the server"),
];

/// The member.
pub(super) struct Redis;

impl Engine for Redis {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let server = server(settings, target)?;
        KIND.check(settings)?;
        let rules = rules(settings)?;
        let wide = |rule: &String| {
            let known = WIDE.iter().find(|(wide, _)| rule.eq_ignore_ascii_case(wide));
            known.map(|(_, does)| format!("the rule '{rule}' {does}; name what is needed"))
        };
        Ok(rules.iter().filter_map(wide).chain(server.warning()).collect())
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

fn server(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Server, Fault> {
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return database(target.settings);
    }
    if settings.is_empty() {
        return Err(Fault::bad_request(
            "missing required field 'target-name', or 'host' and 'password'",
        ));
    }
    Server::new(Given {
        host: Named::of(settings, &HOST).or("127.0.0.1"),
        port: Named::of(settings, &PORT).or("6379"),
        user: Named::of(settings, &USERNAME),
        password: Named::of(settings, &PASSWORD),
        database: None,
        encrypted: settings.says(&SSL),
        authority: Named::of(settings, &SSL_CERTIFICATE),
        name: None,
        identity: None,
    })
}

fn rules(settings: &Settings) -> Result<Vec<String>, Fault> {
    let bad = |why: &str| bad_setting(ACL_RULES.name(), why);
    let Some(text) = settings.text(&ACL_RULES) else {
        return Ok(RULES.iter().map(|rule| (*rule).to_owned()).collect());
    };
    let rules: Vec<String> = serde_json::from_str(text)
        .map_err(|_| bad("it must be a JSON list of texts, such as [\"~app:*\", \"+@read\"]"))?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(bad("it must have 1 to 128 rules"));
    }
    for rule in &rules {
        let fits = !rule.is_empty()
            && rule.len() <= RULE_BYTES_MAX
            && !rule.chars().any(|c| c.is_control());
        if !fits {
            return Err(bad("a rule is empty, longer than 512 bytes or has a control character"));
        }
        let signs_in = OURS.iter().any(|ours| rule.eq_ignore_ascii_case(ours));
        if signs_in || rule.starts_with(['>', '<', '#', '!']) {
            return Err(bad("rules about passwords, on, off and reset are not the author's"));
        }
    }
    Ok(rules)
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let rules = rules(scene.settings)?;
    let secret = plan.password.expose().as_str();
    let password = keysherd_base::Secret::new(format!(">{secret}"));
    let mut command =
        vec!["ACL", "SETUSER", &plan.handle, "reset", "on", password.expose().as_str()];
    command.extend(rules.iter().map(String::as_str));
    let making = async {
        let mut session = connect(&server, scene.way).await.map_err(not_reached)?;
        let made = session.ask(&command).await;
        made.map_err(|error| error.fault("making the user by acl-rules", Some(secret)))?;
        Ok::<_, Fault>(match saved(&mut session).await {
            Ok(()) => Vec::new(),
            Err(fault) => vec![format!("{}; a restart undoes this", fault.public())],
        })
    };
    let late = |_| late(&server);
    let warnings = timeout(scene.way.timeout, making).await.map_err(late)??;
    let mut value = Map::new();
    value.insert("user".to_owned(), plan.handle.as_str().into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let removing = async {
        let mut session = connect(&server, scene.way).await.map_err(not_reached)?;
        // Who is signed in as that user is thrown out by it. One that is gone is no error.
        let removed = session.ask(&["ACL", "DELUSER", handle]).await;
        removed.map_err(|error| error.fault("removing the user", None))?;
        // A restart would bring the user back, and nobody would know.
        saved(&mut session).await?;
        Ok(Vec::new())
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&server))?
}

/// Where a server keeps its users in a file, what was done is done after a restart, too.
///
/// # Errors
/// That it could not save them.
pub(crate) async fn saved(session: &mut Session) -> Result<(), Fault> {
    match session.ask(&["ACL", "SAVE"]).await {
        Err(error) if !error.says_no_file() => {
            Err(error.fault("saving the users in the server's file", None))
        }
        _ => Ok(()),
    }
}

pub(crate) fn late(server: &Server) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", server.place()))
}
