//! Traces of the running system, sent to an OpenTelemetry collector over OTLP where the environment names one.
//!
//! The variables are those of the [specification](https://opentelemetry.io/docs/specs/otel/protocol/exporter/):
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` turn traces on; headers, timeout, certificate, sampler,
//! service name and resource attributes have theirs. The protocol is `http/protobuf`.

use std::{env, io::Read, mem, path::Path, time::Duration};

use async_trait::async_trait;
use http::{Request, Response};
use indexer::certificates;
use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use reqwest::{blocking::Client, redirect::Policy};
use tracing_subscriber::{Layer, filter::filter_fn};

use crate::logs::AnyLayer;

/// What turns traces on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// A PEM file of those whose collectors are trusted, beside the system's.
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

/// How long the end of the program waits for the last traces to be sent.
const FAREWELL: Duration = Duration::from_secs(3);

/// A collector answers with a few bytes; what is longer is none.
const MAX_ANSWER: u64 = 1 << 20;

/// Sends what is left when it is dropped.
pub(crate) struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        let _ = self.0.shutdown_with_timeout(FAREWELL); // it has logged what it could not send
    }
}

/// The layer that makes traces of our spans; nothing where no collector is named. An error says why none are sent.
pub(crate) fn start() -> Result<Option<(Traces, AnyLayer)>, String> {
    let is_wanted = ENDPOINTS.iter().any(|name| told(name).is_some())
        && told("OTEL_SDK_DISABLED").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
        && told("OTEL_TRACES_EXPORTER").is_none_or(|value| value != "none");
    if !is_wanted {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_http().with_http_client(Sender::new()?);
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if told("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("studio-search");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("studio-search"))
        .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("indexer")));
    Ok(Some((Traces(provider), layer.boxed())))
}

/// A variable of the environment; empty counts as unset.
fn told(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Sends traces on the thread that collects them.
#[derive(Debug)]
struct Sender(Client);

impl Sender {
    fn new() -> Result<Self, String> {
        // No redirects: a collector that moves must not hand the headers to another host.
        let mut builder = Client::builder().redirect(Policy::none());
        if let Some(path) = CERTIFICATES.iter().find_map(|name| told(name)) {
            let roots = certificates::read(Path::new(&path)).map_err(|error| format!("{path}: {error}"))?;
            builder = roots.into_iter().fold(builder, reqwest::blocking::ClientBuilder::add_root_certificate);
        }
        builder.build().map(Self).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut response = self.0.execute(request.try_into()?)?;
        let (status, headers) = (response.status(), mem::take(response.headers_mut()));
        let mut body = Vec::new();
        response.take(MAX_ANSWER).read_to_end(&mut body)?;
        let mut answer = Response::new(Bytes::from(body));
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}
