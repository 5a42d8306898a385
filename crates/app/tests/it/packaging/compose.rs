//! The compose file: what it allows, and that the documented commands set it up. Where there is no
//! container engine its services run as processes: the same arguments and environment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::kit::{
    Api, Finished, Http, KEYSHERD, Process, Proxy, Site, finish, keysherd, project, wait_for,
    wait_until, yaml,
};

fn compose_file() -> Value {
    let text = fs::read_to_string(project().join("packaging/compose/compose.yaml")).unwrap();
    yaml(&text).remove(0)
}

#[test]
fn services_have_no_rights_and_only_the_gateway_is_reached_from_outside() {
    let file = compose_file();
    let services = file["services"].as_object().unwrap();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["control", "fm1", "fm2", "fm3", "gateway"]);
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["user"], "65532:65532", "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(service["security_opt"][0], "no-new-privileges:true", "{name}");
        assert_eq!(service["healthcheck"]["test"][1], "/usr/bin/keysherd", "{name}");
        for never in ["privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "build"] {
            assert!(service[never].is_null(), "{name}: {never}");
        }
        // One volume each, and nobody else's.
        let wanted = format!("{name}:/var/lib/keysherd");
        assert_eq!(service["volumes"], serde_json::json!([wanted]));
        assert_eq!(service["ports"].is_null(), name != "gateway", "{name}");
        let networks = service["networks"].as_array().unwrap();
        assert_eq!(networks.len(), if name == "gateway" { 2 } else { 1 }, "{name}");
    }
    assert_eq!(file["networks"]["inside"]["internal"], true);
}

/// The deployment of the compose file with processes for its services.
struct Deployment {
    site: Site,
    services: BTreeMap<String, Service>,
}

struct Service {
    command: Vec<String>,
    environment: Vec<(String, String)>,
    data: PathBuf,
    /// Through which the others reach it.
    wire: Proxy,
    process: Option<Process>,
}

impl Deployment {
    fn new() -> Self {
        let site = Site::new();
        let file = compose_file();
        let mut services = BTreeMap::new();
        for (name, service) in file["services"].as_object().unwrap() {
            let data = site.path(&format!("{name}-data"));
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let command = service["command"].as_array().unwrap().iter().map(text).collect();
            let environment = service["environment"].as_object().unwrap();
            let environment = environment.iter().map(|(key, value)| (key.clone(), text(value)));
            services.insert(
                name.clone(),
                Service {
                    command,
                    environment: environment.collect(),
                    data,
                    wire: Proxy::loose(),
                    process: None,
                },
            );
        }
        Self { site, services }
    }

