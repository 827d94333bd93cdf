//! From a datum back to JSON text, in the order of the schema. A datum may come from any writer, and may be damaged.

use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::avro::bytes::{Broken, Datum};

use super::{
    DocumentError, DocumentSchema, Fault, MAX_JSON_BYTES, Step, error,
    schema::{Kind, Node, Record},
};

/// How much longer a number can be when it is read back: `1e20` has four bytes, and its digits 21.
const MAX_GROWTH: usize = 8;

/// From here on, and below one over it, JavaScript writes doubles with an exponent, and so do we.
const EXPONENT_FROM: f64 = 1e21;
const EXPONENT_BELOW: f64 = 1e-6;

impl DocumentSchema {
    /// The JSON of a datum that was written with this schema, by any writer. Nothing may follow the datum.
    pub fn decode(&self, datum: &[u8]) -> Result<String, DocumentError> {
        let mut decoder = Decoder {
            datum: Datum::new(datum),
            json: Vec::with_capacity(datum.len() * 2),
            steps: Vec::new(),
        };
        let mut read = decoder.node(&self.root);
        if read.is_ok() && !decoder.datum.is_empty() {
            read = Err(Fault::Damaged("something follows the document"));
        }
        read.map_err(|fault| error(fault, &decoder.steps))?;
        Ok(String::from_utf8(decoder.json).expect("names and texts are UTF-8"))
    }
}

struct Decoder<'d> {
    datum: Datum<'d>,
    json: Vec<u8>,
    /// The way to a fault, innermost first.
    steps: Vec<Step>,
}

impl Decoder<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Fault> {
        if node.nullable {
            match self.datum.long()? {
                0 => {
                    self.json.extend_from_slice(b"null");
                    return Ok(());
                }
                1 => {}
                _ => return Err(Fault::Damaged("a union has two branches")),
            }
        }
        match &node.kind {
            Kind::Boolean => {
                let value = self.datum.boolean()?;
                self.print(&value);
            }
            Kind::Int => {
                let value = self.datum.long()?;
                let value = i32::try_from(value)
                    .map_err(|_| Fault::TooBig { wanted: node.kind.wanted(), found: value.to_string() })?;
                self.print(&value);
            }
            Kind::Long => {
                let value = self.datum.long()?;
                self.print(&value);
            }
            Kind::Double => self.double()?,
            Kind::String => {
                let text = self.datum.text()?;
                self.print(text);
            }
            Kind::Json => {
                let text = self.datum.text()?;
                // Whoever wrote it may not have looked.
                let raw: &RawValue =
                    serde_json::from_str(text).map_err(|error| Fault::NotJson(error.to_string()))?;
                self.json.extend_from_slice(raw.get().as_bytes());
            }
            Kind::List(items) => self.list(items)?,
            Kind::Record(record) => self.record(record)?,
        }
        if self.json.len() > MAX_JSON_BYTES * MAX_GROWTH { Err(Fault::TooLong) } else { Ok(()) }
    }

    fn record(&mut self, record: &Record) -> Result<(), Fault> {
        let mut before = b'{';
        for field in &record.fields {
            self.json.push(before);
            before = b',';
            self.print(&*field.name);
            self.json.push(b':');
            let read = self.node(&field.node);
            read.inspect_err(|_| self.steps.push(Step::Name(field.name.to_string())))?;
        }
        self.json.push(b'}');
        Ok(())
    }

    /// Blocks of items, the last one empty. Each item has a byte at least, which bounds the count.
    fn list(&mut self, items: &Node) -> Result<(), Fault> {
        self.json.push(b'[');
        let mut index = 0;
        loop {
            let count = self.datum.block()?;
            if count == 0 {
                break;
            }
            if count > self.datum.len() as u64 {
                return Err(Fault::Cut);
            }
            for _ in 0..count {
                if index > 0 {
                    self.json.push(b',');
                }
                let read = self.node(items);
                read.inspect_err(|_| self.steps.push(Step::Index(index)))?;
                index += 1;
            }
        }
        self.json.push(b']');
        Ok(())
    }

    fn double(&mut self) -> Result<(), Fault> {
        let value = f64::from_le_bytes(self.datum.array()?);
        if !value.is_finite() {
            return Err(Fault::WrongType {
                wanted: "a double",
                found: format!("{value}, which JSON has not"),
            });
        }
        let size = value.abs();
        let written = if size >= EXPONENT_FROM || (size > 0.0 && size < EXPONENT_BELOW) {
            write!(self.json, "{value:e}")
        } else {
            write!(self.json, "{value}")
        };
        written.expect("memory can be written to");
        Ok(())
    }

    /// A number, a boolean or a text as JSON has it.
    fn print<T: Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.json, value).expect("memory can be written to");
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cut => Self::Cut,
            Broken::Damaged(what) => Self::Damaged(what),
        }
    }
}
