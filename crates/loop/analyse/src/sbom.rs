//! The software bill of materials: CycloneDX 1.6 JSON (ECMA-424).
//!
//! In: an analysis and what it is an analysis of. Out: a document, the same for the same input. Refuses nothing.

use serde_json::{Map, Value, json};
use warden_model::firmware::{Component, Method};
use warden_model::{Sha256Digest, Timestamp};

use crate::report::Analysis;

/// What a bill of materials is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The name of the product.
    pub product: String,
    /// The version of the firmware.
    pub version: String,
    /// The digest of the image.
    pub image: Sha256Digest,
}

/// Makes the bill of materials of an analysed image, made at `now`.
pub fn sbom(analysis: &Analysis, subject: &Subject, now: Timestamp) -> Value {
    let components: Vec<Value> = analysis.components.iter().map(component).collect();
    let provided: Vec<Value> =
        analysis.components.iter().map(|component| reference(component).into()).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(&subject.image),
        "version": 1,
        "metadata": {
            "timestamp": now.to_string(),
            "lifecycles": [{ "phase": "post-build" }],
            "tools": { "components": [{
                "type": "application",
                "name": "fleetwarden",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "firmware",
                "bom-ref": subject.image.to_string(),
                "name": subject.product,
                "version": subject.version,
                "hashes": [{ "alg": "SHA-256", "content": subject.image.to_string() }],
            },
            "properties": properties(analysis),
        },
        "components": components,
        "dependencies": [{ "ref": subject.image.to_string(), "dependsOn": provided }],
        // Binaries without a known text stay unseen, so the list never claims to be whole.
        "compositions": [{ "aggregate": "incomplete", "assemblies": [subject.image.to_string()] }],
    })
}

/// A UUID of version 8 (RFC 9562, section 5.8) from the digest: the same image has the same serial number.
fn serial_number(digest: &Sha256Digest) -> String {
    let digits = digest.to_string();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let variant = match u8::from_str_radix(part(16, 17), 16).unwrap_or(0) & 0b11 {
        0 => '8',
        1 => '9',
        2 => 'a',
        _ => 'b',
    };
    let (first, second, third) = (part(0, 8), part(8, 12), part(13, 16));
    format!("urn:uuid:{first}-{second}-8{third}-{variant}{}-{}", part(17, 20), part(20, 32))
}

/// What was looked at, so that an empty list is not mistaken for an empty image.
fn properties(analysis: &Analysis) -> Vec<Value> {
    let formats: Vec<&str> = analysis.layers.iter().map(|layer| layer.format.as_str()).collect();
    let pairs = [
        ("fleetwarden:looked-at:files", analysis.looked_at.files.to_string()),
        ("fleetwarden:looked-at:bytes", analysis.looked_at.bytes.0.to_string()),
        ("fleetwarden:looked-at:layers", formats.join(", ")),
        ("fleetwarden:not-understood", analysis.not_understood.len().to_string()),
        ("fleetwarden:skipped", analysis.skipped.len().to_string()),
    ];
    pairs.map(|(name, value)| json!({ "name": name, "value": value })).into()
}

/// A `bom-ref` is unique in its document, as a package URL is among merged components.
fn reference(component: &Component) -> String {
    component.purl.to_string()
}

fn component(component: &Component) -> Value {
    let purl = component.purl.to_string();
    let mut fields = Map::new();
    let kind = if component.name == "linux" { "operating-system" } else { "library" };
    fields.insert("type".to_owned(), kind.into());
    fields.insert("bom-ref".to_owned(), reference(component).into());
    fields.insert("name".to_owned(), component.name.as_str().into());
    fields.insert("version".to_owned(), component.version.as_str().into());
    fields.insert("purl".to_owned(), purl.as_str().into());
    if let Some(cpe) = &component.cpe {
        fields.insert("cpe".to_owned(), cpe.as_str().into());
    }
    fields.insert("evidence".to_owned(), evidence(component, &purl));
    Value::Object(fields)
}

fn evidence(component: &Component, purl: &str) -> Value {
    let mut methods: Vec<Method> = component.evidence.iter().map(|evidence| evidence.method).collect();
    methods.sort();
    methods.dedup();
    let surest = methods.iter().map(|method| confidence(*method)).fold(0.0, f64::max);
    let methods: Vec<Value> = methods
        .into_iter()
        .map(|method| {
            json!({ "technique": technique(method), "confidence": confidence(method), "value": method.to_string() })
        })
        .collect();
    let occurrences: Vec<Value> = component
        .evidence
        .iter()
        .map(|evidence| json!({ "location": evidence.path, "additionalContext": evidence.detail }))
        .collect();
    json!({
        "identity": [{ "field": "purl", "confidence": surest, "concludedValue": purl, "methods": methods }],
        "occurrences": occurrences,
    })
}

fn technique(method: Method) -> &'static str {
    match method {
        Method::PackageDatabase => "manifest-analysis",
        Method::ElfNote | Method::VersionString => "binary-analysis",
    }
}

/// How sure a method is, 0 to 1: a database lists what was installed, a note what was built, a text what was linked.
fn confidence(method: Method) -> f64 {
    match method {
        Method::PackageDatabase => 1.0,
        Method::ElfNote => 0.9,
        Method::VersionString => 0.6,
    }
}
