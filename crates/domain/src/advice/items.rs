//! Items: in folders, by organizational unit; and what the account refuses by itself.

use super::{Check, Estate, Place, Verdict};
use crate::guard_rails::{Policy, Rail};

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "no-items-at-the-root",
        rows: "P17, P18",
        practice: "Items are in folders, by organizational unit.",
        severity: Verdict::Warn,
        find: at_the_root,
    },
    Check {
        name: "guard-rails-refuse",
        rows: "P7, P11, P14, P15, P16, P17",
        practice: "The account refuses what is better left undone.",
        severity: Verdict::Warn,
        find: open_rails,
    },
];

fn at_the_root(estate: &Estate) -> Vec<Place> {
    let place = |path: &String| {
        let mend = format!("keysherd update-item --name {path} --new-name /UNIT{path}");
        Place::new(format!("item {path}"), "it is in no folder", mend)
    };
    estate.root_items.iter().map(place).collect()
}

fn open_rails(estate: &Estate) -> Vec<Place> {
    let policy = |rail| estate.account.settings.policy(rail);
    let open = Rail::NAMES.into_iter().filter(|(rail, _)| policy(*rail) != Policy::Refuse);
    let place = |(rail, name): (Rail, &str)| {
        Place::new(
            format!("guard rail {name}"),
            format!("its policy is {}", policy(rail).name()),
            format!("keysherd update-guard-rails --rail {name}=refuse"),
        )
    };
    open.map(place).collect()
}
