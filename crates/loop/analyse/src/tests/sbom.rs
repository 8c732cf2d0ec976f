//! The bill of materials as people read it.

use backhand::compression::Compressor;
use warden_model::{Sha256Digest, Timestamp};

use super::analysed;
use super::build::{root, squashfs};
use crate::{Subject, sbom};

#[test]
fn says_the_same_of_the_same_image() {
    let analysis = analysed(&squashfs(&root(), Compressor::Gzip)).unwrap();
    let image = Sha256Digest(std::array::from_fn(|at| u8::try_from(at * 5).unwrap()));
    let subject = Subject { product: "camera".to_owned(), version: "1.0".to_owned(), image };
    let bom = sbom(&analysis, &subject, Timestamp(1_795_334_400_000));
    assert_eq!(bom, sbom(&analysis, &subject, Timestamp(1_795_334_400_000)));
    insta::assert_snapshot!(serde_json::to_string_pretty(&bom).unwrap());
}
