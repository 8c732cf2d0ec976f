//! Setting the scene: products, firmware, devices, releases, advisories.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use warden_agent::machine::Settings;
use warden_model::advisory::{Advisory, Affected, Automatable, Exploitation, VersionRange};
use warden_model::device::{Criticality, DataSensitivity, Device, UpdateState};
use warden_model::firmware::{Component, Evidence, Method, Version};
use warden_model::product::{Exposure, Product};
use warden_model::purl::Purl;
use warden_model::{ByteCount, DeviceId, Generation, HardwareId, PerMille, ProductId, ReleaseId, Timestamp};

use super::args::{Args, ArgsError, parse};
use super::{Refusal, Story};
use crate::chance::digest_of;
use crate::device::FactoryImage;
use crate::server::NewRelease;
use crate::world::{Defect, ImageFacts};

/// Boots that a new image has on trial, as the real agent's default.
const TRIES: u8 = 3;
/// The size of an image when the story does not say it.
const SIZE_DEFAULT: ByteCount = ByteCount::mib(4);

impl Story {
    /// `product ID board BOARD [exposure WORD] [support-ends TIME]`
    pub(super) fn product(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let id: ProductId = args.next("product")?;
        let board: HardwareId = args.value("board")?.ok_or(ArgsError::Missing("board"))?;
        let exposure: Exposure = args.value("exposure")?.unwrap_or(Exposure::Controlled);
        let support_ends: Option<Timestamp> = args.value("support-ends")?;
        let name = id.to_string();
        let product =
            Product { id: id.clone(), name, boards: BTreeSet::from([board]), support_ends, exposure };
        self.world.server.state.products.insert(id, product);
        Ok(String::new())
    }

    /// `firmware PRODUCT VERSION holds NAME=VERSION,… [size SIZE]`: what devices leave the factory with.
    pub(super) fn firmware(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let new = self.new_release(args)?;
        self.world.server.add_factory_firmware(new, self.world.now)?;
        Ok(String::new())
    }

    /// `release PRODUCT VERSION holds NAME=VERSION,… [size SIZE] [patch SHARE] [defect unhealthy-in-field|unhealthy]`
    pub(super) fn release(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let new = self.new_release(args)?;
        self.world.server.add_release(new, self.world.now)?;
        self.world.wake();
        Ok(String::new())
    }

    fn new_release(&mut self, args: &mut Args) -> Result<NewRelease, Refusal> {
        let product: ProductId = args.next("product")?;
        let version: Version = args.next("version")?;
        let holds = args.after("holds")?.ok_or(ArgsError::Missing("holds"))?;
        let components = holds.split(',').map(component).collect::<Result<Vec<_>, _>>()?;
        let size = args.size_after("size")?.unwrap_or(SIZE_DEFAULT);
        let patch_share = args.share_after("patch")?.unwrap_or(PerMille::ALL);
        let defect = match args.after("defect")?.as_deref() {
            None => Defect::None,
            Some("unhealthy-in-field") => Defect::UnhealthyInField,
            Some("unhealthy") => Defect::UnhealthyEverywhere,
            Some(other) => return Err(ArgsError::TooMuch(other.to_owned()).into()),
        };
        let image = digest_of(&format!("image/{product}/{version}"));
        self.world.images.insert(image, ImageFacts { version: version.clone(), defect });
        Ok(NewRelease { product, version, image, size, components, patch_share, defect })
    }

    /// `device IDS product ID runs VERSION [criticality WORD] [sensitivity WORD] [board BOARD] [address unknown]`
    pub(super) fn device(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let ids = args.devices()?;
        let product: ProductId = args.value("product")?.ok_or(ArgsError::Missing("product"))?;
        let runs: Version = args.value("runs")?.ok_or(ArgsError::Missing("runs"))?;
        let criticality: Criticality = args.value("criticality")?.unwrap_or(Criticality::Standard);
        let sensitivity: DataSensitivity = args.value("sensitivity")?.unwrap_or(DataSensitivity::Internal);
        let board: Option<HardwareId> = args.value("board")?;
        let known = match args.after("address")?.as_deref() {
            None => Some(()),
            Some("unknown") => None,
            Some(other) => return Err(ArgsError::TooMuch(other.to_owned()).into()),
        };
        let state = &self.world.server.state;
        let first = state.product(&product)?.boards.first().cloned();
        let hardware = board.or(first).ok_or(ArgsError::Missing("board"))?;
        let factory = self.factory_image(&product, &runs)?;
        for id in ids {
            let number = u64::try_from(self.world.devices.len()).unwrap_or(0) + 1;
            let device = Device {
                criticality,
                sensitivity,
                address: known.map(|()| address(number)),
                ..new_device(&id, &product, &hardware, self.world.now)
            };
            let settings = Settings {
                device: id,
                product: product.clone(),
                hardware: hardware.clone(),
                tries: TRIES,
                poll: None,
                seed: number,
            };
            self.world.server.enrol(device);
            self.world.add_device(settings, &factory);
        }
        Ok(String::new())
    }

