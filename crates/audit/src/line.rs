//! One record as one line of text, for people and for log collectors.
//!
//! The line begins with the time and goes on with `key=value` pairs. A value that is empty or holds
//! a space, a quote, a backslash, `=` or a control character is quoted, and escaped within the
//! quotes, so that nobody can forge a pair or a line through a name. The field names are those of
//! the V2 API; the punctuation is ours, since theirs is not published.

use std::fmt::{self, Write};

use crate::record::Record;

impl Record {
    /// The record as one line, without a line break at the end.
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(512);
        self.write_line(&mut line).expect("invariant: writing to a String cannot fail");
        line
    }

    fn write_line(&self, to: &mut String) -> fmt::Result {
        let draft = &self.draft;
        write!(to, "{} seq_num={} account_id={}", self.time, self.seq, draft.account)?;
        if let Some(access_id) = &draft.access_id {
            write!(to, " access_id={access_id}")?;
        }
        pair(to, "component", &draft.component)?;
        pair(to, "action", &draft.action)?;
        pair_if_known(to, "item_type", &draft.item_type)?;
        write!(to, " status={}", self.status)?;
        pair_if_known(to, "error", self.error.as_deref().unwrap_or_default())?;
        if let Some(address) = draft.client_address {
            write!(to, " remote_addr={address}")?;
        }
        write!(to, " duration={}", self.duration_us / 1000)?;
        let params = joined(
            draft.params.iter().map(|param| (param.name(), param.value().unwrap_or("[redacted]"))),
        );
        pair_if_known(to, "request_parameters", &params)?;
        pair_if_known(to, "unique_id", &draft.unique_id)?;
        let claims = joined(draft.sub_claims.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.as_str(), value.as_str()))
        }));
        pair_if_known(to, "client_sub_claims", &claims)?;
        pair_if_known(to, "access_type", &draft.access_type)?;
        pair(to, "product", &draft.product)?;
        pair(to, "command", &draft.command)?;
        pair_if_known(to, "client_type", &draft.client_type)?;
        write!(to, " request_id={}", draft.request)
    }
}

fn pair_if_known(to: &mut String, key: &str, value: &str) -> fmt::Result {
    if value.is_empty() { Ok(()) } else { pair(to, key, value) }
}

fn pair(to: &mut String, key: &str, value: &str) -> fmt::Result {
    write!(to, " {key}=")?;
    let special = |c: char| c.is_whitespace() || c.is_control() || "\"\\=".contains(c);
    if !value.is_empty() && !value.contains(special) {
        return to.write_str(value);
    }
    to.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(to, "\\{c}")?,
            '\n' => to.write_str("\\n")?,
            '\u{2028}' | '\u{2029}' => write!(to, "\\u{{{:x}}}", u32::from(c))?,
            c if c.is_control() => write!(to, "\\u{{{:x}}}", u32::from(c))?,
            c => to.write_char(c)?,
        }
    }
    to.write_char('"')
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::record::tests::sample_record;
    use crate::{Param, Record};

    #[test]
    fn has_the_documented_shape() {
        assert_eq!(
            sample_record(41).line(),
            "2026-01-05T10:11:12Z seq_num=41 account_id=acc-01010101010101010101010101010101 \
             access_id=p-abcdefghijkl component=control/items action=get_secret_value \
             item_type=STATIC_SECRET status=200 remote_addr=10.0.0.5 duration=12 \
             request_parameters=\"item_name=/a/b, value=[redacted]\" unique_id=alice@example.com \
             client_sub_claims=\"email=alice@example.com\" access_type=saml2 product=sm \
             command=get-secret-value client_type=sdk \
             request_id=02020202020202020202020202020202"
        );
    }

    #[test]
    fn a_name_can_forge_neither_a_pair_nor_a_line() {
        let mut record: Record = sample_record(1);
        record.draft.unique_id = "eve\" status=200\n2026-01-05T10:11:12Z seq_num=2 \\".into();
        record.draft.params = vec![Param::public("item_name", "/a\u{2028}b\u{7}c")];
        let line = record.line();
        assert_eq!(line.lines().count(), 1);
        let forged = r#"unique_id="eve\" status=200\n2026-01-05T10:11:12Z seq_num=2 \\""#;
        assert!(line.contains(forged), "{line}");
        assert!(line.contains("/a\\u{2028}b\\u{7}c"));
    }
}
