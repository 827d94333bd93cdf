//! Which rows a document's fields become: the field tree of a plan, compiled once for writing and searching.

use std::collections::{HashMap, HashSet};

use plan::{
    Field, FieldKind, FieldTree, IndexPlan,
    field::{KeywordForm, MappingKind},
    index_plan::short_hash,
};

use crate::request::comparable_field;

/// Fields that entries keep beside the declared facets.
const MOST_KEPT: usize = 32;

/// The compiled plan.
pub(super) struct Layout {
    /// The fields of the document, virtual ones left out: nothing is read from them.
    pub(super) slots: Vec<Slot>,
    /// The paths of all text fields, sorted: the columns of the full-text index in their order.
    pub(super) text_columns: Vec<String>,
    /// The fields whose values each entry keeps.
    pub(super) kept: Vec<KeptField>,
    /// Where the ids of related entities stand.
    lookups: HashMap<String, LookupKey>,
}

/// One field of the document, with the rows its values become.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: MappingKind,
    /// The field's own path: of its exact values, of its elements, or of its mere presence.
    pub(super) path: PathId,
    pub(super) forms: Vec<Form>,
    /// The columns of the full-text index that receive its words: its own, and its `copy_to`'s.
    pub(super) text_columns: Vec<usize>,
    /// Where its words are kept by element, for `MATCHES` below a nested list.
    pub(super) words: Option<PathId>,
    pub(super) children: Vec<Slot>,
}

/// One kind of row that each value of a leaf becomes.
pub(super) struct Form {
    pub(super) path: PathId,
    /// How the value is read.
    pub(super) kind: MappingKind,
    pub(super) write: WriteForm,
    /// Whether the value counts for the whole document and not for its element.
    pub(super) at_root: bool,
}

/// What of a value is written.
#[derive(Clone, Copy)]
pub(super) enum WriteForm {
    /// The value.
    Exact,
    /// The value in the form that texts are sorted by.
    Lowercase,
    /// That there is one: of text whose whole value nobody compares.
    Presence,
}

/// How the ids of related entities are written at one path.
#[derive(Clone, Copy)]
pub(super) struct LookupKey {
    pub(super) path: PathId,
    pub(super) kind: MappingKind,
}

/// A field whose values each entry keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptField {
    pub(super) path: PathId,
    /// Facets are kept whatever their size.
    pub(super) is_facet: bool,
}

/// A path as the value table writes it.
///
/// It is made from the path alone, so that it doesn't move when fields come, go or change places. It has 47 bits,
/// which SQLite stores in six bytes; a plan of 10,000 fields has a clash once in three million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PathId(pub(super) i64);

impl PathId {
    /// The field itself.
    pub(super) fn of(path: &str) -> Self {
        let digits = &short_hash(path)[..12];
        Self(i64::from_str_radix(digits, 16).expect("a hash is hexadecimal") >> 1)
    }

    /// Its values as texts are sorted. `#` is in no GraphQL name, here and below.
    pub(super) fn lowercase(path: &str) -> Self {
        Self::of(&format!("{path}#lowercase"))
    }

    /// Its words, by element.
    pub(super) fn words(path: &str) -> Self {
        Self::of(&format!("{path}#words"))
    }

    /// The ids of related entities in it, where it is not indexed otherwise.
    pub(super) fn key(path: &str) -> Self {
        Self::of(&format!("{path}#key"))
    }

    /// The latitudes of its points.
    pub(super) fn latitude(path: &str) -> Self {
        Self::of(&format!("{path}#lat"))
    }

    /// The longitudes of its points.
    pub(super) fn longitude(path: &str) -> Self {
        Self::of(&format!("{path}#lon"))
    }
}

impl Layout {
    pub(super) fn of(plan: &IndexPlan) -> Self {
        let mut text_columns: Vec<String> = searchable(&plan.fields)
            .filter(|field| field.mapping.kind == MappingKind::Text)
            .map(|field| field.path.clone())
            .collect();
        text_columns.sort();
        let looked_up = plan
            .sources
            .iter()
            .flat_map(|source| &source.reverse_lookup)
            .chain(plan.coverage.iter().filter_map(|line| line.reverse_lookup.as_ref()))
            .map(String::as_str)
            .collect();
        let mut compiler = Compiler { plan, text_columns: &text_columns, looked_up, lookups: HashMap::new() };
        let slots = compiler.slots(&plan.fields.0, true, false);
        let lookups = compiler.lookups;
        Self { slots, text_columns, kept: kept_fields(plan), lookups }
    }

    /// Where the ids at a path stand; `None` where neither a source nor a filter could ask for them.
    pub(super) fn lookup(&self, path: &str) -> Option<LookupKey> {
        self.lookups.get(path).copied()
    }

    /// Whether entries keep the values at this path.
    pub(super) fn keeps(&self, path: PathId) -> bool {
        self.kept.iter().any(|kept| kept.path == path)
    }

    /// All paths that can be looked up.
    pub(super) fn lookup_paths(&self) -> impl Iterator<Item = &str> {
        self.lookups.keys().map(String::as_str)
    }

    /// The columns of the full-text index for SQL, each quoted; `None` without a text field.
    pub(super) fn text_column_list(&self) -> Option<String> {
        let columns: Vec<String> = self.text_columns.iter().map(|path| text_column(path)).collect();
        (!columns.is_empty()).then(|| columns.join(", "))
    }
}

/// The name of a text field's column, quoted for SQL and for FTS5. The prefix keeps it apart from `rank` and `rowid`.
pub(super) fn text_column(path: &str) -> String {
    format!("\"f:{}\"", path.replace('"', ""))
}

