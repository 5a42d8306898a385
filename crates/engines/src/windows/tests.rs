//! What machines are told, and what they say.

use serde_json::json;

use super::*;

#[test]
fn commands_are_short_enough_and_the_same_for_everybody() {
    for script in scripts::ALL {
        let command = script.command();
        // `cmd.exe` takes 8191 characters.
        assert!(command.len() < 8_000 && command.is_ascii(), "{script:?}: {}", command.len());
        let coded = command.rsplit(' ').next().unwrap();
        let bytes = STANDARD.decode(coded).unwrap();
        let units = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let text = String::from_utf16(&units.collect::<Vec<_>>()).unwrap();
        assert_eq!(text, script.text());
        assert!(text.contains("$d.") && text.is_ascii());
    }
}

#[test]
fn nothing_of_a_name_or_a_password_is_outside_the_base64() {
    for hostile in ["';calc;'", "\u{2019};calc;\u{2018}", "$(calc)", "`n", "a\r\nb", "\u{0}", "ü"]
    {
        let line = input(json!({"name": hostile, "password": hostile}));
        let coded = line.expose().strip_suffix("\r\n").unwrap();
        assert!(coded.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
        let read: Value = serde_json::from_slice(&STANDARD.decode(coded).unwrap()).unwrap();
        assert_eq!(read["name"], hostile);
    }
}

#[test]
fn refusals_are_told_by_their_names_and_nothing_else_is_repeated() {
    let told = |said: &str| Script::heard(said, "making the user", "w.example:22");
    told("#< CLIXML\r\nkeysherd done\r\n").unwrap();
    for (said, kind, words) in [
        ("InvalidPassword,X 80131501", FaultKind::BadRequest, "rules for passwords"),
        ("CatchFromBase 800708C5", FaultKind::BadRequest, "rules for passwords"),
        ("AccessDenied,X 80131501", FaultKind::Forbidden, "may not do that"),
        ("Catch 80070056", FaultKind::Forbidden, "old password"),
        ("NoSuchUser 80131501", FaultKind::BadRequest, "no such local user"),
        ("GroupNotFound,X 80131501", FaultKind::BadRequest, "no such local group"),
        ("SessionsStay 80131501", FaultKind::Conflict, "sessions"),
        ("CommandNotFoundException 80131501", FaultKind::BadRequest, "PowerShell 5.1"),
        ("<b>Else", FaultKind::BadRequest, "refuses it"),
    ] {
        let fault = told(&format!("keysherd refused {said}\n")).unwrap_err();
        assert_eq!(fault.kind(), kind, "{said}: {fault}");
        assert!(fault.public().contains(words) && !fault.public().contains('<'), "{fault}");
        assert!(!format!("{fault:?}").contains("<b>"), "{fault:?}");
    }
    for said in ["", "done", "x keysherd done", "keysherd undone", "'powershell.exe' is not"] {
        let fault = told(said).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.public().contains("PowerShell 5.1"), "{fault}");
    }
}

#[test]
fn names_are_what_windows_takes() {
    for name in ["ann", "Ann Lee", "a.b-c_d", "Jürgen", "o'neil", "twenty-characters-ok"] {
        need_user("f", name).unwrap();
    }
    for name in ["", ".", "..", "a/b", "a\\b", "a@b", "a,b", "a\nb", "twenty-one-characters", "a*"]
    {
        assert!(need_user("f", name).unwrap_err().public().contains('f'), "{name:?}");
    }
}
