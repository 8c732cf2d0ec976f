//! Pages for the eye: with `FLEETWARDEN_CONSOLE_PREVIEW=FOLDER` in the environment, all pages and assets are written there,
//! to be opened in a browser. Without it there is nothing to do.

use std::path::PathBuf;

use axum::http::Method;
use warden_store::Store;

use super::fleet::full;
use super::pages::PAGES;
use super::{get, request, send, started};
use crate::assets::{ICON, SCRIPT, STYLE};
use crate::clock;

#[tokio::test]
async fn pages_can_be_written_to_a_folder() {
    let Some(folder) = std::env::var_os("FLEETWARDEN_CONSOLE_PREVIEW").map(PathBuf::from) else { return };
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), "").await;
    let router = started(&store).await;
    let empty = started(&Store::in_memory().await.unwrap()).await;
    let local = |body: &str| body.replace("\"/assets/", "\"assets/");
    for (name, path) in PAGES {
        std::fs::write(folder.join(format!("{name}.html")), local(&get(&router, path).await.body)).unwrap();
    }
    for (name, path) in [
        ("empty-now", "/"),
        ("empty-devices", "/devices"),
        ("empty-risk", "/risk"),
        ("unknown", "/devices/nobody"),
    ] {
        std::fs::write(folder.join(format!("{name}.html")), local(&get(&empty, path).await.body)).unwrap();
    }
    let login = send(&router, request(Method::GET, "/", None)).await;
    std::fs::write(folder.join("login.html"), local(&login.body)).unwrap();
    for asset in [&STYLE, &SCRIPT, &ICON] {
        let name = asset.path.trim_start_matches('/');
        std::fs::write(folder.join(name), get(&router, &asset.path).await.body).unwrap();
    }
}
