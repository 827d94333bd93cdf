//! `search:` — what free text covers, which facets are shown, how hits are ranked.

use std::collections::BTreeMap;

use plan::{code::config as codes, index_plan::BoostModifier};

use super::{
    Secret,
    access::{self, AccessConfig},
    graph::{read_headers, read_url},
    reader::{Item, Located, Reader, Section},
};

/// What text search covers and shows. Paths are checked by [`crate::compile`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchConfig {
    /// The text fields with their weights.
    pub text: Vec<WeightedField>,
    /// The facets shown where a search asks for none.
    pub facets: Vec<Located<String>>,
    /// The fields whose prefixes are suggested.
    pub suggest: Vec<Located<String>>,
    /// Numbers that raise the rank: field, modifier, factor.
    pub boost: Vec<BoostConfig>,
    /// A date that raises the rank the more, the later it is.
    pub recency: Option<RecencyConfig>,
    /// Who may see what.
    pub access: Option<AccessConfig>,
    /// Where matches of saved searches are posted.
    pub webhook: Option<WebhookConfig>,
}

/// A number that raises the rank: field, modifier, factor.
pub type BoostConfig = (Located<String>, BoostModifier, f64);

/// A date that raises the rank.
#[derive(Debug, Clone, PartialEq)]
pub struct RecencyConfig {
    /// The date.
    pub field: Located<String>,
    /// The age at which it adds half.
    pub half_life_ms: u64,
    /// What a date of now adds, 0 or more.
    pub factor: f64,
}

/// The webhook of saved searches.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    /// Its address, in which credentials may stand.
    pub url: Secret,
    /// Sent with every post.
    pub headers: BTreeMap<String, Secret>,
}

/// `title^3`: a field with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedField {
    /// The path.
    pub path: Located<String>,
    /// Its weight, greater than 0; 1 where none is written.
    pub weight: f64,
}

pub(super) fn read(reader: &mut Reader<'_>, file: &mut Section<'_>) -> SearchConfig {
    let Some(mut search) = file.section(reader, "search") else { return SearchConfig::default() };
    let text = search.read(reader, "text", Reader::texts).unwrap_or_default();
    let text = text.into_iter().filter_map(|field| read_weighted(reader, field)).collect();
    let facets = search.read(reader, "facets", Reader::texts).unwrap_or_default();
    let suggest = search.read(reader, "suggest", Reader::texts).unwrap_or_default();
    let (boost, recency) =
        search.section(reader, "rank").map_or_else(Default::default, |rank| read_rank(reader, rank));
    let access = search.take("access").and_then(|access| access::read(reader, &access));
    let webhook = search.section(reader, "saved").and_then(|saved| read_saved(reader, saved));
    search.finish(reader);
    SearchConfig { text, facets, suggest, boost, recency, access, webhook }
}

/// An empty address counts as left out, so that a variable may give it.
fn read_saved(reader: &mut Reader<'_>, mut saved: Section<'_>) -> Option<WebhookConfig> {
    let webhook = saved.take("webhook");
    let headers = saved.take("headers").map_or_else(BTreeMap::new, |item| read_headers(reader, &item));
    saved.finish(reader);
    let webhook = webhook?;
    if reader.text(&webhook)?.value.is_empty() {
        return None;
    }
    let url = read_url(reader, &webhook)?;
    Some(WebhookConfig { url: Secret::new(url.value), headers })
}

fn read_weighted(reader: &mut Reader<'_>, field: Located<String>) -> Option<WeightedField> {
    let Some((path, weight)) = field.value.rsplit_once('^') else {
        return Some(WeightedField { path: field, weight: 1.0 });
    };
    match weight.trim().parse::<f64>() {
        Ok(weight) if weight > 0.0 && weight.is_finite() => {
            let path = Located { value: path.trim().to_owned(), range: field.range };
            Some(WeightedField { path, weight })
        }
        _ => {
            let message = format!("{weight:?} is not a weight");
            reader.error(codes::SS105, &field.range, message, "a number greater than 0, as in title^3");
            None
        }
    }
}

fn read_rank(reader: &mut Reader<'_>, mut rank: Section<'_>) -> (Vec<BoostConfig>, Option<RecencyConfig>) {
    let items = rank.read(reader, "boost", Reader::list).unwrap_or_default();
    let recency = rank.section(reader, "recency").and_then(|recency| read_recency(reader, recency));
    rank.finish(reader);
    (items.iter().filter_map(|item| read_boost(reader, item)).collect(), recency)
}

fn read_recency(reader: &mut Reader<'_>, mut recency: Section<'_>) -> Option<RecencyConfig> {
    let field = recency.require(reader, "field", "name a date of the document", Reader::filled_text);
    let help = "the age at which a date raises the rank half as much as one of now, such as 30d";
    let half_life = recency.require(reader, "half_life", help, Reader::age);
    let factor = read_factor(reader, &mut recency);
    recency.finish(reader);
    Some(RecencyConfig { field: field?, half_life_ms: half_life?, factor: factor? })
}

/// What something adds to the rank, 1 where nothing is written.
fn read_factor(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<f64> {
    let Some(item) = section.take("factor") else { return Some(1.0) };
    let factor = reader.float(&item)?;
    if factor < 0.0 {
        let message = format!("a factor can't lower the rank: {factor}");
        reader.error(codes::SS105, &item.range, message, "a factor of 0 or more");
    }
    Some(factor)
}

fn read_boost(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<BoostConfig> {
    let modifiers =
        [("none", BoostModifier::None), ("log1p", BoostModifier::Log1p), ("sqrt", BoostModifier::Sqrt)];
    let mut boost = reader.section(item)?;
    let field = boost.require(reader, "field", "name a number of the document", Reader::filled_text);
    let modifier = boost.read(reader, "modifier", |r, item| r.word(item, &modifiers));
    let factor = read_factor(reader, &mut boost);
    boost.finish(reader);
    Some((field?, modifier.unwrap_or(BoostModifier::None), factor?))
}