    fn factory_image(&self, product: &ProductId, version: &Version) -> Result<FactoryImage, Refusal> {
        let missing = || Refusal::Missing(format!("there is no firmware {version} for {product}"));
        let state = &self.world.server.state;
        let id = ReleaseId::new(format!("{product}-{version}")).map_err(|_| missing())?;
        let release = state.releases.get(&id).ok_or_else(missing)?;
        let size = state.firmware.get(&release.image).ok_or_else(missing)?.size;
        let (image, version) = (release.image, version.clone());
        Ok(FactoryImage { image, version, size, release_counter: release.counter })
    }

    /// `advisory ID affects NAME <VERSION [exploitation WORD] [automatable yes|no] [cvss VECTOR]`; `<VERSION` may be left out
    /// where there is no fix.
    pub(super) fn advisory(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let now = self.world.now;
        let id = args.next("advisory")?;
        let name = args.after("affects")?.ok_or(ArgsError::Missing("affects"))?;
        let exploitation: Exploitation = args.value("exploitation")?.unwrap_or(Exploitation::None);
        let automatable: Option<Automatable> = args.value("automatable")?;
        let cvss = args.after("cvss")?;
        let mut fixed = None;
        for word in args.rest() {
            let version = word.strip_prefix('<').ok_or(ArgsError::TooMuch(word.clone()))?;
            fixed = Some(version.to_owned());
        }
        let range = VersionRange { introduced: "0".to_owned(), fixed, last_affected: None };
        let package = Purl::new("generic", &name, None);
        let advisory = Advisory {
            id,
            aliases: Vec::new(),
            summary: format!("a weakness in {name}"),
            published: now,
            modified: now,
            withdrawn: None,
            cvss,
            exploitation,
            automatable,
            technical_impact: None,
            in_kev: false,
            epss: None,
            affected: vec![Affected { package, ranges: vec![range], versions: Vec::new() }],
            known_at: now,
        };
        self.world.server.import(advisory);
        self.world.wake();
        self.world.run(warden_model::Seconds(1));
        Ok(String::new())
    }
}

fn component(text: &str) -> Result<Component, ArgsError> {
    let wrong = || ArgsError::Value {
        what: "component",
        text: text.to_owned(),
        why: "write for instance openssl=3.0.20".to_owned(),
    };
    let (name, version) = text.split_once('=').ok_or_else(wrong)?;
    let path = format!("usr/lib/{name}");
    let detail = format!("{name} {version}");
    Ok(Component {
        name: name.to_owned(),
        version: version.to_owned(),
        purl: Purl::new("generic", name, Some(version)),
        cpe: None,
        evidence: vec![Evidence { path, method: Method::VersionString, detail }],
    })
}

/// Devices stand in 10.1.0.0/16, one after the other.
fn address(number: u64) -> IpAddr {
    let [.., high, low] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
}

/// Makes a device that has enrolled and not reported.
pub(crate) fn new_device(
    id: &DeviceId,
    product: &ProductId,
    hardware: &HardwareId,
    now: Timestamp,
) -> Device {
    Device {
        id: id.clone(),
        product: product.clone(),
        hardware: hardware.clone(),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: None,
        installed: None,
        confirmed: None,
        state: UpdateState::Enrolled,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: now,
        last_seen: None,
    }
}

/// Reads an id of a release.
pub(super) fn release_id(text: &str) -> Result<ReleaseId, ArgsError> {
    parse("release", text)
}
