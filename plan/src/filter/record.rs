//! Filters over records, whose fields have no types: a value is compared as the JSON that it is.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{
    ast::{Expr, Filter, Literal, LiteralValue, Operator, OperatorKind, Path},
    point::Point,
    words::words,
};
use crate::{Diagnostic, RecordPath, code::search as codes};

impl Filter {
    /// Checks that every path starts in a record: with `key`, `value`, `headers` or `row`.
    pub fn check_record(&self) -> Result<(), Vec<Diagnostic>> {
        let mut findings = Vec::new();
        self.root.each_path(&mut |path| {
            if let Err(error) = RecordPath::parse(&path.text()) {
                let finding =
                    Diagnostic::error(codes::SS709, error.to_string()).at(&self.source, path.span());
                findings.push(
                    finding.help(
                        "`row.kind` is a column of the row, `value.kind` a field of the record's value",
                    ),
                );
            }
        });
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }

    /// The paths that the filter reads from a record, in the order of the text; inside of `path[...]` none are counted.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        self.root.each_path(&mut |path| paths.push(path.names()));
        paths
    }

    /// Whether a record matches. `resolve` follows a path into it and answers what it finds: nothing where a name is
    /// missing, several values where there are several; lists among them are walked through.
    ///
    /// Numbers are compared with numbers and texts with texts; any other pair is unequal and without order.
    pub fn matches_record(&self, resolve: &dyn Fn(&[String]) -> Vec<Value>) -> bool {
        self.root.holds(resolve)
    }
}

impl Expr {
    fn each_path(&self, found: &mut dyn FnMut(&Path)) {
        match self {
            Expr::Constant(_) => {}
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| part.each_path(found)),
            Expr::Not(inner) => inner.each_path(found),
            Expr::Test(path, _) | Expr::Bind(path, _) => found(path),
        }
    }

    fn holds(&self, resolve: &dyn Fn(&[String]) -> Vec<Value>) -> bool {
        match self {
            Expr::Constant(truth) => *truth,
            Expr::And(parts) => parts.iter().all(|part| part.holds(resolve)),
            Expr::Or(parts) => parts.iter().any(|part| part.holds(resolve)),
            Expr::Not(inner) => !inner.holds(resolve),
            Expr::Test(path, operator) => operator.holds(&flat(resolve(&path.names()))),
            Expr::Bind(path, inner) => {
                let elements = flat(resolve(&path.names()));
                elements
                    .iter()
                    .filter(|element| element.is_object())
                    .any(|element| inner.holds(&|names| values_at(element, names)))
            }
        }
    }
}

impl Path {
    fn names(&self) -> Vec<String> {
        self.segments.iter().map(|segment| segment.name.clone()).collect()
    }
}

impl Operator {
    fn holds(&self, values: &[Value]) -> bool {
        let equals = |literal: &Literal| match &literal.value {
            LiteralValue::Null => values.is_empty(),
            wanted => values.iter().any(|value| compare(value, wanted) == Some(Ordering::Equal)),
        };
        match &self.kind {
            OperatorKind::Equal(literal) => equals(literal),
            OperatorKind::NotEqual(literal) => !equals(literal),
            OperatorKind::Order(order, literal) => values
                .iter()
                .any(|value| compare(value, &literal.value).is_some_and(|ordering| order.holds(ordering))),
            OperatorKind::In(literals) => literals.iter().any(equals),
            OperatorKind::All(literals) => literals.iter().all(equals),
            OperatorKind::Like(pattern) => {
                values.iter().filter_map(Value::as_str).any(|text| pattern.matches(text))
            }
            OperatorKind::Matches(wanted) => {
                let texts = || values.iter().filter_map(Value::as_str);
                wanted.iter().all(|wanted| texts().any(|text| words(text).any(|word| word.folded == *wanted)))
            }
            OperatorKind::Exists => !values.is_empty(),
            OperatorKind::Within(circle) => {
                values.iter().filter_map(Point::read).any(|point| circle.contains(point))
            }
        }
    }
}

/// The values that the names lead to inside of a JSON value, lists on the way walked through.
pub fn values_at(value: &Value, names: &[String]) -> Vec<Value> {
    match (value, names) {
        (Value::Array(items), [_, ..]) => items.iter().flat_map(|item| values_at(item, names)).collect(),
        (Value::Object(object), [name, rest @ ..]) => {
            object.get(name).map_or_else(Vec::new, |value| values_at(value, rest))
        }
        (_, [_, ..]) => Vec::new(),
        (value, []) => vec![value.clone()],
    }
}

/// The values inside of lists, nulls left out.
fn flat(values: Vec<Value>) -> Vec<Value> {
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::Null => {}
            Value::Array(items) => found.extend(flat(items)),
            value => found.push(value),
        }
    }
    found
}

fn compare(value: &Value, literal: &LiteralValue) -> Option<Ordering> {
    match (value, literal) {
        (Value::String(value), LiteralValue::Text(text)) => Some(value.cmp(text)),
        (Value::Bool(value), LiteralValue::Boolean(truth)) => Some(value.cmp(truth)),
        (Value::Number(value), LiteralValue::Number(number)) => compare_numbers(value, number),
        _ => None,
    }
}

/// Whole numbers of 64 bits are compared exactly, all others as doubles.
fn compare_numbers(one: &Number, two: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(two)) {
        (Some(one), Some(two)) => Some(one.cmp(&two)),
        _ => one.as_f64()?.partial_cmp(&two.as_f64()?),
    }
}
