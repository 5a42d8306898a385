//! Fields that several members share, each written once.

use keysherd_base::Fault;
use keysherd_wire::{Field, FieldSpec, Flag, Group, Int, List, Settings, Text, bad_setting};
use serde_json::{Map, Value};

use crate::{Kind, TargetUse};

/// How long credentials live.
pub(crate) const USER_TTL: Field<Text> =
    Field::text("user-ttl", "How long credentials live, such as 30s, 15m or 4h.").default("60m");
/// The name of the protection key.
pub(crate) const KEY_NAME: Field<Text> = Field::text(
    "producer-encryption-key-name",
    "The key that protects the settings; none: the account's default.",
);
/// None: V2 has no such field for the kind, and the account's default protects the settings.
pub(crate) const KEY_NONE: Field<Text> = KEY_NAME.inert();
/// The name of the protection key, as PostgreSQL's and Redshift's commands spell it.
pub(crate) const KEY: Field<Text> = Field::text(
    "producer-encryption-key",
    "The key that protects the settings; none: the account's default.",
);
/// How names of users are made.
pub(crate) const CUSTOM_USERNAME_TEMPLATE: Field<Text> = Field::text(
    "custom-username-template",
    "How names of users begin, such as {{ .DynamicSecretName | lowercase | truncate 12 }}; a part \
     of the lease's id is always added.",
);
pub(crate) const PASSWORD_LENGTH: Field<Text> =
    Field::text("password-length", "Characters of a password, 8 to 128.").default("24");
pub(crate) const USE_CAPITAL_LETTERS: Field<Text> =
    Field::text("use-capital-letters", "Whether passwords have capital letters.").default("true");
pub(crate) const USE_LOWER_LETTERS: Field<Text> =
    Field::text("use-lower-letters", "Whether passwords have small letters.").default("true");
pub(crate) const USE_NUMBERS: Field<Text> =
    Field::text("use-numbers", "Whether passwords have digits.").default("true");
pub(crate) const USE_SPECIAL_CHARACTERS: Field<Text> = Field::text(
    "use-special-characters",
    "Whether passwords have special characters, none of them a quote, a backslash, ; or $.",
)
.default("false");

/// Whether all hosts of a target get one password.
pub(crate) const SAME_PASSWORD: Field<Text> = Field::text(
    "same-password",
    "Whether all hosts of a linked target get one password: true or false.",
);

/// Which classes of characters there are, with what V2 shows them as.
pub(crate) const CLASSES: [(&str, Field<Text>); 4] = [
    ("use_capital_letters", USE_CAPITAL_LETTERS),
    ("use_lower_letters", USE_LOWER_LETTERS),
    ("use_numbers", USE_NUMBERS),
    ("use_special_characters", USE_SPECIAL_CHARACTERS),
];

/// How V2 shows a password policy: `password_length`, and the members of `PasswordPolicyInfo`.
pub fn password_policy(settings: &Settings) -> (Option<i64>, Map<String, Value>) {
    let mut info = Map::new();
    let length = settings.text(&PASSWORD_LENGTH).and_then(|text| text.parse::<i64>().ok());
    if let Some(length) = length {
        info.insert("password_length".to_owned(), length.into());
    }
    for (name, field) in CLASSES {
        if let Some(text) = settings.text(&field) {
            info.insert(name.to_owned(), text.eq_ignore_ascii_case("true").into());
        }
    }
    (length, info)
}

/// A field of V2's remote access.
macro_rules! remote {
    ($($constant:ident, $function:ident, $kind:ty, $name:literal;)*) => {
        $(
            const $constant: Field<$kind> =
                Field::$function($name, "Accepted; remote access is not served yet.").inert();
        )*
    };
}

