//! The texts of a first configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    Root, Start, StarterFile,
    select::{Document, Selected},
};
use crate::{
    config::SCHEMA,
    schema::{FieldDef, Schema, TypeDef, TypeKind},
};

pub(super) const CONFIG: &str = "index.yaml";
pub(super) const QUERY: &str = "query.graphql";
const IDS: &str = "ids.graphql";
const EDITOR_SCHEMA: &str = "index.schema.json";
const GRAPHQL_CONFIG: &str = "graphql.config.yaml";

/// Facets, and fields of free text, at most: enough to see what they do.
const SHOWN: usize = 4;

/// The longest name of an index, see [`crate::config`].
const MAX_NAME: usize = 63;

/// What the files are made from.
pub(super) struct Parts<'p> {
    pub(super) schema: &'p Schema,
    pub(super) entity: &'p TypeDef,
    pub(super) key: &'p FieldDef,
    pub(super) root: &'p Root<'p>,
    pub(super) document: &'p Document<'p>,
    pub(super) ids: Option<&'p str>,
    pub(super) wish: &'p Start<'p>,
}

impl Parts<'_> {
    pub(super) fn files(&self) -> Vec<StarterFile> {
        let mut files = vec![
            StarterFile { name: CONFIG, text: self.config() },
            StarterFile { name: QUERY, text: self.query() },
        ];
        files.extend(self.ids.map(|text| StarterFile { name: IDS, text: text.to_owned() }));
        files.push(StarterFile { name: EDITOR_SCHEMA, text: SCHEMA.to_owned() });
        files.push(StarterFile { name: GRAPHQL_CONFIG, text: self.graphql_config() });
        files
    }

    fn query(&self) -> String {
        let Root { field, argument, is_narrowed } = self.root;
        let is_list = field.ty.list_depth() > 0;
        let variable = if is_list { "ids" } else { "id" };
        let named = argument.ty.name();
        let ty = if is_list { format!("[{named}!]!") } else { format!("{named}!") };
        let mut text =
            "# The query is the document: what it selects is what can be searched, by the names it gives.\n"
                .to_owned();
        let _ = writeln!(text, "query {}Index(${variable}: {ty}) {{", self.entity.name);
        let _ = writeln!(text, "  {}({}: ${variable}) {{", field.name, argument.name);
        if *is_narrowed {
            let _ = writeln!(text, "    ... on {} {{", self.entity.name);
            print(&self.document.fields, 3, &mut text);
            text.push_str("    }\n");
        } else {
            print(&self.document.fields, 2, &mut text);
        }
        text.push_str("  }\n}\n");
        text
    }

    fn config(&self) -> String {
        let entity = &self.entity.name;
        let name = index_name(entity);
        let mut text = format!(
            "# yaml-language-server: $schema=./{EDITOR_SCHEMA}\nversion: 1\nname: {name}\n\nentity: {entity}\n"
        );
        if self.entity.simple_keys().next() != Some(self.key.name.as_str()) {
            let _ = writeln!(text, "key: {}", self.key.name);
        }
        let url = self.wish.url.unwrap_or("http://localhost:4000/graphql");
        let _ = write!(
            text,
            "query: ./{QUERY}\n\ngraph:\n  url: {}\n  schema: {}\n",
            quoted(&format!("${{GATEWAY_URL:-{url}}}")),
            quoted(&self.wish.schema.replace("${", "$${"))
        );
        text.push_str("  # headers: { authorization: \"Bearer ${GATEWAY_TOKEN}\" }\n");
        let scalars = self.scalars();
        if !scalars.is_empty() {
            text.push_str("  # How custom scalars are indexed: date, keyword, text, long, double, boolean or flattened.\n");
            let scalars: Vec<String> = scalars.iter().map(|name| format!("{name}: keyword")).collect();
            let _ = writeln!(text, "  scalars: {{ {} }}", scalars.join(", "));
        }
        let _ = write!(
            text,
            "\n# What tells of changes: a line of JSON each, such as {{\"value\": {{\"{key}\": \"1\"}}}}. With `http: true` in place of\n\
             # `file:`, they are posted to /events/{name}/{source}.\nsources:\n  {source}:\n    file: ./events/{name}.ndjson\n    \
             format: plain\n    id: value.{key}\n",
            key = self.key.name,
            source = source_name(entity),
        );
        self.cover(&mut text);
        let (facets, texts) = self.searched();
        let shown = |paths: &[String]| paths.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\nsearch:\n  text: [{}]\n  facets: [{}]\n", shown(&texts), shown(&facets));
        if self.ids.is_some() {
            let _ = write!(text, "\nbackfill:\n  ids: {{ query: ./{IDS} }}\n");
        } else {
            text.push_str("\n# Where a backfill takes ids from: a query for all of them, or a file with an id a line.\n# backfill: { ids: { file: ./ids.txt } }\n");
        }
        text
    }

    /// Every entity below the root needs a source, or a line that says how else it is kept fresh.
    fn cover(&self, text: &mut String) {
        let entities = self.entities();
        if entities.is_empty() {
            return;
        }
        for (entity, key) in &entities {
            let _ = write!(
                text,
                "  # {}:\n  #   entity: {entity}\n  #   file: ./events/{}.ndjson\n  #   format: plain\n  #   id: value.{key}\n",
                source_name(entity),
                index_name(entity)
            );
        }
        text.push_str(
            "\n# What no source tells of: no event brings a change of these into the documents that hold them. A line goes when its\n\
             # source comes.\ncoverage:\n",
        );
        for entity in entities.keys() {
            let _ = writeln!(text, "  {entity}: {{ freshness: audit }}");
        }
    }

    /// The entities below the root with their keys.
    fn entities(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        self.document.walk(&mut |_, selected| {
            for name in self.schema.possible(selected.field.ty.name()) {
                let Some(entity) = self.schema.get(name).filter(|ty| !ty.keys.is_empty()) else { continue };
                let key = entity.simple_keys().next().unwrap_or("id");
                found.insert(entity.name.clone(), key.to_owned());
            }
        });
        found.remove(&self.entity.name);
        found
    }

    /// The custom scalars that the document reads and that have no meaning of their own here.
    fn scalars(&self) -> BTreeSet<String> {
        const KNOWN: [&str; 8] = ["ID", "String", "Int", "Float", "Boolean", "Date", "DateTime", "JSON"];
        let mut found = BTreeSet::new();
        self.document.walk(&mut |_, selected| {
            let name = selected.field.ty.name();
            let is_scalar = self.schema.get(name).is_some_and(|ty| ty.kind == TypeKind::Scalar);
            if is_scalar && !KNOWN.contains(&name) {
                found.insert(name.to_owned());
            }
        });
        found
    }

    /// Enums to count, and texts to search in.
    fn searched(&self) -> (Vec<String>, Vec<String>) {
        const TITLES: [&str; 6] = ["title", "name", "displayName", "fullName", "headline", "description"];
        let (mut facets, mut texts) = (Vec::new(), Vec::new());
        self.document.walk(&mut |above, selected| {
            let field = selected.field;
            let path = above.iter().copied().chain([field.name.as_str()]).collect::<Vec<_>>().join(".");
            let is_enum = self.schema.get(field.ty.name()).is_some_and(|ty| ty.kind == TypeKind::Enum);
            if is_enum {
                facets.push(path);
            } else if field.ty.name() == "String" && TITLES.contains(&field.name.as_str()) {
                texts.push(path);
            }
        });
        if texts.is_empty() {
            let is_text = |selected: &&Selected<'_>| {
                selected.field.ty.name() == "String" && selected.field.name != self.key.name
            };
            texts.extend(self.document.fields.iter().find(is_text).map(|first| first.field.name.clone()));
        }
        (facets, texts)
    }

    fn graphql_config(&self) -> String {
        let mut text = format!("schema: {}\ndocuments:\n  - ./{QUERY}\n", quoted(self.wish.schema));
        if self.ids.is_some() {
            let _ = writeln!(text, "  - ./{IDS}");
        }
        text
    }
}

