//! Users of AWS accounts with access keys, and sessions of roles.
//!
//! A user is made with everything that it gets and removed with everything that it has. A session
//! of a role ends by itself: AWS has no way to end one earlier.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::aws::{
    Aws, Refusal, Session, ends, is_policy, is_role, value, values, within,
};
use keysherd_wire::bad_setting;
use serde_json::{Map, Value};

use self::fields::{
    CONSOLE, EXTERNAL_ID, GROUPS, KIND, MODE, POLICIES, PROGRAMMATIC, ROLES, ROTATE, SESSION_TAGS,
    TRANSITIVE, account, list,
};
use crate::arguments::known_arguments;
use crate::fields::CUSTOM_USERNAME_TEMPLATE;
use crate::member::More;
use crate::name::{need_handle, username};
use crate::password::Policy;
use crate::template::{self, Known};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish};

mod fields;
#[cfg(test)]
pub(crate) mod tests;

/// How handles of sessions begin. No user's name does.
const SESSION: &str = "sts.";
/// What AWS says of what is not there.
const GONE: &str = "NoSuchEntity";
/// How long a session may last, in seconds.
const SESSION_SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;
/// Most tags of a session, and the longest key and value in characters.
const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    User,
    Session,
}

/// The member.
pub(super) struct AwsAccount;

impl Engine for AwsAccount {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        account(settings, target)?;
        KIND.check(settings)?;
        if settings.flag(&ROTATE, false) {
            return Err(bad_setting(ROTATE.name(), "this version does not rotate access keys"));
        }
        let mut warnings = Vec::new();
        match mode(settings)? {
            Mode::User => {
                if !settings.flag(&PROGRAMMATIC, true) && !settings.flag(&CONSOLE, false) {
                    return Err(bad_setting(
                        PROGRAMMATIC.name(),
                        "without it and aws-user-console-access nobody could sign in",
                    ));
                }
                for policy in list(settings, &POLICIES) {
                    if !is_policy(policy) {
                        let want = "each must be such as arn:aws:iam::1234:policy/name";
                        return Err(bad_setting(POLICIES.name(), want));
                    }
                    if policy.ends_with(":policy/AdministratorAccess") {
                        warnings.push(format!("{policy} allows everything; name what is needed"));
                    }
                }
            }
            Mode::Session => {
                let roles = list(settings, &ROLES);
                if roles.is_empty() || !roles.iter().all(|role| is_role(role)) {
                    let want = "it must be such as arn:aws:iam::1234:role/name";
                    return Err(bad_setting(ROLES.name(), want));
                }
                if !SESSION_SECONDS.contains(&KIND.ttl_seconds(settings)?) {
                    let want = "sessions of roles last 15m to 12h";
                    return Err(bad_setting(KIND.ttl.name(), want));
                }
                tags(settings)?;
            }
        }
        Ok(warnings)
    }

    fn takes_args(&self) -> bool {
        true
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let settings = scene.settings;
        let given = known_arguments(wish.args, &["role_arn"])?;
        let role = given.get("role_arn").and_then(Value::as_str);
        let mut more = Map::new();
        let (handle, password) = match mode(settings)? {
            Mode::User => {
                if role.is_some() {
                    let why = "role_arn is for access-mode assume_role";
                    return Err(bad_setting("args", why));
                }
                let name = username(settings, wish, scene.way, KIND.name_bytes_max)?;
                if name.starts_with(SESSION) {
                    let want = "names of users cannot begin with sts.";
                    return Err(bad_setting(CUSTOM_USERNAME_TEMPLATE.name(), want));
                }
                (name, Policy::of(settings)?.draw(scene.way.rng.as_ref())?)
            }
            Mode::Session => {
                more.insert("role".to_owned(), chosen(settings, role)?.into());
                let seconds = wish.ttl_seconds;
                let seconds = seconds.clamp(*SESSION_SECONDS.start(), *SESSION_SECONDS.end());
                more.insert("seconds".to_owned(), seconds.to_string().into());
                let known =
                    Known { wish, clock: scene.way.clock.as_ref(), rng: scene.way.rng.as_ref() };
                let tags = tags(settings)?.into_iter().map(|(key, template)| {
                    let text = template.text(&known)?;
                    let fits = text.chars().count() <= TAG_VALUE_MAX && text.chars().all(is_tag);
                    let bad = || bad_setting(SESSION_TAGS.name(), "a value is no value of a tag");
                    fits.then(|| Value::from(vec![key, text])).ok_or_else(bad)
                });
                more.insert("tags".to_owned(), Value::Array(tags.collect::<Result<_, _>>()?));
                let most = KIND.name_bytes_max - SESSION.len();
                let name = username(settings, wish, scene.way, most)?;
                (format!("{SESSION}{name}"), SecretString::new(String::new()))
            }
        };
        Ok(Plan { handle, password, more: More(more) })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            need_handle(&plan.handle)?;
            let aws = account(scene.settings, scene.target.as_ref())?;
            within(scene.way, created(scene, plan, &aws)).await
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            need_handle(handle)?;
            if handle.starts_with(SESSION) {
                return Ok(vec!["AWS ends the session at its own time, and no earlier".to_owned()]);
            }
            let aws = account(scene.settings, scene.target.as_ref())?;
            let removing = async { removed(&aws.open(scene.way).await?, handle).await };
            within(scene.way, removing).await.map(|()| Vec::new())
        })
    }
}

