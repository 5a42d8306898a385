//! What is said of many hosts.

use keysherd_base::FaultKind;

use super::*;

fn checked(refused: &[&str], silent: &[&str], without: &[&str], taken: usize) -> Checked {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let fault = |name| (name, Fault::unavailable("no route"));
    Checked {
        refused: all(refused),
        silent: all(silent).into_iter().map(fault).collect(),
        without: all(without),
        taken,
    }
}

#[test]
fn a_host_that_refuses_is_a_failure_and_one_that_is_silent_is_not_the_others() {
    let path = ItemPath::parse("/web/deploy").unwrap();
    let said = |checked| told(&path, checked);
    assert_eq!(said(checked(&[], &[], &[], 2)).unwrap(), Vec::<String>::new());
    let fault = said(checked(&["b:22", "c:22"], &["d:22"], &[], 1)).unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "CredentialsRefused"));
    assert!(fault.public().starts_with("b:22, c:22 does not let"), "{fault}");
    let warnings = said(checked(&[], &["d:22"], &["e:22"], 1)).unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("e:22 has no") && warnings[1].starts_with("d:22 was not"));
    assert_eq!(said(checked(&[], &["d:22"], &[], 0)).unwrap_err().kind(), FaultKind::Unavailable);
    // Nobody refuses where nothing was set.
    assert_eq!(said(checked(&[], &[], &["e:22"], 0)).unwrap().len(), 1);
}
