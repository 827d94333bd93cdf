//! The verdict on a query alone: what an editor, a test or a bench asks, without a configuration.

use std::sync::Arc;

use plan::{Diagnostic, SourceText};

use crate::{
    Checked,
    schema::Schema,
    shape::{self, ShapeField},
    template::Template,
    validate,
};

/// A schema that queries can be judged by.
pub struct GraphSchema {
    source: Arc<SourceText>,
    schema: Schema,
}

impl GraphSchema {
    /// Reads a supergraph SDL, a plain SDL, or the JSON answer of an introspection.
    pub fn parse(source: &Arc<SourceText>) -> Checked<Self> {
        match Schema::parse(source) {
            Ok(schema) => Checked::new(Some(Self { source: Arc::clone(source), schema }), Vec::new()),
            Err(diagnostics) => Checked::new(None, diagnostics),
        }
    }

    /// What GraphQL finds wrong with the query (SS202, SS203); where it finds nothing, what a template may not be.
    pub fn check(&self, query: &Arc<SourceText>) -> Vec<Diagnostic> {
        let mut verdict = validate::against(&self.schema, &self.source, query);
        if verdict.is_empty() {
            verdict.extend(Template::parse(query, "Query").err().into_iter().flatten());
        }
        crate::sort(&mut verdict);
        verdict
    }

    /// The subgraphs that can answer each path of the query, parents first, where the schema is a supergraph.
    ///
    /// A gateway fetches a path from one of them; which one is up to its plan.
    pub fn owners(&self, query: &Arc<SourceText>) -> Checked<Vec<PathOwners>> {
        let verdict = self.check(query);
        if !verdict.is_empty() {
            return Checked::new(None, verdict);
        }
        let shape =
            Template::parse(query, "Query").and_then(|template| shape::build(&self.schema, &template, None));
        let mut paths = Vec::new();
        match &shape {
            Ok(fields) => fields.iter().for_each(|field| field.walk(&mut |field| paths.push(told(field)))),
            Err(diagnostics) => return Checked::new(None, diagnostics.clone()),
        }
        Checked::new(Some(paths), Vec::new())
    }
}

fn told(field: &ShapeField) -> PathOwners {
    PathOwners {
        path: field.path.clone(),
        coordinates: field.selected_on.iter().map(|(parent, field)| format!("{parent}.{field}")).collect(),
        is_leaf: field.is_leaf(),
        owners: field.owners.iter().cloned().collect(),
    }
}

/// A path of an answer with the subgraphs that can answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathOwners {
    /// Response keys from `data`, joined by dots.
    pub path: String,
    /// The field's coordinates, such as `Movie.title`, one for each type that it was selected on.
    pub coordinates: Vec<String>,
    /// Whether nothing stands below it.
    pub is_leaf: bool,
    /// Names of subgraphs, sorted; empty where the schema names none.
    pub owners: Vec<String>,
}
