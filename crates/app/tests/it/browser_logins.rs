//! Signing in with a browser at a real OpenID provider, and what attackers make of it.

use std::fs::File;

use serde_json::{Value, json};

use crate::kit::{
    Api, LoginProvider, Reply, Server, Site, chromium, keysherd, records, records_of, wait_for,
};

/// What a server needs to ask a provider on this machine.
const LOOPBACK: &[&str] = &["--identity-loopback-http"];
const SECRET: &str = "client-secret-canary-4711";
const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];

struct Scene {
    server: Server,
    provider: LoginProvider,
    access_id: String,
    admin: Api,
}

/// A login that a program began.
struct Begun {
    token: String,
    link: String,
}

/// A browser that sees the question.
struct Asked {
    id: String,
    cookie: String,
    form: String,
    page: String,
}

impl Scene {
    fn new(site: &Site) -> Self {
        let server = site.start_with(LOOPBACK);
        let admin = server.admin();
        let url = format!("https://{}", admin.http().address());
        let provider = LoginProvider::start(&format!("{url}/login/callback"));
        let made = admin.ok(
            "auth-method-create-oidc",
            json!({
                "name": "/people", "issuer": provider.issuer, "client-id": "keysherd",
                "client-secret": SECRET, "unique-identifier": "email",
                "required-scopes": ["groups"],
            }),
        );
        let access_id = made["access_id"].as_str().unwrap().to_owned();
        Self { server, provider, access_id, admin }
    }

    fn begin(&self) -> Begun {
        let login = json!({"access-type": "oidc", "access-id": self.access_id});
        let answer = self.server.nobody().ok("auth", login);
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Begun { token: text("token"), link: text("complete_auth_link") }
    }

    fn get(&self, path: &str, cookie: &str) -> Reply {
        let connection = self.admin.http().connect().unwrap();
        connection.send_head("GET", path, &[("Cookie", cookie)]).unwrap().reply().unwrap()
    }

    fn ask(&self, begun: &Begun) -> Asked {
        let path = begun.link.split_once("/login/").unwrap().1;
        let reply = self.get(&format!("/login/{path}"), "");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let set = reply.header("set-cookie").unwrap();
        assert!(set.starts_with("__Host-") && set.contains("; Secure; HttpOnly; SameSite=Lax"));
        let page = reply.text();
        let form = between(&page, "name=\"form\" value=\"", "\"").to_owned();
        let cookie = set.split(';').next().unwrap().to_owned();
        Asked { id: path.split_once("login=").unwrap().1.to_owned(), cookie, form, page }
    }

    fn agree(&self, asked: &Asked, cookie: &str, form: &str) -> Reply {
        let body = format!("login={}&form={form}", asked.id);
        let headers = [FORM[0], ("Cookie", cookie)];
        self.admin.http().post("/login/start", &headers, body.as_bytes())
    }

    /// Where the provider sends the browser back, as a path here.
    fn sign_in(&self, asked: &Asked) -> String {
        let page = self.agree(asked, &asked.cookie, &asked.form).text();
        let url = between(&page, "<a href=\"", "\"").replace("&amp;", "&");
        let back = self.provider.sign_in(&url);
        back[back.find("/login/").unwrap()..].to_owned()
    }

