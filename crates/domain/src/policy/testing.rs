//! What the tests of the policy share: short builders, and the definition of matching spelled out.

use std::collections::BTreeMap;

use keysherd_base::{AccountId, ItemPath, Timestamp};

use super::rule_set::RuleSet;
use crate::claims::SubClaims;
use crate::role::{Capabilities, Capability, Role, Rule, RuleKind};

/// The present of all tests.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

/// `"u=a,b g=x"` as claims.
pub(crate) fn claims(text: &str) -> SubClaims {
    let claim = |part: &str| {
        let (name, values) = part.split_once('=').unwrap();
        (name.to_owned(), values.split(',').map(str::to_owned).collect())
    };
    SubClaims(text.split_whitespace().map(claim).collect())
}

/// `"read,list"` as capabilities.
pub(crate) fn capabilities(text: &str) -> Capabilities {
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(|name| Capability::from_name(name).unwrap())
        .collect()
}

/// A lasting rule.
pub(crate) fn rule(kind: RuleKind, path: &str, granted: &str) -> Rule {
    Rule { kind, path: path.to_owned(), capabilities: capabilities(granted), expires: None }
}

/// `["/a/* read", "/a/b deny"]` as item rules.
pub(crate) fn item_rules(texts: &[&str]) -> Vec<Rule> {
    let parse = |text: &&str| {
        let (path, granted) = text.rsplit_once(' ').unwrap();
        rule(RuleKind::Item, path, granted)
    };
    texts.iter().map(parse).collect()
}

/// A role with these rules.
pub(crate) fn role(id: i64, rules: Vec<Rule>) -> Role {
    Role {
        id,
        account: AccountId::default(),
        path: ItemPath::parse(&format!("role-{id}")).unwrap(),
        comment: String::new(),
        admin: false,
        rules,
        delete_protection: false,
        created: NOW,
        modified: NOW,
    }
}

/// The admin role.
pub(crate) fn admin_role() -> Role {
    Role { path: ItemPath::parse("admin").unwrap(), admin: true, ..role(0, Vec::new()) }
}

/// The rule set of a bearer with one role, in the case-sensitive way.
pub(crate) fn bearer(rules: Vec<Rule>, claims: &SubClaims) -> RuleSet {
    RuleSet::compile([(&role(1, rules), true)], claims)
}

/// What a written pattern consists of once its claims have values.
enum Token {
    Char(char),
    /// A character of a claim value in a case-insensitive association.
    AnyCase(char),
    Plus,
    Star,
}

/// Whether `pattern` matches `path` for the bearer of `claims`: the definition, spelled out by
/// writing down the path for each choice of values and comparing character by character.
pub(crate) fn defined_match(
    pattern: &str,
    path: &str,
    claims: &SubClaims,
    case_sensitive: bool,
) -> bool {
    let mut names: Vec<&str> =
        pattern.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0).collect();
    names.sort_unstable();
    names.dedup();
    let mut choices = vec![BTreeMap::new()];
    for name in names {
        let mut longer = Vec::new();
        for value in claims.values(name) {
            if value.is_empty() || value.contains('/') {
                continue;
            }
            for choice in &choices {
                let mut choice: BTreeMap<&str, &str> = choice.clone();
                choice.insert(name, value);
                longer.push(choice);
            }
        }
        choices = longer;
    }
    let path: Vec<char> = path.chars().collect();
    choices.iter().any(|choice| spelled(&tokens(pattern, choice, case_sensitive), &path))
}

fn tokens(pattern: &str, choice: &BTreeMap<&str, &str>, case_sensitive: bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if let Some(template) = rest.strip_prefix("{{") {
            let (name, after) = template.split_once("}}").unwrap();
            let token = if case_sensitive { Token::Char } else { Token::AnyCase };
            tokens.extend(choice[name].chars().map(token));
            rest = after;
            continue;
        }
        let after = &rest[next.len_utf8()..];
        let whole = tokens.last().is_some_and(|token| matches!(token, Token::Char('/')))
            && (after.is_empty() || after.starts_with('/'));
        tokens.push(match next {
            '+' if whole => Token::Plus,
            '*' => Token::Star,
            other => Token::Char(other),
        });
        rest = after;
    }
    tokens
}

fn spelled(tokens: &[Token], path: &[char]) -> bool {
    match (tokens.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Token::Star, _)), _) => true,
        (Some((Token::Plus, tokens)), Some(_)) => {
            let end = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            end > 0 && spelled(tokens, &path[end..])
        }
        (Some((Token::Char(expected), tokens)), Some((actual, path))) => {
            expected == actual && spelled(tokens, path)
        }
        (Some((Token::AnyCase(expected), tokens)), Some((actual, path))) => {
            expected.eq_ignore_ascii_case(actual) && spelled(tokens, path)
        }
        _ => false,
    }
}
