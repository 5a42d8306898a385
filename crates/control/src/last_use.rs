//! When objects were last used, filled into what is shown of them. It is known from the audit log,
//! a second or so behind the requests; nothing is refused when it cannot be read.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_plane::auth_methods::MethodView;
use keysherd_plane::items::ItemView;
use keysherd_plane::roles::RoleView;
use keysherd_store::{LastUse, last_uses_of_items, last_uses_of_methods};

use crate::control::Control;

impl Control {
    /// Fills in when the values of items, all of one account, were last used.
    pub(crate) fn fill_item_uses(&self, views: &mut [ItemView]) {
        let Some(account) = views.first().map(|view| view.item.account) else { return };
        let ids = views.iter().map(|view| view.item.id);
        let uses = known(last_uses_of_items(&self.store, account, ids));
        for (view, last) in views.iter_mut().zip(uses) {
            view.last_used = last;
        }
    }

    /// Fills in when auth methods, all of one account, were last used.
    pub(crate) fn fill_method_uses(&self, views: &mut [MethodView]) {
        let Some(account) = views.first().map(|view| view.method.account) else { return };
        let ids = views.iter().map(|view| &view.method.access_id);
        let uses = known(last_uses_of_methods(&self.store, account, ids));
        for (view, last) in views.iter_mut().zip(uses) {
            view.last_used = last;
        }
    }

    /// When an auth method was last used.
    pub(crate) fn last_use_of(&self, method: &AuthMethod) -> Option<Timestamp> {
        known(last_uses_of_methods(&self.store, method.account, [&method.access_id]))
            .into_iter()
            .flatten()
            .next()
    }

    /// Fills in when roles, all of one account, were last used: the latest use of a method that is
    /// associated with the role and that the caller may see.
    pub(crate) fn fill_role_uses(&self, views: &mut [RoleView]) {
        for view in views {
            let ids = view.methods.iter().map(|(_, method)| &method.access_id);
            let uses = known(last_uses_of_methods(&self.store, view.role.account, ids));
            view.last_used = uses.into_iter().flatten().max();
        }
    }
}

fn known(uses: Result<Vec<Option<LastUse>>, Fault>) -> Vec<Option<Timestamp>> {
    let uses = uses.unwrap_or_else(|fault| {
        tracing::warn!(?fault, "the index of the audit log cannot be read");
        Vec::new()
    });
    uses.into_iter().map(|last| last.map(|last| last.time)).collect()
}
