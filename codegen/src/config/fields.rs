//! `fields:` — what differs from the default mapping, in its short and its long form.

use plan::field::{KeywordForm, MappingKind};

use super::{
    reader::{Item, Located, Reader, Section},
    written::Value,
};

/// The analyzers that an index is made with.
pub(crate) const ANALYZERS: [&str; 5] = ["standard", "title", "name", "english", "prefix"];

/// The wish for one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConfig {
    /// The field's path, or the name of a virtual field.
    pub path: Located<String>,
    /// The type in the index.
    pub kind: Option<Located<MappingKind>>,
    /// One of the analyzers that an index is made with.
    pub analyzer: Option<Located<String>>,
    /// How the whole value is kept beside its words.
    pub keyword: Option<Located<KeywordForm>>,
    /// Whether prefixes of it are suggested.
    pub suggest: Option<Located<bool>>,
    /// The virtual field that also receives its values.
    pub copy_to: Option<Located<String>>,
    /// Whether it exists only in the index.
    pub is_virtual: bool,
    /// Whether it can be searched at all.
    pub index: Option<bool>,
}

pub(super) fn read(reader: &mut Reader<'_>, file: &mut Section<'_>) -> Vec<FieldConfig> {
    let Some(item) = file.take("fields") else { return Vec::new() };
    reader.named(&item).into_iter().filter_map(|(path, item)| read_field(reader, path, &item)).collect()
}

fn read_field(reader: &mut Reader<'_>, path: Located<String>, item: &Item<'_>) -> Option<FieldConfig> {
    let mut field = FieldConfig {
        path,
        kind: None,
        analyzer: None,
        keyword: None,
        suggest: None,
        copy_to: None,
        is_virtual: false,
        index: None,
    };
    if !matches!(item.node.value, Value::Map(_)) {
        field.kind = Some(read_kind(reader, item)?);
        return Some(field);
    }
    let mut section = reader.section(item)?;
    field.kind = section.read(reader, "type", read_kind);
    field.analyzer = section.read(reader, "analyzer", |r, item| {
        let value = r.word(item, &ANALYZERS.map(|name| (name, name.to_owned())))?;
        Some(Located { value, range: item.range.clone() })
    });
    field.keyword = section.read(reader, "keyword", |r, item| {
        let value = r.word(item, &[("raw", KeywordForm::Raw), ("lowercase", KeywordForm::Lowercase)])?;
        Some(Located { value, range: item.range.clone() })
    });
    field.suggest = section.read(reader, "suggest", |r, item| {
        Some(Located { value: r.boolean(item)?, range: item.range.clone() })
    });
    field.copy_to = section.read(reader, "copy_to", Reader::filled_text);
    field.is_virtual = section.read(reader, "virtual", Reader::boolean).unwrap_or(false);
    field.index = section.read(reader, "index", Reader::boolean);
    section.finish(reader);
    Some(field)
}

fn read_kind(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Located<MappingKind>> {
    let value = reader.word(item, &KINDS)?;
    Some(Located { value, range: item.range.clone() })
}

/// The words for types in the index.
pub(crate) const KINDS: [(&str, MappingKind); 10] = [
    ("text", MappingKind::Text),
    ("keyword", MappingKind::Keyword),
    ("long", MappingKind::Long),
    ("double", MappingKind::Double),
    ("boolean", MappingKind::Boolean),
    ("date", MappingKind::Date),
    ("geo_point", MappingKind::GeoPoint),
    ("flattened", MappingKind::Flattened),
    ("object", MappingKind::Object),
    ("nested", MappingKind::Nested),
];
