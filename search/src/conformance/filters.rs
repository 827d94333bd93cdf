//! Random filters that fit a field tree, as text: so the parser and the check are tested on the way.

use plan::{Field, FieldKind, field::MappingKind};

use super::{
    dice::Dice,
    documents::{ENUM, TEXTS},
};

/// A filter with its parts, so that a disagreement can be narrowed down.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    Test(String),
    Not(Box<Filter>),
    Join(&'static str, Vec<Filter>),
    Bind(String, Box<Filter>),
}

impl Filter {
    pub(super) fn text(&self) -> String {
        match self {
            Filter::Test(text) => text.clone(),
            Filter::Not(inner) => format!("NOT ({})", inner.text()),
            Filter::Join(operator, parts) => {
                let parts: Vec<String> = parts.iter().map(|part| format!("({})", part.text())).collect();
                parts.join(operator)
            }
            Filter::Bind(path, inner) => format!("{path}[{}]", inner.text()),
        }
    }

    /// Whether it has a part that must not hold.
    pub(super) fn negates(&self) -> bool {
        match self {
            Filter::Test(text) => text.contains("!=") || text.contains("== null"),
            Filter::Not(_) => true,
            Filter::Join(_, parts) => parts.iter().any(Filter::negates),
            Filter::Bind(_, inner) => inner.negates(),
        }
    }

    /// Whether it has a part that one element of a nested list must satisfy.
    pub(super) fn binds(&self) -> bool {
        match self {
            Filter::Test(_) => false,
            Filter::Not(inner) => inner.binds(),
            Filter::Join(_, parts) => parts.iter().any(Filter::binds),
            Filter::Bind(..) => true,
        }
    }

    /// Whether it asks for what is missing, or for what is there.
    pub(super) fn asks_for_nothing(&self) -> bool {
        match self {
            Filter::Test(text) => text.ends_with("null") || text.to_ascii_uppercase().ends_with(" EXISTS"),
            Filter::Not(inner) | Filter::Bind(_, inner) => inner.asks_for_nothing(),
            Filter::Join(_, parts) => parts.iter().any(Filter::asks_for_nothing),
        }
    }

    /// Filters that are a little smaller.
    pub(super) fn smaller(&self) -> Vec<Filter> {
        match self {
            Filter::Test(_) => Vec::new(),
            Filter::Not(inner) => {
                let inside = inner.smaller().into_iter().map(|inner| Filter::Not(Box::new(inner)));
                std::iter::once((**inner).clone()).chain(inside).collect()
            }
            Filter::Join(operator, parts) => {
                let mut smaller = parts.clone();
                for (at, part) in parts.iter().enumerate() {
                    smaller.extend(part.smaller().into_iter().map(|part| {
                        let mut parts = parts.clone();
                        parts[at] = part;
                        Filter::Join(operator, parts)
                    }));
                }
                smaller
            }
            Filter::Bind(path, inner) => {
                inner.smaller().into_iter().map(|inner| Filter::Bind(path.clone(), Box::new(inner))).collect()
            }
        }
    }
}

pub(super) fn filter(dice: &mut Dice, fields: &[Field], depth: usize) -> Filter {
    match dice.below(if depth < 4 { 12 } else { 4 }) {
        0..4 => test(dice, fields),
        4..7 => Filter::Not(Box::new(filter(dice, fields, depth + 1))),
        7 | 8 => {
            let operator = dice.pick(&[" AND ", " or "]);
            let count = 1 + dice.below(3);
            Filter::Join(operator, (0..count).map(|_| filter(dice, fields, depth + 1)).collect())
        }
        _ => match nested_list(dice, fields) {
            Some((path, list)) => Filter::Bind(path, Box::new(filter(dice, &list.children, depth + 1))),
            None => test(dice, fields),
        },
    }
}

/// A nested list somewhere below, perhaps through others.
fn nested_list<'f>(dice: &mut Dice, fields: &'f [Field]) -> Option<(String, &'f Field)> {
    let parents: Vec<&Field> = indexed(fields)
        .filter(|field| matches!(field.mapping.kind, MappingKind::Object | MappingKind::Nested))
        .collect();
    if parents.is_empty() {
        return None;
    }
    let parent = dice.pick(&parents);
    if parent.mapping.kind == MappingKind::Nested && dice.chance(75) {
        return Some((parent.name.clone(), parent));
    }
    nested_list(dice, &parent.children).map(|(path, list)| (format!("{}.{path}", parent.name), list))
}

fn indexed(fields: &[Field]) -> impl Iterator<Item = &Field> {
    fields.iter().filter(|field| field.mapping.indexed)
}

