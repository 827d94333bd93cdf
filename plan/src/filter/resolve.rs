//! From the paths of a filter to the fields of a document.

use super::{
    ast::{Path, Segment},
    checked::{List, Place},
};
use crate::{
    Diagnostic, Field, FieldKind, FieldTree, SourceText, code::search as codes, diagnostic::nearest,
    field::MappingKind,
};
use std::sync::Arc;

/// Where the paths of a filter start: at the document, or at an element of a nested list.
#[derive(Clone, Copy)]
pub(super) struct Scope<'f> {
    pub(super) fields: &'f FieldTree,
    /// The bound list; `None` at the document.
    pub(super) list: Option<&'f Field>,
}

/// The field that a path names.
pub(super) struct Resolved<'f> {
    pub(super) field: &'f Field,
    /// The fields from the scope down, the field itself last.
    line: Vec<&'f Field>,
    key: Option<String>,
}

impl<'f> Scope<'f> {
    fn children(self) -> &'f [Field] {
        self.list.map_or(&self.fields.0, |list| &list.children)
    }

    /// Follows the path; what it can't reach is reported at the name that fails.
    pub(super) fn resolve(self, source: &Arc<SourceText>, path: &Path) -> Result<Resolved<'f>, Diagnostic> {
        let mut level = self.children();
        let mut line: Vec<&Field> = Vec::new();
        for (at, segment) in path.segments.iter().enumerate() {
            let found = level.iter().find(|field| field.name == segment.name);
            let field = found.ok_or_else(|| self.unknown(source, segment, line.last().copied(), level))?;
            line.push(field);
            if !field.mapping.indexed {
                let message = format!("{} is not indexed", field.path);
                let help = "its `index: false` stands under `fields:`";
                return Err(Diagnostic::error(codes::SS707, message)
                    .at(source, segment.span.clone())
                    .help(help));
            }
            let rest = &path.segments[at + 1..];
            match field.mapping.kind {
                MappingKind::Flattened if !rest.is_empty() => {
                    let names: Vec<&str> = rest.iter().map(|segment| segment.name.as_str()).collect();
                    return Ok(Resolved { field, line, key: Some(names.join(".")) });
                }
                MappingKind::GeoPoint if !rest.is_empty() => {
                    let message = format!("{} is a point, which is asked as a whole", field.path);
                    let help = format!("write {} WITHIN (lat, lon, '50km')", field.path);
                    return Err(Diagnostic::error(codes::SS705, message)
                        .at(source, rest[0].span.clone())
                        .help(help));
                }
                _ => level = &field.children,
            }
        }
        let field = *line.last().expect("a path has a name");
        Ok(Resolved { field, line, key: None })
    }

    fn unknown(
        self,
        source: &Arc<SourceText>,
        segment: &Segment,
        parent: Option<&Field>,
        level: &[Field],
    ) -> Diagnostic {
        let name = &segment.name;
        let holder = parent.or(self.list);
        let message = match holder {
            None => format!("there is no field {name}"),
            Some(holder) if holder.children.is_empty() => format!("{} has no fields inside", holder.path),
            Some(holder) => format!("{} has no field {name}", holder.path),
        };
        let diagnostic = Diagnostic::error(codes::SS702, message).at(source, segment.span.clone());
        // The same name elsewhere is a better guess than a similar name here.
        let elsewhere = self.fields.walk().find(|field| field.name == *name);
        let similar = nearest(name, level.iter().map(|field| field.name.as_str()));
        match (similar, elsewhere) {
            (Some(similar), _) => diagnostic.help(format!("did you mean {similar}?")),
            (None, Some(field)) if self.list.is_some() => diagnostic
                .help(format!("names in [...] start at the element; {} stands outside of it", field.path)),
            (None, Some(field)) => diagnostic.help(format!("did you mean {}?", field.path)),
            (None, None) => match self.fields.nearest(name).filter(|_| self.list.is_none()) {
                Some(near) => diagnostic.help(format!("did you mean {near}?")),
                None => diagnostic.help(fields_of(level)),
            },
        }
    }
}

