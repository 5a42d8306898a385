//! `access-explain`, ours: why somebody may do something or not, rule by rule.

use std::collections::BTreeMap;

use keysherd_base::{AccessId, Fault};
use keysherd_domain::policy::kinds::{Scope, is_administrative};
use keysherd_domain::policy::trace::Standing;
use keysherd_domain::role::{Capability, Rule, RuleKind};
use keysherd_plane::explain::{
    AccessExplain, AccessExplainReply, AssocExplained, SupposedBearer, Verdict,
};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};
use serde::Serialize;

use super::condition::{self, SUB_CLAIMS};
use super::object_kind;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PATH: Field<Text> =
    Field::text("path", "The path in question; own, scoped or all for a reports or audit type.")
        .required()
        .short('p');
const TYPE: Field<Text> =
    Field::text("type", "What the path names, or a rule-type.").default("item").short('t');
const CAPABILITY: Field<Text> =
    Field::text("capability", "What one would do there.").default("read").short('c');
const ACCESS_ID: Field<Text> =
    Field::text("access-id", "Somebody else; takes reverse-rbac-access.");
const ALL_RULES: Field<Flag> =
    Field::flag("all-rules", "Tell of rules that do not cover the path as well.").default("false");

#[derive(Serialize)]
struct Reply<'a> {
    allowed: bool,
    reason: String,
    access_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method_name: Option<&'a str>,
    held: Vec<&'static str>,
    claims: &'a BTreeMap<String, Vec<String>>,
    roles: Vec<RoleReply<'a>>,
    hidden_roles: usize,
    untold_rules: usize,
}

#[derive(Serialize)]
struct RoleReply<'a> {
    role_name: &'a str,
    assoc_id: &'a str,
    applies: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
    sub_claims_case_sensitive: bool,
    unmet_claims: Vec<ClaimReply<'a>>,
    rules: Vec<RuleReply<'a>>,
}

#[derive(Serialize)]
struct ClaimReply<'a> {
    name: &'a str,
    required: &'a [String],
    held: &'a [String],
}

#[derive(Serialize)]
struct RuleReply<'a> {
    path: &'a str,
    capabilities: Vec<&'static str>,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "access-explain",
        aliases: &[],
        success: 200,
        summary: "Show why you or somebody else may do something on a path or not, rule by rule. \
                  Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[
            PATH.spec(),
            TYPE.spec(),
            CAPABILITY.spec(),
            ACCESS_ID.spec(),
            SUB_CLAIMS.spec(),
            ALL_RULES.spec(),
        ],
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let kind = kind(&args.get(&TYPE)?.unwrap_or_else(|| "item".to_owned()))?;
    let path = path(kind, &args.need(&PATH)?);
    let capability = args.get(&CAPABILITY)?.unwrap_or_else(|| "read".to_owned());
    let capability = Capability::from_name(&capability.to_ascii_lowercase())
        .filter(|capability| *capability != Capability::Deny)
        .ok_or_else(|| {
            Fault::bad_request("invalid value of 'capability': name one that a rule can grant")
        })?;
    let claims = condition::sub_claims(&args)?;
    let access_id = args.get(&ACCESS_ID)?.map(|id| access_id(&id)).transpose()?;
    let bearer = match (access_id, claims) {
        (Some(access_id), claims) => {
            Some(SupposedBearer { access_id, claims: claims.unwrap_or_default() })
        }
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Fault::bad_request(
                "'sub-claims' are those of somebody else: name the \
                                           'access-id' as well",
            ));
        }
    };
    let ask = AccessExplain {
        kind,
        path: path.clone(),
        capability,
        bearer,
        all_rules: args.get_or(&ALL_RULES, false)?,
    };
    let told = ctx.ask(ask).await?;
    Answer::json(&Reply {
        allowed: told.verdict.is_granted(),
        reason: reason(&told, kind, &path, capability),
        access_id: told.access_id.as_str(),
        auth_method_name: told.method.as_ref().map(|path| path.bare()),
        held: told.held.iter().map(Capability::name).collect(),
        claims: &told.claims.0,
        roles: told.assocs.iter().map(role_reply).collect(),
        hidden_roles: told.hidden,
        untold_rules: told.untold,
    })
}

