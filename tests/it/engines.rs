//! The search servers that templates are tried on, and an index of one configuration on each.

use std::fmt::Write;

use codegen::{Engine, index_templates};
use harness::servers::{Rest, elasticsearch, opensearch, opensearch_2};
use serde_json::{Value, json};

use crate::compiled::Made;

/// Every search server with the words that its templates are written in.
pub(crate) fn engines() -> [(&'static Rest, Engine); 3] {
    [
        (elasticsearch(), Engine::Elasticsearch),
        (opensearch(), Engine::OpenSearch),
        (opensearch_2(), Engine::OpenSearch),
    ]
}

/// Puts both templates, as `provision` would; the server must accept them.
pub(crate) fn put_templates(server: &Rest, engine: Engine, made: &Made) -> Value {
    let templates = index_templates(&made.config, &made.compiled.plan, engine);
    for (api, template) in
        [("_component_template", "component_template"), ("_index_template", "index_template")]
    {
        let template = &templates[template];
        let name = template["name"].as_str().expect("a name");
        server.succeed("PUT", &format!("/{api}/{name}"), &template["body"]);
    }
    templates
}

/// A new index that gets what the templates say, and nothing else.
pub(crate) fn create_index(server: &Rest, name: &str) {
    server.call("DELETE", &format!("/{name}"), &Value::Null);
    server.succeed("PUT", &format!("/{name}"), &Value::Null);
}

/// Indexes documents by their ids, with `__search` as the writer splices it in; each must be accepted.
pub(crate) fn index(server: &Rest, name: &str, documents: &[(String, Value)]) {
    // Some 2 MB a request.
    for chunk in documents.chunks(1_000) {
        let mut lines = String::new();
        for (id, document) in chunk {
            let mut document = document.clone();
            document["__search"] = json!({"fetched_at": "2024-05-06T10:11:12.345Z", "missing": [], "version": 7, "deleted": false});
            let action =
                json!({"index": {"_index": name, "_id": id, "version": 7, "version_type": "external"}});
            let _ = writeln!(lines, "{action}\n{document}");
        }
        let answer = server.lines("/_bulk?refresh=true", &lines);
        let items = answer["items"].as_array().expect("items");
        let refused = items.iter().find(|item| item["index"]["error"].is_object());
        assert!(refused.is_none(), "{} refuses {:#}", server.url, refused.unwrap_or(&Value::Null));
        assert_eq!(items.len(), chunk.len());
    }
}

/// The ids that a query finds, sorted.
pub(crate) fn found(server: &Rest, name: &str, query: &Value) -> Vec<String> {
    let mut ids = in_order(server, name, &json!({"query": query, "size": 100}));
    ids.sort();
    ids
}

/// The ids that a search finds, in its order.
pub(crate) fn in_order(server: &Rest, name: &str, search: &Value) -> Vec<String> {
    let answer = server.succeed("POST", &format!("/{name}/_search"), search);
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit["_id"].as_str().expect("an id").to_owned()).collect()
}
