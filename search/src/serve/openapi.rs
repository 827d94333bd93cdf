//! The description of everything that `serve` answers, in `OpenAPI` 3.1, written from the plans of its indexes.

use plan::{Field, FieldKind, FieldTree, IndexPlan, field::MappingKind};
use serde_json::{Map, Value, json};

use crate::{
    MAX_FACETS, MAX_FIRST, MAX_SORTS, MAX_SUGGESTIONS, MAX_TEXT_BYTES, request::comparable_field,
    suggested_fields,
};

const ABOUT: &str = "Searches of the indexes of a federated GraphQL graph. Every mistake has a code, and `studio-search explain CODE` \
    tells more about it. Filters are written in the filter language: `(type == 'FEATURE' OR type IN ['SHORT']) AND releaseDate >= '2024-01-01'`.";

/// The whole description.
pub(super) fn description(plans: &[&IndexPlan]) -> Value {
    let mut paths = Map::new();
    let mut schemas = shared_schemas();
    let ok = |meaning: &str, schema: &Value| answer(meaning, "application/json", schema);
    paths.insert(
        "/indexes".into(),
        json!({"get": {
            "operationId": "indexes", "summary": "The indexes that are served",
            "responses": responses(&ok("The indexes.", &reference("Indexes"))),
        }}),
    );
    for plan in plans {
        schemas.insert(format!("{}.document", plan.name), document_schema(plan));
        schemas.insert(format!("{}.page", plan.name), page_schema(plan));
        for (path, operations) in index_paths(plan) {
            paths.insert(format!("/indexes/{}/{path}", plan.name), operations);
        }
    }
    paths.insert("/graphql".into(), graphql());
    for (path, summary) in [
        ("/livez", "Whether the process works"),
        ("/readyz", "Whether every store answers"),
        ("/metrics", "Figures for Prometheus"),
    ] {
        paths.insert(
            path.into(),
            json!({"get": {
                "operationId": &path[1..], "summary": summary,
                "responses": {"200": answer("Yes.", "text/plain", &json!({"type": "string"}))},
            }}),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "studio-search", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "paths": paths,
        // A port on loopback wants no token.
        "security": [{"token": []}, {}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of `serve.tokens`."}},
        },
    })
}

fn index_paths(plan: &IndexPlan) -> Vec<(&'static str, Value)> {
    let name = &plan.name;
    let page = answer("A page of hits.", "application/json", &reference(&format!("{name}.page")));
    let count = answer(
        "The number.",
        "application/json",
        &object(&[("total", integer("How many documents match."))]),
    );
    let document =
        object(&[("id", json!({"type": "string"})), ("document", reference(&format!("{name}.document")))]);
    let document = answer("The document.", "application/json", &document);
    let suggestions = answer("Values, the best first.", "application/json", &reference("Suggestions"));
    let mut paths = vec![
        ("search", asked("search", name, "Searches the index", &search_parameters(plan), &page)),
        ("count", asked("count", name, "Counts the documents that match", &count_parameters(), &count)),
        (
            "documents/{id}",
            json!({"get": {
                "operationId": format!("document-{name}"), "summary": "One document as the graph answered it", "tags": [name],
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "responses": responses(&document),
            }}),
        ),
    ];
    if !suggested_fields(plan).is_empty() {
        let parameters = suggest_parameters(plan);
        paths.push((
            "suggest",
            asked("suggest", name, "Values that hold what is typed", &parameters, &suggestions),
        ));
    }
    paths
}

/// A question that is asked by GET with parameters or by POST with a body.
fn asked(what: &str, index: &str, summary: &str, parameters: &[(&str, Value)], answered: &Value) -> Value {
    let in_address: Vec<Value> = parameters
        .iter()
        .map(|(name, schema)| json!({"name": name, "in": "query", "schema": schema}))
        .collect();
    let mut body = object(parameters);
    body["required"] = json!([]);
    body["additionalProperties"] = json!(false);
    json!({
        "get": {
            "operationId": format!("{what}-{index}"), "summary": summary, "tags": [index],
            "parameters": in_address, "responses": responses(answered),
        },
        "post": {
            "operationId": format!("{what}-{index}-by-body"), "summary": summary, "tags": [index],
            "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
            "responses": responses(answered),
        },
    })
}

