//! Counters and histograms both roles keep, with labels that cannot grow.
//!
//! A label is one of a fixed set. Ids, hostnames and app names never become
//! labels: each new value would be a new series kept for ever.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode,
    },
    metrics::{MetricType, counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::runtime::Handle;

pub use prometheus_client::metrics::counter::Counter as Count;
pub use prometheus_client::metrics::gauge::Gauge;

/// From a file served out of memory to a print file sent over a slow line.
const DURATION_BUCKETS: [f64; 12] = [
    0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];

/// What kind of traffic a request is; in the log and in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Traffic on app-connection hostnames, at the relay.
    Edge,
    /// Traffic a host passes on to its upstream.
    Proxy,
    /// What an app may ask the relay about its app connection.
    AppApi,
    /// App keys, session keys and sign-in a host answers itself.
    Access,
    /// The relay's browser flow that ends in an app connection.
    Portal,
    Page,
    /// Our own pages' and tools' API.
    Api,
    Asset,
    /// A host dialing in.
    Tunnel,
    /// An authority or path nothing of ours answers to.
    Unknown,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Proxy => "proxy",
            Self::AppApi => "app_api",
            Self::Access => "access",
            Self::Portal => "portal",
            Self::Page => "page",
            Self::Api => "api",
            Self::Asset => "asset",
            Self::Tunnel => "tunnel",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EncodeLabelValue for Class {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

/// A status as a label: hundreds below 600, each of our own codes by itself.
///
/// An upstream may answer with any three digits, so the rest share one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusLabel {
    Hundred(u16),
    Relay(u16),
    Other,
    /// The caller was gone before there was a status.
    None,
}

impl From<Option<u16>> for StatusLabel {
    fn from(status: Option<u16>) -> Self {
        match status {
            None => Self::None,
            Some(code @ 100..=599) => Self::Hundred(code / 100),
            Some(code @ 600..=613) => Self::Relay(code),
            Some(_) => Self::Other,
        }
    }
}

impl EncodeLabelValue for StatusLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Hundred(digit) => format!("{digit}xx").encode(encoder),
            Self::Relay(code) => code.to_string().encode(encoder),
            Self::Other => "other".encode(encoder),
            Self::None => "none".encode(encoder),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    class: Class,
    status: StatusLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: Class,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Received,
    Sent,
}

impl EncodeLabelValue for Direction {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
        }
        .encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByteLabels {
    class: Class,
    direction: Direction,
}

/// The request metrics, and the registry a role adds its own to.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<ClassLabel, Histogram>,
    in_flight: Family<ClassLabel, Gauge>,
    bytes: Family<ByteLabels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("latchkey");
        let requests = Family::default();
        let durations = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let in_flight = Family::default();
        let bytes = Family::default();
        // The encoder appends `_total` to counters by itself.
        registry.register(
            "requests",
            "Requests answered or given up",
            requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "From the request's head to the end of the answer's body",
            durations.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests not yet ended",
            in_flight.clone(),
        );
        registry.register("body_bytes", "Bytes of bodies, by direction", bytes.clone());
        let metrics = Self {
            registry: Mutex::new(registry),
            requests,
            durations,
            in_flight,
            bytes,
        };
        // Whatever is forgotten, a connection or a viewer, is a task that stays.
        metrics.reading("tasks", "Tasks that run in this process", || {
            let runtime = Handle::try_current();
            let tasks = runtime.map_or(0, |runtime| runtime.metrics().num_alive_tasks());
            i64::try_from(tasks).unwrap_or(i64::MAX)
        });
        metrics
    }

    /// Adds metrics of one role; their labels obey the rule above.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds one number of a role, which the role sets.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.register(|registry| registry.register(name, help, gauge.clone()));
        gauge
    }

    /// Adds one number of a role, which is read when a scraper asks.
    pub fn reading(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let read = move || vec![("", read())];
        self.read(Reading {
            name,
            help,
            label: None,
            read,
        });
    }

    /// The same of several, told apart by the values of one label.
    pub fn readings(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, i64)> + Send + Sync + 'static,
    ) {
        self.read(Reading {
            name,
            help,
            label: Some(label),
            read,
        });
    }

    fn read(&self, reading: impl Collector) {
        self.register(|registry| registry.register_collector(Box::new(reading)));
    }

    /// The text format scrapers read.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("encoding writes to memory");
        text
    }

    pub(crate) fn began(&self, class: Class) {
        self.in_flight.get_or_create(&ClassLabel { class }).inc();
    }

    pub(crate) fn ended(&self, class: Class, status: Option<u16>, took: Duration) {
        let label = ClassLabel { class };
        self.in_flight.get_or_create(&label).dec();
        self.durations
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels {
                class,
                status: status.into(),
            })
            .inc();
    }

    pub(crate) fn counted(&self, class: Class, received: u64, sent: u64) {
        for (direction, count) in [(Direction::Received, received), (Direction::Sent, sent)] {
            self.bytes
                .get_or_create(&ByteLabels { class, direction })
                .inc_by(count);
        }
    }
}

