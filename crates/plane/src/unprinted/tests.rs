//! No message prints what somebody could sign in with.

use std::fmt::Debug;
use std::net::IpAddr;

use keysherd_base::{AccessId, ItemPath, Timestamp, Uid, UidTokenId};
use keysherd_domain::auth_method::{MethodDetail, MethodShared};

use super::*;
use crate::auth::{ChangePassword, LoginSubject, PasswordParamsReply};
use crate::auth_methods::{AccessKeyReset, MethodCreate};
use crate::second_factor::FactorEnroll;
use crate::setup::{SetupBegin, SetupComplete};
use crate::uid::UidRevoke;
use crate::{Reply, Request};

/// Stands in every place that must not be printed.
const CANARY: &str = "canary";
/// The same in places that are numbers; printed as a list it is this.
const NUMBER: u8 = 217;

fn canary() -> String {
    CANARY.to_owned()
}

fn path() -> ItemPath {
    ItemPath::parse("/a/b").unwrap()
}

fn id() -> AccessId {
    AccessId::parse("p-abcdefghijkl").unwrap()
}

fn subject() -> LoginSubject {
    LoginSubject::AccessId(id())
}

fn proof() -> LoginProof {
    LoginProof { signed_at: Timestamp(5), nonce: [NUMBER; 16], signature: [NUMBER; 64] }
}

fn password() -> NewPassword {
    let params =
        PasswordParamsReply { salt: [NUMBER; 16], memory_kib: 1, iterations: 1, parallelism: 1 };
    NewPassword { params, public_key: [NUMBER; 32] }
}

fn member() -> MethodDetail {
    let settings = format!("{{\"client_secret\":\"{CANARY}\"}}");
    MethodDetail::Member { kind: "oidc".to_owned(), settings }
}

fn requests() -> Vec<Request> {
    let shared = MethodShared::default();
    let update = MethodUpdate {
        path: path(),
        new_path: None,
        shared: Some(shared.clone()),
        kind: "oidc".to_owned(),
        settings: Some(canary()),
        demand_second_factor: None,
    };
    let depart = BrowserDepart {
        access_id: id(),
        kind: "oidc".to_owned(),
        callback: "https://gw.example/login/callback".to_owned(),
        state: canary(),
        nonce: canary(),
        challenge: canary(),
    };
    let present =
        Present { access_id: id(), kind: "jwt".to_owned(), evidence: canary(), ticket: None };
    let otp = canary;
    vec![
        Login { subject: subject(), proof: proof(), otp: Some(otp()) }.into(),
        present.into(),
        LoginAdmit { access_id: id(), person: Some(canary()), instead: None }.into(),
        ChangePassword { proof: proof(), new: password() }.into(),
        MethodCreate { path: path(), shared, detail: member() }.into(),
        update.into(),
        AccessKeyReset { path: path(), public_key: [1; 32], password: password() }.into(),
        depart.into(),
        FactorEnroll { subject: subject(), proof: proof() }.into(),
        FactorConfirm { subject: subject(), proof: proof(), otp: otp() }.into(),
        FactorRemove { subject: subject(), proof: proof(), otp: otp() }.into(),
        OwnerTransfer { path: path(), proof: proof(), otp: Some(otp()) }.into(),
        OwnerSeal { sealed: true, otp: otp() }.into(),
        UidAcknowledge { new: canary() }.into(),
        UidRevoke { method: None, token: UidNamed::Value(canary()), branch: true }.into(),
    ]
}

fn setups() -> Vec<Request> {
    let token = || SetupToken(CANARY.into());
    let begin = SetupBegin {
        token: token(),
        account: Uid([1; 16]),
        key_id: keysherd_base::KeyId::default(),
        self_test_salt: [1; 32],
    };
    let complete = SetupComplete {
        token: token(),
        account: Uid([1; 16]),
        owner_email: "o@example.com".to_owned(),
        owner_password: password(),
        admin_public_key: [1; 32],
        admin_access_id: id(),
        key_id: keysherd_base::KeyId::default(),
        manifest: [1_u8].into(),
        managers: 3,
        threshold: 2,
        customer_fragment: None,
    };
    vec![begin.into(), complete.into()]
}

fn assert_hidden(message: &dyn Debug) {
    for text in [format!("{message:?}"), format!("{message:#?}")] {
        let number = NUMBER.to_string();
        assert!(!text.contains(CANARY) && !text.contains(&number), "{text}");
    }
}

#[test]
fn no_request_prints_what_somebody_could_sign_in_with() {
    for request in requests().into_iter().chain(setups()) {
        assert_hidden(&request);
        // It is there, though: what is tested is the printing, not the sample.
        let name = request.name();
        assert!(format!("{request:?}").contains(name), "{request:?}");
    }
    let address: IpAddr = [127, 0, 0, 1].into();
    let mut caller = Caller::of_the_server(Uid([1; 16]));
    caller.token = Some(CANARY.into());
    assert_hidden(&caller);
    assert!(format!("{caller:?}").contains(&address.to_string()));
}

#[test]
fn no_reply_prints_a_token_a_seed_or_a_code() {
    use crate::SessionReply as S;
    let expires = Timestamp(5);
    let seed = FactorEnrollReply { secret: canary(), uri: canary() };
    let codes = FactorConfirmReply { recovery_codes: vec![canary()] };
    let replies = [
        S::Login(LoginReply { token: canary(), expires, access_id: id() }),
        S::Present(LoginReply { token: canary(), expires, access_id: id() }),
        S::UidLogin(LoginReply { token: canary(), expires, access_id: id() }),
        S::BrowserDepart(BrowserDepartReply {
            url: format!("https://idp.example/?state={CANARY}"),
        }),
        S::UidGenerate(UidTokenReply { token: canary() }),
        S::UidRotate(UidTokenReply { token: canary() }),
        S::UidChild(UidTokenReply { token: canary() }),
        S::FactorEnroll(seed),
        S::FactorConfirm(codes),
    ];
    for reply in replies {
        assert_hidden(&Reply::Session(reply));
    }
}

#[test]
fn a_public_id_is_printed() {
    let id = UidTokenId::parse("ywzsub3u4tbu").unwrap();
    assert!(format!("{:?}", UidNamed::Id(id.clone())).contains(&id.to_string()));
}
