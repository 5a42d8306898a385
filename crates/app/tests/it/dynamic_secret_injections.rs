//! What people say about themselves and their secrets, and what would be something else in a
//! statement: names, templates, claims, statements and passwords, on PostgreSQL, MariaDB
//! and MySQL.

use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::issued_tokens::provider::Provider;
use crate::issued_tokens::tokens::{TokenKey, key_set};
use crate::kit::mysql::Product;
use crate::kit::mysql_server::{self, MySql};
use crate::kit::postgres::Postgres;
use crate::kit::{Api, Server, Site};

/// Would end a quote, a name or a statement, or begin a comment, in one of the languages.
const EVIL: &[&str] = &[
    "'; DROP TABLE t1; --",
    "\"; DROP TABLE t1; --",
    "`; DROP TABLE t1; #",
    "\\'; DROP TABLE t1; --",
    "$$; DROP TABLE t1; $$",
    "$1 $body$ {{password}} {{ .sub }}",
    "a\nDROP TABLE t1;\r\n--",
    "*/ DROP TABLE t1; /*",
    "ä\u{202e}\u{2019}；ＤＲＯＰ\u{0}'",
    "%27 %s {0} ${jndi:x} {{name}}",
];
const TEMPLATE: &str = "{{ .DynamicSecretName }}-{{ .team }}";

struct Scene {
    _site: Site,
    issuer: Provider,
    key: TokenKey,
    server: Server,
    admin: Api,
    access_id: String,
}

impl Scene {
    /// A server, and an issuer whose word is believed about whoever signs in.
    fn start() -> Self {
        let (site, issuer) = (Site::new(), Provider::new());
        let key = TokenKey::new("ES256", "first");
        issuer.answer("/keys", 200, &key_set(&[&key]));
        let server = site.start_with(&["--identity-loopback-http"]);
        let admin = server.admin();
        let args = json!({
            "name": "/people", "jwks-uri": format!("{}/keys", issuer.url), "audience": "vault",
            "unique-identifier": "sub",
        });
        let made = admin.ok("auth-method-create-oauth2", args);
        let access_id = made["access_id"].as_str().unwrap().to_owned();
        admin.new_role("/readers", &[("item-rule", "/dyn/*", "read")]);
        admin.ok("assoc-role-am", json!({"role-name": "/readers", "am-name": "/people"}));
        Self { _site: site, issuer, key, server, admin, access_id }
    }

    /// Somebody of whom the issuer says this.
    fn person(&self, team: &str) -> Option<Api> {
        let claims = json!({
            "iss": self.issuer.url, "aud": "vault", "sub": "alice", "team": [team],
            "exp": SystemClock.now().seconds() + 600,
        });
        let login = json!({
            "access-type": "jwt", "access-id": self.access_id, "jwt": self.key.sign(&claims),
        });
        let reply = self.server.nobody().call("auth", login);
        let token = reply.json()["token"].as_str().map(str::to_owned)?;
        Some(self.server.nobody().with_token(&token))
    }

    fn target(&self, name: &str, more: Value) {
        let mut args = json!({"name": name, "host": "127.0.0.1"});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin.ok("target-create-db", args);
    }

    /// Credentials for all that somebody can be called, of a secret that is called anything.
    fn attacked(&self, command: &str, secret: &Value, mut check: impl FnMut(&Value)) {
        let mut served = 0;
        for (number, evil) in EVIL.iter().enumerate() {
            let name = self.named(command, secret, number, evil);
            // An issuer may say anything, and who is not let in has nothing.
            let Some(person) = self.person(evil) else { continue };
            let reply = person.call("dynamic-secret-get-value", json!({"name": name}));
            assert!(reply.is_success(), "{evil:?}: {}", reply.text());
            let credentials = reply.json();
            let user = credentials["user"].as_str().unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
            assert!(user.chars().all(plain), "{user:?}");
            check(&credentials);
            let all = json!({"name": name, "revoke-all": true});
            self.admin.ok("dynamic-secret-tmp-creds-delete", all);
            served += 1;
        }
        assert!(served > EVIL.len() / 2, "{served}");
    }