/// Bytes of answers that went through the tunnel in fewer; each role counts at its end of it.
#[derive(Debug, Clone, Default)]
pub struct CodedBytes {
    plain: Count,
    coded: Count,
}

impl CodedBytes {
    pub fn register(metrics: &Metrics) -> Self {
        let bytes = Self::default();
        metrics.register(|registry| {
            registry.register(
                "tunnel_plain_bytes",
                "Bytes of answers that were coded for the tunnel, as callers get them",
                bytes.plain.clone(),
            );
            registry.register(
                "tunnel_coded_bytes",
                "The same, as they went through the tunnel",
                bytes.coded.clone(),
            );
        });
        bytes
    }

    /// Counts one answer.
    pub fn add(&self, plain: u64, coded: u64) {
        self.plain.inc_by(plain);
        self.coded.inc_by(coded);
    }
}

/// Numbers that somebody else keeps.
struct Reading<F> {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    read: F,
}

impl<F> fmt::Debug for Reading<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<F> Collector for Reading<F>
where
    F: Fn() -> Vec<(&'static str, i64)> + Send + Sync + 'static,
{
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (value, number) in (self.read)() {
            match self.label {
                Some(label) => metric
                    .encode_family(&[(label, value)])?
                    .encode_gauge(&number)?,
                None => metric.encode_gauge(&number)?,
            }
        }
        Ok(())
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_stay_are_counted() {
        let metrics = Metrics::new();
        assert!(metrics.encode().contains("\nlatchkey_tasks 0\n"));
        let tracker = tokio_util::task::TaskTracker::new();
        let stays = tracker.spawn(std::future::pending::<()>());
        assert!(metrics.encode().contains("\nlatchkey_tasks 1\n"));
        stays.abort();
        assert!(stays.await.is_err());
        assert!(metrics.encode().contains("\nlatchkey_tasks 0\n"));
    }

    #[test]
    fn readings_are_read_when_somebody_asks() {
        let metrics = Metrics::new();
        let read = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let reading = std::sync::Arc::clone(&read);
        metrics.reading("things", "Things", move || {
            reading.load(std::sync::atomic::Ordering::Relaxed)
        });
        metrics.readings("parts", "Parts", "of", || vec![("one", 1), ("two", 2)]);
        read.store(7, std::sync::atomic::Ordering::Relaxed);
        let text = metrics.encode();
        assert!(text.contains("\nlatchkey_things 7\n"), "{text}");
        assert!(text.contains("\nlatchkey_parts{of=\"two\"} 2\n"), "{text}");
    }

    #[test]
    fn labels_do_not_grow_with_what_upstreams_invent() {
        let metrics = Metrics::new();
        for status in 100..=999 {
            metrics.began(Class::Edge);
            metrics.ended(Class::Edge, Some(status), Duration::from_millis(3));
        }
        metrics.counted(Class::Edge, 10, 20);
        let text = metrics.encode();
        let series = text
            .lines()
            .filter(|l| l.starts_with("latchkey_requests_total{"))
            .count();
        assert_eq!(series, 5 + 14 + 1);
        assert!(text.contains(r#"latchkey_requests_total{class="edge",status="2xx"} 100"#));
        assert!(text.contains(r#"latchkey_requests_total{class="edge",status="601"} 1"#));
        assert!(text.contains(r#"latchkey_requests_in_flight{class="edge"} 0"#));
        assert!(text.contains(r#"latchkey_body_bytes_total{class="edge",direction="sent"} 20"#));
    }
}
