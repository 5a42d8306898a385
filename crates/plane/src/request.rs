//! The closed list of messages: [`Request`], [`Reply`], and which reply answers which request.

use keysherd_domain::group::Group;
use serde::{Deserialize, Serialize};

use crate::caller::{Audited, Note};
use crate::warned::Warned;
use crate::{
    accounts, admission, advice, alerts, audit_log, auth, auth_methods, browser, cache, challenges,
    clusters, configs, confirm, credential_leases, credential_rotations, explain, gateway_access,
    grants, groups, items, keys, merge, refresh, roles, rotation, second_factor, setup,
    target_assocs, uid,
};

/// A message that can be asked, with the type of its reply.
pub trait Ask: Into<Request> {
    /// What answers it.
    type Reply;

    /// Whether the plane writes an audit record when the message succeeds. Failures are always
    /// recorded. Messages that only prepare another one are recorded by that one.
    const RECORDS_SUCCESS: bool = true;

    /// Takes the reply out; `None` when it answers another message.
    fn from_reply(reply: Reply) -> Option<Self::Reply>;
}

/// The nothing that answers a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

// One macro for this crate: it only pairs names. Written out by hand it is four places per message
// that can disagree. Messages stand in groups so that what answers them can be a match for each
// group, which the compiler finds complete.
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $group:ident($(#[$lint:meta])* $request:ident, $reply:ident) {
            $($name:ident: $message:ty => $answer:ty $(, $unrecorded:ident)?;)*
        }
    )*) => {
        /// A message to the control plane.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[expect(clippy::large_enum_variant, reason = "moved once per request")]
        pub enum Request { $($(#[$doc])* $group($request),)* }

        /// The answer to a [`Request`] of the same variant names.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub enum Reply { $($(#[$doc])* $group($reply),)* }

        impl Request {
            /// The message's name, for logs and metrics.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$group(message) => message.name(),)* }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Serialize, Deserialize)]
            #[expect(missing_docs, reason = "each variant is documented at its message type")]
            $(#[$lint])*
            pub enum $request { $($name($message),)* }

            /// The answer to a message of the same group and variant name.
            #[derive(Clone, Debug, Serialize, Deserialize)]
            #[expect(missing_docs, reason = "each variant is documented at its reply type")]
            pub enum $reply { $($name($answer),)* }

            impl $request {
                const fn name(&self) -> &'static str {
                    match self { $(Self::$name(_) => stringify!($name),)* }
                }
            }

            $(
                impl From<$message> for Request {
                    fn from(message: $message) -> Self {
                        Self::$group($request::$name(message))
                    }
                }

                impl Ask for $message {
                    type Reply = $answer;

                    $(const RECORDS_SUCCESS: bool = stringify!($unrecorded).is_empty();)?

                    fn from_reply(reply: Reply) -> Option<$answer> {
                        match reply {
                            Reply::$group($reply::$name(reply)) => Some(reply),
                            _ => None,
                        }
                    }
                }
            )*
        )*
    };
}

messages! {
    /// Signing in, and the tokens and second factors that come of it.
    Session(SessionRequest, SessionReply) {
        PasswordParams: auth::PasswordParams => auth::PasswordParamsReply, unrecorded;
        Login: auth::Login => auth::LoginReply;
        Present: auth::Present => auth::LoginReply;
        ValidateToken: auth::ValidateToken => auth::ValidateTokenReply;
        RevokeToken: auth::RevokeToken => Done;
        DescribeClaims: auth::DescribeClaims => auth::DescribeClaimsReply;
        OwnMethod: auth::OwnMethod => auth::OwnMethodReply, unrecorded;
        OwnEmail: auth::OwnEmail => auth::OwnEmailReply, unrecorded;
        ChangePassword: auth::ChangePassword => Done;
        BrowserDepart: browser::BrowserDepart => browser::BrowserDepartReply, unrecorded;
        BrowserRefused: browser::BrowserRefused => Done;
        ChallengeMake: challenges::ChallengeMake => challenges::ChallengeMakeReply, unrecorded;
        UidLogin: uid::UidLogin => auth::LoginReply;
        UidGenerate: uid::UidGenerate => uid::UidTokenReply;
        UidRotate: uid::UidRotate => uid::UidTokenReply;
        UidAcknowledge: uid::UidAcknowledge => Done;
        UidChild: uid::UidChild => uid::UidTokenReply;
        UidRevoke: uid::UidRevoke => Done;
        UidList: uid::UidList => uid::UidListReply;
        FactorEnroll: second_factor::FactorEnroll => second_factor::FactorEnrollReply;
        FactorConfirm: second_factor::FactorConfirm => second_factor::FactorConfirmReply;
        FactorRemove: second_factor::FactorRemove => Done;
        LoginAdmit: admission::LoginAdmit => admission::LoginAdmitReply, unrecorded;
        LoginAbandon: admission::LoginAbandon => Done, unrecorded;
        PresentRefused: auth::PresentRefused => Done;
    }
    /// Who may come in and what they may do: auth methods, roles, groups, the account.
    Access(
        #[expect(clippy::large_enum_variant, reason = "moved once per request")]
        AccessRequest, AccessReply
    ) {
        MethodCreate: auth_methods::MethodCreate => auth_methods::MethodCreateReply;
        MethodUpdate: auth_methods::MethodUpdate => auth_methods::MethodUpdateReply;
        AccessKeyReset: auth_methods::AccessKeyReset => Done;
        MethodGet: auth_methods::MethodGet => auth_methods::MethodView;
        MethodList: auth_methods::MethodList => auth_methods::MethodListReply;
        MethodDelete: auth_methods::MethodDelete => Done;
        MethodsDelete: auth_methods::MethodsDelete => Done;
        RoleCreate: roles::RoleCreate => Warned;
        RoleUpdate: roles::RoleUpdate => Warned;
        RoleGet: roles::RoleGet => roles::RoleView;
        RoleList: roles::RoleList => roles::RoleListReply;
        RoleDelete: roles::RoleDelete => Done;
        RuleSet: roles::RuleSet => Warned;
        RuleDelete: roles::RuleDelete => Done;
        AssocCreate: roles::AssocCreate => roles::AssocCreateReply;
        AssocUpdate: roles::AssocUpdate => Warned;
        AssocDelete: roles::AssocDelete => Done;
        AssocGet: roles::AssocGet => roles::AssocView;
        PermissionsDescribe: roles::PermissionsDescribe => roles::PermissionsDescribeReply;
        ReverseRbac: roles::ReverseRbac => roles::ReverseRbacReply;
        AccountGet: accounts::AccountGet => accounts::AccountView;
        AccountEdit: accounts::AccountEdit => accounts::AccountView, unrecorded;
        AccountUpdate: accounts::AccountUpdate => Done;
        AccessExplain: explain::AccessExplain => explain::AccessExplainReply;
        Advise: advice::Advise => advice::AdviseReply;
        RolesDelete: roles::RolesDelete => Done;
        GroupCreate: groups::GroupCreate => Group;
        GroupUpdate: groups::GroupUpdate => Group;
        GroupGet: groups::GroupGet => Group;
        GroupList: groups::GroupList => groups::GroupListReply;
        GroupDelete: groups::GroupDelete => Done;
        OwnerTransfer: second_factor::OwnerTransfer => Done;
        OwnerSeal: second_factor::OwnerSeal => Done;
        GatewayConfigure: configs::GatewayConfigure => configs::GatewayConfigureReply, unrecorded;
        KeepBegin: configs::KeepBegin => configs::KeepBeginReply, unrecorded;
        KeptFor: configs::KeptFor => configs::KeptForReply, unrecorded;
        RolesMerge: merge::RolesMerge => merge::RolesMergeReply;
    }
    /// Items, folders, and access to values.
    Items(ItemRequest, ItemReply) {
        Grant: grants::Grant => grants::GrantReply, unrecorded;
        SecretCreate: items::SecretCreate => items::SecretCreateReply;
        ValuePut: items::ValuePut => items::ValuePutReply;
        ItemUpdate: items::ItemUpdate => Warned;
        ItemDescribe: items::ItemDescribe => items::ItemView;
        ItemList: items::ItemList => items::ItemListReply;
        ItemDelete: items::ItemDelete => items::ItemDeleteReply;
        ItemsDelete: items::ItemsDelete => items::ItemsDeleteReply;
        ObjectsMove: items::ObjectsMove => items::ObjectsMoveReply;
        ItemStateSet: items::ItemStateSet => Done;
        ItemLockSet: items::ItemLockSet => Done;
        TargetAssocCreate: target_assocs::TargetAssocCreate
            => target_assocs::TargetAssocCreateReply;
        TargetAssocDelete: target_assocs::TargetAssocDelete => Done;
        ItemUnlock: items::ItemUnlock => Done;
        FolderCreate: items::FolderCreate => items::FolderView;
        FolderGet: items::FolderGet => items::FolderView;
        FolderUpdate: items::FolderUpdate => Done;
        FolderDelete: items::FolderDelete => Done;
    }
    /// Protection keys: making, rotating, confirming; setting up the first one.
    Keys(KeyRequest, KeyReply) {
        ManifestGet: keys::ManifestGet => keys::ManifestGetReply, unrecorded;
        KeyBegin: keys::KeyBegin => keys::KeyBeginReply, unrecorded;
        KeyCreate: keys::KeyCreate => keys::KeyCreateReply;
        KeyRotateBegin: rotation::KeyRotateBegin => rotation::KeyRotateBeginReply, unrecorded;
        KeyRotate: rotation::KeyRotate => rotation::KeyRotateReply;
        KeyRefresh: refresh::KeyRefresh => refresh::KeyRefreshReply;
        RewrapTake: rotation::RewrapTake => rotation::RewrapTakeReply;
        RewrapPut: rotation::RewrapPut => rotation::RewrapPutReply;
        KeyValues: rotation::KeyValues => rotation::KeyValuesReply;
        ValueReseal: rotation::ValueReseal => Done;
        RewrapStatus: rotation::RewrapStatus => rotation::RewrapStatusReply;
        SetupLook: setup::SetupLook => setup::SetupLookReply, unrecorded;
        SetupBegin: setup::SetupBegin => setup::SetupBeginReply, unrecorded;
        SetupComplete: setup::SetupComplete => Done;
        ManagerAlert: alerts::ManagerAlert => Audited, unrecorded;
        ConfirmBegin: confirm::ConfirmBegin => confirm::ConfirmBeginReply, unrecorded;
        ConfirmDone: confirm::ConfirmDone => Done;
    }
    /// Temporary credentials, and credentials that change from time to time.
    Engines(EngineRequest, EngineReply) {
        LeaseIntend: credential_leases::LeaseIntend => credential_leases::LeaseIntended;
        LeaseActivate: credential_leases::LeaseActivate => Done, unrecorded;
        LeaseAbandon: credential_leases::LeaseAbandon => Done, unrecorded;
        LeaseList: credential_leases::LeaseList => credential_leases::LeaseListReply;
        LeaseExtend: credential_leases::LeaseExtend => Done;
        LeaseRevoke: credential_leases::LeaseRevoke => credential_leases::LeaseRevokeReply;
        LeaseTake: credential_leases::LeaseTake => credential_leases::LeaseTakeReply;
        LeaseReport: credential_leases::LeaseReport => Done;
        RotationTake: credential_rotations::RotationTake => credential_rotations::RotationTakeReply;
        RotationBegin: credential_rotations::RotationBegin
            => credential_rotations::RotationBeginReply;
        RotationHold: credential_rotations::RotationHold => Done, unrecorded;
        RotationKeep: credential_rotations::RotationKeep => Done, unrecorded;
        RotationReport: credential_rotations::RotationReport => Done;
        RotatedCheckOut: credential_rotations::RotatedCheckOut
            => credential_rotations::RotatedCheckedOut;
        RotatedDisconnect: credential_rotations::RotatedDisconnect => Done;
    }
    /// The audit log, and what is read out of it.
    Records(RecordRequest, RecordReply) {
        Note: Note => Audited;
        AuditSearch: audit_log::AuditSearch => audit_log::AuditSearchReply;
        AuditExport: audit_log::AuditExport => audit_log::AuditExportReply;
        AuditFollow: audit_log::AuditFollow => audit_log::AuditFollowReply, unrecorded;
        AuditCheckpoint: audit_log::AuditCheckpoint => audit_log::AuditCheckpointReply;
        AnalyticsGet: audit_log::AnalyticsGet => audit_log::Analytics;
        UnusedItems: audit_log::UnusedItems => audit_log::UnusedItemsReply;
        UnusedRights: audit_log::UnusedRights => audit_log::UnusedRightsReply;
    }
    /// Gateways themselves, and their clusters.
    Gateways(GatewayRequest, GatewayReply) {
        ClusterSync: clusters::ClusterSync => clusters::ClusterSyncReply, unrecorded;
        ClusterConfigPut: clusters::ClusterConfigPut => Done;
        LeaseRelease: clusters::LeaseRelease => Done, unrecorded;
        PlacePut: clusters::PlacePut => Done, unrecorded;
        PlaceList: clusters::PlaceList => clusters::PlaceListReply, unrecorded;
        ClusterList: clusters::ClusterList => clusters::ClusterListReply;
        ClusterDelete: clusters::ClusterDelete => Done;
        VouchCheck: clusters::VouchCheck => Done;
        ClusterShow: clusters::ClusterShow => clusters::ClusterShown, unrecorded;
        ClusterKeyChoose: clusters::ClusterKeyChoose => clusters::ClusterKeyChosen, unrecorded;
        ChangesWait: cache::ChangesWait => cache::ChangesReply, unrecorded;
        JournalPut: cache::JournalPut => cache::JournalPutReply, unrecorded;
        AccessCreate: gateway_access::GatewayAccessCreate => gateway_access::GatewayAccessView;
        AccessUpdate: gateway_access::GatewayAccessUpdate => gateway_access::GatewayAccessView;
        AccessGet: gateway_access::GatewayAccessGet => gateway_access::GatewayAccessView;
        AccessDelete: gateway_access::GatewayAccessDelete => Done;
        AccessProvide: gateway_access::GatewayAccessProvide => Done, unrecorded;
    }
}
