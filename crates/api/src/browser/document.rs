//! The few documents that browsers are shown. Everything put into them is escaped here.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use keysherd_crypto::hash::sha256;
use keysherd_wire::PageAnswer;

const STYLE: &str = "body{font:1rem/1.5 sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}\
                     dt{color:#555}dd{margin:0 0 1rem;font-weight:bold}\
                     .code{font:2rem monospace;letter-spacing:.2rem}\
                     button{font:inherit;padding:.6rem 1.2rem}";

/// Nothing but the style above, and forms that lead back here.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(sha256(&[STYLE.as_bytes()]));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// A document under construction.
pub(super) struct Document {
    title: &'static str,
    head: String,
    body: String,
}

impl Document {
    /// An empty document.
    pub(super) fn new(title: &'static str) -> Self {
        Self { title, head: String::new(), body: String::new() }
    }

    /// A paragraph.
    pub(super) fn text(mut self, text: &str) -> Self {
        let _ = write!(self.body, "<p>{}</p>", escaped(text));
        self
    }

    /// A list of facts.
    pub(super) fn facts(mut self, facts: &[(&str, &str)]) -> Self {
        self.body.push_str("<dl>");
        for (name, value) in facts {
            let _ = write!(self.body, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
        }
        self.body.push_str("</dl>");
        self
    }

    /// The short code, large.
    pub(super) fn code(mut self, code: &str) -> Self {
        let _ = write!(self.body, "<p class=\"code\" id=\"code\">{}</p>", escaped(code));
        self
    }

    /// A form with one button that posts `fields` to `path`.
    pub(super) fn form(mut self, path: &str, fields: &[(&str, &str)], button: &str) -> Self {
        let _ = write!(self.body, "<form method=\"post\" action=\"/{}\">", escaped(path));
        for (name, value) in fields {
            let (name, value) = (escaped(name), escaped(value));
            let _ = write!(self.body, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        }
        let _ = write!(self.body, "<button id=\"go\">{}</button></form>", escaped(button));
        self
    }

    /// Goes on to `url` by itself. Not a redirect: the policy for forms would hold for it and for
    /// every redirect of the provider's.
    pub(super) fn going_to(mut self, url: &str) -> Self {
        let url = escaped(url);
        // In this attribute a URL may stand in quotes, which then end it; so none may be in it.
        let quoted = url.replace("&#39;", "%27");
        let _ =
            write!(self.head, "<meta http-equiv=\"refresh\" content=\"0;url=&#39;{quoted}&#39;\">");
        let _ = write!(self.body, "<p><a href=\"{url}\">Go on</a></p>");
        self
    }

    /// The answer with this document.
    pub(super) fn answer(self) -> PageAnswer {
        let Self { title, head, body } = self;
        PageAnswer {
            status: 200,
            html: format!(
                "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">{head}\
                 <title>{title}</title><style>{STYLE}</style></head>\
                 <body><h1>{title}</h1>{body}</body></html>"
            ),
            location: None,
            cookies: Vec::new(),
            policy: POLICY.clone(),
        }
    }
}

/// What a person is told when a page fails.
pub(super) fn failed(fault: &Fault) -> PageAnswer {
    Document::new("Not signed in").text(fault.public()).answer()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let bad = "\"'><script>alert(1)</script>&amp;";
        let html = Document::new("t")
            .text(bad)
            .facts(&[(bad, bad)])
            .code(bad)
            .form(bad, &[(bad, bad)], bad)
            .going_to(bad)
            .answer()
            .html;
        assert!(!html.contains("<script") && !html.contains("'>") && !html.contains("\"'"));
        assert_eq!(html.matches("&lt;script&gt;").count(), 10);
        assert!(!failed(&Fault::bad_request(bad)).html.contains("<script"));
    }

    #[test]
    fn a_quote_in_a_url_does_not_end_it() {
        let html = Document::new("t").going_to("https://a/?b='c&d=1").answer().html;
        assert!(html.contains("content=\"0;url=&#39;https://a/?b=%27c&amp;d=1&#39;\""), "{html}");
    }

    #[test]
    fn the_policy_allows_the_style_and_no_script() {
        let answer = Document::new("t").answer();
        assert!(answer.policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(answer.policy.contains("form-action 'self'"));
    }
}
