//! Hosts as they are written, and what they are as targets.

use super::*;
use crate::testing::settings;

fn merged(given: &[(&'static str, &str)], old: Settings) -> Result<Settings, Fault> {
    let mut args = Args::new();
    given.iter().for_each(|(name, value)| args.put(name, (*value).into()));
    LinkedTarget.merged(&args, old)
}

fn places(settings: &Settings) -> Vec<String> {
    hosts(settings).unwrap().iter().map(Host::place).collect()
}

#[test]
fn hosts_have_ports_and_descriptions_and_are_told_apart_by_their_places() {
    let text = "Web1;the first, web2:2222 ; second one,10.0.0.7,[fd00::1]:22,fd00::2";
    let plain = settings(&LinkedTarget, &[("hosts", text)]);
    let want = ["web1:22", "web2:2222", "10.0.0.7:22", "[fd00::1]:22", "[fd00::2]:22"];
    assert_eq!(places(&plain), want);
    let (name, shown) = LinkedTarget.details(&plain);
    assert_eq!(name, "linked_target_details");
    assert_eq!(shown["hosts"]["web1:22"], "the first");
    assert_eq!(shown["hosts"]["web2:2222"], "second one");
    assert_eq!(shown["hosts"]["10.0.0.7:22"], "");
    // What is written in another way is the same.
    let again = settings(&LinkedTarget, &[("hosts", &text.to_uppercase())]);
    assert_eq!(places(&again), want);
    let windows = settings(&LinkedTarget, &[("hosts", "w"), ("type", "windows")]);
    assert_eq!(places(&windows), ["w:5986"]);
}

#[test]
fn hosts_come_and_go_one_by_one() {
    let old = settings(&LinkedTarget, &[("hosts", "a;first,b;second")]);
    let new = merged(&[("add-hosts", "c:23;third,A;changed"), ("rm-hosts", "b:22")], old).unwrap();
    assert_eq!(places(&new), ["c:23", "a:22"]);
    assert_eq!(LinkedTarget.details(&new).1["hosts"]["a:22"], "changed");
    let fault = merged(&[("rm-hosts", "b")], new).unwrap_err();
    assert!(fault.public().contains("rm-hosts"), "{fault}");
    let all_gone = merged(&[("rm-hosts", "a")], settings(&LinkedTarget, &[("hosts", "a")]));
    assert!(all_gone.unwrap_err().public().contains("rm-hosts"), "one must stay");
}

#[test]
fn what_cannot_be_hosts_is_refused_by_name() {
    let many = (0..=HOSTS_MAX).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
    let long = format!("a;{}", "x".repeat(257));
    for bad in ["a b", "a:0", "a:65536", "a,A:22", "a/b", "-:x", ";only", "a;b\nc", &many, &long] {
        let fault = merged(&[("hosts", bad)], Settings::default()).unwrap_err();
        assert!(fault.public().contains("hosts"), "{bad}: {fault}");
    }
    assert!(merged(&[("hosts", "a"), ("type", "mysql")], Settings::default()).is_err());
    assert!(LinkedTarget.check(&Settings::default()).is_err());
}

#[test]
fn a_host_alone_is_the_parent_at_another_place() {
    let given = [("host", "p"), ("port", "2022"), ("ssh-username", "root"), ("ssh-password", "x")];
    let parent = settings(&crate::targets::ssh::Ssh, &given);
    let linked = settings(&LinkedTarget, &[("hosts", "h:23")]);
    let host = &hosts(&linked).unwrap()[0];
    let one = crate::ssh_machine(&alone(host, "ssh", Some(&parent)).unwrap()).unwrap();
    assert_eq!((one.place().to_string().as_str(), one.user()), ("h:23", Some("root")));
    assert_eq!(one.password().unwrap().expose(), "x");
    let nobodys = crate::ssh_machine(&alone(host, "ssh", None).unwrap()).unwrap();
    assert!(nobodys.user().is_none() && nobodys.password().is_none());
}
