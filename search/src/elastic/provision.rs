//! What provision makes on a server: a component template, an index template, an index version, and its alias.
//!
//! Servers answer what they were given in a form of their own: numbers as text, settings below `index`, a mapping without
//! the words that are its defaults. [`differences`] compares what is meant.

use std::collections::BTreeSet;

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Client, ElasticError,
    client::{Request, Trouble},
    layout::is_live,
};

impl Client {
    /// A component template, as the server tells it; `None` where there is none.
    pub async fn component_template(&self, name: &str) -> Result<Option<Value>, ElasticError> {
        let answer = self.find(&format!("/_component_template/{name}")).await?;
        Ok(answer.and_then(|answer| template_in(&answer, "/component_templates/0/component_template")))
    }

    /// Makes or replaces a component template.
    pub async fn put_component_template(&self, name: &str, body: &Value) -> Result<(), ElasticError> {
        self.put(&format!("/_component_template/{name}"), body).await
    }

    /// An index template, as the server tells it; `None` where there is none.
    pub async fn index_template(&self, name: &str) -> Result<Option<Value>, ElasticError> {
        let answer = self.find(&format!("/_index_template/{name}")).await?;
        Ok(answer.and_then(|answer| template_in(&answer, "/index_templates/0/index_template")))
    }

    /// Makes or replaces an index template.
    pub async fn put_index_template(&self, name: &str, body: &Value) -> Result<(), ElasticError> {
        self.put(&format!("/_index_template/{name}"), body).await
    }

    /// The mapping that an index of this name would be made with, by whichever template wins; `None` where none matches.
    pub async fn mapping_for(&self, index: &str) -> Result<Option<Value>, ElasticError> {
        let path = format!("/_index_template/_simulate_index/{index}");
        let answer: Value = self.ask(Method::Post, &path, &[], None).await?;
        Ok(answer.pointer("/template/mappings").cloned())
    }

    /// The index templates whose patterns match an index of this name, with their priorities.
    pub async fn templates_of(&self, index: &str) -> Result<Vec<(String, i64)>, ElasticError> {
        #[derive(Default, Deserialize)]
        struct Told {
            #[serde(default)]
            index_templates: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
            index_template: Template,
        }
        #[derive(Deserialize)]
        struct Template {
            index_patterns: Vec<String>,
            #[serde(default)]
            priority: i64,
        }
        let wanted = ["name", "index_template.index_patterns", "index_template.priority"];
        let paths = wanted.map(|path| format!("index_templates.{path}")).join(",");
        let told: Told = self.ask(Method::Get, "/_index_template", &[("filter_path", &paths)], None).await?;
        let matching = told.index_templates.into_iter().filter(|template| {
            template.index_template.index_patterns.iter().any(|pattern| matches(pattern, index))
        });
        Ok(matching.map(|template| (template.name, template.index_template.priority)).collect())
    }

    /// An index with its mapping, settings and aliases; `None` where there is none.
    pub async fn index(&self, name: &str) -> Result<Option<Value>, ElasticError> {
        let answer = self.find(&format!("/{name}")).await?;
        Ok(answer.and_then(|answer| answer.get(name).cloned()))
    }

    /// Makes an index by its template; one that is there already is left as it is.
    pub async fn create_index(&self, name: &str) -> Result<(), ElasticError> {
        self.create_index_as(name, &json!({})).await
    }

    /// Makes an index of these settings, mappings and aliases; one that is there already is left as it is.
    pub async fn create_index_as(&self, name: &str, body: &Value) -> Result<(), ElasticError> {
        match self.put(&format!("/{name}"), body).await {
            Err(error) if error.reason.contains("already exists") => Ok(()),
            made => made,
        }
    }

    /// Removes an index with all its documents; one that isn't there is removed already.
    pub async fn delete_index(&self, name: &str) -> Result<(), ElasticError> {
        let path = format!("/{name}");
        let request = Request { method: Method::Delete, path: &path, parameters: &[], body: None };
        let answer = self.send(request).await?;
        match answer.status {
            200..300 | 404 => Ok(()),
            _ => Err(self.refusal(&answer)),
        }
    }

