//! Every page, with nothing, with everything, with too much, and with hostile names.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use warden_store::Store;

use super::fleet::{HOSTILE, crowded, full};
use super::{get, started};
use crate::assets::{SCRIPT, STYLE};
use crate::clock;

/// Largest page, in bytes: a slow line in a harbour still shows it at once.
const PAGE_BYTES_MAX: usize = 150 * 1024;

/// Largest asset, in bytes.
const ASSET_BYTES_MAX: usize = 15 * 1024;

/// All pages of the full fleet.
pub(super) const PAGES: &[(&str, &str)] = &[
    ("now", "/"),
    ("devices", "/devices"),
    ("devices-filtered", "/devices?filter=criticality%3A%3Estandard%20protected%3Ano"),
    ("devices-wrong", "/devices?filter=colour%3Ared"),
    ("devices-none", "/devices?filter=id%3Anobody"),
    ("device", "/devices/cam-03"),
    ("device-fresh", "/devices/cam-fresh"),
    ("device-shielded", "/devices/meter-41"),
    ("risk", "/risk"),
    ("advisory", "/risk/CVE-2022-48174"),
    ("advisory-by-alias", "/risk/DSA-5500-1"),
    ("advisory-closed", "/risk/CVE-2021-28831"),
    ("releases", "/releases"),
    ("release", "/releases/cam-x1-1.1"),
    ("release-proven", "/releases/gate-2-3.1"),
    ("release-rejected", "/releases/meter-c-0.10"),
    ("release-old", "/releases/cam-x1-1.0"),
    ("rollouts", "/rollouts"),
    ("rollout", "/rollouts/cam-x1-1.1-a"),
    ("rollout-halted", "/rollouts/cam-x1-1.1-trial"),
    ("rollout-draft", "/rollouts/cam-x1-1.1-b"),
    ("scans", "/scans"),
    ("shields", "/shields"),
    ("alerts", "/alerts"),
];

/// Pages that exist whatever is in the store.
const LISTS: &[&str] = &["/", "/devices", "/risk", "/releases", "/rollouts", "/scans", "/shields", "/alerts"];

/// The values of an attribute in a page.
fn attributes<'p>(page: &'p str, name: &str) -> BTreeSet<&'p str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn every_page_has_a_next_step_when_the_fleet_is_empty() {
    let router = started(&Store::in_memory().await.unwrap()).await;
    for path in LISTS {
        let page = get(&router, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.body.contains("data-copy=\"fleetwarden "), "{path} names no command");
    }
}

#[tokio::test]
async fn every_page_shows_a_full_fleet() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), "").await;
    let router = started(&store).await;
    for (name, path) in PAGES {
        let page = get(&router, path).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert!(page.body.contains("<main id=\"main\""), "{name} has its landmark");
        assert!(page.body.contains("Updated at "), "{name} says how fresh it is");
        assert!(!page.body.contains(" style=\""), "{name}: the policy forbids inline styles");
        assert!(!page.body.contains(" onclick"), "{name}: the policy forbids inline scripts");
        let ids: Vec<&str> =
            page.body.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let unique: BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id stands twice among {ids:?}");
    }
}

