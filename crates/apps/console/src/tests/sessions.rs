//! Nobody sees a page without a session, and a link starts one once.

use axum::http::{Method, StatusCode};
use warden_model::Seconds;
use warden_store::Store;

use super::pages::PAGES;
use super::{SECRET, console, get, request, send, started};
use crate::session::{COOKIE_NAME, hash};
use crate::{clock, router};

#[tokio::test]
async fn pages_need_a_session() {
    let store = Store::in_memory().await.unwrap();
    let router = started(&store).await;
    store.create_session(&hash("an-old-one"), clock::now()).await.unwrap();
    let paths = PAGES.iter().map(|(_, path)| *path).chain(["/rollouts/cam-x1-1.1-a/live"]);
    for path in paths {
        for secret in [None, Some("guessed"), Some(""), Some("an-old-one")] {
            let page = send(&router, request(Method::GET, path, secret)).await;
            assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path} with {secret:?}");
            assert!(page.body.contains("fleetwarden login"), "{path} says how to get in");
        }
    }
    let logout = send(&router, request(Method::POST, "/logout", None)).await;
    assert_eq!(logout.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_logs_in_once() {
    let store = Store::in_memory().await.unwrap();
    let router = router(console(store.clone()));
    store.create_login_link(&hash("one-time"), clock::now().plus(Seconds(60))).await.unwrap();
    store.create_login_link(&hash("late"), clock::now()).await.unwrap();

    let peek = send(&router, request(Method::HEAD, "/login?token=one-time", None)).await;
    assert_eq!(peek.status, StatusCode::NO_CONTENT, "a look does not use a link up");

    let login = send(&router, request(Method::GET, "/login?token=one-time", None)).await;
    assert_eq!((login.status, login.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = login.header("set-cookie").to_owned();
    for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=43200"] {
        assert!(cookie.split("; ").any(|found| found == part), "{cookie}");
    }
    let secret = cookie.split(';').next().unwrap().strip_prefix(&format!("{COOKIE_NAME}=")).unwrap();
    assert_eq!(secret.len(), 43, "256 bits in base64");
    let page = send(&router, request(Method::GET, "/", Some(secret))).await;
    assert_eq!(page.status, StatusCode::OK);

    for (token, cause) in [("one-time", "is used up"), ("late", "has expired"), ("nobody", "is unknown")] {
        let again = send(&router, request(Method::GET, &format!("/login?token={token}"), None)).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(again.body.contains(cause), "{token}: {}", again.body);
        assert_eq!(again.header("set-cookie"), "", "{token}");
    }
}

#[tokio::test]
async fn logging_out_ends_the_session_on_the_server() {
    let store = Store::in_memory().await.unwrap();
    let router = started(&store).await;
    let mut foreign = request(Method::POST, "/logout", Some(SECRET));
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(send(&router, foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&router, "/").await.status, StatusCode::OK, "another site cannot log a person out");

    let out = send(&router, request(Method::POST, "/logout", Some(SECRET))).await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(get(&router, "/").await.status, StatusCode::UNAUTHORIZED, "the old cookie is worth nothing");
}

#[tokio::test]
async fn every_answer_is_locked_down() {
    let router = started(&Store::in_memory().await.unwrap()).await;
    for path in ["/", "/login", "/login?token=x", "/devices/nobody", "/assets/none", "/risk"] {
        let page = get(&router, path).await;
        let policy = page.header("content-security-policy");
        for part in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
    }
}
