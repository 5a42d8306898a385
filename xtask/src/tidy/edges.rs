//! Which crate may depend on which: the table of the architecture, and who may touch the world.

use toml::Table;

use super::Finding;
use super::tree::{File, Tree};

const RULE: &str = "edges";

/// A crate and the crates of this workspace it may depend on.
type Row = (&'static str, &'static [&'static str]);

/// The allowed edges. A crate without a row may not exist; write the row first.
const ROWS: &[Row] = &[
    ("base", &[]),
    ("crypto", &["base"]),
    ("wire", &["base"]),
    ("domain", &["base"]),
    ("audit", &["base"]),
    ("cloud", &["base"]),
    ("fragments", &["base", "crypto"]),
    ("plane", &["base", "domain", "audit"]),
    ("store", &["base", "domain", "audit"]),
    ("http", &["base", "wire"]),
    ("client", &["base", "wire"]),
    ("egress", &["base"]),
    ("acme", &["base", "egress"]),
    ("link", &["base", "crypto", "domain", "egress", "fragments", "plane"]),
    ("authn", &["base", "crypto", "wire", "domain", "egress"]),
    ("targets", &["base", "crypto", "wire", "domain", "cloud", "egress"]),
    ("sinks", &["base", "crypto", "wire", "audit", "cloud", "egress"]),
    ("engines", &["base", "crypto", "wire", "domain", "egress", "targets"]),
    ("control", &["base", "crypto", "domain", "audit", "plane", "store", "authn"]),
    ("manager", &["base", "crypto", "fragments"]),
    (
        "api",
        &[
            "base",
            "crypto",
            "fragments",
            "wire",
            "domain",
            "audit",
            "plane",
            "authn",
            "targets",
            "sinks",
            "engines",
            "egress",
        ],
    ),
    (
        "gateway",
        &[
            "base",
            "crypto",
            "fragments",
            "domain",
            "audit",
            "plane",
            "link",
            "engines",
            "targets",
            "sinks",
            "api",
            "http",
            "egress",
        ],
    ),
    ("vault", &["base", "wire", "domain", "api", "http"]),
    ("console", &["base", "wire", "api", "http"]),
    ("cli", &["base", "wire", "client", "cloud"]),
    ("app", ROLES),
    ("testkit", ROLES),
    ("it", TEST_SUPPORTED),
    ("bench", TEST_SUPPORTED),
    ("fuzz", TEST_SUPPORTED),
    ("xtask", &[]),
];

/// Every crate that makes up the product, without the binary.
const ROLES: &[&str] = &[
    "base",
    "crypto",
    "wire",
    "domain",
    "audit",
    "fragments",
    "plane",
    "store",
    "http",
    "client",
    "acme",
    "cloud",
    "egress",
    "link",
    "authn",
    "targets",
    "sinks",
    "engines",
    "control",
    "manager",
    "api",
    "gateway",
    "vault",
    "console",
    "cli",
];
/// The same with the simulated cluster.
const TEST_SUPPORTED: &[&str] = &[
    "base",
    "crypto",
    "wire",
    "domain",
    "audit",
    "fragments",
    "plane",
    "store",
    "http",
    "client",
    "acme",
    "cloud",
    "egress",
    "link",
    "authn",
    "targets",
    "sinks",
    "engines",
    "control",
    "manager",
    "api",
    "gateway",
    "vault",
    "console",
    "cli",
    "testkit",
];

/// External crates that only some crates may use in production code.
struct Fence {
    crates: &'static [&'static str],
    only_in: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        crates: &["rusqlite", "libsqlite3-sys", "sqlx"],
        only_in: &["store"],
        why: "SQL is in store only",
    },
    Fence {
        crates: &["tokio-postgres"],
        only_in: &["store", "targets", "bench"],
        why: "PostgreSQL is spoken in store, in targets on behalf of tenants, and beside them to \
              compare",
    },
    Fence {
        crates: &["mysql_async", "redis"],
        only_in: &["targets"],
        why: "servers of tenants are signed in to in targets",
    },
    Fence {
        crates: &["redb"],
        only_in: &["manager"],
        why: "the embedded store belongs to the fragment manager",
    },
    Fence {
        crates: &[
            "aes-gcm",
            "aes-siv",
            "argon2",
            "aws-lc-rs",
            "aws-lc-sys",
            "blake2",
            "blake3",
            "chacha20poly1305",
            "cryptoki",
            "curve25519-dalek",
            "ed25519-dalek",
            "frost-core",
            "frost-ristretto255",
            "hkdf",
            "hmac",
            "jsonwebtoken",
            "p256",
            "rcgen",
            "ring",
            "rsa",
            "sha1",
            "sha2",
            "subtle",
            "x25519-dalek",
            "x509-parser",
        ],
        only_in: &["crypto", "fragments"],
        why: "cryptographic libraries are in crypto and fragments only",
    },
    Fence {
        crates: &["instant-acme"],
        only_in: &["acme"],
        why: "ACME authorities are asked in acme only",
    },
    Fence {
        crates: &["hyper", "hyper-util", "axum"],
        only_in: &["http", "link", "bench"],
        why: "the HTTP server is in http only",
    },
    Fence {
        crates: &["clap", "clap_complete", "comfy-table", "rpassword"],
        only_in: &["cli", "app", "bench"],
        why: "the terminal is in cli only",
    },
];

