//! Every store must find the documents that the evaluator finds, and answer as the in-memory store does, whatever the plan, the
//! documents and the question.

use futures::{StreamExt, stream};
use plan::{
    DocumentId, DocumentVersion, FieldTree,
    filter::{CheckedFilter, FilterSet},
};
use serde_json::Value;

use super::{
    TestIndex, World, checked,
    dice::Dice,
    documents,
    filters::{self, Filter},
    id, ids, plans, questions,
    reference::InMemory,
    smaller,
};
use crate::{Counts, DocumentWrite, PutOutcome, SearchRequest};

/// 2024-01-01T00:00:00Z, a moment that many of the dates are near to.
const NOW: i64 = 1_704_067_200_000;

const DOCUMENTS: usize = 60;
const FILTERS: usize = 60;
const SEARCHES: usize = 12;
const LOOKUPS: usize = 12;
const SUGGESTIONS: usize = 8;

/// Filters that a store is asked at a time.
const AT_ONCE: usize = 8;

/// Of a hundred filters, so many at least negate, bind elements of nested lists, and ask for what is missing: there engines differ.
const NEGATE: usize = 40;
const BIND: usize = 25;
const ASK_FOR_NOTHING: usize = 25;

/// Disagreements that are told of one run; the first of each round, as small as it can be made.
const TOLD: usize = 5;

