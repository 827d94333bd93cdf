//! The verdict on a query alone: what an editor, a test or a bench asks, without a configuration.

use std::sync::Arc;

use plan::{Diagnostic, SourceText};

use crate::{Checked, schema::Schema, template::Template, validate};

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
}
