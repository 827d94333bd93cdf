//! What tests of a configuration name must be in the document: fields of filters, sorts, facets and expected documents.

use plan::{Diagnostic, FieldKind, FieldTree};
use serde_json::Value;

use crate::{
    config::{Config, Located, TestSearch},
    filters,
    mapping::unknown_path,
};

/// Checks every test against the fields of the document.
pub(crate) fn check(config: &Config, tree: &FieldTree, diagnostics: &mut Vec<Diagnostic>) {
    for case in &config.tests {
        for (id, document) in &case.expect.documents {
            let mut paths = Vec::new();
            named(document, "", tree, &mut paths);
            let paths = paths.into_iter().map(|value| Located { value, range: id.range.clone() });
            diagnostics.extend(paths.filter_map(|path| unknown_path(config, tree, &path)));
        }
        if let Some(search) = &case.search {
            check_search(config, tree, search, diagnostics);
        }
    }
}

/// The paths that an expected document names, down to what the index keeps whole.
fn named(document: &Value, above: &str, tree: &FieldTree, paths: &mut Vec<String>) {
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
                let is_leaf = tree.get(&path).is_some_and(|field| field.kind == FieldKind::Leaf);
                if !is_leaf {
                    named(value, &path, tree, paths);
                }
                paths.push(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, above, tree, paths)),
        _ => {}
    }
}

fn check_search(config: &Config, tree: &FieldTree, search: &TestSearch, diagnostics: &mut Vec<Diagnostic>) {
    let facets = search.facets.iter().map(|(path, _)| path.clone());
    let sorts = search.sort.iter().map(|sort| {
        let path = sort.value.split(':').next().unwrap_or_default();
        Located { value: path.to_owned(), range: sort.range.clone() }
    });
    diagnostics.extend(facets.chain(sorts).filter_map(|path| unknown_path(config, tree, &path)));
    let Some(written) = &search.filter else { return };
    diagnostics.extend(filters::mistakes(config, tree, written));
}
