//! The index of a signed image: made once, served in ranges, and never before somebody signed it.

use axum::http::header;
use warden_delta::index::IndexHead;
use warden_keys::FileSigner;
use warden_model::{ByteCount, Seconds, Sha256Digest};
use warden_trust::repository::{self, FilePin, KeySet, RoleKeys, TargetAbout, TargetEntry, TargetKind};
use warden_trust::{KeyScheme, Signer as _};

use super::World;
use crate::clock::now;
use crate::device::hash_of;
use crate::repository::write_atomically;
use crate::testing::IMAGE;
use crate::turn::{index_of, make_indexes};

/// Signs the image, with or without its index.
async fn publish(world: &World, key: &FileSigner, version: u64, index: Option<FilePin>) {
    let entry = TargetEntry {
        name: "cam-1.1.img".to_owned(),
        length: ByteCount(IMAGE.len() as u64),
        sha256: hash_of(IMAGE),
        about: TargetAbout {
            product: "cam".parse().unwrap(),
            hardware_ids: ["cam-board".parse().unwrap()].into(),
            version: "1.1".parse().unwrap(),
            release_counter: 2,
            kind: TargetKind::Image,
            index,
        },
    };
    let expires = now().plus(Seconds::days(90));
    let targets = repository::targets(version, expires, &[entry], &[key]).unwrap();
    world.context.repository.publish(&targets, now()).await.unwrap();
}

fn offline_key(world: &World) -> FileSigner {
    let offline = FileSigner::create(&world.folder.path().join("targets.pem"), KeyScheme::Ed25519).unwrap();
    let online = FileSigner::open(&world.folder.path().join("online.pem")).unwrap();
    let set = |signer: &FileSigner| KeySet { keys: vec![signer.public_key()], threshold: 1 };
    let keys = RoleKeys {
        root: set(&offline),
        targets: set(&offline),
        snapshot: set(&online),
        timestamp: set(&online),
    };
    let root = repository::root(1, now().plus(Seconds::days(365)), &keys, &[&offline]).unwrap();
    write_atomically(&world.folder.path().join("metadata/1.root.json"), &root).unwrap();
    offline
}

#[tokio::test]
async fn the_index_of_an_image_is_served_once_it_is_signed() {
    let world = World::offered().await;
    let image = hash_of(IMAGE);
    assert_eq!(index_of(&world.context, &image).await.unwrap(), None);
    for _ in 0..2 {
        make_indexes(&world.context, now()).await.unwrap();
    }
    let pin = index_of(&world.context, &image).await.unwrap().unwrap();
    let path = |digest: Sha256Digest| format!("/fleetwarden/artifacts/{digest}");
    let head = std::io::read_to_string(world.context.artifacts.open_read(&pin.sha256).unwrap().0);
    assert!(head.is_err(), "a head is no text");
    let key = offline_key(&world);
    publish(&world, &key, 1, None).await;
    assert_eq!(world.get(&path(image)).await.status, 200);
    assert_eq!(world.get(&path(pin.sha256)).await.status, 404, "nobody signed the index");

    publish(&world, &key, 2, Some(pin)).await;
    let head = world.get(&path(pin.sha256)).await;
    assert_eq!((head.status, head.body.len() as u64), (200, pin.length.0));
    let about = IndexHead::read(&head.body).unwrap();
    assert_eq!((about.image, about.image_size), (image, ByteCount(IMAGE.len() as u64)));
    for part in [about.map, about.list, about.content] {
        let reply = world.get(&path(part.digest)).await;
        assert_eq!((reply.status, reply.body.len() as u64), (200, part.size.0));
        assert_eq!(hash_of(&reply.body), part.digest);
    }
    let range = world.send("GET", &path(about.content.digest), &[("range", "bytes=2-5")], "").await;
    let expected = format!("bytes 2-5/{}", about.content.size.0);
    assert_eq!((range.status, range.header(header::CONTENT_RANGE)), (206, expected.as_str()));
    publish(&world, &key, 3, None).await;
    // The content of so short an image is the image itself.
    assert_eq!(world.get(&path(about.list.digest)).await.status, 404, "it is signed no more");
}
