//! Whether a filter fits the fields: every mistake at once, each with its caret.

use std::{ops::Range, sync::Arc};

use super::{
    ast::{Expr, Filter, Literal, LiteralValue, Operator, OperatorKind, Path},
    checked::{CheckedFilter, Condition, Place, Test, TestKind},
    date::Moment,
    operand::{Operand, Operands},
    resolve::{Resolved, Scope},
    scalar::{Scalar, whole},
};
use crate::{
    Code, Diagnostic, Field, FieldTree, SourceText, code::search as codes, diagnostic::nearest,
    field::MappingKind,
};

impl Filter {
    /// Checks the filter against the fields of a document.
    pub fn check(&self, fields: &FieldTree) -> Result<CheckedFilter, Vec<Diagnostic>> {
        let mut checker = Checker { source: &self.source, findings: Vec::new() };
        let condition = checker.condition(&self.root, Scope { fields, list: None });
        match checker.findings.is_empty() {
            true => Ok(CheckedFilter { source: Arc::clone(&self.source), condition }),
            false => Err(checker.findings),
        }
    }
}

struct Checker<'s> {
    source: &'s Arc<SourceText>,
    findings: Vec<Diagnostic>,
}

/// What stands in for a condition with a mistake; nobody sees it, because the check fails.
const WRONG: Condition = Condition::Constant(false);

impl Checker<'_> {
    fn condition(&mut self, expr: &Expr, scope: Scope<'_>) -> Condition {
        match expr {
            Expr::Constant(truth) => Condition::Constant(*truth),
            Expr::And(parts) => Condition::All(self.conditions(parts, scope)),
            Expr::Or(parts) => Condition::Any(self.conditions(parts, scope)),
            Expr::Not(inner) => Condition::Not(Box::new(self.condition(inner, scope))),
            Expr::Test(path, operator) => self.test(path, operator, scope).unwrap_or_else(|finding| {
                self.findings.push(finding);
                WRONG
            }),
            Expr::Bind(path, inner) => self.bind(path, inner, scope).unwrap_or_else(|finding| {
                self.findings.push(finding);
                WRONG
            }),
        }
    }

    fn conditions(&mut self, parts: &[Expr], scope: Scope<'_>) -> Vec<Condition> {
        parts.iter().map(|part| self.condition(part, scope)).collect()
    }

    fn bind(&mut self, path: &Path, inner: &Expr, scope: Scope<'_>) -> Result<Condition, Diagnostic> {
        let resolved = scope.resolve(self.source, path)?;
        let field = resolved.field;
        if field.mapping.kind != MappingKind::Nested {
            let message = format!("{} is no nested list, its elements can't be bound", field.path);
            let help = match field.mapping.kind {
                MappingKind::Object if field.list_depth > 0 => {
                    format!(
                        "under `fields:`, {} says object; as nested it keeps its elements apart",
                        field.path
                    )
                }
                MappingKind::Object => format!("it is one object: write {}.…", field.path),
                _ => "compare it without [...]".to_owned(),
            };
            return Err(self.error(codes::SS706, message, path.span()).help(help));
        }
        let inner = self.condition(inner, Scope { fields: scope.fields, list: Some(field) });
        Ok(Condition::Bind(resolved.list(), Box::new(inner)))
    }

    fn test(&self, path: &Path, operator: &Operator, scope: Scope<'_>) -> Result<Condition, Diagnostic> {
        let resolved = scope.resolve(self.source, path)?;
        let asked = Asked { source: self.source, field: resolved.field, path, operator };
        let exists = || asked.exists(&resolved, scope);
        let kind = match &operator.kind {
            OperatorKind::Exists => return Ok(exists()),
            OperatorKind::Equal(literal) if literal.is_null() => return Ok(negate(exists())),
            OperatorKind::NotEqual(literal) if literal.is_null() => return Ok(exists()),
            kind => kind,
        };
        let place = resolved.place(scope);
        let test = |kind| Condition::Test(Test { place: place.clone(), kind });
        Ok(match kind {
            OperatorKind::Equal(literal) => test(TestKind::Equals(asked.operand(&place, literal)?)),
            OperatorKind::NotEqual(literal) => {
                negate(test(TestKind::Equals(asked.operand(&place, literal)?)))
            }
            OperatorKind::Order(order, literal) => {
                asked.must_be_ordered(&place)?;
                test(TestKind::Ordered(*order, asked.operand(&place, literal)?))
            }
            OperatorKind::In(literals) => {
                test(TestKind::In(Operands::new(asked.operands(&place, literals)?)))
            }
            OperatorKind::All(literals) => {
                let operands = asked.operands(&place, literals)?;
                Condition::All(operands.into_iter().map(|operand| test(TestKind::Equals(operand))).collect())
            }
            OperatorKind::Like(pattern) => {
                asked.must_be_whole_text(&place)?;
                test(TestKind::Like(pattern.clone()))
            }
            OperatorKind::Matches(words) => {
                asked.must_be(MappingKind::Text, "MATCHES asks for the words of a text field")?;
                test(TestKind::Matches(words.clone()))
            }
            OperatorKind::Within(circle) => {
                asked.must_be(MappingKind::GeoPoint, "WITHIN asks for points")?;
                test(TestKind::Within(*circle))
            }
            OperatorKind::Exists => exists(),
        })
    }

    fn error(&self, code: Code, message: String, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source, span)
    }
}

