//! The one intermediate tree: what a valid query answers, field by field, with types, owners and places.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql_parser::{
    Pos, Positioned,
    types::{Directive, Field, Selection, SelectionSet},
};
use async_graphql_value::Value;
use plan::{Diagnostic, code::graph as codes};

use crate::{
    ownership,
    schema::{FieldDef, Schema, TypeDef, TypeRef},
    template::Template,
};

/// Fields after fragments are put in, at most. Elasticsearch's own limit is 1,000 a mapping; fragments that spread
/// each other twice double with each one.
const MAX_FIELDS: usize = 2_000;

/// Levels of JSON in the Avro schema of a document: most parsers stop at 128, and registries wrap it in some more. The
/// plan, which is stored and read back, takes half as many.
const MAX_AVRO_DEPTH: usize = 120;

/// One field of the answer.
#[derive(Debug)]
pub(crate) struct ShapeField {
    /// The response key.
    pub(crate) name: String,
    /// Response keys from the document's root.
    pub(crate) path: String,
    /// The field's name in the schema.
    pub(crate) field: String,
    /// The types that it was selected on, each with its field there: one response key may stand for several.
    pub(crate) selected_on: BTreeMap<String, String>,
    pub(crate) ty: TypeRef,
    /// Whether it may be null or absent, by its type or by a condition.
    pub(crate) nullable: bool,
    /// Whether `@include`, `@skip` or a type condition may leave it out.
    pub(crate) conditional: bool,
    /// Whether it has arguments, so that it isn't simply the schema's field.
    pub(crate) has_arguments: bool,
    /// The values of an enum.
    pub(crate) values: Vec<String>,
    /// The subgraphs that can answer it here, told by [`ownership::tell`].
    pub(crate) owners: BTreeSet<String>,
    pub(crate) doc: Option<String>,
    pub(crate) pos: Pos,
    pub(crate) children: Vec<ShapeField>,
}

impl ShapeField {
    /// The innermost type.
    pub(crate) fn type_name(&self) -> &str {
        self.ty.name()
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// This field and everything below it, parents first.
    pub(crate) fn walk<'s>(&'s self, visit: &mut dyn FnMut(&'s ShapeField)) {
        visit(self);
        self.children.iter().for_each(|child| child.walk(visit));
    }
}

/// The field of these that carries a schema's field as it is.
pub(crate) fn plain_child<'s>(fields: &'s [ShapeField], name: &str) -> Option<&'s ShapeField> {
    fields.iter().find(|field| field.field == name && !field.has_arguments && field.is_leaf())
}

/// Builds the tree of the whole answer, its root fields on top.
///
/// For a document, `entity` names what the root field answers: where its type is an interface or a union,
/// conditions on the entity hold. Paths count from below the root field then.
pub(crate) fn build(
    schema: &Schema,
    template: &Template,
    entity: Option<&str>,
) -> Result<Vec<ShapeField>, Vec<Diagnostic>> {
    let mut builder = Builder { schema, template, entity, count: 0, diagnostics: Vec::new() };
    let occurrence = Occurrences {
        sets: vec![(&template.operation.selection_set.node, schema.query.as_str(), false)],
        possible: schema.possible(&schema.query),
    };
    let mut fields = builder.level(&occurrence, None);
    ownership::tell(schema, &mut fields, entity);
    if let Some(deep) = fields.iter().find_map(|field| too_deep(field, 0)) {
        let message = format!("the document is nested too deep at `{}`", deep.path);
        let help = "read less there: readers of JSON stop at 128 levels, and an Avro schema takes six for each list of objects";
        builder.diagnostics.push(template.error(codes::SS224, deep.pos, message, help));
    }
    if builder.diagnostics.is_empty() { Ok(fields) } else { Err(builder.diagnostics) }
}

/// The first field that an Avro schema would hold too deep; `above` counts the levels of JSON around it.
fn too_deep(field: &ShapeField, above: usize) -> Option<&ShapeField> {
    // A record, its list of fields, the field and its union with null; each list and what it holds are two more.
    let depth = above + 4 + 2 * usize::from(field.ty.list_depth());
    if depth > MAX_AVRO_DEPTH {
        return Some(field);
    }
    field.children.iter().find_map(|child| too_deep(child, depth))
}

