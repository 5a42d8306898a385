//! What the Security Token Service answers, read strictly: it comes from outside, and from
//! whatever host `sts-url` names.

use keysherd_domain::claims::SubClaims;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::signed_request::Why;

/// Deepest element of an answer.
const DEPTH_MAX: usize = 4;
/// Longest text of an element, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;

/// The three texts of an answer.
#[derive(Default)]
struct Caller {
    account: Option<String>,
    arn: Option<String>,
    user_id: Option<String>,
}

/// The claims in an answer.
///
/// # Errors
/// What is wrong with it.
pub(super) fn claims(answer: &[u8]) -> Result<SubClaims, Why> {
    let Caller { account: Some(account), arn: Some(arn), user_id: Some(user_id) } = read(answer)?
    else {
        return Err("the service's answer lacks a part".to_owned());
    };
    of_caller(&account, &arn, &user_id)
}

fn read(answer: &[u8]) -> Result<Caller, Why> {
    let broken = |error: &dyn std::fmt::Display| format!("the service's answer: {error}");
    let answer = std::str::from_utf8(answer).map_err(|error| broken(&error))?;
    let mut reader = Reader::from_str(answer);
    let mut path: Vec<String> = Vec::new();
    let mut caller = Caller::default();
    loop {
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Start(start) => {
                if path.len() >= DEPTH_MAX {
                    return Err("the service's answer is too deep".to_owned());
                }
                path.push(start.local_name().as_ref().to_owned());
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => {
                place(&mut caller, &path, text.xml10_content().trim())?;
            }
            Event::Empty(_) | Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof if path.is_empty() => return Ok(caller),
            // No part of an answer needs entities, character data or a document type.
            _ => return Err("the service's answer has something it never has".to_owned()),
        }
    }
}

fn place(caller: &mut Caller, path: &[String], text: &str) -> Result<(), Why> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let ["GetCallerIdentityResponse", "GetCallerIdentityResult", name] = path.as_slice() else {
        return Ok(());
    };
    let slot = match *name {
        "Account" => &mut caller.account,
        "Arn" => &mut caller.arn,
        "UserId" => &mut caller.user_id,
        _ => return Ok(()),
    };
    if text.len() > TEXT_BYTES_MAX || slot.replace(text.to_owned()).is_some() {
        return Err(format!("the service's answer has {name} twice, or too long"));
    }
    Ok(())
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:KIND/NAME[/SESSION]`.
fn of_caller(account: &str, arn: &str, user_id: &str) -> Result<SubClaims, Why> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", _, service, _, owner, resource] = parts.as_slice() else {
        return Err(format!("the service's answer has no ARN but {arn:?}"));
    };
    if *owner != account || account.is_empty() {
        return Err(format!("account {account:?} is not that of {arn:?}"));
    }
    let mut claims = SubClaims::default();
    for (name, value) in [("account_id", account), ("arn", arn)] {
        claims.set(name, value);
    }
    match (*service, resource.split_once('/')) {
        ("sts", Some(("assumed-role", rest))) => {
            let (role, session) = rest.split_once('/').ok_or("an assumed role without session")?;
            let (role_id, id) = user_id.split_once(':').ok_or("a role's id without session")?;
            if id != session {
                return Err("the session differs between id and ARN".to_owned());
            }
            claims.set("role_name", role);
            claims.set("role_id", role_id);
            claims.set("resource_id", session);
        }
        ("iam", Some(("user", path))) => {
            claims.set("user_name", path.rsplit('/').next().unwrap_or(path));
            claims.set("user_id", user_id);
        }
        _ => claims.set("user_id", user_id),
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<GetCallerIdentityResponse \
             xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n\
             {inside}\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
             <RequestId>x</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
        )
    }

    const ROLE: &str = "<Arn>arn:aws:sts::123456789012:assumed-role/deploy/i-07</Arn>\
         <UserId>AROAEXAMPLE:i-07</UserId><Account>123456789012</Account>";

    #[test]
    fn roles_and_users_are_told_apart() {
        let claims = claims(answer(ROLE).as_bytes()).unwrap();
        assert_eq!(claims.values("role_name"), ["deploy"]);
        assert_eq!(claims.values("role_id"), ["AROAEXAMPLE"]);
        assert_eq!(claims.values("resource_id"), ["i-07"]);
        assert_eq!(claims.values("account_id"), ["123456789012"]);
        let user = of_caller("1", "arn:aws:iam::1:user/team/blue/alice", "AIDA").unwrap();
        assert_eq!(user.values("user_name"), ["alice"]);
        assert_eq!(user.values("user_id"), ["AIDA"]);
        let root = of_caller("1", "arn:aws:iam::1:root", "1").unwrap();
        assert!(root.values("user_name").is_empty());
    }

    #[test]
    fn answers_are_read_strictly() {
        let twice = format!("{ROLE}<Account>999999999999</Account>");
        let elsewhere = ROLE.replace("Account>", "Konto>");
        let other_account = ROLE.replace("<Account>123456789012", "<Account>999999999999");
        let entity = ROLE.replace("deploy", "&deploy;");
        let cdata = ROLE.replace("deploy", "<![CDATA[deploy]]>");
        let comment = ROLE.replace("deploy", "dep<!-- x -->loy");
        let deep = format!("{}{ROLE}", "<a>".repeat(9));
        for inside in [&twice, &elsewhere, &other_account, &entity, &cdata, &comment, &deep] {
            assert!(claims(answer(inside).as_bytes()).is_err(), "{inside}");
        }
        let good = answer(ROLE);
        let doctype = format!("<!DOCTYPE x [<!ENTITY e \"y\">]>{good}");
        let wrapped = format!("<Outer>{good}</Outer>");
        let cut = &good[..good.len() / 2];
        for text in [doctype.as_str(), &wrapped, cut, "", "{}", "<a>\u{0}</b>"] {
            assert!(claims(text.as_bytes()).is_err(), "{text}");
        }
        assert!(claims(&[0xff, 0xfe]).is_err());
    }
}
