//! People over HTTP: the second factor from setting up to signing in, the owner and the seal, and
//! wrong logins, which neither a killed server nor a forged address forgives.

use serde_json::{Value, json};

use crate::kit::{Api, Authenticator, Server, Site, records};

const ANN: &str = "ann@example.com";

fn login(email: &str, password: &str, otp: Option<&str>) -> Value {
    let mut login =
        json!({"access-type": "password", "admin-email": email, "admin-password": password});
    if let Some(otp) = otp {
        login["otp"] = otp.into();
    }
    login
}

/// The same caller, signed in.
#[track_caller]
fn signed_in(nobody: &Api, login: Value) -> Api {
    let answer = nobody.ok("auth", login);
    nobody.with_token(answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")))
}

/// Makes a person; gives the first password.
#[track_caller]
fn person(admin: &Api, name: &str, email: &str, mut args: Value) -> String {
    args["name"] = name.into();
    args["email"] = email.into();
    let made = admin.ok("auth-method-create-email", args);
    made["access_key"].as_str().unwrap().to_owned()
}

#[test]
fn a_second_factor_from_setting_up_to_signing_in() {
    let site = Site::new();
    let server = site.start();
    let (admin, nobody) = (server.admin(), server.nobody());
    let demanded = json!({"enable-mfa": "true", "mfa-type": "auth-app"});
    let password = person(&admin, "/people/ann", ANN, demanded);
    let answer = nobody.ok("auth", login(ANN, &password, None));
    assert_eq!(answer["creds"]["need_mfa_app_first_config"], true, "{answer}");
    assert!(answer.get("token").is_none(), "{answer}");
    nobody.refused(401, "mfa-enroll", json!({"admin-email": ANN, "admin-password": "wrong"}));

    let (mut app, recovery) = Authenticator::set_up(&nobody, ANN, &password);
    assert_eq!(recovery.len(), 10);
    let answer = nobody.ok("auth", login(ANN, &password, None));
    assert_eq!(answer["creds"]["need_mfa_app_first_config"], false, "{answer}");
    assert!(answer["creds"]["required_mfa"] == "auth-app" && answer.get("token").is_none());
    nobody.refused(401, "auth", login(ANN, &password, Some(&app.shown())));

    // By the command line, as a person does.
    let code = app.code();
    let file = site.data().join("bootstrap.json").display().to_string();
    site.run(&["configure", "--from-bootstrap", &file]).expect(0);
    let own = ["--admin-email", ANN, "--admin-password", &password, "--otp", &code];
    let args = [&["auth", "--json", "--access-type", "password"], own.as_slice()].concat();
    let answer: Value = serde_json::from_str(&site.run(&args).expect(0).out).unwrap();
    let ann = nobody.with_token(answer["token"].as_str().unwrap());
    assert_eq!(ann.ok("describe-sub-claims", json!({}))["sub_claims"]["email"], json!([ANN]));
    nobody.refused(401, "auth", login(ANN, &password, Some(&code)));
    // A recovery code lets in once; the password has to be right as well.
    nobody.refused(401, "auth", login(ANN, "wrong", Some(&recovery[1])));
    signed_in(&nobody, login(ANN, &password, Some(&recovery[0])));
    nobody.refused(401, "auth", login(ANN, &password, Some(&recovery[0])));

    // What was used up stays so.
    server.process.kill();
    let server = site.start();
    let nobody = server.nobody();
    for used in [&code, &recovery[0]] {
        nobody.refused(401, "auth", login(ANN, &password, Some(used)));
    }
    let remove = |otp: &str| json!({"admin-email": ANN, "admin-password": password, "otp": otp});
    nobody.ok("mfa-remove", remove(&recovery[1]));
    let answer = nobody.ok("auth", login(ANN, &password, None));
    assert_eq!(answer["creds"]["need_mfa_app_first_config"], true, "still demanded: {answer}");
    let log = records(&site).iter().map(|record| format!("{record:?}")).collect::<String>();
    assert!(log.contains("authenticate"));
    for secret in recovery.iter().take(2).chain([&password, &code]) {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
}

#[test]
fn the_owner_seals_and_unseals_and_gives_the_account_away() {
    let site = Site::new();
    let server = site.start();
    let (admin, nobody) = (server.admin(), server.nobody());
    let (email, password) = (&server.bootstrap.owner_email, server.bootstrap.owner_password());
    let theirs = person(&admin, "/people/ann", ANN, json!({}));
    admin.store("/team/db", "value");
    let (mut app, recovery) = Authenticator::set_up(&nobody, email, &password);
    let owner = signed_in(&nobody, login(email, &password, Some(&app.code())));
    assert_eq!(owner.read("/team/db"), "value");

    admin.refused(403, "owner-seal", json!({"otp": recovery[0]}));
    owner.refused(401, "owner-seal", json!({"otp": app.shown()}));
    owner.ok("owner-seal", json!({"otp": recovery[0]}));
    let text = owner.refused(401, "get-secret-value", json!({"names": ["/team/db"]}));
    assert!(text.contains("owner-unseal"), "{text}");
    owner.ok("auth-method-get", json!({"name": "/people/ann"}));
    // Whoever steals the password and the token of a sealed owner cannot open the seal.
    owner.refused(401, "owner-unseal", json!({"otp": recovery[0]}));
    server.process.kill();
    let server = site.start();
    let nobody = server.nobody();
    let owner = nobody.with_token(owner.token());
    owner.refused(401, "get-secret-value", json!({"names": ["/team/db"]}));
    owner.ok("owner-unseal", json!({"otp": recovery[1]}));
    assert_eq!(owner.read("/team/db"), "value");

    let transfer = |password: &str, otp: &str| {
        let next = "/people/ann";
        json!({"name": next, "current-password": password, "otp": otp})
    };
    server.admin().refused(403, "transfer-ownership", transfer(&password, &recovery[2]));
    owner.refused(401, "transfer-ownership", transfer("wrong", &recovery[2]));
    owner.refused(401, "transfer-ownership", transfer(&password, &recovery[0]));
    owner.ok("transfer-ownership", transfer(&password, &recovery[2]));
    // At the next request there is one owner, and it is the other.
    owner.refused(403, "transfer-ownership", transfer(&password, &recovery[3]));
    server.admin().refused(403, "auth-method-delete", json!({"name": "/people/ann"}));
    let ann = signed_in(&nobody, login(ANN, &theirs, None));
    assert_eq!(ann.read("/team/db"), "value");
    ann.refused(403, "auth-method-delete", json!({"name": "/people/ann"}));
    let all = records(&site);
    let events: Vec<_> = all.iter().filter(|r| r["action"] == "owner_sign_in").collect();
    assert_eq!(events.len(), 2, "the former and the present owner: {events:#?}");
}

/// Signs in as the owner from this address, as a proxy tells it; gives status and seconds to wait.
fn try_from(server: &Server, password: &str, forwarded: &str) -> (u16, Option<u64>) {
    let body = login(&server.bootstrap.owner_email, password, None).to_string();
    let reply = server.http.post("/auth", &[("X-Forwarded-For", forwarded)], body.as_bytes());
    (reply.status, reply.header("retry-after").map(|seconds| seconds.parse().unwrap()))
}

#[test]
fn a_lock_outlives_a_killed_server_and_forged_addresses() {
    let site = Site::new();
    let server = site.start();
    let password = server.bootstrap.owner_password();
    // Without a proxy that is trusted, the header is the client's own word and counts for nothing.
    for number in 0..5 {
        let forged = format!("203.0.113.{number}");
        assert_eq!(try_from(&server, "a-wrong-password", &forged), (401, None));
    }
    for forged in ["203.0.113.77", "127.0.0.1", "::1", "not-an-address"] {
        let (status, wait) = try_from(&server, &password, forged);
        assert_eq!(status, 429, "{forged}");
        assert!((1..=60).contains(&wait.unwrap()), "{wait:?}");
    }
    server.admin().ok("get-account-settings", json!({}));

    server.process.kill();
    let server = site.start();
    let (status, wait) = try_from(&server, &password, "203.0.113.77");
    assert_eq!(status, 429);
    assert!((1..=60).contains(&wait.unwrap()), "{wait:?}");
    server.admin().ok("get-account-settings", json!({}));
    let args = json!({"action": "login_locked"});
    let locked = server.admin().ok("audit-search", args)["records"].take();
    assert_eq!(locked.as_array().unwrap().len(), 1, "{locked}");
    assert_eq!(locked[0]["remote_addr"], "127.0.0.1");
}

#[test]
fn a_trusted_proxy_says_who_asks_and_nobody_to_its_left_does() {
    let site = Site::new();
    let server = site.start_with(&["--trusted-proxy", "127.0.0.0/8"]);
    let password = server.bootstrap.owner_password();
    // The owner's usual place, through the proxy.
    assert_eq!(try_from(&server, &password, "192.0.2.9").0, 200);
    // A stranger who claims to be there is counted where they are.
    for _ in 0..5 {
        let forged = try_from(&server, "a-wrong-password", "192.0.2.9, 198.51.100.7");
        assert_eq!(forged, (401, None));
    }
    for stranger in ["192.0.2.9, 198.51.100.7", "198.51.100.8", "192.0.2.9, 198.51.100.8"] {
        assert_eq!(try_from(&server, &password, stranger).0, 429, "{stranger}");
    }
    assert_eq!(try_from(&server, &password, "192.0.2.9").0, 200);
    assert_eq!(try_from(&server, &password, "198.51.100.7, 192.0.2.9, 127.0.0.2").0, 200);

    // Bound networks and the log see the same address.
    let admin = server.admin();
    let bound = json!({"name": "/bound", "bound-ips": ["192.0.2.0/24"]});
    let made = admin.ok("auth-method-create-api-key", bound);
    let key = json!({"access-id": made["access_id"], "access-key": made["access_key"]});
    let from = |forwarded: &str| {
        server.http.post("/auth", &[("X-Forwarded-For", forwarded)], key.to_string().as_bytes())
    };
    assert_eq!(from("192.0.2.200").status, 200);
    for outside in ["198.51.100.7", "192.0.2.200, 198.51.100.7", "127.0.0.1"] {
        assert_eq!(from(outside).status, 401, "{outside}");
    }
    let args = json!({"access-id": made["access_id"], "status": "failed", "order": "oldest"});
    let refused = admin.ok("audit-search", args)["records"].take();
    assert_eq!(refused[0]["remote_addr"], "198.51.100.7", "{refused}");
}
