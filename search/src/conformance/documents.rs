//! Random field trees, and documents that fit them more or less: nulls, gaps, lists of lists, values of other types.

use plan::{
    Field, FieldKind,
    field::{KeywordForm, MappingKind},
};
use serde_json::{Map, Value, json};

use super::{dice::Dice, plans::leaf};

/// The virtual fields: words and whole values.
pub(super) const VIRTUAL_TEXT: &str = "allWords";
pub(super) const VIRTUAL_KEYWORD: &str = "allKeywords";

pub(super) const TEXTS: [&str; 20] = [
    "",
    "a",
    "A",
    "b",
    "ab",
    "é",
    "e\u{301}",
    "Éa",
    "Ёж",
    "x y",
    "Y x",
    "The End",
    "the*end?",
    "日本",
    "a\0b",
    "\u{10ffff}",
    "ß",
    "o'neil\\",
    "NEAR \"q\"",
    "12",
];
pub(super) const ENUM: [&str; 3] = ["ONE", "TWO", "THREE"];

const LEAVES: [MappingKind; 8] = [
    MappingKind::Keyword,
    MappingKind::Keyword,
    MappingKind::Text,
    MappingKind::Text,
    MappingKind::Long,
    MappingKind::Double,
    MappingKind::Boolean,
    MappingKind::Date,
];

/// The fields of a random plan; paths are still to be filled in.
pub(super) fn fields(dice: &mut Dice) -> Vec<Field> {
    let mut fields = level(dice, 0);
    for (name, kind) in [(VIRTUAL_TEXT, MappingKind::Text), (VIRTUAL_KEYWORD, MappingKind::Keyword)] {
        fields.push(Field { kind: FieldKind::Virtual, ..leaf(name, kind) });
    }
    fields
}

fn level(dice: &mut Dice, depth: usize) -> Vec<Field> {
    let count = 3 + dice.below(4);
    "abcdefg".chars().take(count).map(|name| field(dice, &name.to_string(), depth)).collect()
}

fn field(dice: &mut Dice, name: &str, depth: usize) -> Field {
    let mut field = match dice.below(if depth < 3 { 12 } else { 7 }) {
        0..6 => leaf_field(dice, name),
        6 => leaf(name, dice.pick(&[MappingKind::GeoPoint, MappingKind::Flattened])),
        7 | 8 => parent(name, MappingKind::Object, level(dice, depth + 1)),
        _ => parent(name, MappingKind::Nested, level(dice, depth + 1)),
    };
    field.mapping.indexed = !dice.chance(4);
    field
}

fn parent(name: &str, kind: MappingKind, children: Vec<Field>) -> Field {
    Field { kind: FieldKind::Object, children, ..leaf(name, kind) }
}

fn leaf_field(dice: &mut Dice, name: &str) -> Field {
    let kind = dice.pick(&LEAVES);
    let mut field = leaf(name, kind);
    match kind {
        MappingKind::Text => {
            field.mapping.keyword = dice.pick(&[None, Some(KeywordForm::Raw), Some(KeywordForm::Lowercase)]);
            field.mapping.copy_to = dice.chance(40).then(|| VIRTUAL_TEXT.to_owned());
        }
        MappingKind::Keyword if dice.chance(30) => {
            "Number".clone_into(&mut field.type_name);
            field.enum_values = ENUM.iter().map(ToString::to_string).collect();
        }
        MappingKind::Keyword => {
            field.mapping.copy_to = dice.chance(30).then(|| VIRTUAL_KEYWORD.to_owned());
        }
        _ => {}
    }
    field
}

pub(super) fn document(dice: &mut Dice, fields: &[Field]) -> Value {
    let mut object = Map::new();
    for field in fields.iter().filter(|field| field.kind != FieldKind::Virtual) {
        if !dice.chance(12) {
            let value = value(dice, field, 0);
            object.insert(field.name.clone(), value);
        }
    }
    Value::Object(object)
}

/// One value, or by chance null, a list, a list of lists, or something that doesn't fit.
fn value(dice: &mut Dice, field: &Field, lists: usize) -> Value {
    let list = if field.mapping.kind == MappingKind::Nested && lists == 0 { 80 } else { 20 };
    match dice.below(100) {
        0..12 => Value::Null,
        12..15 => dice.pick(&[json!({}), json!([]), json!("stray"), json!(5), json!({"a": {"a": 1}})]),
        percent if percent < 15 + list && lists < 3 => {
            let count = dice.below(4);
            Value::Array((0..count).map(|_| value(dice, field, lists + 1)).collect())
        }
        _ => single(dice, field),
    }
}

fn single(dice: &mut Dice, field: &Field) -> Value {
    match field.mapping.kind {
        MappingKind::Object | MappingKind::Nested => document(dice, &field.children),
        MappingKind::Keyword if !field.enum_values.is_empty() => json!(dice.pick(&ENUM)),
        MappingKind::Keyword | MappingKind::Text => match dice.chance(90) {
            true => json!(dice.pick(&TEXTS)),
            false => dice.pick(&[json!(12), json!(true), json!(0.5), json!(1e300)]),
        },
        MappingKind::Long => dice.pick(&[
            json!(0),
            json!(1),
            json!(-1),
            json!(2),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(9_007_199_254_740_993_i64),
            json!(2.0),
            json!("2"),
            json!(1.5),
            json!(1e300),
            json!(u64::MAX),
            json!(true),
            json!("two"),
        ]),
        MappingKind::Double => dice.pick(&[
            json!(0),
            json!(-0.0),
            json!(0.1),
            json!(1e308),
            json!(5e-324),
            json!(-2.5),
            json!("2.5"),
            json!(2.5),
            json!(9_007_199_254_740_993_i64),
            json!("nan"),
            json!("inf"),
            json!(1),
        ]),
        MappingKind::Boolean => {
            dice.pick(&[json!(true), json!(false), json!("true"), json!("yes"), json!(1)])
        }
        MappingKind::Date => dice.pick(&[
            json!("2024-01-01"),
            json!("2024-01-01T00:00:00.0009Z"),
            json!("2023-12-31T23:00:00-01:00"),
            json!("2023-12-25"),
            json!(1_704_067_200_000_i64),
            json!("soon"),
            json!("9999-12-31T23:59:59"),
            json!("-009999-01-01"),
            json!(i64::MAX),
            json!(i64::MIN),
            json!("2024-02"),
        ]),
        MappingKind::GeoPoint => dice.pick(&[
            json!({"lat": 40.4, "lon": -3.7}),
            json!({"lat": 41.4, "lon": 2.2}),
            json!({"lat": 90, "lon": 0}),
            json!({"lat": 0, "lon": 180}),
            json!({"lat": 0, "lon": -179.99}),
            json!({"lat": 91, "lon": 0}),
            json!({"lat": 1}),
            json!({"lat": "1", "lon": "1"}),
            json!({"lat": -0.0, "lon": 0.0, "more": 1}),
        ]),
        MappingKind::Flattened => dice.pick(&[
            json!({"k": "a"}),
            json!({"k": {"l": "b"}, "k.l": 12}),
            json!({"k": ["a", {"l": true}, null]}),
            json!({"": "a"}),
            json!({"k\0": "a", "l": null}),
            json!({"kk": "a", "l": "é"}),
            json!({"l": {"l": [[0.5]]}}),
        ]),
    }
}
