//! The sessions of users of MySQL and MariaDB: servers go on with them when the user is gone.

use std::collections::BTreeSet;

use keysherd_base::Fault;
use keysherd_targets::mysql::Session;

/// Sessions that are asked for at once, and how often that is asked at most.
pub(super) const SESSIONS_MAX: usize = 100;
const ROUNDS_MAX: usize = 256;
/// What servers say when a session has ended meanwhile, and when it is not to be ended by whoever
/// is signed in.
pub(super) const NO_SESSION: u16 = 1094;
const DENIED: [u16; 2] = [1095, 1227];

/// Under which name somebody is signed in. A name may have an `@`, a host has none.
pub(super) const OWN_NAME: &str =
    "left(user(), char_length(user()) - char_length(substring_index(user(), '@', -1)) - 1)";

/// Ends what the user still does, and says what cannot be seen or ended by whoever is signed in.
///
/// # Errors
/// Where sessions may be left for another reason: this is to be tried again.
pub(super) async fn end_sessions(
    session: &mut Session,
    handle: &str,
) -> Result<Vec<String>, Fault> {
    let (mut tried, mut denied) = (BTreeSet::new(), 0);
    let (mut after, mut is_new) = (0, false);
    for _ in 0..ROUNDS_MAX {
        // Whoever may see others' sessions sees them all; a session that was told to end may be
        // there for a while, so they are gone through by their numbers.
        let question = format!(
            "select id from information_schema.processlist where user = '{handle}' \
             and id > {after} order by id limit {SESSIONS_MAX}"
        );
        let ids = session.texts(&question).await;
        let ids = ids.map_err(|error| error.fault("looking for the user's sessions", None))?;
        let ids: Vec<u64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let Some(last) = ids.iter().max() else {
            if is_new {
                // One that was signing in may have got a smaller number.
                (after, is_new) = (0, false);
                continue;
            }
            return Ok(match tried.is_empty() && sees_no_others(session).await {
                true => vec![UNSEEN.to_owned()],
                false => not_ended(denied),
            });
        };
        after = *last;
        for id in ids {
            if !tried.insert(id) {
                continue;
            }
            is_new = true;
            let Err(error) = session.run(&format!("KILL {id}")).await else { continue };
            match error.code() {
                Some(NO_SESSION) => {}
                Some(code) if DENIED.contains(&code) => denied += 1,
                _ => return Err(error.fault("ending the user's sessions", None)),
            }
        }
    }
    Err(Fault::unavailable("the user has more sessions than can be ended at once; try again"))
}

/// Keeps out whom the statements did not remove: locks the user wherever it comes from, and ends
/// its sessions, as far as whoever is signed in may do that. Gives the failure, and says what was
/// done.
pub(super) async fn shut_out(session: &mut Session, handle: &str, fault: Fault) -> Fault {
    // A handle is plain characters; see `need_handle`.
    let question =
        format!("select host from mysql.user where user = '{handle}' limit {SESSIONS_MAX}");
    let hosts = session.texts(&question).await.ok();
    let mut is_locked = hosts.as_ref().is_some_and(|hosts| !hosts.is_empty());
    // Who may not look tries the host that most users have.
    for host in hosts.unwrap_or_else(|| vec!["%".to_owned()]) {
        let lock = format!("ALTER USER '{handle}'@'{host}' ACCOUNT LOCK");
        is_locked &= is_plain_host(&host) && session.run(&lock).await.is_ok();
    }
    let ended = end_sessions(session, handle).await;
    if !is_locked {
        return fault;
    }
    let sessions = match ended {
        Ok(warnings) if warnings.is_empty() => " and its sessions are ended",
        _ => ", but sessions of it may go on",
    };
    fault.with_more(&format!("meanwhile the user is locked{sessions}"))
}

/// Whether a host that a user comes from can stand in a statement, between quotes.
pub(crate) fn is_plain_host(host: &str) -> bool {
    host.len() <= 255 && host.chars().all(|c| c.is_ascii_alphanumeric() || ".%:_-/".contains(c))
}

const UNSEEN: &str = "sessions that the user may have go on until they end; to see them, the user \
                      of the target needs the privilege PROCESS, and to end them CONNECTION_ADMIN \
                      (CONNECTION ADMIN on MariaDB)";

fn not_ended(denied: usize) -> Vec<String> {
    let text = || {
        format!(
            "{denied} sessions of the user go on until they end; the user of the target needs the \
             privilege to end them (CONNECTION_ADMIN, or CONNECTION ADMIN on MariaDB)"
        )
    };
    (denied > 0).then(text).into_iter().collect()
}

/// Whether the server hides the sessions of others from whoever is signed in, as far as is known:
/// roles may bring the privilege as well.
async fn sees_no_others(session: &mut Session) -> bool {
    let host = "substring_index(current_user(), '@', -1)";
    let user =
        format!("left(current_user(), char_length(current_user()) - char_length({host}) - 1)");
    let question = format!(
        "select count(*) from information_schema.user_privileges where privilege_type = 'PROCESS' \
         and grantee = concat('''', {user}, '''@''', {host}, '''') \
         union all select coalesce(nullif(current_role(), 'NONE'), '')"
    );
    let answer = session.texts(&question).await.unwrap_or_default();
    matches!(answer.as_slice(), [count, role] if count == "0" && role.is_empty())
}
