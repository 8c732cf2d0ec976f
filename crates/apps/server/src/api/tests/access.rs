//! Who is let in, and who is not.

use warden_model::{Seconds, Timestamp};

use super::{Sent, TOKEN, World};
use crate::clock::now;
use crate::device::hash_of;

async fn check(world: &World, header: &str, expected: Result<(), &str>) {
    let headers = vec![("authorization", header.to_owned())];
    let reply = world.raw("GET", "/api/v1/status", Sent { headers, ..Sent::default() }).await;
    match expected {
        Ok(()) => drop(reply.ok(200)),
        Err(why) => {
            reply.problem(401, "not-authenticated", why);
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(reply.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_token_lets_in_while_it_is_good() {
    let world = World::new().await;
    let now = now();
    world.token("late", "secret", Some(Timestamp(now.0 - 1))).await;
    world.token("good", "secret", Some(now.plus(Seconds(60)))).await;
    check(&world, TOKEN, Ok(())).await;
    check(&world, "bearer fwt_good_secret", Ok(())).await;
    check(&world, "Bearer fwt_late_secret", Err("expired")).await;
    check(&world, "Bearer fwt_good_Secret", Err("not known")).await;
    check(&world, "Bearer fwt_nobody_secret", Err("not known")).await;
    let long = format!("Bearer fwt_good_{}", "s".repeat(5000));
    for malformed in
        ["Basic fwt_good_secret", "Bearer", "Bearer good_secret", "Bearer fwt_good", "Bearer fwt__x", &long]
    {
        check(&world, malformed, Err("no token of this server")).await;
    }
    let reply = world.raw("GET", "/api/v1/status", Sent::default()).await;
    reply.problem(401, "not-authenticated", "Authorization: Bearer");
}

async fn with_cookie(
    world: &World,
    method: &str,
    cookie: &str,
    more: &[(&'static str, &str)],
) -> super::Reply {
    let mut headers = vec![("cookie", cookie.to_owned()), ("host", "fleet.test:8444".to_owned())];
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let path = if method == "GET" { "/api/v1/status" } else { "/api/v1/login-links" };
    world.raw(method, path, Sent { headers, ..Sent::default() }).await
}

#[tokio::test]
async fn a_session_lets_in_and_another_site_cannot_use_it() {
    let world = World::new().await;
    let store = &world.context.store;
    store.create_session(&hash_of(b"live"), now().plus(Seconds(60))).await.unwrap();
    store.create_session(&hash_of(b"over"), Timestamp(1)).await.unwrap();
    let cookie = "theme=dark; __Host-fleetwarden=live";
    with_cookie(&world, "GET", cookie, &[]).await.ok(200);
    with_cookie(&world, "GET", cookie, &[("sec-fetch-site", "cross-site")]).await.ok(200);
    for same in [("sec-fetch-site", "same-origin"), ("origin", "https://fleet.test:8444")] {
        with_cookie(&world, "POST", cookie, &[same]).await.ok(201);
    }
    let others: [&[(&'static str, &str)]; 7] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://fleet.test:8444")],
        &[("origin", "https://evil.test")],
        &[("origin", "http://fleet.test:8444")],
        &[("origin", "null")],
    ];
    for other in others {
        with_cookie(&world, "POST", cookie, other).await.problem(403, "not-allowed", "another site");
    }
    with_cookie(&world, "GET", "__Host-fleetwarden=over", &[]).await.problem(
        401,
        "not-authenticated",
        "ended",
    );
    with_cookie(&world, "GET", "fleetwarden=live", &[]).await.problem(401, "not-authenticated", "no token");
    assert!(world.story().await.iter().all(|line| line.contains("by a person at the console")));
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let world = World::new().await;
    for path in ["/api", "/api/v1", "/api/v1/nothing", "/api/v1/devices/a/nothing", "/api/v2/devices"] {
        world.get(path).await.problem(404, "not-found", path);
    }
    let reply = world.send("DELETE", "/api/v1/products/cam", "application/json", Vec::new()).await;
    reply.problem(405, "wrong-method", "DELETE");
    let allowed = reply.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("PUT"), "{allowed}");
    world.get("/api/v1/metadata/targets").await.problem(405, "wrong-method", "GET");
}
