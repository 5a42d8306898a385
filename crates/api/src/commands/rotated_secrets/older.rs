//! `create-rotated-secret`, `update-rotated-secret` and `gateway-update-item`: older spellings,
//! with one flat body for all kinds. Which one is meant follows from the target or the secret.

use std::collections::BTreeSet;

use keysherd_base::Fault;
use keysherd_engines::rotator::Rotator;
use keysherd_engines::rotators;
use keysherd_wire::{
    Access, Answer, Args, Body, Field, FieldSpec, Flag, Group, List, Show, Spec, Text, bad_setting,
};
use serde_json::Value;

use super::create::{ROTATOR_TYPE, TARGET_NAME, Wanted, command};
use super::shared::{ACTOR, GRACEFUL, HOUR, SESSIONS, SHARED};
use super::update::{KEEP_PREVIOUS, update};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::OpenedTarget;
use crate::fields::{ADD_TAG, DESCRIPTION, NAME, NEW_NAME, RM_TAG, SESSION, TAGS};

const METADATA: Field<Text> = Field::text("metadata", "An older name of description.");
const NEW_METADATA: Field<Text> =
    Field::text("new-metadata", "An older name of description.").sentinel("default_metadata");
const CREDS_TYPE: Field<Text> = Field::text(
    "rotator-creds-type",
    "An older name of authentication-credentials, with use-self-creds or use-target-creds.",
);
const NEW_VERSION: Field<Flag> =
    Field::flag("new-version", "Whether the version before is kept says keep-prev-version.")
        .inert();
const SSH_USERNAME: Field<Text> =
    Field::text("ssh-username", "An older name of rotated-username, for SSH servers.");
const SSH_PASSWORD: Field<Text> =
    Field::text("ssh-password", "An older name of rotated-password, for SSH servers.").secret();
const APP_ID: Field<Text> = Field::text("app-id", "An older name of application-id.");
/// What `gateway-update-item` changes.
const ITEM_TYPE: Field<Text> = Field::text(
    "type",
    "What the item is: rotated-secret; items of other types have update commands of their own.",
)
.required();
const ROTATED: &str = "rotated-secret";
/// What they stand for.
const APPLICATION: &str = "application-id";
const USERNAME: &str = "rotated-username";
const PASSWORD: &str = "rotated-password";

/// A field that V2 has for kinds that are not there.
const fn text(name: &'static str) -> FieldSpec {
    Field::<Text>::text(name, "No kind that is served has it.").inert().spec()
}

/// The same for a flag.
const fn switch(name: &'static str) -> FieldSpec {
    Field::<Flag>::flag(name, "No kind that is served has it.").inert().spec()
}

/// V2's fields of single kinds: those that a member has are the member's.
static OF_KINDS: &[FieldSpec] = &[
    text("ProviderType"),
    text("api-id"),
    Field::<Text>::text("api-key", "No kind that is served has it.").secret().inert().spec(),
    text("application-id"),
    text("aws-region"),
    Field::<Text>::text("custom-payload", "No kind that is served has it.").secret().inert().spec(),
    Field::<Text>::text("gcp-key", "No kind that is served has it.").secret().inert().spec(),
    text("gcp-service-account-email"),
    text("gcp-service-account-key-id"),
    text("host-provider"),
    text("password-length"),
    text("rotator-custom-cmd"),
    text("same-password"),
    switch("secure-access-allow-external-user"),
    switch("secure-access-allow-port-forwading"),
    switch("secure-access-allow-port-forwarding"),
    text("secure-access-aws-account-id"),
    switch("secure-access-aws-native-cli"),
    text("secure-access-bastion-issuer"),
    text("secure-access-certificate-issuer"),
    text("secure-access-db-name"),
    text("secure-access-db-schema"),
    switch("secure-access-disable-concurrent-connections"),
    text("secure-access-enable"),
    switch("secure-access-enforce-hosts-restriction"),
    Field::<List>::list("secure-access-host", "No kind that is served has it.").inert().spec(),
    text("secure-access-rdp-domain"),
    text("secure-access-rdp-user"),
    text("secure-access-url"),
    switch("secure-access-use-internal-bastion"),
    switch("secure-access-use-internal-ssh-access"),
    switch("secure-access-web"),
    switch("secure-access-web-browsing"),
    switch("secure-access-web-proxy"),
    text("storage-account-key-name"),
    Field::<List>::list("target", "No kind that is served has it.").inert().spec(),
    text("user-attribute"),
    text("user-dn"),
];

