//! The federation subgraph: for each index a typed search and suggestions. Its hits are keys of entities and no more, so that the
//! gateway fills in any field of the graph, indexed or not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_graphql::{
    Value,
    dynamic::{
        Enum, EnumItem, Field, FieldFuture, InputValue, Object, ResolverContext, Scalar, Schema,
        SchemaBuilder, TypeRef,
    },
};
use plan::{DocumentId, IdKind, IndexPlan};
use serde_json::json;

use super::{
    asker::Asker,
    desk::Desk,
    question::{SearchQuestion, SuggestQuestion},
    refusal::Refusal,
};
use crate::{Facet, FacetCounts, FacetValue, Hit, SearchError, SearchResponse, Suggestion, suggested_fields};

/// Selections inside of each other; the usual query for a schema has thirteen.
const MAX_DEPTH: usize = 20;

/// Fields of one request; the usual query for a schema has fewer than two hundred.
const MAX_FIELDS: usize = 500;

/// Searches and suggestions of one request, which aliases could repeat without end.
const MAX_SEARCHES: usize = 10;

/// Values of facets are counted over the documents that match.
const MATCHING: &str = "MATCHING";

/// Values of facets are counted without the filter's own choice.
const ALTERNATIVES: &str = "ALTERNATIVES";

/// Scalars that every schema has.
const BUILT_IN: [&str; 5] = ["ID", "Int", "Float", "String", "Boolean"];

/// Why indexes can't be one subgraph.
#[derive(Debug, thiserror::Error)]
pub enum SubgraphError {
    /// An entity would have two keys, of which a hit has one.
    #[error("{one} and {other} both hold {entity}, by different keys")]
    Keys {
        /// An index.
        one: String,
        /// Another one.
        other: String,
        /// Their entity.
        entity: String,
    },
    /// The names of an index are taken by something else.
    #[error("the indexes don't make a schema: {0}")]
    Schema(String),
}

/// The desks of a schema's indexes, by their names.
pub(super) struct Desks(pub(super) BTreeMap<String, Desk>);

/// Searches that a request may still ask for.
#[derive(Default)]
pub(super) struct Asked(AtomicUsize);

/// The SDL of the subgraph of these indexes.
pub fn subgraph_sdl(plans: &[&IndexPlan]) -> Result<String, SubgraphError> {
    let schema = builder(plans)?.finish().map_err(|error| SubgraphError::Schema(error.to_string()))?;
    Ok(schema.sdl_with_options(
        async_graphql::SDLExportOptions::new()
            .federation()
            .use_space_ident()
            .prefer_single_line_descriptions(),
    ))
}

pub(super) fn schema(plans: &[&IndexPlan], desks: Arc<Desks>) -> Result<Schema, SubgraphError> {
    builder(plans)?.data(desks).finish().map_err(|error| SubgraphError::Schema(error.to_string()))
}

fn builder(plans: &[&IndexPlan]) -> Result<SchemaBuilder, SubgraphError> {
    let mut query = Object::new("Query");
    let mut types = Vec::new();
    let mut entities: BTreeMap<&str, &IndexPlan> = BTreeMap::new();
    let (mut scalars, mut counts) = (Vec::new(), Vec::new());
    for plan in plans {
        match entities.insert(&plan.entity, plan) {
            Some(other) if other.key.field != plan.key.field => {
                let (one, other) = (other.name.clone(), plan.name.clone());
                return Err(SubgraphError::Keys { one, other, entity: plan.entity.clone() });
            }
            Some(_) => {}
            None => {
                let key = key_type(plan);
                if !BUILT_IN.contains(&key) && !scalars.contains(&key) {
                    scalars.push(key);
                }
            }
        }
        let is_only = plans.iter().filter(|other| other.entity == plan.entity).count() == 1;
        let names = if is_only { Names::of_entity(&plan.entity) } else { Names::of_index(&plan.name) };
        query = query.field(search_field(plan, &names));
        types.extend(result_types(plan, &names));
        counts.push(counts_type(&names));
        if !suggested_fields(plan).is_empty() {
            query = query.field(suggest_field(plan, &names));
            types.push(suggestion_type(&names));
        }
    }
    let stubs = entities.values().map(|plan| entity(plan));
    let builder = Schema::build("Query", None, None)
        .enable_federation()
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_FIELDS)
        .register(query);
    let builder = scalars.into_iter().fold(builder, |builder, name| builder.register(Scalar::new(name)));
    let builder = counts.into_iter().fold(builder, SchemaBuilder::register);
    Ok(types.into_iter().chain(stubs).fold(builder, SchemaBuilder::register))
}