    /// Changes settings of an index in place.
    pub async fn put_settings(&self, index: &str, settings: &Value) -> Result<(), ElasticError> {
        self.put(&format!("/{index}/_settings"), settings).await
    }

    /// Adds fields to the mapping of an index.
    pub async fn put_mapping(&self, index: &str, mapping: &Value) -> Result<(), ElasticError> {
        self.put(&format!("/{index}/_mapping"), mapping).await
    }

    /// Gives an index an alias that no pattern finds. Both engines demand that all indexes of an alias hide it, or none.
    pub async fn hide_behind(&self, index: &str, alias: &str) -> Result<(), ElasticError> {
        let add = json!({ "index": index, "alias": alias, "is_hidden": true });
        let body = json!({ "actions": [{ "add": add }] });
        self.ask::<Value>(Method::Post, "/_aliases", &[], Some(&body)).await.map(drop)
    }

    /// The indexes behind an alias, each with the alias' filter.
    pub async fn alias(&self, name: &str) -> Result<Vec<(String, Value)>, ElasticError> {
        // Asked of the index of this name: an alias by itself, for which a server looks through all indexes, is answered by
        // OpenSearch only to who may see them all.
        let answer = self.find(&format!("/{name}/_alias/{name}")).await?;
        let indexes = match answer {
            Some(Value::Object(indexes)) => indexes,
            _ => Map::new(),
        };
        let told = |(index, about): (String, Value)| {
            let filter = about.pointer(&format!("/aliases/{name}/filter")).cloned().unwrap_or(Value::Null);
            (index, filter)
        };
        Ok(indexes.into_iter().map(told).collect())
    }

    /// Lets an alias stand for one index alone, its tombstones left out, in one step.
    pub async fn point_alias(&self, name: &str, index: &str, before: &[String]) -> Result<(), ElasticError> {
        let others = before.iter().filter(|other| *other != index);
        let mut actions: Vec<Value> =
            others.map(|other| json!({ "remove": { "index": other, "alias": name } })).collect();
        actions.push(json!({ "add": { "index": index, "alias": name, "filter": is_live() } }));
        let body = json!({ "actions": actions });
        self.ask::<Value>(Method::Post, "/_aliases", &[], Some(&body)).await.map(drop)
    }

    /// What a path answers; `None` for 404.
    async fn find(&self, path: &str) -> Result<Option<Value>, ElasticError> {
        let answer = self.send(Request { method: Method::Get, path, parameters: &[], body: None }).await?;
        match answer.status {
            200..300 => self.read(&answer.body).map(Some),
            404 => Ok(None),
            _ => Err(self.refusal(&answer)),
        }
    }

    async fn put(&self, path: &str, body: &Value) -> Result<(), ElasticError> {
        let answer: Value = self.ask(Method::Put, path, &[], Some(body)).await?;
        match answer.get("acknowledged") {
            Some(Value::Bool(true)) => Ok(()),
            _ => Err(self.error(Trouble::Busy, "not every node has acknowledged it yet".to_owned())),
        }
    }
}

/// Whether a pattern, in which `*` stands for any text, is one of this name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, mut pattern)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(before) else { return false };
    while let Some((part, more)) = pattern.split_once('*') {
        let Some(at) = rest.find(part) else { return false };
        (rest, pattern) = (&rest[at + part.len()..], more);
    }
    rest.ends_with(pattern)
}

/// A template in an answer, without the times that newer servers keep of it.
fn template_in(answer: &Value, place: &str) -> Option<Value> {
    let mut template = answer.pointer(place)?.clone();
    if let Value::Object(members) = &mut template {
        let times = ["created_date", "created_date_millis", "modified_date", "modified_date_millis"];
        times.iter().for_each(|time| drop(members.remove(*time)));
    }
    Some(template)
}

/// The paths at which two bodies, such as the one that was sent and the one that the server tells, mean different things.
pub fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare(&plain(one), &plain(other), &mut String::new(), &mut paths);
    paths
}

