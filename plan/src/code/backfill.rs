//! 6xx: backfills.

super::codes! {
    SS601 "there is nothing to enumerate ids from"
        "`backfill:` names no `ids:`, so only `--id` can say what to rebuild. Name a query, a file, or `index: true`.";
    SS602 "ids could not be enumerated"
        "The query or the file under `backfill.ids` failed, or answered something without ids. The backfill stands where it stopped \
         and goes on from its cursor.";
    SS603 "an id of the enumeration is not usable"
        "A line of the ids file, or a key that the ids query answered, is no id: it is empty, too long, or of another type than the key.";
    SS604 "the checks of an index version do not hold"
        "`promote` lets another index version be served only when `backfill.checks` hold of it: enough documents against the served \
         version (`min_count_ratio`), at most `max_missing` of them without a field under `required`, and each search under `tests:` \
         finds something where it does in the served version. Some documents (`sample`) are compared with the graph: what differs and \
         stays so, although everything that was on its way has arrived, counts, unless the served version shows the same. What doesn't \
         hold is told. The served version was not touched. Mend the mapping and provision it, or change the checks; `sample: 0` \
         promotes without asking the graph.";
    SS605 "there is no index version to serve instead"
        "`promote` takes the newest version that is READY, or the one that is named; `rollback` the newest older one that is KEPT. \
         A version is made by `provision`, where a change can't be made in place, and filled by `run`; `status` shows how far it is. \
         One whose query is another one is filled by `backfill start --into-new-version`, and READY when it holds every document that \
         the served version shows, and lacks none. One that is GIVEN_UP could not take the documents, and `status` tells why.";
    SS606 "another promotion was faster"
        "Two promotions or rollbacks were under way at once, and this one came second: the index is served by what the first one \
         decided; look at `studio-search status`, and decide anew. Or a process has not followed the last promotion within half a \
         minute: searches could show again what it is about to replace. End it if it hangs, and try it again.";
    SS607 "the pages of the ids query go round in circles"
        "The same page came again and again: its cursor leads back to where it was, or it is not used at all. Everything that was found by then \
         is rebuilt, but nobody knows what else there is, so that the backfill has failed. Mend the query, or the resolver behind it, and start \
         another.";
    SS608 "no window opens for the backfill"
        "None of `backfill.windows` opens within eight years, such as one whose `years` are over, or its time zone is not known. A backfill would \
         wait for ever, unless it is started with `--now`.";
    SS609 "a new index version was asked for of what is not provisioned"
        "`backfill start --into-new-version` fills the index version that `provision` made for another query. Where the query is \
         unchanged it makes another version of what is provisioned, which is filled from the served one, without a request to the \
         graph. What the files say is neither: provision it first.";
}