/// Crates that do no IO, and the crates that would do it for them.
const PURE: &[&str] = &["audit", "base", "crypto", "domain", "fragments", "wire"];
const IO: &[&str] = &[
    "axum",
    "http-body-util",
    "hyper",
    "hyper-util",
    "mio",
    "redb",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
    "tokio-util",
    "tonic",
    "ureq",
];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for file in tree.files().iter().filter(|file| is_crate_manifest(&file.path)) {
        let mut add = |text: String| {
            found.push(Finding { path: file.path.clone(), line: 0, rule: RULE, value: None, text });
        };
        match file.text.parse::<Table>() {
            Ok(manifest) => check_manifest(file, &manifest, &mut add),
            Err(error) => add(format!("not TOML: {}", error.message())),
        }
    }
}

fn is_crate_manifest(path: &str) -> bool {
    path == "xtask/Cargo.toml"
        || path
            .strip_prefix("crates/")
            .and_then(|path| path.strip_suffix("/Cargo.toml"))
            .is_some_and(|name| !name.contains('/'))
}

fn check_manifest(file: &File, manifest: &Table, add: &mut dyn FnMut(String)) {
    let name = file.crate_name();
    let Some((_, allowed)) = ROWS.iter().find(|(row, _)| *row == name) else {
        add(format!("the crate {name} has no row in the table of edges"));
        return;
    };
    for dependency in dependencies(manifest, &["dependencies", "build-dependencies"]) {
        match dependency.strip_prefix("keysherd-") {
            Some(ours) if !allowed.contains(&ours) => {
                add(format!("{name} must not depend on {ours}"));
            }
            Some(_) => {}
            None => check_external(name, &dependency, add),
        }
    }
    for dependency in dependencies(manifest, &["dev-dependencies"]) {
        match dependency.strip_prefix("keysherd-") {
            Some(ours) if !allowed.contains(&ours) && ours != "testkit" => {
                add(format!("{name} must not depend on {ours}, in tests neither"));
            }
            None if PURE.contains(&name) && IO.contains(&dependency.as_str()) => {
                add(format!("{name} does no IO, in tests neither: {dependency}"));
            }
            _ => {}
        }
    }
}

fn check_external(name: &str, dependency: &str, add: &mut dyn FnMut(String)) {
    if PURE.contains(&name) && IO.contains(&dependency) {
        add(format!("{name} does no IO and must not depend on {dependency}"));
    }
    for fence in FENCES {
        if fence.crates.contains(&dependency) && !fence.only_in.contains(&name) {
            add(format!("{name} must not depend on {dependency}: {}", fence.why));
        }
    }
}

/// The package names in the given sections, also those for one platform.
fn dependencies(manifest: &Table, sections: &[&str]) -> Vec<String> {
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let tables = platforms.into_iter().flat_map(|targets| targets.values());
    let tables = std::iter::once(manifest).chain(tables.filter_map(|table| table.as_table()));
    tables
        .flat_map(|table| sections.iter().filter_map(|section| table.get(*section)?.as_table()))
        .flatten()
        .map(|(key, value)| {
            let package = value.get("package").and_then(|package| package.as_str());
            package.unwrap_or(key).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    fn finds(name: &str, manifest: &str, words: &[&str]) {
        let path = format!("crates/{name}/Cargo.toml");
        let found: Vec<_> = words.iter().map(|words| (path.as_str(), 0, *words)).collect();
        expect(check, &[(&path, manifest)], &found);
    }

    #[test]
    fn a_forbidden_edge_is_found() {
        let fragments = "[dependencies]\nkeysherd-base.workspace = true\n\
                         keysherd-fragments.workspace = true\n";
        finds("control", fragments, &["control must not depend on fragments"]);
        finds("manager", fragments, &[]);
        let renamed = "[dependencies]\nx = { package = \"keysherd-store\", path = \"../store\" }\n";
        finds("manager", renamed, &["manager must not depend on store"]);
        let platform = "[target.'cfg(unix)'.dependencies]\nkeysherd-api.workspace = true\n";
        finds("http", platform, &["http must not depend on api"]);
        finds("store", "[dev-dependencies]\nkeysherd-api = \"1\"\n", &["in tests neither"]);
        finds("store", "[dev-dependencies]\nkeysherd-testkit = \"1\"\n", &[]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        finds("drawer", "[package]\n", &["no row"]);
        finds("base", "[package\n", &["not TOML"]);
    }

    #[test]
    fn fenced_crates_are_found() {
        finds("domain", "[dependencies]\ntokio.workspace = true\n", &["does no IO"]);
        finds("wire", "[dev-dependencies]\ntokio.workspace = true\n", &["does no IO"]);
        finds("control", "[dependencies]\nrusqlite.workspace = true\n", &["SQL is in store"]);
        finds("http", "[dependencies]\nrcgen.workspace = true\n", &["cryptographic"]);
        finds("http", "[dev-dependencies]\nrcgen.workspace = true\n", &[]);
    }

    #[test]
    fn the_table_has_no_unknown_crate_and_no_way_around() {
        for (name, allowed) in ROWS {
            for other in *allowed {
                assert!(ROWS.iter().any(|(row, _)| row == other), "{name} -> {other}");
            }
        }
        let reaches = |from: &str, to: &str| {
            let mut seen = vec![from];
            let mut at = 0;
            while let Some(name) = seen.get(at).copied() {
                let row = ROWS.iter().find(|(row, _)| *row == name);
                for next in row.map_or(&[][..], |(_, allowed)| *allowed) {
                    if !seen.contains(next) {
                        seen.push(next);
                    }
                }
                at += 1;
            }
            seen.contains(&to)
        };
        assert!(!reaches("control", "fragments"), "it could combine partial results");
        for independent in ["control", "domain", "store"] {
            assert!(!reaches("manager", independent), "{independent}");
        }
        assert!(reaches("gateway", "fragments"));
    }
}
