//! Customer fragments whose keys a hardware module keeps, with SoftHSM2 in the module's place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::customer_fragments::{Fragment, key_with_secret};
use crate::kit::{Api, Finished, Server, Site, finish, keysherd};
use crate::softhsm::{PIN, SoftHsm};

/// A site with a token.
struct Hardware {
    site: Site,
    hsm: SoftHsm,
    file: PathBuf,
    pin_file: PathBuf,
}

impl Hardware {
    fn new() -> Self {
        let site = Site::new();
        let hsm = SoftHsm::with_token("vault");
        let (file, pin_file) = (site.path("fragments.json"), site.path("pin"));
        write(&pin_file, &format!("{PIN}\n"));
        Self { site, hsm, file, pin_file }
    }

    fn uri(&self) -> String {
        self.hsm.uri("vault", None)
    }

    /// The flags that name the token.
    fn flags(&self) -> [String; 4] {
        let pin = self.pin_file.display().to_string();
        [
            "--customer-fragments-hsm".into(),
            self.uri(),
            "--customer-fragments-hsm-pin-file".into(),
            pin,
        ]
    }

    fn generate(&self, kind: &str, label: &str, more: &[&str]) -> Finished {
        let mut command = keysherd(&self.site.home());
        self.hsm.configure(&mut command);
        command.args(["gen-customer-fragment", "--json", "--name", label, "--type", kind]);
        command.args(["--hsm-key-label", label, "--out"]).arg(&self.file);
        finish(command.args(self.flags()).args(more), b"")
    }

    fn made(&self, kind: &str, label: &str, more: &[&str]) -> Fragment {
        let made: Value =
            serde_json::from_str(&self.generate(kind, label, more).expect(0).out).unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Fragment { id: text("id"), fingerprint: text("fingerprint") }
    }