fn compare(one: &Value, other: &Value, path: &mut String, paths: &mut Vec<String>) {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        if one != other {
            paths.push(path.clone());
        }
        return;
    };
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let [one, other] = [one, other].map(|members| members.get(name).unwrap_or(&Value::Null));
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(name);
        compare(one, other, path, paths);
        path.truncate(length);
    }
}

/// A body in one form: scalars as text, settings below `index`, without what says nothing.
fn plain(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::String(text) => Value::String(text.clone()),
        Value::Array(items) => match items.as_slice() {
            // A list of one is told as the one, and the other way round.
            [one] => plain(one),
            items => Value::Array(items.iter().map(plain).collect()),
        },
        Value::Object(members) => {
            let mut plain_members = Map::new();
            for (name, member) in members {
                let is_default = name == "type" && member == "object" && members.contains_key("properties");
                if is_default || member.is_null() {
                    continue;
                }
                match (name.as_str(), member) {
                    ("settings", Value::Object(settings)) => {
                        plain_members.insert(name.clone(), plain(&below_index(settings)));
                    }
                    _ => drop(plain_members.insert(name.clone(), plain(member))),
                }
            }
            Value::Object(plain_members)
        }
    }
}

/// Settings with their paths as nested objects, all of them below `index`.
fn below_index(settings: &Map<String, Value>) -> Value {
    let mut root = Map::new();
    for (name, value) in settings {
        let path = if name == "index" || name.starts_with("index.") {
            name.clone()
        } else {
            format!("index.{name}")
        };
        insert(&mut root, &path, value);
    }
    Value::Object(root)
}

fn insert(into: &mut Map<String, Value>, path: &str, value: &Value) {
    if let Some((first, rest)) = path.split_once('.') {
        let below = into.entry(first).or_insert_with(|| json!({}));
        if let Value::Object(below) = below {
            insert(below, rest, value);
        }
    } else if let Value::Object(members) = value {
        let below = into.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(below) = below {
            members.iter().for_each(|(name, member)| insert(below, name, member));
        }
    } else {
        into.insert(path.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let name = "movies-000001";
        for pattern in ["movies-0*", "*", "movies-000001", "m*s-*1", "*0*0*1", "**", "movies-000001*"] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["movies", "movies-1*", "*-2", "m*x*1", "", "*movies-0000011"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
    }

    #[test]
    fn what_a_server_tells_in_its_own_words_means_the_same() {
        let sent = json!({
            "template": {
                "settings": {
                    "index": { "number_of_shards": "1", "refresh_interval": "1s", "mapping.total_fields.limit": 2000 },
                    "analysis": { "filter": { "edges": { "type": "edge_ngram", "min_gram": 1, "preserve_original": true } },
                                  "analyzer": { "a": { "filter": ["lowercase"] } } },
                },
                "mappings": { "properties": { "a": { "type": "object", "properties": { "b": { "type": "keyword" } } } } },
            },
            "composed_of": ["x"],
        });
        let told = json!({
            "composed_of": ["x"],
            "template": {
                "mappings": { "properties": { "a": { "properties": { "b": { "type": "keyword" } } } } },
                "settings": { "index": {
                    "analysis": { "analyzer": { "a": { "filter": "lowercase" } },
                                  "filter": { "edges": { "min_gram": "1", "type": "edge_ngram", "preserve_original": "true" } } },
                    "refresh_interval": "1s", "number_of_shards": "1",
                    "mapping": { "total_fields": { "limit": "2000" } },
                } },
            },
        });
        assert_eq!(differences(&sent, &told), Vec::<String>::new());
        for (path, changed) in [
            ("/template/settings/index/refresh_interval", json!("2s")),
            ("/template/mappings/properties/a/properties/b/type", json!("text")),
            ("/template/settings/index/analysis/filter/edges/min_gram", json!("2")),
            ("/composed_of/0", json!("y")),
        ] {
            let mut other = told.clone();
            *other.pointer_mut(path).expect("it is there") = changed;
            assert_eq!(differences(&sent, &other).len(), 1, "{path}");
        }
    }
}