/// Runs the rounds of these seeds: one plan, sixty documents, sixty filters and some searches and lookups each. A failure names
/// the seed of its round, and the smallest filter and document that still differ. Gives the number of pairs of a document and a
/// filter.
pub async fn run(world: &dyn World, seeds: std::ops::Range<u64>) -> usize {
    let (mut matched, mut pairs, mut answered, mut told) = (0, 0, 0, Vec::new());
    let mut kinds = Kinds::default();
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let round = Round::new(world, &mut dice, seed).await;
        let filters: Vec<Filter> =
            (0..FILTERS).map(|_| filters::filter(&mut dice, &round.fields.0, 0)).collect();
        filters.iter().for_each(|filter| kinds.count(filter));
        if let Some(filter) = round.first_disagreement(&filters).await {
            let disagreement = round.smallest_disagreement(filter.clone()).await;
            told.push(format!("AGREEMENT_SEED={seed} AGREEMENT_ROUNDS=1: {disagreement}"));
        }
        let asked: Vec<CheckedFilter> =
            filters.iter().map(|filter| checked(&filter.text(), &round.fields)).collect();
        for filter in &asked {
            matched += round.evaluate(filter).len();
            pairs += round.documents.len();
        }
        told.extend(round.set_differs(&asked).map(|differs| format!("AGREEMENT_SEED={seed}: {differs}")));
        match round.answers_agree(&mut dice).await {
            Ok(found) => answered += found,
            Err(difference) => {
                told.push(format!("AGREEMENT_SEED={seed} AGREEMENT_ROUNDS=1: {difference}"));
            }
        }
        if told.len() >= TOLD {
            break;
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n\n"));
    // A generator of filters that always or never hold would prove nothing.
    assert!(matched * 10 > pairs && matched * 10 < pairs * 9, "{matched} of {pairs} pairs match");
    assert!(answered > 0, "searches and lookups that find nothing would prove nothing");
    kinds.check();
    pairs
}

/// The seeds that `AGREEMENT_SEED=<first>` and `AGREEMENT_ROUNDS=<n>` ask for, or the first `rounds`.
pub fn seeds(rounds: u64) -> std::ops::Range<u64> {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first = number("AGREEMENT_SEED", 1);
    first..first + number("AGREEMENT_ROUNDS", rounds)
}

/// How many filters there were, and of which kinds.
#[derive(Debug, Default)]
struct Kinds {
    filters: usize,
    negate: usize,
    bind: usize,
    ask_for_nothing: usize,
}

impl Kinds {
    fn count(&mut self, filter: &Filter) {
        self.filters += 1;
        self.negate += usize::from(filter.negates());
        self.bind += usize::from(filter.binds());
        self.ask_for_nothing += usize::from(filter.asks_for_nothing());
    }

    /// Only many filters have their shares; a single round may be of any kind.
    fn check(&self) {
        let of = |count: usize, percent: usize| count * 100 >= self.filters * percent;
        let is_mixed =
            of(self.negate, NEGATE) && of(self.bind, BIND) && of(self.ask_for_nothing, ASK_FOR_NOTHING);
        assert!(is_mixed || self.filters < 5 * FILTERS, "{self:?}");
    }
}

/// Whether other rounds are asked for than those that are always run.
pub fn is_asked() -> bool {
    std::env::var_os("AGREEMENT_ROUNDS").is_some()
}

/// One plan with its documents, stored.
struct Round {
    fields: FieldTree,
    index: Box<dyn TestIndex>,
    /// Holds the same, in memory.
    reference: Box<dyn TestIndex>,
    /// What some caller is held to, and an index in memory of nothing but what that caller may see.
    policy: CheckedFilter,
    visible: Box<dyn TestIndex>,
    /// The live ones, by id.
    documents: Vec<(String, Value)>,
}

impl Round {
    /// Documents come to be as they may: by themselves, over another one, after a delete; or deleted.
    async fn new(world: &dyn World, dice: &mut Dice, seed: u64) -> Self {
        let mut plan = plans::plan(documents::fields(dice));
        plan.search.suggest = questions::suggestible(&plan.fields);
        plan.search.facets = questions::comparable(dice, &plan.fields, 6);
        let fields = plan.fields.clone();
        let [reference, visible] = [InMemory.index(plan.clone()).await, InMemory.index(plan.clone()).await];
        let policy = checked(&filters::filter(dice, &fields.0, 0).text(), &fields);
        let index = world.index(plan).await;
        let mut round = Self { fields, index, reference, policy, visible, documents: Vec::new() };
        let mut histories: Vec<(DocumentId, Vec<Option<String>>)> = Vec::new();
        for number in 0..DOCUMENTS {
            let mut one = || {
                let body = (!dice.chance(10)).then(|| documents::document(dice, &round.fields.0));
                body.as_ref().map(Value::to_string)
            };
            let mut history = vec![one()];
            history.extend((0..number % 3).map(|_| one()));
            histories.push((id(&format!("m{number:02}")), history));
        }
        for version in 0..3 {
            let writes: Vec<DocumentWrite<'_>> = histories
                .iter()
                .filter_map(|(id, history)| {
                    let body = history.get(version)?.as_deref();
                    let version = DocumentVersion::from_stored(1 + i64::try_from(version).unwrap());
                    Some(DocumentWrite { id, version, body, fetched_at_ms: 0, missing: &[] })
                })
                .collect();
            round.reference.write(&writes).await;
            for (outcome, write) in round.index.write(&writes).await.into_iter().zip(&writes) {
                assert_eq!(outcome, PutOutcome::Written, "AGREEMENT_SEED={seed}: {:?}", write.body);
            }
        }
        // The evaluator gets what was stored, read again: numbers must come from the same text.
        round.documents = histories
            .iter()
            .filter_map(|(id, history)| {
                let body = history.last()?.as_deref()?;
                Some((id.to_string(), serde_json::from_str(body).unwrap()))
            })
            .collect();
        for (id, document) in &round.documents {
            if round.policy.matches(document, NOW) {
                let (id, body) = (self::id(id), document.to_string());
                let version = DocumentVersion::from_stored(1);
                let write =
                    DocumentWrite { id: &id, version, body: Some(&body), fetched_at_ms: 0, missing: &[] };
                round.visible.write(&[write]).await;
            }
        }
        let live = round.documents.len() as u64;
        let counts = Counts { live, tombstones: DOCUMENTS as u64 - live };
        assert_eq!(round.index.counts().await, counts);
        assert_eq!(round.reference.counts().await, counts);
        assert_eq!(round.index.highest_version().await, round.reference.highest_version().await);
        let scanned = round.index.scan(None, 1_000).await;
        let bodies = scanned.iter().map(|stored| (stored.id.clone(), stored.body.clone()));
        let written =
            histories.iter().filter_map(|(id, history)| Some((id.clone(), Some(history.last()?.clone()?))));
        assert!(bodies.eq(written), "AGREEMENT_SEED={seed}: documents come back as they were written");
        round
    }

    fn evaluate(&self, filter: &CheckedFilter) -> Vec<&str> {
        let matching = self.documents.iter().filter(|(_, document)| filter.matches(document, NOW));
        matching.map(|(id, _)| id.as_str()).collect()
    }

    /// Where filters that are matched together, as saved ones are, match otherwise than each alone.
    fn set_differs(&self, filters: &[CheckedFilter]) -> Option<String> {
        let set = FilterSet::new(filters.to_vec());
        self.documents.iter().find_map(|(_, document)| {
            let together = set.matching(document, NOW);
            let differs =
                |number: &usize| filters[*number].matches(document, NOW) != together.contains(number);
            let number = (0..filters.len()).find(differs)?;
            Some(format!("among others it matches otherwise: {:?}\n{document}", filters[number].condition()))
        })
    }

    async fn ask_store(&self, filter: &CheckedFilter) -> Vec<String> {
        let request =
            SearchRequest { filter: Some(filter.clone()), first: 1_000, ..SearchRequest::default() };
        let response = self.index.search(&request, NOW).await;
        let response = response.unwrap_or_else(|error| panic!("{}: {error}", filter.source().text));
        assert_eq!(response.total, response.hits.len() as u64);
        ids(&response)
    }

    /// Asks both stores the same questions. Says how many documents were found, or what differs.
    async fn answers_agree(&self, dice: &mut Dice) -> Result<usize, String> {
        let mut found = 0;
        for _ in 0..SEARCHES {
            let request = questions::search(dice, &self.fields);
            let policy = self.policy.clone();
            let held = match request.restriction.clone() {
                Some(own) => own.and(policy),
                None => policy,
            };
            let held = SearchRequest { restriction: Some(held), ..request.clone() };
            // Who is held to a policy can't tell the index from one that never held anything else.
            found += self.pages_agree(&*self.visible, request.clone(), held).await?;
            found += self.pages_agree(&*self.reference, request.clone(), request).await?;
        }
        for _ in 0..LOOKUPS {
            let Some(lookup) = questions::lookup(dice, &self.fields) else { break };
            let (paths, keys, limit) = (&lookup.paths, &lookup.keys, lookup.limit);
            let wanted = self.reference.lookup(paths, keys, None, limit).await;
            let stored = self.index.lookup(paths, keys, None, limit).await;
            if wanted != stored {
                return Err(format!("{lookup:?}\nin memory {wanted:?}, in the store {stored:?}"));
            }
            found += wanted.map_or(0, |ids| ids.len());
        }
        for _ in 0..SUGGESTIONS {
            let Some(typed) = questions::suggestion(dice, &self.fields) else { break };
            let told = async |index: &dyn TestIndex| {
                index.suggest(&typed, NOW).await.map_err(|error| error.to_string())
            };
            let (wanted, stored) = (told(&*self.reference).await, told(&*self.index).await);
            if wanted != stored {
                return Err(format!("{typed:?}\nin memory {wanted:?}\nin the store {stored:?}"));
            }
            found += wanted.map_or(0, |suggestions| suggestions.len());
        }
        Ok(found)
    }

    /// Reads all pages of one search in memory, and of another one in the store, each by its own cursors.
    async fn pages_agree(
        &self,
        reference: &dyn TestIndex,
        mut ours: SearchRequest,
        mut theirs: SearchRequest,
    ) -> Result<usize, String> {
        let (request, mut found) = (theirs.clone(), 0);
        loop {
            let told = async |index: &dyn TestIndex, request: &SearchRequest| {
                let page =
                    index.search(request, NOW).await.map_err(|error| format!("{request:?}: {error}"))?;
                Ok::<_, String>(((page.total, ids(&page), page.facets), page.next))
            };
            let (wanted, next) = told(reference, &ours).await?;
            let (stored, next_stored) = told(&*self.index, &theirs).await?;
            if wanted != stored || next.is_some() != next_stored.is_some() {
                let what = request.filter.as_ref().map(CheckedFilter::condition);
                let (text, sort) = (&request.text, &request.sort);
                return Err(format!(
                    "{text:?} {what:?} {sort:?}\nin memory\n{wanted:?}\nin the store\n{stored:?}"
                ));
            }
            found += wanted.1.len();
            if next.is_none() {
                return Ok(found);
            }
            (ours.after, theirs.after) = (next, next_stored);
        }
    }

    /// The first filter that the store finds other documents for than the evaluator.
    async fn first_disagreement<'f>(&self, filters: &'f [Filter]) -> Option<&'f Filter> {
        let agree = stream::iter(filters).map(|filter| self.agrees(filter)).buffered(AT_ONCE);
        let agree: Vec<bool> = agree.collect().await;
        filters.iter().zip(agree).find(|(_, agrees)| !agrees).map(|(filter, _)| filter)
    }

    async fn agrees(&self, filter: &Filter) -> bool {
        let filter = checked(&filter.text(), &self.fields);
        self.evaluate(&filter) == self.ask_store(&filter).await
    }

    /// A disagreement with as little as still differs: first the filter gets smaller, then the document.
    async fn smallest_disagreement(&self, mut filter: Filter) -> String {
        'smaller: loop {
            for smaller in filter.smaller() {
                if !self.agrees(&smaller).await {
                    filter = smaller;
                    continue 'smaller;
                }
            }
            break;
        }
        let checked = checked(&filter.text(), &self.fields);
        let (evaluated, stored) = (self.evaluate(&checked), self.ask_store(&checked).await);
        let is_different =
            |(id, _): &&(String, Value)| evaluated.contains(&id.as_str()) != stored.contains(id);
        let (id, document) = self.documents.iter().find(is_different).unwrap();
        let holds = evaluated.contains(&id.as_str());
        let mut document = document.clone();
        'smaller: loop {
            for smaller in smaller::documents(&document) {
                if checked.matches(&smaller, NOW) == holds
                    && self.stored_matches(&smaller, &checked).await == Some(!holds)
                {
                    document = smaller;
                    continue 'smaller;
                }
            }
            break;
        }
        let says = |holds| if holds { "matches" } else { "does not match" };
        format!(
            "{}\nthe evaluator says that it {}, the store that it {}:\n{document}\n{:?}",
            filter.text(),
            says(holds),
            says(!holds),
            checked.condition(),
        )
    }

    /// Whether the store finds this document, written under an id of its own; `None` where it does not take it.
    async fn stored_matches(&self, document: &Value, filter: &CheckedFilter) -> Option<bool> {
        let (id, body) = (self::id("smaller"), document.to_string());
        let version = self.index.get(&id).await.map_or(1, |stored| stored.version.get() + 1);
        let version = DocumentVersion::from_stored(version);
        let write = DocumentWrite { id: &id, version, body: Some(&body), fetched_at_ms: 0, missing: &[] };
        let taken = self.index.write(&[write]).await == [PutOutcome::Written];
        let request =
            SearchRequest { filter: Some(filter.clone()), id: Some(id), ..SearchRequest::default() };
        let found = self.index.search(&request, NOW).await.ok()?.total;
        taken.then_some(found == 1)
    }
}
