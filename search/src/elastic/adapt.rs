//! Documents whose values an engine would read in another way than the filter language does, or refuse.
//!
//! Nearly every document fits: GraphQL's own types leave no choice, and looking costs no tree. Custom scalars may hold
//! anything, though, and then the fields are written anew: each value in the one form that every store reads alike, what
//! fits no type left out. The document as it was answered is kept beside them.

use std::{borrow::Cow, cell::Cell};

use plan::{
    Field,
    field::MappingKind,
    filter::{Scalar, date, flattened, point::Point},
};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::client::Engine;
use crate::document::{MAX_ELEMENTS, too_many_elements};

/// `OpenSearch` refuses a document with a longer value, key included, in an object of unknown keys.
const LONGEST_FLATTENED: usize = 16_000;

/// Numbers of fewer digits could be read as years.
const FIRST_MILLISECOND: u64 = 100_000;

/// The end of the calendar, where later dates are cut to: 9999-12-30T22:00:00.999Z.
const LAST_MILLISECOND: u64 = 253_402_207_200_999;

/// What the engine is to index in place of the body; `None` where the body fits as it is. The error says why it can't be
/// indexed at all.
pub(super) fn adapt(engine: Engine, fields: &[Field], body: &str) -> Result<Option<String>, String> {
    let look = Look { engine, fits: Cell::new(true), elements: Cell::new(0) };
    let mut reader = serde_json::Deserializer::from_str(body);
    let is_object = Object { fields, look: &look }.deserialize(&mut reader).and_then(|is_object| {
        reader.end()?;
        Ok(is_object)
    });
    match is_object {
        Err(error) => return Err(format!("the body is not JSON: {error}")),
        Ok(false) => return Err("the body is not a JSON object".to_owned()),
        Ok(true) => {}
    }
    if look.elements.get() > MAX_ELEMENTS {
        return Err(too_many_elements());
    }
    if look.fits.get() {
        return Ok(None);
    }
    let document = serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    Ok(Some(Value::Object(adapted(fields, document)).to_string()))
}

/// What was seen of a document.
struct Look {
    engine: Engine,
    fits: Cell<bool>,
    elements: Cell<i64>,
}

impl Look {
    fn check(&self, fits: bool) {
        self.fits.set(self.fits.get() && fits);
    }
}

/// An object with fields that are known. Says whether there is one.
#[derive(Clone, Copy)]
struct Object<'a> {
    fields: &'a [Field],
    look: &'a Look,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

/// Answers for every JSON value but objects and lists.
macro_rules! scalars {
    ($value:expr, $($visit:ident($type:ty)),*) => {
        $(fn $visit<E>(self, value: $type) -> Result<Self::Value, E> { Ok($value(self, Seen::from(value))) })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($value(self, Seen::Null)) }
    };
    ($value:expr) => {
        scalars!($value, visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    };
}

/// A JSON value without others in it.
enum Seen<'v> {
    Null,
    Boolean,
    /// With its distance from zero.
    Integer(u64),
    /// A whole number past 2^63.
    Huge,
    Double(f64),
    Text(&'v str),
}

impl From<bool> for Seen<'_> {
    fn from(_: bool) -> Self {
        Seen::Boolean
    }
}

impl From<i64> for Seen<'_> {
    fn from(value: i64) -> Self {
        Seen::Integer(value.unsigned_abs())
    }
}

impl From<u64> for Seen<'_> {
    fn from(value: u64) -> Self {
        if i64::try_from(value).is_ok() { Seen::Integer(value) } else { Seen::Huge }
    }
}

impl From<f64> for Seen<'_> {
    fn from(value: f64) -> Self {
        Seen::Double(value)
    }
}

impl<'v> From<&'v str> for Seen<'v> {
    fn from(value: &'v str) -> Self {
        Seen::Text(value)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    scalars!(|_, _| false);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let mut expected = 0;
        while let Some(at) = entries.next_key_seed(Name { fields: self.fields, expected })? {
            match at {
                Some(at) => {
                    expected = at + 1;
                    entries.next_value_seed(At { field: &self.fields[at], look: self.look })?;
                }
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(true)
    }
}

/// The name of a field. Answers come in the order of the query, so the next one is looked at first.
struct Name<'a> {
    fields: &'a [Field],
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<usize>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let is_expected = self.fields.get(self.expected).is_some_and(|field| field.name == name);
        Ok(match is_expected {
            true => Some(self.expected),
            false => self.fields.iter().position(|field| field.name == name),
        })
    }
}

