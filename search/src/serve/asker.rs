//! Who asks: what the headers of a request say of the caller, where the client that sent them is believed.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use crate::{
    policy::{Access, AccessError},
    port::Authenticated,
};

/// Who asks. A name is believed only from a client that authenticates: anybody can write a header.
#[derive(Debug, Clone, Default)]
pub(super) struct Asker {
    believed: Option<Arc<HeaderMap>>,
}

impl Asker {
    /// The caller by the header of these policies; `None`: nobody is named, or nobody is believed.
    pub(super) fn name(&self, access: &Access) -> Result<Option<&str>, AccessError> {
        let Some(headers) = &self.believed else { return Ok(None) };
        let mut values = headers.get_all(access.header()).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            // Of two names one may have been added by whom the client speaks for.
            (Some(_), Some(_)) => Err(AccessError::Denied { caller: Some("who has two names".to_owned()) }),
            (Some(name), None) => name.to_str().map(Some).map_err(|_| AccessError::Denied {
                caller: Some(String::from_utf8_lossy(name.as_bytes()).into_owned()),
            }),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let is_known = parts.extensions.get::<Authenticated>().is_some();
        Ok(Self { believed: is_known.then(|| Arc::new(parts.headers.clone())) })
    }
}
