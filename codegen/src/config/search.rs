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
    pub boost: Vec<(Located<String>, BoostModifier, f64)>,
    /// Who may see what.
    pub access: Option<AccessConfig>,
    /// Where matches of saved searches are posted.
    pub webhook: Option<WebhookConfig>,
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
    let boost = read_rank(reader, &mut search);
    let access = search.take("access").and_then(|access| access::read(reader, &access));
    let webhook = search.section(reader, "saved").and_then(|saved| read_saved(reader, saved));
    search.finish(reader);
    SearchConfig { text, facets, suggest, boost, access, webhook }
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

fn read_rank(
    reader: &mut Reader<'_>,
    search: &mut Section<'_>,
) -> Vec<(Located<String>, BoostModifier, f64)> {
    let Some(mut rank) = search.section(reader, "rank") else { return Vec::new() };
    let items = rank.read(reader, "boost", Reader::list).unwrap_or_default();
    rank.finish(reader);
    items.iter().filter_map(|item| read_boost(reader, item)).collect()
}

fn read_boost(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(Located<String>, BoostModifier, f64)> {
    let modifiers =
        [("none", BoostModifier::None), ("log1p", BoostModifier::Log1p), ("sqrt", BoostModifier::Sqrt)];
    let mut boost = reader.section(item)?;
    let field = boost.require(reader, "field", "name a number of the document", Reader::filled_text);
    let modifier = boost.read(reader, "modifier", |r, item| r.word(item, &modifiers));
    let factor_item = boost.take("factor");
    let factor = factor_item.as_ref().map_or(Some(1.0), |item| reader.float(item));
    boost.finish(reader);
    if let (Some(item), Some(factor)) = (&factor_item, factor)
        && factor < 0.0
    {
        let message = format!("a boost can't lower the rank: {factor}");
        reader.error(codes::SS105, &item.range, message, "a factor of 0 or more");
    }
    Some((field?, modifier.unwrap_or(BoostModifier::None), factor?))
}
