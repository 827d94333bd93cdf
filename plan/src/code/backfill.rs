//! 6xx: backfills.

super::codes! {
    SS601 "there is nothing to enumerate ids from"
        "`backfill:` names no `ids:`, so only `--id` can say what to rebuild. Name a query, a file, or `index: true`.";
    SS602 "ids could not be enumerated"
        "The query or the file under `backfill.ids` failed, or answered something without ids. The backfill stands where it stopped \
         and goes on from its cursor.";
    SS603 "an id of the enumeration is not usable"
        "A line of the ids file, or a key that the ids query answered, is no id: it is empty, too long, or of another type than the key.";
}
