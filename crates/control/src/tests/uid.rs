//! Universal identity: tokens that are rotated, their trees, and what theft costs.

mod rotation;
mod tokens;
mod trees;

use keysherd_authn::uid_settings;
use keysherd_base::Fault;
use keysherd_domain::auth_method::{MethodDetail, MethodShared};
use keysherd_domain::role::RuleKind;
use keysherd_domain::uid::UidSettings;
use keysherd_plane::Done;
use keysherd_plane::auth_methods::MethodCreate;
use keysherd_plane::uid::{
    UidAcknowledge, UidChild, UidGenerate, UidList, UidNamed, UidRevoke, UidRotate, UidTokenView,
};

use crate::testing::{World, item, rule};
use keysherd_domain::claims::SubClaims;

/// The usual method of universal identity.
const METHOD: &str = "/uid";

/// A child of one's own token, as the method says.
fn child() -> UidChild {
    UidChild {
        parent: None,
        ttl_minutes: None,
        deny_rotate: false,
        deny_inheritance: false,
        comment: String::new(),
    }
}

/// The settings as a gateway sends them.
fn detail(settings: &UidSettings) -> MethodDetail {
    let UidSettings {
        ttl_minutes,
        child_ttl_limit_minutes,
        tree_length,
        deny_rotate,
        deny_inheritance,
        expiration_event_percents: percents,
    } = settings;
    let settings = format!(
        "{{\"ttl_minutes\":{ttl_minutes},\"child_ttl_limit_minutes\":{child_ttl_limit_minutes},\
         \"tree_length\":{tree_length},\"deny_rotate\":{deny_rotate},\
         \"deny_inheritance\":{deny_inheritance},\"expiration_event_percents\":{percents:?}}}"
    );
    uid_settings(&settings).unwrap();
    MethodDetail::Member { kind: "universal_identity".to_owned(), settings }
}

impl World {
    /// Makes the method with these settings, whose bearers may list auth methods; gives its root.
    async fn uid_root(&self, settings: UidSettings) -> String {
        self.uid_method(METHOD, settings, MethodShared::default()).await;
        let rules = [rule(RuleKind::AuthMethod, "/visible/*", "list")];
        self.role("/uid-role", &rules).await;
        self.associate("/uid-role", METHOD, SubClaims::default()).await;
        self.generate(METHOD).await
    }

    async fn uid_method(&self, path: &str, settings: UidSettings, shared: MethodShared) {
        let create = MethodCreate { path: item(path), shared, detail: detail(&settings) };
        self.ask(&self.admin, create).await.unwrap();
    }

    async fn generate(&self, path: &str) -> String {
        self.ask(&self.admin, UidGenerate { method: item(path) }).await.unwrap().token
    }

    async fn rotate(&self, token: &str) -> Result<String, Fault> {
        self.ask(token, UidRotate { manual: false }).await.map(|reply| reply.token)
    }

    async fn rotate_manually(&self, token: &str) -> Result<String, Fault> {
        self.ask(token, UidRotate { manual: true }).await.map(|reply| reply.token)
    }

    async fn acknowledge(&self, old: &str, new: &str) -> Result<Done, Fault> {
        self.ask(old, UidAcknowledge { new: new.to_owned() }).await
    }

    async fn child_of(&self, token: &str) -> Result<String, Fault> {
        self.ask(token, child()).await.map(|reply| reply.token)
    }

    /// Whether a request with this token is let in.
    async fn lets_in(&self, token: &str) -> bool {
        let list = keysherd_plane::auth_methods::MethodList {
            filter: None,
            kinds: Vec::new(),
            after: None,
            limit: 10,
        };
        self.ask(token, list).await.is_ok()
    }

    /// Why it is not.
    async fn refusal(&self, token: &str) -> String {
        let fault = self.ask(token, keysherd_plane::auth::DescribeClaims).await.unwrap_err();
        assert_eq!(fault.kind(), keysherd_base::FaultKind::Unauthorized, "{fault:?}");
        fault.public().to_owned()
    }

    async fn tree(&self) -> Vec<UidTokenView> {
        let list = UidList { method: Some(item(METHOD)) };
        self.ask(&self.admin, list).await.unwrap().tokens
    }

    async fn revoke(&self, by: &str, token: &str, branch: bool) -> Result<Done, Fault> {
        let token = UidNamed::Value(token.to_owned());
        self.ask(by, UidRevoke { method: None, token, branch }).await
    }

    /// How many records there are of an action.
    fn count(&self, action: &str) -> usize {
        self.records().iter().filter(|record| record.draft.action == action).count()
    }
}