/// How an index is called in the schema.
struct Names {
    /// In front of its fields, such as `movie`.
    field: String,
    /// In front of its types, such as `Movie`.
    of_type: String,
}

impl Names {
    fn of_entity(entity: &str) -> Self {
        Self { field: with_first(entity, char::to_ascii_lowercase), of_type: entity.to_owned() }
    }

    /// Where several indexes hold one entity, each goes by its own name: `movies-archive` is `moviesArchive`.
    fn of_index(name: &str) -> Self {
        let of_type: String =
            name.split('-').map(|part| with_first(part, char::to_ascii_uppercase)).collect();
        Self { field: with_first(&of_type, char::to_ascii_lowercase), of_type }
    }

    fn of(&self, kind: &str) -> String {
        format!("{}{kind}", self.of_type)
    }
}

fn with_first(word: &str, change: impl Fn(&char) -> char) -> String {
    let mut letters = word.chars();
    letters.next().iter().map(change).chain(letters).collect()
}

/// The key's GraphQL type, without marks.
fn key_type(plan: &IndexPlan) -> &str {
    plan.fields.get(&plan.key.path).map_or(TypeRef::ID, |field| field.type_name.as_str())
}

/// The entity as far as this subgraph knows it: its key, for others to resolve.
fn entity(plan: &IndexPlan) -> Object {
    let key = read(&plan.key.field, TypeRef::named_nn(key_type(plan)));
    Object::new(&plan.entity).unresolvable(&plan.key.field).field(key)
}

fn search_field(plan: &IndexPlan, names: &Names) -> Field {
    let index = plan.name.clone();
    let about = plan.description.as_ref().map_or(String::new(), |description| format!(" {description}"));
    let facets =
        if plan.search.facets.is_empty() { "none".to_owned() } else { plan.search.facets.join(", ") };
    Field::new(format!("{}Search", names.field), TypeRef::named_nn(names.of("SearchResult")), move |ctx| {
        let index = index.clone();
        FieldFuture::new(async move { search(&ctx, &index).await.map(Some) })
    })
    .description(format!("Searches the index {}.{about}", plan.name))
    .argument(argument(
        "text",
        TypeRef::named(TypeRef::STRING),
        "Words that a document must hold, all of them, the last one perhaps unfinished.",
    ))
    .argument(argument(
        "filter",
        TypeRef::named(TypeRef::STRING),
        "A condition in the filter language, over the fields of the index.",
    ))
    .argument(argument(
        "facets",
        TypeRef::named_nn_list(TypeRef::STRING),
        &format!("Fields whose values are counted; left out: {facets}."),
    ))
    .argument(argument(
        "facetCounts",
        TypeRef::named(names.of("FacetCounts")),
        "Over which documents; left out: those that match.",
    ))
    .argument(argument(
        "sort",
        TypeRef::named_nn_list(TypeRef::STRING),
        "Fields to sort by, `path` or `path:desc`; left out: the best first.",
    ))
    .argument(argument("first", TypeRef::named(TypeRef::INT), "Hits at most, up to 1000.").default_value(10))
    .argument(argument(
        "after",
        TypeRef::named(TypeRef::STRING),
        "Where the page begins: `pageInfo.endCursor` of the page before.",
    ))
}

fn suggest_field(plan: &IndexPlan, names: &Names) -> Field {
    let index = plan.name.clone();
    let of_type = TypeRef::named_nn_list_nn(names.of("Suggestion"));
    Field::new(format!("{}Suggest", names.field), of_type, move |ctx| {
        let index = index.clone();
        FieldFuture::new(async move { suggest(&ctx, &index).await.map(Some) })
    })
    .description(format!(
        "Values of the index {} that hold what is typed: {}.",
        plan.name,
        suggested_fields(plan).join(", ")
    ))
    .argument(argument(
        "prefix",
        TypeRef::named_nn(TypeRef::STRING),
        "What is typed: words, the last one perhaps unfinished.",
    ))
    .argument(argument(
        "filter",
        TypeRef::named(TypeRef::STRING),
        "A condition on the documents that values are taken from.",
    ))
    .argument(argument(
        "paths",
        TypeRef::named_nn_list(TypeRef::STRING),
        "Some of the fields; left out: all of them.",
    ))
    .argument(
        argument("first", TypeRef::named(TypeRef::INT), "Suggestions at most, up to 100.").default_value(10),
    )
}

fn argument(name: &str, of_type: TypeRef, meaning: &str) -> InputValue {
    InputValue::new(name, of_type).description(meaning)
}

