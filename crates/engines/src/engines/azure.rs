//! Microsoft Entra ID: secrets of an application, users of the portal, and places in a group or a
//! role for people who are there already. The tests have a stand-in for the service.

use keysherd_base::Fault;
use keysherd_targets::azure::{Azure, azure};
use keysherd_wire::bad_setting;
use serde_json::{Map, Value, json};

use self::fields::{
    ADMIN_UNIT, APPLICATION, CLAIM, CLIENT, CLIENT_SECRET, FIXED, GROUP, KIND, PORTAL, PRINCIPAL,
    ROLE, TENANT,
};
use crate::driver::{Account, Ending, Facts, Find, Service, SignIn, Step, segments, text};
use crate::fields::need_type;
use crate::name::{marked, unmarked, username};
use crate::password::Policy;
use crate::person::person;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Way, Wish};

mod fields;
#[cfg(test)]
mod tests;

/// How handles begin: of secrets of an application, of users, and of places of people.
const SECRET: &str = "secret.";
const USER: &str = "user.";
const PLACE: &str = "place.";
/// How much longer than its lease a secret would live, in seconds, if nobody removed it: leases can
/// be prolonged.
const LONGER_SECONDS: i64 = 24 * 3_600;

/// The member.
pub(super) struct Entra;

impl Engine for Entra {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        table(mode(settings))?.check(settings, target)
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let settings = scene.settings;
        let mode = mode(settings);
        let mut plan = table(mode)?.plan(scene, wish)?;
        if mode == PLACE {
            let claim = settings.text(&CLAIM).filter(|claim| *claim != "false");
            let person = person(claim.unwrap_or("ext_username"), wish)?;
            let (kind, id) = seat_wanted(settings)?;
            plan.handle = marked(&format!("{PLACE}{kind}.{id}.{person}"), wish.lease);
        } else {
            let most = KIND.name_bytes_max - USER.len();
            let name = username(settings, wish, scene.way, most)?.replace('@', "_");
            plan.handle = format!("{mode}{name}");
        }
        if mode == USER {
            plan.password = Policy::of(settings)?.draw(scene.way.rng.as_ref())?;
        }
        Ok(plan)
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move { table(&plan.handle)?.create(scene, plan).await })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move { table(handle)?.revoke(scene, handle).await })
    }
}

/// What is made by the settings, as handles begin.
fn mode(settings: &Settings) -> &'static str {
    match (settings.flag(&FIXED, false), settings.flag(&PORTAL, false)) {
        (true, _) => PLACE,
        (_, true) => USER,
        _ => SECRET,
    }
}

/// What makes and removes what has this handle.
fn table(handle: &str) -> Result<&'static Service, Fault> {
    let tables = [(SECRET, &SECRETS), (USER, &USERS), (PLACE, &PLACES)];
    let found = tables.into_iter().find(|(begin, _)| handle.starts_with(begin));
    let unknown = || Fault::internal("a lease has a handle that no plan made");
    found.map(|(_, table)| table).ok_or_else(unknown)
}