    /// Makes a secret of this name, or of a plain one where that is no name.
    fn named(&self, command: &str, secret: &Value, number: usize, evil: &str) -> String {
        let plain = format!("/dyn/{command}/{number}");
        let mut args = secret.clone();
        args["custom-username-template"] = TEMPLATE.into();
        args["password-length"] = "32".into();
        args["use-special-characters"] = "true".into();
        // Who makes it has no team.
        args["skip-dry-run"] = true.into();
        let name = format!("{plain} {}", evil.replace('/', ""));
        args["name"] = name.as_str().into();
        let reply = self.admin.call(command, args.clone());
        if reply.is_success() {
            return name;
        }
        assert_eq!(reply.status, 400, "{name:?}: {}", reply.text());
        args["name"] = plain.as_str().into();
        self.admin.ok(command, args);
        plain
    }

    /// Statements whose holes are where nothing can be filled in for certain are refused, and
    /// nothing is left of them.
    fn refused(&self, command: &str, field: &str, secret: &Value, statements: &[&str]) {
        for text in statements {
            let mut args = secret.clone();
            args["name"] = "/dyn/refused".into();
            args[field] = (*text).into();
            let reply = self.admin.call(command, args);
            assert!(
                (400..500).contains(&reply.status),
                "{text}: {} {}",
                reply.status,
                reply.text()
            );
            self.admin.refused(404, "describe-item", json!({"name": "/dyn/refused"}));
        }
        for template in ["{{ .team", "{{ system \"id\" }}", "{{ range . }}x{{ end }}", "{{"] {
            let mut args = secret.clone();
            args["name"] = "/dyn/refused".into();
            args["custom-username-template"] = template.into();
            let said = self.admin.refused(400, command, args);
            assert!(said.contains("custom-username-template"), "{template}: {said}");
        }
    }
}

#[test]
fn nothing_that_is_said_is_a_statement_on_postgresql() {
    let scene = Scene::start();
    let database = Postgres::start("-c fsync=off");
    database.sql("postgres", "CREATE TABLE t1 (x int); INSERT INTO t1 VALUES (42)");
    // The password of the target is evil, too.
    let password = "p'w\"\\;$$ {{name}} \u{e4}\u{2019}--";
    let quoted = password.replace('\'', "''");
    database.sql("postgres", &format!("CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{quoted}'"));
    let port = database.port.to_string();
    scene.target(
        "/db/pg",
        json!({
            "db-type": "postgres", "port": port, "user-name": "keeper", "pwd": password,
            "db-name": "postgres",
        }),
    );
    let statements = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                      GRANT SELECT ON t1 TO \"{{name}}\"; \
                      COMMENT ON ROLE \"{{name}}\" IS 'of {{name}}; not ''{{userHost}}''';";
    let secret = json!({"target-name": "/db/pg", "creation-statements": statements});
    let command = "dynamic-secret-create-postgresql";
    scene.attacked(command, &secret, |credentials| {
        let text = |field: &str| credentials[field].as_str().unwrap();
        let who = (text("user"), text("password"));
        assert_eq!(database.sql_as(who, "postgres", "SELECT x FROM t1").unwrap(), "42");
        assert!(database.sql_as(who, "postgres", "INSERT INTO t1 VALUES (1)").is_err());
    });
    scene.refused(
        command,
        "creation-statements",
        &secret,
        &["CREATE ROLE x", "CREATE ROLE \"{{name}}", "DO $$ BEGIN {{password}} END $$"],
    );
    assert_eq!(database.sql("postgres", "SELECT x FROM t1"), "42", "the table is there");
    let left = "SELECT count(*) FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'";
    assert_eq!(database.sql("postgres", left), "2", "only those that were there before");
}

#[test]
fn nothing_that_is_said_is_a_statement_on_mariadb_or_mysql() {
    for product in Product::all() {
        said_to(&MySql::start(*product));
    }
}

