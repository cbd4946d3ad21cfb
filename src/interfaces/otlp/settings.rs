//! The variables that OpenTelemetry has for every program
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables>), as far as they concern us.

use std::{fmt, time::Duration};

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::error::{Error, Result};

/// Where telemetry goes, and how often.
#[derive(Clone)]
pub struct OtlpSettings {
    /// Where spans go.
    pub traces: Option<Url>,
    /// Where figures go.
    pub metrics: Option<Url>,
    /// Headers of every request; they may hold keys.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// Attributes of this process.
    pub resource: Vec<(String, String)>,
    /// How long a span may wait for others.
    pub span_delay: Duration,
    /// How often figures are sent.
    pub metric_interval: Duration,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor addresses, which may hold a key.
        f.debug_struct("OtlpSettings").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl OtlpSettings {
    /// What the environment of this process says; `None` where it names no collector.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::read(&|name| std::env::var(name).ok())
    }

    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        // Set to nothing is the same as not set.
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let base = set("OTEL_EXPORTER_OTLP_ENDPOINT");
        let signal = |own: &'static str, exporter: &str, path: &str| -> Result<Option<Url>> {
            if set(exporter).is_some_and(|exporter| exporter == "none") {
                return Ok(None);
            }
            match (set(own), &base) {
                (Some(url), _) => address(own, &url).map(Some),
                (None, Some(base)) => {
                    let url = format!("{}{path}", base.trim_end_matches('/'));
                    address("OTEL_EXPORTER_OTLP_ENDPOINT", &url).map(Some)
                }
                (None, None) => Ok(None),
            }
        };
        let traces = signal("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "/v1/traces")?;
        let metrics = signal("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER", "/v1/metrics")?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        if let Some(other) = set("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/json") {
            tracing::warn!(asked_for = other, "telemetry is sent as http/json: the collector must take that");
        }
        let mut resource = pairs("OTEL_RESOURCE_ATTRIBUTES", set("OTEL_RESOURCE_ATTRIBUTES"))?;
        resource.retain(|(name, _)| name != "service.name" || set("OTEL_SERVICE_NAME").is_none());
        if resource.iter().all(|(name, _)| name != "service.name") {
            let name = set("OTEL_SERVICE_NAME").unwrap_or_else(|| "haldir".to_owned());
            resource.push(("service.name".to_owned(), name));
        }
        let millis = |name: &'static str, default: u64| match set(name).map(|value| value.parse::<u64>()) {
            None => Ok(Duration::from_millis(default)),
            Some(Ok(millis @ 1..=86_400_000)) => Ok(Duration::from_millis(millis)),
            Some(_) => Err(Error::invalid(name, format!("{name}: must be from 1 to 86400000 milliseconds"))),
        };
        Ok(Some(Self {
            traces,
            metrics,
            headers: headers(pairs(HEADERS, set(HEADERS))?)?,
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
            resource,
            span_delay: millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
            metric_interval: millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
        }))
    }
}

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

fn address(name: &'static str, text: &str) -> Result<Url> {
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::invalid(name, format!("{name}: must be an http or https address")))
}

/// `name=value,name=value`, with values percent-encoded where they must be (W3C Baggage). An error repeats no value.
fn pairs(name: &'static str, text: Option<String>) -> Result<Vec<(String, String)>> {
    let bad = || Error::invalid(name, format!("{name}: must be name=value pairs, separated by commas"));
    let text = text.unwrap_or_default();
    let decode = |value: &str| percent_decode_str(value.trim()).decode_utf8().map(String::from).map_err(|_| bad());
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(bad)?;
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

fn headers(pairs: Vec<(String, String)>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name.parse().ok()?, value))
    };
    let bad = || Error::invalid(HEADERS, format!("{HEADERS}: must be headers of HTTP"));
    pairs.into_iter().map(|pair| header(pair).ok_or_else(bad)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>> {
        OtlpSettings::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn it_is_off_unless_a_collector_is_named() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x")],
            &[base, ("OTEL_SDK_DISABLED", "true")],
            &[base, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")],
        ] {
            assert!(read(variables).unwrap().is_none(), "{variables:?}");
        }
    }

    #[test]
    fn the_standard_variables_mean_what_they_mean_elsewhere() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/otlp/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://figures/here"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x-team=a=b"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=other"),
            ("OTEL_SERVICE_NAME", "guard"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.traces.as_ref().unwrap().as_str(), "http://collector:4318/otlp/v1/traces");
        assert_eq!(settings.metrics.as_ref().unwrap().as_str(), "https://figures/here");
        assert_eq!(settings.headers[0].1, "Bearer s3cret");
        assert_eq!(settings.headers[1].1, "a=b");
        let said = |name: &str| {
            let named = settings.resource.iter().filter(|(known, _)| known == name);
            named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(said("service.name"), ["guard"]);
        assert_eq!(said("deployment.environment"), ["test"]);
        assert_eq!((settings.span_delay.as_millis(), settings.timeout.as_secs()), (50, 10));
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name_without_its_value() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "s3cret:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "s3cret"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ] {
            let error = read(&[(name, value), base]).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(name));
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        }
    }
}
