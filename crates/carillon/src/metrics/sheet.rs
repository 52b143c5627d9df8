//! A page of figures, taken at one moment and written in the text form of OpenMetrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// What all names begin with.
const PREFIX: &str = "carillon";

/// Names and values that tell the samples of one figure apart.
pub(super) type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows, until its node or its owner starts anew.
    Counter,
}

impl Kind {
    fn write(self, value: f64, sample: MetricEncoder) -> fmt::Result {
        match self {
            Kind::Gauge => ConstGauge::new(value).encode(sample),
            Kind::Counter => ConstCounter::new(value).encode(sample),
        }
    }
}

#[derive(Debug)]
struct Figure {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: Kind,
    samples: Vec<(Labels, f64)>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    figures: Vec<Figure>,
}

impl Sheet {
    /// A figure that goes up and down. `help` ends without a full stop, which is added.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.gauges(name, help, vec![(Labels::new(), value)]);
    }

    /// One with labels.
    pub(super) fn gauges(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, f64)>) {
        self.figures.push(Figure { name, help, unit: None, kind: Kind::Gauge, samples });
    }

    /// A duration that goes up and down, in seconds.
    pub(super) fn seconds(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, f64)>) {
        self.figures.push(Figure { name, help, unit: Some(Unit::Seconds), kind: Kind::Gauge, samples });
    }

    /// A figure that only grows; its name gets `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.counters(name, help, vec![(Labels::new(), value as f64)]);
    }

    /// One with labels.
    pub(super) fn counters(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, f64)>) {
        self.figures.push(Figure { name, help, unit: None, kind: Kind::Counter, samples });
    }

    /// Seconds that only grow.
    pub(super) fn seconds_spent(&mut self, name: &'static str, help: &'static str, value: f64) {
        let samples = vec![(Labels::new(), value)];
        self.figures.push(Figure { name, help, unit: Some(Unit::Seconds), kind: Kind::Counter, samples });
    }

    /// The whole page.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for Figure { name, help, unit, kind, samples } in &self.figures {
            let metric_type = match kind {
                Kind::Gauge => MetricType::Gauge,
                Kind::Counter => MetricType::Counter,
            };
            let help = format!("{help}.");
            let mut figure = encoder.encode_descriptor(name, &help, unit.as_ref(), metric_type)?;
            match &samples[..] {
                // Alone and without labels it also does without the brackets.
                [(labels, value)] if labels.is_empty() => kind.write(*value, figure)?,
                samples => {
                    for (labels, value) in samples {
                        kind.write(*value, figure.encode_family(labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_openmetrics() {
        let mut sheet = Sheet::default();
        sheet.gauge("ready", "Whether it is", 1.0);
        sheet.counters("calls_refused", "Calls refused", vec![(vec![("why", "a \"b\"\n".to_owned())], 3.0)]);
        sheet.seconds("longest", "The longest", vec![(vec![], 1.5)]);
        let wanted = "# HELP carillon_ready Whether it is.\n# TYPE carillon_ready gauge\ncarillon_ready 1.0\n\
                      # HELP carillon_calls_refused Calls refused.\n# TYPE carillon_calls_refused counter\n\
                      carillon_calls_refused_total{why=\"a \\\"b\\\"\\n\"} 3.0\n\
                      # HELP carillon_longest_seconds The longest.\n# TYPE carillon_longest_seconds gauge\n\
                      # UNIT carillon_longest_seconds seconds\ncarillon_longest_seconds 1.5\n# EOF\n";
        assert_eq!(sheet.text(), wanted);
    }
}
