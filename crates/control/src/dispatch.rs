//! From a message to its use case: one line each, and a match for each group that the compiler
//! finds complete.

use keysherd_base::Fault;
use keysherd_plane::{
    AccessReply, AccessRequest, Caller, EngineReply, EngineRequest, GatewayReply, GatewayRequest,
    ItemReply, ItemRequest, KeyReply, KeyRequest, RecordReply, RecordRequest, Reply, Request,
    SessionReply, SessionRequest,
};

use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::{
    accounts, advisor, analytics, assocs, audit_log, auth, auth_methods, browser, clusters,
    confirm, credential_leases, credential_rotations, edge_reads, entering, explain, folders,
    gateway_configs, grants, groups, items, keys, login, merge, note, owner, permissions, present,
    roles, rotation, rules, second_factor, setup, uid,
};

type At<'a> = &'a GatewayIdentity;

/// Answers one request, asked of `c` by `by` through the gateway `at`.
pub(crate) async fn dispatch(
    c: &Control,
    at: At<'_>,
    by: &Caller,
    q: Request,
) -> Result<Reply, Fault> {
    c.catch_up().await?;
    Ok(match q {
        Request::Session(q) => Reply::Session(session(c, by, q).await?),
        Request::Access(q) => Reply::Access(access(c, at, by, q).await?),
        Request::Items(q) => Reply::Items(items(c, at, by, q).await?),
        Request::Keys(q) => Reply::Keys(keys(c, at, by, q).await?),
        Request::Engines(q) => Reply::Engines(engines(c, at, by, q).await?),
        Request::Records(q) => Reply::Records(records(c, by, q).await?),
        Request::Gateways(q) => Reply::Gateways(gateways(c, at, by, q).await?),
    })
}

async fn session(c: &Control, by: &Caller, q: SessionRequest) -> Result<SessionReply, Fault> {
    use SessionReply as A;
    use SessionRequest as Q;
    Ok(match q {
        Q::PasswordParams(m) => A::PasswordParams(login::password_params(c, by, m).await?),
        Q::Login(m) => A::Login(login::login(c, by, m).await?),
        Q::Present(m) => A::Present(present::present(c, by, m).await?),
        Q::ValidateToken(m) => A::ValidateToken(auth::validate(c, by, m).await?),
        Q::RevokeToken(m) => A::RevokeToken(auth::revoke(c, by, m).await?),
        Q::DescribeClaims(m) => A::DescribeClaims(auth::claims(c, by, m).await?),
        Q::OwnMethod(m) => A::OwnMethod(auth::own_method(c, by, m).await?),
        Q::OwnEmail(m) => A::OwnEmail(auth::own_email(c, by, m).await?),
        Q::ChangePassword(m) => A::ChangePassword(auth::change_password(c, by, m).await?),
        Q::BrowserDepart(m) => A::BrowserDepart(browser::depart(c, by, m).await?),
        Q::BrowserRefused(m) => A::BrowserRefused(browser::turned_away(c, by, m).await?),
        Q::ChallengeMake(m) => A::ChallengeMake(present::challenge(c, &m)?),
        Q::UidLogin(m) => A::UidLogin(uid::bearer::login(c, by, m).await?),
        Q::UidGenerate(m) => A::UidGenerate(uid::tree::generate(c, by, m).await?),
        Q::UidRotate(m) => A::UidRotate(uid::rotate::rotate(c, by, m).await?),
        Q::UidAcknowledge(m) => A::UidAcknowledge(uid::rotate::acknowledge(c, by, m).await?),
        Q::UidChild(m) => A::UidChild(uid::tree::child(c, by, m).await?),
        Q::UidRevoke(m) => A::UidRevoke(uid::tree::revoke(c, by, m).await?),
        Q::UidList(m) => A::UidList(uid::tree::list(c, by, m).await?),
        Q::FactorEnroll(m) => A::FactorEnroll(second_factor::enroll(c, by, m).await?),
        Q::FactorConfirm(m) => A::FactorConfirm(second_factor::confirm(c, by, m).await?),
        Q::FactorRemove(m) => A::FactorRemove(second_factor::remove(c, by, m).await?),
        Q::LoginAdmit(m) => A::LoginAdmit(entering::admit(c, by, m).await?),
        Q::LoginAbandon(m) => A::LoginAbandon(entering::abandon(c, m)),
        Q::PresentRefused(m) => A::PresentRefused(present::refused_at_gateway(c, by, m).await?),
    })
}

