//! Headings under which help texts and reference pages list commands.
//!
//! Presentation only: nothing depends on the topic of a command, so it is read off the words of
//! the command's name.

use crate::command::Spec;

/// Topics with the words that select them; the first match wins.
const TOPICS: &[(&str, &[&str])] = &[
    ("Dynamic secrets", &["dynamic-secret", "producer", "tmp-creds"]),
    ("Rotated secrets", &["rotated-secret", "rotate-secret"]),
    ("KMIP", &["kmip"]),
    ("Events", &["event", "request-access"]),
    ("Authentication methods", &["auth-method", "auth-methods"]),
    ("Roles", &["role", "roles", "assoc", "reverse-rbac", "permissions"]),
    ("Groups", &["group", "groups"]),
    ("Targets", &["target", "targets"]),
    ("Gateways", &["gateway", "gateways", "gw", "cluster"]),
    ("Certificates", &["certificate", "pki", "ssh", "csr", "acme", "ca"]),
    (
        "Sessions and tokens",
        &[
            "auth",
            "configure",
            "token",
            "uid",
            "creds",
            "sub-claims",
            "cert-challenge",
            "access-key",
            "vault-address",
            "alias-details",
        ],
    ),
    (
        "Keys and cryptography",
        &[
            "key",
            "encrypt",
            "decrypt",
            "sign",
            "verify",
            "hmac",
            "tokenize",
            "detokenize",
            "tokenizer",
            "rsa",
        ],
    ),
    ("Audit and analytics", &["audit", "analytics", "unused"]),
    ("Accounts", &["account", "admin"]),
    ("Folders", &["folder"]),
    ("External stores", &["usc", "esm"]),
    ("Policies", &["policy"]),
    ("Items and secrets", &["item", "items", "secret", "secrets", "tags", "objects", "password"]),
];

const OTHER: &str = "Other commands";

/// The heading for a command called `name`.
pub fn topic(name: &str) -> &'static str {
    TOPICS
        .iter()
        .find(|(_, keys)| keys.iter().any(|key| contains_words(name, key)))
        .map_or(OTHER, |(title, _)| title)
}

/// `specs` by topic: topics and the commands of each in alphabetical order, "Other commands" last.
pub fn by_topic<'a>(specs: &[&'a Spec]) -> Vec<(&'static str, Vec<&'a Spec>)> {
    let mut titles: Vec<_> = specs.iter().map(|spec| topic(spec.name)).collect();
    titles.sort_unstable_by_key(|title| (*title == OTHER, *title));
    titles.dedup();
    titles
        .into_iter()
        .map(|title| {
            let mut members: Vec<_> =
                specs.iter().copied().filter(|spec| topic(spec.name) == title).collect();
            members.sort_unstable_by_key(|spec| spec.name);
            (title, members)
        })
        .collect()
}

/// Whether the words of `key` stand in `name` next to each other, as whole words.
fn contains_words(name: &str, key: &str) -> bool {
    name.match_indices(key).any(|(start, _)| {
        let before = name.get(..start).unwrap_or_default();
        let after = name.get(start + key.len()..).unwrap_or_default();
        (before.is_empty() || before.ends_with('-')) && (after.is_empty() || after.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_whole_words() {
        let cases = [
            ("create-secret", "Items and secrets"),
            ("create-dynamic-secret", "Dynamic secrets"),
            ("gateway-create-producer-mysql", "Dynamic secrets"),
            ("gateway-get-config", "Gateways"),
            ("create-auth-method-saml", "Authentication methods"),
            ("assoc-role-am", "Roles"),
            ("uid-generate-token", "Sessions and tokens"),
            ("tokenize-batch", "Keys and cryptography"),
            ("create-dfc-key", "Keys and cryptography"),
            ("calc-password-security-info", "Items and secrets"),
            ("audit-search", "Audit and analytics"),
            ("doctor", "Other commands"),
        ];
        for (name, title) in cases {
            assert_eq!(topic(name), title, "{name}");
        }
    }
}