#[tokio::test]
async fn pages_tell_what_they_are_for() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), "").await;
    let router = started(&store).await;
    let says = [
        ("/", "Rollout cam-x1-1.1-trial has halted"),
        ("/", "Release gate-2-3.1 (gate-2 3.1) waits for a signature"),
        ("/", "1 shield was refused"),
        ("/", "The deadline has passed on 1 device"),
        ("/", "2 critical devices are exposed"),
        ("/", "1 device not heard of for 15 min"),
        ("/", "The last update failed on 1 device"),
        ("/", "aria-label=\"3 patched, 5 exposed\""),
        ("/devices", "end of support"),
        ("/devices?filter=colour%3Ared", "not understood"),
        ("/devices?filter=criticality%3Apink", "safety-critical, mission-critical"),
        ("/devices/cam-03", "no frames within 10 s"),
        ("/devices/cam-03", "it turned back by itself"),
        ("/devices/cam-06", "waits for phase"),
        ("/devices/cam-04", "loading the patch from 1.0: 62 %"),
        ("/risk/CVE-2022-48174", "The fix is on its way"),
        ("/risk/CVE-2021-28831", "protected in"),
        ("/releases/gate-2-3.1", "fleetwarden release sign gate-2-3.1"),
        ("/releases/cam-x1-1.1", "403.2 KiB"),
        ("/releases/cam-x1-1.1", "1 min 1 s"),
        ("/releases/cam-x1-1.1", "matching, step 3 of 5"),
        ("/releases/cam-x1-1.1", "full image: the image that these devices run is not among the artifacts"),
        ("/releases/cam-x1-1.1", "attempt 1 of 3 failed: the disk is full, again"),
        ("/releases/cam-x1-1.1", "by patch. On average 3.2 s to load, 9.1 s to apply."),
        ("/rollouts/cam-x1-1.1-a", "of loading at the rates that"),
        ("/releases/meter-c-0.10", "It took 14 s."),
        ("/releases/meter-c-0.10", "INSTALLED, BOOTED, ROLLED_BACK"),
        ("/rollouts/cam-x1-1.1-a", "data-command=\"/api/v1/rollouts/cam-x1-1.1-a/pause\""),
        ("/rollouts/cam-x1-1.1-a", "fleetwarden rollout roll-back cam-x1-1.1-a"),
        ("/rollouts/cam-x1-1.1-b", "/start\""),
        ("/shields", "table inet fleetwarden"),
        ("/scans", "no device has its hardware address"),
        ("/scans", "2 high"),
        ("/devices/cam-03", "only suspected: opens no case"),
        ("/alerts", "203.0.113.77:4444/tcp"),
    ];
    for (path, text) in says {
        let page = get(&router, path).await;
        assert!(page.body.contains(text), "{path} does not say {text:?}");
    }
    let draft = get(&router, "/rollouts/cam-x1-1.1-b").await.body;
    assert!(!draft.contains("/roll-back\""), "a draft cannot be rolled back");
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), HOSTILE).await;
    let router = started(&store).await;
    for (name, path) in PAGES {
        let body = get(&router, path).await.body;
        assert!(!body.contains("<script>alert"), "{name}");
        assert!(!body.contains("<img"), "{name}");
        assert!(!body.contains("=\"\">"), "{name}: an attribute was broken out of");
    }
    let reflected = get(&router, "/devices?filter=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert!(!reflected.body.contains("<script>alert"), "what comes in the address stays text too");
    let unknown = get(&router, "/devices/%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(!unknown.body.contains("<script>alert"));
}

#[tokio::test]
async fn a_large_fleet_makes_no_large_page() {
    let store = Store::in_memory().await.unwrap();
    crowded(&store, clock::now()).await;
    let router = started(&store).await;
    for (name, path) in PAGES {
        let bytes = get(&router, path).await.body.len();
        assert!(bytes <= PAGE_BYTES_MAX, "{name} has {bytes} bytes");
    }
}

#[tokio::test]
async fn pages_of_a_list_follow_each_other() {
    let store = Store::in_memory().await.unwrap();
    crowded(&store, clock::now()).await;
    let router = started(&store).await;
    for path in ["/devices?filter=product%3Acam-x1", "/risk/CVE-2022-48174", "/devices/cam-00"] {
        let (mut at, mut seen) = (path.to_owned(), BTreeSet::new());
        loop {
            let page = get(&router, &at).await;
            assert_eq!(page.status, StatusCode::OK, "{at}");
            let next = page.body.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
            let Some(next) = next else { break };
            at = next.replace("&amp;", "&");
            assert!(seen.insert(at.clone()), "{path}: a page came twice");
        }
        assert!(seen.len() > 5, "{path} has {} pages", seen.len());
    }
    let wrong = get(&router, "/devices?after=nonsense").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.body.contains("start again without it"));
}