fn negate(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

/// One test of one field, with what is needed to complain about it.
struct Asked<'a> {
    source: &'a Arc<SourceText>,
    field: &'a Field,
    path: &'a Path,
    operator: &'a Operator,
}

impl Asked<'_> {
    fn exists(&self, resolved: &Resolved<'_>, scope: Scope<'_>) -> Condition {
        let test = |place| Condition::Test(Test { place, kind: TestKind::Exists });
        match self.field.mapping.kind {
            MappingKind::Object => {
                Condition::Any(resolved.places_inside(scope).into_iter().map(test).collect())
            }
            _ => test(resolved.place(scope)),
        }
    }

    fn operands(&self, place: &Place, literals: &[Literal]) -> Result<Vec<Operand>, Diagnostic> {
        literals.iter().map(|literal| self.operand(place, literal)).collect()
    }

    /// Reads a literal as a value of the field.
    fn operand(&self, place: &Place, literal: &Literal) -> Result<Operand, Diagnostic> {
        self.must_have_values(place)?;
        let value = match (place.kind, &literal.value) {
            (MappingKind::Keyword | MappingKind::Text | MappingKind::Flattened, LiteralValue::Text(text)) => {
                self.must_be_enum_value(text, literal)?;
                Scalar::Text(text.clone().into())
            }
            (MappingKind::Long, LiteralValue::Number(number)) => match whole(number) {
                Some(integer) => Scalar::Integer(integer),
                None => return Err(self.mismatch(literal, "a whole number of 64 bits")),
            },
            (MappingKind::Double, LiteralValue::Number(number)) => {
                // Adding zero turns minus zero into zero.
                Scalar::Double(number.as_f64().unwrap_or_default() + 0.0)
            }
            (MappingKind::Boolean, LiteralValue::Boolean(truth)) => Scalar::Boolean(*truth),
            (MappingKind::Date, LiteralValue::Text(text)) => match Moment::parse(text) {
                Some(moment) => return Ok(moment.into()),
                None => return Err(self.mismatch(literal, "a date such as '2024-01-31' or 'now-7d/d'")),
            },
            (kind, _) => return Err(self.mismatch(literal, wanted(kind))),
        };
        Ok(Operand::Value(value))
    }

    fn must_be_enum_value(&self, text: &str, literal: &Literal) -> Result<(), Diagnostic> {
        let values = &self.field.enum_values;
        if values.is_empty() || values.iter().any(|value| value == text) {
            return Ok(());
        }
        let message = format!("{} is no value of {}", quoted(text), self.field.type_name);
        let help = match nearest(text, values.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!(
                "its values are {}",
                values.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        };
        Err(self.error(codes::SS704, message, literal.span.clone()).help(help))
    }

    /// Whether whole values can be compared at all.
    fn must_have_values(&self, place: &Place) -> Result<(), Diagnostic> {
        let path = &self.field.path;
        let (message, help) = match place.kind {
            MappingKind::Text if !place.exact => (
                format!("{path} is text without its whole value"),
                format!(
                    "ask for its words with {path} MATCHES '...', or add `keyword: raw` to it under `fields:`"
                ),
            ),
            MappingKind::Flattened if place.key.is_none() => (
                format!("{path} is an object of unknown keys"),
                format!("name one of them: {path}.color == 'red'"),
            ),
            MappingKind::Object | MappingKind::Nested => {
                (format!("{path} is an object, not a value"), format!("compare a field of it: {path}.…"))
            }
            MappingKind::GeoPoint => {
                (format!("{path} is a point"), format!("write {path} WITHIN (lat, lon, '50km')"))
            }
            _ => return Ok(()),
        };
        Err(self.error(codes::SS705, message, self.operator.span.clone()).help(help))
    }

    fn must_be_ordered(&self, place: &Place) -> Result<(), Diagnostic> {
        let what = match place.kind {
            MappingKind::Text => "text",
            MappingKind::Boolean => "a boolean",
            MappingKind::Flattened => "a value of a flattened object",
            _ if !self.field.enum_values.is_empty() => "an enum",
            _ => return Ok(()),
        };
        let message = format!("{} is {what}, which has no order", self.field.path);
        let help = "numbers, dates and keywords have an order";
        Err(self.error(codes::SS705, message, self.operator.span.clone()).help(help))
    }

    fn must_be_whole_text(&self, place: &Place) -> Result<(), Diagnostic> {
        self.must_have_values(place)?;
        if matches!(place.kind, MappingKind::Keyword | MappingKind::Text) {
            return Ok(());
        }
        let message = format!("LIKE asks for keywords, and {} is {}", self.field.path, described(place.kind));
        Err(self.error(codes::SS705, message, self.operator.span.clone()).help("compare it with == or IN"))
    }

    fn must_be(&self, kind: MappingKind, rule: &str) -> Result<(), Diagnostic> {
        let path = &self.field.path;
        let actual = self.field.mapping.kind;
        if actual == kind {
            return Ok(());
        }
        let message = format!("{rule}, and {path} is {}", described(actual));
        let diagnostic = self.error(codes::SS705, message, self.operator.span.clone());
        Err(match (kind, actual) {
            (MappingKind::Text, MappingKind::Keyword) => diagnostic.help(format!(
                "compare the whole value ({path} == '...', {path} LIKE '*...*'), or say {path}: text under `fields:`"
            )),
            (MappingKind::Text, _) => diagnostic.help("compare it with == or IN"),
            _ => diagnostic.help("an object with lat and lon is a point where `fields:` says geo_point"),
        })
    }

    fn mismatch(&self, literal: &Literal, wanted: &str) -> Diagnostic {
        let found = literal.value.kind();
        let message = match &literal.value {
            LiteralValue::Null => {
                format!("nothing stands in any order to null, and {} wants {wanted}", self.path.text())
            }
            _ => format!("{} is compared with {wanted}, this is {found}", self.path.text()),
        };
        let diagnostic = self.error(codes::SS703, message, literal.span.clone());
        match (&literal.value, self.field.mapping.kind) {
            (
                LiteralValue::Number(number),
                MappingKind::Keyword | MappingKind::Text | MappingKind::Flattened,
            ) => diagnostic.help(format!("write '{number}'")),
            (LiteralValue::Text(text), MappingKind::Long | MappingKind::Double)
                if text.parse::<f64>().is_ok() =>
            {
                diagnostic.help(format!("write {text} without quotes"))
            }
            (LiteralValue::Null, _) => diagnostic.help("ask for a missing value with path == null"),
            (_, MappingKind::Date) => diagnostic.help("a date is a text in quotes: '2024-01-31', 'now-7d/d'"),
            (_, MappingKind::Boolean) => diagnostic.help("write true or false, without quotes"),
            (_, MappingKind::Long) => diagnostic.help("write a whole number, without quotes: 12"),
            (_, MappingKind::Double) => diagnostic.help("write a number, without quotes: 12, -0.5, 1e6"),
            _ => diagnostic.help("write a text in quotes: 'FEATURE'"),
        }
    }

    fn error(&self, code: Code, message: String, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source, span)
    }
}

impl Literal {
    fn is_null(&self) -> bool {
        matches!(self.value, LiteralValue::Null)
    }
}

impl From<Moment> for Operand {
    fn from(moment: Moment) -> Self {
        match moment.fixed() {
            Some(instant) => Operand::Value(Scalar::Instant(instant)),
            None => Operand::Moment(moment),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.chars().take(40).collect::<String>())
}

fn wanted(kind: MappingKind) -> &'static str {
    match kind {
        MappingKind::Long | MappingKind::Double => "a number",
        MappingKind::Boolean => "true or false",
        MappingKind::Date => "a date in quotes",
        _ => "a text in quotes",
    }
}

fn described(kind: MappingKind) -> &'static str {
    match kind {
        MappingKind::Text => "text",
        MappingKind::Keyword => "a keyword",
        MappingKind::Long | MappingKind::Double => "a number",
        MappingKind::Boolean => "a boolean",
        MappingKind::Date => "a date",
        MappingKind::GeoPoint => "a point",
        MappingKind::Flattened => "an object of unknown keys",
        MappingKind::Object | MappingKind::Nested => "an object",
    }
}
