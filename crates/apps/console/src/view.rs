//! Parts that all pages are made of.
//!
//! In: values. Out: markup; everything that comes from outside is escaped by `maud`. Refuses: colour alone, numbers without
//! a unit, lists without a next step when they are empty.

mod bar;
mod moment;
mod part;
mod saved;
mod shell;
mod tone;
mod word;

pub(crate) use bar::{Part, bar, legend};
pub(crate) use moment::{age, brief, day, deadline, stamp, time_of_day};
pub(crate) use part::{
    advisory_link, by, command_line, count, device_link, empty, event_log, events_table, href, notice, pager,
    release_link, rollout_link, search_box, short_digest,
};
pub(crate) use saved::{saved, short_span};
pub(crate) use shell::{Section, bare, shell};
pub(crate) use tone::{Tone, badge, icon};
pub(crate) use word::{
    case_protection, criticality, member_state, patch_state, priority, priority_of, release_state,
    rollout_state, shield_state,
};
