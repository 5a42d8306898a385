//! What is read of AWS's answers: the texts of elements by their names, wherever they stand. The
//! answers that are asked for name each of them once, or as a list.

/// The text of the first element of this name; `None`: there is none that has only text in it.
pub fn value(xml: &str, name: &str) -> Option<String> {
    texts(xml, name).next()
}

/// The texts of all elements of this name.
pub fn values(xml: &str, name: &str) -> Vec<String> {
    texts(xml, name).collect()
}

fn texts<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = String> + use<'x> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(&begin)? + begin.len();
            rest = rest.get(at..)?;
            let length = rest.find('<')?;
            let (text, after) = rest.split_at(length);
            rest = after;
            if after.starts_with(&end) {
                return Some(plain(text));
            }
        }
    })
}

/// A text without references (XML 1.0 section 4.6); what refers to something else stays as it is.
fn plain(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let found = known.iter().find(|(written, _)| from.starts_with(written));
        let (means, length) = found.map_or(("&", 1), |(written, means)| (*means, written.len()));
        plain.push_str(means);
        rest = &from[length..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_texts() {
        let xml =
            "<A><Code>No</Code><b><Arn>1 &amp; &lt;2&gt;</Arn><Arn>&#x3;&amp;lt;</Arn></b></A>";
        assert_eq!(value(xml, "Code").as_deref(), Some("No"));
        assert_eq!(values(xml, "Arn"), ["1 & <2>", "&#x3;&lt;"]);
        assert_eq!(value(xml, "A"), None);
        assert_eq!(value(xml, "b"), None);
        assert_eq!(value("<Code>", "Code"), None);
        assert_eq!(value("<Code>x", "Code"), None);
        assert_eq!(value("<Code><Code>x</Code>", "Code").as_deref(), Some("x"));
        assert_eq!(value("<Code></Code>", "Code").as_deref(), Some(""));
        assert_eq!(value("", ""), None);
    }
}