remote! {
    REMOTE_ISSUER_OLD, text, Text, "secure-access-bastion-issuer";
    REMOTE_ISSUER, text, Text, "secure-access-certificate-issuer";
    REMOTE_DB_NAME, text, Text, "secure-access-db-name";
    REMOTE_DB_SCHEMA, text, Text, "secure-access-db-schema";
    REMOTE_DELAY, int, Int, "secure-access-delay";
    REMOTE_ENABLE, text, Text, "secure-access-enable";
    REMOTE_HOST, list, List, "secure-access-host";
    REMOTE_WEB, flag, Flag, "secure-access-web";
    REMOTE_URL, text, Text, "secure-access-url";
    REMOTE_BROWSING, flag, Flag, "secure-access-web-browsing";
    REMOTE_PROXY, flag, Flag, "secure-access-web-proxy";
    REMOTE_ALONE, flag, Flag, "secure-access-disable-concurrent-connections";
    REMOTE_ENFORCE, flag, Flag, "secure-access-enforce-hosts-restriction";
    REMOTE_DESKTOP_GATEWAY, text, Text, "secure-access-rd-gateway-server";
    REMOTE_DESKTOP_DOMAIN, text, Text, "secure-access-rdp-domain";
    REMOTE_PROVIDER, text, Text, "host-provider";
    REMOTE_PROVIDER_TYPE, text, Text, "ProviderType";
    REMOTE_TARGETS, list, List, "target";
    REMOTE_PARENT, text, Text, "block-parent-target-access";
    REMOTE_FORWARDING_OLD, flag, Flag, "secure-access-allow-port-forwading";
    REMOTE_FORWARDING, flag, Flag, "secure-access-allow-port-forwarding";
    REMOTE_CLUSTER, text, Text, "secure-access-cluster-endpoint";
    REMOTE_DASHBOARD, text, Text, "secure-access-dashboard-url";
    REMOTE_AWS_ACCOUNT, text, Text, "secure-access-aws-account-id";
    REMOTE_AWS_CLI, flag, Flag, "secure-access-aws-native-cli";
    REMOTE_EXTERNAL, flag, Flag, "secure-access-allow-external-user";
    REMOTE_DESKTOP_USER, text, Text, "secure-access-rdp-user";
    REMOTE_SSH_CREDS, text, Text, "secure-access-ssh-creds";
    REMOTE_SSH_USER, text, Text, "secure-access-ssh-user";
    REMOTE_TARGET_TYPE, text, Text, "secure-access-target-type";
}

/// Remote access to databases with schemas.
pub(crate) static REMOTE_SCHEMAS: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DB_NAME.spec(),
    REMOTE_DB_SCHEMA.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_WEB.spec(),
]);

/// Remote access to databases with schemas, by users that stay.
pub(crate) static REMOTE_STAYING_SCHEMAS: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DB_NAME.spec(),
    REMOTE_DB_SCHEMA.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_WEB.spec(),
]);

/// Remote access to databases without schemas, by users that stay.
pub(crate) static REMOTE_STAYING: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DB_NAME.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_WEB.spec(),
]);

/// Remote access to a database, by users that stay, without pages.
pub(crate) static REMOTE_STAYING_HOSTS: Group =
    remote(&[REMOTE_DB_NAME.spec(), REMOTE_ENABLE.spec(), REMOTE_HOST.spec()]);

/// Remote access that only has hosts.
pub(crate) static REMOTE_HOSTS: Group = remote(&[REMOTE_ENABLE.spec(), REMOTE_HOST.spec()]);

/// Remote access to databases without schemas.
pub(crate) static REMOTE_DATABASES: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DB_NAME.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_WEB.spec(),
]);

