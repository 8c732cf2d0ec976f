//! The JSON columns: lists inside a row, each with the version of its form.
//!
//! In: domain lists. Out: `{"v":1,"d":…}` and back. Refuses: versions that it does not know, unknown words. Fields that
//! a form gains later must have a default, so that rows of older versions stay readable.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use warden_model::advisory::{Affected, VersionRange};
use warden_model::case::Factor;
use warden_model::firmware::{Component, Evidence, Method};
use warden_model::purl::Purl;
use warden_model::rollout::{Phase, PhaseSize};
use warden_model::{AdvisoryId, HardwareId, PerMille, Seconds};

use crate::error::StoreError;

/// The version of all forms so far.
const FORM_VERSION: u32 = 1;

/// Most different names of decision points that are kept. The decision tables have a dozen; a database that names more
/// than 256 was not written by this program.
const FACTOR_NAMES_MAX: usize = 256;

/// A domain value with a JSON form.
pub(crate) trait Form: Sized {
    /// What is written.
    type Json: Serialize + DeserializeOwned;

    fn to_json(&self) -> Self::Json;

    fn from_json(json: Self::Json) -> Result<Self, String>;
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    d: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Writes a value with its version.
pub(crate) fn encode<T: Form>(
    table: &'static str,
    column: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    serde_json::to_string(&Envelope { v: FORM_VERSION, d: value.to_json() })
        .map_err(|error| StoreError::Unfit { table, column, why: error.to_string() })
}

/// Reads a value back.
pub(crate) fn decode<T: Form>(text: &str) -> Result<T, String> {
    let version: VersionOnly = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if version.v != FORM_VERSION {
        return Err(format!("its form has version {}, known is {FORM_VERSION}", version.v));
    }
    let envelope: Envelope<T::Json> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    T::from_json(envelope.d)
}

/// A value that is written as its text.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Form for Vec<String> {
    type Json = Self;

    fn to_json(&self) -> Self {
        self.clone()
    }

    fn from_json(json: Self) -> Result<Self, String> {
        Ok(json)
    }
}

impl Form for BTreeMap<String, String> {
    type Json = Self;

    fn to_json(&self) -> Self {
        self.clone()
    }

    fn from_json(json: Self) -> Result<Self, String> {
        Ok(json)
    }
}

impl Form for BTreeSet<HardwareId> {
    type Json = Vec<String>;

    fn to_json(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }

    fn from_json(json: Vec<String>) -> Result<Self, String> {
        json.into_iter().map(|id| HardwareId::new(id).map_err(|error| error.to_string())).collect()
    }
}

impl Form for Vec<AdvisoryId> {
    type Json = Vec<String>;

    fn to_json(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }

