//! A GraphQL answer taken apart into raw slices: documents are never parsed into a JSON tree here.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::GraphError;

/// Codes with which gateways say that the query itself is not valid, whatever the HTTP status was.
const REFUSED_CODES: [&str; 4] = [
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "PERSISTED_QUERY_NOT_FOUND",
    "OPERATION_RESOLUTION_FAILURE",
];

/// Codes with which gateways say that they don't know the caller.
const UNAUTHORIZED_CODES: [&str; 2] = ["UNAUTHENTICATED", "FORBIDDEN"];

/// Codes of a 400 that is about the variables of one request.
const VARIABLE_CODES: [&str; 3] = ["BAD_USER_INPUT", "INVALID_VARIABLE", "VALIDATION_INVALID_TYPE_VARIABLE"];

/// An answer: slices of the body by the response key of the root fields, and errors.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The root fields; `None` where `data` is null or missing.
    pub data: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    /// The errors.
    pub errors: Vec<AnswerError>,
}

/// One error of an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AnswerError {
    /// What went wrong, as the gateway says it.
    #[serde(default)]
    pub message: String,
    /// Response keys and indices down to what failed; gateways leave it out for requests that failed as a whole.
    #[serde(default)]
    pub path: Option<Vec<Value>>,
    /// Codes and whatever the gateway adds.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub extensions: Map<String, Value>,
}

impl AnswerError {
    /// `extensions.code`.
    pub fn code(&self) -> Option<&str> {
        self.extensions.get("code")?.as_str()
    }

    /// The path's names without indices; empty where there is no path.
    pub fn names(&self) -> Vec<&str> {
        self.path.iter().flatten().filter_map(Value::as_str).filter(|name| *name != "@").collect()
    }

    /// The path below the document: what follows the root field, and the index in its list. Apollo Router's `@`, which stands
    /// for any index, is left out.
    pub fn below_root(&self) -> Vec<&Value> {
        let below = self.path.iter().flatten().skip(1).filter(|step| *step != "@");
        below.skip_while(|step| step.is_number()).collect()
    }
}

impl<'a> Answer<'a> {
    /// Takes a body apart. An answer that refuses the whole query or the caller is an error.
    pub fn parse(body: &'a [u8]) -> Result<Self, GraphError> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow, default)]
            data: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
            #[serde(default)]
            errors: Option<Vec<AnswerError>>,
        }
        let text = std::str::from_utf8(body).map_err(|_| GraphError::NotGraphql("it is not UTF-8".into()))?;
        let raw: Raw<'a> = serde_json::from_str(text)
            .map_err(|error| GraphError::NotGraphql(format!("{error}: {}", start_of(text))))?;
        let errors = raw.errors.unwrap_or_default();
        let data = raw.data;
        if data.is_none() && errors.is_empty() {
            return Err(GraphError::NotGraphql(format!(
                "it has neither data nor errors: {}",
                start_of(text)
            )));
        }
        if data.is_none()
            && let Some(refusal) = errors.iter().find_map(refusal)
        {
            return Err(refusal);
        }
        Ok(Self { data, errors })
    }
}

/// What an error without any data says about every later request.
fn refusal(error: &AnswerError) -> Option<GraphError> {
    let code = error.code()?;
    match () {
        () if REFUSED_CODES.contains(&code) => Some(GraphError::Refused(error.message.clone())),
        // With a path it is one field that is forbidden, and that is the document's business.
        () if UNAUTHORIZED_CODES.contains(&code) && error.path.is_none() => {
            Some(GraphError::Unauthorized(error.message.clone()))
        }
        () => None,
    }
}

/// The first error's message of a body that may be anything.
pub(super) fn first_error_message(body: &[u8]) -> Option<String> {
    Some(first_error(body)?.message)
}

/// The first error's code of a body that may be anything.
pub(super) fn first_error_code(body: &[u8]) -> Option<String> {
    first_error(body)?.code().map(str::to_owned)
}

/// Whether a code says that the variables of one request are wrong, and not the query.
pub(super) fn is_about_variables(code: &str) -> bool {
    VARIABLE_CODES.contains(&code)
}

fn first_error(body: &[u8]) -> Option<AnswerError> {
    #[derive(Deserialize)]
    struct Raw {
        errors: Vec<AnswerError>,
    }
    let raw: Raw = serde_json::from_slice(body).ok()?;
    raw.errors.into_iter().next()
}

/// The elements of a raw list; `None` where it is no list.
pub fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// One top-level field of a raw object; `None` where it is missing. Reads no further than the field: a key is nearly always
/// selected first, and the rest was scanned already.
pub fn field_of(raw: &RawValue, name: &str) -> Option<Value> {
    let mut found = None;
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    // The error only says that reading stopped before the end.
    let _ = OneField { name, found: &mut found }.deserialize(&mut deserializer);
    found
}

/// Whether a raw value is `null`.
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// A raw slice as a document's body: CR and LF, which can only be white space there, become spaces, since a line break
/// would end a line of a bulk request.
pub fn body_of(raw: &RawValue) -> String {
    let text = raw.get();
    match memchr::memchr2(b'\r', b'\n', text.as_bytes()) {
        None => text.to_owned(),
        Some(_) => text.replace(['\r', '\n'], " "),
    }
}

struct OneField<'n> {
    name: &'n str,
    found: &'n mut Option<Value>,
}

impl<'de> DeserializeSeed<'de> for OneField<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == self.name {
                *self.found = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn start_of(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_passed_on_as_it_came() {
        let body = br#"{"data":{"d0":{"movieId":"m1","n":1.10,
            "t":"a\nb"},"d1":null}}"#;
        let answer = Answer::parse(body).unwrap();
        let data = answer.data.unwrap();
        assert_eq!(body_of(data["d0"]), r#"{"movieId":"m1","n":1.10,             "t":"a\nb"}"#);
        assert_eq!(field_of(data["d0"], "movieId"), Some(Value::from("m1")));
        assert!(is_null(data["d1"]));
    }

    #[test]
    fn what_concerns_every_request_is_told_apart() {
        let refused =
            br#"{"errors":[{"message":"no field x","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#;
        assert!(matches!(Answer::parse(refused), Err(GraphError::Refused(_))));
        let stranger =
            br#"{"data":null,"errors":[{"message":"who?","extensions":{"code":"UNAUTHENTICATED"}}]}"#;
        assert!(matches!(Answer::parse(stranger), Err(GraphError::Unauthorized(_))));
        let field =
            br#"{"data":null,"errors":[{"message":"no","path":["d0"],"extensions":{"code":"FORBIDDEN"}}]}"#;
        assert_eq!(Answer::parse(field).unwrap().errors.len(), 1);
        assert!(matches!(Answer::parse(b"<html>"), Err(GraphError::NotGraphql(_))));
        assert!(matches!(Answer::parse(b"{}"), Err(GraphError::NotGraphql(_))));
        assert!(matches!(Answer::parse(br#"{"data":{"a":1"#), Err(GraphError::NotGraphql(_))));
    }
}
