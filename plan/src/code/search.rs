//! 7xx: searches and filters.

super::codes! {
    SS701 "the filter can't be parsed"
        "The text is not a filter. The caret stands where the reader gave up. A filter compares paths with values: \
         `type == 'FEATURE' AND countries ANY ['FR', 'ES']`.";
}
