//! Keys: what protects items when nobody names a key.

use super::{Check, Estate, Place, Verdict};

pub(super) const CHECKS: &[Check<Estate>] = &[Check {
    name: "default-key-has-a-customer-fragment",
    rows: "G9, G14",
    practice: "The key used by default needs a fragment that only your gateways have.",
    severity: Verdict::Warn,
    find: no_customer_fragment,
}];

fn no_customer_fragment(estate: &Estate) -> Vec<Place> {
    if estate.default_key_has_customer_fragment {
        return Vec::new();
    }
    let wrong = "enough fragment managers together can derive what protects the items";
    let mend = "keysherd gen-customer-fragment, then create-dfc-key --customer-frg-id ID, then \
                update-account-settings --default-key-name KEY";
    vec![Place::new("the account's default key", wrong, mend)]
}
