//! Each rule has a specification that breaks it.

use super::*;
use crate::command::{Access, Alias, Body};
use crate::field::{Field, Group};
use crate::samples;

const fn with_fields(fields: &'static [FieldSpec]) -> Spec {
    Spec {
        name: "probe",
        aliases: &[],
        success: 200,
        summary: "Probes.",
        groups: &[],
        fields,
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    }
}

/// One complaint is expected, with these words in it.
fn check(spec: &Spec, words: &str) {
    let found = lint(spec);
    assert!(
        found.len() == 1 && found[0].contains(words),
        "expected one complaint with '{words}', got {found:?}"
    );
}

#[test]
fn good_specifications_have_no_complaints() {
    let found = lint_all(&[&samples::CREATE, &samples::BATCH]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn each_fault_of_a_field_is_found() {
    check(
        &with_fields(const { &[Field::text("a--b", "A name.").documented_as("a--b").spec()] }),
        "words joined",
    );
    check(
        &with_fields(const { &[Field::text("a-b", "A name.").documented_as("ab").spec()] }),
        "differs in more",
    );
    check(&with_fields(const { &[Field::text("a", "no capital.").spec()] }), "one sentence");
    check(&with_fields(const { &[Field::text("a", "No stop").spec()] }), "one sentence");
    check(
        &with_fields(const { &[Field::text("a", "A.b.").required().default("x").spec()] }),
        "required and has a default",
    );
    check(
        &with_fields(const { &[Field::text("a", "A.b.").choices(&["x", "X"]).spec()] }),
        "choices are the same",
    );
    check(&with_fields(const { &[Field::flag("a", "A.b.").secret().spec()] }), "no secret");
    check(
        &with_fields(const { &[Field::text("a", "A.b.").short('h').spec()] }),
        "short flag is reserved",
    );
    check(&with_fields(const { &[Field::text("profile", "A.b.").spec()] }), "name is reserved");
    check(&with_fields(const { &[Field::text("json", "A.b.").spec()] }), "plain boolean");
}

#[test]
fn duplicates_are_found_across_groups() {
    static GROUP: Group =
        Group { title: "Names", fields: &[Field::text("name", "A name.").short('n').spec()] };
    let mut spec = with_fields(const { &[Field::text("name", "A name.").spec()] });
    spec.groups = const { &[&GROUP] };
    check(&spec, "'name' is there twice");
    spec.fields = const { &[Field::text("other", "A name.").short('n').spec()] };
    check(&spec, "short flag 'n'");
    let clash = with_fields(
        const {
            &[
                Field::text("value", "A value.").secret().spec(),
                Field::text("value-file", "A file.").spec(),
            ]
        },
    );
    check(&clash, "'value-file' is how");
}

#[test]
fn names_statuses_and_shows_are_checked() {
    let mut spec = with_fields(&[]);
    spec.success = 302;
    check(&spec, "302");
    spec = with_fields(&[]);
    spec.summary = "probes.";
    check(&spec, "summary");
    spec = with_fields(&[]);
    spec.aliases = &[Alias { name: "Probe", success: 200, reply: "object" }];
    check(&spec, "given twice");
    spec = with_fields(&[]);
    spec.show = Show::Sentence("Done with {name");
    check(&spec, "braces");
    spec.show = Show::Table("items", &[]);
    check(&spec, "columns");
}

#[test]
fn two_commands_of_one_name_are_found() {
    let first = with_fields(&[]);
    let mut second = with_fields(&[]);
    second.name = "other";
    second.aliases = &[Alias { name: "PROBE", success: 200, reply: "object" }];
    let found = lint_all(&[&first, &second]);
    assert_eq!(found, ["other: another command is called 'PROBE'"]);
}
