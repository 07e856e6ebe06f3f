//! The page: files that are part of the binary, served as they are.

use super::Control;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

/// Nothing but our own files, and sockets to wherever the exchange listens.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:";

/// Name, content type and text of every file.
const FILES: &[(&str, &str, &str)] = &[
    ("app.js", "text/javascript; charset=utf-8", include_str!("../../page/app.js")),
    ("balances.js", "text/javascript; charset=utf-8", include_str!("../../page/balances.js")),
    ("book.js", "text/javascript; charset=utf-8", include_str!("../../page/book.js")),
    ("candles.js", "text/javascript; charset=utf-8", include_str!("../../page/candles.js")),
    ("connection.js", "text/javascript; charset=utf-8", include_str!("../../page/connection.js")),
    ("decimal.js", "text/javascript; charset=utf-8", include_str!("../../page/decimal.js")),
    ("depth-curve.js", "text/javascript; charset=utf-8", include_str!("../../page/depth-curve.js")),
    ("dom.js", "text/javascript; charset=utf-8", include_str!("../../page/dom.js")),
    ("fills.js", "text/javascript; charset=utf-8", include_str!("../../page/fills.js")),
    ("form.js", "text/javascript; charset=utf-8", include_str!("../../page/form.js")),
    ("frame.js", "text/javascript; charset=utf-8", include_str!("../../page/frame.js")),
    ("index.html", "text/html; charset=utf-8", include_str!("../../page/index.html")),
    ("ladder.js", "text/javascript; charset=utf-8", include_str!("../../page/ladder.js")),
    ("market.js", "text/javascript; charset=utf-8", include_str!("../../page/market.js")),
    ("orders.js", "text/javascript; charset=utf-8", include_str!("../../page/orders.js")),
    ("status.js", "text/javascript; charset=utf-8", include_str!("../../page/status.js")),
    ("style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("summary.js", "text/javascript; charset=utf-8", include_str!("../../page/summary.js")),
    ("tape.js", "text/javascript; charset=utf-8", include_str!("../../page/tape.js")),
];

pub fn routes() -> Router<Arc<Control>> {
    FILES.iter().fold(Router::new(), |router, file| {
        let router = router.route(&format!("/{}", file.0), get(move || async { answer(file) }));
        if file.0 == "index.html" { router.route("/", get(move || async { answer(file) })) } else { router }
    })
}

fn answer(file: &'static (&str, &str, &str)) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, file.1),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, file.2)
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
        let mut there: Vec<String> =
            folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        there.sort();
        assert_eq!(there, FILES.iter().map(|file| file.0).collect::<Vec<_>>());
    }
}
