//! A request that is built once; only what differs from call to call is written over.

use std::ops::Range;

/// Stands for what is filled in. It cannot be in a path, a token or JSON.
const BLANK: char = '\u{1}';

/// Room for a text of `length` bytes.
pub(crate) fn blank(length: usize) -> String {
    BLANK.to_string().repeat(length)
}

/// The bytes of a request, with the places that are filled in.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
    body_bytes: usize,
}

impl Template {
    /// A `POST` of the JSON text `body` to `path`; each run of [`blank`] is a place.
    pub(crate) fn post(path: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nUser-Agent: keysherd-bench\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let places = places(&text);
        Self { bytes: text.into_bytes(), places, body_bytes: length }
    }

    /// Writes `text` over place `number`; it must have the place's length.
    pub(crate) fn fill(&mut self, number: usize, text: &str) {
        self.bytes[self.places[number].clone()].copy_from_slice(text.as_bytes());
    }

    /// The request.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of its body.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

fn places(text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(BLANK) {
        match places.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => places.push(at..at + 1),
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_filled_again() {
        let (two, three) = (blank(2), blank(3));
        let mut template = Template::post("/x", &format!(r#"{{"a":"{two}","b":"{three}"}}"#));
        for (a, b) in [("no", "yes"), ("ok", "one")] {
            template.fill(0, a);
            template.fill(1, b);
            let text = String::from_utf8(template.bytes().to_vec()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, format!(r#"{{"a":"{a}","b":"{b}"}}"#));
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
            assert_eq!(template.body_bytes(), body.len());
        }
    }
}
