//! Traces reach a collector over OTLP, and the gateway is told which one a request is part of.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use harness::{
    eventually,
    folder::Folder,
    http::{self, Answer},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;

/// A header that the collector wants.
const KEY: &str = "collector-key-4471";

#[test]
fn a_collector_and_the_gateway_hear_of_the_same_trace() {
    let exports: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
    let told = Arc::clone(&exports);
    let collector = http::serve(move |request| {
        let is_ours = request.path == "/v1/traces" && request.header("x-key") == Some(KEY);
        let export = ExportTraceServiceRequest::decode(&*request.body).expect("protobuf");
        told.lock().expect("nobody panicked").push(export);
        Some(Answer::new(if is_ours { 200 } else { 404 }, "application/x-protobuf", ""))
    });
    let (mut folder, graph) = Folder::with_graph();
    let parents: Arc<Mutex<Vec<String>>> = Arc::default();
    let (heard, gateway) =
        (Arc::clone(&parents), graph.gateway.strip_suffix("/graphql").expect("its path").to_owned());
    let witness = http::serve(move |request| {
        heard.lock().expect("nobody panicked").extend(request.header("traceparent").map(str::to_owned));
        request.pass_on(&gateway).ok()
    });
    folder.connect(&format!("http://{witness}/graphql"));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1", "--id", "m2"]);
    folder.succeed(&["run", "index.yaml", "--once"]);
    assert_eq!(*parents.lock().expect("nobody panicked"), Vec::<String>::new(), "no traces, no header");

    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-key={KEY}")),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
    ] {
        folder.set(name, &value);
    }
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m3", "--id", "m4"]);
    folder.succeed(&["run", "index.yaml", "--once"]);
    let exports = exports.lock().expect("nobody panicked");
    let resource: BTreeSet<(String, String)> = exports
        .iter()
        .flat_map(|export| &export.resource_spans)
        .filter_map(|spans| spans.resource.as_ref())
        .flat_map(|resource| &resource.attributes)
        .filter_map(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(value) => Some((attribute.key.clone(), value.clone())),
            _ => None,
        })
        .collect();
    for (key, value) in [("service.name", "studio-search"), ("deployment.environment.name", "test")] {
        assert!(resource.contains(&(key.to_owned(), value.to_owned())), "{key}={value}: {resource:?}");
    }
    let spans: Vec<&Span> = exports
        .iter()
        .flat_map(|export| &export.resource_spans)
        .flat_map(|spans| &spans.scope_spans)
        .flat_map(|spans| &spans.spans)
        .collect();
    let rebuild = spans.iter().find(|span| span.name == "rebuild").expect("a batch was rebuilt");
    let children: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.parent_span_id == rebuild.span_id)
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(children, ["graphql", "write"].into());
    let request = spans.iter().find(|span| span.name == "graphql" && span.parent_span_id == rebuild.span_id);
    let request = request.expect("it was just seen");
    let parent = format!("00-{}-{}-01", hex(&request.trace_id), hex(&request.span_id));
    let parents = parents.lock().expect("nobody panicked");
    assert!(parents.contains(&parent), "{parent} is none of {parents:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn a_collector_that_is_away_costs_nothing_but_a_line() {
    let (mut folder, _graph) = Folder::with_graph();
    folder.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1"]);
    folder.settles_within(Duration::from_mins(1));
    assert_eq!(folder.exported().keys().collect::<Vec<_>>(), ["m1"]);
    eventually(Duration::from_mins(1), || match folder.log().contains("BatchSpanProcessor") {
        true => Ok(()),
        false => Err(folder.log()),
    });
    assert_eq!(run.terminate(), Some(0));
}
