//! The administrative fields of a role: each stands for one path rule of its own kind.

use keysherd_base::Fault;
use keysherd_domain::policy::kinds::{Scope, settable};
use keysherd_domain::role::{Capabilities, Rule, RuleKind};
use keysherd_wire::{Args, Field, Group, List, Text};

const SCOPES: &[&str] = &["none", "own", "scoped", "all"];

const AUDIT: Field<Text> = Field::text("audit-access", "Access to the audit log.").choices(SCOPES);
const ANALYTICS: Field<Text> =
    Field::text("analytics-access", "Access to analytics.").choices(SCOPES);
const GATEWAY_ANALYTICS: Field<Text> =
    Field::text("gw-analytics-access", "Access to gateways' analytics.").choices(SCOPES);
const SRA_REPORTS: Field<Text> =
    Field::text("sra-reports-access", "Access to remote-access reports.").choices(SCOPES);
const ARA_REPORTS: Field<Text> =
    Field::text("ara-reports-access", "Access to agentic reports.").choices(SCOPES);
const USAGE_REPORTS: Field<Text> =
    Field::text("usage-reports-access", "Access to usage reports.").choices(SCOPES);
const EVENT_CENTER: Field<Text> =
    Field::text("event-center-access", "Access to the event center.").choices(SCOPES);
const EVENT_FORWARDERS: Field<Text> =
    Field::text("event-forwarders-access", "Access to event forwarders.").choices(SCOPES);
const EVENT_FORWARDER: Field<Text> =
    Field::text("event-forwarder-access", "The same as event-forwarders-access.").choices(SCOPES);
const EVENT_FORWARDER_NAMES: Field<List> =
    Field::list("event-forwarders-name", "Only these event forwarders.").inert();
const ISI: Field<Text> = Field::text("isi-access", "Access to insights.").choices(SCOPES);
const REVERSE_RBAC: Field<Text> =
    Field::text("reverse-rbac-access", "Access to access reviews.").choices(SCOPES);

/// The administrative fields.
pub(super) const ADMINISTRATIVE: Group = Group {
    title: "Administration",
    fields: &[
        AUDIT.spec(),
        ANALYTICS.spec(),
        GATEWAY_ANALYTICS.spec(),
        SRA_REPORTS.spec(),
        ARA_REPORTS.spec(),
        USAGE_REPORTS.spec(),
        EVENT_CENTER.spec(),
        EVENT_FORWARDERS.spec(),
        EVENT_FORWARDER.spec(),
        EVENT_FORWARDER_NAMES.spec(),
        ISI.spec(),
        REVERSE_RBAC.spec(),
    ],
};

const KINDS: &[(Field<Text>, RuleKind)] = &[
    (AUDIT, RuleKind::Search),
    (ANALYTICS, RuleKind::Reports),
    (GATEWAY_ANALYTICS, RuleKind::GatewayReports),
    (SRA_REPORTS, RuleKind::SraReports),
    (ARA_REPORTS, RuleKind::AraReports),
    (USAGE_REPORTS, RuleKind::UsageReports),
    (EVENT_CENTER, RuleKind::Event),
    (EVENT_FORWARDERS, RuleKind::EventForwarder),
    (EVENT_FORWARDER, RuleKind::EventForwarder),
    (ISI, RuleKind::Isi),
    (REVERSE_RBAC, RuleKind::ReverseRbac),
];

/// The rules that the given fields stand for. A rule without capabilities stands for `none`.
pub(super) fn rules(args: &Args) -> Result<Vec<Rule>, Fault> {
    let mut rules = Vec::new();
    for (field, kind) in KINDS {
        let Some(text) = args.get(field)? else { continue };
        let scope = match text.to_ascii_lowercase().as_str() {
            "own" => Scope::Own,
            "scoped" => Scope::Scoped,
            "all" => Scope::All,
            _ => Scope::None,
        };
        let (path, capabilities) = match scope.path() {
            Some(path) => (path.to_owned(), settable(*kind)),
            None => (String::new(), Capabilities::NONE),
        };
        rules.push(Rule { kind: *kind, path, capabilities, expires: None });
    }
    Ok(rules)
}
