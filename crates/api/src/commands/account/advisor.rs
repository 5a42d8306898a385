//! `advisor`: judges the account and this gateway by good practice.

use keysherd_base::Fault;
use keysherd_domain::advice::{Advice, Check, Place, Verdict};
use keysherd_plane::advice::Advise;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::HeldFragment;
use crate::ctx::Ctx;
use crate::fields::SESSION;

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
    let here = Gateway {
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
}

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
];

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
