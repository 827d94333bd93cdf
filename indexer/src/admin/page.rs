//! The status page.

use axum::response::Html;

pub(super) async fn show() -> Html<String> {
    Html("to come".into())
}
