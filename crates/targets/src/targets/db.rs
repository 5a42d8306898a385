//! Database targets. V2 has one command for all servers, which it tells apart by `db-type`.

mod fields;

use keysherd_base::Fault;
use keysherd_egress::ClientIdentity;
use keysherd_wire::bad_setting;
use serde_json::{Map, Value};

use self::fields::{
    ATLAS_PROJECT, CLIENT_CERTIFICATE, CLIENT_KEY_PASSPHRASE, CLIENT_PRIVATE_KEY, CONNECTION_TYPE,
    DB_NAME, DB_SERVER_CERTIFICATES, DB_SERVER_NAME, DB_TYPE, ENABLE_MTLS, FIELDS, HOST,
    MONGODB_ATLAS, MONGODB_AUTH_DB, MONGODB_URI_OPTIONS, ORACLE_SERVICE_NAME, PORT, PWD,
    SNOWFLAKE_ACCOUNT, SNOWFLAKE_KEY, SNOWFLAKE_KEY_PASSWORD, SSL, SSL_CERTIFICATE, USER_NAME,
    WHEREABOUTS,
};
use crate::member::content;
use crate::mongodb::Site;
use crate::postgres::Family;
use crate::server::{Given, Named};
use crate::snowflake::Account;
use crate::{
    BoxFuture, Kind, Server, Settings, Spelling, Target, Way, cassandra, hanadb, mongodb, mssql,
    mysql, postgres, redis, snowflake,
};

static KIND: Kind = Kind {
    name: "db",
    what: "a database server",
    create: &[
        Spelling::current("target-create-db", "TargetCreateDB", "TargetCreateOutput"),
        Spelling::older("create-db-target", "CreateDBTarget", "CreateDBTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-db", "TargetUpdateDB", "TargetUpdateOutput"),
        Spelling::older("update-db-target", "UpdateDBTarget", "UpdateDBTargetOutput"),
        Spelling::older("update-db-target-details", "UpdateDBTargetDetails", "UpdateTargetOutput"),
    ],
    fields: &FIELDS,
    whereabouts: WHEREABOUTS,
    types: &[
        "postgres",
        "redshift",
        "mysql",
        "redis",
        "mssql",
        "oracle",
        "mongodb",
        "snowflake",
        "cassandra",
        "hanadb",
    ],
};

/// The usual ports of those that are connected to by host and port.
const PORTS: &[(&str, &str)] = &[
    ("postgres", "5432"),
    ("redshift", "5439"),
    ("mysql", "3306"),
    ("redis", "6379"),
    ("mssql", "1433"),
    ("oracle", "1521"),
    ("cassandra", "9042"),
    ("hanadb", "443"),
];

/// The member.
pub(super) struct Db;

impl Target for Db {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, settings: &Settings) -> Result<&'static str, Fault> {
        type_of(settings)
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        let type_name = type_of(settings)?;
        let connection = settings.choice(&CONNECTION_TYPE, &fields::CONNECTIONS, "credentials")?;
        // The others have no host of their own.
        if connection == "credentials" && PORTS.iter().any(|(name, _)| *name == type_name) {
            server(settings)?;
        }
        Ok(())
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        if type_of(settings).is_ok_and(|name| name == "mongodb") {
            let mut shown = content(&KIND, settings, fields::MONGO_DETAILS);
            if let (Some(host), Some(port)) = (settings.text(&HOST), settings.text(&PORT)) {
                shown.insert("mongodb_host_port".to_owned(), format!("{host}:{port}").into());
            }
            return ("mongo_db_target_details", shown);
        }
        let mut shown = content(&KIND, settings, fields::DETAILS);
        let wallet = content(&KIND, settings, fields::WALLET_DETAILS);
        if !wallet.is_empty() {
            shown.insert("oracle_wallet_details".to_owned(), Value::Object(wallet));
        }
        if let Some(service) = settings.text(&ORACLE_SERVICE_NAME) {
            // Where clients look for it.
            shown.insert("db_name".to_owned(), service.into());
        }
        ("db_target_details", shown)
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let family = match type_of(settings)? {
                "postgres" => Family::Postgres,
                "redshift" => Family::Redshift,
                "mysql" => {
                    mysql::connect(&server(settings)?, way).await?.close().await;
                    return Ok(());
                }
                "cassandra" => {
                    return cassandra::connect(&[server(settings)?], way).await.map(drop);
                }
                "hanadb" => return hanadb::connect(&server(settings)?, way).await.map(drop),
                "mongodb" => return mongodb::connect(&site(settings)?, way).await.map(drop),
                "mssql" => return mssql::connect(&server(settings)?, way).await.map(drop),
                "redis" => return redis::connect(&server(settings)?, way).await.map(drop),
                "snowflake" => return self::snowflake(settings, Some(way))?.probe(way).await,
                other => {
                    return Err(Fault::forbidden(format!(
                        "targets of type {other} are kept and not tried out by this version"
                    )));
                }
            };
            postgres::connect(&server(settings)?, family, way).await?.close().await;
            Ok(())
        })
    }
}