async fn access(
    c: &Control,
    at: At<'_>,
    by: &Caller,
    q: AccessRequest,
) -> Result<AccessReply, Fault> {
    use AccessReply as A;
    use AccessRequest as Q;
    Ok(match q {
        Q::MethodCreate(m) => A::MethodCreate(auth_methods::create(c, by, m).await?),
        Q::MethodUpdate(m) => A::MethodUpdate(auth_methods::update(c, by, m).await?),
        Q::AccessKeyReset(m) => A::AccessKeyReset(auth_methods::reset_key(c, by, m).await?),
        Q::MethodGet(m) => A::MethodGet(auth_methods::get(c, by, m).await?),
        Q::MethodList(m) => A::MethodList(auth_methods::list(c, by, m).await?),
        Q::MethodDelete(m) => A::MethodDelete(auth_methods::delete(c, by, m).await?),
        Q::MethodsDelete(m) => A::MethodsDelete(auth_methods::delete_below(c, by, m).await?),
        Q::RoleCreate(m) => A::RoleCreate(roles::create(c, by, m).await?),
        Q::RoleUpdate(m) => A::RoleUpdate(roles::update(c, by, m).await?),
        Q::RoleGet(m) => A::RoleGet(roles::get(c, by, m).await?),
        Q::RoleList(m) => A::RoleList(roles::list(c, by, m).await?),
        Q::RoleDelete(m) => A::RoleDelete(roles::delete(c, by, m).await?),
        Q::RuleSet(m) => A::RuleSet(rules::set(c, by, m).await?),
        Q::RuleDelete(m) => A::RuleDelete(rules::delete(c, by, m).await?),
        Q::AssocCreate(m) => A::AssocCreate(assocs::create(c, by, m).await?),
        Q::AssocUpdate(m) => A::AssocUpdate(assocs::update(c, by, m).await?),
        Q::AssocDelete(m) => A::AssocDelete(assocs::delete(c, by, m).await?),
        Q::AssocGet(m) => A::AssocGet(assocs::get(c, by, m).await?),
        Q::PermissionsDescribe(m) => A::PermissionsDescribe(permissions::describe(c, by, m).await?),
        Q::ReverseRbac(m) => A::ReverseRbac(permissions::reverse_rbac(c, by, m).await?),
        Q::AccountGet(m) => A::AccountGet(accounts::get(c, by, m).await?),
        Q::AccountEdit(m) => A::AccountEdit(accounts::edit(c, by, m).await?),
        Q::AccountUpdate(m) => A::AccountUpdate(accounts::update(c, by, m).await?),
        Q::AccessExplain(m) => A::AccessExplain(explain::explain(c, by, m).await?),
        Q::Advise(m) => A::Advise(advisor::advise(c, by, m).await?),
        Q::RolesDelete(m) => A::RolesDelete(roles::delete_below(c, by, m).await?),
        Q::GroupCreate(m) => A::GroupCreate(groups::create(c, by, m).await?),
        Q::GroupUpdate(m) => A::GroupUpdate(groups::update(c, by, m).await?),
        Q::GroupGet(m) => A::GroupGet(groups::get(c, by, m).await?),
        Q::GroupList(m) => A::GroupList(groups::list(c, by, m).await?),
        Q::GroupDelete(m) => A::GroupDelete(groups::delete(c, by, m).await?),
        Q::OwnerTransfer(m) => A::OwnerTransfer(owner::transfer(c, by, m).await?),
        Q::OwnerSeal(m) => A::OwnerSeal(owner::seal(c, by, m).await?),
        Q::GatewayConfigure(m) => {
            A::GatewayConfigure(gateway_configs::configure(c, at, by, m).await?)
        }
        Q::KeepBegin(m) => A::KeepBegin(gateway_configs::keep(c, at, by, m).await?),
        Q::KeptFor(m) => A::KeptFor(gateway_configs::kept_for(c, &m)?),
        Q::RolesMerge(m) => A::RolesMerge(merge::merge(c, by, m).await?),
    })
}

