//! How much of the V2 API is served, and the page that lists the rest.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::console::say;
use crate::product::{Product, Served};
use crate::v2::{Endpoint, TIERS};
use crate::{root, v2};

/// The page, relative to the project.
pub(crate) const PAGE: &str = "docs/reference/unserved.md";

/// Prints the count; fails when the committed list of unserved commands is another one.
///
/// # Errors
/// When the page is stale, or anything cannot be read.
pub(crate) fn run() -> Result<(), String> {
    let served = Product::build()?.commands()?;
    let endpoints = v2::endpoints()?;
    say(&count(&served, &endpoints));
    let committed = root::read(&root::project().join(PAGE))?;
    if committed != page(&served, &endpoints) {
        return Err(format!("{PAGE} is stale; run: cargo xtask docs"));
    }
    Ok(())
}

/// The line that says how much is served.
pub(crate) fn count(served: &[Served], endpoints: &[Endpoint]) -> String {
    let names = names(served);
    let mut served_in = [0; TIERS];
    let mut all_in = [0; TIERS];
    for endpoint in endpoints {
        all_in[endpoint.tier - 1] += 1;
        served_in[endpoint.tier - 1] += usize::from(is_served(&names, endpoint));
    }
    format!(
        "served {} of {} (tier 1: {}/{}, tier 2: {}/{}, tier 3: {})",
        served_in.iter().sum::<usize>(),
        endpoints.len(),
        served_in[0],
        all_in[0],
        served_in[1],
        all_in[1],
        served_in[2],
    )
}

/// The page about what is not served.
pub(crate) fn page(served: &[Served], endpoints: &[Endpoint]) -> String {
    let names = names(served);
    let mut page = String::from(
        "# V2 commands that are not served yet\n\nTier 1 is what the product's goals name, tier 2 \
         what a common integration calls besides, tier 3 the rest. An unserved command answers \
         404 with `unknown command`.\n",
    );
    let _ = writeln!(page, "\n{}.", count(served, endpoints));
    for tier in 1..=TIERS {
        let _ = writeln!(page, "\n## Tier {tier}\n");
        let mut missing: Vec<_> = endpoints
            .iter()
            .filter(|endpoint| endpoint.tier == tier && !is_served(&names, endpoint))
            .collect();
        missing.sort_unstable_by_key(|endpoint| endpoint.name.as_str());
        for endpoint in &missing {
            let _ = writeln!(page, "- `{}`{}", endpoint.name, notes(endpoint));
        }
        if missing.is_empty() {
            page.push_str("None.\n");
        }
    }
    page
}

fn notes(endpoint: &Endpoint) -> String {
    let mut notes = Vec::new();
    if let Some(current) = &endpoint.alias_of {
        notes.push(format!("older spelling of `{current}`"));
    }
    if !endpoint.callers.is_empty() {
        notes.push(format!("called by {}", endpoint.callers.join(", ")));
    }
    if notes.is_empty() { String::new() } else { format!(": {}", notes.join("; ")) }
}

fn names(served: &[Served]) -> BTreeSet<String> {
    let all = served.iter().flat_map(|spec| std::iter::once(&spec.name).chain(&spec.aliases));
    all.map(|name| name.to_ascii_lowercase()).collect()
}

fn is_served(names: &BTreeSet<String>, endpoint: &Endpoint) -> bool {
    names.contains(&endpoint.name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product;

    #[test]
    fn only_commands_of_the_v2_api_count() {
        let line = count(&product::sample(), &v2::endpoints().unwrap());
        assert_eq!(line, "served 3 of 666 (tier 1: 2/198, tier 2: 0/143, tier 3: 1)");
    }

    #[test]
    fn the_page_lists_the_rest_with_their_callers() {
        let page = page(&product::sample(), &v2::endpoints().unwrap());
        assert!(!page.contains("- `auth`"), "auth is served");
        assert!(page.contains(
            "- `create-auth-method`: older spelling of `auth-method-create-api-key`; called by \
             terraform\n"
        ));
        assert_eq!(page.matches("\n- `").count(), 663);
    }
}
