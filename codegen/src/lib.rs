//! Proves that two files make an index, and makes its plan and artifacts: texts in, values and diagnostics out.
//!
//! [`parse_config`] reads `index.yaml`; [`compile`] puts it together with the query and the graph's schema. Nothing
//! here does I/O, and nothing stops at the first mistake. The same inputs give the same bytes.

mod avro;
mod check;
mod compile;
pub mod config;
mod connector;
mod coverage;
mod docs;
mod fetch;
mod filters;
mod id_count;
mod id_query;
mod json_schema;
mod key;
mod lexer;
mod mapping;
mod ownership;
mod plan;
mod position;
mod print;
mod prune;
mod rehearsal;
mod rules;
mod schema;
mod shape;
mod spelling;
pub mod starter;
mod template;
mod template_es;
mod validate;
mod versions;

use std::collections::BTreeMap;

use ::plan::Diagnostic;

pub use self::{
    check::{GraphSchema, PathOwners},
    compile::{Compiled, Texts, compile},
    config::{Config, Snippet, WantedFile, parse_config, parse_markdown},
    connector::connectors,
    json_schema::document_schema,
    schema::INTROSPECTION_QUERY,
    template_es::{Engine, index_templates},
};

/// A result with everything that was found on the way to it.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    /// `None` exactly where an error is among the diagnostics.
    pub value: Option<T>,
    /// What was found: file after file as the checks met them, in each by its place.
    pub diagnostics: Vec<Diagnostic>,
    /// What could be read in spite of errors.
    salvaged: Option<T>,
}

impl<T> Checked<T> {
    fn new(value: Option<T>, mut diagnostics: Vec<Diagnostic>) -> Self {
        sort(&mut diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Self { value: None, diagnostics, salvaged: value };
        }
        debug_assert!(value.is_some(), "a value is withheld only with an error");
        Self { value, diagnostics, salvaged: None }
    }

    /// The value, or what could be read in spite of errors: good for finding more of them, never for running.
    pub fn best_effort(&self) -> Option<&T> {
        self.value.as_ref().or(self.salvaged.as_ref())
    }
}

/// Sorts by file, in the order of first appearance, and by place.
fn sort(diagnostics: &mut [Diagnostic]) {
    let mut files: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let file = |diagnostic: &Diagnostic| diagnostic.place.as_ref().map(|(source, _)| source.name.clone());
    for diagnostic in diagnostics.iter() {
        let next = files.len();
        files.entry(file(diagnostic)).or_insert(next);
    }
    diagnostics.sort_by_cached_key(|diagnostic| {
        let start = diagnostic.place.as_ref().map_or(0, |(_, range)| range.start);
        (files.get(&file(diagnostic)).copied(), start)
    });
}