fn mode(settings: &Settings) -> Result<Mode, Fault> {
    let words = ["iam_user", "assume_role", "assumed_role"];
    Ok(match settings.choice(&MODE, &words, "iam_user")? {
        "iam_user" => Mode::User,
        _ => Mode::Session,
    })
}

/// The role that the caller chose, of those that the settings name.
fn chosen<'a>(settings: &'a Settings, wanted: Option<&str>) -> Result<&'a str, Fault> {
    let roles = list(settings, &ROLES);
    let bad = |why: &str| bad_setting("args", why);
    match (wanted, roles.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(bad("role_arn must say which of the roles")),
        (Some(wanted), roles) => {
            let found = roles.iter().find(|role| **role == wanted);
            found.copied().ok_or_else(|| bad("role_arn is none of the dynamic secret's roles"))
        }
    }
}

/// The tags of sessions, with templates of their values.
fn tags(settings: &Settings) -> Result<Vec<(String, template::Template)>, Fault> {
    let bad = |why: &str| bad_setting(SESSION_TAGS.name(), why);
    let tags = list(settings, &SESSION_TAGS);
    if tags.len() > TAGS_MAX {
        return Err(bad("there are more than 50"));
    }
    let tag = |text: &str| {
        let (key, value) = text.split_once('=').ok_or_else(|| bad("each must be key=value"))?;
        let key = key.trim();
        let fits = !key.is_empty() && key.chars().count() <= TAG_KEY_MAX && key.chars().all(is_tag);
        let template = template::parse(SESSION_TAGS.name(), value.trim())?;
        fits.then(|| (key.to_owned(), template)).ok_or_else(|| bad("a key is none of a tag"))
    };
    tags.into_iter().map(tag).collect()
}

/// What AWS takes in tags of sessions.
fn is_tag(c: char) -> bool {
    c.is_alphanumeric() || " _.:/=+-@".contains(c)
}

async fn created(scene: &Scene<'_>, plan: &Plan, aws: &Aws) -> Result<Created, Fault> {
    let session = aws.open(scene.way).await?;
    if plan.handle.starts_with(SESSION) {
        return lent(scene.settings, plan, &session).await;
    }
    let made = user_made(scene.settings, plan, &session).await;
    let Err(fault) = made else { return made };
    // What is left all the same is removed when the lease ends.
    let left = removed(&session, &plan.handle).await.err();
    Err(left.map_or(fault.clone(), |left| fault.with_private(left)))
}

async fn user_made(
    settings: &Settings,
    plan: &Plan,
    session: &Session<'_>,
) -> Result<Created, Fault> {
    let user = plan.handle.as_str();
    let named = ("UserName", user);
    session.identity("CreateUser", &[named], "making the user").await?;
    for policy in list(settings, &POLICIES) {
        let parameters = [named, ("PolicyArn", policy)];
        session.identity("AttachUserPolicy", &parameters, "attaching a policy").await?;
    }
    for group in list(settings, &GROUPS) {
        let parameters = [named, ("GroupName", group)];
        session.identity("AddUserToGroup", &parameters, "adding to a group").await?;
    }
    let mut created = Created { value: Map::new(), handle: None, ends: None, warnings: Vec::new() };
    let value = &mut created.value;
    value.insert("user".to_owned(), user.into());
    value.insert("type".to_owned(), "iam_user".into());
    if settings.flag(&CONSOLE, false) {
        let secret = plan.password.expose().as_str();
        let parameters = [named, ("Password", secret), ("PasswordResetRequired", "false")];
        session.identity("CreateLoginProfile", &parameters, "giving a password").await?;
        value.insert("password".to_owned(), secret.into());
    }
    if settings.flag(&PROGRAMMATIC, true) {
        let answer = session.identity("CreateAccessKey", &[named], "making an access key").await?;
        put_credentials(value, &answer, &["AccessKeyId", "SecretAccessKey"])?;
        value.insert("security_token".to_owned(), "".into());
    }
    Ok(created)
}