struct Builder<'a> {
    schema: &'a Schema,
    template: &'a Template,
    entity: Option<&'a str>,
    count: usize,
    diagnostics: Vec<Diagnostic>,
}

/// The selection sets that make one object: several where a response key is selected more than once.
struct Occurrences<'a> {
    /// Each with its type and whether a condition may leave it out.
    sets: Vec<(&'a SelectionSet, &'a str, bool)>,
    /// The object types that the object can have.
    possible: BTreeSet<&'a str>,
}

/// A field as selected once.
#[derive(Clone, Copy)]
struct Selected<'a> {
    field: &'a Field,
    pos: Pos,
    parent: &'a str,
    conditional: bool,
}

impl<'a> Builder<'a> {
    /// The fields of one object; `prefix` is `None` above the document.
    fn level(&mut self, object: &Occurrences<'a>, prefix: Option<&str>) -> Vec<ShapeField> {
        let mut keys: Vec<(&'a str, Vec<Selected<'a>>)> = Vec::new();
        // One for all sets: what a fragment adds to an object, it adds once.
        let mut spread = BTreeSet::new();
        for (set, parent, conditional) in &object.sets {
            self.collect(set, parent, *conditional, &object.possible, &mut spread, &mut keys);
        }
        let fields = keys.into_iter().filter_map(|(key, selected)| self.field(key, &selected, prefix));
        fields.collect()
    }