fn said_to(database: &MySql) {
    let scene = Scene::start();
    let password = "p'w\"\\;$$ {{name}} --#`";
    let quoted = password.replace('\\', "\\\\").replace('\'', "''");
    database.sql(&format!(
        "CREATE USER 'evil'@'%' IDENTIFIED BY '{quoted}'; \
         GRANT ALL ON *.* TO 'evil'@'%' WITH GRANT OPTION"
    ));
    let port = database.port.to_string();
    scene.target(
        "/db/maria",
        json!({
            "db-type": "mysql", "port": port, "user-name": "evil", "pwd": password,
            "db-name": "app",
        }),
    );
    let statements = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}' \
                      PASSWORD EXPIRE INTERVAL 30 DAY; \
                      GRANT SELECT ON `app`.`t1` TO `{{name}}`@'%';";
    let secret = json!({"target-name": "/db/maria", "mysql-screation-statements": statements});
    let command = "dynamic-secret-create-mysql";
    scene.attacked(command, &secret, |credentials| {
        let text = |field: &str| credentials[field].as_str().unwrap();
        let who = (text("user"), text("password"));
        assert_eq!(database.sql_as(who, "SELECT x FROM app.t1").unwrap(), "42");
        assert!(database.sql_as(who, "INSERT INTO app.t1 VALUES (1)").is_err());
    });
    scene.refused(
        command,
        "mysql-screation-statements",
        &secret,
        &["CREATE USER x", "CREATE USER '{{name}}", "CREATE USER '{{name}}'@'%' /* {{password}}"],
    );
    assert_eq!(database.sql("SELECT x FROM app.t1"), "42", "the table is there");
    let left = "SELECT count(*) FROM mysql.user WHERE user REGEXP '[.][a-z2-7]{16}$'";
    assert_eq!(database.sql(left), "0");
}

/// The statement that V2's documentation gives, word for word: MySQL 8 takes it. MariaDB does not,
/// and who is told so is told what it takes.
#[test]
fn the_statement_of_mysql_s_documentation_works_there_and_is_explained_on_mariadb() {
    for product in Product::all() {
        documented(&MySql::start(*product), *product);
    }
}

fn documented(database: &MySql, product: Product) {
    let scene = Scene::start();
    let (user, password) = mysql_server::ADMIN;
    scene.target(
        "/db/target",
        json!({
            "db-type": "mysql", "port": database.port.to_string(), "user-name": user,
            "pwd": password, "db-name": "app",
        }),
    );
    let documented = "CREATE USER '{{name}}'@'%' IDENTIFIED WITH mysql_native_password BY \
                      '{{password}}' PASSWORD EXPIRE INTERVAL 30 DAY;\
                      GRANT SELECT ON *.* TO '{{name}}'@'%';";
    let command = "dynamic-secret-create-mysql";
    let args = |name: &str, statements: &str| {
        json!({
            "name": name, "target-name": "/db/target", "mysql-screation-statements": statements,
        })
    };
    let with = "IDENTIFIED WITH mysql_native_password BY '{{password}}'";
    let mut forms = vec!["IDENTIFIED BY '{{password}}'"];
    if product == Product::MySql {
        forms.push(with);
    } else {
        forms.push("IDENTIFIED VIA mysql_native_password USING PASSWORD('{{password}}')");
        let reply = scene.admin.call(command, args("/dyn/documented", documented));
        let said = reply.text();
        assert!((400..500).contains(&reply.status), "{} {said}", reply.status);
        for words in
            ["creation statement 1", "1064", "MariaDB", "IDENTIFIED BY '{{password}}'", "VIA"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
        scene.admin.refused(404, "describe-item", json!({"name": "/dyn/documented"}));
    }
    for (number, form) in forms.into_iter().enumerate() {
        let name = format!("/dyn/{number}");
        scene.admin.ok(command, args(&name, &documented.replace(with, form)));
        let credentials = scene.admin.ok("dynamic-secret-get-value", json!({"name": name}));
        let text = |field: &str| credentials[field].as_str().unwrap();
        let who = (text("user"), text("password"));
        assert_eq!(database.sql_as(who, "SELECT x FROM app.t1").unwrap(), "42");
        assert!(database.sql_as(who, "INSERT INTO app.t1 VALUES (1)").is_err());
        let all = json!({"name": name, "revoke-all": true});
        scene.admin.ok("dynamic-secret-tmp-creds-delete", all);
        assert!(database.sql_as(who, "SELECT 1").is_err());
    }
}
