//! What the entries of a document want it to show, and whether it does.

use std::collections::{BTreeMap, btree_map};

use plan::{DocumentId, IndexPlan, SourcePlan, index_plan::ShownVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Revision;

/// What a document is asked to show, at most: a film has so many people, and only those that changed within a few seconds count.
/// What is beyond is not compared.
const MAX_WANTS: usize = 256;

/// The version that one entity of a document must show at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The source whose event tells it.
    pub source: String,
    /// The entity's key; `None`: it is the document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DocumentId>,
    /// The version.
    pub revision: Revision,
}

/// The versions that a document must show at least, each entity's latest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Want>", into = "Vec<Want>")]
pub struct Wants(BTreeMap<(String, Option<DocumentId>), Revision>);

/// What a document shows too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The source whose event outran its data.
    pub source: String,
    /// The path of the field that shows the version.
    pub path: String,
    /// What it shows; nothing where it is null.
    pub shown: Option<Revision>,
    /// What the event told.
    pub wanted: Revision,
}

impl std::fmt::Display for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, path, shown, wanted } = self;
        let shown = shown.map_or("null".to_owned(), |shown| shown.to_string());
        write!(f, "an event of {source} tells of {wanted}, and the graph still answers {path}: {shown}")
    }
}

impl Wants {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks for one more, or for a later version of what is asked for already.
    pub fn add(&mut self, Want { source, key, revision }: Want) {
        let is_full = self.0.len() >= MAX_WANTS;
        match self.0.entry((source, key)) {
            btree_map::Entry::Occupied(mut known) => {
                let later = known.get().later(revision);
                known.insert(later);
            }
            btree_map::Entry::Vacant(place) if !is_full => drop(place.insert(revision)),
            btree_map::Entry::Vacant(_) => {}
        }
    }

    /// Asks for all that the others ask for, too.
    pub fn merge(&mut self, others: Self) {
        if self.is_empty() {
            *self = others;
            return;
        }
        Vec::from(others).into_iter().for_each(|want| self.add(want));
    }

    /// The first of these that a document falls short of. What can't be compared is none: an entity that the document no longer
    /// holds, a source that the plan no longer has, a value that is neither a number nor a time.
    pub fn first_unmet(&self, plan: &IndexPlan, body: &str) -> Option<Behind> {
        if self.is_empty() {
            return None;
        }
        let document: Value = serde_json::from_str(body).ok()?;
        self.0.iter().find_map(|((name, key), wanted)| {
            let source = plan.source(name)?;
            source.shown.iter().find_map(|shown| unmet(source, shown, key.as_ref(), *wanted, &document))
        })
    }