fn result_types(plan: &IndexPlan, names: &Names) -> Vec<Object> {
    let text = || TypeRef::named_nn(TypeRef::STRING);
    let count = || TypeRef::named_nn(TypeRef::INT);
    vec![
        Object::new(names.of("SearchResult"))
            .description("A page of hits, with figures over everything that matches.")
            .field(read("total", count()).description("How many documents match, on all pages together."))
            .field(
                read("hits", TypeRef::named_nn_list_nn(names.of("SearchHit")))
                    .description("The documents of this page, in order."),
            )
            .field(
                read("facets", TypeRef::named_nn_list_nn(names.of("SearchFacet")))
                    .description("The counted fields."),
            )
            .field(
                read("pageInfo", TypeRef::named_nn(names.of("SearchPage")))
                    .description("Whether and where the hits go on."),
            ),
        Object::new(names.of("SearchHit"))
            .description("A document that was found.")
            .field(
                read("node", TypeRef::named(&plan.entity))
                    .description("What was found; null if the graph has it no more."),
            )
            .field(
                read("score", TypeRef::named(TypeRef::FLOAT))
                    .description("How well it fits the text; comparable within one answer only."),
            )
            .field(
                read("highlights", TypeRef::named_nn_list_nn(names.of("SearchHighlight")))
                    .description("Where the text was found in it."),
            ),
        Object::new(names.of("SearchHighlight"))
            .description("A piece of a document's text with the words that were searched for.")
            .field(read("path", text()).description("The field of the index."))
            .field(read("text", text()).description(
                "The piece, each word found between `<em>` and `</em>`. Nothing in it is escaped.",
            )),
        Object::new(names.of("SearchFacet"))
            .description("The values of one field over all documents that match.")
            .field(read("path", text()).description("The field of the index."))
            .field(
                read("values", TypeRef::named_nn_list_nn(names.of("SearchFacetValue")))
                    .description("The most frequent first, at most a hundred."),
            ),
        Object::new(names.of("SearchFacetValue"))
            .description("One value and its documents.")
            .field(
                read("value", text())
                    .description("The value; numbers and booleans as JSON writes them, dates in ISO 8601."),
            )
            .field(read("count", count()).description("How many of the documents hold it.")),
        Object::new(names.of("SearchPage"))
            .description("Whether and where hits go on.")
            .field(
                read("hasNextPage", TypeRef::named_nn(TypeRef::BOOLEAN))
                    .description("True if another page follows."),
            )
            .field(
                read("endCursor", TypeRef::named(TypeRef::STRING))
                    .description("What `after` goes on from; null on the last page."),
            ),
    ]
}

fn counts_type(names: &Names) -> Enum {
    let item = |name: &str, meaning: &str| EnumItem::new(name).description(meaning);
    Enum::new(names.of("FacetCounts"))
        .description("The documents that values of facets are counted over.")
        .item(item(MATCHING, "Those that match."))
        .item(item(ALTERNATIVES, "Those that match without what the filter says of the facet's own field."))
}

fn suggestion_type(names: &Names) -> Object {
    Object::new(names.of("Suggestion"))
        .description("A value that holds what is typed.")
        .field(read("path", TypeRef::named_nn(TypeRef::STRING)).description("The field of the index."))
        .field(read("value", TypeRef::named_nn(TypeRef::STRING)).description("The whole value."))
        .field(read("count", TypeRef::named_nn(TypeRef::INT)).description("How many documents hold it."))
}

/// A field that is read off the object that its parent was answered as.
fn read(name: &str, of_type: TypeRef) -> Field {
    let key = name.to_owned();
    Field::new(name, of_type, move |ctx| {
        let value = match ctx.parent_value.as_value() {
            Some(Value::Object(fields)) => fields.get(key.as_str()).cloned(),
            _ => None,
        };
        FieldFuture::from_value(value.filter(|value| *value != Value::Null))
    })
}

async fn search(ctx: &ResolverContext<'_>, index: &str) -> async_graphql::Result<Value> {
    let desk = desk(ctx, index)?;
    let mut question = SearchQuestion {
        text: text(ctx, "text")?,
        filter: text(ctx, "filter")?,
        facets: texts(ctx, "facets")?,
        facet_counts: facet_counts(ctx)?,
        sort: texts(ctx, "sort")?.unwrap_or_default(),
        first: first(ctx)?,
        after: text(ctx, "after")?,
    };
    // To count values that nobody reads would cost as much as the search.
    if !ctx.look_ahead().field("facets").exists() {
        question.facets = Some(Vec::new());
    }
    let response =
        desk.search(ctx.ctx.data::<Asker>()?, question).await.map_err(|refusal| refusal.extended())?;
    as_value(&told(desk.plan(), &response))
}

