//! 7xx: searches and filters.

super::codes! {
    SS701 "the filter can't be parsed"
        "The text is not a filter. The caret stands where the reader gave up. A filter compares paths with values: \
         `type == 'FEATURE' AND countries ANY ['FR', 'ES']`. Texts and dates stand in quotes, lists in square brackets; \
         `AND`, `OR`, `NOT` and parentheses combine. A name that is a keyword, or has other characters than letters, digits \
         and `_`, stands in backticks.";
    SS702 "the filter names an unknown field"
        "Fields are named by their path in `query.graphql`, aliases included: `production.status`, not `status`. Inside of \
         `actors[...]` names start at the element: `actors[role == 'DIRECTOR']`.";
    SS703 "a value doesn't fit the field's type"
        "A field is compared with values of its own type: texts and dates with a text in quotes, numbers with a number, \
         booleans with `true` or `false`. Dates are ISO 8601 (`'2024-01-31'`, `'2024-01-31T10:00:00Z'`) or date maths \
         (`'now-7d/d'`). A `long` has no fraction and 64 bits.";
    SS704 "an enum has no such value"
        "The value is none of the enum's values in the schema, so the comparison could never hold. Values are written as \
         strings and in the case of the schema: `status == 'IN_PHOTOGRAPHY'`.";
    SS705 "the operator doesn't fit the field"
        "What can be asked depends on how the field is indexed. `MATCHES` asks for words, of `text` fields. `==`, `IN`, `LIKE` and \
         sorting need the whole value: `keyword` fields, or `text` fields with `keyword: raw` or `keyword: lowercase`. `<` and \
         its kin order numbers, dates and keywords. `WITHIN` needs a `geo_point`. `EXISTS` fits everything.";
    SS706 "`path[...]` needs a nested list"
        "`actors[role == 'DIRECTOR' AND talentId == 't5']` binds one element of a list of objects that is indexed as `nested` (the \
         default of a list of objects). A list mapped as `object` keeps no elements apart, and a single object needs no binding: \
         write the whole path instead.";
    SS707 "the field is not indexed"
        "`fields:` says `index: false` for this field or for an object around it. The document carries it, but it can't be \
         searched, filtered, sorted or counted.";
    SS708 "the filter is too large"
        "A filter has at most 64 KiB of text, 64 levels of nesting, 1,000 comparisons and 10,000 values in its lists; a `LIKE` \
         pattern has at most 1,000 characters. A longer list of ids is better asked for in several searches.";
    SS709 "the filter names no part of a record"
        "A source's `where` reads the record, not the document. Its paths start with `key`, `value`, `headers` or `row`: \
         `row.kind != 'TEST'`.";
    SS710 "the cursor belongs to another search"
        "A cursor goes on from the last hit of one search. It is good only with the same text, filter and sort on the same index; \
         how many hits are asked for and which facets may change. Start again without `--after`.";
    SS711 "the field can't be sorted or counted"
        "Sorting and facets need the whole value of a field: `keyword`, `long`, `double`, `boolean`, `date`, or `text` with \
         `keyword: raw` or `keyword: lowercase`.";
    SS712 "too much is asked for at once"
        "One search answers at most 1,000 hits, 20 facets and 8 sort fields, or 100 suggestions, and one GraphQL request makes at most 10 \
         searches. Ask for the next page with `--after`; `studio-search export` \
         writes every document.";
    SS713 "the search text is too long"
        "Free text has at most 16 KiB and 128 words, and a document must hold all of them. Search for the words that matter.";
    SS714 "the search failed"
        "The embedded store could not be read: the file is missing, locked for long, damaged, or this index version was removed \
         while the search ran. Try again; then check the file under `state.path`: its folder, its rights, the disk.";
    SS715 "the search took too long"
        "The search was stopped before it ended, so that it does not hold up the others. A filter that names a value is quicker \
         than one that only excludes, and `LIKE` with a fixed beginning quicker than `LIKE '*...'`.";
    SS716 "the search server does not answer"
        "Elasticsearch or OpenSearch could not be reached, did not answer in time, or says that it is too busy. Nothing is lost: \
         ask again. If it stays, check that the server runs, its address under `store:`, the network between, and its own log.";
    SS717 "the search server refuses the search"
        "The server was reached and said no: the credentials under `store:` are not believed or may not read this index, the index \
         is missing or was made by other templates (`studio-search provision` makes it), or a limit of the server is passed, such \
         as clauses inside of each other, or the states of a `LIKE` pattern. The message has its own words.";
    SS718 "values of the field are not suggested"
        "Suggestions are whole values of the fields that the configuration declares, under `search.suggest` or with `suggest: true`. \
         They need the whole value: `keyword` fields, or `text` fields with `keyword: raw` or `keyword: lowercase`.";
    SS719 "the request can't be read"
        "What was sent to `serve` is no request that it understands: a body that isn't JSON, a name that is no parameter, a value of \
         another type, or more than 256 KiB. `/openapi.json` describes every request.";
    SS720 "nothing is found at the address"
        "`serve` has no such index, no such document, or nothing at all at this path. `/indexes` lists the indexes and `/openapi.json` \
         every path. A document that the caller may not see is not found, either.";
    SS721 "too many searches at once"
        "`serve` works on a bounded number of searches, so that none of them waits without end. Ask again after a second, or let a \
         second process serve the same index.";
    SS722 "the caller may not ask the search port"
        "A port that other machines reach answers whoever brings a token of `serve.tokens`, as `Authorization: Bearer …`; one on \
         loopback answers programs of this machine, and no page of another site.";
    SS723 "the caller may not search"
        "`search.access` gives this caller no policy, and there is no `default`; or the policy service let nobody of this name in. \
         Whoever owns the index names callers and what each may see. A caller is believed only from a client that authenticates: \
         without a token of `serve.tokens` everybody is nobody.";
    SS724 "the policy service gives no answer"
        "What a caller may see is asked of `search.access.policy_url`, and without its answer nobody searches. It is asked by POST as \
         Open Policy Agent's data API is, with `{\"input\": {\"index\": \"movies\", \"caller\": \"slate-team\"}}`, and answers \
         within two seconds with status 200 and `{\"result\": \"type != 'UNANNOUNCED'\"}`: a filter, `true` or `false`. An answer is believed \
         for ten seconds.";
    SS725 "a policy is no filter of the index"
        "The policy service answered with a text that is no filter, or names a field that this index version doesn't have. Who is held to it \
         finds nothing until it is mended: a policy that can't be understood is never left out.";
    SS730 "a saved search doesn't fit the plan"
        "The filter of a saved search names a field that the plan doesn't have, or asks of it what its mapping can't answer. `plan` and \
         `provision` warn of it before the plan is stored; afterwards nothing matches the search, and nothing else is wrong. Save it \
         again under its name with a filter that fits, `studio-search saved add`, or remove it.";
    SS731 "a search can't be saved"
        "A saved search has a name of 1 to 120 characters and a filter of the filter language. An index has at most 10,000 of them, whose \
         filters have at most 4 MiB together: each process holds all of them in memory, so that documents are matched quickly.";
    SS732 "the webhook doesn't take matches"
        "What begins to match a saved search is posted to `search.saved.webhook`. Whatever is no answer with a status of 200 to 299 within ten \
         seconds is tried again, after one second, then two, four, up to five minutes, or as `Retry-After` says. Redirects are not \
         followed. Meanwhile matches wait in the ledger, at most about 100,000 of them; what begins while so many wait is \
         dropped, and counted by the metric `saved_matches`. Nothing else waits for the webhook. Each match has a `key` that is the same however \
         often it is posted.";
    SS733 "there is no such saved search"
        "`studio-search saved list` shows the names. They are compared as they are, in the case that they were saved in.";
}