/// Assumes a role for the caller.
async fn lent(settings: &Settings, plan: &Plan, session: &Session<'_>) -> Result<Created, Fault> {
    let name = plan.handle.as_str();
    let text = |name: &str| plan.more.0.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut parameters: Vec<(String, String)> = vec![
        ("RoleArn".to_owned(), text("role").to_owned()),
        ("RoleSessionName".to_owned(), name.to_owned()),
        ("DurationSeconds".to_owned(), text("seconds").to_owned()),
    ];
    if let Some(id) = settings.text(&EXTERNAL_ID) {
        parameters.push(("ExternalId".to_owned(), id.to_owned()));
    }
    let tags = plan.more.0.get("tags").and_then(Value::as_array);
    for (number, tag) in (1..).zip(tags.into_iter().flatten()) {
        for (part, place) in [("Key", 0), ("Value", 1)] {
            let value = tag[place].as_str().unwrap_or_default().to_owned();
            parameters.push((format!("Tags.member.{number}.{part}"), value));
        }
    }
    for (number, key) in (1..).zip(list(settings, &TRANSITIVE)) {
        parameters.push((format!("TransitiveTagKeys.member.{number}"), key.to_owned()));
    }
    let parameters: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = session.lent("AssumeRole", &parameters, "assuming the role").await?;
    let mut created =
        Created { value: Map::new(), handle: None, ends: ends(&answer), warnings: Vec::new() };
    let value = &mut created.value;
    value.insert("user".to_owned(), name.into());
    value.insert("type".to_owned(), "assume_role".into());
    put_credentials(value, &answer, &["AccessKeyId", "SecretAccessKey", "SessionToken"])?;
    Ok(created)
}

/// What callers get of an answer.
fn put_credentials(
    into: &mut Map<String, Value>,
    answer: &SecretString,
    names: &[&str],
) -> Result<(), Fault> {
    for name in names {
        let shown = match *name {
            "AccessKeyId" => "access_key_id",
            "SecretAccessKey" => "secret_access_key",
            _ => "security_token",
        };
        let found = value(answer.expose(), name).filter(|text| !text.is_empty());
        let missing = || Fault::unavailable("AWS answers without credentials; try again");
        into.insert(shown.to_owned(), found.ok_or_else(missing)?.into());
    }
    Ok(())
}

/// Removes a user with all that it has: what it signs in with first.
async fn removed(session: &Session<'_>, user: &str) -> Result<(), Fault> {
    let named = ("UserName", user);
    let gone = |refusal: Refusal| match refusal.code.as_str() {
        GONE => Ok(()),
        _ => Err(refusal.fault),
    };
    let has = async |action: &str, element: &str| match session
        .identity(action, &[named], "looking at what the user has")
        .await
    {
        Ok(answer) => Ok(values(answer.expose(), element)),
        Err(refusal) => gone(refusal).map(|()| Vec::new()),
    };
    let done = async |action: &str, parameters: &[(&str, &str)]| {
        let parameters: Vec<_> = [&[named], parameters].concat();
        session.identity(action, &parameters, "removing what the user has").await.map(drop)
    };
    for (list, element, action, parameter) in [
        ("ListAccessKeys", "AccessKeyId", "DeleteAccessKey", "AccessKeyId"),
        ("ListAttachedUserPolicies", "PolicyArn", "DetachUserPolicy", "PolicyArn"),
        ("ListUserPolicies", "member", "DeleteUserPolicy", "PolicyName"),
        ("ListGroupsForUser", "GroupName", "RemoveUserFromGroup", "GroupName"),
    ] {
        for one in has(list, element).await? {
            done(action, &[(parameter, one.as_str())]).await.or_else(gone)?;
        }
    }
    done("DeleteLoginProfile", &[]).await.or_else(gone)?;
    done("DeleteUser", &[]).await.or_else(gone)
}
