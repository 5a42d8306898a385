//! Signing in by SAML: a real identity provider, and a browser made of forms and cookies.

use serde_json::{Value, json};

use crate::kit::saml::{SamlProvider, page};
use crate::kit::{Http, Reply, Server, Site, records};

const LOOPBACK: &[&str] = &["--identity-loopback-http"];
/// The name that the provider sends the address by; what it is called for people does not count.
const EMAIL: &str = "urn:mace:dir:attribute-def:email";

/// A login that waits for its browser.
struct Login {
    token: String,
    link: String,
}

fn begin(server: &Server, access_id: &str) -> Login {
    let answer = server.nobody().ok("auth", json!({"access-type": "saml", "access-id": access_id}));
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Login { token: text("token"), link: text("complete_auth_link") }
}

/// The fields of the form in a page, by name.
fn fields(html: &str) -> Vec<(String, String)> {
    let value_of = |input: &str, name: &str| {
        let rest = input.split_once(&format!("{name}=\""))?.1;
        Some(unescaped(rest.split_once('"')?.0))
    };
    let inputs = html.split("<input ").skip(1);
    inputs.filter_map(|input| Some((value_of(input, "name")?, value_of(input, "value")?))).collect()
}

fn unescaped(text: &str) -> String {
    let named = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn form(fields: &[(String, String)]) -> String {
    let percent = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let pair = |(name, value): &(String, String)| format!("{}={}", percent(name), percent(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn submit(http: &Http, path: &str, cookie: &str, given: &[(String, String)]) -> Reply {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    http.post(path, &[kind, ("Cookie", cookie)], form(given).as_bytes())
}

/// The browser agrees and goes to the provider: its cookie, and what it brings back.
fn trip(server: &Server, login: &Login) -> (String, Vec<(String, String)>) {
    let path = login.link.strip_prefix(&server.url).unwrap();
    let asked = server.http.get(path).unwrap();
    assert_eq!(asked.status, 200, "{asked:?}");
    let cookie = asked.header("set-cookie").unwrap();
    assert!(cookie.contains("SameSite=None") && cookie.contains("HttpOnly"), "{cookie}");
    let cookie = cookie.split_once(';').unwrap().0.to_owned();
    let agreed = submit(&server.http, "/login/start", &cookie, &fields(&asked.text())).text();
    let url = agreed.split_once("url=&#39;").unwrap().1.split_once("&#39;").unwrap().0;
    (cookie, fields(&page(&unescaped(url))))
}

fn collect(server: &Server, login: &Login) -> Value {
    server.nobody().ok("complete-auth", json!({"login-token": login.token, "wait": 1}))
}

fn method(server: &Server, provider: &SamlProvider) -> String {
    let metadata = format!("{}/metadata", provider.url);
    let made = server.admin().ok(
        "auth-method-create-saml",
        json!({"name": "/people", "unique-identifier": EMAIL, "idp-metadata-url": metadata}),
    );
    made["access_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_person_signs_in_at_a_saml_provider() {
    let site = Site::new();
    let server = site.start_with(LOOPBACK);
    let provider = SamlProvider::start(&server.url);
    let admin = server.admin();
    let access_id = method(&server, &provider);
    admin.store("/dev/a", "open");
    admin.new_role("/dev", &[("item-rule", "/dev/*", "read")]);
    let wish = json!({"role-name": "/dev", "am-name": "/people", "sub-claims": {"groups": "dev"}});
    admin.ok("assoc-role-am", wish);
    let login = begin(&server, &access_id);
    assert_eq!(collect(&server, &login), json!({"complete": false}));
    let (cookie, brought) = trip(&server, &login);
    let shown = submit(&server.http, "/saml/acs", &cookie, &brought);
    assert_eq!(shown.status, 200, "{}", shown.text());
    let collected = collect(&server, &login);
    let alice = server.nobody().with_token(collected["token"].as_str().unwrap());
    let claims = alice.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims["client_unique_id"], json!(["alice@example.com"]));
    assert_eq!(claims["groups"], json!(["dev", "ops"]));
    assert_eq!(claims["NameID"], json!(["alice"]));
    assert_eq!(alice.read("/dev/a"), "open");
    // Once each: the trip, and the token.
    let again = submit(&server.http, "/saml/acs", &cookie, &brought);
    assert_ne!(again.status, 200, "{}", again.text());
    server.nobody().refused(401, "complete-auth", json!({"login-token": login.token}));
}

#[test]
fn t_saml_responses_of_other_browsers_and_logins() {
    let site = Site::new();
    let server = site.start_with(LOOPBACK);
    let provider = SamlProvider::start(&server.url);
    let access_id = method(&server, &provider);
    let (mine, theirs) = (begin(&server, &access_id), begin(&server, &access_id));
    let (my_cookie, my_response) = trip(&server, &mine);
    let (their_cookie, their_response) = trip(&server, &theirs);
    let refused = |cookie: &str, brought: &[(String, String)]| {
        let shown = submit(&server.http, "/saml/acs", cookie, brought);
        assert!(shown.status >= 400, "{}", shown.text());
        assert!(!shown.text().contains("SAMLResponse"), "{}", shown.text());
    };
    // The browser of somebody else, or none.
    refused(&their_cookie, &my_response);
    refused("x=y", &my_response);
    // Somebody else's response in my trip: their request id is not mine.
    let field = |from: &[(String, String)], name: &str| {
        from.iter().find(|(known, _)| known == name).unwrap().clone()
    };
    let mixed = [field(&their_response, "SAMLResponse"), field(&my_response, "RelayState")];
    refused(&my_cookie, &mixed);
    // That trip is over, whatever comes; the other one is as good as before.
    refused(&my_cookie, &my_response);
    assert_eq!(submit(&server.http, "/saml/acs", &their_cookie, &their_response).status, 200);
    assert_eq!(collect(&server, &theirs)["complete"], json!(true));
    server.stop();
    let refusals = records(&site)
        .into_iter()
        .filter(|record| record["action"] == "authenticate" && record["status"] != "success")
        .count();
    assert!(refusals > 0, "no refusal was recorded");
}
