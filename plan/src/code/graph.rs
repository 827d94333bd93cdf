//! 2xx: the graph's schema and the query template.

super::codes! {
    SS201 "the schema can't be read"
        "The schema file is neither a GraphQL schema definition (SDL), nor a supergraph SDL, nor the JSON answer of an \
         introspection query. The caret stands where the reader gave up.";
}
