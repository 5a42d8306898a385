//! Which grants are warned of.

use super::*;
use crate::statements::{Dialect, parse};

fn warnings(text: &str, dialect: Dialect) -> Vec<String> {
    lint(&parse("creation-statements", text, dialect).unwrap())
}

#[test]
fn grants_that_are_too_wide_are_named_with_their_statement() {
    for (text, dialect, part) in [
        ("a '{{name}}'; GRANT ALL ON x TO y", Dialect::Postgres, "statement 2 grants every"),
        ("grant all privileges on x to y", Dialect::Postgres, "ALL"),
        ("GRANT SELECT ON * . * TO '{{name}}'", Dialect::Mysql, "*.*"),
        ("GRANT x TO y WITH GRANT OPTION", Dialect::Postgres, "OPTION"),
        ("GRANT x TO y WITH ADMIN OPTION", Dialect::Postgres, "OPTION"),
        ("GRANT x TO PUBLIC", Dialect::Postgres, "PUBLIC"),
        ("CREATE USER x SUPERUSER", Dialect::Postgres, "SUPERUSER"),
        ("CREATE USER x createrole", Dialect::Postgres, "CREATEROLE"),
        ("GRANT \"pg_execute_server_program\" TO x", Dialect::Postgres, "PG_EXECUTE"),
        ("GRANT/**/ALL ON x TO y", Dialect::Postgres, "ALL"),
    ] {
        let found = warnings(text, dialect);
        assert!(found.iter().any(|warning| warning.contains(part)), "{text}: {found:?}");
    }
}

#[test]
fn narrow_grants_are_not() {
    for text in [
        "CREATE USER \"{{name}}\" WITH PASSWORD '{{password}}' NOSUPERUSER NOCREATEDB",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\"",
        "GRANT SELECT, INSERT ON app.orders TO \"{{name}}\"",
        "COMMENT ON ROLE \"{{name}}\" IS 'GRANT ALL TO PUBLIC'",
        "SELECT 1 -- GRANT ALL",
    ] {
        assert_eq!(warnings(text, Dialect::Postgres), Vec::<String>::new(), "{text}");
    }
}