fn kind(name: &str) -> Result<RuleKind, Fault> {
    let name = name.to_ascii_lowercase();
    object_kind::named(&name).or_else(|| RuleKind::from_name(&name)).ok_or_else(|| {
        let names: Vec<_> = RuleKind::NAMES.iter().map(|(_, name)| *name).collect();
        Fault::bad_request(format!(
            "invalid value of 'type': it must be one of {}, {}",
            object_kind::TYPES.join(", "),
            names.join(", ")
        ))
    })
}

fn access_id(text: &str) -> Result<AccessId, Fault> {
    AccessId::parse(text)
        .map_err(|bad| Fault::bad_request(format!("invalid value of 'access-id': {bad}")))
}

/// The path with its leading slash; the words of scopes as their paths.
fn path(kind: RuleKind, written: &str) -> String {
    let scope = match written.to_ascii_lowercase().as_str() {
        "own" => Scope::Own,
        "scoped" => Scope::Scoped,
        "all" => Scope::All,
        _ => Scope::None,
    };
    match scope.path().filter(|_| is_administrative(kind)) {
        Some(path) => path.to_owned(),
        None if written.starts_with('/') => written.to_owned(),
        None => format!("/{written}"),
    }
}

fn reason(told: &AccessExplainReply, kind: RuleKind, path: &str, capability: Capability) -> String {
    let (id, wish) =
        (&told.access_id, format!("'{}' on {} {path}", capability.name(), kind.name()));
    let source = |rule: &Option<(keysherd_base::ItemPath, String)>| match rule {
        Some((role, pattern)) => format!("the rule {pattern} of role {}", role.bare()),
        None => "a rule of a role you may not see".to_owned(),
    };
    match &told.verdict {
        Verdict::Owner => format!("{id} owns the account, and so has {wish}"),
        Verdict::Admin(Some(role)) => {
            format!("{id} has the admin role {}, and so has {wish}", role.bare())
        }
        Verdict::Admin(None) => format!("{id} has an admin role, and so has {wish}"),
        Verdict::Granted(rule) => format!("{} grants {id} {wish}", source(rule)),
        Verdict::Denied(rule) => {
            format!("{} denies {id} {wish}, whatever other rules grant", source(rule))
        }
        Verdict::NoRule => format!("no rule that applies to {id} grants {wish}"),
    }
}

fn role_reply(assoc: &AssocExplained) -> RoleReply<'_> {
    let claims = assoc.unmet.iter();
    RoleReply {
        role_name: assoc.role.bare(),
        assoc_id: &assoc.id.0,
        applies: assoc.unmet.is_empty(),
        admin: assoc.admin,
        sub_claims_case_sensitive: assoc.case_sensitive,
        unmet_claims: claims
            .map(|claim| ClaimReply {
                name: &claim.name,
                required: &claim.required,
                held: &claim.held,
            })
            .collect(),
        rules: assoc.rules.iter().map(|(rule, standing)| rule_reply(rule, standing)).collect(),
    }
}

fn rule_reply<'a>(rule: &'a Rule, standing: &'a Standing) -> RuleReply<'a> {
    let (effect, claim) = match standing {
        Standing::Denies => ("denies", None),
        Standing::Grants => ("grants", None),
        Standing::GrantsOther => ("grants other capabilities", None),
        Standing::Expired => ("expired", None),
        Standing::Narrower => ("reaches less far", None),
        Standing::OtherPath => ("covers other paths", None),
        Standing::NoClaimValue(name) => ("needs a value of the claim", Some(name.as_str())),
        Standing::BadPath => ("has a path that cannot be read", None),
        Standing::Powerless => ("has no power", None),
    };
    RuleReply {
        path: &rule.path,
        capabilities: rule.capabilities.iter().map(Capability::name).collect(),
        effect,
        claim,
        expires: rule.expires.map(|at| at.rfc3339()),
    }
}