    /// Gathers the fields of a selection set by response key, in the order of their first appearance.
    fn collect(
        &mut self,
        set: &'a SelectionSet,
        parent: &'a str,
        conditional: bool,
        possible: &BTreeSet<&'a str>,
        spread: &mut BTreeSet<(&'a str, bool)>,
        keys: &mut Vec<(&'a str, Vec<Selected<'a>>)>,
    ) {
        for selection in &set.items {
            let conditional = match presence(selection.node.directives()) {
                Presence::Never => continue,
                Presence::Maybe => true,
                Presence::Always => conditional,
            };
            let (inner, condition) = match &selection.node {
                Selection::Field(field) => {
                    let field = Selected { field: &field.node, pos: field.pos, parent, conditional };
                    let key = field.field.response_key().node.as_str();
                    match keys.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, selected)) => selected.push(field),
                        None => keys.push((key, vec![field])),
                    }
                    continue;
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    (
                        &fragment.node.selection_set.node,
                        condition.map(|condition| condition.node.on.node.as_str()),
                    )
                }
                Selection::FragmentSpread(fragment) => {
                    let name = fragment.node.fragment_name.node.as_str();
                    let Some(definition) = self.template.fragment(name) else { continue };
                    if !spread.insert((name, conditional)) {
                        continue;
                    }
                    (&definition.selection_set.node, Some(definition.type_condition.node.on.node.as_str()))
                }
            };
            let Some(condition) = condition else {
                self.collect(inner, parent, conditional, possible, spread, keys);
                continue;
            };
            let matching = self.schema.possible(condition);
            let narrowed: BTreeSet<&str> = possible.intersection(&matching).copied().collect();
            // No type of the object meets it, so nothing of it is ever answered.
            if narrowed.is_empty() && !possible.is_empty() {
                continue;
            }
            let narrows = narrowed.len() < possible.len();
            self.collect(inner, condition, conditional || narrows, &narrowed, spread, keys);
        }
    }

    fn field(&mut self, key: &str, selected: &[Selected<'a>], prefix: Option<&str>) -> Option<ShapeField> {
        let first = selected.first()?;
        self.count += 1;
        if self.count > MAX_FIELDS {
            if self.count == MAX_FIELDS + 1 {
                let message = format!("the document has more than {MAX_FIELDS} fields");
                let help = "fragments that spread each other multiply; read less, or make two indexes";
                self.diagnostics.push(self.template.error(codes::SS224, first.pos, message, help));
            }
            return None;
        }
        let name = first.field.name.node.as_str();
        if key.starts_with("__") && (key != "__typename" || name != "__typename") {
            let message = format!("the response key `{key}` is reserved");
            self.diagnostics.push(self.template.error(codes::SS223, first.pos, message, "use another alias"));
        }
        let path = match prefix {
            None | Some("") => key.to_owned(),
            Some(prefix) => format!("{prefix}.{key}"),
        };
        let conditional = selected.iter().all(|field| field.conditional);
        let definitions: Vec<(&'a TypeDef, &'a FieldDef)> = selected
            .iter()
            .filter_map(|field| {
                let parent = self.schema.get(field.parent)?;
                Some((parent, parent.field(&field.field.name.node)?))
            })
            .collect();
        let ty = match definitions.first() {
            Some((_, definition)) => definition.ty.clone(),
            None if name == "__typename" => TypeRef::NonNull(Box::new(TypeRef::Named("String".into()))),
            // The validator has refused what isn't defined.
            None => return None,
        };
        let values = self.schema.get(ty.name()).map_or_else(Vec::new, |ty| ty.values.clone());
        let comment = selected.iter().find_map(|field| self.template.comment(field.pos));
        let doc = comment.or_else(|| definitions.iter().find_map(|(_, definition)| definition.doc.clone()));
        // The document stands below the root field; everywhere else paths grow by the response key.
        let below = match (prefix, self.entity) {
            (None, Some(_)) => "",
            _ => path.as_str(),
        };
        let children = self.children(&definitions, selected, prefix.is_none(), below);
        let selects = selected.iter().any(|field| !field.field.selection_set.node.items.is_empty());
        if selects && children.is_empty() && self.count <= MAX_FIELDS {
            let message = format!("nothing is left of `{key}`: its fields are never answered");
            let help = "remove it, or select a field without `@skip(if: true)` and `@include(if: false)`";
            self.diagnostics.push(self.template.error(codes::SS226, first.pos, message, help));
        }
        Some(ShapeField {
            name: key.to_owned(),
            field: name.to_owned(),
            selected_on: selected
                .iter()
                .map(|field| (field.parent.to_owned(), field.field.name.node.to_string()))
                .collect(),
            nullable: conditional || ty.is_nullable(),
            conditional,
            has_arguments: selected.iter().any(|field| !field.field.arguments.is_empty()),
            values,
            owners: BTreeSet::new(),
            doc,
            pos: first.pos,
            children,
            path,
            ty,
        })
    }

    fn children(
        &mut self,
        definitions: &[(&'a TypeDef, &'a FieldDef)],
        selected: &[Selected<'a>],
        is_root: bool,
        below: &str,
    ) -> Vec<ShapeField> {
        let mut possible: BTreeSet<&'a str> = BTreeSet::new();
        let mut sets = Vec::new();
        for (field, (_, definition)) in selected.iter().zip(definitions) {
            let set = &field.field.selection_set.node;
            if set.items.is_empty() {
                continue;
            }
            possible.extend(self.schema.possible(definition.ty.name()));
            // What only a conditional selection adds may be absent from an object that another one brings.
            sets.push((set, definition.ty.name(), selected.len() > 1 && field.conditional));
        }
        if let (true, Some(entity)) = (is_root, self.entity)
            && possible.contains(entity)
        {
            possible = BTreeSet::from([entity]);
        }
        if sets.is_empty() {
            return Vec::new();
        }
        self.level(&Occurrences { sets, possible }, Some(below))
    }
}

/// What `@include` and `@skip` leave of a selection.
enum Presence {
    Always,
    Maybe,
    Never,
}

fn presence(directives: &[Positioned<Directive>]) -> Presence {
    let mut presence = Presence::Always;
    for directive in directives {
        let shown_if = match directive.node.name.node.as_str() {
            "include" => true,
            "skip" => false,
            _ => continue,
        };
        match directive.node.get_argument("if").map(|value| &value.node) {
            Some(Value::Boolean(value)) if *value == shown_if => {}
            Some(Value::Boolean(_)) => return Presence::Never,
            _ => presence = Presence::Maybe,
        }
    }
    presence
}