/// What the older name of who changes credentials has where nobody gave it.
const SELF: &str = "use-self-creds";

/// The commands.
pub(super) fn commands() -> [&'static ApiCommand; 3] {
    let own = [NAME, TARGET_NAME, ROTATOR_TYPE, METADATA].map(|field| field.spec());
    let own = [&own[..], &[TAGS.spec()]].concat();
    let shown = ("create", "The rotated secret {name} was successfully created");
    let summary = "Make a rotated secret of the kind that its target takes.";
    let name = ("create-rotated-secret", 200);
    let create = spec(name, (summary, "CreateRotatedSecretOutput"), own, shown);
    let own = [NAME, NEW_NAME, NEW_METADATA].map(|field| field.spec());
    let more = [ADD_TAG.spec(), RM_TAG.spec(), KEEP_PREVIOUS.spec(), NEW_VERSION.spec()];
    let own = [&own[..], &more].concat();
    let shown = ("update", "The rotated secret {name} was successfully updated");
    let summary = "Change a rotated secret of any kind; what is not given stays, also who changes \
                   it where rotator-creds-type is use-self-creds, which official clients send when \
                   nobody gave it (authentication-credentials says it).";
    let name = ("update-rotated-secret", 200);
    let change = spec(name, (summary, "UpdateRotatedSecretOutput"), own.clone(), shown);
    let own = [&own[..], &[ITEM_TYPE.spec(), APP_ID.spec()]].concat();
    let summary = "Change a rotated secret of any kind; what is not given stays, also the hour \
                   where rotation-hour is 0, and who changes it where rotator-creds-type is \
                   use-self-creds, which official clients send when nobody gave them.";
    let name = ("gateway-update-item", 201);
    let item = spec(name, (summary, "GatewayUpdateItemOutput"), own, shown);
    [
        command(create, |ctx: Ctx, args: Args| {
            Box::pin(async move { make(&ctx, translated(args, &METADATA)?).await })
        }),
        command(change, |ctx: Ctx, args: Args| {
            Box::pin(async move { update(None, &ctx, &changed(args)?).await })
        }),
        command(item, |ctx: Ctx, args: Args| {
            Box::pin(async move { update(None, &ctx, &of_item(args)?).await })
        }),
    ]
}

/// The arguments of an update under the names that the current spelling has for them.
fn changed(mut args: Args) -> Result<Args, Fault> {
    if args.get(&CREDS_TYPE)?.as_deref() == Some(SELF) {
        args.put(CREDS_TYPE.name(), Value::Null);
    }
    translated(args, &NEW_METADATA)
}

/// The arguments of `gateway-update-item` under the names that the current spelling has for them.
fn of_item(args: Args) -> Result<Args, Fault> {
    let of = args.need(&ITEM_TYPE)?.replace('_', "-");
    if !of.eq_ignore_ascii_case(ROTATED) {
        let why = "it must be rotated-secret; items of other types have update commands of their \
                   own, such as update-item and dynamic-secret-update-*";
        return Err(bad_setting(ITEM_TYPE.name(), why));
    }
    let mut args = changed(args)?;
    if args.get(&HOUR)? == Some(0) {
        args.put(HOUR.name(), Value::Null);
    }
    Ok(args)
}

