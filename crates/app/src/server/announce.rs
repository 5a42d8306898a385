//! What the server tells the person who started it.

use crate::roles::bootstrap::{BOOTSTRAP, Bootstrap};
use crate::roles::files::DataDir;

/// How many parties would have to be broken into: on one machine, one.
pub(crate) const TRUST_DOMAINS: &str = "1 trust domain";

/// Where it listens, what to trust, and the next three things to type.
pub(crate) fn text(dir: &DataDir, bootstrap: Option<&Bootstrap>, url: &str, first: bool) -> String {
    let mut text = format!("Keysherd listens on {url}\n");
    text.push_str(&format!("  data directory  {}\n", dir.join("").display()));
    text.push_str(&format!(
        "  fragments       {TRUST_DOMAINS} (control, gateway and three fragment managers in one \
         process:\n                  whoever owns this machine can read everything)\n"
    ));
    let Some(bootstrap) = bootstrap else {
        text.push_str("  the first account was made earlier; its bootstrap.json was removed\n");
        return text;
    };
    let file = dir.join(BOOTSTRAP).display().to_string();
    text.push_str(&format!("  CA certificate  {}\n", bootstrap.ca_file));
    text.push_str(&format!("  account         {}\n", bootstrap.account_id));
    text.push_str(&format!("  access id       {}\n", bootstrap.access_id));
    text.push_str(&format!("  credentials     {file}\n"));
    text.push_str(&next_steps(bootstrap, &file, first));
    text
}

fn next_steps(bootstrap: &Bootstrap, file: &str, first: bool) -> String {
    let heading = if first { "Next, in another terminal:" } else { "To use it:" };
    let ca = &bootstrap.ca_file;
    let url = &bootstrap.url;
    format!(
        r#"
{heading}

1. The command line
   keysherd configure --from-bootstrap {file}
   keysherd create-secret --name /demo/first --value hello
   keysherd get-secret-value --names /demo/first

2. Python (pip install akeyless)
   import akeyless, json
   b = json.load(open("{file}"))
   c = akeyless.Configuration(host=b["url"]); c.ssl_ca_cert = b["ca_file"]
   api = akeyless.V2Api(akeyless.ApiClient(c))
   t = api.auth(akeyless.Auth(access_id=b["access_id"], access_key=b["access_key"])).token
   print(api.get_secret_value(akeyless.GetSecretValue(names=["/demo/first"], token=t)))

3. curl
   curl --cacert {ca} {url}/auth \
     -H 'content-type: application/json' -d @{file}

"#
    )
}