#[tokio::test]
async fn all_links_lead_somewhere() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), "").await;
    let router = started(&store).await;
    let mut links = BTreeSet::new();
    for (_, path) in PAGES {
        let body = get(&router, path).await.body;
        for name in ["href", "src", "action"] {
            links.extend(attributes(&body, name).into_iter().map(|link| link.replace("&amp;", "&")));
        }
        assert!(
            !body.contains("http://") && !body.contains("https://"),
            "{path} needs somebody else's server"
        );
    }
    assert!(links.len() > 40, "{links:?}");
    for link in links.iter().filter(|link| !link.starts_with('#') && *link != "/logout") {
        let page = get(&router, link.split('#').next().unwrap()).await;
        assert_eq!(page.status, StatusCode::OK, "{link}");
    }
}

/// The commands that a page offers.
fn commands(page: &str) -> Vec<String> {
    let texts = attributes(page, "data-copy").into_iter();
    texts.map(|text| text.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")).collect()
}

/// Whether the reference of the command line knows a command, and all options that it is given.
fn is_known(reference: &str, command: &str) -> bool {
    let known = |heading: &str| {
        let sections = reference.split("\n## ").flat_map(|part| part.split("\n### "));
        sections.into_iter().find(|section| section.lines().next() == Some(heading)).map(str::to_owned)
    };
    let words: Vec<&str> = command.split(' ').collect();
    // A word in lower case is a command; `IMAGE` is an argument.
    let is_command = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let name: Vec<&str> = words.iter().take(3).take_while(|word| is_command(word)).copied().collect();
    let section = known(&name.join(" "));
    section.is_some_and(|section| {
        words
            .iter()
            .filter(|word| word.starts_with("--"))
            .all(|option| section.contains(&format!("`{option} ")))
    })
}

#[tokio::test]
async fn every_command_that_a_page_names_exists() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/reference/cli.md");
    let reference = std::fs::read_to_string(path).unwrap();
    assert!(
        !is_known(&reference, "fleetwarden device sell")
            && !is_known(&reference, "fleetwarden device list --all")
    );
    let (full_store, empty_store) = (Store::in_memory().await.unwrap(), Store::in_memory().await.unwrap());
    full(&full_store, clock::now(), "").await;
    let (full, empty) = (started(&full_store).await, started(&empty_store).await);
    let mut named = BTreeSet::new();
    for path in PAGES.iter().map(|(_, path)| path).chain(LISTS) {
        named.extend(commands(&get(&full, path).await.body));
        named.extend(commands(&get(&empty, path).await.body));
    }
    assert!(named.len() > 20, "{named:?}");
    for command in named {
        assert!(is_known(&reference, &command), "{command}");
    }
}

#[tokio::test]
async fn unknown_things_name_the_list() {
    let store = Store::in_memory().await.unwrap();
    let router = started(&store).await;
    for (path, command) in [
        ("/devices/nobody", "fleetwarden device list"),
        ("/devices/..", "fleetwarden device list"),
        ("/risk/CVE-1999-0001", "fleetwarden advisory list"),
        ("/releases/nothing", "fleetwarden release list"),
        ("/rollouts/nothing", "fleetwarden rollout list"),
        ("/rollouts/nothing/live", "fleetwarden rollout list"),
        ("/releases/nothing/live", "fleetwarden release list"),
    ] {
        let page = get(&router, path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.body.contains(command), "{path}");
    }
}

#[tokio::test]
async fn assets_are_small_and_kept_for_ever() {
    let router = started(&Store::in_memory().await.unwrap()).await;
    for (path, media_type) in
        [(&STYLE.path, "text/css; charset=utf-8"), (&SCRIPT.path, "text/javascript; charset=utf-8")]
    {
        let asset = get(&router, path).await;
        assert_eq!((asset.status, asset.header("content-type")), (StatusCode::OK, media_type));
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(asset.body.len() <= ASSET_BYTES_MAX, "{path} has {} bytes", asset.body.len());
    }
    assert_eq!(
        get(&router, "/assets/console.css").await.status,
        StatusCode::NOT_FOUND,
        "a name without the hash"
    );
}
