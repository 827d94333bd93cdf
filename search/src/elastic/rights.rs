//! What the user may do on a server: asked where it can say so, tried without effect where it can't.
//!
//! Elasticsearch tells of named privileges. OpenSearch has no such question; its security plugin, from 3.2 on, says of a request
//! whether it would be allowed, and does not execute it.

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Client, ElasticError, Engine,
    client::{Answer, Request, Trouble},
};

/// The id of a document, and the name of templates, that don't exist.
const NOBODY: &str = "studio-search-doctor";

/// With it `OpenSearch` only says whether a request would be allowed. A server that doesn't know it refuses the request.
const ONLY_CHECKED: [(&str, &str); 1] = [("perform_permission_check", "true")];

/// The indexes of which rights are asked.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The index of the documents, such as `movies-000001`.
    pub documents: &'a str,
    /// The alias that stands for it.
    pub alias: &'a str,
    /// The index of the ledger, where it is on the server.
    pub ledger: Option<&'a str>,
}

/// A right that the user lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lacking {
    /// Who can't do without it.
    pub need: Need,
    /// As the server names it, with the index that it is lacked on.
    pub right: String,
}

/// Who needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// All that reads and writes documents.
    Run,
    /// Only what makes and changes indexes.
    Provision,
    /// Only what asks a server how it is.
    Doctor,
}

/// A request that is asked about, and where its right is lacked, for the message.
struct Asked {
    need: Need,
    method: Method,
    path: String,
    body: Value,
    on: Option<String>,
}

impl Places<'_> {
    fn indexes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.documents).chain(self.ledger)
    }

    /// One request for each right.
    fn requests(&self) -> Vec<Asked> {
        let mut requests = Vec::new();
        for index in self.indexes() {
            let mut ask = |need, method, path: &str, body| {
                let (path, on) = (format!("/{index}{path}"), Some(index.to_owned()));
                requests.push(Asked { need, method, path, body, on });
            };
            ask(Need::Run, Method::Post, "/_search", json!({ "size": 0 }));
            ask(Need::Run, Method::Post, "/_mget", json!({ "ids": [NOBODY] }));
            ask(Need::Run, Method::Post, "/_bulk", Value::Null);
            ask(Need::Run, Method::Put, &format!("/_doc/{NOBODY}"), json!({}));
            ask(Need::Run, Method::Get, "", Value::Null);
            ask(Need::Provision, Method::Put, "", json!({}));
            ask(Need::Provision, Method::Put, "/_mapping", json!({}));
            ask(Need::Provision, Method::Put, "/_settings", json!({ "index": { "refresh_interval": "1s" } }));
        }
        let add = json!({ "add": { "index": self.documents, "alias": self.alias } });
        let pattern = json!({ "index_patterns": [NOBODY] });
        let simulated = format!("/_index_template/_simulate_index/{}", self.documents);
        let once = [
            (Need::Provision, Method::Post, "/_aliases".to_owned(), json!({ "actions": [add] })),
            (
                Need::Provision,
                Method::Put,
                format!("/_component_template/{NOBODY}"),
                json!({ "template": {} }),
            ),
            (Need::Provision, Method::Put, format!("/_index_template/{NOBODY}"), pattern),
            (Need::Provision, Method::Post, simulated, Value::Null),
            (Need::Doctor, Method::Get, "/_cluster/health".to_owned(), Value::Null),
        ];
        requests.extend(once.map(|(need, method, path, body)| Asked { need, method, path, body, on: None }));
        requests
    }
}

impl Client {
    /// What the user lacks of the needed rights; `None` where the server can't be asked, or has no security to ask.
    pub async fn lacking(
        &self,
        engine: Engine,
        places: &Places<'_>,
    ) -> Result<Option<Vec<Lacking>>, ElasticError> {
        match engine {
            Engine::Elasticsearch => self.privileges(places).await,
            Engine::OpenSearch => self.checked(places).await,
        }
    }