    fn collect(&self, begun: &Begun) -> Reply {
        self.server.nobody().call("complete-auth", json!({"login-token": begun.token}))
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap().0
}

/// As the page and the command line show it.
fn code(begun: &Begun) -> String {
    format!("{}-{}", &begun.token[2..6], &begun.token[6..10])
}

fn holds(dir: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().map(Result::unwrap).any(|entry| match entry.path() {
        path if path.is_dir() => holds(&path, needle),
        path => std::fs::read(path).unwrap().windows(needle.len()).any(|bytes| bytes == needle),
    })
}

#[test]
fn a_person_signs_in_with_a_browser_and_the_program_gets_the_token_once() {
    let site = Site::new();
    let scene = Scene::new(&site);
    let begun = scene.begin();
    assert_eq!(scene.collect(&begun).json(), json!({"complete": false}));
    scene.server.nobody().with_token(&begun.token).refused(401, "list-items", json!({}));
    let asked = scene.ask(&begun);
    assert!(asked.page.contains(&code(&begun)) && asked.page.contains("127.0.0.1"));
    let back = scene.sign_in(&asked);
    let reply = scene.get(&back, &asked.cookie);
    assert_eq!(reply.status, 200, "{}", reply.text());
    // The same again, by whoever read the address.
    assert_eq!(scene.get(&back, &asked.cookie).status, 401);
    let answer = scene.collect(&begun).json();
    assert_eq!(answer["complete"], true);
    assert_eq!(scene.collect(&begun).status, 401);
    let token = answer["token"].as_str().unwrap();
    assert!(!reply.text().contains(token), "no token goes to the browser");
    let api = scene.server.nobody().with_token(token);
    let claims = api.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims["groups"], json!(["dev", "ops"]), "{claims}");
    assert_eq!(claims["client_unique_id"], json!(["alice@example.com"]), "{claims}");
    let shown = scene.admin.ok("get-auth-method", json!({"name": "/people"}));
    let rules = &shown["access_info"]["oidc_access_rules"];
    assert_eq!(rules["client_id"], "keysherd", "{shown}");
    assert!(rules.get("client_secret").is_none(), "{shown}");
    scene.server.stop();
    assert!(!holds(&site.data(), SECRET.as_bytes()), "the client secret is stored as it is");
}

#[test]
fn only_the_browser_that_left_is_let_in() {
    let site = Site::new();
    let scene = Scene::new(&site);
    let begun = scene.begin();
    let asked = scene.ask(&begun);
    // Another site cannot agree in the person's place: it has neither the cookie nor the form.
    for (cookie, form) in [("", &*asked.form), (&*asked.cookie, "0"), (&*asked.cookie, "")] {
        assert_eq!(scene.agree(&asked, cookie, form).status, 401);
    }
    let back = scene.sign_in(&asked);
    let state = between(&back, "state=", "&").to_owned();
    let forged_state = format!("{}{}", &state[..state.len() - 1], "g");
    let other = scene.begin();
    let other_asked = scene.ask(&other);
    let stolen_cookie = asked.cookie.replace(&asked.id, &other_asked.id);
    let attacks = [
        (back.clone(), String::new()),
        (back.clone(), format!("{}0", asked.cookie)),
        (back.clone(), other_asked.cookie.clone()),
        (back.clone(), stolen_cookie),
        (back.replace(&state, &forged_state), asked.cookie.clone()),
    ];
    let mut refused = Vec::new();
    for (path, cookie) in &attacks {
        let reply = scene.get(path, cookie);
        assert_eq!(reply.status, 401, "{path} {cookie}: {}", reply.text());
        refused.push(reply.request_id());
    }
    // A code of this login, brought into another one: the provider sees another PKCE verifier.
    let other_back = scene.sign_in(&other_asked);
    let (mine, theirs) = (between(&back, "code=", "&"), between(&other_back, "code=", "&"));
    let injected = scene.get(&other_back.replace(theirs, mine), &other_asked.cookie);
    assert_eq!(injected.status, 401, "{}", injected.text());
    refused.push(injected.request_id());
    assert_eq!(scene.collect(&other).status, 401, "its program hears of it");
    scene.server.stop();
    // The first has a record of its own; what follows from the same address is counted.
    let records = records(&site);
    let found = records_of(&records, &refused[0]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["command"], "login/callback", "{found:?}");
    assert_eq!(found[0]["status"], 401, "{found:?}");
}

