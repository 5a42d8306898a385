//! Tests of the routes.

use keysherd_wire::{Access, Alias, Answer, Args, Body, Run, Show, Spec};
use proptest::prelude::*;

use super::*;

const fn spec(name: &'static str, aliases: &'static [Alias]) -> Spec {
    Spec {
        name,
        aliases,
        success: 200,
        summary: "",
        groups: &[],
        fields: &[],
        reply: "object",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    }
}

fn run((): (), _: Args) -> Run {
    Box::pin(async { Ok(Answer::empty()) })
}

static TARGET: Command<()> = Command {
    spec: spec(
        "target-create-db",
        &[Alias { name: "create-db-target", success: 201, reply: "object" }],
    ),
    run: &run,
};
static MIXED: Command<()> = Command { spec: spec("gateway-create-producer-Redis", &[]), run: &run };
static TAKEN: Command<()> = Command { spec: spec("CREATE-db-target", &[]), run: &run };
static RESERVED: Command<()> = Command { spec: spec("health", &[]), run: &run };

static GOOD: &[&Command<()>] = &[&TARGET, &MIXED];
static DOUBLE: &[&Command<()>] = &[&TARGET, &TAKEN];
static PROBE: &[&Command<()>] = &[&RESERVED];

#[test]
fn every_prefix_leads_to_the_same_command() {
    for path in [
        "/auth",
        "/v2/auth",
        "/api/v2/auth",
        "/API/V2/auth",
        "/v2//auth",
        "//auth",
        "/api/v2/auth/",
        "/auth///",
    ] {
        assert_eq!(route(path), Target::Command("auth"), "{path}");
    }
    assert_eq!(route("/v2/AUTH"), Target::Command("AUTH"));
}

#[test]
fn the_base_and_the_probes_have_their_own_targets() {
    for path in ["", "/", "/v2", "/v2/", "/api/v2", "/api/v2/", "/V2"] {
        assert_eq!(route(path), Target::Base, "{path}");
    }
    assert_eq!(route("/health"), Target::Health);
    assert_eq!(route("/api/v2/health/"), Target::Health);
    assert_eq!(route("/Status"), Target::Status);
}

#[test]
fn a_prefix_is_a_whole_segment() {
    assert_eq!(route("/v2auth"), Target::Command("v2auth"));
    assert_eq!(route("/api"), Target::Command("api"));
    assert_eq!(route("/v2/v2/x"), Target::Command("v2/x"));
}

#[test]
fn names_are_found_in_any_letter_case_with_their_own_status() {
    let routes = Routes::new(GOOD).unwrap();
    let found = routes.find("Target-Create-DB").unwrap();
    assert_eq!(found.name, "target-create-db");
    assert_eq!(found.success, StatusCode::OK);
    let found = routes.find("create-db-target").unwrap();
    assert_eq!(found.command.spec.name, "target-create-db");
    assert_eq!(found.success, StatusCode::CREATED);
    assert!(routes.find("gateway-create-producer-redis").is_some());
    assert!(routes.find("target-create").is_none());
    assert!(routes.find(&"x".repeat(5000)).is_none());
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    assert!(Routes::new(DOUBLE).is_err());
    assert!(Routes::new(PROBE).is_err());
}

#[test]
fn a_name_is_shown_without_what_could_break_a_terminal_or_a_log() {
    assert_eq!(shown("a\u{1b}[31mb\nc"), "a?[31mb?c");
    assert_eq!(shown(&"n".repeat(500)).len(), 128);
}

proptest! {
    #[test]
    fn routing_is_total(path in ".{0,300}") {
        let routes = Routes::new(GOOD).unwrap();
        if let Target::Command(name) = route(&path) {
            prop_assert!(path.contains(name));
            prop_assert!(!name.is_empty());
            let _ = routes.find(name);
            prop_assert!(shown(name).len() <= 128);
            prop_assert!(shown(name).bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