fn print(fields: &[Selected<'_>], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for Selected { field, children } in fields {
        if children.is_empty() {
            let _ = writeln!(text, "{indent}{}", field.name);
        } else {
            let _ = writeln!(text, "{indent}{} {{", field.name);
            print(children, depth + 1, text);
            let _ = writeln!(text, "{indent}}}");
        }
    }
}

/// `ProductVariant` as the name of an index: `product-variants`.
fn index_name(entity: &str) -> String {
    let mut name = kebab(entity);
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&["y"]) && !ends(&["ay", "ey", "oy", "uy"]) {
        name.pop();
        name.push_str("ies");
    } else if ends(&["s", "x", "ch", "sh"]) {
        name.push_str("es");
    } else {
        name.push('s');
    }
    name
}

fn source_name(entity: &str) -> String {
    format!("{}-changes", kebab(entity))
}

/// Small letters, digits and dashes, with room for what is put behind it; begins with a letter.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    let mut was_small = false;
    for c in name.chars().filter(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && was_small {
            kebab.push('-');
        }
        was_small = !c.is_ascii_uppercase();
        kebab.push(c.to_ascii_lowercase());
    }
    kebab.truncate(MAX_NAME - "-changes".len());
    let kebab = kebab.trim_start_matches(|first: char| !first.is_ascii_lowercase()).trim_end_matches('-');
    if kebab.is_empty() { "documents".to_owned() } else { kebab.to_owned() }
}

/// A text in quotes that YAML reads as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
