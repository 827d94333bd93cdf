//! From shape to fields: how each one is indexed, by its type and by what `fields:` says.

use std::collections::{BTreeMap, BTreeSet};

use plan::{
    Diagnostic, Field, FieldKind, FieldTree, Mapping,
    code::{config as codes, graph as graph_codes},
    diagnostic::nearest,
    field::{KeywordForm, MappingKind},
};

use crate::{
    config::{Config, FieldConfig, KINDS, Located},
    schema::{Schema, TypeKind},
    shape::ShapeField,
    template::Template,
};

/// Maps every field of the document; virtual fields come last.
pub(crate) fn fields(
    config: &Config,
    schema: &Schema,
    template: &Template,
    document: &[ShapeField],
) -> (FieldTree, Vec<Diagnostic>) {
    let wishes = config.fields.iter().map(|wish| (wish.path.value.as_str(), wish)).collect();
    let mut mapper =
        Mapper { config, schema, template, wishes, told: BTreeSet::new(), diagnostics: Vec::new() };
    let mut fields: Vec<Field> = document.iter().map(|shape| mapper.field(shape)).collect();
    fields.extend(
        config.fields.iter().filter(|wish| wish.is_virtual).filter_map(|wish| mapper.virtual_field(wish)),
    );
    let tree = FieldTree(fields);
    mapper.check_names(&tree);
    (tree, mapper.diagnostics)
}

