//! Schemas as codegen makes them, and documents that fit them, from a seed.

use apache_avro::types::Value as Avro;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Map, Value, json};

pub(super) struct Random(StdRng);

/// One document three times: as a gateway may write it, as it must read back, and as apache-avro has it.
pub(super) struct Made {
    pub(super) body: String,
    pub(super) json: Value,
    pub(super) avro: Avro,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    pub(super) fn schema(&mut self) -> Value {
        let mut schema = self.record("Root", "n", 0);
        let ty = ["string", "int", "long"][self.below(3)];
        let key = json!({"name": "key", "type": ty});
        schema["fields"].as_array_mut().unwrap().insert(0, key);
        schema
    }

    fn record(&mut self, name: &str, namespace: &str, depth: usize) -> Value {
        let below = format!("{namespace}.{name}");
        let fields = (0..=self.below(5)).map(|n| {
            let mut ty = match self.below(if depth < 3 { 9 } else { 7 }) {
                0 => json!("boolean"),
                1 => json!("int"),
                2 => json!("long"),
                3 => json!("double"),
                4 => json!("string"),
                5 => json!({"type": "string", "logicalType": "iso-8601"}),
                6 => json!({"type": "string", "logicalType": "json"}),
                _ => self.record(&format!("f{n}"), &below, depth + 1),
            };
            for _ in 0..[0, 0, 0, 1, 1, 2][self.below(6)] {
                ty = json!({"type": "array", "items": ["null", ty]});
            }
            json!({"name": format!("f{n}"), "type": ["null", ty], "default": null})
        });
        let fields: Vec<Value> = fields.collect();
        json!({"type": "record", "name": name, "namespace": namespace, "fields": fields})
    }

    pub(super) fn document(&mut self, schema: &Value) -> Made {
        let (body, json, avro) = match schema {
            Value::Array(_) if self.below(5) == 0 => {
                ("null".to_owned(), Value::Null, Avro::Union(0, Box::new(Avro::Null)))
            }
            Value::Array(branches) => {
                let made = self.document(&branches[1]);
                (made.body, made.json, Avro::Union(1, Box::new(made.avro)))
            }
            Value::String(name) => self.leaf(name),
            _ if schema["logicalType"] == "json" => {
                let json = self.any(0);
                let body = json.to_string().replace(':', " : ");
                // Where the text itself has a colon, it has more blanks now.
                (body.clone(), serde_json::from_str(&body).unwrap(), Avro::String(body))
            }
            _ => match schema["type"].as_str().unwrap() {
                "array" => self.list(&schema["items"]),
                "record" => self.object(schema["fields"].as_array().unwrap()),
                name => self.leaf(name),
            },
        };
        Made { body, json, avro }
    }

    fn list(&mut self, items: &Value) -> (String, Value, Avro) {
        // Long lists have more blocks than one; of objects they are a whole test's time.
        let is_long = items[1]["fields"].is_null() && self.below(20) == 0;
        let length = self.below(if is_long { 200 } else { 4 });
        let made: Vec<Made> = (0..length).map(|_| self.document(items)).collect();
        let body = made.iter().map(|made| made.body.as_str()).collect::<Vec<_>>().join(", ");
        let (json, avro) = made.into_iter().map(|made| (made.json, made.avro)).unzip();
        (format!("[{body}]"), Value::Array(json), Avro::Array(avro))
    }

    fn object(&mut self, fields: &[Value]) -> (String, Value, Avro) {
        let mut written = Vec::new();
        let (mut json, mut avro) = (Map::new(), Vec::new());
        for field in fields {
            let name = field["name"].as_str().unwrap();
            let made = self.document(&field["type"]);
            if !made.json.is_null() || self.below(2) == 0 {
                written.push(format!("{}: {}", self.quoted(name), made.body));
            }
            json.insert(name.to_owned(), made.json);
            avro.push((name.to_owned(), made.avro));
        }
        if self.below(3) == 0 {
            written.shuffle(&mut self.0);
        }
        (format!("{{ {} }}", written.join(",\n")), Value::Object(json), Avro::Record(avro))
    }

    fn leaf(&mut self, name: &str) -> (String, Value, Avro) {
        match name {
            "boolean" => {
                let value = self.below(2) == 0;
                (value.to_string(), json!(value), Avro::Boolean(value))
            }
            "int" => {
                let value = [i32::MIN, -1, 0, 63, 64, i32::MAX, self.0.random()][self.below(7)];
                (value.to_string(), json!(value), Avro::Int(value))
            }
            "long" => {
                let value = [i64::MIN, (1 << 53) + 1, 0, -64, -65, i64::MAX, self.0.random()][self.below(7)];
                (value.to_string(), json!(value), Avro::Long(value))
            }
            "double" => {
                let value = self.double();
                let body = if self.below(2) == 0 { format!("{value}") } else { format!("{value:e}") };
                (body, json!(value), Avro::Double(value))
            }
            _ => {
                let text = self.text();
                (self.quoted(&text), json!(text), Avro::String(text))
            }
        }
    }

    fn double(&mut self) -> f64 {
        let any = f64::from_bits(self.0.random());
        let known = [0.0, -0.0, 1.0, 0.1, -7.25, 1e21, 1e-7, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e20];
        if any.is_finite() && self.below(2) == 0 { any } else { known[self.below(known.len())] }
    }

    fn text(&mut self) -> String {
        let alphabet =
            ['a', 'Z', '"', '\\', '/', '\n', '\0', '\u{1f}', '\u{7f}', 'é', '\u{2028}', '😀', '\u{ffff}'];
        (0..self.below(12)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    /// A JSON string, in one of the ways in which it may be written.
    fn quoted(&mut self, text: &str) -> String {
        if self.below(3) > 0 {
            return Value::from(text).to_string();
        }
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    }

    /// Any JSON but null, for a scalar that can hold anything.
    fn any(&mut self, depth: usize) -> Value {
        match self.below(if depth < 3 { 6 } else { 4 }) {
            0 => json!(self.below(2) == 0),
            1 => json!(self.0.random::<i64>()),
            2 => json!(self.text()),
            3 => json!(0.5),
            4 => (0..self.below(4)).map(|_| self.any(depth + 1)).collect(),
            _ => (0..self.below(4)).map(|n| (format!("k{n}"), self.any(depth + 1))).collect(),
        }
    }
}
