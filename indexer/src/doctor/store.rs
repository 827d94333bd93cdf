//! The search server: which one it is, what its user may do, and how the index, its alias and its templates are.

use plan::{
    code::store::{SS509, SS510},
    index_plan::StoreKind,
};
use search::elastic::{Client, ElasticError, Engine, Lacking, Need, Places, Server as Known, Trouble};
use serde_json::Value;

use super::{Finding, Patient, clock};
use crate::{
    StateError,
    ledger::elastic::layout,
    now_ms,
    provision::{Change, Goal, server::Server},
};

const STORE: &str = "store";
const RIGHTS: &str = "store rights";

/// Major versions that the tests run on: Elasticsearch 9.4, OpenSearch 3.8 and 2.19.
const ELASTICSEARCH: [&str; 1] = ["9"];
const OPENSEARCH: [&str; 2] = ["2", "3"];

/// Asks the server.
pub(super) async fn examine(patient: &Patient<'_>, version: &Change) -> Vec<Finding> {
    let client = match patient.place.client() {
        Ok(client) => client,
        Err(error) => return vec![Finding::of_error(STORE, &error)],
    };
    let server = match client.server().await {
        Ok(server) => server,
        Err(error) => return vec![of_server(STORE, error)],
    };
    let mut findings = vec![known(patient.plan.store, &server, client.server_name())];
    let asked = now_ms();
    match client.clock().await {
        Ok(theirs) => findings.push(clock::compared("store clock", theirs, asked, now_ms())),
        // Told with the other rights that are lacked.
        Err(error) if error.trouble == Trouble::Unauthorized => {}
        Err(error) => findings.push(of_server("store clock", error)),
    }
    let there = client.index(&version.name).await;
    findings.extend(rights(patient, &client, server.engine, version, &there).await);
    match made(patient, &client, version).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::of_error("templates, index and alias", &error)),
    }
    if let Ok(Some(index)) = there {
        findings.extend(index_settings(patient, &version.name, &index));
        findings.extend(health(&client, &version.name).await);
    }
    findings
}

fn of_server(check: &str, error: ElasticError) -> Finding {
    let help = error.help();
    let error = StateError::from(error);
    Finding::failed(check, error.code(), error.to_string(), help)
}

/// Whether it is a server that we promise to work with.
fn known(wanted: StoreKind, server: &Known, address: &str) -> Finding {
    let (name, kind, majors) = match server.engine {
        Engine::Elasticsearch => ("Elasticsearch", StoreKind::Elasticsearch, &ELASTICSEARCH[..]),
        Engine::OpenSearch => ("OpenSearch", StoreKind::OpenSearch, &OPENSEARCH[..]),
    };
    let message = format!("{address} is {name} {}", server.version);
    if kind != wanted {
        let message = format!("{message}, and `store.type` names the other engine");
        return Finding::failed(STORE, SS510, message, "mend `store.type` or `store.url`");
    }
    match server.version.split('.').next() {
        Some(major) if majors.contains(&major) => Finding::ok(STORE, message),
        _ => {
            let message = format!("{message}, which studio-search is not tested with");
            Finding::warning(STORE, message, "use Elasticsearch 9, or OpenSearch 2.19 or 3")
        }
    }
}

/// What the user may do: asked of the server where it can say so, tried without effect on what is there.
async fn rights(
    patient: &Patient<'_>,
    client: &Client,
    engine: Engine,
    version: &Change,
    there: &Result<Option<Value>, ElasticError>,
) -> Vec<Finding> {
    let ledger = patient.plan.kafka.as_ref().map(|_| layout::index(&patient.plan.name));
    let places = Places { documents: &version.name, alias: &patient.plan.name, ledger: ledger.as_deref() };
    let asked = match client.lacking(engine, &places).await {
        Ok(asked) => asked,
        Err(error) => return vec![of_server(RIGHTS, error)],
    };
    let mut lacking = match (asked, there) {
        (Some(lacking), _) if engine == Engine::Elasticsearch => return vec![lacks(&lacking)],
        (None, Ok(None)) => {
            return vec![Finding::ok(RIGHTS, "not tried: there is no index to try them on yet")];
        }
        (None, Err(error)) => return vec![of_server(RIGHTS, error.clone())],
        (asked, _) => asked.unwrap_or_default(),
    };
    // Not everything can be asked about.
    if let Ok(Some(_)) = there {
        for index in [Some(version.name.as_str()), ledger.as_deref()].into_iter().flatten() {
            match client.tried(index).await {
                Ok(refused) => lacking.extend(refused),
                Err(error) => return vec![of_server(RIGHTS, error)],
            }
        }
    }
    lacking.sort();
    lacking.dedup();
    vec![lacks(&lacking)]
}

/// What the server says of the rights.
fn lacks(lacking: &[Lacking]) -> Finding {
    let Some(worst) = lacking.iter().map(|lacking| lacking.need).min() else {
        return Finding::ok(RIGHTS, "nothing that is needed was refused");
    };
    let rights = |need| {
        let rights: Vec<&str> =
            lacking.iter().filter(|lacking| lacking.need == need).map(|lacking| &*lacking.right).collect();
        (!rights.is_empty()).then(|| rights.join(", "))
    };
    let told = [
        (Need::Run, "`run` needs"),
        (Need::Provision, "only `provision` needs"),
        (Need::Doctor, "only `doctor` needs"),
    ];
    let told = told.iter().filter_map(|(need, who)| Some(format!("{who} {}", rights(*need)?)));
    let message = format!("the user lacks rights: {}", told.collect::<Vec<_>>().join("; "));
    let help = "give its role these rights; who provisions may be another user than who runs";
    match worst {
        Need::Run => Finding::failed(RIGHTS, SS510, message, help),
        Need::Provision | Need::Doctor => Finding::warning(RIGHTS, message, help),
    }
}

