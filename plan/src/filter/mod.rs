//! The filter language: one syntax tree, checked against the field tree, and its meaning over a JSON document.
