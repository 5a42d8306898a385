//! Attacks on statements, first; then what statements are.

use keysherd_base::SecretString;
use proptest::prelude::*;

use super::*;

const FIELD: &str = "creation-statements";

/// What a name, a claim or a password could be to end a quote.
const HOSTILE: &[&str] = &[
    "'; DROP TABLE users; --",
    "\"; DROP TABLE users; --",
    "`; DROP TABLE users; #",
    "' OR '1'='1",
    "''",
    "'",
    "\"",
    "a\\",
    "a\\'",
    "a\0b",
    "a\nb",
    "a\r\n--",
    "$$; DROP USER x; $$",
    "$tag$",
    "*/ DROP /*",
    "--",
    "{{password}}",
    "{{name}}",
    "ʼ; DROP",
    "’; DROP",
    "＇; DROP",
    "\u{202e}; DROP",
    "x\u{7f}",
    "",
];

fn one(text: &str, dialect: Dialect) -> Statement {
    let mut parsed = parse(FIELD, text, dialect).unwrap();
    assert_eq!(parsed.len(), 1, "{text}");
    parsed.remove(0)
}

fn filled(statement: &Statement, name: &str, password: &str, host: &str) -> Result<String, Fault> {
    let password = SecretString::new(password.to_owned());
    let values = Values { name, password: Some(&password), user_host: host };
    statement.filled(&values).map(|text| text.expose().clone())
}

/// How a server reads a text: where its statements end, and what its strings are. Written apart
/// from the reader that is tested, and simpler, since what it reads has no comments.
fn read(text: &str, dialect: Dialect) -> (usize, Vec<String>) {
    let (mut statements, mut strings) = (1, Vec::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ';' => statements += 1,
            '\'' | '"' | '`' | '[' => {
                let escapes = matches!(dialect, Dialect::Redshift | Dialect::Mysql) && c != '`';
                let c = if c == '[' { ']' } else { c };
                let mut string = String::new();
                loop {
                    match chars.next() {
                        None => {
                            string.push_str("<no end>");
                            break;
                        }
                        Some('\\') if escapes => string.extend(chars.next()),
                        Some(d) if d == c && chars.peek() == Some(&c) => {
                            string.extend(chars.next())
                        }
                        Some(d) if d == c => break,
                        Some(d) => string.push(d),
                    }
                }
                strings.push(string);
            }
            _ => {}
        }
    }
    (statements, strings)
}

#[test]
fn nothing_ends_a_quote_that_was_not_written_there() {
    let all = [Dialect::Postgres, Dialect::Redshift, Dialect::Mysql, Dialect::Mssql, Dialect::Hana];
    for dialect in all {
        for text in [
            "CREATE USER \"{{name}}\" WITH PASSWORD '{{password}}'",
            "CREATE USER {{name}} IDENTIFIED BY {{password}}",
            "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'",
            "CREATE USER '{{userHost}}' IDENTIFIED BY 'x{{password}}y'",
        ] {
            let statement = one(text, dialect);
            let good = read(&filled(&statement, "name", "name", "name").unwrap(), dialect);
            for hostile in HOSTILE {
                let Ok(made) = filled(&statement, hostile, hostile, hostile) else { continue };
                let (statements, strings) = read(&made, dialect);
                assert_eq!((statements, strings.len()), (1, good.1.len()), "{made}");
                for (found, plain) in strings.iter().zip(&good.1) {
                    assert_eq!(found, &plain.replace("name", hostile), "{made}");
                }
            }
        }
    }
}

