//! 4xx: requests to the gateway and what it answers.

super::codes! {
    SS401 "the gateway can't be reached"
        "No answer came from `graph.url`: the connection was refused, timed out, or the server answered 429 or 5xx. Nothing is lost: \
         the ids stay in the reindex log and are tried again with growing pauses.";
    SS402 "the gateway refuses the query"
        "The gateway answered 400, or said that the query is not valid against its schema. The schema that the plan was made from is \
         not the one that the gateway serves: fetch it anew, run `studio-search validate`, then `studio-search provision`. The index \
         is paused meanwhile, and goes on by itself when the gateway accepts the query.";
    SS403 "the gateway refuses the credentials"
        "The gateway answered 401 or 403. Check `graph.headers`. The index is paused meanwhile: a graph that hides everything from an \
         unknown caller must not empty an index.";
    SS404 "part of the graph failed"
        "The gateway answered with errors for this document. The last good document stays as it is; the id is held with the path, the \
         code and the subgraph that failed, and is fetched again by itself. Routers hide the subgraph unless they are told not to: of Apollo \
         Router, set `include_subgraph_errors: { all: true }`; of WunderGraph Cosmo, `subgraph_error_propagation: { attach_service_name: \
         true, omit_extensions: false }`; of Hive Router, let `error_masking.all.extensions` keep the key `service`; of Hive Gateway, set \
         `maskedErrors: false`; of Apollo Server, let `formatError` keep `extensions.serviceName`. What stays hidden is told from the path \
         and from what is null, as one of several where that leaves several.";
    SS405 "the answer is not a GraphQL response"
        "What came back is not JSON with `data` or `errors`, or it was cut, or it is larger than 32 MiB. Check that `graph.url` is the \
         GraphQL endpoint and not a web page before it.";
    SS406 "too many documents are gone at once"
        "More than `errors.max_gone` (and more than 50) of the documents fetched within ten minutes came back as null, and no event said \
         that they were deleted. This is what lost authorisation looks like, so the index is paused instead of emptied. Look at one \
         id through the gateway; then `studio-search resume`.";
    SS407 "the answer names a document that was not asked for"
        "A document came back under another key than the one that was asked for. The key that the query selects is not the one that the \
         root field looks up; `key:` names the field to use.";
    SS408 "the gateway refuses an id"
        "The gateway answered 400 for this document although its query is valid for others: the graph's scalar takes ids of another \
         form, such as UUIDs only. The id is held; mend the event that names it.";
    SS409 "the graph answers an older document than its event tells of"
        "The source's `version:` says how new the data is that an event tells of, and the graph went on answering something older: a \
         replica or a cache lags behind. The document is indexed as it was answered and held, and is fetched again with growing pauses \
         until it shows that version. If it never does, the two are not the same fact: mend `version:` or the field that the query \
         selects for it.";
}