#[test]
fn what_browsers_are_sent_with_does_no_harm() {
    let site = Site::new();
    let scene = Scene::new(&site);
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        format!("/login/start?login={script}"),
        format!("/login/callback?state={script}&code={script}"),
        format!("/login/callback?error={script}&error_description={script}"),
        "/login/callback".to_owned(),
        "/login/start?login=00&login=11".to_owned(),
        format!("/login/callback?state={}", "s".repeat(30_000)),
        "/login/start?login=//evil.example".to_owned(),
    ] {
        let reply = scene.get(&path, "");
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
        assert!(!reply.text().contains("<script") && reply.header("location").is_none());
        assert!(reply.header("content-security-policy").unwrap().contains("default-src 'none'"));
    }
    // The provider's refusal ends the login, and its words are not repeated.
    let begun = scene.begin();
    let asked = scene.ask(&begun);
    let back = scene.sign_in(&asked);
    let state = between(&back, "state=", "&");
    let denied = format!("/login/callback?state={state}&error={script}");
    let reply = scene.get(&denied, &asked.cookie);
    assert_eq!((reply.status, reply.text().contains("alert")), (401, false));
    assert_eq!(scene.collect(&begun).status, 401);
    // Methods that are not there, or not for browsers, are told apart by nobody.
    let nobody = scene.server.nobody();
    let auth = |id: &str| json!({"access-type": "oidc", "access-id": id});
    let own = scene.admin.ok("create-auth-method", json!({"name": "/key"}));
    let unknown = nobody.refused(401, "auth", auth("p-aaaaaaaaaaaaaa"));
    assert_eq!(unknown, nobody.refused(401, "auth", auth(own["access_id"].as_str().unwrap())));
    // A provider that is gone is nobody's wrong credential.
    let Scene { provider, server, admin, access_id } = scene;
    let issuer = provider.issuer.clone();
    drop(provider);
    let update = json!({
        "name": "/people", "issuer": format!("{issuer}/gone"), "client-id": "keysherd",
        "unique-identifier": "email",
    });
    let _: Value = admin.ok("auth-method-update-oidc", update);
    let text = server.nobody().refused(503, "auth", auth(&access_id));
    assert!(text.contains("does not answer"), "{text}");
}

#[test]
fn chromium_signs_in() {
    let site = Site::new();
    let scene = Scene::new(&site);
    let begun = scene.begin();
    let said = chromium(&begun.link, &code(&begun));
    assert_eq!(said, "Signed in\ncookies left: 0\n");
    assert_eq!(scene.collect(&begun).json()["complete"], true);
}

#[test]
fn the_command_line_waits_for_the_browser() {
    let site = Site::new();
    let scene = Scene::new(&site);
    let (out, err) = (site.path("auth.out"), site.path("auth.err"));
    let ca_file = scene.server.bootstrap.ca_file.display().to_string();
    let url = &scene.server.bootstrap.url;
    let mut command = keysherd(&site.home());
    command.args(["auth", "--access-type", "oidc", "--access-id", &scene.access_id]);
    command.args(["--gateway-url", url, "--ca-file", &ca_file, "--no-browser"]);
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let said = wait_for("the link", || {
        let text = std::fs::read_to_string(&err).unwrap();
        text.contains("Waiting").then_some(text)
    });
    let link = between(&said, "\n  ", "\n").to_owned();
    let asked = scene.ask(&Begun { token: String::new(), link });
    assert!(asked.page.contains(between(&said, "the code ", ".")), "{said}");
    let back = scene.sign_in(&asked);
    assert_eq!(scene.get(&back, &asked.cookie).status, 200);
    assert!(child.wait().unwrap().success(), "{}", std::fs::read_to_string(&err).unwrap());
    let out = std::fs::read_to_string(&out).unwrap();
    let token = between(&out, "Token: ", "\n");
    let api = scene.server.nobody().with_token(token);
    assert_eq!(api.ok("validate-token", json!({}))["is_valid"], true);
}