    fn start(&self) -> Server {
        let mut command = self.site.server(&self.site.data());
        self.hsm.configure(&mut command);
        command.arg("--customer-fragments").arg(&self.file).args(self.flags());
        command.args(["--key-cache-seconds", "0", "--sandbox-path"]).arg(self.hsm.dir());
        self.site.launch(command).ready()
    }
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn listed(admin: &Api) -> Vec<Value> {
    let answer = admin.ok("gateway-list-customer-fragments", json!({}));
    answer["customer_fragments"].as_array().unwrap().clone()
}

#[test]
fn fragments_in_hardware_bind_keys() {
    let hardware = Hardware::new();
    let wrapped = hardware.made("hsm_wrapped", "first", &["--make-hsm-key"]);
    let secured = hardware.made("hsm_secured", "second", &["--make-hsm-key"]);
    // A key that is there is not made again, and one that is not is named.
    let again = hardware.generate("hsm_wrapped", "first", &["--make-hsm-key"]).expect(73);
    assert!(again.err.contains("'first' already"), "{}", again.err);
    let absent = hardware.generate("hsm_secured", "third", &[]).expect(73);
    assert!(absent.err.contains("no secret key with the label 'third'"), "{}", absent.err);
    let server = hardware.start();
    let admin = server.admin();
    key_with_secret(&admin, "wrapped", &wrapped.id);
    key_with_secret(&admin, "secured", &secured.id);
    let shown = listed(&admin);
    assert_eq!(shown[0]["fragment_type"], "hsm_wrapped");
    assert_eq!(shown[0]["hash"], wrapped.fingerprint.as_str(), "{shown:?}");
    assert_eq!(shown[1]["key_label"], "second");
    assert!(shown[1].get("hash").is_none(), "it is never kept: {shown:?}");
    for name in ["wrapped", "secured"] {
        assert_eq!(admin.read(&format!("/secrets/{name}")), format!("value of {name}"));
    }
    server.stop();
    let server = hardware.start();
    let admin = server.admin();
    for name in ["wrapped", "secured"] {
        assert_eq!(admin.read(&format!("/secrets/{name}")), format!("value of {name}"));
    }
    server.stop();

    // Without the module only what needs it fails, and says so.
    let mut command = hardware.site.server(&hardware.site.data());
    command.arg("--customer-fragments").arg(&hardware.file);
    let server = hardware.site.launch(command).ready();
    let admin = server.admin();
    let args = json!({"names": ["/secrets/secured"]});
    let text = admin.refused(503, "get-secret-value", args);
    assert!(text.contains("CustomerFragmentUnavailable") && text.contains("no hardware"), "{text}");
    admin.store("/plain", "p");
    assert_eq!(admin.read("/plain"), "p");
}

#[test]
fn a_token_that_goes_away_stops_what_is_made_for_every_use_only() {
    let hardware = Hardware::new();
    let wrapped = hardware.made("hsm_wrapped", "first", &["--make-hsm-key"]);
    let secured = hardware.made("hsm_secured", "second", &["--make-hsm-key"]);
    let server = hardware.start();
    let admin = server.admin();
    key_with_secret(&admin, "wrapped", &wrapped.id);
    key_with_secret(&admin, "secured", &secured.id);
    let (tokens, away) = (hardware.hsm.dir().join("tokens"), hardware.site.path("away"));
    fs::rename(&tokens, &away).unwrap();
    assert_eq!(admin.read("/secrets/wrapped"), "value of wrapped", "made once, at the start");
    let args = json!({"names": ["/secrets/secured"]});
    let text = admin.refused(503, "get-secret-value", args);
    assert!(text.contains("CustomerFragmentUnavailable"), "{text}");
    fs::rename(&away, &tokens).unwrap();
    server.stop();
    // This module does not find its objects again while it runs; after a restart it does.
    let admin = hardware.start();
    assert_eq!(admin.admin().read("/secrets/secured"), "value of secured");
}

#[test]
fn another_key_under_the_label_is_another_fragment() {
    let mut hardware = Hardware::new();
    let secured = hardware.made("hsm_secured", "first", &["--make-hsm-key"]);
    let server = hardware.start();
    key_with_secret(&server.admin(), "secured", &secured.id);
    server.stop();
    // The token is lost; another has a key of that name.
    hardware.hsm = SoftHsm::with_token("vault");
    let mut elsewhere = hardware.site.path("elsewhere.json");
    std::mem::swap(&mut hardware.file, &mut elsewhere);
    hardware.made("hsm_secured", "first", &["--make-hsm-key"]);
    std::mem::swap(&mut hardware.file, &mut elsewhere);
    let server = hardware.start();
    let admin = server.admin();
    let text = admin.refused(403, "get-secret-value", json!({"names": ["/secrets/secured"]}));
    assert!(text.contains("CustomerFragmentWrong"), "{text}");
    assert!(text.contains(&secured.fingerprint), "{text}");
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let hardware = Hardware::new();
    let wrapped = hardware.made("hsm_wrapped", "first", &["--make-hsm-key"]);
    write(&hardware.pin_file, "0000");
    let server = hardware.start();
    let admin = server.admin();
    let args = json!({"name": "/k", "alg": "AES256GCM", "customer-frg-id": wrapped.id});
    for _ in 0..3 {
        let text = admin.refused(503, "create-dfc-key", args.clone());
        assert!(text.contains("refused the PIN") && text.contains("restart"), "{text}");
    }
    admin.store("/plain", "p");
    server.stop();
    write(&hardware.pin_file, PIN);
    let server = hardware.start();
    server.admin().ok("create-dfc-key", args);
    server.stop();
    // What other gateways are told by the environment is understood too.
    let mut command = hardware.site.server(&hardware.site.data());
    hardware.hsm.configure(&mut command).arg("--customer-fragments").arg(&hardware.file);
    command.env("PKCS11_LIB_PATH", hardware.hsm.module());
    command.arg("--sandbox-path").arg(hardware.hsm.dir());
    command.env("HSM_TOKEN_LABEL", "vault").env("HSM_PIN", PIN);
    let server = hardware.site.launch(command).ready();
    assert_eq!(listed(&server.admin())[0]["hash"], wrapped.fingerprint.as_str());
    assert!(server.process.err().contains("comes from the environment"));
    server.stop();
    let mut command = hardware.site.server(&hardware.site.data());
    command.args(["--check-config", "--customer-fragments-hsm", &hardware.uri()]);
    let refused = finish(&mut command, b"").expect(64);
    assert!(refused.err.contains("no PIN"), "{}", refused.err);
    let mut command = hardware.site.server(&hardware.site.data());
    command.args(["--check-config", "--customer-fragments-hsm", "vault"]).env("HSM_PIN", PIN);
    let refused = finish(&mut command, b"").expect(64);
    assert!(refused.err.contains("pkcs11:"), "{}", refused.err);
}
