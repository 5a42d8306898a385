//! Roles of Cassandra clusters.
//!
//! Statements cannot be taken back together there, so what a failed creation has made is removed at
//! once, and again when the lease is. V2 has no statements for removing: dropping a role takes its
//! rights with it, and nodes that know it by heart forget it after some seconds (`roles_validity`).

use keysherd_base::Fault;
use keysherd_targets::cassandra::connect;
use keysherd_targets::{Given, Named, Server, database};
use keysherd_wire::{Settings, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use self::fields::{
    CREATION, CREATION_STATEMENTS, HOSTS, KIND, PASSWORD, PORT, SSL, SSL_CERTIFICATE, USERNAME,
};
use crate::fields::need_type;
use crate::lint::lint;
use crate::member::{left, not_reached};
use crate::name::need_handle;
use crate::statements::{Dialect, Hole, Statement, Values, filled, need_name, parse};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, TargetUse};

mod fields;
#[cfg(test)]
pub(crate) mod tests;

/// Most nodes that are asked in turn.
const NODES_MAX: usize = 8;

/// The member.
pub(super) struct Cassandra;

impl Engine for Cassandra {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let nodes = nodes(settings, target)?;
        for server in &nodes {
            server.credentials()?;
        }
        let creation = creation(settings)?;
        KIND.check(settings)?;
        let mut warnings = lint(&creation);
        if creation.iter().any(reads_everything) {
            warnings.push("the role may do something in every keyspace; name one".to_owned());
        }
        if !creation.iter().any(|statement| statement.has(Hole::Password)) {
            warnings.push("the creation statements set no {{password}}".to_owned());
        }
        warnings.extend(nodes.iter().find_map(Server::warning));
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

fn nodes(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Vec<Server>, Fault> {
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return Ok(vec![database(target.settings)?]);
    }
    let hosts: Vec<_> = settings.need(&HOSTS)?.split(',').map(str::trim).collect();
    if hosts.len() > NODES_MAX {
        return Err(bad_setting(HOSTS.name(), "it has more than 8 nodes"));
    }
    let node = |host: &&str| {
        Server::new(Given {
            host: Named::of(settings, &HOSTS).with(Some(host)),
            port: Named::of(settings, &PORT).or("9042"),
            user: Named::of(settings, &USERNAME),
            password: Named::of(settings, &PASSWORD),
            database: None,
            encrypted: settings.says(&SSL),
            authority: Named::of(settings, &SSL_CERTIFICATE),
            name: None,
            identity: None,
        })
    };
    hosts.iter().map(node).collect()
}

fn creation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let text = settings.text(&CREATION_STATEMENTS).unwrap_or(CREATION);
    let statements = parse(CREATION_STATEMENTS.name(), text, Dialect::Cassandra)?;
    need_name(CREATION_STATEMENTS.name(), &statements)?;
    Ok(statements)
}

fn reads_everything(statement: &Statement) -> bool {
    let code = statement.code().to_uppercase();
    code.split_whitespace().collect::<Vec<_>>().windows(2).any(|pair| pair == ["ALL", "KEYSPACES"])
}

/// A handle is plain characters; see `need_handle`.
fn removal(handle: &str) -> String {
    format!("DROP ROLE IF EXISTS '{handle}'")
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let nodes = nodes(scene.settings, scene.target.as_ref())?;
    let (user_host, _) = first(&nodes)?.credentials()?;
    let secret = plan.password.expose().as_str();
    let (name, password) = (plan.handle.as_str(), Some(&plan.password));
    let statements = filled(&creation(scene.settings)?, &Values { name, password, user_host })?;
    let making = async {
        let mut session = connect(&nodes, scene.way).await.map_err(not_reached)?;
        for (number, statement) in (1..).zip(&statements) {
            let Err(error) = session.run(statement.expose()).await else { continue };
            // What was not made yet is not there; the lease's end looks again.
            let _ = session.run(&removal(name)).await;
            return Err(error.fault(&format!("creation statement {number}"), Some(secret)));
        }
        Ok(())
    };
    timeout(scene.way.timeout, making).await.map_err(|_| late(&nodes))??;
    let mut value = Map::new();
    value.insert("user".to_owned(), name.into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let nodes = nodes(scene.settings, scene.target.as_ref())?;
    let removing = async {
        let mut session = connect(&nodes, scene.way).await?;
        let removed = session.run(&removal(handle)).await;
        removed.map_err(|error| error.fault("removing the role", None))?;
        let question = format!("SELECT role FROM system_auth.roles WHERE role = '{handle}'");
        match session.finds(&question).await {
            Ok(true) => Err(left()),
            // Who may not look has to believe the server.
            Ok(false) | Err(_) => Ok(Vec::new()),
        }
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&nodes))?
}

fn first(nodes: &[Server]) -> Result<&Server, Fault> {
    nodes.first().ok_or_else(|| Fault::internal("a cluster without nodes"))
}

pub(crate) fn late(nodes: &[Server]) -> Fault {
    let places: Vec<_> = nodes.iter().map(|server| server.place().to_string()).collect();
    let places = places.join(",");
    Fault::unavailable(format!("{places} does not answer in time; try again later"))
}