    async fn privileges(&self, places: &Places<'_>) -> Result<Option<Vec<Lacking>>, ElasticError> {
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            cluster: Map<String, Value>,
            #[serde(default)]
            index: Map<String, Value>,
        }
        let names: Vec<&str> = places.indexes().chain([places.alias]).collect();
        let wanted = ["read", "write", "maintenance", "view_index_metadata", "manage"];
        let body = json!({
            "cluster": ["monitor", "manage_index_templates"],
            "index": [{ "names": names, "privileges": wanted }],
        });
        let answer = self.post("/_security/user/_has_privileges", &body).await?;
        match answer.status {
            200 => {}
            401 | 403 => return Err(self.refusal(&answer)),
            _ => return Ok(None),
        }
        let told: Told = self.read(&answer.body)?;
        let is_lacking = |(_, has): &(&String, &Value)| **has == Value::Bool(false);
        let need = |right: &str| match right {
            "monitor" => Need::Doctor,
            _ if right.starts_with("manage") => Need::Provision,
            _ => Need::Run,
        };
        let of_cluster = told.cluster.iter().filter(is_lacking);
        let mut lacking: Vec<Lacking> =
            of_cluster.map(|(right, _)| Lacking { need: need(right), right: right.clone() }).collect();
        for (index, rights) in &told.index {
            let rights = rights.as_object().into_iter().flatten().filter(is_lacking);
            lacking.extend(
                rights.map(|(right, _)| Lacking { need: need(right), right: format!("{right} on {index}") }),
            );
        }
        Ok(Some(lacking))
    }

    async fn checked(&self, places: &Places<'_>) -> Result<Option<Vec<Lacking>>, ElasticError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            missing_privileges: Vec<String>,
        }
        let mut requests = places.requests();
        // This one first: it does no harm to whom it is executed by all the same.
        requests.sort_by_key(|asked| asked.need != Need::Doctor);
        let mut lacking = Vec::new();
        for (number, Asked { need, method, path, body, on }) in requests.into_iter().enumerate() {
            let body = match body {
                Value::Null if path.ends_with("/_bulk") => Some(bulk()),
                Value::Null => None,
                body => Some(body.to_string()),
            };
            let body = body.map(Into::into);
            let answer = self.send(Request { method, path: &path, parameters: &ONLY_CHECKED, body }).await?;
            let Ok(told) = serde_json::from_slice::<Told>(&answer.body) else {
                match (answer.status, number) {
                    (401, _) => return Err(self.refusal(&answer)),
                    (_, 0) => return Ok(None),
                    // A request that this release can't be asked about.
                    _ => continue,
                }
            };
            lacking
                .extend(told.missing_privileges.iter().map(|right| Lacking::on(need, right, on.as_deref())));
        }
        Ok(Some(lacking))
    }

    /// Tries on an index that exists what every `run` does, without any effect: a search for nothing, a refresh, and an update
    /// of a document that isn't there. What `OpenSearch` refuses is told by name; another refusal is an error.
    pub async fn tried(&self, index: &str) -> Result<Vec<Lacking>, ElasticError> {
        let told = |error: ElasticError| {
            let rights = refused_rights(&error).ok_or(error)?;
            Ok(rights.iter().map(|right| Lacking::on(Need::Run, right, Some(index))).collect::<Vec<_>>())
        };
        let searched = self.post(&format!("/{index}/_search"), &json!({ "size": 0 })).await?;
        if !(200..300).contains(&searched.status) {
            // Nothing is written then: an index that is missing would be made by it.
            return told(self.refusal(&searched));
        }
        let mut lacking = Vec::new();
        let refreshed = self.post(&format!("/{index}/_refresh"), &Value::Null).await?;
        if !(200..300).contains(&refreshed.status) {
            lacking.extend(told(self.refusal(&refreshed))?);
        }
        let written = self.update_nobody(index).await?;
        if !(200..300).contains(&written.status) && written.status != 404 {
            lacking.extend(told(self.refusal(&written))?);
        }
        Ok(lacking)
    }

    /// The answer to an update of a document that isn't there, in a bulk: 404 where it is allowed.
    async fn update_nobody(&self, index: &str) -> Result<Answer, ElasticError> {
        let path = format!("/{index}/_bulk");
        let request =
            Request { method: Method::Post, path: &path, parameters: &[], body: Some(bulk().into()) };
        let answer = self.send(request).await?;
        if !(200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let bulk: Value = self.read(&answer.body)?;
        let item = &bulk["items"][0]["update"];
        let status = item["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let unreadable = || self.error(Trouble::Unreadable, "a bulk without its item".to_owned());
        Ok(Answer { status: status.ok_or_else(unreadable)?, body: item.to_string().into() })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, ElasticError> {
        let body = (!body.is_null()).then(|| body.to_string().into());
        self.send(Request { method: Method::Post, path, parameters: &[], body }).await
    }
}

impl Lacking {
    fn on(need: Need, right: &str, index: Option<&str>) -> Self {
        // Rights on the cluster are lacked everywhere, whatever was asked about.
        let index = index.filter(|_| !right.starts_with("cluster:"));
        let right = index.map_or_else(|| right.to_owned(), |index| format!("{right} on {index}"));
        Self { need, right }
    }
}

/// An update of a document that doesn't exist.
fn bulk() -> String {
    format!("{{\"update\":{{\"_id\":\"{NOBODY}\"}}}}\n{{\"doc\":{{}}}}\n")
}

/// The rights that `OpenSearch` says are missing: `no permissions for [indices:data/write/bulk[s]] and User [..]`.
fn refused_rights(error: &ElasticError) -> Option<Vec<String>> {
    let (_, rights) = error.reason.split_once("no permissions for [")?;
    let (rights, _) = rights.split_once("] and User")?;
    Some(rights.split(", ").map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_a_refusal() {
        let refused = |reason: &str| {
            let (server, reason) = ("http://search:9200".to_owned(), reason.to_owned());
            refused_rights(&ElasticError { server, trouble: Trouble::Unauthorized, reason })
        };
        let told = "403 no permissions for [indices:data/write/bulk[s], indices:data/write/update] and User [name=idx]";
        assert_eq!(refused(told).unwrap(), ["indices:data/write/bulk[s]", "indices:data/write/update"]);
        assert_eq!(refused("401 Unauthorized"), None);
    }
}