    /// As a store keeps them; `None` where nothing is asked for.
    pub fn to_json(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::to_string(self).expect("wants are JSON"))
    }

    /// As a store kept them. What can't be read asks for nothing: the document is rebuilt all the same.
    pub fn from_json(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl From<Vec<Want>> for Wants {
    fn from(list: Vec<Want>) -> Self {
        list.into_iter().collect()
    }
}

impl FromIterator<Want> for Wants {
    fn from_iter<I: IntoIterator<Item = Want>>(list: I) -> Self {
        let mut wants = Self::default();
        list.into_iter().for_each(|want| wants.add(want));
        wants
    }
}

impl From<Wants> for Vec<Want> {
    fn from(wants: Wants) -> Self {
        let want = |((source, key), revision)| Want { source, key, revision };
        wants.0.into_iter().map(want).collect()
    }
}

/// How one place of the document falls short.
fn unmet(
    source: &SourcePlan,
    place: &ShownVersion,
    key: Option<&DocumentId>,
    wanted: Revision,
    document: &Value,
) -> Option<Behind> {
    let key = match (&place.key, key) {
        (None, None) => None,
        (Some(path), Some(key)) => Some((path.rsplit('.').next()?, key)),
        _ => return None,
    };
    let mut names: Vec<&str> = place.path.split('.').collect();
    let field = names.pop()?;
    let mut objects = Vec::new();
    collect(document, &names, &mut objects);
    objects.into_iter().find_map(|object| {
        let is_meant = key.is_none_or(|(name, key)| {
            let found = object.get(name).map(|value| DocumentId::from_json(source.id_kind, value));
            found.is_some_and(|found| found.as_ref() == Ok(key))
        });
        let value = object.get(field).filter(|_| is_meant)?;
        let shown = Revision::read(value);
        // A null is older than any version; a text that says nothing is not.
        let is_met = shown.map_or(!value.is_null(), |shown| shown.is_as_new_as(wanted));
        let (source, path) = (source.name.clone(), place.path.clone());
        (!is_met).then_some(Behind { source, path, shown, wanted })
    })
}

/// The objects at the end of a path; lists on the way are walked.
fn collect<'v>(value: &'v Value, names: &[&str], objects: &mut Vec<&'v Value>) {
    match (value, names.split_first()) {
        (Value::Array(items), _) => items.iter().for_each(|item| collect(item, names, objects)),
        (Value::Object(_), None) => objects.push(value),
        (Value::Object(fields), Some((name, rest))) => {
            if let Some(value) = fields.get(*name) {
                collect(value, rest, objects);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn plan() -> IndexPlan {
        let mut plan = testing::movies();
        plan.sources[0].shown = vec![ShownVersion { path: "updatedAt".to_owned(), key: None }];
        plan.sources[1].shown = vec![ShownVersion {
            path: "actors.revision".to_owned(),
            key: Some("actors.talentId".to_owned()),
        }];
        plan
    }

    fn want(source: &str, key: Option<&str>, revision: impl Into<Value>) -> Want {
        let key = key.map(|key| DocumentId::new(key).unwrap());
        Want { source: source.to_owned(), key, revision: Revision::read(&revision.into()).unwrap() }
    }

    fn unmet_by(wants: impl IntoIterator<Item = Want>, document: &Value) -> Option<String> {
        let wants: Wants = wants.into_iter().collect();
        wants.first_unmet(&plan(), &document.to_string()).map(|behind| behind.to_string())
    }

    #[test]
    fn the_document_itself_is_compared_at_its_root() {
        let document = json!({"movieId": "m1", "updatedAt": "2026-01-01T10:00:00.5Z"});
        assert_eq!(unmet_by([want("movies", None, json!("2026-01-01T10:00:00.500Z"))], &document), None);
        assert_eq!(
            unmet_by([want("movies", None, json!(1_767_261_600_501_i64))], &document).as_deref(),
            Some(
                "an event of movies tells of 1767261600501, and the graph still answers updatedAt: 2026-01-01T10:00:00.5Z"
            )
        );
    }

    #[test]
    fn a_related_entity_is_compared_wherever_its_key_stands() {
        let document = json!({"movieId": "m1", "actors": [[{"talentId": "t1", "revision": 4}], null, [{"talentId": "t2", "revision": 1}]]});
        let of = |key, revision: i64| want("talent", Some(key), json!(revision));
        assert_eq!(unmet_by([of("t1", 4), of("t2", 1)], &document), None);
        assert_eq!(
            unmet_by([of("t1", 4), of("t2", 2)], &document).as_deref(),
            Some("an event of talent tells of 2, and the graph still answers actors.revision: 1")
        );
        assert_eq!(unmet_by([of("t3", 9)], &document), None, "it plays there no more");
    }

    #[test]
    fn what_says_nothing_is_not_older_and_null_is() {
        let of = |document: Value| unmet_by([want("movies", None, json!(5))], &document);
        assert_eq!(of(json!({"updatedAt": "soon"})), None);
        assert_eq!(of(json!({})), None);
        assert!(of(json!({"updatedAt": null})).unwrap().ends_with("updatedAt: null"));
        let gone = want("a source that was removed", None, json!(5));
        assert_eq!(unmet_by([gone], &json!({"updatedAt": 1})), None);
    }

    #[test]
    fn the_latest_of_each_is_wanted_and_their_number_is_bounded() {
        let mut wants: Wants =
            [want("movies", None, json!(5)), want("movies", None, json!(3))].into_iter().collect();
        wants.merge(
            [want("movies", None, json!(4)), want("talent", Some("t1"), json!(1))].into_iter().collect(),
        );
        assert_eq!(
            wants.to_json().as_deref(),
            Some(
                r#"[{"source":"movies","revision":{"number":[5,0]}},{"source":"talent","key":"t1","revision":{"number":[1,0]}}]"#
            )
        );
        assert_eq!(Wants::from_json(wants.to_json().as_deref()), wants);
        assert_eq!((Wants::default().to_json(), Wants::from_json(Some("?"))), (None, Wants::default()));
        for n in 0..2 * MAX_WANTS {
            wants.add(want("talent", Some(&format!("t{n}")), json!(2)));
        }
        assert_eq!(Vec::from(wants.clone()).len(), MAX_WANTS);
        assert!(wants.first_unmet(&plan(), r#"{"actors":[{"talentId":"t1","revision":1}]}"#).is_some());
    }
}
