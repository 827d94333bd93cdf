//! 1xx: `index.yaml` itself.

super::codes! {
    SS101 "the file is not valid YAML"
        "The text could not be read as YAML. The caret stands where the reader gave up; the mistake is there or just before it: \
         a tab used for indentation, a missing colon, a quote that is not closed.";
}