    /// A text with this machine's addresses and directories in place of the network's and the
    /// containers'.
    fn here(&self, service: Option<&str>, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, other) in &self.services {
            for port in ["8400", "8401"] {
                text = text.replace(&format!("{name}:{port}"), &other.wire.address.to_string());
            }
        }
        if let Some(service) = service {
            let data = self.services[service].data.to_str().unwrap();
            text = text.replace("/var/lib/keysherd/data", data);
        }
        text.replace("${KEYSHERD_HOST:-localhost}", "localhost")
    }

    /// What stands in for the container engine: `run` and `exec` are the service's program with
    /// its environment.
    fn write_engine(&self) {
        let mut script = "#!/bin/sh\nset -eu\n[ \"$1\" = compose ]; verb=$2; shift 2\n\
                          while [ \"${1#-}\" != \"$1\" ]; do shift; done\n\
                          service=$1; shift\n\
                          if [ \"$verb\" = exec ]; then [ \"$1\" = /usr/bin/keysherd ]; shift; fi\n\
                          case $service in\n"
            .to_owned();
        for (name, service) in &self.services {
            // Standard input comes through a pipe, as from a container engine.
            script.push_str(&format!("{name}) cat | env -i"));
            for (key, value) in &service.environment {
                // What the file takes from the caller's environment.
                let value = if value.starts_with("${KEYSHERD_OWNER_KEY:?") {
                    "$KEYSHERD_OWNER_KEY".to_owned()
                } else {
                    self.here(Some(name), value)
                };
                script.push_str(&format!(" \"{key}={value}\""));
            }
            script.push_str(&format!(" {KEYSHERD} \"$@\";;\n"));
        }
        script.push_str("esac\n");
        self.write_program("docker", &script);
        // A person would type the passphrase and yes.
        let owner = format!(
            "#!/bin/sh\nif [ \"$1 $2\" = 'owner add' ]; then set -- \"$@\" --yes; fi\n\
             exec {KEYSHERD} \"$@\"\n"
        );
        self.write_program("keysherd", &owner);
    }

    fn write_program(&self, name: &str, text: &str) {
        let dir = self.site.path("bin");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), text).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs documented lines in one shell, where the administrator sits.
    fn type_in(&self, lines: &str) -> Finished {
        let desk = self.site.path("desk");
        fs::create_dir_all(&desk).unwrap();
        let mut text = String::new();
        for line in lines.lines() {
            let service = self.services.keys().find(|name| line.contains(&format!(" {name} ")));
            let line = self.here(service.map(String::as_str), line);
            text.push_str(&line);
            text.push('\n');
        }
        let mut shell = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.site.path("bin").display());
        shell.args(["-euc", &text]).current_dir(&desk).env_clear().env("PATH", path);
        shell
            .env("HOME", self.site.home())
            .env("KEYSHERD_OWNER_PASSPHRASE", "five words as a phrase");
        finish(&mut shell, b"").expect(0)
    }

    /// What `up --detach --wait` does.
    fn up(&mut self) {
        let owner = fs::read_to_string(self.site.path("desk/OWNER/owner.pub")).unwrap();
        let names: Vec<String> = self.services.keys().cloned().collect();
        for name in names {
            let service = &self.services[&name];
            let mut command = keysherd(&self.site.home());
            command.args(service.command.iter().map(|word| self.here(Some(&name), word)));
            for (key, value) in &service.environment {
                let value = match key.as_str() {
                    "KEYSHERD_OWNER_KEY" => owner.trim().to_owned(),
                    "KEYSHERD_LISTEN" => "127.0.0.1:0".to_owned(),
                    _ => self.here(Some(&name), value),
                };
                command.env(key, value);
            }
            let mut process = self.site.launch(command).process;
            let address = wait_for("a service to listen", || {
                assert!(process.runs(), "{name}: {}{}", process.out(), process.err());
                let out = process.out();
                let line = out.lines().find(|line| line.contains(" listens on "))?;
                let address = line.rsplit(' ').next()?.trim_start_matches("https://").to_owned();
                out.contains("trust bundle").then_some(address)
            });
            let service = self.services.get_mut(&name).unwrap();
            service.wire.lead_to(&address);
            service.process = Some(process);
        }
        for (name, service) in &self.services {
            wait_until(&format!("{name} to be healthy"), || {
                let mut health = keysherd(&self.site.home());
                health.arg("health").env("KEYSHERD_DATA_DIR", &service.data);
                finish(&mut health, b"").code == 0
            });
        }
    }
}

/// The documented commands: those before the services run, and those after.
fn documented() -> (String, String) {
    let text = fs::read_to_string(project().join("docs/install.md")).unwrap();
    let block = text.split("```sh compose\n").nth(1).unwrap().split("```").next().unwrap();
    let (before, after) = block.split_once("docker compose up --detach --wait\n").unwrap();
    (before.to_owned(), after.to_owned())
}

#[test]
fn the_documented_commands_set_up_the_compose_file() {
    let mut deployment = Deployment::new();
    deployment.write_engine();
    let (before, after) = documented();
    deployment.type_in(&before);
    deployment.up();
    // In the same shell as before.
    let lasting = |line: &&str| line.starts_with("export ") || line.starts_with("umask ");
    let before: Vec<_> = before.lines().filter(lasting).collect();
    deployment.type_in(&format!("{}\n{after}", before.join("\n")));
    let printed = deployment.site.path("desk/first.json");
    let first: Value = serde_json::from_slice(&fs::read(&printed).unwrap()).unwrap();
    assert!(first["owner_password"].as_str().unwrap().len() > 20);
    let gateway = &deployment.services["gateway"];
    for file in [printed, deployment.site.path("desk/setup-token")] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    // The volume of the gateway makes its thief nobody's administrator.
    let (mut dirs, mut looked) = (vec![gateway.data.clone()], 0);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                dirs.push(entry);
            } else if entry.is_file() {
                let bytes = fs::read(&entry).unwrap();
                for secret in ["access_key", "owner_password"] {
                    let secret = first[secret].as_str().unwrap().as_bytes();
                    let holds = bytes.windows(secret.len()).any(|part| part == secret);
                    assert!(!holds, "{}", entry.display());
                }
                looked += 1;
            }
        }
    }
    assert!(looked > 3, "{looked}");
    let url = format!("https://{}", gateway.wire.address);
    let http = Arc::new(Http::new(&url, &gateway.data.join("tls/ca.pem")));
    let text = |name: &str| first[name].as_str().unwrap();
    let admin = Api::new(http.clone()).login(text("access_id"), text("access_key"));
    admin.store("/demo/first", "hello");
    assert_eq!(admin.read("/demo/first"), "hello");
    // One host is one trust domain, under however many services.
    let status = http.get("/status").unwrap().json();
    assert!(status.to_string().contains("1 trust domain"), "{status}");
}
