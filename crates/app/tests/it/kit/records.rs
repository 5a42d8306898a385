//! Audit records, as `keysherd audit list --json` prints them.

use serde_json::Value;

use super::server::Site;

/// All records of a data directory, in the order in which they are printed.
pub(crate) fn records(site: &Site) -> Vec<Value> {
    let listed = site.audit(&["list", "--json", "--limit", "10000000"]).expect(0).out;
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of one request.
pub(crate) fn records_of<'a>(records: &'a [Value], request: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["request_id"] == request).collect()
}