async fn suggest(ctx: &ResolverContext<'_>, index: &str) -> async_graphql::Result<Value> {
    let question = SuggestQuestion {
        prefix: text(ctx, "prefix")?.unwrap_or_default(),
        filter: text(ctx, "filter")?,
        paths: texts(ctx, "paths")?.unwrap_or_default(),
        first: first(ctx)?,
    };
    let suggestions = desk(ctx, index)?
        .suggest(ctx.ctx.data::<Asker>()?, question)
        .await
        .map_err(|refusal| refusal.extended())?;
    let told = suggestions
        .iter()
        .map(|Suggestion { path, value, count }| json!({"path": path, "value": value, "count": int(*count)}));
    as_value(&told.collect())
}

/// The desk of an index; refuses more searches than one request may ask for.
fn desk<'c>(ctx: &ResolverContext<'c>, index: &str) -> async_graphql::Result<&'c Desk> {
    let asked = ctx.ctx.data::<Asked>()?.0.fetch_add(1, Ordering::Relaxed) + 1;
    if asked > MAX_SEARCHES {
        let error = SearchError::TooMuch { what: "searches", asked, limit: MAX_SEARCHES };
        return Err(Refusal::from(error).extended());
    }
    let Desks(desks) = ctx.ctx.data::<Arc<Desks>>()?.as_ref();
    desks.get(index).ok_or_else(|| async_graphql::Error::new("this index is not served"))
}

fn text(ctx: &ResolverContext<'_>, name: &str) -> async_graphql::Result<Option<String>> {
    let given = ctx.args.get(name).filter(|value| !value.is_null());
    given.map(|value| value.string().map(str::to_owned)).transpose()
}

fn texts(ctx: &ResolverContext<'_>, name: &str) -> async_graphql::Result<Option<Vec<String>>> {
    let given = ctx.args.get(name).filter(|value| !value.is_null());
    given.map(|value| value.list()?.iter().map(|text| text.string().map(str::to_owned)).collect()).transpose()
}

fn facet_counts(ctx: &ResolverContext<'_>) -> async_graphql::Result<FacetCounts> {
    let Some(given) = ctx.args.get("facetCounts").filter(|value| !value.is_null()) else {
        return Ok(FacetCounts::Matching);
    };
    Ok(if given.enum_name()? == ALTERNATIVES { FacetCounts::Alternatives } else { FacetCounts::Matching })
}

fn first(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<usize>> {
    let Some(given) = ctx.args.get("first").filter(|value| !value.is_null()) else { return Ok(None) };
    let number = usize::try_from(given.i64()?);
    number.map(Some).map_err(|_| Refusal::unreadable("`first` is less than 0").extended())
}

fn told(plan: &IndexPlan, response: &SearchResponse) -> serde_json::Value {
    let SearchResponse { total, hits, facets, next } = response;
    let count = |FacetValue { value, count }: &FacetValue| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!({"value": value, "count": int(*count)})
    };
    let facet = |Facet { path, values }: &Facet| json!({"path": path, "values": values.iter().map(count).collect::<Vec<_>>()});
    json!({
        "total": int(*total),
        "hits": hits.iter().map(|hit| told_hit(plan, hit)).collect::<Vec<_>>(),
        "facets": facets.iter().map(facet).collect::<Vec<_>>(),
        "pageInfo": {"hasNextPage": next.is_some(), "endCursor": next.as_ref().map(ToString::to_string)},
    })
}

fn told_hit(plan: &IndexPlan, hit: &Hit) -> serde_json::Value {
    let highlights = hit
        .highlights
        .iter()
        .map(|highlight| json!({"path": highlight.path, "text": highlight.marked("<em>", "</em>")}));
    json!({
        "node": {plan.key.field.as_str(): key(plan.key.kind, &hit.id)},
        "score": hit.score,
        "highlights": highlights.collect::<Vec<_>>(),
    })
}

/// The key as other subgraphs write it.
fn key(kind: IdKind, id: &DocumentId) -> serde_json::Value {
    match (kind, id.as_str().parse::<i64>()) {
        (IdKind::Integer, Ok(number)) => number.into(),
        _ => id.as_str().into(),
    }
}

/// GraphQL's `Int` has 32 bits.
fn int(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn as_value(told: &serde_json::Value) -> async_graphql::Result<Value> {
    Ok(Value::from_json(told.clone())?)
}
