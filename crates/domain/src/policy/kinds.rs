//! Which capabilities each kind of rule knows, and the administrative kinds' scopes.

use crate::role::{Capabilities, Capability, RuleKind};

const CRUD: Capabilities = Capabilities::NONE
    .with(Capability::Read)
    .with(Capability::Create)
    .with(Capability::Update)
    .with(Capability::Delete)
    .with(Capability::List);

const SESSION: Capabilities = Capabilities::NONE
    .with(Capability::AllowAccess)
    .with(Capability::ApprovalAuthority)
    .with(Capability::UploadFiles)
    .with(Capability::DownloadFiles);

const READ: Capabilities = Capabilities::NONE.with(Capability::Read);

/// The capabilities a rule of `kind` may be set with.
///
/// Remote-access rules know no deny: a deny overrides every grant but theirs.
pub const fn settable(kind: RuleKind) -> Capabilities {
    match kind {
        RuleKind::Item | RuleKind::Target | RuleKind::Role | RuleKind::AuthMethod => {
            CRUD.with(Capability::Deny)
        }
        RuleKind::EventForwarder => CRUD,
        RuleKind::Sra => {
            SESSION.with(Capability::RequestAccess).with(Capability::JustifyAccessOnly)
        }
        RuleKind::Ara => Capabilities::NONE.with(Capability::AllowAccess),
        RuleKind::Search
        | RuleKind::Reports
        | RuleKind::GatewayReports
        | RuleKind::SraReports
        | RuleKind::AraReports
        | RuleKind::UsageReports
        | RuleKind::Event
        | RuleKind::ReverseRbac
        | RuleKind::Isi => READ,
    }
}

/// What an admin effectively has for `kind`: everything that widens access. Having to ask or to
/// give a reason is a condition, and an admin is under none.
pub const fn held_by_admin(kind: RuleKind) -> Capabilities {
    match kind {
        RuleKind::Item
        | RuleKind::Target
        | RuleKind::Role
        | RuleKind::AuthMethod
        | RuleKind::EventForwarder => CRUD,
        RuleKind::Sra => SESSION.with(Capability::List),
        _ => settable(kind).with(Capability::List),
    }
}

/// Whether rules of `kind` say [`Scope`]s instead of paths: the role fields such as `audit-access`.
pub const fn is_administrative(kind: RuleKind) -> bool {
    !matches!(
        kind,
        RuleKind::Item
            | RuleKind::Target
            | RuleKind::Role
            | RuleKind::AuthMethod
            | RuleKind::Sra
            | RuleKind::Ara
    )
}

/// How far an administrative right reaches, narrowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nothing.
    #[default]
    None,
    /// What the bearer did.
    Own,
    /// What concerns objects the bearer has access to.
    Scoped,
    /// The whole account.
    All,
}

impl Scope {
    /// The path of the rule that says this scope; `None` for the absence of a rule.
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Own => Some("/self"),
            Self::Scoped => Some("/scoped"),
            Self::All => Some("/*"),
        }
    }

    /// Reads back [`Scope::path`]; any other path is [`Scope::None`].
    pub fn from_path(path: &str) -> Self {
        match path {
            "/self" => Self::Own,
            "/scoped" => Self::Scoped,
            "/*" => Self::All,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_are_ordered() {
        for scope in [Scope::Own, Scope::Scoped, Scope::All] {
            assert_eq!(Scope::from_path(scope.path().unwrap()), scope);
        }
        assert_eq!(Scope::from_path("/anything"), Scope::None);
        assert!(Scope::None < Scope::Own && Scope::Own < Scope::Scoped);
        assert!(Scope::Scoped < Scope::All);
    }

    #[test]
    fn nobody_holds_a_deny_and_an_admin_is_under_no_condition() {
        for (kind, _) in RuleKind::NAMES {
            let held = held_by_admin(kind);
            assert!(held.has(Capability::List), "{kind:?}");
            for capability in
                [Capability::Deny, Capability::RequestAccess, Capability::JustifyAccessOnly]
            {
                assert!(!held.has(capability), "{kind:?} {capability:?}");
            }
            let missing = settable(kind).iter().filter(|capability| !held.has(*capability));
            assert!(
                missing.into_iter().all(|capability| {
                    matches!(
                        capability,
                        Capability::Deny
                            | Capability::RequestAccess
                            | Capability::JustifyAccessOnly
                    )
                }),
                "{kind:?}"
            );
        }
    }
}
