//! Which fields of the document show the version that a source's records tell.

use plan::{
    Diagnostic, Field, RecordPath,
    code::graph as codes,
    diagnostic::{Severity, nearest},
    field::MappingKind,
    index_plan::ShownVersion,
};

use crate::{
    config::{Located, SourceConfig},
    coverage,
    mapping::word,
    plan::Sources,
};

impl Sources<'_> {
    /// Where the document shows what `version:` of a source tells: at its root for events of the root entity, and beside each
    /// key by which an entity is looked up.
    pub(crate) fn shown(
        &self,
        source: &SourceConfig,
        reverse_lookup: &[String],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<ShownVersion> {
        let Some(version) = &source.version else { return Vec::new() };
        let entity = coverage::entity_of(self.config, source);
        let Some(name) = version.value.segments().last() else {
            let message = format!("`version: {}` names no field that a document could show", version.value);
            let help = "name a field of the record, such as row.updated_at or headers.updated_at";
            diagnostics.push(self.error(codes::SS228, version, message, help));
            return Vec::new();
        };
        let root = (entity == self.config.entity.value && source.id.is_some()).then_some(None);
        let places: Vec<Option<&str>> =
            root.into_iter().chain(reverse_lookup.iter().map(|key| Some(key.as_str()))).collect();
        let mut shown = Vec::new();
        let mut missing = Vec::new();
        for key in &places {
            match self.shown_beside(*key, name) {
                Some(field) => match self.incomparable(version, field) {
                    None => {
                        let key = key.map(str::to_owned);
                        shown.push(ShownVersion { path: field.path.clone(), key });
                    }
                    diagnostic => diagnostics.extend(diagnostic),
                },
                None => missing.push(self.missing(version, entity, name, *key)),
            }
        }
        if places.is_empty() {
            let message = format!(
                "`version` of {} can't be compared: no field of the document carries the key of {entity}",
                source.name.value
            );
            let help = format!("select its key, and `{name}` beside it, or leave `version` out");
            diagnostics.push(self.error(codes::SS228, version, message, &help));
        }
        // Where it is shown elsewhere, most documents can be compared.
        let is_shown = !shown.is_empty() && (root.is_none() || shown[0].key.is_none());
        diagnostics.extend(missing.into_iter().map(|(message, help)| {
            let diagnostic = self.error(codes::SS228, version, message, &help);
            if is_shown { Diagnostic { severity: Severity::Warning, ..diagnostic } } else { diagnostic }
        }));
        shown
    }

    /// The fields of the object that a key field belongs to, or of the document itself.
    fn fields_beside(&self, key: Option<&str>) -> &[Field] {
        let Some(key) = key else { return &self.tree.0 };
        match key.rsplit_once('.').map(|(object, _)| self.tree.get(object)) {
            None => &self.tree.0,
            Some(object) => object.map_or(&[], |object| &object.children),
        }
    }

    fn shown_beside(&self, key: Option<&str>, name: &str) -> Option<&Field> {
        let fields = self.fields_beside(key);
        let same = |field: &&Field| letters(&field.name).eq(letters(name));
        fields.iter().find(|field| field.name == name).or_else(|| fields.iter().find(same))
    }

    /// What is wrong with a field that should show a version; older must be told from newer.
    fn incomparable(&self, version: &Located<RecordPath>, field: &Field) -> Option<Diagnostic> {
        use MappingKind::{Date, Double, Keyword, Long, Text};
        let kind = field.mapping.kind;
        if field.list_depth == 0 && matches!(kind, Date | Double | Long) {
            return None;
        }
        let what = if field.list_depth > 0 { "a list" } else { word(kind) };
        let message = format!("`{}` is {what}, of which older can't be told from newer", field.path);
        let type_name = &field.type_name;
        let help = match (kind, type_name.as_str()) {
            _ if field.list_depth > 0 => "name a field that is one number or one date".to_owned(),
            (Keyword | Text, "String") => {
                format!("if it holds dates, say so: `fields: {{ {}: date }}`", field.path)
            }
            (Keyword | Text, "ID") => "name a field that is a number or a date".to_owned(),
            (Keyword | Text, _) if field.enum_values.is_empty() => {
                format!(
                    "say what the scalar holds: `graph: {{ scalars: {{ {type_name}: date }} }}` (or long, double)"
                )
            }
            _ => "name a field that is a number or a date".to_owned(),
        };
        Some(self.error(codes::SS228, version, message, &help))
    }

    /// The message and the mend where a version is not selected.
    fn missing(
        &self,
        version: &Located<RecordPath>,
        entity: &str,
        name: &str,
        key: Option<&str>,
    ) -> (String, String) {
        let object = key.and_then(|key| key.rsplit_once('.')).map(|(object, _)| object);
        let place = object.map_or("the document".to_owned(), |object| format!("`{object}`"));
        let message = format!("{place} doesn't show `{name}`, with which `{}` is compared", version.value);
        let fields = self.schema.get(entity).map_or(&[][..], |ty| &ty.fields);
        let same = fields.iter().find(|field| letters(&field.name).eq(letters(name)));
        let near = || nearest(name, fields.iter().map(|field| field.name.as_str()));
        let help = match same.map(|field| field.name.as_str()).or_else(near) {
            Some(field) if letters(field).eq(letters(name)) => format!("select `{field}` there"),
            Some(field) => format!("select it there under that name, such as `{name}: {field}`"),
            None => "select it there, under that name as an alias, or leave `version` out".to_owned(),
        };
        (message, help)
    }
}

/// The letters and digits of a name: `updated_at` and `updatedAt` are one name in two conventions.
fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| *c != '_' && *c != '-').map(|c| c.to_ascii_lowercase())
}
