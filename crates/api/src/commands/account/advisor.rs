//! `advisor`: judges the account and this gateway by good practice.

use keysherd_base::{AccountId, Fault};
use keysherd_domain::advice::{Advice, Check, Place, Verdict};
use keysherd_plane::advice::Advise;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::HeldFragment;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::offline::{OfflinePolicy, policies_of};

const ALL: Field<Flag> = Field::flag("all", "Show the checks that found nothing, too.");

#[derive(Serialize)]
struct Reply {
    passed: usize,
    warnings: usize,
    failures: usize,
    findings: Vec<Finding>,
}

/// One line: a place with its check, or a check that found nothing.
#[derive(Serialize)]
struct Finding {
    verdict: &'static str,
    check: String,
    rows: String,
    practice: String,
    at: String,
    wrong: String,
    mend: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "advisor",
        aliases: &[],
        success: 200,
        summary: "Judge the account and this gateway by good practice: what is wrong, where, and \
                  the command that mends it. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[ALL.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Table(
            "findings",
            &[
                ("VERDICT", "verdict"),
                ("CHECK", "check"),
                ("WHERE", "at"),
                ("WHAT IS WRONG", "wrong"),
                ("MEND WITH", "mend"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let everything = args.get_or(&ALL, false)?;
    let mut judged = ctx.ask(Advise).await?.advice;
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    let here = Gateway {
        offline: policies_of(&*ctx.services().configs, account)?,
        plain_targets: plain_targets(&ctx, account).await?,
        trust_domains: ctx.crypt().trust_domains(),
        fragments: ctx.crypt().customer_fragments(),
    };
    judged.extend(CHECKS.iter().map(|check| check.judge(&here)));
    let count = |verdict| judged.iter().filter(|it| it.verdict == verdict).count();
    let (passed, warnings, failures) =
        (count(Verdict::Pass), count(Verdict::Warn), count(Verdict::Fail));
    // The worst first.
    judged.sort_by_key(|it| match it.verdict {
        Verdict::Fail => 0,
        Verdict::Warn => 1,
        Verdict::Pass => 2,
    });
    let shown = judged.into_iter().filter(|it| everything || it.verdict != Verdict::Pass);
    let findings = shown.flat_map(findings).collect();
    Answer::json(&Reply { passed, warnings, failures, findings })
}

fn findings(advice: Advice) -> Vec<Finding> {
    let Advice { check, rows, practice, verdict, mut places, more } = advice;
    if places.is_empty() {
        places.push(Place { at: String::new(), wrong: String::new(), mend: String::new() });
    }
    if more > 0 {
        let wrong = format!("{more} more places");
        places.push(Place { at: String::new(), wrong, mend: String::new() });
    }
    let finding = |place: Place| Finding {
        verdict: verdict.name(),
        check: check.clone(),
        rows: rows.clone(),
        practice: practice.clone(),
        at: place.at,
        wrong: place.wrong,
        mend: place.mend,
    };
    places.into_iter().map(finding).collect()
}

/// What only a gateway knows: itself and its managers.
struct Gateway {
    trust_domains: usize,
    fragments: Vec<HeldFragment>,
    /// Who may read while control is not reached, by access id.
    offline: Vec<(String, OfflinePolicy)>,
    /// Log targets to which records go in the clear: each with its receiver.
    plain_targets: Vec<(String, String)>,
}

/// Longest time that reads go on without control and nobody is asked about it, in minutes.
const OFFLINE_MINUTES_SHORT: u32 = 30;

const CHECKS: &[Check<Gateway>] = &[
    Check {
        name: "managers-are-apart",
        rows: "G6",
        practice: "Fragment managers are in separate trust domains.",
        severity: Verdict::Warn,
        find: one_domain,
    },
    Check {
        name: "customer-fragments-are-backed-up",
        rows: "G12, G13",
        practice: "Recovery shares of every customer fragment were shown to restore it.",
        severity: Verdict::Fail,
        find: unverified_backups,
    },
    Check {
        name: "offline-reads-are-few-and-short",
        rows: "G22, G25",
        practice: "What may be read while control is away is named, and for half an hour at most.",
        severity: Verdict::Warn,
        find: wide_offline,
    },
    Check {
        name: "logs-travel-encrypted",
        rows: "G8, G20",
        practice: "Log targets are reached over TLS.",
        severity: Verdict::Warn,
        find: plain_logs,
    },
];

async fn plain_targets(ctx: &Ctx, account: AccountId) -> Result<Vec<(String, String)>, Fault> {
    let forwarding = &ctx.services().forwarding;
    let mut all = Vec::new();
    for name in forwarding.states(account).await.into_iter().map(|state| state.name) {
        let Some(target) = forwarding.get(account, &name)? else { continue };
        // One that cannot be opened sends nothing.
        let Ok(outlet) = target.sink.open(&target.settings, &forwarding.way()) else { continue };
        let plain = outlet.receivers().into_iter();
        let plain = plain.filter(|it| target.enabled && PLAIN.contains(&it.protocol));
        all.extend(plain.map(|it| (name.clone(), format!("{}/{}", it.target, it.protocol))));
    }
    Ok(all)
}

/// Protocols that anybody on the way can read.
const PLAIN: &[&str] = &["http", "tcp", "udp"];

fn wide_offline(gateway: &Gateway) -> Vec<Place> {
    let everything = |policy: &OfflinePolicy| policy.paths.iter().any(|path| path == "/*");
    let wide = gateway
        .offline
        .iter()
        .filter(|(_, policy)| policy.max_minutes > OFFLINE_MINUTES_SHORT || everything(policy));
    let place = |(access_id, policy): &(String, OfflinePolicy)| Place {
        at: format!("offline policy of {access_id}"),
        wrong: format!(
            "for {} minutes after control was heard last, it reads {} and nobody can revoke it",
            policy.max_minutes,
            if everything(policy) { "everything it read before" } else { "what it read before" }
        ),
        mend: format!(
            "keysherd gateway-update-offline-policy --access-id {access_id} --max-minutes \
             {OFFLINE_MINUTES_SHORT} --path /UNIT/*"
        ),
    };
    wide.map(place).collect()
}

fn plain_logs(gateway: &Gateway) -> Vec<Place> {
    let place = |(name, receiver): &(String, String)| Place {
        at: match name.as_str() {
            "" => "the log target".to_owned(),
            name => format!("log target {name}"),
        },
        wrong: format!("records go to {receiver}, which anybody on the way can read"),
        mend: "keysherd gateway-update-log-forwarding-KIND --enable-tls".to_owned(),
    };
    gateway.plain_targets.iter().map(place).collect()
}

fn one_domain(gateway: &Gateway) -> Vec<Place> {
    if gateway.trust_domains > 1 {
        return Vec::new();
    }
    vec![Place {
        at: "the trust bundle".to_owned(),
        wrong: "whoever owns the one machine of the fragment managers can read everything"
            .to_owned(),
        mend: "keysherd fragments, on machines of other people".to_owned(),
    }]
}

fn unverified_backups(gateway: &Gateway) -> Vec<Place> {
    let held = gateway.fragments.iter();
    let place = |fragment: &HeldFragment| Place {
        at: format!("customer fragment {}", fragment.name),
        wrong: "losing it loses every value under its keys, and no backup was tried".to_owned(),
        mend: "keysherd customer-fragment verify --file FILE SHARE SHARE SHARE".to_owned(),
    };
    held.filter(|fragment| fragment.backup_verified_at.is_none()).map(place).collect()
}
