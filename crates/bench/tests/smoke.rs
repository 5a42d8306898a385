//! The whole bench for a moment, against a debug build of the server: every row is there and
//! counts something. The numbers themselves mean nothing here.

use std::process::Command;

use serde_json::Value;

/// Every row with its connections.
const ROWS: &[(&str, &str, u64)] = &[
    ("B1", "get 1, warm", 1),
    ("B1", "get 1, warm", 16),
    ("B1", "get 1, cold", 1),
    ("B1", "get 1, cold", 16),
    ("B2", "get 100, warm", 1),
    ("B2", "get 100, warm", 16),
    ("B2", "get 100, cold", 1),
    ("B2", "get 100, cold", 16),
    ("B3", "update, durable", 1),
    ("B3", "update, durable", 16),
    ("B3", "update, durable", 128),
    ("B6", "login, access key", 16),
    ("B6", "login, JWT ES256", 16),
    ("B6", "login, JWT RS256", 16),
    ("B6", "login, Kubernetes", 8),
    ("B6", "t- token checked", 16),
];

fn run(words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_keysherd-bench"))
        .args(words)
        .output()
        .expect("the bench starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{complaint}"))
}

fn positive(value: &Value, name: &str) -> f64 {
    let found = value[name].as_f64().unwrap_or_else(|| panic!("no {name} in {value}"));
    assert!(found > 0.0, "{name} is {found} in {value}");
    found
}

#[test]
fn every_row_is_measured_and_the_store_can_be_used_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("kept");
    let directory = directory.to_str().unwrap();
    let report = run(&["--smoke", "--json", "--data-dir", directory]);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS.len());
    let mut cpu = 0.0;
    for (id, title, connections) in ROWS {
        let mut found = rows.iter().filter(|row| {
            row["id"] == *id && row["title"] == *title && row["connections"] == *connections
        });
        let row = found.next().unwrap_or_else(|| panic!("no {id} {title} {connections}"));
        for name in ["requests", "per_second", "p50_us", "p99_us", "p999_us", "checked"] {
            positive(row, name);
        }
        positive(row, "echo_per_second");
        if *id == "B3" {
            positive(row, "raw_per_second");
            positive(row, "rate_to_raw");
        }
        // The clock of CPU time ticks too slowly for a single short row.
        cpu += row["cpu_us"].as_f64().unwrap();
    }
    assert!(cpu > 0.0);
    for echo in report["echo"].as_array().unwrap() {
        positive(echo, "per_second");
    }
    assert_eq!(report["raw"].as_array().unwrap().len(), 3);
    for name in ["empty", "idle", "after_warm_rows"] {
        positive(&report["memory"][name], "rss_kib");
    }
    for name in ["values", "seconds", "per_second"] {
        positive(&report["rewrap"], name);
    }
    let starts = report["start_ms"].clone();
    assert_eq!(starts["empty"].as_array().unwrap().len(), 1);
    assert_eq!(starts["existing"].as_array().unwrap().len(), 5);
    // The second run finds the store loaded.
    let again = run(&["--smoke", "--json", "--seconds", "0.01", "--data-dir", directory]);
    assert_eq!(again["start_ms"]["existing"].as_array().unwrap().len(), 6);
}

#[test]
fn decisions_are_measured_at_every_number_of_rules() {
    let report = run(&["decide", "--json", "--seconds", "0.05"]);
    let rows = report["rows"].as_array().unwrap();
    let rules: Vec<_> = rows.iter().map(|row| row["rules"].as_u64().unwrap()).collect();
    assert_eq!(rules, [10, 1_000, 10_000]);
    for row in rows {
        for name in ["p50_us", "p99_us", "decisions", "ready_ms", "times_made_ready"] {
            positive(row, name);
        }
    }
    for name in ["characters", "opened_us", "seen_us"] {
        positive(&report["tokens"], name);
    }
}

#[test]
fn calls_between_roles_are_measured() {
    let report = run(&["link", "--json", "--seconds", "0.05"]);
    let rows = report["rows"].as_array().unwrap();
    let titles: Vec<_> = rows.iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(titles.iter().filter(|title| **title == "link call").count(), 5);
    assert_eq!(titles.last(), Some(&"link connect and call"));
    for row in rows {
        for name in ["calls", "per_second", "p50_us", "p99_us"] {
            positive(row, name);
        }
    }
}

#[test]
fn five_processes_are_measured_beside_one() {
    let report = run(&["apart", "--smoke", "--json", "--keys", "2"]);
    let rows = report["rows"].as_array().unwrap();
    let of = |processes: u64| rows.iter().filter(move |row| row["processes"] == processes);
    assert_eq!((of(1).count(), of(5).count()), (7, 7));
    for (one, five) in of(1).zip(of(5)) {
        for name in ["id", "title", "connections"] {
            assert_eq!(one[name], five[name]);
        }
        for row in [one, five] {
            for name in ["requests", "p50_us", "p99_us", "checked", "echo_per_second"] {
                positive(row, name);
            }
        }
        positive(five, "rate_to_one");
    }
    let spent = |role: &str| of(5).map(|row| row["cpu_us_of"][role].as_f64().unwrap()).sum::<f64>();
    for role in ["gateway", "control", "manager-1", "manager-2", "manager-3"] {
        assert!(spent(role) > 0.0, "{role} had nothing to do");
    }
    let jobs = report["jobs"].as_array().unwrap();
    let of = |title: &'static str| jobs.iter().filter(move |job| job["title"] == title);
    assert_eq!(of("generation of keys").map(|job| positive(job, "items")).sum::<f64>(), 4.0);
    let rewraps = of("re-wrap of values");
    assert_eq!(
        rewraps.map(|job| positive(job, "items")).filter(|items| *items >= 200.0).count(),
        2
    );
}

#[test]
fn gateways_that_keep_reads_are_measured_with_control_near_and_far() {
    let report = run(&["edge", "--smoke", "--json", "--items", "150", "--clients", "3"]);
    let rows = report["rows"].as_array().unwrap();
    let far = |row: &&Value| row["control_ms"] == 50 && row["connections"] == 1;
    assert_eq!(rows.len(), 15);
    for row in rows {
        for name in ["requests", "per_second", "p50_us", "p99_us"] {
            positive(row, name);
        }
    }
    let mut p50 = rows.iter().filter(far).map(|row| {
        let kept = row["title"] == "get 1, warm" && row["cache"] == true;
        (kept, positive(row, "p50_us"))
    });
    assert!(p50.all(|(kept, p50)| kept || p50 >= 50_000.0), "control was not far: {rows:?}");
    for name in ["one_gateway_per_second", "two_gateways_per_second"] {
        positive(&report, name);
    }
    assert_eq!(report["ready"].as_array().unwrap().len(), 2);
    assert_eq!(report["crowd"]["clients"], 3);
    positive(&report["crowd"], "secrets_a_minute");
    positive(&report["memory"], "items");
}