fn spec(
    (name, success): (&'static str, u16),
    (summary, reply): (&'static str, &'static str),
    own: Vec<FieldSpec>,
    (capability, show): (&'static str, &'static str),
) -> Spec {
    static GROUPS: [&Group; 4] = [&SESSION, &SHARED, &SESSIONS, &GRACEFUL];
    let mut fields = own;
    fields.extend([CREDS_TYPE.spec(), SSH_USERNAME.spec(), SSH_PASSWORD.spec()]);
    let mut names: BTreeSet<_> = GROUPS
        .iter()
        .flat_map(|group| group.fields)
        .chain(&fields)
        .map(|field| field.name)
        .collect();
    let members = rotators::all().iter().map(|rotator| rotator.kind());
    let of_members = members
        .flat_map(|kind| [kind.given, kind.fields, kind.remote])
        .flat_map(|group| group.fields)
        // What one kind demands is none of the others' business; it says so itself.
        .map(|field| FieldSpec { required: false, ..*field });
    let of_kinds = of_members.chain(OF_KINDS.iter().copied());
    fields.extend(of_kinds.filter(|field| names.insert(field.name)));
    Spec {
        name,
        aliases: &[],
        success,
        summary,
        groups: &GROUPS,
        fields: fields.leak(),
        reply,
        access: Access::Right("item-rule", capability),
        body: Body::Object,
        show: Show::Sentence(show),
    }
}

/// The arguments under the names that the current spelling has for them.
fn translated(mut args: Args, description: &Field<Text>) -> Result<Args, Fault> {
    // Official clients send the default of the current name along with the older one.
    for (older, current, wins) in [
        (&CREDS_TYPE, ACTOR.name(), true),
        (description, DESCRIPTION.name(), false),
        (&SSH_USERNAME, USERNAME, false),
        (&SSH_PASSWORD, PASSWORD, false),
        (&APP_ID, APPLICATION, false),
    ] {
        let Some(given) = args.get(older)? else { continue };
        let is_given = |value: &Value| !value.is_null() && value != "";
        if wins || !args.raw(current).is_some_and(is_given) {
            args.put(current, given.into());
        }
    }
    Ok(args)
}

async fn make(ctx: &Ctx, mut args: Args) -> Result<Answer, Fault> {
    let wanted = Wanted::read(&args)?;
    let name = args.need(&ROTATOR_TYPE)?;
    let target = wanted.opened_target(ctx).await?;
    let fitting =
        |rotator: &&'static dyn Rotator| Some((*rotator, type_in(*rotator, &name, &target)?));
    let (rotator, of) = rotators::all().iter().find_map(fitting).ok_or_else(|| no_kind(&target))?;
    args.put(ROTATOR_TYPE.name(), of.into());
    wanted.create(ctx, &args, (rotator, target)).await
}

/// What a member calls the type of that name, if it works with the target. Kinds with one type
/// only are named after themselves.
fn type_in(rotator: &dyn Rotator, name: &str, target: &OpenedTarget) -> Option<&'static str> {
    let kind = rotator.kind();
    let fits = kind.targets.contains(&target.works_as());
    let alone = || kind.types.first().filter(|_| kind.name == name);
    kind.type_of(name).or_else(alone).filter(|_| fits).map(|of| of.name)
}

fn no_kind(target: &OpenedTarget) -> Fault {
    let of_target = rotators::all().iter().map(|rotator| rotator.kind());
    let of_target = of_target.filter(|kind| kind.targets.contains(&target.works_as()));
    let types: BTreeSet<_> = of_target.flat_map(|kind| kind.types).map(|of| of.name).collect();
    if types.is_empty() {
        let why = format!("nothing is rotated on targets of type {}", target.works_as());
        return bad_setting(TARGET_NAME.name(), &why);
    }
    let types: Vec<_> = types.into_iter().collect();
    let on = target.works_as();
    let why = format!("on a target of type {on} it must be {}", types.join(" or "));
    bad_setting(ROTATOR_TYPE.name(), &why)
}
