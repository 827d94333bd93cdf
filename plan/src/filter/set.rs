//! Many filters against one document: which of them match, without evaluating all.
//!
//! Most filters can only hold where some field has one of a few values: `type == 'FEATURE'` asks for one, `a IN [..] AND ..` for
//! several. Those values are looked up by what the document holds, and only the filters found so are evaluated. A filter
//! that asks for no value, such as `NOT (x EXISTS)` or `year > 2000`, is evaluated for every document.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    CheckedFilter, Operand, Place, Scalar, Test, TestKind, checked::Condition, evaluate::some_value,
    words::words,
};
use crate::field::MappingKind;

/// A filter that asks for more values than this is evaluated for every document, so that memory follows the number of filters.
const MAX_CLUES: usize = 1_000;

/// Filters that are matched together.
#[derive(Debug, Clone, Default)]
pub struct FilterSet {
    filters: Vec<CheckedFilter>,
    /// What to look for, by where it stands.
    probes: Vec<Probe>,
    /// The filters that ask for no value.
    open: Vec<usize>,
}

/// One place of documents, and who asks for which of its values.
#[derive(Debug, Clone)]
struct Probe {
    route: Vec<String>,
    kind: MappingKind,
    /// Whether words are asked for, and not whole values.
    of_words: bool,
    texts: HashMap<String, Vec<usize>>,
    others: HashMap<Plain, Vec<usize>>,
}

/// A value that is no text, so that equal values are equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Plain {
    Integer(i64),
    /// The bits of a double; there is one zero and no NaN.
    Double(u64),
    Boolean(bool),
    Instant(i64),
}

/// A value, one of which a document must hold for a filter to match.
#[derive(Debug, Clone)]
struct Clue {
    route: Vec<String>,
    kind: MappingKind,
    wanted: Wanted,
}

#[derive(Debug, Clone)]
enum Wanted {
    Word(String),
    Value(Scalar<'static>),
}

impl FilterSet {
    /// Prepares filters of one plan; they are known by their place in this list.
    pub fn new(filters: Vec<CheckedFilter>) -> Self {
        let mut set = Self::default();
        let mut places = HashMap::new();
        for (number, filter) in filters.iter().enumerate() {
            match clues(filter.condition(), &[]).filter(|clues| clues.len() <= MAX_CLUES) {
                Some(clues) => clues.into_iter().for_each(|clue| set.add(&mut places, clue, number)),
                None => set.open.push(number),
            }
        }
        set.filters = filters;
        set
    }

    fn add(&mut self, places: &mut HashMap<(Vec<String>, String, bool), usize>, clue: Clue, number: usize) {
        let of_words = matches!(clue.wanted, Wanted::Word(_));
        let place = (clue.route, format!("{:?}", clue.kind), of_words);
        let at = *places.entry(place).or_insert_with_key(|(route, ..)| {
            let (texts, others) = (HashMap::new(), HashMap::new());
            self.probes.push(Probe { route: route.clone(), kind: clue.kind, of_words, texts, others });
            self.probes.len() - 1
        });
        let probe = &mut self.probes[at];
        let asking = match clue.wanted {
            Wanted::Word(word) => probe.texts.entry(word).or_default(),
            Wanted::Value(Scalar::Text(text)) => probe.texts.entry(text.into_owned()).or_default(),
            Wanted::Value(value) => match plain(&value) {
                Some(value) => probe.others.entry(value).or_default(),
                None => return,
            },
        };
        if asking.last() != Some(&number) {
            asking.push(number);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The filter at this place of the list.
    pub fn get(&self, number: usize) -> Option<&CheckedFilter> {
        self.filters.get(number)
    }

    /// The places of the filters that match the document, ascending. `now_ms` is the time that date maths count from.
    pub fn matching(&self, document: &Value, now_ms: i64) -> Vec<usize> {
        let mut candidates = self.open.clone();
        for probe in &self.probes {
            probe.push_asking(document, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|number| self.filters[*number].matches(document, now_ms));
        candidates
    }
}

impl Probe {
    /// Adds who asks for a value that the document holds here.
    fn push_asking(&self, document: &Value, asking: &mut Vec<usize>) {
        some_value(document, &self.route, &mut |value| {
            match Scalar::read(self.kind, value) {
                Some(Scalar::Text(text)) if self.of_words => {
                    for word in words(&text) {
                        asking.extend(self.texts.get(&word.folded).into_iter().flatten());
                    }
                }
                Some(Scalar::Text(text)) => asking.extend(self.texts.get(&*text).into_iter().flatten()),
                Some(value) => {
                    let found = plain(&value).and_then(|value| self.others.get(&value));
                    asking.extend(found.into_iter().flatten());
                }
                None => {}
            }
            false // on to the next value
        });
    }
}

/// Values of which a document must hold one for the condition to hold; `None`: there is no telling.
fn clues(condition: &Condition, above: &[String]) -> Option<Vec<Clue>> {
    match condition {
        Condition::Constant(false) => Some(Vec::new()),
        Condition::Constant(true) | Condition::Not(_) => None,
        Condition::All(parts) => {
            parts.iter().filter_map(|part| clues(part, above)).min_by_key(std::vec::Vec::len)
        }
        Condition::Any(parts) => {
            let each: Option<Vec<_>> = parts.iter().map(|part| clues(part, above)).collect();
            Some(each?.concat())
        }
        Condition::Bind(list, inner) => clues(inner, &[above, &list.route].concat()),
        Condition::Test(test) => clues_of_test(test, above),
    }
}

fn clues_of_test(Test { place, kind }: &Test, above: &[String]) -> Option<Vec<Clue>> {
    let wanted = match kind {
        TestKind::Equals(Operand::Value(value)) => vec![Wanted::Value(value.clone())],
        TestKind::In(operands) => operands.constants()?.iter().cloned().map(Wanted::Value).collect(),
        // All words must be there; the longest is in the fewest documents, as a rule.
        TestKind::Matches(words) => vec![Wanted::Word(words.iter().max_by_key(|word| word.len())?.clone())],
        _ => return None,
    };
    // The values of a flattened object stand below its route.
    let Place { key: None, kind, routes, .. } = place else { return None };
    let kind = if matches!(wanted.first(), Some(Wanted::Word(_))) { MappingKind::Text } else { *kind };
    let clue = |route: &Vec<String>| {
        let route = [above, route].concat();
        wanted.iter().map(move |wanted| Clue { route: route.clone(), kind, wanted: wanted.clone() })
    };
    Some(routes.iter().flat_map(clue).collect())
}

fn plain(value: &Scalar<'_>) -> Option<Plain> {
    match value {
        Scalar::Text(_) => None,
        Scalar::Integer(integer) => Some(Plain::Integer(*integer)),
        Scalar::Double(double) => Some(Plain::Double(double.to_bits())),
        Scalar::Boolean(truth) => Some(Plain::Boolean(*truth)),
        Scalar::Instant(instant) => Some(Plain::Instant(*instant)),
    }
}