/// Remote access to pages.
pub(crate) static REMOTE_PAGES: Group = remote(&[
    REMOTE_ENABLE.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// Remote access to pages, by users that stay.
pub(crate) static REMOTE_STAYING_PAGES: Group = remote(&[
    REMOTE_ALONE.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// Remote access to machines of a directory.
pub(crate) static REMOTE_DIRECTORIES: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_GATEWAY.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to the desktops of machines.
pub(crate) static REMOTE_DESKTOPS: Group = remote(&[
    REMOTE_EXTERNAL.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_GATEWAY.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_DESKTOP_USER.spec(),
    REMOTE_PARENT.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to machines of a directory, by users that stay.
pub(crate) static REMOTE_STAYING_DIRECTORIES: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to the desktops of machines, by users that stay.
pub(crate) static REMOTE_STAYING_DESKTOPS: Group = remote(&[
    REMOTE_EXTERNAL.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_DESKTOP_USER.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to machines, by users that stay.
pub(crate) static REMOTE_STAYING_MACHINES: Group = remote(&[
    REMOTE_EXTERNAL.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_DESKTOP_USER.spec(),
    REMOTE_SSH_CREDS.spec(),
    REMOTE_SSH_USER.spec(),
    REMOTE_TARGET_TYPE.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to whatever a webhook stands for, by users that stay.
pub(crate) static REMOTE_STAYING_ANYTHING: Group = remote(&[
    REMOTE_EXTERNAL.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_ENFORCE.spec(),
    REMOTE_HOST.spec(),
    REMOTE_DESKTOP_DOMAIN.spec(),
    REMOTE_DESKTOP_USER.spec(),
    REMOTE_SSH_USER.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
    REMOTE_PROVIDER.spec(),
    REMOTE_PROVIDER_TYPE.spec(),
    REMOTE_TARGETS.spec(),
]);

/// Remote access to AWS, by users that stay.
pub(crate) static REMOTE_STAYING_AWS: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_AWS_ACCOUNT.spec(),
    REMOTE_AWS_CLI.spec(),
    REMOTE_ENABLE.spec(),
]);

/// Remote access to AWS.
pub(crate) static REMOTE_AWS: Group = remote(&[
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_AWS_ACCOUNT.spec(),
    REMOTE_AWS_CLI.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// Remote access to clusters.
pub(crate) static REMOTE_CLUSTERS: Group = remote(&[
    REMOTE_FORWARDING_OLD.spec(),
    REMOTE_FORWARDING.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_CLUSTER.spec(),
    REMOTE_DASHBOARD.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// Remote access to clusters without consoles.
pub(crate) static REMOTE_PLAIN_CLUSTERS: Group = remote(&[
    REMOTE_FORWARDING_OLD.spec(),
    REMOTE_FORWARDING.spec(),
    REMOTE_ISSUER_OLD.spec(),
    REMOTE_ISSUER.spec(),
    REMOTE_CLUSTER.spec(),
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_WEB.spec(),
]);

/// Remote access to the console of a cloud.
pub(crate) static REMOTE_CONSOLE: Group = remote(&[
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_URL.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// Remote access to the pages of a cloud.
pub(crate) static REMOTE_WORKSPACE: Group = remote(&[
    REMOTE_DELAY.spec(),
    REMOTE_ENABLE.spec(),
    REMOTE_URL.spec(),
    REMOTE_WEB.spec(),
    REMOTE_BROWSING.spec(),
    REMOTE_PROXY.spec(),
]);

/// No remote access.
pub(crate) static REMOTE_NONE: Group = remote(&[]);

/// Demands a target of a type that the engine works with.
///
/// # Errors
/// [`Fault::bad_request`] says which types those are.
pub(crate) fn need_type(kind: &Kind, target: &TargetUse<'_>) -> Result<(), Fault> {
    need_one_of(kind.targets, target)
}

/// The same for a rotator.
///
/// # Errors
/// As [`need_type`].
pub(crate) fn need_one_of(targets: &[&str], target: &TargetUse<'_>) -> Result<(), Fault> {
    if targets.contains(&target.type_name) {
        return Ok(());
    }
    let (given, wanted) = (target.type_name, targets.join(" or "));
    let why = format!("the target is of type {given}; it must be {wanted}");
    Err(bad_setting("target-name", &why))
}

const fn remote(fields: &'static [FieldSpec]) -> Group {
    Group { title: "Remote access", fields }
}
