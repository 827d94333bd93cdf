//! From a datum to JSON: unions are the value itself, dates and times numbers, bytes base64, decimals text.
//!
//! That is how Kafka Connect's JSON converter writes the same row, so that a path and a filter mean the same for both
//! encodings. Decimals alone differ: Connect has them in base64, too, from which no id can be read. The schema tells their
//! scale, so they become exact text, as Debezium's `decimal.handling.mode: string` has them.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Number, Value};

use super::{
    DatumError, MAX_DECODED_BYTES, MAX_DEPTH, WriterSchema,
    bytes::{Broken, Datum},
    decimal,
    schema::Type,
};

/// About what a value takes in memory beside its text: a node of the tree, and its share of the tree's own.
const NODE_BYTES: usize = 64;

/// Items of a list that take no byte, such as nulls: more of them mean nothing, and cost.
const MAX_EMPTY_ITEMS: usize = 10_000;

impl WriterSchema {
    /// The JSON of a datum that was written with this schema. Nothing may follow the datum.
    pub fn decode(&self, datum: &[u8]) -> Result<Value, DatumError> {
        let mut decoder =
            Decoder { types: &self.types, datum: Datum::new(datum), memory: 0, steps: Vec::new() };
        let read = decoder.value(self.root, 0).and_then(|value| match decoder.datum.is_empty() {
            true => Ok(value),
            false => Err(Broken::Damaged("something follows the datum")),
        });
        read.map_err(|broken| {
            decoder.steps.reverse();
            DatumError { path: decoder.steps.join("."), reason: broken.reason() }
        })
    }
}

struct Decoder<'s> {
    types: &'s [Type],
    datum: Datum<'s>,
    /// About what has been made so far, in bytes.
    memory: usize,
    /// The way to what is broken, innermost first.
    steps: Vec<String>,
}

impl<'s> Decoder<'s> {
    fn value(&mut self, ty: usize, depth: usize) -> Result<Value, Broken> {
        self.grow(NODE_BYTES)?;
        if depth > MAX_DEPTH {
            return Err(Broken::Damaged("values stand inside each other in too many levels"));
        }
        Ok(match &self.types[ty] {
            Type::Null => Value::Null,
            Type::Boolean => self.datum.boolean()?.into(),
            Type::Int => {
                let value = self.datum.long()?;
                i32::try_from(value).map_err(|_| Broken::Damaged("an int has more than 32 bits"))?.into()
            }
            Type::Long => self.datum.long()?.into(),
            Type::Float => {
                let value = f32::from_le_bytes(self.datum.array()?);
                // By way of its shortest text: 0.1 stays 0.1.
                number(f64::from(value), value.to_string().parse().ok())
            }
            Type::Double => {
                let value = f64::from_le_bytes(self.datum.array()?);
                number(value, Some(value))
            }
            Type::Bytes => {
                let bytes = self.datum.bytes()?;
                self.base64(bytes)?
            }
            Type::Fixed(size) => {
                let bytes = self.datum.take(*size)?;
                self.base64(bytes)?
            }
            Type::Decimal { size, scale } => {
                let bytes = match size {
                    Some(size) => self.datum.take(*size)?,
                    None => self.datum.bytes()?,
                };
                self.decimal(bytes, *scale)?
            }
            Type::Uuid => uuid(self.datum.array()?).into(),
            Type::String => {
                let text = self.datum.text()?;
                self.grow(text.len())?;
                text.into()
            }
            Type::Enum(symbols) => {
                let index = usize::try_from(self.datum.long()?).ok();
                let symbol = index.and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or(Broken::Damaged("an enum has no such symbol"))?;
                self.grow(symbol.len())?;
                (**symbol).into()
            }
            Type::Array(items) => self.array(*items, depth)?,
            Type::Map(values) => self.map(*values, depth)?,
            Type::Union(branches) => {
                let index = usize::try_from(self.datum.long()?).ok();
                let branch = index.and_then(|index| branches.get(index));
                self.value(*branch.ok_or(Broken::Damaged("a union has no such branch"))?, depth + 1)?
            }
            Type::Record { fields, is_variable_decimal } => {
                self.record(fields, *is_variable_decimal, depth)?
            }
        })
    }

    fn record(
        &mut self,
        fields: &'s [(Box<str>, usize)],
        is_variable_decimal: bool,
        depth: usize,
    ) -> Result<Value, Broken> {
        let mut object = Map::new();
        let mut unscaled: Option<&[u8]> = None;
        for (name, ty) in fields {
            self.grow(name.len())?;
            let before = self.datum;
            let value = self.below(*ty, depth, || name.to_string())?;
            if is_variable_decimal && &**name == "value" && self.types[*ty] == Type::Bytes {
                unscaled = Datum::clone(&before).bytes().ok();
            }
            object.insert(name.to_string(), value);
        }
        let scale = object.get("scale").and_then(Value::as_i64).and_then(|scale| scale.try_into().ok());
        match (unscaled, scale) {
            (Some(unscaled), Some(scale)) => self.decimal(unscaled, scale),
            _ => Ok(Value::Object(object)),
        }
    }

    fn array(&mut self, items: usize, depth: usize) -> Result<Value, Broken> {
        let mut list = Vec::new();
        loop {
            let count = self.datum.block()?;
            if count == 0 {
                return Ok(Value::Array(list));
            }
            for _ in 0..count {
                let (index, left) = (list.len(), self.datum.len());
                list.push(self.below(items, depth, || index.to_string())?);
                // Items that take bytes are as many as there are bytes; others may claim to be any number.
                if left == self.datum.len() && index >= MAX_EMPTY_ITEMS {
                    return Err(Broken::Damaged("a list has too many items without a byte"));
                }
            }
        }
    }

    fn map(&mut self, values: usize, depth: usize) -> Result<Value, Broken> {
        let mut object = Map::new();
        loop {
            let count = self.datum.block()?;
            if count == 0 {
                return Ok(Value::Object(object));
            }
            for _ in 0..count {
                let name = self.datum.text()?;
                self.grow(name.len())?;
                let value = self.below(values, depth, || name.to_owned())?;
                object.insert(name.to_owned(), value);
            }
        }
    }

    fn below(&mut self, ty: usize, depth: usize, step: impl FnOnce() -> String) -> Result<Value, Broken> {
        let read = self.value(ty, depth + 1);
        if read.is_err() {
            self.steps.push(step());
        }
        read
    }

    fn base64(&mut self, bytes: &[u8]) -> Result<Value, Broken> {
        self.grow(bytes.len() / 3 * 4)?;
        Ok(BASE64_STANDARD.encode(bytes).into())
    }

    fn decimal(&mut self, unscaled: &[u8], scale: i32) -> Result<Value, Broken> {
        match decimal::text(unscaled, scale) {
            Some(text) => {
                self.grow(text.len())?;
                Ok(text.into())
            }
            None => self.base64(unscaled),
        }
    }

    fn grow(&mut self, by: usize) -> Result<(), Broken> {
        self.memory += by;
        match self.memory > MAX_DECODED_BYTES {
            true => Err(Broken::Damaged("it becomes too large")),
            false => Ok(()),
        }
    }
}

/// A number; what JSON has no number for is text, as Kafka Connect writes it.
fn number(value: f64, shortest: Option<f64>) -> Value {
    match shortest.and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value < 0.0 => "-Infinity".into(),
        None => "Infinity".into(),
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut text = format!("{:032x}", u128::from_be_bytes(bytes));
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}
