//! Images by name and by digest, with ranges; metadata by name.

use axum::http::header;
use warden_kit::values::digest;

use super::World;
use crate::device::hash_of;
use crate::testing::IMAGE;

#[tokio::test]
async fn an_image_comes_whole_or_in_parts() {
    let world = World::offered().await;
    let image = hash_of(IMAGE);
    let path = format!("/softwaremodules/1/artifacts/{image}.img");
    let size = IMAGE.len();
    let whole = world.get(&path).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, IMAGE));
    assert_eq!(whole.header(header::ETAG), format!("\"{image}\""));
    assert_eq!(whole.header(header::ACCEPT_RANGES), "bytes");
    assert_eq!(whole.header(header::CONTENT_LENGTH), size.to_string());
    assert_eq!(whole.header(header::CONTENT_DISPOSITION), format!("attachment;filename={image}.img"));
    let check = async |headers: &[(&str, &str)], status: u16, range: &str, body: &[u8]| {
        let reply = world.send("GET", &path, headers, "").await;
        let found = (reply.status, reply.header(header::CONTENT_RANGE), reply.body.as_slice());
        assert_eq!(found, (status, range, body), "{headers:?}");
    };
    let tag = format!("\"{image}\"");
    let end = size - 1;
    check(&[("range", "bytes=10-")], 206, &format!("bytes 10-{end}/{size}"), &IMAGE[10..]).await;
    check(&[("range", "bytes=0-3")], 206, &format!("bytes 0-3/{size}"), &IMAGE[..4]).await;
    check(&[("range", "bytes=-4")], 206, &format!("bytes {}-{end}/{size}", size - 4), &IMAGE[size - 4..])
        .await;
    check(&[("range", "bytes=500-")], 416, &format!("bytes */{size}"), b"").await;
    check(&[("range", "bytes=0-3"), ("if-range", "\"other\"")], 200, "", IMAGE).await;
    check(&[("range", "bytes=0-3"), ("if-range", &tag)], 206, &format!("bytes 0-3/{size}"), &IMAGE[..4])
        .await;
    check(&[("if-match", "\"other\"")], 412, "", b"").await;
    check(&[("if-match", &tag)], 200, "", IMAGE).await;
    let sum = world.get(&format!("{path}.MD5SUM")).await;
    let md5 = world.context.artifacts.hashes(&image).unwrap().md5;
    assert_eq!(String::from_utf8(sum.body).unwrap(), format!("{md5}  {image}.img"));
    assert_eq!(world.send("HEAD", &path, &[], "").await.body.len(), 0);
}

#[tokio::test]
async fn a_device_gets_the_files_of_its_own_order_and_what_was_signed() {
    let world = World::offered().await;
    let image = hash_of(IMAGE);
    for path in [
        format!("/softwaremodules/2/artifacts/{image}.img"),
        format!("/softwaremodules/1/artifacts/{}.img", digest(1)),
        format!("/softwaremodules/1/artifacts/{image}"),
        "/softwaremodules/1/artifacts/..%2F..%2Fonline.pem".to_owned(),
        // Nothing lists it: there is no targets metadata.
        format!("/fleetwarden/artifacts/{image}"),
        "/fleetwarden/artifacts/..%2Fonline.pem".to_owned(),
    ] {
        assert_eq!(world.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn metadata_is_read_by_its_names_and_no_other() {
    let world = World::new().await;
    let folder = world.folder.path().join("metadata");
    for name in ["timestamp.json", "1.root.json"] {
        std::fs::write(folder.join(name), name).unwrap();
        let reply = world.get(&format!("/fleetwarden/metadata/{name}")).await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, name.as_bytes()));
    }
    std::fs::write(folder.join("notes.json"), "x").unwrap();
    for name in
        ["2.root.json", "notes.json", "..%2Fonline.pem", "%2e%2e%2fonline.pem", "1.root.json%00", "ca"]
    {
        assert_eq!(world.get(&format!("/fleetwarden/metadata/{name}")).await.status, 404, "{name}");
    }
}