    fn from_json(json: Vec<String>) -> Result<Self, String> {
        json.into_iter().map(|id| AdvisoryId::new(id).map_err(|error| error.to_string())).collect()
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ComponentForm {
    name: String,
    version: String,
    purl: Text<Purl>,
    cpe: Option<String>,
    evidence: Vec<EvidenceForm>,
}

#[derive(Serialize, Deserialize)]
struct EvidenceForm {
    path: String,
    method: Text<Method>,
    detail: String,
}

impl Form for Vec<Component> {
    type Json = Vec<ComponentForm>;

    fn to_json(&self) -> Vec<ComponentForm> {
        let evidence = |evidence: &Evidence| EvidenceForm {
            path: evidence.path.clone(),
            method: Text(evidence.method),
            detail: evidence.detail.clone(),
        };
        let component = |component: &Component| ComponentForm {
            name: component.name.clone(),
            version: component.version.clone(),
            purl: Text(component.purl.clone()),
            cpe: component.cpe.clone(),
            evidence: component.evidence.iter().map(evidence).collect(),
        };
        self.iter().map(component).collect()
    }

    fn from_json(json: Vec<ComponentForm>) -> Result<Self, String> {
        let evidence =
            |form: EvidenceForm| Evidence { path: form.path, method: form.method.0, detail: form.detail };
        let component = |form: ComponentForm| Component {
            name: form.name,
            version: form.version,
            purl: form.purl.0,
            cpe: form.cpe,
            evidence: form.evidence.into_iter().map(evidence).collect(),
        };
        Ok(json.into_iter().map(component).collect())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AffectedForm {
    package: Text<Purl>,
    ranges: Vec<RangeForm>,
    versions: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct RangeForm {
    introduced: String,
    fixed: Option<String>,
    last_affected: Option<String>,
}

impl Form for Vec<Affected> {
    type Json = Vec<AffectedForm>;

    fn to_json(&self) -> Vec<AffectedForm> {
        let range = |range: &VersionRange| RangeForm {
            introduced: range.introduced.clone(),
            fixed: range.fixed.clone(),
            last_affected: range.last_affected.clone(),
        };
        let affected = |affected: &Affected| AffectedForm {
            package: Text(affected.package.clone()),
            ranges: affected.ranges.iter().map(range).collect(),
            versions: affected.versions.clone(),
        };
        self.iter().map(affected).collect()
    }

    fn from_json(json: Vec<AffectedForm>) -> Result<Self, String> {
        let range = |form: RangeForm| VersionRange {
            introduced: form.introduced,
            fixed: form.fixed,
            last_affected: form.last_affected,
        };
        let affected = |form: AffectedForm| Affected {
            package: form.package.0,
            ranges: form.ranges.into_iter().map(range).collect(),
            versions: form.versions,
        };
        Ok(json.into_iter().map(affected).collect())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FactorForm {
    name: String,
    value: String,
    because: String,
}

/// Names of decision points are `'static` in the model; the few that exist are kept for the life of the process.
static FACTOR_NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

fn factor_name(name: String) -> Result<&'static str, String> {
    let mut known = FACTOR_NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(name.as_str()) {
        return Ok(known);
    }
    if known.len() == FACTOR_NAMES_MAX {
        return Err(format!("{name:?} is one decision point more than the {FACTOR_NAMES_MAX} that are kept"));
    }
    let kept: &'static str = name.leak();
    known.insert(kept);
    Ok(kept)
}

impl Form for Vec<Factor> {
    type Json = Vec<FactorForm>;

    fn to_json(&self) -> Vec<FactorForm> {
        let factor = |factor: &Factor| FactorForm {
            name: factor.name.to_owned(),
            value: factor.value.clone(),
            because: factor.because.clone(),
        };
        self.iter().map(factor).collect()
    }

    fn from_json(json: Vec<FactorForm>) -> Result<Self, String> {
        let factor = |form: FactorForm| {
            Ok(Factor { name: factor_name(form.name)?, value: form.value, because: form.because })
        };
        json.into_iter().map(factor).collect()
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PhaseForm {
    name: String,
    size: SizeForm,
    success_per_mille: u64,
    error_per_mille: u64,
    soak_seconds: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SizeForm {
    PerMille(u64),
    Count(u64),
    Rest,
}

fn share(per_mille: u64) -> Result<PerMille, String> {
    PerMille::new(per_mille).map_err(|error| error.to_string())
}

impl Form for Vec<Phase> {
    type Json = Vec<PhaseForm>;

    fn to_json(&self) -> Vec<PhaseForm> {
        let phase = |phase: &Phase| PhaseForm {
            name: phase.name.clone(),
            size: match phase.size {
                PhaseSize::Share(share) => SizeForm::PerMille(share.get().into()),
                PhaseSize::Count(count) => SizeForm::Count(count),
                PhaseSize::Rest => SizeForm::Rest,
            },
            success_per_mille: phase.success_threshold.get().into(),
            error_per_mille: phase.error_threshold.get().into(),
            soak_seconds: phase.soak.0,
        };
        self.iter().map(phase).collect()
    }

    fn from_json(json: Vec<PhaseForm>) -> Result<Self, String> {
        let phase = |form: PhaseForm| {
            Ok(Phase {
                name: form.name,
                size: match form.size {
                    SizeForm::PerMille(per_mille) => PhaseSize::Share(share(per_mille)?),
                    SizeForm::Count(count) => PhaseSize::Count(count),
                    SizeForm::Rest => PhaseSize::Rest,
                },
                success_threshold: share(form.success_per_mille)?,
                error_threshold: share(form.error_per_mille)?,
                soak: Seconds(form.soak_seconds),
            })
        };
        json.into_iter().map(phase).collect()
    }
}
