//! The description and the routes are one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Sent, World};
use crate::api::{openapi, routes};

fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).filter(|(path, _)| path.starts_with("/api/v1/")).collect()
}

#[tokio::test]
async fn each_operation_that_is_described_is_there_and_guarded() {
    let world = World::new().await;
    for (path, method) in operations(&openapi()) {
        let path = path.replace("{id}", "x").replace("{device}", "y").replace("{file}", "z");
        let reply = world.raw(&method, &path, Sent::default()).await;
        assert_eq!(reply.status, 401, "{method} {path}");
    }
}

#[test]
fn each_route_is_described() {
    let document = openapi();
    let operations = operations(&document);
    let described: BTreeSet<&str> = operations.iter().map(|(path, _)| path.as_str()).collect();
    let routed: BTreeSet<&str> = routes().iter().map(|route| route.path).collect();
    assert_eq!(described, routed);
    assert_eq!(operations.len(), routes().len(), "a path lacks a method on one side");
}

#[test]
fn the_description_is_complete_and_always_the_same() {
    let document = openapi();
    assert_eq!(document, openapi());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let text = document.to_string();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\"$ref\":\"#") {
        let (pointer, after) = after.split_once('"').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        rest = after;
    }
    for (path, method) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        assert_eq!(operation["responses"]["default"]["$ref"], "#/components/responses/Problem");
        let has_schema = |response: &Value| response["content"].is_object();
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses.iter().filter(|(status, _)| *status != "default") {
            // OpenAPI 3.1 §4.8.17: each response has a description.
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} {status}");
        }
        assert!(responses.iter().any(|(_, response)| has_schema(response)), "{method} {path}");
        let params = path.matches('{').count();
        let told = operation["parameters"]
            .as_array()
            .map_or(0, |list| list.iter().filter(|p| p["in"] == "path").count());
        assert_eq!(params, told, "{method} {path}");
    }
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "operation ids name one operation each");
}

#[tokio::test]
async fn anybody_may_read_the_description() {
    let world = World::new().await;
    let reply = world.raw("GET", "/api/openapi.json", Sent::default()).await;
    assert_eq!(reply.ok(200), openapi());
}