struct Mapper<'a> {
    config: &'a Config,
    schema: &'a Schema,
    template: &'a Template,
    wishes: BTreeMap<&'a str, &'a FieldConfig>,
    /// Unknown scalars that were told already.
    told: BTreeSet<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Mapper<'_> {
    fn field(&mut self, shape: &ShapeField) -> Field {
        let default = self.default(shape);
        let wish = self.wishes.get(shape.path.as_str()).copied();
        let mapping = match wish {
            Some(wish) => self.wished(shape, default, wish),
            None => default,
        };
        let children = shape.children.iter().map(|child| self.field(child)).collect();
        Field {
            name: shape.name.clone(),
            path: shape.path.clone(),
            kind: if shape.is_leaf() { FieldKind::Leaf } else { FieldKind::Object },
            type_name: shape.type_name().to_owned(),
            graphql_type: shape.ty.to_string(),
            list_depth: shape.ty.list_depth(),
            nullable: shape.nullable,
            enum_values: shape.values.clone(),
            owners: shape.owners.iter().cloned().collect(),
            doc: shape.doc.clone(),
            mapping,
            children,
        }
    }

    fn default(&mut self, shape: &ShapeField) -> Mapping {
        if !shape.is_leaf() {
            let is_list = shape.ty.list_depth() > 0;
            return Mapping::of(if is_list { MappingKind::Nested } else { MappingKind::Object });
        }
        let name = shape.type_name();
        let is_enum = self.schema.get(name).is_some_and(|ty| ty.kind == TypeKind::Enum);
        match name {
            _ if is_enum || shape.field == "__typename" => Mapping::of(MappingKind::Keyword),
            "ID" => Mapping::of(MappingKind::Keyword),
            "String" => text(),
            "Int" => Mapping::of(MappingKind::Long),
            "Float" => Mapping::of(MappingKind::Double),
            "Boolean" => Mapping::of(MappingKind::Boolean),
            _ => match self.config.graph.scalars.get(name) {
                Some(MappingKind::Text) => text(),
                Some(kind) => Mapping::of(*kind),
                None => {
                    self.warn_of_scalar(shape, name);
                    Mapping::of(MappingKind::Keyword)
                }
            },
        }
    }

    fn warn_of_scalar(&mut self, shape: &ShapeField, name: &str) {
        let has_wish = self.wishes.get(shape.path.as_str()).is_some_and(|wish| wish.kind.is_some());
        if has_wish || !self.told.insert(name.to_owned()) {
            return;
        }
        let message =
            format!("the scalar {name} of `{}` is not known; it is indexed as a keyword", shape.path);
        let help = format!(
            "say what it holds: `graph: {{ scalars: {{ {name}: date }} }}` (or keyword, text, long, double, boolean, flattened)"
        );
        let diagnostic = Diagnostic::warning(graph_codes::SS218, message);
        let range = self.template.range(shape.pos);
        self.diagnostics.push(diagnostic.at(&self.template.source, range).help(help));
    }

    /// The default changed by the user's wish, as far as the field can hold it.
    fn wished(&mut self, shape: &ShapeField, default: Mapping, wish: &FieldConfig) -> Mapping {
        let mut mapping = default;
        if wish.is_virtual {
            let message = format!("`{}` is a field of the document, so it can't be virtual", shape.path);
            self.error(&wish.path, message, "give the virtual field another name");
        }
        if let Some(kind) = &wish.kind
            && self.fits(shape, kind)
        {
            // `type: text` alone means words and nothing else.
            mapping = Mapping::of(kind.value);
        }
        self.refine(mapping, wish)
    }

    /// Whether a type in the index can hold what the graph answers.
    fn fits(&mut self, shape: &ShapeField, kind: &Located<MappingKind>) -> bool {
        use MappingKind::{Boolean, Date, Double, Flattened, GeoPoint, Keyword, Long, Nested, Object, Text};
        let allowed: &[MappingKind] = if shape.is_leaf() {
            match shape.type_name() {
                "Int" => &[Long, Double, Keyword],
                "Float" => &[Double, Keyword],
                "Boolean" => &[Boolean, Keyword],
                "ID" => &[Keyword, Text, Long],
                "String" => &[Text, Keyword, Date],
                name if self.config.graph.scalars.get(name) == Some(&Flattened) => &[Flattened],
                _ if !shape.values.is_empty() => &[Keyword, Text],
                _ => &[Date, Keyword, Text, Long, Double, Boolean, Flattened],
            }
        } else if shape.ty.list_depth() > 0 {
            &[Nested, Object, Flattened, GeoPoint]
        } else {
            &[Object, Flattened, GeoPoint]
        };
        let what = format!("`{}` is {}", shape.path, shape.ty);
        if !allowed.contains(&kind.value) {
            let words: Vec<&str> = allowed.iter().map(|kind| word(*kind)).collect();
            self.error(
                kind,
                format!("{what} and can't be {}", word(kind.value)),
                format!("it can be: {}", words.join(", ")),
            );
            return false;
        }
        if kind.value == GeoPoint
            && let Err((message, help)) = is_point(shape)
        {
            self.error(kind, format!("{what} {message}"), help);
            return false;
        }
        true
    }

    fn virtual_field(&mut self, wish: &FieldConfig) -> Option<Field> {
        let name = &wish.path.value;
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let help = "a virtual field stands beside the document's own: a letter, then letters, digits, underscores";
            self.error(&wish.path, format!("{name:?} can't name a virtual field"), help);
            return None;
        }
        let kind = wish.kind.as_ref().map_or(MappingKind::Text, |kind| kind.value);
        if !matches!(kind, MappingKind::Text | MappingKind::Keyword) {
            let message = format!("the virtual field `{name}` can't be {}", word(kind));
            self.error(&wish.path, message, "it receives values by `copy_to:`, so it is text or keyword");
            return None;
        }
        if let Some(target) = &wish.copy_to {
            let message = format!("the virtual field `{name}` can't pass on what it receives");
            let help = format!("say `copy_to: {}` where `{name}` gets its values from", target.value);
            self.error(target, message, help);
        }
        let mapping = self.refine(Mapping::of(kind), wish);
        Some(Field {
            name: name.clone(),
            path: name.clone(),
            kind: FieldKind::Virtual,
            type_name: String::new(),
            graphql_type: String::new(),
            list_depth: 1,
            nullable: true,
            enum_values: Vec::new(),
            owners: Vec::new(),
            doc: None,
            mapping,
            children: Vec::new(),
        })
    }

    /// Adds what a wish says beside its type, where the type has a use for it.
    fn refine(&mut self, mut mapping: Mapping, wish: &FieldConfig) -> Mapping {
        let is_text = mapping.kind == MappingKind::Text;
        if let Some(analyzer) = &wish.analyzer {
            if is_text {
                mapping.analyzer = Some(analyzer.value.clone());
            } else {
                self.not_text(analyzer, "an analyzer", &mapping);
            }
        }
        if let Some(keyword) = &wish.keyword {
            if is_text {
                mapping.keyword = Some(keyword.value);
            } else {
                self.not_text(keyword, "`keyword:`", &mapping);
            }
        }
        if let Some(suggest) = &wish.suggest {
            if is_text || mapping.kind == MappingKind::Keyword {
                mapping.suggest = suggest.value;
            } else if suggest.value {
                self.not_text(suggest, "`suggest:`", &mapping);
            }
        }
        mapping.indexed = wish.index.unwrap_or(mapping.indexed);
        if let Some(target) = &wish.copy_to {
            let known = self.wishes.get(target.value.as_str()).is_some_and(|target| target.is_virtual);
            if !known {
                let names =
                    self.wishes.values().filter(|wish| wish.is_virtual).map(|wish| wish.path.value.as_str());
                let help = match nearest(&target.value, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "declare it under `fields:`: `{}: {{ type: text, virtual: true }}`",
                        target.value
                    ),
                };
                self.error(target, format!("`copy_to: {}` names no virtual field", target.value), help);
            } else if matches!(mapping.kind, MappingKind::Text | MappingKind::Keyword) {
                mapping.copy_to = Some(target.value.clone());
            } else {
                self.not_text(target, "`copy_to:`", &mapping);
            }
        }
        mapping
    }

    fn not_text<T>(&mut self, place: &Located<T>, what: &str, mapping: &Mapping) {
        let message = format!("{what} belongs to text, and this field is {}", word(mapping.kind));
        self.error(place, message, "remove it, or say `type: text`");
    }

    /// Every path under `fields:` must name a field of the document.
    fn check_names(&mut self, tree: &FieldTree) {
        for wish in self.config.fields.iter().filter(|wish| !wish.is_virtual) {
            if let Some(diagnostic) = unknown_path(self.config, tree, &wish.path) {
                self.diagnostics.push(diagnostic);
            }
        }
    }

    fn error<T>(&mut self, place: &Located<T>, message: String, help: impl Into<String>) {
        let diagnostic = Diagnostic::error(codes::SS114, message);
        self.diagnostics.push(diagnostic.at(&self.config.source, place.range.clone()).help(help));
    }
}

