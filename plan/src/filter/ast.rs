//! The syntax tree of a filter: what the text says, before anybody asks whether its fields exist.

use std::{ops::Range, sync::Arc};

use serde_json::Number;

use super::{pattern::Pattern, point::Point};
use crate::SourceText;

/// A filter that was parsed. [`Filter::check`] makes it ready for documents; records are matched as it is.
#[derive(Debug, Clone)]
pub struct Filter {
    pub(super) source: Arc<SourceText>,
    pub(super) root: Expr,
}

/// A condition as it was written.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    /// `true` and `false`.
    Constant(bool),
    /// All of them; a chain of `AND` is one level.
    And(Vec<Expr>),
    /// At least one of them.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// `path == 'x'` and its kin.
    Test(Path, Operator),
    /// `path[...]`.
    Bind(Path, Box<Expr>),
}

/// Names joined by dots.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) segments: Vec<Segment>,
}

/// One name of a path.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

/// What is asked of a path's values.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    pub(super) kind: OperatorKind,
    /// The operator itself, without its value.
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum OperatorKind {
    Equal(Literal),
    NotEqual(Literal),
    Order(Order, Literal),
    /// `IN` and `ANY` mean the same: a path through a list is "some element" anyway.
    In(Vec<Literal>),
    All(Vec<Literal>),
    Like(Pattern),
    /// The words, folded; at least one.
    Matches(Vec<String>),
    Exists,
    Within(Circle),
}

/// A comparison by order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// The ground within some distance of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// Its middle.
    pub center: Point,
    /// Its radius in metres, the border included.
    pub metres: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Literal {
    pub(super) value: LiteralValue,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum LiteralValue {
    Text(String),
    Number(Number),
    Boolean(bool),
    Null,
}

impl Order {
    /// Whether a value that compares like this with the operand passes.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// How it is written, here and in SQL.
    pub fn symbol(self) -> &'static str {
        match self {
            Order::Less => "<",
            Order::LessOrEqual => "<=",
            Order::Greater => ">",
            Order::GreaterOrEqual => ">=",
        }
    }
}

impl Circle {
    /// Whether the point lies in it.
    pub fn contains(&self, point: Point) -> bool {
        self.center.distance(point) <= self.metres
    }
}

impl Path {
    /// The whole path in the text.
    pub(super) fn span(&self) -> Range<usize> {
        let start = self.segments.first().map_or(0, |segment| segment.span.start);
        start..self.segments.last().map_or(start, |segment| segment.span.end)
    }

    /// The path without its backticks.
    pub(super) fn text(&self) -> String {
        let names: Vec<&str> = self.segments.iter().map(|segment| segment.name.as_str()).collect();
        names.join(".")
    }
}

impl LiteralValue {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            LiteralValue::Text(_) => "a text",
            LiteralValue::Number(_) => "a number",
            LiteralValue::Boolean(_) => "a boolean",
            LiteralValue::Null => "null",
        }
    }
}