fn type_of(settings: &Settings) -> Result<&'static str, Fault> {
    let given = settings.need(&DB_TYPE)?;
    // The other spellings that clients use for two of them.
    let given = match given.to_ascii_lowercase().as_str() {
        "postgresql" => "postgres".to_owned(),
        "mongodb-atlas" => "mongodb".to_owned(),
        "mariadb" => "mysql".to_owned(),
        other => other.to_owned(),
    };
    let known = KIND.types.iter().copied().find(|name| *name == given);
    known.ok_or_else(|| {
        bad_setting("db-type", &format!("it must be one of {}", KIND.types.join(", ")))
    })
}

/// The server that the settings name.
pub(super) fn server(settings: &Settings) -> Result<Server, Fault> {
    let type_name = type_of(settings)?;
    need_credentials(settings)?;
    let usual = PORTS.iter().find(|(name, _)| *name == type_name).map(|(_, port)| *port);
    let port = Named::of(settings, &PORT);
    Server::new(Given {
        host: Named::of(settings, &HOST),
        port: usual.map_or(port, |usual| port.or(usual)),
        user: Named::of(settings, &USER_NAME),
        password: Named::of(settings, &PWD),
        database: settings.text(&DB_NAME),
        encrypted: settings.says(&SSL),
        authority: vouching(settings),
        name: settings.text(&DB_SERVER_NAME),
        identity: identity(settings)?,
    })
}

/// The MongoDB that the settings name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn site(settings: &Settings) -> Result<Site, Fault> {
    need_credentials(settings)?;
    if settings.flag(&MONGODB_ATLAS, false) || settings.text(&ATLAS_PROJECT).is_some() {
        return Err(bad_setting(
            "mongodb-atlas",
            "users of MongoDB Atlas are made by its own interface, which this version does not use",
        ));
    }
    let identity = identity(settings)?;
    Site::new(&mongodb::Given {
        hosts: Named::of(settings, &HOST),
        port: settings.text(&PORT),
        user: Named::of(settings, &USER_NAME),
        password: Named::of(settings, &PWD),
        database: Named::of(settings, &MONGODB_AUTH_DB),
        options: Named::of(settings, &MONGODB_URI_OPTIONS),
        encrypted: settings.says(&SSL),
        authority: vouching(settings),
        name: settings.text(&DB_SERVER_NAME),
        identity: identity.as_ref(),
    })
}

/// The account of Snowflake that the settings name. `way` says where it is, when it is not where it
/// usually is.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn snowflake(settings: &Settings, way: Option<&Way>) -> Result<Account, Fault> {
    need_credentials(settings)?;
    Account::new(
        &snowflake::Given {
            account: Named::of(settings, &SNOWFLAKE_ACCOUNT),
            user: Named::of(settings, &USER_NAME),
            password: Named::of(settings, &PWD),
            key: Named::of(settings, &SNOWFLAKE_KEY),
            passphrase: Named::of(settings, &SNOWFLAKE_KEY_PASSWORD),
            database: Named::of(settings, &DB_NAME),
        },
        way,
    )
}

fn need_credentials(settings: &Settings) -> Result<(), Fault> {
    let connection = settings.choice(&CONNECTION_TYPE, &fields::CONNECTIONS, "credentials")?;
    match connection {
        "credentials" => Ok(()),
        _ => Err(bad_setting(
            "connection-type",
            "this version signs in with credentials only; the other types are kept",
        )),
    }
}

/// The authorities that vouch for a server, under either of their names.
fn vouching(settings: &Settings) -> Named<'_> {
    match settings.text(&SSL_CERTIFICATE) {
        Some(_) => Named::of(settings, &SSL_CERTIFICATE),
        None => Named::of(settings, &DB_SERVER_CERTIFICATES),
    }
}

fn identity(settings: &Settings) -> Result<Option<ClientIdentity>, Fault> {
    if !settings.flag(&ENABLE_MTLS, false) {
        return Ok(None);
    }
    if settings.text(&CLIENT_KEY_PASSPHRASE).is_some() {
        return Err(bad_setting(
            "client-key-passphrase",
            "encrypted keys are not read; give the key without one, it is sealed here",
        ));
    }
    let certificate = settings.need(&CLIENT_CERTIFICATE)?.to_owned();
    Ok(Some(ClientIdentity { certificate, key: settings.secret(&CLIENT_PRIVATE_KEY)? }))
}

#[cfg(test)]
mod tests;
