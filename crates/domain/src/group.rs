//! Groups: named sets of bearers, for approvals and for who may manage gateways. They grant
//! nothing by themselves; roles are associated with auth methods, not with groups.

use keysherd_base::{AccessId, AccountId, ItemPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claims::SubClaims;
use crate::policy::sub_claims;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id, `grp-` and 20 characters; never used again.
    pub id: String,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path; shown without the leading slash.
    pub path: ItemPath,
    /// Its short name, unique in the account.
    pub alias: String,
    /// Free text.
    pub description: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// Some bearers of one auth method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The method's public name.
    pub access_id: AccessId,
    /// What a bearer's claims must satisfy; empty: everyone.
    pub sub_claims: SubClaims,
}

impl Group {
    /// Whether the bearer of `claims` by the method `access_id` is in the group. Letter case of
    /// claim values counts, as it does in associations by default.
    pub fn contains(&self, access_id: &AccessId, claims: &SubClaims) -> bool {
        let by_method = self.members.iter().filter(|member| member.access_id == *access_id);
        by_method.into_iter().any(|member| sub_claims::matches(&member.sub_claims, true, claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(pairs: &[(&str, &str)]) -> SubClaims {
        let mut claims = SubClaims::default();
        pairs.iter().for_each(|(name, value)| claims.set(name, *value));
        claims
    }

    #[test]
    fn a_bearer_is_in_it_by_method_and_claims() {
        let [people, robots] =
            ["p-0123456789ab", "p-0123456789cd"].map(|id| AccessId::parse(id).unwrap());
        let member = |id: &AccessId, pairs: &[(&str, &str)]| GroupMember {
            access_id: id.clone(),
            sub_claims: claims(pairs),
        };
        let group = Group {
            id: "grp-1".to_owned(),
            account: AccountId::default(),
            path: ItemPath::parse("ops").unwrap(),
            alias: "ops".to_owned(),
            description: String::new(),
            members: vec![
                member(&people, &[("team", "ops-*")]),
                member(&people, &[("email", "root@example.com")]),
            ],
            created: Timestamp(0),
            modified: Timestamp(0),
        };
        assert!(group.contains(&people, &claims(&[("team", "ops-1")])));
        assert!(group.contains(&people, &claims(&[("email", "root@example.com")])));
        assert!(!group.contains(&people, &claims(&[("team", "dev")])));
        assert!(!group.contains(&people, &claims(&[("team", "OPS-1")])));
        assert!(!group.contains(&robots, &claims(&[("team", "ops-1")])));
    }
}