async fn items(c: &Control, at: At<'_>, by: &Caller, q: ItemRequest) -> Result<ItemReply, Fault> {
    use ItemReply as A;
    use ItemRequest as Q;
    Ok(match q {
        Q::Grant(m) => A::Grant(grants::grant(c, at, m).await?),
        Q::SecretCreate(m) => A::SecretCreate(items::create::create(c, at, by, m).await?),
        Q::ValuePut(m) => A::ValuePut(items::value::put(c, by, m).await?),
        Q::ItemUpdate(m) => A::ItemUpdate(items::update::update(c, by, m).await?),
        Q::ItemDescribe(m) => A::ItemDescribe(items::describe::describe(c, by, m).await?),
        Q::ItemList(m) => A::ItemList(items::list::list(c, by, m).await?),
        Q::ItemDelete(m) => A::ItemDelete(items::delete::delete(c, by, m).await?),
        Q::ItemsDelete(m) => A::ItemsDelete(items::delete::delete_many(c, by, m).await?),
        Q::ObjectsMove(m) => A::ObjectsMove(items::moves::relocate(c, by, m).await?),
        Q::ItemStateSet(m) => A::ItemStateSet(items::state::set(c, by, m).await?),
        Q::ItemLockSet(m) => A::ItemLockSet(items::lock::lock(c, by, m).await?),
        Q::TargetAssocCreate(m) => {
            A::TargetAssocCreate(items::target_assocs::create(c, by, m).await?)
        }
        Q::TargetAssocDelete(m) => {
            A::TargetAssocDelete(items::target_assocs::delete(c, by, m).await?)
        }
        Q::ItemUnlock(m) => A::ItemUnlock(items::lock::unlock(c, by, m).await?),
        Q::FolderCreate(m) => A::FolderCreate(folders::create(c, by, m).await?),
        Q::FolderGet(m) => A::FolderGet(folders::get(c, by, m).await?),
        Q::FolderUpdate(m) => A::FolderUpdate(folders::update(c, by, m).await?),
        Q::FolderDelete(m) => A::FolderDelete(folders::delete(c, by, m).await?),
    })
}

async fn keys(c: &Control, at: At<'_>, by: &Caller, q: KeyRequest) -> Result<KeyReply, Fault> {
    use KeyReply as A;
    use KeyRequest as Q;
    Ok(match q {
        Q::ManifestGet(m) => A::ManifestGet(keys::manifest(c, by, m).await?),
        Q::KeyBegin(m) => A::KeyBegin(keys::begin(c, at, by, m).await?),
        Q::KeyCreate(m) => A::KeyCreate(keys::create(c, at, by, m).await?),
        Q::KeyRotateBegin(m) => A::KeyRotateBegin(rotation::begin(c, at, by, m).await?),
        Q::KeyRotate(m) => A::KeyRotate(rotation::rotate(c, by, m).await?),
        Q::KeyRefresh(m) => A::KeyRefresh(rotation::refresh::permit(c, at, by, m).await?),
        Q::RewrapTake(m) => A::RewrapTake(rotation::take::take(c, at, m).await?),
        Q::RewrapPut(m) => A::RewrapPut(rotation::put::put(c, m).await?),
        Q::KeyValues(m) => A::KeyValues(rotation::reseal::values(c, by, m).await?),
        Q::ValueReseal(m) => A::ValueReseal(rotation::reseal::reseal(c, by, m).await?),
        Q::RewrapStatus(m) => A::RewrapStatus(rotation::status::status(c, by, m).await?),
        Q::SetupLook(m) => A::SetupLook(setup::look(c, m)?),
        Q::SetupBegin(m) => A::SetupBegin(setup::begin(c, at, m)?),
        Q::SetupComplete(m) => A::SetupComplete(setup::complete(c, at, m).await?),
        Q::ManagerAlert(m) => A::ManagerAlert(confirm::alert(c, by, m).await?),
        Q::ConfirmBegin(m) => A::ConfirmBegin(confirm::begin(c, at, by, m).await?),
        Q::ConfirmDone(m) => A::ConfirmDone(confirm::done(c, by, m).await?),
    })
}

