//! A group as `get-group` and `list-group` show it.

use std::collections::BTreeMap;

use keysherd_domain::group::{Group, GroupMember};
use keysherd_domain::policy::sub_claims::uses_operators;
use serde::Serialize;

/// The models `Group` and `GetGroupOutput`.
#[derive(Serialize)]
pub(super) struct GroupReply<'a> {
    account_id: String,
    group_id: &'a str,
    group_name: &'a str,
    group_alias: &'a str,
    description: &'a str,
    is_subclaims_with_operator: bool,
    user_assignments: Vec<AssignmentReply<'a>>,
    creation_date: String,
    modification_date: String,
}

#[derive(Serialize)]
struct AssignmentReply<'a> {
    access_id: &'a str,
    sub_claims: &'a BTreeMap<String, Vec<String>>,
}

impl<'a> GroupReply<'a> {
    /// Shows `group`.
    pub(super) fn new(group: &'a Group) -> Self {
        let operators = |member: &GroupMember| uses_operators(&member.sub_claims);
        let members = group.members.iter();
        Self {
            account_id: group.account.to_string(),
            group_id: &group.id,
            group_name: group.path.bare(),
            group_alias: &group.alias,
            description: &group.description,
            is_subclaims_with_operator: group.members.iter().any(operators),
            user_assignments: members
                .map(|member| AssignmentReply {
                    access_id: member.access_id.as_str(),
                    sub_claims: &member.sub_claims.0,
                })
                .collect(),
            creation_date: group.created.rfc3339(),
            modification_date: group.modified.rfc3339(),
        }
    }
}
