//! Metrics as text, in the format that Prometheus reads (version 0.0.4).

use std::fmt::Write as _;

/// The content type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A text with metrics.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// One metric that is being written.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric; each name once. `help` is one line.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        Family { text: &mut self.0, name }
    }

    /// A metric without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One value with its labels. No label may come from a client: there would be no end of them.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.named("", labels, value);
    }

    /// A histogram: counts up to each bound in seconds, not summed up yet, with those beyond all
    /// bounds last; and the sum of all values.
    pub fn histogram(&mut self, bounds: &[f64], counts: &[u64], sum: f64) {
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.named("_bucket", &[("le", &bound)], float(total));
        }
        self.named("_sum", &[], sum);
        self.named("_count", &[], float(total));
    }

    fn named(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A count as metrics have it; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has nothing but floats")]
pub fn float(count: u64) -> f64 {
    count as f64
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_as_they_are_read() {
        let mut text = Exposition::default();
        text.single("a_total", Kind::Counter, "How many.", 3.0);
        let mut family = text.family("b", Kind::Gauge, "Which.");
        family.sample(&[("x", "a\"b\\c\nd"), ("y", "2")], 0.5);
        text.family("c", Kind::Histogram, "How long.").histogram(&[0.1, 1.0], &[2, 0, 1], 7.25);
        let wanted = "# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n\
            # HELP b Which.\n# TYPE b gauge\nb{x=\"a\\\"b\\\\c\\nd\",y=\"2\"} 0.5\n\
            # HELP c How long.\n# TYPE c histogram\nc_bucket{le=\"0.1\"} 2\nc_bucket{le=\"1\"} 2\n\
            c_bucket{le=\"+Inf\"} 3\nc_sum 7.25\nc_count 3\n";
        assert_eq!(text.finish(), wanted);
    }
}
