//! What is read of arguments.

use serde_json::json;

use super::*;

fn read(given: &[&str]) -> Result<Value, Fault> {
    let given: Vec<_> = given.iter().map(|text| (*text).to_owned()).collect();
    arguments(&given).map(Value::Object)
}

#[test]
fn arguments_are_pairs_or_objects() {
    assert_eq!(read(&[]).unwrap(), json!({}));
    let given = ["a=1", "b=x=y;'\"", " {\"c\": [1], \"a\": \"2\"}", "d="];
    let want = json!({"a": "2", "b": "x=y;'\"", "c": [1], "d": ""});
    assert_eq!(read(&given).unwrap(), want);
    for bad in ["", "a", "=a", "{", "{\"a\"}"] {
        let fault = read(&[bad]).unwrap_err();
        assert!(fault.public().contains("'args'"), "{bad}: {fault}");
    }
    assert!(read(&["a=1"; 65]).is_err());
    assert!(read(&[&format!("a={}", "x".repeat(16 * 1024))]).is_err());
}

#[test]
fn arguments_that_nobody_reads_are_refused() {
    let given = |text: &str| known_arguments(&[text.to_owned()], &["namespace"]);
    assert_eq!(given("namespace=a").unwrap()["namespace"], "a");
    for bad in ["role_arn=x", "{\"namespace\": 1}", "Namespace=a"] {
        assert!(given(bad).unwrap_err().public().contains("is not one of namespace"), "{bad}");
    }
}
