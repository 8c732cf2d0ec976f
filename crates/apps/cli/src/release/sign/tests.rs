//! What is signed, and what is refused before a key is touched.

use super::{Change, check_images, check_releases, compare, entry};
use crate::failure::Exit;
use warden_model::ReleaseId;
use warden_trust::repository::TargetKind;
use warden_wire::rest::TargetBody;

fn body(name: &str, sha256: &str) -> TargetBody {
    TargetBody {
        name: name.to_owned(),
        length: 5,
        sha256: sha256.to_owned(),
        product: "cam".to_owned(),
        boards: vec!["cam-1".to_owned()],
        version: "1.1".to_owned(),
        counter: 2,
        base: None,
        result: None,
        index: None,
    }
}

fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

#[test]
fn a_draft_is_read_strictly() {
    let image = entry(&body("cam/1.1", &digest('a'))).unwrap();
    assert_eq!((image.about.kind, image.length.0), (TargetKind::Image, 5));
    let patch = TargetBody { base: Some(digest('b')), result: Some(digest('c')), ..body("p", &digest('a')) };
    assert!(matches!(entry(&patch).unwrap().about.kind, TargetKind::Patch { .. }));
    let check = |change: fn(&mut TargetBody)| {
        let mut wrong = body("cam/1.1", &digest('a'));
        change(&mut wrong);
        assert_eq!(entry(&wrong).unwrap_err().exit, Exit::Invalid, "{wrong:?}");
    };
    check(|body| body.sha256 = "A".repeat(64));
    check(|body| body.product = "../x".to_owned());
    check(|body| body.version = "a b".to_owned());
    check(|body| body.boards = vec![String::new()]);
    check(|body| body.base = Some(digest('b')));
}

#[test]
fn a_published_name_means_the_same_bytes_for_ever() {
    let one = |name: &str, digit| entry(&body(name, &digest(digit))).unwrap();
    let changes = compare(&[one("a", 'a'), one("b", 'b')], &[one("b", 'b'), one("c", 'c')]).unwrap();
    let words: Vec<(Change, &str)> =
        changes.iter().map(|(change, entry)| (*change, entry.name.as_str())).collect();
    assert_eq!(words, [(Change::Kept, "b"), (Change::New, "c"), (Change::Removed, "a")]);
    assert_eq!(compare(&[one("a", 'a')], &[one("a", 'b')]).unwrap_err().exit, Exit::Conflict);
}

#[test]
fn only_what_was_asked_for_is_signed() {
    let ids = |names: &[&str]| names.iter().map(|name| ReleaseId::new(*name).unwrap()).collect::<Vec<_>>();
    let waiting = ["cam-1.1".to_owned(), "gw-2".to_owned()];
    assert!(check_releases(&[], &waiting).is_ok());
    assert!(check_releases(&ids(&["gw-2", "cam-1.1"]), &waiting).is_ok());
    assert_eq!(check_releases(&ids(&["cam-1.1"]), &waiting).unwrap_err().exit, Exit::Conflict);
    assert_eq!(check_releases(&ids(&["cam-1.1"]), &[]).unwrap_err().exit, Exit::Conflict);
}

#[test]
fn a_file_here_must_be_what_the_server_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, b"image").unwrap();
    let same = entry(&body("cam/1.1", &warden_trust::sha256(b"image").to_string())).unwrap();
    assert_eq!(check_images(std::slice::from_ref(&path), &[same]).unwrap().len(), 1);
    let other = entry(&body("cam/1.1", &digest('a'))).unwrap();
    assert_eq!(check_images(&[path], &[other]).unwrap_err().exit, Exit::Conflict);
    assert_eq!(check_images(&[folder.path().join("none")], &[]).unwrap_err().exit, Exit::NotFound);
}
