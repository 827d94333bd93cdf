//! From JSON text to a datum: the parser's events are written as they come, in the order of the schema.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    DocumentError, DocumentSchema, Fault, MAX_JSON_BYTES, Step, error,
    schema::{Kind, Node, Record},
    start_of,
};

/// Items of a list that share a block. Up to here its length is one byte, so that nothing moves when the last is known.
const BLOCK: u8 = 63;

/// What a field that is left out costs beside its name when it is read back: `"":null,`.
const NULL_FIELD_BYTES: usize = 8;

/// 2^63: where integers of 64 bits end.
const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

impl DocumentSchema {
    /// Appends the datum of a document to `datum`, without any header. Keys may come in any order; what is left out is
    /// null. On an error `datum` is as it was.
    pub fn encode(&self, body: &str, datum: &mut Vec<u8>) -> Result<(), DocumentError> {
        let start = datum.len();
        // Without its names a document has about half its length.
        datum.reserve(body.len().min(MAX_JSON_BYTES) / 2);
        let mut encoder = Encoder {
            datum,
            spans: Vec::new(),
            sorted: Vec::new(),
            json_bytes: body.len(),
            fault: None,
            steps: Vec::new(),
        };
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let written = match encoder.within_limit() {
            Ok(()) => At { encoder: &mut encoder, node: &self.root }.deserialize(&mut deserializer),
            Err(refused) => Err(refused),
        };
        let Err(refused) = written.and_then(|()| deserializer.end()) else { return Ok(()) };
        let fault = encoder.fault.take().unwrap_or_else(|| Fault::NotJson(refused.to_string()));
        let error = error(fault, &encoder.steps);
        datum.truncate(start);
        Err(error)
    }
}

struct Encoder<'d> {
    datum: &'d mut Vec<u8>,
    /// Where the fields of the open records stand in the datum, by their index; the innermost record's last.
    spans: Vec<Option<(usize, usize)>>,
    /// Room for the fields of a record that came in another order.
    sorted: Vec<u8>,
    /// At most so long is the JSON that the datum will be read back to.
    json_bytes: usize,
    /// What was wrong; the parser's errors carry text alone.
    fault: Option<Fault>,
    /// The way to it, innermost first.
    steps: Vec<Step>,
}

impl Encoder<'_> {
    /// Keeps the fault and gives the parser an error to stop with.
    fn refuse<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("")
    }

    fn wrong_type<E: serde::de::Error>(&mut self, node: &Node, found: impl Into<String>) -> E {
        self.refuse(Fault::WrongType { wanted: node.kind.wanted(), found: found.into() })
    }

    fn within_limit<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.json_bytes > MAX_JSON_BYTES { Err(self.refuse(Fault::TooLong)) } else { Ok(()) }
    }

    /// Says that a value follows and not null, where null could stand.
    fn present(&mut self, node: &Node) {
        if node.nullable {
            self.long(1);
        }
    }

    fn null<E: serde::de::Error>(&mut self, node: &Node) -> Result<(), E> {
        if !node.nullable {
            return Err(self.refuse(Fault::Null));
        }
        self.long(0);
        Ok(())
    }

    /// Avro's integers: zigzag, then seven bits a byte, the lowest first.
    fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                return self.datum.push(low);
            }
            self.datum.push(low | 0x80);
        }
    }

    fn text(&mut self, text: &str) {
        self.long(i64::try_from(text.len()).expect("a text is shorter than half the address space"));
        self.datum.extend_from_slice(text.as_bytes());
    }

    fn integer<E: serde::de::Error>(&mut self, node: &Node, value: i64) -> Result<(), E> {
        let fits = match node.kind {
            Kind::Int => i32::try_from(value).is_ok(),
            Kind::Long => true,
            _ => return Err(self.wrong_type(node, format!("the number {value}"))),
        };
        if !fits {
            let fault = Fault::TooBig { wanted: node.kind.wanted(), found: value.to_string() };
            return Err(self.refuse(fault));
        }
        self.present(node);
        self.long(value);
        Ok(())
    }

    /// The parser's own doubles may be off by the last bit; the standard library's are not.
    fn double<E: serde::de::Error>(&mut self, node: &Node, raw: &str) -> Result<(), E> {
        let Ok(value) = raw.parse::<f64>() else {
            return Err(self.wrong_type(node, described(raw)));
        };
        if !value.is_finite() {
            let fault = Fault::TooBig { wanted: node.kind.wanted(), found: start_of(raw) };
            return Err(self.refuse(fault));
        }
        self.present(node);
        self.datum.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn list<'de, A: SeqAccess<'de>>(&mut self, items: &Node, mut list: A) -> Result<(), A::Error> {
        let mut head = self.datum.len();
        self.datum.push(0);
        let (mut count, mut index) = (0, 0);
        loop {
            let item = list.next_element_seed(At { encoder: self, node: items });
            let item = item.inspect_err(|_| self.steps.push(Step::Index(index)))?;
            if item.is_none() {
                break;
            }
            index += 1;
            count += 1;
            self.datum[head] = count << 1;
            if count == BLOCK {
                count = 0;
                head = self.datum.len();
                self.datum.push(0);
            }
        }
        // An empty block ends the list; where nothing was written after the last head, that is one.
        if count > 0 {
            self.datum.push(0);
        }
        Ok(())
    }

    fn record<'de, A: MapAccess<'de>>(&mut self, record: &Record, mut object: A) -> Result<(), A::Error> {
        let (start, base) = (self.datum.len(), self.spans.len());
        self.spans.resize(base + record.fields.len(), None);
        let (mut next, mut is_sorted) = (0, true);
        while let Some(at) = object.next_key_seed(Key { encoder: self, record, next })? {
            let field = &record.fields[at];
            let from = self.datum.len();
            let written = if self.spans[base + at].is_some() {
                Err(self.refuse(Fault::Twice))
            } else {
                object.next_value_seed(At { encoder: self, node: &field.node })
            };
            written.inspect_err(|_| self.steps.push(Step::Name(field.name.to_string())))?;
            self.spans[base + at] = Some((from, self.datum.len()));
            is_sorted &= at == next;
            next = at + 1;
        }
        if !is_sorted || next < record.fields.len() {
            self.sort(record, start, base)?;
        }
        self.spans.truncate(base);
        Ok(())
    }

    /// Brings the fields of a record into the schema's order and puts null where one was left out.
    fn sort<E: serde::de::Error>(&mut self, record: &Record, start: usize, base: usize) -> Result<(), E> {
        self.sorted.clear();
        for (field, span) in record.fields.iter().zip(&self.spans[base..]) {
            match span {
                Some((from, to)) => self.sorted.extend_from_slice(&self.datum[*from..*to]),
                None if field.node.nullable => {
                    self.json_bytes += field.name.len() + NULL_FIELD_BYTES;
                    self.sorted.push(0);
                }
                None => {
                    self.steps.push(Step::Name(field.name.to_string()));
                    return Err(self.refuse(Fault::Null));
                }
            }
        }
        self.datum.truncate(start);
        self.datum.extend_from_slice(&self.sorted);
        self.within_limit()
    }
}