/// The fields that a search can use: neither they nor their parents say `index: false`.
fn searchable(fields: &FieldTree) -> impl Iterator<Item = &Field> {
    fields.walk().filter(|field| {
        fields.ancestry(&field.path).is_some_and(|line| line.iter().all(|field| field.mapping.indexed))
    })
}

/// The declared facets, and the first others that are worth it.
fn kept_fields(plan: &IndexPlan) -> Vec<KeptField> {
    let declared = plan.search.facets.iter().map(String::as_str);
    let others = plan.fields.walk().map(|field| field.path.as_str());
    let others = others.filter(|path| !plan.search.facets.iter().any(|facet| facet == path));
    let others = others.filter(|path| stands_once(plan, path)).take(MOST_KEPT);
    let kept = |is_facet| {
        move |path| {
            let field = comparable_field(&plan.fields, path).ok()?;
            Some(KeptField { path: PathId::of(&field.path), is_facet })
        }
    };
    declared.filter_map(kept(true)).chain(others.filter_map(kept(false))).collect()
}

/// Whether a field can be compared, is no text, and stands in no nested list.
fn stands_once(plan: &IndexPlan, path: &str) -> bool {
    let Ok(field) = comparable_field(&plan.fields, path) else { return false };
    let line = plan.fields.ancestry(path).unwrap_or_default();
    let is_nested = line.iter().any(|field| field.mapping.kind == MappingKind::Nested);
    !is_nested
        && matches!(
            field.mapping.kind,
            MappingKind::Keyword
                | MappingKind::Long
                | MappingKind::Double
                | MappingKind::Boolean
                | MappingKind::Date
        )
}

struct Compiler<'p> {
    plan: &'p IndexPlan,
    text_columns: &'p [String],
    looked_up: HashSet<&'p str>,
    lookups: HashMap<String, LookupKey>,
}

impl Compiler<'_> {
    fn slots(&mut self, fields: &[Field], indexed: bool, nested: bool) -> Vec<Slot> {
        fields
            .iter()
            .filter(|field| field.kind != FieldKind::Virtual)
            .map(|field| self.slot(field, indexed && field.mapping.indexed, nested))
            .collect()
    }

    fn slot(&mut self, field: &Field, indexed: bool, nested: bool) -> Slot {
        let mut slot = Slot {
            name: field.name.clone(),
            kind: field.mapping.kind,
            path: PathId::of(&field.path),
            forms: Vec::new(),
            text_columns: Vec::new(),
            words: None,
            children: Vec::new(),
        };
        match field.mapping.kind {
            MappingKind::Object | MappingKind::Nested => {
                // Elements of a list that is not indexed are not counted: the keys in it belong to the element around it.
                if !indexed {
                    slot.kind = MappingKind::Object;
                }
                let nested = nested || slot.kind == MappingKind::Nested;
                slot.children = self.slots(&field.children, indexed, nested);
            }
            MappingKind::GeoPoint if indexed => {
                slot.forms.push(Form::exact(PathId::latitude(&field.path), MappingKind::Double));
                slot.forms.push(Form::exact(PathId::longitude(&field.path), MappingKind::Double));
            }
            MappingKind::Flattened if indexed => {
                slot.forms.push(Form::exact(slot.path, MappingKind::Keyword));
            }
            MappingKind::GeoPoint | MappingKind::Flattened => {}
            _ => self.leaf(&mut slot, field, indexed, nested),
        }
        slot
    }

    fn leaf(&mut self, slot: &mut Slot, field: &Field, indexed: bool, nested: bool) {
        if indexed {
            slot.forms.extend(forms(field, false));
            if field.mapping.kind == MappingKind::Text {
                slot.text_columns.extend(self.text_column(&field.path));
                slot.words = nested.then(|| PathId::words(&field.path));
            }
            let copy = field.mapping.copy_to.as_deref().and_then(|path| self.plan.fields.get(path));
            if let Some(target) = copy.filter(|target| target.mapping.indexed) {
                slot.forms.extend(forms(target, true));
                slot.text_columns.extend(self.text_column(&target.path));
            }
        }
        self.keep_key(slot, field, indexed);
    }

    /// Makes sure that a reverse lookup finds this field, whatever its mapping is.
    fn keep_key(&mut self, slot: &mut Slot, field: &Field, indexed: bool) {
        let kind = field.mapping.kind;
        let comparable = indexed
            && field.mapping.has_exact_value()
            && matches!(kind, MappingKind::Keyword | MappingKind::Text | MappingKind::Long);
        if comparable {
            self.lookups.insert(field.path.clone(), LookupKey { path: slot.path, kind });
        } else if self.looked_up.contains(field.path.as_str()) {
            let path = PathId::key(&field.path);
            slot.forms.push(Form::exact(path, MappingKind::Keyword));
            self.lookups.insert(field.path.clone(), LookupKey { path, kind: MappingKind::Keyword });
        }
    }

    fn text_column(&self, path: &str) -> Option<usize> {
        self.text_columns.binary_search_by(|column| column.as_str().cmp(path)).ok()
    }
}

impl Form {
    fn exact(path: PathId, kind: MappingKind) -> Self {
        Self { path, kind, write: WriteForm::Exact, at_root: false }
    }
}

/// The rows that a value in this field becomes; `copied` where it comes from another one through `copy_to`.
fn forms(field: &Field, copied: bool) -> impl Iterator<Item = Form> {
    let kind = field.mapping.kind;
    let write = if field.mapping.has_exact_value() { WriteForm::Exact } else { WriteForm::Presence };
    let own = Form { path: PathId::of(&field.path), kind, write, at_root: copied };
    let lowercase = (field.mapping.keyword == Some(KeywordForm::Lowercase)).then(|| Form {
        path: PathId::lowercase(&field.path),
        kind,
        write: WriteForm::Lowercase,
        at_root: copied,
    });
    std::iter::once(own).chain(lowercase)
}