/// Secrets of an application that is there.
static SECRETS: Service = Service {
    kind: &KIND,
    account,
    check: |settings| {
        application(settings)?;
        Ok(Vec::new())
    },
    sign_in: SignIn::Lent,
    find: None,
    make: Step::new("POST", |facts| below(facts, &["addPassword"])).json(|facts| {
        let ends = facts.now.plus_seconds(facts.seconds.saturating_add(LONGER_SECONDS));
        let wish = json!({"displayName": facts.name, "endDateTime": ends.rfc3339()});
        Ok(json!({"passwordCredential": wish}))
    }),
    exists: |_, _| false,
    then: &[],
    gives: |_, answer| {
        text(answer, "/secretText")?;
        let mut secret = Map::new();
        for name in ["displayName", "endDateTime", "keyId", "secretText", "startDateTime"] {
            secret.extend(answer.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        let msg = "Azure may take some minutes to accept the secret everywhere";
        let mut value = Map::from_iter([("msg".to_owned(), msg.into())]);
        value.insert("secret".to_owned(), secret.into());
        Some(value)
    },
    ending: Ending::Listed {
        list: Step::new("GET", |facts| below(facts, &[])),
        entries: "/passwordCredentials",
        known_by: |entry, name| {
            let is = entry.get("displayName")?.as_str()? == name;
            is.then(|| entry.get("keyId")?.as_str().map(str::to_owned))?
        },
        remove: Step::new("POST", |facts| below(facts, &["removePassword"]))
            .json(|facts| Ok(json!({"keyId": facts.id}))),
    },
};

/// Users who sign in to the portal.
static USERS: Service = Service {
    kind: &KIND,
    account,
    check: |settings| {
        domain(settings)?;
        for field in [&GROUP, &ROLE, &ADMIN_UNIT] {
            settings.text(field).map(|id| need_id(field.name(), id)).transpose()?;
        }
        Ok(Vec::new())
    },
    sign_in: SignIn::Lent,
    find: None,
    make: Step::new("POST", |_| segments(&["v1.0", "users"])).json(|facts| {
        Ok(json!({
            "accountEnabled": true,
            "displayName": facts.name,
            "mailNickname": facts.name,
            "userPrincipalName": principal(facts)?,
            "passwordProfile": {
                "forceChangePasswordNextSignIn": false,
                "password": facts.password,
            },
        }))
    }),
    exists: |_, _| false,
    then: &[
        Step::new("POST", |facts| match facts.settings.text(&GROUP) {
            Some(group) => segments(&["v1.0", "groups", group, "members", "$ref"]),
            None => Ok(Vec::new()),
        })
        .json(reference),
        Step::new("POST", |facts| match facts.settings.text(&ROLE) {
            Some(role) => role_members(role, &["$ref"]),
            None => Ok(Vec::new()),
        })
        .json(reference),
        Step::new("POST", |facts| match facts.settings.text(&ADMIN_UNIT) {
            Some(unit) => {
                let units = ["v1.0", "directory", "administrativeUnits"];
                segments(&[&units[..], &[unit, "members", "$ref"]].concat())
            }
            None => Ok(Vec::new()),
        })
        .json(reference),
    ],
    gives: |facts, answer| {
        text(answer, "/id")?;
        let user = text(answer, "/userPrincipalName")?;
        Some(Map::from_iter([
            ("user".to_owned(), user.into()),
            ("password".to_owned(), facts.password.into()),
        ]))
    },
    ending: Ending::Named(Step::new("DELETE", |facts| {
        segments(&["v1.0", "users", principal(facts)?.as_str()])
    })),
};

/// Places in a group or a role for people who are there already.
static PLACES: Service = Service {
    kind: &KIND,
    account,
    check: |settings| {
        seat_wanted(settings)?;
        Ok(Vec::new())
    },
    sign_in: SignIn::Lent,
    find: Some(Find {
        given: |_| Ok(None),
        step: Step::new("GET", |facts| {
            let (_, _, person) = seat(facts.name)?;
            segments(&["v1.0", "users", person])
        }),
        pointer: "/id",
    }),
    make: Step::new("POST", |facts| members(facts.name, &["$ref"]))
        .json(|facts| reference(&Facts { id: facts.place, ..*facts })),
    // Graph has no code for it.
    exists: |status, answer| {
        let said = answer.pointer("/error/message").and_then(Value::as_str);
        status == 400 && said.is_some_and(|said| said.contains("already exist"))
    },
    then: &[],
    gives: |facts, _| {
        let (_, _, person) = seat(facts.name).ok()?;
        Some(Map::from_iter([("user".to_owned(), person.into())]))
    },
    ending: Ending::Named(Step::new("DELETE", |facts| members(facts.name, &[facts.place, "$ref"]))),
};

fn account(
    settings: &Settings,
    target: Option<&TargetUse<'_>>,
    way: Option<&Way>,
) -> Result<Account, Fault> {
    let found = || match target {
        Some(target) => {
            need_type(&KIND, target)?;
            azure(target.settings, way)
        }
        None => Azure::by(settings, &TENANT, &CLIENT, &CLIENT_SECRET, way),
    };
    let Azure { server, graph: user, secret, .. } = found()?;
    Ok(Account { server, user, secret, lender: Some(Box::new(found()?)), signer: None })
}

/// What is in the application that the settings name.
fn below(facts: &Facts<'_>, rest: &[&str]) -> Result<Vec<String>, Fault> {
    let application = application(facts.settings)?;
    segments(&[&["v1.0", "applications", application], rest].concat())
}

fn application(settings: &Settings) -> Result<&str, Fault> {
    need_id(APPLICATION.name(), settings.need(&APPLICATION)?)
}

/// An object's id, which must be one: it becomes a part of an address.
fn need_id<'a>(field: &str, id: &'a str) -> Result<&'a str, Fault> {
    let fits = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    fits.then_some(id).ok_or_else(|| bad_setting(field, "it must be the id of an object"))
}

/// The domain of users: what follows the last `@`, or all of it.
fn domain(settings: &Settings) -> Result<&str, Fault> {
    let given = settings.need(&PRINCIPAL)?;
    let domain = given.rsplit_once('@').map_or(given, |(_, domain)| domain);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let fits = domain.contains('.') && domain.len() <= 253 && domain.bytes().all(plain);
    let bad = || bad_setting(PRINCIPAL.name(), "it must name a domain, such as acme.example");
    fits.then_some(domain).ok_or_else(bad)
}

fn principal(facts: &Facts<'_>) -> Result<String, Fault> {
    Ok(format!("{}@{}", facts.name, domain(facts.settings)?))
}

/// An object, as what it is put into is told of it.
fn reference(facts: &Facts<'_>) -> Result<Value, Fault> {
    let graph = &facts.account.user;
    Ok(json!({"@odata.id": format!("{graph}/v1.0/directoryObjects/{}", facts.id)}))
}

fn role_members(role: &str, rest: &[&str]) -> Result<Vec<String>, Fault> {
    let role = format!("roleTemplateId={role}");
    segments(&[&["v1.0", "directoryRoles", &role, "members"], rest].concat())
}

/// Whether people get a place in a group or in a role, and in which one.
fn seat_wanted(settings: &Settings) -> Result<(&'static str, &str), Fault> {
    match (settings.text(&GROUP), settings.text(&ROLE)) {
        (Some(group), None) => Ok(("group", need_id(GROUP.name(), group)?)),
        (None, Some(role)) => Ok(("role", need_id(ROLE.name(), role)?)),
        (None, None) => settings.need(&GROUP).map(|group| ("group", group)),
        _ => Err(bad_setting(
            ROLE.name(),
            "with fixed-user-only people get a place in a group or in a role, not in both",
        )),
    }
}

/// The same of a handle, with whose place it is.
fn seat(handle: &str) -> Result<(&str, &str, &str), Fault> {
    let rest = unmarked(handle).strip_prefix(PLACE);
    let mut parts = rest.unwrap_or_default().splitn(3, '.');
    let unknown = || Fault::internal("a lease has a handle that no plan made");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(id), Some(person)) => Ok((kind, need_id("", id)?, person)),
        _ => Err(unknown()),
    }
}

fn members(handle: &str, rest: &[&str]) -> Result<Vec<String>, Fault> {
    match seat(handle)? {
        ("role", role, _) => role_members(role, rest),
        (_, group, _) => segments(&[&["v1.0", "groups", group, "members"], rest].concat()),
    }
}
