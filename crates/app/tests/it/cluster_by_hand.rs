//! Separate machines as the documentation sets them up: its commands, in its order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use crate::kit::{
    Api, Bootstrap, Finished, Http, Process, Proxy, Site, keysherd, wait_for, wait_until,
};

/// A directory of its own below the site's.
fn path(site: &Site, name: &str) -> String {
    site.path(name).to_str().unwrap().to_owned()
}

/// Runs a documented command line, where `@name` stands for a file or directory of this site.
fn run(site: &Site, line: &str) -> Finished {
    let words = line.split_whitespace().map(|word| match word.strip_prefix('@') {
        Some(name) => path(site, name),
        None => word.to_owned(),
    });
    let words: Vec<String> = words.collect();
    site.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Starts a role with such a line; gives the process and where it listens.
fn start(site: &Site, line: &str) -> (Process, String) {
    let mut command = keysherd(&site.home());
    command.args(line.split_whitespace().map(|word| match word.strip_prefix('@') {
        Some(name) => path(site, name),
        None => word.to_owned(),
    }));
    let mut process = site.launch(command).process;
    let address = wait_for("a role to listen", || {
        assert!(process.runs(), "{line}: {}{}", process.out(), process.err());
        let out = process.out();
        let line = out.lines().find(|line| line.contains(" listens on "))?;
        out.contains("trust bundle").then(|| line.rsplit(' ').next().unwrap().to_owned())
    });
    (process, address)
}

#[test]
fn the_documented_commands_set_up_separate_machines() {
    let site = Site::new();
    fs::write(site.path("passphrase"), "correct horse battery staple").unwrap();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(site.path("passphrase"), mode).unwrap();
    let control_wire = Proxy::loose();
    let wires = [(); 3].map(|()| Proxy::loose());
    // 1. The owner.
    run(&site, "owner init --dir @OWNER --passphrase-file @passphrase").expect(0);
    let owner = "--owner-key @OWNER/owner.pub";
    // 2. Each machine.
    let at = control_wire.address;
    let line =
        format!("control enroll --data-dir @CONTROL {owner} --name control-1 --address {at}");
    run(&site, &line).expect(0);
    for (index, wire) in (1..).zip(&wires) {
        let at = wire.address;
        let line = format!(
            "fragments enroll --data-dir @FM{index} {owner} --index {index} --name fm-{index} \
             --address {at}"
        );
        run(&site, &line).expect(0);
    }
    run(&site, &format!("gateway enroll --data-dir @GW {owner} --name gw-1")).expect(0);
    // 3. The owner again.
    let requests = "@CONTROL/control-1.request @FM1/fm-1.request @FM2/fm-2.request \
                    @FM3/fm-3.request @GW/gw-1.request";
    let add = format!("owner add --dir @OWNER {requests} --passphrase-file @passphrase");
    run(&site, &format!("{add} --dry-run")).expect(0);
    assert!(!site.path("OWNER/trust-bundle").exists(), "a dry run signed");
    run(&site, &format!("{add} --yes")).expect(0);
    // 4. Control, and everybody else.
    run(&site, "control accept-bundle @OWNER/trust-bundle --data-dir @CONTROL").expect(0);
    let (_control, address) = start(&site, "control --data-dir @CONTROL --listen 127.0.0.1:0");
    control_wire.lead_to(&address);
    let control = format!("--control {}", control_wire.address);
    let managers: Vec<Process> = (1..)
        .zip(&wires)
        .map(|(index, wire)| {
            let line = format!(
                "fragments --data-dir @FM{index} --index {index} --listen 127.0.0.1:0 {control}"
            );
            let (process, address) = start(&site, &line);
            wire.lead_to(&address);
            process
        })
        .collect();
    let line =
        format!("gateway --data-dir @GW --listen 127.0.0.1:0 --tls-name localhost {control}");
    let (_gateway, url) = start(&site, &line);
    // 5. The first account.
    let line = format!(
        "gateway setup --data-dir @GW {control} --setup-token-file @CONTROL/setup-token \
         --out @FIRST --url {url}"
    );
    run(&site, &line).expect(0);
    let first = Bootstrap::read(&site.path("FIRST/bootstrap.json"));
    let http = Arc::new(Http::new(&first.url, &first.ca_file));
    wait_until("the gateway to be healthy", || {
        http.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    let admin = Api::new(http).login(&first.access_id, &first.access_key);
    admin.store("/demo/first", "hello");
    assert_eq!(admin.read("/demo/first"), "hello");
    assert_eq!(managers.len(), 3);
}