impl Resolved<'_> {
    /// The place of a leaf, a point, a flattened object, or (for `EXISTS`) a nested list.
    pub(super) fn place(&self, scope: Scope<'_>) -> Place {
        let routes = match self.field.kind {
            FieldKind::Virtual => routes_of_copies(scope.fields, &self.field.path),
            FieldKind::Leaf | FieldKind::Object => vec![self.route()],
        };
        self.place_with(scope, self.field, routes)
    }

    /// The places of everything with a value inside an object: the object exists where one of them does.
    pub(super) fn places_inside(&self, scope: Scope<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        self.collect_inside(scope, &self.field.children, &mut self.route(), &mut places);
        places
    }

    fn collect_inside(
        &self,
        scope: Scope<'_>,
        fields: &[Field],
        route: &mut Vec<String>,
        places: &mut Vec<Place>,
    ) {
        for field in fields.iter().filter(|field| field.mapping.indexed) {
            route.push(field.name.clone());
            match field.mapping.kind {
                MappingKind::Object => self.collect_inside(scope, &field.children, route, places),
                _ => places.push(self.place_with(scope, field, vec![route.clone()])),
            }
            route.pop();
        }
    }

    /// The list that `path[...]` binds.
    pub(super) fn list(&self) -> List {
        List { path: self.field.path.clone(), route: self.route() }
    }

    fn route(&self) -> Vec<String> {
        self.line.iter().map(|field| field.name.clone()).collect()
    }

    fn place_with(&self, scope: Scope<'_>, field: &Field, routes: Vec<Vec<String>>) -> Place {
        let inner = self.line.iter().rposition(|field| field.mapping.kind == MappingKind::Nested);
        let element = inner.map(|at| self.line[at]).or(scope.list).map(|list| list.path.clone());
        Place {
            path: field.path.clone(),
            kind: field.mapping.kind,
            routes,
            element_depth: inner.map_or(0, |at| at + 1),
            element,
            key: self.key.clone(),
            exact: field.mapping.has_exact_value(),
        }
    }
}

/// The names to follow from the document to the values of a field of this tree. A virtual field has one route for each field
/// that is copied to it.
pub fn routes(fields: &FieldTree, field: &Field) -> Vec<Vec<String>> {
    match field.kind {
        FieldKind::Virtual => routes_of_copies(fields, &field.path),
        FieldKind::Leaf | FieldKind::Object => vec![field.path.split('.').map(str::to_owned).collect()],
    }
}

/// The routes to the fields that are copied into a virtual one.
fn routes_of_copies(fields: &FieldTree, path: &str) -> Vec<Vec<String>> {
    let copied = fields.walk().filter(|field| field.mapping.copy_to.as_deref() == Some(path));
    copied
        .filter_map(|field| fields.ancestry(&field.path))
        .filter(|line| line.iter().all(|field| field.mapping.indexed))
        .filter(|line| {
            let (leaf, parents) = line.split_last().expect("an ancestry ends with the field");
            let holds_fields =
                |field: &&Field| matches!(field.mapping.kind, MappingKind::Object | MappingKind::Nested);
            leaf.kind == FieldKind::Leaf
                && leaf.mapping.kind != MappingKind::Flattened
                && parents.iter().all(holds_fields)
        })
        .map(|line| line.iter().map(|field| field.name.clone()).collect())
        .collect()
}

/// The names that could stand here.
fn fields_of(level: &[Field]) -> String {
    let names: Vec<&str> = level.iter().take(12).map(|field| field.name.as_str()).collect();
    match (names.len(), level.len()) {
        (0, _) => "end the path before it".to_owned(),
        (shown, all) if shown < all => format!("the fields are {}, …", names.join(", ")),
        _ => format!("the fields are {}", names.join(", ")),
    }
}