#[test]
fn names_in_brackets_end_where_they_were_to_end() {
    let statement = one("CREATE LOGIN [{{name}}] WITH PASSWORD = '{{password}}'", Dialect::Mssql);
    for (name, password, made) in [
        ("a", "b", "CREATE LOGIN [a] WITH PASSWORD = 'b'"),
        ("a]; DROP", "b';x", "CREATE LOGIN [a]]; DROP] WITH PASSWORD = 'b'';x'"),
        ("a[']\"", "]]", "CREATE LOGIN [a[']]\"] WITH PASSWORD = ']]'"),
    ] {
        assert_eq!(filled(&statement, name, password, "h").unwrap(), made);
    }
    let bare = one("DROP LOGIN {{name}}", Dialect::Mssql);
    assert_eq!(filled(&bare, "a]b", "p", "h").unwrap(), "DROP LOGIN [a]]b]");
    let two = parse(FIELD, "SELECT ';[', [a;]]'], \"]\"; DROP [b]", Dialect::Mssql).unwrap();
    assert_eq!(two.len(), 2);
    assert!(parse(FIELD, "DROP [a]]", Dialect::Mssql).is_err());
}

#[test]
fn what_no_escape_is_certain_for_is_refused() {
    let statement = one("CREATE USER \"{{name}}\" PASSWORD '{{password}}'", Dialect::Postgres);
    for bad in ["a\\", "a\\'", "a\0b", "a\nb", "a\rb", "x\u{7f}", "\u{85}", ""] {
        assert!(filled(&statement, bad, "p", "h").is_err(), "{bad:?}");
        let fault = filled(&statement, "n", bad, "h").unwrap_err();
        assert!(bad.is_empty() || !fault.public().contains(bad), "{fault}");
    }
    assert!(filled(&statement, &"x".repeat(1_025), "p", "h").is_err());
}

#[test]
fn what_is_read_again_gets_plain_characters_only() {
    for (text, dialect) in [
        ("DO $$ BEGIN EXECUTE 'x {{name}}'; END $$", Dialect::Postgres),
        ("DO $body$ BEGIN PERFORM '{{name}}'; END $body$", Dialect::Postgres),
        ("SELECT 1 /* {{name}} */", Dialect::Postgres),
        ("SELECT 1 /* /* */ {{name}} */", Dialect::Postgres),
        ("SELECT 1 -- {{name}}", Dialect::Mysql),
        ("SELECT 1 # {{name}}", Dialect::Mysql),
        ("SELECT 1 /* !50000 {{name}} */", Dialect::Mysql),
    ] {
        let statement = one(text, dialect);
        assert!(filled(&statement, "tmp.p-1_x@y", "p", "h").is_ok(), "{text}");
        for hostile in ["a'b", "a\"b", "a b", "a;b", "a$$b", "*/", "ü", "a`b", "a\nb"] {
            assert!(filled(&statement, hostile, "p", "h").is_err(), "{text} {hostile}");
        }
    }
}