fn test(dice: &mut Dice, fields: &[Field]) -> Filter {
    let candidates: Vec<&Field> = indexed(fields).collect();
    if candidates.is_empty() {
        return Filter::Test("true".to_owned());
    }
    let field = dice.pick(&candidates);
    let name = &field.name;
    let exists = |dice: &mut Dice| {
        Filter::Test(format!("{name} {}", dice.pick(&["EXISTS", "exists", "== null", "!= null"])))
    };
    if dice.chance(20) {
        return exists(dice);
    }
    let operator = match field.mapping.kind {
        MappingKind::Object | MappingKind::Nested => {
            return match test(dice, &field.children) {
                Filter::Test(inner) if inner != "true" => Filter::Test(format!("{name}.{inner}")),
                _ => exists(dice),
            };
        }
        MappingKind::GeoPoint => format!(
            "WITHIN ({}, {})",
            dice.pick(&["40.4, -3.7", "90, 0", "0, 179.995", "-0.0, 0"]),
            dice.pick(&["0", "1000", "'505km'", "'1 mi'", "'20000km'", "1e300"])
        ),
        MappingKind::Flattened => {
            let key = dice.pick(&["k", "l", "k.l", "`k.l`", "kk"]);
            let operator = match dice.chance(20) {
                true => "EXISTS".to_owned(),
                false => equality(dice, field),
            };
            return Filter::Test(format!("{name}.{key} {operator}"));
        }
        MappingKind::Text => match (field.mapping.has_exact_value(), dice.below(3)) {
            (_, 0) | (false, _) => format!(
                "MATCHES {}",
                quote(dice.pick(&[
                    "a", "x Y", "e", "é end", "日", "NEAR*(q)", "the", "12 a", "a b", "ab b", "y a"
                ]))
            ),
            (true, 1) => like(dice),
            (true, _) => equality(dice, field),
        },
        MappingKind::Keyword if field.enum_values.is_empty() => match dice.below(4) {
            0 => like(dice),
            1 => order(dice, field),
            _ => equality(dice, field),
        },
        MappingKind::Keyword | MappingKind::Boolean => equality(dice, field),
        MappingKind::Long | MappingKind::Double | MappingKind::Date => match dice.chance(50) {
            true => order(dice, field),
            false => equality(dice, field),
        },
    };
    let name = if field.kind == FieldKind::Virtual { format!("`{name}`") } else { name.clone() };
    Filter::Test(format!("{name} {operator}"))
}

fn like(dice: &mut Dice) -> String {
    format!(
        "LIKE {}",
        quote(dice.pick(&[
            "*",
            "a*",
            "?",
            "The *",
            "*n?",
            r"the\*end\?",
            "é",
            "\u{10ffff}*",
            "",
            "a\0*",
            "*a*b*"
        ]))
    )
}

fn order(dice: &mut Dice, field: &Field) -> String {
    format!("{} {}", dice.pick(&["<", "<=", ">", ">="]), literal(dice, field))
}

fn equality(dice: &mut Dice, field: &Field) -> String {
    if dice.chance(60) {
        return format!("{} {}", dice.pick(&["==", "!="]), literal(dice, field));
    }
    let count = dice.below(4);
    let values: Vec<String> = (0..count).map(|_| literal(dice, field)).collect();
    format!("{} [{}]", dice.pick(&["IN", "ANY", "ALL"]), values.join(", "))
}

fn literal(dice: &mut Dice, field: &Field) -> String {
    match field.mapping.kind {
        MappingKind::Keyword if !field.enum_values.is_empty() => quote(dice.pick(&ENUM)),
        MappingKind::Long => dice
            .pick(&[
                "0",
                "1",
                "-1",
                "2.0",
                "2",
                "9223372036854775807",
                "-9223372036854775808",
                "9007199254740992",
            ])
            .to_owned(),
        MappingKind::Double => {
            dice.pick(&["0", "-0.0", "0.1", "1e308", "5e-324", "2.5", "-2.5", "9007199254740993"]).to_owned()
        }
        MappingKind::Boolean => dice.pick(&["true", "false"]).to_owned(),
        MappingKind::Date => quote(dice.pick(&[
            "2024-01-01",
            "now",
            "now-7d/d",
            "2023-12-31T23:00:00-01:00",
            "2024-01-01||+1M",
            "9999-12-31||+1y",
            "now-999999y",
            "2024",
        ])),
        _ => quote(dice.pick(&TEXTS)),
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'").replace('\0', r"\u0000"))
}