async fn engines(
    c: &Control,
    at: At<'_>,
    by: &Caller,
    q: EngineRequest,
) -> Result<EngineReply, Fault> {
    use EngineReply as A;
    use EngineRequest as Q;
    Ok(match q {
        Q::LeaseIntend(m) => A::LeaseIntend(credential_leases::made::intend(c, at, by, m).await?),
        Q::LeaseActivate(m) => A::LeaseActivate(credential_leases::made::activate(c, at, m).await?),
        Q::LeaseAbandon(m) => A::LeaseAbandon(credential_leases::made::abandon(c, at, m).await?),
        Q::LeaseList(m) => A::LeaseList(credential_leases::owned::list(c, by, m).await?),
        Q::LeaseExtend(m) => A::LeaseExtend(credential_leases::owned::extend(c, by, m).await?),
        Q::LeaseRevoke(m) => A::LeaseRevoke(credential_leases::owned::revoke(c, by, m).await?),
        Q::LeaseTake(m) => A::LeaseTake(credential_leases::work::take(c, at, m).await?),
        Q::LeaseReport(m) => A::LeaseReport(credential_leases::report::report(c, at, m).await?),
        Q::RotationTake(m) => A::RotationTake(credential_rotations::work::take(c, at, m).await?),
        Q::RotationBegin(m) => {
            A::RotationBegin(credential_rotations::begin::begin(c, at, by, m).await?)
        }
        Q::RotationHold(m) => A::RotationHold(credential_rotations::said::hold(c, at, m).await?),
        Q::RotationKeep(m) => A::RotationKeep(credential_rotations::said::keep(c, at, m).await?),
        Q::RotationReport(m) => {
            A::RotationReport(credential_rotations::report::report(c, at, m).await?)
        }
        Q::RotatedCheckOut(m) => {
            A::RotatedCheckOut(credential_rotations::owned::check_out(c, by, m).await?)
        }
        Q::RotatedDisconnect(m) => {
            A::RotatedDisconnect(credential_rotations::owned::disconnect(c, by, m).await?)
        }
    })
}

async fn records(c: &Control, by: &Caller, q: RecordRequest) -> Result<RecordReply, Fault> {
    use RecordReply as A;
    use RecordRequest as Q;
    Ok(match q {
        Q::Note(m) => A::Note(note::note(c, by, m).await?),
        Q::AuditSearch(m) => A::AuditSearch(audit_log::search::search(c, by, m).await?),
        Q::AuditExport(m) => A::AuditExport(audit_log::export::export(c, by, m).await?),
        Q::AuditFollow(m) => A::AuditFollow(audit_log::follow::follow(c, by, m).await?),
        Q::AuditCheckpoint(m) => A::AuditCheckpoint(audit_log::export::checkpoint(c, by, m).await?),
        Q::AnalyticsGet(m) => A::AnalyticsGet(analytics::get(c, by, m).await?),
        Q::UnusedItems(m) => A::UnusedItems(analytics::unused::items(c, by, m).await?),
        Q::UnusedRights(m) => A::UnusedRights(analytics::rights::rights(c, by, m).await?),
    })
}

async fn gateways(
    c: &Control,
    at: At<'_>,
    by: &Caller,
    q: GatewayRequest,
) -> Result<GatewayReply, Fault> {
    use GatewayReply as A;
    use GatewayRequest as Q;
    Ok(match q {
        Q::ClusterSync(m) => A::ClusterSync(clusters::sync::sync(c, at, by, m).await?),
        Q::ClusterConfigPut(m) => A::ClusterConfigPut(clusters::config::put(c, at, by, m).await?),
        Q::LeaseRelease(m) => A::LeaseRelease(clusters::leases::release(c, at, by, m).await?),
        Q::PlacePut(m) => A::PlacePut(clusters::leases::put_place(c, at, by, m).await?),
        Q::PlaceList(m) => A::PlaceList(clusters::leases::places(c, at, by, m).await?),
        Q::ClusterList(m) => A::ClusterList(clusters::list::list(c, at, by, m).await?),
        Q::ClusterShow(m) => A::ClusterShow(clusters::show::show(c, at, by, m).await?),
        Q::ClusterKeyChoose(m) => {
            A::ClusterKeyChoose(clusters::show::choose_key(c, at, by, m).await?)
        }
        Q::ClusterDelete(m) => A::ClusterDelete(clusters::delete::delete(c, by, m).await?),
        Q::VouchCheck(m) => A::VouchCheck(clusters::vouching::check(c, by, m).await?),
        Q::ChangesWait(m) => A::ChangesWait(edge_reads::changes::answer(c, at, &m).await?),
        Q::JournalPut(m) => A::JournalPut(edge_reads::journal::put(c, at, m).await?),
        Q::AccessCreate(m) => A::AccessCreate(clusters::access::create(c, at, by, m).await?),
        Q::AccessUpdate(m) => A::AccessUpdate(clusters::access::update(c, at, by, m).await?),
        Q::AccessGet(m) => A::AccessGet(clusters::access::get(c, at, by, m).await?),
        Q::AccessProvide(m) => A::AccessProvide(clusters::provide::provide(c, at, by, m).await?),
        Q::AccessDelete(m) => A::AccessDelete(clusters::access::delete(c, at, by, m).await?),
    })
}
