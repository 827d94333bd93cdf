//! A filter that fits the fields of a document: what the evaluator runs and the stores translate.

use std::sync::Arc;

use super::{
    Pattern,
    ast::{Circle, Order},
    operand::{Operand, Operands},
};
use crate::{SourceText, field::MappingKind, index_plan::short_hash};

/// A filter whose every path, operator and value fits the fields. Made only by [`Filter::check`](super::Filter::check).
#[derive(Debug, Clone)]
pub struct CheckedFilter {
    pub(super) source: Arc<SourceText>,
    pub(super) condition: Condition,
}

/// What must hold for a document, or for one element of a nested list.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Always, or never.
    Constant(bool),
    /// All of them; none: always.
    All(Vec<Condition>),
    /// At least one of them; none: never.
    Any(Vec<Condition>),
    /// Not this one. There are two truths: what is missing is false before it is negated.
    Not(Box<Condition>),
    /// Some value at a place passes.
    Test(Test),
    /// Some element of a nested list satisfies the condition, whose places start at that element.
    Bind(List, Box<Condition>),
}

/// A place and what is asked of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Where the values stand.
    pub place: Place,
    /// What one of them must be.
    pub kind: TestKind,
}

/// What is asked of the values at a place. A value that doesn't fit the place's type is missing.
#[derive(Debug, Clone, PartialEq)]
pub enum TestKind {
    /// Some value equals it.
    Equals(Operand),
    /// Some value equals one of them.
    In(Operands),
    /// Some value stands in this order to it.
    Ordered(Order, Operand),
    /// Some whole value fits the pattern.
    Like(Pattern),
    /// The values of the innermost element together hold all of these folded words.
    Matches(Vec<String>),
    /// There is a value; of a nested list: an element that is an object.
    Exists,
    /// Some point lies in the circle.
    Within(Circle),
}

/// Where values stand, seen from the document or from the element that is bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The field's whole path.
    pub path: String,
    /// How its values are read.
    pub kind: MappingKind,
    /// Names to follow, lists on the way walked through. A virtual field has one route for each field that is copied to it.
    pub routes: Vec<Vec<String>>,
    /// How many of a route's names lead into the innermost nested list; 0 where the place is in none below the start.
    pub element_depth: usize,
    /// The path of the innermost nested list that the values are in, bound or not; `None` for values of the document itself.
    pub element: Option<String>,
    /// The dotted key inside a flattened object.
    pub key: Option<String>,
    /// Whether whole values are kept, and not only words.
    pub exact: bool,
}

/// A nested list whose elements are bound.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The field's whole path.
    pub path: String,
    /// Names to follow from the document or from the element bound outside.
    pub route: Vec<String>,
}

impl CheckedFilter {
    /// The filter as it was written.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// What must hold, for translators.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Both filters at once, such as a search's and a policy's. The source stays that of the first.
    #[must_use]
    pub fn and(self, other: CheckedFilter) -> Self {
        Self { source: self.source, condition: Condition::All(vec![self.condition, other.condition]) }
    }

    /// The filter without those of its parts, joined by `AND`, that ask of this field alone; `None` where it has no such part.
    pub fn without(&self, path: &str) -> Option<Self> {
        let mut parts = Vec::new();
        self.condition.push_parts(&mut parts);
        let all = parts.len();
        parts.retain(|part| !part.asks_only_of(path));
        let condition = Condition::All(parts.iter().map(|part| (*part).clone()).collect());
        (parts.len() < all).then(|| Self { source: Arc::clone(&self.source), condition })
    }

    /// Equal for equal meanings written alike; blanks and comments don't count.
    pub fn fingerprint(&self) -> String {
        short_hash(&format!("{:?}", self.condition))
    }
}

impl Condition {
    /// The conditions that must all hold.
    fn push_parts<'c>(&'c self, parts: &mut Vec<&'c Condition>) {
        match self {
            Condition::All(inner) => inner.iter().for_each(|part| part.push_parts(parts)),
            part => parts.push(part),
        }
    }

    /// Whether every test in it, of which there are some, is of this field.
    fn asks_only_of(&self, path: &str) -> bool {
        match self {
            Condition::Constant(_) => false,
            Condition::All(parts) | Condition::Any(parts) => {
                !parts.is_empty() && parts.iter().all(|part| part.asks_only_of(path))
            }
            Condition::Not(inner) | Condition::Bind(_, inner) => inner.asks_only_of(path),
            Condition::Test(test) => test.place.path == path,
        }
    }
}