/// The value of a field.
#[derive(Clone, Copy)]
struct At<'a> {
    field: &'a Field,
    look: &'a Look,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if !self.field.mapping.indexed {
            return IgnoredAny::deserialize(reader).map(drop);
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    scalars!(|at: Self, seen| at.look.check(fits(at.field.mapping.kind, &seen)));

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        match self.field.mapping.kind {
            // Both engines would take a list of two numbers for a point.
            MappingKind::GeoPoint => {
                while items.next_element_seed(PointItem { look: self.look })?.is_some() {}
            }
            MappingKind::Flattened => {
                self.look.check(self.look.engine == Engine::Elasticsearch);
                while items.next_element_seed(self)?.is_some() {}
            }
            _ => while items.next_element_seed(self)?.is_some() {},
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let Self { field, look } = self;
        match field.mapping.kind {
            MappingKind::Nested => {
                look.elements.set(look.elements.get() + 1);
                Object { fields: &field.children, look }.visit_map(entries).map(drop)
            }
            MappingKind::Object => Object { fields: &field.children, look }.visit_map(entries).map(drop),
            MappingKind::Flattened => Unknown { look }.visit_map(entries),
            MappingKind::GeoPoint => PointItem { look }.visit_map(entries),
            _ => {
                look.check(false);
                IgnoredAny.visit_map(entries).map(drop)
            }
        }
    }
}

/// Whether both engines read a value just as the filter language does.
fn fits(kind: MappingKind, seen: &Seen<'_>) -> bool {
    match (kind, seen) {
        (_, Seen::Null)
        | (MappingKind::Long, Seen::Integer(_))
        | (MappingKind::Boolean, Seen::Boolean)
        | (MappingKind::Double, Seen::Integer(_) | Seen::Huge) => true,
        (MappingKind::Keyword | MappingKind::Text, seen) => !matches!(seen, Seen::Double(_)),
        (MappingKind::Double, Seen::Double(double)) => *double != 0.0 || double.is_sign_positive(),
        (MappingKind::Date, Seen::Text(text)) => is_plain_date(text),
        (MappingKind::Date, Seen::Integer(distance)) => {
            (FIRST_MILLISECOND..=LAST_MILLISECOND).contains(distance)
        }
        _ => false,
    }
}

/// `2024-01-31`, or with a time and an offset: what is written so means the same to everyone.
fn is_plain_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_form = |form: &[u8]| {
        bytes.len() >= form.len()
            && bytes.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
    };
    let is_date = bytes.len() == 10 && has_form(b"0000-00-00");
    let is_time = has_form(b"0000-00-00T00:00:00") && bytes[17] < b'6' && {
        let rest = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let fraction = bytes.len() - 19 - rest.len();
        let is_offset = rest.len() == 6 && rest.starts_with(['+', '-']) && rest.as_bytes()[3] == b':';
        fraction <= 10 && (rest.is_empty() || rest == "Z" || is_offset)
    };
    // The last days of the calendar are cut to its last moment.
    (is_date || is_time) && !text.starts_with("9999-12-3") && date::parse_iso(text).is_some()
}

/// A point, or something in a list of them.
#[derive(Clone, Copy)]
struct PointItem<'a> {
    look: &'a Look,
}

