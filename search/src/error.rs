//! Why a search was refused or failed, with its code and what to do about it.

use plan::{Code, code::search as codes};

use crate::{MAX_TEXT_BYTES, MAX_WORDS, elastic::ElasticError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A facet or a sort names nothing.
    #[error("there is no field {path}")]
    UnknownField {
        /// As it was asked for.
        path: String,
        /// The field that was probably meant.
        near: Option<String>,
    },
    /// The field says `index: false`.
    #[error("{path} is not indexed")]
    NotIndexed {
        /// The field.
        path: String,
    },
    /// The field keeps no whole values.
    #[error("{path} can't be sorted or counted")]
    NotComparable {
        /// The field.
        path: String,
    },
    /// The cursor is damaged, forged or of another search.
    #[error("the cursor belongs to another search, or is damaged")]
    Cursor,
    /// Values of the field are not suggested.
    #[error("{path} is not declared for suggestions")]
    NotSuggested {
        /// The field.
        path: String,
    },
    /// Values of no field are.
    #[error("the index declares no field for suggestions")]
    NothingSuggested,
    /// A limit of one search.
    #[error("{asked} {what} are asked for, the limit is {limit}")]
    TooMuch {
        /// What is limited.
        what: &'static str,
        /// How much was asked for.
        asked: usize,
        /// How much one search answers.
        limit: usize,
    },
    /// The free text is too long.
    #[error("the search text has more than {MAX_TEXT_BYTES} bytes or {MAX_WORDS} words")]
    TextTooLong,
    /// The embedded store failed.
    #[error("the embedded store can't be searched")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The search server failed.
    #[error(transparent)]
    Server(ElasticError),
    /// The search was stopped.
    #[error("the search took longer than {seconds} s and was stopped")]
    TimedOut {
        /// How long it was allowed to take.
        seconds: u64,
    },
}

impl SearchError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            SearchError::UnknownField { .. } => codes::SS702,
            SearchError::NotIndexed { .. } => codes::SS707,
            SearchError::NotComparable { .. } => codes::SS711,
            SearchError::Cursor => codes::SS710,
            SearchError::NotSuggested { .. } | SearchError::NothingSuggested => codes::SS718,
            SearchError::TooMuch { .. } => codes::SS712,
            SearchError::TextTooLong => codes::SS713,
            SearchError::Store(_) => codes::SS714,
            SearchError::Server(error) if error.is_passing() => codes::SS716,
            SearchError::Server(_) => codes::SS717,
            SearchError::TimedOut { .. } => codes::SS715,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            SearchError::UnknownField { near, .. } => {
                near.as_ref().map(|near| format!("did you mean {near}?"))
            }
            SearchError::NotIndexed { .. } => Some("its `index: false` stands under `fields:`".to_owned()),
            SearchError::NotComparable { path } => Some(format!(
                "text needs its whole value: {path}: {{ type: text, keyword: raw }} under `fields:`"
            )),
            SearchError::Cursor => Some("start again without it".to_owned()),
            SearchError::NotSuggested { .. } | SearchError::NothingSuggested => {
                Some("name it: `suggest: [title]` under `search:`, then `studio-search provision`".to_owned())
            }
            SearchError::TooMuch { what: "hits", .. } => {
                Some("ask for the next page with the cursor".to_owned())
            }
            SearchError::TooMuch { .. } => None,
            SearchError::TextTooLong => Some("search for the words that matter".to_owned()),
            SearchError::Store(_) => Some("try again; then check the file under `state.path`".to_owned()),
            SearchError::Server(error) => Some(error.help().to_owned()),
            SearchError::TimedOut { .. } => Some("add a condition that names a value".to_owned()),
        }
    }
}

impl From<rusqlite::Error> for SearchError {
    fn from(error: rusqlite::Error) -> Self {
        SearchError::Store(Box::new(error))
    }
}