fn search_parameters(plan: &IndexPlan) -> Vec<(&'static str, Value)> {
    let comparable: Vec<&str> = comparable(&plan.fields).map(|field| field.path.as_str()).collect();
    let sorts: Vec<String> = comparable
        .iter()
        .flat_map(|path| ["", ":asc", ":desc"].map(|order| format!("{path}{order}")))
        .collect();
    let facets = match plan.search.facets.is_empty() {
        true => "Fields whose values are counted.".to_owned(),
        false => format!("Fields whose values are counted; left out: {}.", plan.search.facets.join(", ")),
    };
    let mut parameters = count_parameters();
    parameters.push((
        "facet_counts",
        json!({
            "type": "string", "enum": ["matching", "alternatives"], "default": "matching",
            "description": "Whether values are counted over the documents that match, or over those that match without what the \
                            filter says of the facet's own field.",
        }),
    ));
    parameters.extend([
        ("facets", list(&facets, &comparable, MAX_FACETS)),
        (
            "sort",
            list("Fields to sort by; left out: the best first, or by id without text.", &sorts, MAX_SORTS),
        ),
        ("first", number("Hits at most.", MAX_FIRST)),
        ("after", text("Where the page begins: `next` of the page before.")),
    ]);
    parameters
}

fn count_parameters() -> Vec<(&'static str, Value)> {
    let mut words = text("Words that a document must hold, all of them, the last one perhaps unfinished.");
    words["maxLength"] = MAX_TEXT_BYTES.into();
    let mut filter = text("A condition in the filter language.");
    filter["maxLength"] = plan::filter::MAX_TEXT_BYTES.into();
    vec![("text", words), ("filter", filter)]
}

fn suggest_parameters(plan: &IndexPlan) -> Vec<(&'static str, Value)> {
    let declared = suggested_fields(plan);
    vec![
        ("prefix", text("What is typed: words, the last one perhaps unfinished.")),
        ("filter", text("A condition on the documents that values are taken from.")),
        ("paths", list("Some of the fields; left out: all of them.", &declared, declared.len())),
        ("first", number("Suggestions at most.", MAX_SUGGESTIONS)),
    ]
}

/// The fields that can be sorted and counted.
fn comparable(fields: &FieldTree) -> impl Iterator<Item = &Field> {
    fields.walk().filter(|field| comparable_field(fields, &field.path).is_ok())
}

fn graphql() -> Value {
    let request = json!({
        "type": "object", "required": ["query"],
        "properties": {"query": {"type": "string"}, "operationName": {"type": ["string", "null"]}, "variables": {"type": ["object", "null"]}},
    });
    json!({"post": {
        "operationId": "graphql", "summary": "The federation subgraph; `{ _service { sdl } }` tells its schema",
        "requestBody": {"required": true, "content": {"application/json": {"schema": request}}},
        "responses": responses(&answer("Data and errors, as GraphQL has them.", "application/json", &json!({"type": "object"}))),
    }})
}

fn responses(ok: &Value) -> Value {
    let refused = answer(
        "The question can't be answered; the status says whose fault it is.",
        "application/json",
        &reference("Refusal"),
    );
    json!({"200": ok, "4XX": refused, "5XX": refused})
}

fn answer(meaning: &str, media_type: &str, schema: &Value) -> Value {
    json!({"description": meaning, "content": {media_type: {"schema": schema}}})
}