impl<'de> DeserializeSeed<'de> for PointItem<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PointItem<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    scalars!(|item: Self, seen: Seen<'_>| item.look.check(matches!(seen, Seen::Null)));

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.look.check(false);
        IgnoredAny.visit_seq(items).map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (mut known, mut others) = ([None, None], false);
        while let Some(name) = entries.next_key::<Cow<'_, str>>()? {
            match &*name {
                "lat" => known[0] = entries.next_value::<Value>()?.as_f64(),
                "lon" => known[1] = entries.next_value::<Value>()?.as_f64(),
                _ => {
                    others = true;
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        let is_point = matches!(known, [Some(lat), Some(lon)] if Point::new(lat, lon).is_some());
        self.look.check(is_point && !others);
        Ok(())
    }
}

/// Something in an object of unknown keys.
#[derive(Clone, Copy)]
struct Unknown<'a> {
    look: &'a Look,
}

impl<'de> DeserializeSeed<'de> for Unknown<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unknown<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    scalars!(|value: Self, seen: Seen<'_>| {
        let is_plain = value.look.engine == Engine::Elasticsearch;
        value.look.check(match seen {
            Seen::Null | Seen::Boolean | Seen::Integer(_) | Seen::Huge => is_plain,
            Seen::Double(_) => false,
            Seen::Text(text) => is_plain || text.len() < LONGEST_FLATTENED,
        });
    });

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.look.check(self.look.engine == Engine::Elasticsearch);
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut is_empty = true;
        while let Some(name) = entries.next_key::<Cow<'_, str>>()? {
            is_empty = false;
            let is_plain = !name.is_empty() && !name.contains(['\0', '.']);
            self.look.check(is_plain && name.len() < LONGEST_FLATTENED / 16);
            entries.next_value_seed(self)?;
        }
        self.look.check(!is_empty || self.look.engine == Engine::Elasticsearch);
        Ok(())
    }
}

fn adapted(fields: &[Field], document: Map<String, Value>) -> Map<String, Value> {
    let mut adapted = Map::with_capacity(document.len());
    for (name, value) in document {
        let value = match fields.iter().find(|field| field.name == name) {
            Some(field) if field.mapping.indexed => adapt_value(field, value),
            _ => Some(value),
        };
        adapted.extend(value.map(|value| (name, value)));
    }
    adapted
}

/// The values of a field, each in its one form; `None` where nothing fits.
fn adapt_value(field: &Field, value: Value) -> Option<Value> {
    let kind = field.mapping.kind;
    if kind == MappingKind::Flattened {
        return adapt_flattened(&value);
    }
    let is_list = value.is_array();
    let mut values = Vec::new();
    each(value, &mut |value| match (kind, value) {
        (MappingKind::Object | MappingKind::Nested, Value::Object(object)) => {
            values.push(Value::Object(adapted(&field.children, object)));
        }
        (MappingKind::GeoPoint, value) => {
            let point = Point::read(&value);
            values.extend(point.map(|point| json!({"lat": point.lat, "lon": point.lon})));
        }
        (_, value) => values.extend(Scalar::read(kind, &value).map(scalar)),
    });
    match values.len() {
        0 => None,
        1 if !is_list => values.pop(),
        _ => Some(Value::Array(values)),
    }
}

/// Calls back with everything in lists of lists.
fn each(value: Value, found: &mut dyn FnMut(Value)) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| each(item, found)),
        value => found(value),
    }
}

/// One level of dotted keys, each with a list of texts: there are no two ways to read that.
fn adapt_flattened(value: &Value) -> Option<Value> {
    let mut terms: Map<String, Value> = Map::new();
    let mut objects = Vec::new();
    each(value.clone(), &mut |value| objects.push(value));
    for object in objects.iter().filter_map(Value::as_object) {
        flattened::each(object, &mut |key, text| {
            if key.len() + text.len() < LONGEST_FLATTENED {
                let texts = terms.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                texts.as_array_mut().expect("only lists are put in").push(text.into());
            }
        });
    }
    (!terms.is_empty()).then_some(Value::Object(terms))
}

fn scalar(scalar: Scalar<'_>) -> Value {
    match scalar {
        Scalar::Text(text) => text.into(),
        Scalar::Integer(integer) => integer.into(),
        Scalar::Double(double) => double.into(),
        Scalar::Boolean(truth) => truth.into(),
        Scalar::Instant(instant) => moment(instant),
    }
}

/// A date as both engines read it.
pub(super) fn moment(instant: i64) -> Value {
    date::timestamp(instant).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into()
}