/// Writes the value that the parser meets, as the schema wants it.
struct At<'e, 'd, 's> {
    encoder: &'e mut Encoder<'d>,
    node: &'s Node,
}

impl<'de> DeserializeSeed<'de> for At<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { encoder, node } = self;
        if !matches!(node.kind, Kind::Double | Kind::Json) {
            return deserializer.deserialize_any(At { encoder, node });
        }
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match node.kind {
            _ if raw == "null" => encoder.null(node),
            Kind::Double => encoder.double(node, raw),
            _ => {
                encoder.present(node);
                encoder.text(raw);
                Ok(())
            }
        }
    }
}

impl<'de> Visitor<'de> for At<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.node.kind.wanted())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.encoder.null(self.node)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.node.kind, Kind::Boolean) {
            return Err(self.encoder.wrong_type(self.node, value.to_string()));
        }
        self.encoder.present(self.node);
        self.encoder.datum.push(u8::from(value));
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.encoder.integer(self.node, value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match (i64::try_from(value), &self.node.kind) {
            (Ok(value), _) => self.encoder.integer(self.node, value),
            (Err(_), Kind::Int | Kind::Long) => {
                let fault = Fault::TooBig { wanted: self.node.kind.wanted(), found: value.to_string() };
                Err(self.encoder.refuse(fault))
            }
            (Err(_), _) => Err(self.encoder.wrong_type(self.node, format!("the number {value}"))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let found = format!("{value:?}");
        match self.node.kind {
            // An integer that 64 bits can't hold arrives as a double.
            Kind::Int | Kind::Long if value.abs() >= BEYOND_INTEGERS => {
                let fault = Fault::TooBig { wanted: self.node.kind.wanted(), found };
                Err(self.encoder.refuse(fault))
            }
            _ => Err(self.encoder.wrong_type(self.node, format!("the number {found}"))),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.node.kind, Kind::String) {
            return Err(self.encoder.wrong_type(self.node, format!("the text {:?}", start_of(text))));
        }
        self.encoder.present(self.node);
        self.encoder.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let Kind::List(items) = &self.node.kind else {
            return Err(self.encoder.wrong_type(self.node, "a list"));
        };
        self.encoder.present(self.node);
        self.encoder.list(items, list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        let Kind::Record(record) = &self.node.kind else {
            return Err(self.encoder.wrong_type(self.node, "an object"));
        };
        self.encoder.present(self.node);
        self.encoder.record(record, object)
    }
}

/// Reads a key as the index of its field.
struct Key<'e, 'd, 's> {
    encoder: &'e mut Encoder<'d>,
    record: &'s Record,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_, '_> {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        self.record.position(name, self.next).ok_or_else(|| {
            self.encoder.steps.push(Step::Name(start_of(name)));
            self.encoder.refuse(Fault::Unknown)
        })
    }
}

/// What a raw value is, for an error.
fn described(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => format!("the text {}", start_of(raw)),
        Some(b'[') => "a list".to_owned(),
        Some(b'{') => "an object".to_owned(),
        _ => start_of(raw),
    }
}