/// The templates, the index and its alias.
async fn made(patient: &Patient<'_>, client: &Client, version: &Change) -> Result<Vec<Finding>, StateError> {
    let Patient { plan, artifacts, place, .. } = *patient;
    let Some(server) = Server::of(place, plan, artifacts.templates, version, Goal::Fitting).await? else {
        return Ok(Vec::new());
    };
    let Err(error) = client.component_template(server.component_template()).await else {
        return Ok(server.changes().await?.iter().map(Finding::of_change).collect());
    };
    if error.trouble != Trouble::Unauthorized {
        return Err(error.into());
    }
    let help = "run `doctor` as the user who provisions, to have them compared; `run` needs none of them";
    let untold = Finding::warning("templates", "this user may not read them", help);
    let seen = [server.index_change().await?, server.alias_change().await?];
    Ok([untold].into_iter().chain(seen.iter().map(Finding::of_change)).collect())
}

/// Settings of an index that someone, or a full disk, may have changed.
fn index_settings(patient: &Patient<'_>, name: &str, index: &Value) -> Vec<Finding> {
    let settings = &index["settings"]["index"];
    let is_set = |block: &str| matches!(settings["blocks"][block].as_str(), Some("true"));
    let blocks: Vec<&str> = ["read_only_allow_delete", "read_only", "write", "read", "metadata"]
        .into_iter()
        .filter(|block| is_set(block))
        .collect();
    let check = format!("writing {name}");
    let writing = match blocks.as_slice() {
        [] => Finding::ok(check, "nothing blocks it"),
        [first, ..] => {
            let mend = format!(
                "make room on the server's disks, then `PUT /{name}/_settings {{\"index.blocks.{first}\": null}}`"
            );
            let reason =
                if *first == "read_only_allow_delete" { " (its disk passed the flood stage)" } else { "" };
            Finding::failed(
                check,
                SS510,
                format!("the index is blocked by {}{reason}", blocks.join(", ")),
                mend,
            )
        }
    };
    vec![writing, refresh(patient, name, settings)]
}

/// How soon a document is found after it was written.
fn refresh(patient: &Patient<'_>, name: &str, settings: &Value) -> Finding {
    let component = &patient.artifacts.templates["component_template"]["body"]["template"];
    let wanted = component["settings"]["index"]["refresh_interval"].as_str();
    let found = settings["refresh_interval"].as_str();
    let check = format!("refresh of {name}");
    let help = "a setting of an index that is there stays as it is: \
                `PUT /<index>/_settings {\"index.refresh_interval\": ...}` with the wanted one";
    match (found, wanted) {
        (Some("-1"), _) => Finding::warning(check, "it is off, so that nobody finds what is written", help),
        (found, Some(wanted)) if found != Some(wanted) => {
            let found = found.unwrap_or("unset");
            Finding::warning(check, format!("its interval is {found}, {wanted} is wanted"), help)
        }
        (Some(found), _) => Finding::ok(check, format!("its interval is {found}")),
        (None, _) => Finding::ok(check, "its interval is the server's"),
    }
}

/// Whether all shards are there.
async fn health(client: &Client, index: &str) -> Option<Finding> {
    let check = format!("shards of {index}");
    let help = "ask the server why: `GET /_cluster/allocation/explain`";
    Some(match client.health(index).await.ok()?.as_str() {
        "red" => Finding::failed(check, SS509, "some can't be read or written (red)", help),
        "yellow" => Finding::ok(check, "all are there, not all copies of them (yellow)"),
        _ => Finding::ok(check, "all are there"),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn what_only_provision_needs_is_a_warning() {
        let status = |needs: &[Need]| {
            let lacking =
                needs.iter().map(|need| Lacking { need: *need, right: "manage on movies".to_owned() });
            lacks(&lacking.collect::<Vec<_>>()).status
        };
        assert_eq!(status(&[]), Status::Ok);
        assert_eq!(status(&[Need::Doctor, Need::Provision]), Status::Warning);
        assert_eq!(status(&[Need::Provision, Need::Run]), Status::Failed);
    }

    #[test]
    fn a_server_that_is_not_tested_is_told() {
        let server = |engine, version: &str| Known { engine, version: version.to_owned() };
        let status = |wanted, server: &Known| known(wanted, server, "http://search:9200").status;
        let elastic = server(Engine::Elasticsearch, "9.4.3");
        assert_eq!(status(StoreKind::Elasticsearch, &elastic), Status::Ok);
        assert_eq!(status(StoreKind::OpenSearch, &elastic), Status::Failed);
        assert_eq!(
            status(StoreKind::Elasticsearch, &server(Engine::Elasticsearch, "7.17.0")),
            Status::Warning
        );
        assert_eq!(status(StoreKind::OpenSearch, &server(Engine::OpenSearch, "2.19.1")), Status::Ok);
    }
}
