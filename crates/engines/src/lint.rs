//! Grants that are wider than their author may think. A lint warns; it forbids nothing.

use crate::statements::Statement;

#[cfg(test)]
mod tests;

/// Attributes and roles that are as good as everything.
const MIGHTY: &[&str] = &[
    "BYPASSRLS",
    "CREATEDB",
    "CREATEROLE",
    "CREATEUSER",
    "PG_EXECUTE_SERVER_PROGRAM",
    "PG_READ_SERVER_FILES",
    "PG_WRITE_SERVER_FILES",
    "RDS_SUPERUSER",
    "REPLICATION",
    "SUPER",
    "SUPERUSER",
];

/// What the author of statements that make a user should know.
pub(crate) fn lint(statements: &[Statement]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, statement) in (1..).zip(statements) {
        for why in about(statement) {
            found.push(format!("creation statement {number} {why}"));
        }
    }
    found
}

/// What the author of statements that remove a user should know.
pub(crate) fn lint_removal(statements: &[Statement]) -> Vec<String> {
    let hands_over = |statement: &Statement| {
        let code = statement.code().to_uppercase();
        let words: Vec<_> = words(&code).collect();
        words.windows(2).any(|pair| pair == ["REASSIGN", "OWNED"])
    };
    let numbered = (1..).zip(statements).filter(|(_, statement)| hands_over(statement));
    let told = numbered.map(|(number, _)| {
        format!(
            "revocation statement {number} hands over what the user made: functions that run as \
             their owner (SECURITY DEFINER) and views get the rights of whoever gets them"
        )
    });
    told.collect()
}

fn about(statement: &Statement) -> Vec<String> {
    let code = statement.code().to_uppercase();
    let words: Vec<_> = words(&code).collect();
    let has = |run: &[&str]| words.windows(run.len()).any(|window| window == run);
    let mut found = Vec::new();
    // `ON ALL TABLES` is about tables; `GRANT ALL` is about what one may do to them.
    if has(&["GRANT", "ALL"]) {
        found.push("grants every privilege (ALL); name those that are needed".to_owned());
    }
    if code.split_whitespace().collect::<String>().contains("*.*") {
        found.push("grants on every table of every database (*.*); name them".to_owned());
    }
    if has(&["GRANT", "OPTION"]) || has(&["ADMIN", "OPTION"]) {
        found.push("lets its user pass rights on (WITH GRANT or ADMIN OPTION)".to_owned());
    }
    if has(&["TO", "PUBLIC"]) {
        found.push("grants to everybody (PUBLIC), and nothing takes that back".to_owned());
    }
    let written: String = statement.texts().collect::<Vec<_>>().join(" ").to_uppercase();
    let all: Vec<_> = self::words(&written).collect();
    for mighty in MIGHTY.iter().filter(|mighty| all.contains(*mighty)) {
        found.push(format!("makes its user mighty ({mighty})"));
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}
