//! The members, each in its own file.

mod aws_s3;
mod azure_analytics;
mod datadog;
mod elasticsearch;
mod google_chronicle;
mod logstash;
mod logz_io;
mod otlp;
mod splunk;
mod stdout;
mod sumologic;
mod syslog;
mod webhook;

use crate::Sink;

static SINKS: &[&dyn Sink] = &[
    &aws_s3::AwsS3,
    &azure_analytics::AzureAnalytics,
    &datadog::Datadog,
    &elasticsearch::Elasticsearch,
    &google_chronicle::GoogleChronicle,
    &logstash::Logstash,
    &logz_io::LogzIo,
    &otlp::Otlp,
    &splunk::Splunk,
    &stdout::Stdout,
    &sumologic::Sumologic,
    &syslog::Syslog,
    &webhook::Webhook,
];

/// Every member.
pub fn all() -> &'static [&'static dyn Sink] {
    SINKS
}

/// The member with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Sink> {
    SINKS.iter().copied().find(|sink| sink.kind().name == name)
}
