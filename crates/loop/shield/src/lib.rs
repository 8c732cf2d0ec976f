//! Devices and weaknesses to firewall and intrusion-prevention rules.
//!
//! In: devices, their products, open cases and how far their fixes have come, a policy, and `now`. Out: a plan that says
//! who is shielded, who is not, and why; an nftables ruleset; a Suricata rule file of virtual patches. Refuses: to put
//! any text from outside into a rule unescaped, to claim a shield for a device whose address is not known, and to write
//! a rule file that its own checker does not accept. Loading rules is the work of `warden-net`.

pub mod ips;
pub mod lint;
pub mod plan;
pub mod policy;
pub mod ruleset;
pub mod template;
pub mod virtual_patch;

pub use ips::{IpsRule, Mode, PatchNumber, SID_FIRST, SID_LAST, rule_file};
pub use lint::{LintError, lint};
pub use plan::{
    DeviceShield, Fix, OpenCase, Planned, Protectee, ShieldPlan, SkipReason, Skipped, explain, plan,
};
pub use policy::{
    Allowed, Class, Direction, Loopback, PolicyError, Prefix, PrefixError, Protocol, ShieldPolicy,
    UpdateServer,
};
pub use ruleset::{TABLE, ruleset};
pub use template::{DomainName, HttpPath, ParameterName, Template, TemplateError, ValueShape};
pub use virtual_patch::{
    IpsPolicy, KnownPatch, NotCoverable, Uncovered, VirtualPatches, Visibility, Weakness, virtual_patches,
    weaknesses,
};

#[cfg(test)]
mod fixture;
