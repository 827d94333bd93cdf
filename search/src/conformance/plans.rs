//! Plans for tests: everything that a search doesn't read is left empty.

use std::collections::BTreeMap;

use plan::{
    Field, FieldKind, FieldTree, IdKind, IndexPlan, Mapping,
    field::MappingKind,
    index_plan::{
        BackfillPlan, CoverageLine, CoveredBy, ErrorPolicy, FetchMode, FetchPlan, FreshnessPolicy,
        GraphPolicy, KeyPlan, NotFoundPolicy, PLAN_FORMAT, PartialPolicy, SearchPlan, StoreKind,
    },
};

/// A leaf; text keeps no whole value.
pub fn leaf(name: &str, kind: MappingKind) -> Field {
    Field {
        name: name.to_owned(),
        path: name.to_owned(),
        kind: FieldKind::Leaf,
        type_name: "String".to_owned(),
        graphql_type: "String".to_owned(),
        list_depth: 0,
        nullable: true,
        enum_values: Vec::new(),
        owners: Vec::new(),
        doc: None,
        mapping: Mapping::of(kind),
        children: Vec::new(),
    }
}

/// An object that is indexed with its parent.
pub fn object(name: &str, children: Vec<Field>) -> Field {
    Field { kind: FieldKind::Object, children, ..leaf(name, MappingKind::Object) }
}

/// A list of objects whose elements can be bound.
pub fn nested(name: &str, children: Vec<Field>) -> Field {
    Field { kind: FieldKind::Object, list_depth: 1, children, ..leaf(name, MappingKind::Nested) }
}

/// A line that makes a path one of reverse lookups.
pub fn reverse_lookup(path: &str) -> CoverageLine {
    CoverageLine {
        path: String::new(),
        type_name: String::new(),
        subgraphs: Vec::new(),
        covered_by: CoveredBy::Source,
        sources: Vec::new(),
        reverse_lookup: Some(path.to_owned()),
        edge: None,
    }
}

/// A plan of these fields, whose paths are filled in.
pub fn plan(mut fields: Vec<Field>) -> IndexPlan {
    fill_paths(&mut fields, "");
    IndexPlan {
        format: PLAN_FORMAT,
        name: "movies".to_owned(),
        description: None,
        owner: None,
        entity: "Movie".to_owned(),
        key: KeyPlan { field: "movieId".to_owned(), path: "movieId".to_owned(), kind: IdKind::String },
        fetch: FetchPlan {
            operation_name: "Movie".to_owned(),
            query_hash: "0123456789abcdef".to_owned(),
            query: String::new(),
            mode: FetchMode::Single { variable: "id".to_owned(), root: "movie".to_owned() },
            owners: Vec::new(),
        },
        graph: GraphPolicy { batch_size: 1, max_concurrency: 1, timeout_ms: 1, deadline_ms: 1 },
        subgraphs: BTreeMap::new(),
        fields: FieldTree(fields),
        sources: Vec::new(),
        backfill: BackfillPlan::default(),
        errors: ErrorPolicy {
            partial: PartialPolicy::Hold,
            not_found: NotFoundPolicy::Delete,
            not_found_codes: Vec::new(),
            max_gone: 0.05,
            retry_initial_ms: 1,
            retry_max_ms: 1,
            auto_replay: true,
            owners: BTreeMap::new(),
        },
        search: SearchPlan::default(),
        store: StoreKind::Sqlite,
        keep_versions: 2,
        kafka: None,
        freshness: FreshnessPolicy { warn_after_ms: 1, error_after_ms: 1 },
        audit: None,
        coverage: Vec::new(),
    }
}

fn fill_paths(fields: &mut [Field], parent: &str) {
    for field in fields {
        field.path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
        let path = field.path.clone();
        fill_paths(&mut field.children, &path);
    }
}
