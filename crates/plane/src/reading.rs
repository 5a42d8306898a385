//! Which messages change nothing but the audit log.

use crate::{AccessRequest, EngineRequest, ItemRequest, KeyRequest, Request, SessionRequest};

impl Request {
    /// Whether the message only reads. New messages are taken for changes unless they are named
    /// here.
    pub const fn only_reads(&self) -> bool {
        use {AccessRequest as A, ItemRequest as I, SessionRequest as S};
        match self {
            Self::Session(q) => matches!(
                q,
                S::PasswordParams(_) | S::ValidateToken(_) | S::DescribeClaims(_) | S::OwnEmail(_)
            ),
            Self::Access(q) => matches!(
                q,
                A::MethodGet(_)
                    | A::MethodList(_)
                    | A::RoleGet(_)
                    | A::RoleList(_)
                    | A::AssocGet(_)
                    | A::PermissionsDescribe(_)
                    | A::ReverseRbac(_)
                    | A::AccountGet(_)
            ),
            Self::Items(q) => {
                matches!(q, I::Grant(_) | I::ItemDescribe(_) | I::ItemList(_) | I::FolderGet(_))
            }
            Self::Keys(q) => matches!(q, KeyRequest::ManifestGet(_)),
            Self::Engines(q) => matches!(q, EngineRequest::LeaseList(_)),
            Self::Records(_) | Self::Gateways(_) => false,
        }
    }
}
