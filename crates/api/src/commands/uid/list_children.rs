//! `uid-list-children`: shows a tree of tokens, or one's own branch of it.

use std::collections::BTreeMap;

use keysherd_base::{Fault, Timestamp};
use keysherd_plane::uid::{UidList, UidTokenView};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::fields::AUTH_METHOD_NAME;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    number_of_tokens: usize,
    max_depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<TokenReply>,
}

#[derive(Serialize)]
struct TokenReply {
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    ttl: u32,
    depth: u32,
    last_rotate: String,
    expired_date: String,
    deny_rotate: bool,
    deny_inheritance: bool,
    revoked: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    children: BTreeMap<String, TokenReply>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "uid-list-children",
        aliases: &[],
        success: 200,
        summary: "Show the tokens of a universal identity, or one's own and those below it.",
        groups: &[&SESSION],
        fields: &[AUTH_METHOD_NAME.spec()],
        reply: "UniversalIdentityDetails",
        access: Access::Right("auth-method-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let method = args.path_opt(&AUTH_METHOD_NAME)?;
    let tokens = ctx.ask(UidList { method }).await?.tokens;
    Answer::json(&Reply {
        number_of_tokens: tokens.len(),
        max_depth: tokens.iter().map(|token| token.token_id.depth()).max().unwrap_or(0),
        root: tree(&tokens),
    })
}

/// The tree of tokens that come each after the one above it. One whose parent was forgotten hangs
/// from the nearest one that is there.
fn tree(tokens: &[UidTokenView]) -> Option<TokenReply> {
    let mut open: Vec<(&UidTokenView, TokenReply)> = Vec::new();
    for token in tokens {
        while open.len() > 1
            && open.last().is_some_and(|(above, _)| !above.token_id.has_in_branch(&token.token_id))
        {
            close(&mut open);
        }
        open.push((token, shown(token)));
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().map(|(_, root)| root)
}

/// Hangs the last token into the one above it.
fn close(open: &mut Vec<(&UidTokenView, TokenReply)>) {
    if let Some((_, child)) = open.pop()
        && let Some((_, parent)) = open.last_mut()
    {
        parent.children.insert(child.id.clone(), child);
    }
}

fn shown(token: &UidTokenView) -> TokenReply {
    TokenReply {
        id: token.token_id.to_string(),
        comment: token.comment.clone(),
        ttl: token.ttl_minutes,
        depth: token.token_id.depth(),
        last_rotate: spaced(token.last_rotate),
        expired_date: spaced(token.expires),
        deny_rotate: token.deny_rotate,
        deny_inheritance: token.deny_inheritance,
        revoked: token.revoked,
        children: BTreeMap::new(),
    }
}

/// A time as this command has always shown it: `2020-10-13 13:36:47 UTC`.
fn spaced(time: Timestamp) -> String {
    time.rfc3339().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysherd_base::UidTokenId;

    fn token(id: &str) -> UidTokenView {
        UidTokenView {
            token_id: UidTokenId::parse(id).unwrap(),
            comment: String::new(),
            ttl_minutes: 60,
            last_rotate: Timestamp(1_602_596_207_000),
            expires: Timestamp(1_602_599_807_000),
            deny_rotate: false,
            deny_inheritance: false,
            revoked: false,
        }
    }

    #[test]
    fn a_list_in_order_becomes_a_tree() {
        let ids = ["aaaaaaaaaaaa", "aaaaaaaaaaaa1111", "aaaaaaaaaaaa11112222", "aaaaaaaaaaaa3333"];
        let root = tree(&ids.map(token)).unwrap();
        assert_eq!((root.depth, root.last_rotate.as_str()), (1, "2020-10-13 13:36:47 UTC"));
        let children: Vec<_> = root.children.keys().map(String::as_str).collect();
        assert_eq!(children, [ids[1], ids[3]]);
        assert_eq!(root.children[ids[1]].children[ids[2]].depth, 3);
        let orphan = tree(&[token(ids[0]), token(ids[2])]).unwrap();
        assert!(orphan.children.contains_key(ids[2]));
        assert!(tree(&[]).is_none());
    }
}