/// Whether every store can read points from an object; else what is wrong, and the mend.
fn is_point(shape: &ShapeField) -> Result<(), (String, &'static str)> {
    let is_number = |name: &str| {
        shape.children.iter().any(|child| {
            child.name == name && child.ty.list_depth() == 0 && matches!(child.type_name(), "Float" | "Int")
        })
    };
    if !(is_number("lat") && is_number("lon")) {
        let help = "a geo_point has numbers under the response keys lat and lon; aliases can rename them";
        return Err(("and has no lat and lon".into(), help));
    }
    // Search engines refuse a point with more to it, and points in a list of lists.
    if let Some(other) = shape.children.iter().find(|child| !matches!(child.name.as_str(), "lat" | "lon")) {
        let help = "select lat and lon alone; what else the object has can be read under another alias of it";
        return Err((format!("and has `{}` beside lat and lon", other.name), help));
    }
    if shape.ty.list_depth() > 1 {
        return Err(("and can't be geo_point".into(), "points can stand in a list, not in a list of lists"));
    }
    Ok(())
}

fn text() -> Mapping {
    Mapping { keyword: Some(KeywordForm::Raw), ..Mapping::of(MappingKind::Text) }
}

/// The word of the configuration for a type in the index.
pub(crate) fn word(kind: MappingKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("unknown", |(word, _)| word)
}

/// The report for a path that names no field of the document, with the nearest one.
pub(crate) fn unknown_path(config: &Config, tree: &FieldTree, path: &Located<String>) -> Option<Diagnostic> {
    if tree.get(&path.value).is_some() {
        return None;
    }
    let help = match tree.nearest(&path.value) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "paths are the response keys of the query, joined by dots; select the field there first"
            .to_owned(),
    };
    let diagnostic = Diagnostic::error(codes::SS113, format!("the document has no field `{}`", path.value));
    Some(diagnostic.at(&config.source, path.range.clone()).help(help))
}