fn shared_schemas() -> Map<String, Value> {
    let string = || json!({"type": "string"});
    let position = || json!({"type": ["integer", "null"], "minimum": 1});
    let finding = object(&[
        ("severity", json!({"enum": ["error", "warning"]})),
        ("code", string()),
        ("message", string()),
        ("line", position()),
        ("column", position()),
        ("end_line", position()),
        ("end_column", position()),
        (
            "excerpt",
            json!({"type": ["string", "null"], "description": "The line, and below it carets under what is meant."}),
        ),
        ("help", json!({"type": ["string", "null"]})),
    ]);
    let refusal = object(&[(
        "error",
        object(&[
            ("code", json!({"type": "string", "pattern": "^SS[0-9]{3}$"})),
            ("message", string()),
            ("help", json!({"type": ["string", "null"], "description": "How to mend it."})),
            ("diagnostics", json!({"type": "array", "items": finding})),
        ]),
    )]);
    let suggestion =
        object(&[("path", string()), ("value", string()), ("count", integer("How many documents hold it."))]);
    let index = object(&[
        ("name", string()),
        ("description", json!({"type": ["string", "null"]})),
        ("entity", string()),
        ("version", integer("The index version that is searched.")),
        ("facets", json!({"type": "array", "items": string()})),
        ("suggest", json!({"type": "array", "items": string()})),
    ]);
    let all = |items: &Value| json!({"type": "array", "items": items});
    [
        ("Refusal", refusal),
        ("Suggestions", object(&[("suggestions", all(&suggestion))])),
        ("Indexes", object(&[("indexes", all(&index))])),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
    .into_iter()
    .collect()
}

fn page_schema(plan: &IndexPlan) -> Value {
    let value = object(&[
        ("value", json!({"type": ["string", "number", "boolean"]})),
        ("count", integer("How many documents hold it.")),
    ]);
    let hit = object(&[
        ("id", json!({"type": "string"})),
        ("score", json!({"type": ["number", "null"], "description": "Comparable within one answer only."})),
        ("document", reference(&format!("{}.document", plan.name))),
        (
            "highlights",
            json!({
                "type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}},
                "description": "By field, pieces of text with the words found between <em> and </em>. Nothing in them is escaped.",
            }),
        ),
    ]);
    object(&[
        ("total", integer("How many documents match, on all pages together.")),
        ("hits", json!({"type": "array", "items": hit})),
        ("facets", json!({"type": "object", "additionalProperties": {"type": "array", "items": value}})),
        (
            "next",
            json!({"type": ["string", "null"], "description": "What `after` goes on from; null on the last page."}),
        ),
    ])
}

/// A document's fields as the graph answers them. What it couldn't answer may be missing, so nothing is required.
fn document_schema(plan: &IndexPlan) -> Value {
    fields_schema(&plan.fields.0)
}

fn fields_schema(fields: &[Field]) -> Value {
    let written = fields.iter().filter(|field| field.kind != FieldKind::Virtual);
    let properties: Map<String, Value> =
        written.map(|field| (field.name.clone(), field_schema(field))).collect();
    json!({"type": "object", "properties": properties})
}

fn field_schema(field: &Field) -> Value {
    let mut schema = match (field.kind, field.mapping.kind) {
        (FieldKind::Object, _) => fields_schema(&field.children),
        // How a scalar of the graph is written is the graph's to say.
        _ => match (field.type_name.as_str(), field.mapping.kind) {
            ("String" | "ID", _) => json!({"type": "string"}),
            ("Int", _) => json!({"type": "integer"}),
            ("Float", _) => json!({"type": "number"}),
            (_, MappingKind::Boolean) => json!({"type": "boolean"}),
            _ if !field.enum_values.is_empty() => json!({"type": "string"}),
            _ => json!({}),
        },
    };
    for _ in 0..field.list_depth {
        schema = json!({"type": "array", "items": nullable(schema)});
    }
    let mut schema = nullable(schema);
    if let (Some(doc), Some(schema)) = (&field.doc, schema.as_object_mut()) {
        schema.insert("description".into(), doc.as_str().into());
    }
    schema
}

fn nullable(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").and_then(Value::as_str).map(str::to_owned) {
        schema["type"] = json!([kind, "null"]);
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "required": names, "properties": properties})
}

fn text(meaning: &str) -> Value {
    json!({"type": "string", "description": meaning})
}

fn integer(meaning: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": meaning})
}

/// Ten, where nothing is said.
fn number(meaning: &str, most: usize) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": most, "default": 10, "description": meaning})
}

fn list(meaning: &str, values: &[impl AsRef<str>], most: usize) -> Value {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    let items =
        if values.is_empty() { json!({"type": "string"}) } else { json!({"type": "string", "enum": values}) };
    json!({"type": "array", "items": items, "maxItems": most, "description": meaning})
}