#[test]
fn statements_are_divided_outside_of_quotes_before_anything_is_filled_in() {
    for (text, dialect, count) in [
        ("a; b", Dialect::Postgres, 2),
        ("a;; ;b;", Dialect::Postgres, 2),
        ("a ';' b; c", Dialect::Postgres, 2),
        ("a ''';' b; c", Dialect::Postgres, 2),
        ("a '\\'; b", Dialect::Postgres, 2),
        ("a E'\\'; b'", Dialect::Postgres, 1),
        ("a e'\\\\'; b", Dialect::Postgres, 2),
        ("a name'\\'; b", Dialect::Postgres, 2),
        ("a '\\'; b'", Dialect::Redshift, 1),
        ("a '\\'; b'", Dialect::Mysql, 1),
        ("a \"\\\"; b\"", Dialect::Mysql, 1),
        ("a `\\`; b", Dialect::Mysql, 2),
        ("a \";\" b; c", Dialect::Postgres, 2),
        ("a $$ ; $$; b", Dialect::Postgres, 2),
        ("a $x$ ; $$ ; $y$ ; $x$; b", Dialect::Postgres, 2),
        ("a$x$; b", Dialect::Postgres, 2),
        ("a $1; b", Dialect::Postgres, 2),
        ("a -- ; \n ; b", Dialect::Postgres, 2),
        ("a --; \n ; b", Dialect::Postgres, 2),
        ("a 5--1; b", Dialect::Mysql, 2),
        ("a # ; \n ; b", Dialect::Mysql, 2),
        ("a # ; b", Dialect::Postgres, 2),
        ("a /* ; /* ; */ ; */; b", Dialect::Postgres, 2),
        ("a /* ; /* ; */; b", Dialect::Mysql, 2),
        ("a '\\'; b", Dialect::Hana, 2),
        ("a \";\" ';' b; c", Dialect::Hana, 2),
        ("a /* ; /* ; */; b -- ;", Dialect::Hana, 2),
        ("a [; `;` $$; # c", Dialect::Hana, 4),
        ("-- only a comment\n; a", Dialect::Postgres, 1),
        ("a '{{name}};{{password}}'; b {{userHost}}", Dialect::Postgres, 2),
    ] {
        let parsed = parse(FIELD, text, dialect).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(parsed.len(), count, "{text}");
    }
    // What fills a hole divides nothing.
    let parsed = parse(FIELD, "a '{{name}}'; b", Dialect::Postgres).unwrap();
    assert_eq!(filled(&parsed[0], "x; y", "p", "h").unwrap(), "a 'x; y'");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field_s_name() {
    for bad in [
        "",
        " ; ",
        "-- nothing",
        "a 'b",
        "a \"b",
        "a /* b",
        "a $$ b",
        "a {{nam}}",
        "a {{name",
        "a {{ }}",
        "a {{name | upper}}",
        "a {{Name}}",
        "a E'\\{{name}}'",
        "a\0b",
    ] {
        let fault = parse(FIELD, bad, Dialect::Postgres).unwrap_err();
        assert!(fault.public().contains(FIELD), "{bad}: {fault}");
    }
    assert!(parse(FIELD, &"a;".repeat(64), Dialect::Mysql).is_ok());
    assert!(parse(FIELD, &"a;".repeat(65), Dialect::Mysql).is_err());
    // Code to some servers, a comment to others.
    for hidden in ["/*!50000 GRANT ALL ON *.* TO x */", "/*M!100100 DROP USER x */"] {
        assert!(parse(FIELD, hidden, Dialect::Mysql).is_err(), "{hidden}");
    }
}

#[test]
fn holes_are_filled_as_their_place_wants() {
    for (text, dialect, want) in [
        ("a \"{{name}}\"", Dialect::Postgres, "a \"n\"\"'m\""),
        ("a '{{ username }}'", Dialect::Postgres, "a 'n\"''m'"),
        ("a {{name}} b", Dialect::Postgres, "a \"n\"\"'m\" b"),
        ("a {{userHost}}", Dialect::Postgres, "a \"Admin\""),
        ("a {{password}}", Dialect::Postgres, "a 'p''w'"),
        // HANA's passwords are written as its names are.
        ("a {{name}} {{password}}", Dialect::Hana, "a \"n\"\"'m\" \"p'w\""),
        ("a '{{password}}'", Dialect::Hana, "a 'p''w'"),
        ("a {{name}}@'%'", Dialect::Mysql, "a `n\"'m`@'%'"),
        ("a '{{name}}'", Dialect::Mysql, "a 'n\"''m'"),
        ("a \"{{name}}\"", Dialect::Mysql, "a \"n\"\"'m\""),
    ] {
        let made = filled(&one(text, dialect), "n\"'m", "p'w", "Admin").unwrap();
        assert_eq!(made, want, "{text}");
    }
}

proptest! {
    #[test]
    fn any_name_stays_inside_of_its_quotes(name in "\\PC{1,40}", password in "\\PC{1,40}") {
        for dialect in [Dialect::Postgres, Dialect::Redshift, Dialect::Mysql] {
            let statement = one("CREATE USER \"{{name}}\" PASSWORD '{{password}}'", dialect);
            let Ok(made) = filled(&statement, &name, &password, "h") else { continue };
            prop_assert_eq!(read(&made, dialect), (1, vec![name.clone(), password.clone()]));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[a'\"`$;{}/*#\\\\eE \\-\n]{0,60}|\\PC{0,60}") {
        for dialect in [Dialect::Postgres, Dialect::Redshift, Dialect::Mysql] {
            let _ = parse(FIELD, &text, dialect);
        }
    }
}
