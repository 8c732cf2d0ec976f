//! What goes wrong: devices, network, server.

use warden_model::{DeviceId, Seconds};

use super::args::{Args, ArgsError};
use super::{Refusal, Story};
use crate::device::SimDevice;

impl Story {
    fn each_device(
        &mut self,
        ids: &[DeviceId],
        mut change: impl FnMut(&mut SimDevice),
    ) -> Result<String, Refusal> {
        for id in ids {
            let device = self.world.devices.get_mut(id);
            change(device.ok_or_else(|| Refusal::Missing(format!("there is no device {id}")))?);
        }
        Ok(String::new())
    }

    /// `fault IDS health-fails-on VERSION | health-hangs-on VERSION | boot-fails-on VERSION | power-cut now |
    /// power-cut at-write SHARE | power-cuts SHARE | torn SHARE | off SPAN | dies | heals`
    pub(super) fn fault(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let ids = args.devices()?;
        let kind = args.word("a fault")?;
        match kind.as_str() {
            "health-fails-on" | "health-hangs-on" | "boot-fails-on" => {
                let version: warden_model::firmware::Version = args.next("version")?;
                self.each_device(&ids, |device| {
                    let faults = &mut device.faults;
                    let set = match kind.as_str() {
                        "health-fails-on" => &mut faults.health_fails_on,
                        "health-hangs-on" => &mut faults.health_hangs_on,
                        _ => &mut faults.boot_fails_on,
                    };
                    set.insert(version.clone());
                })
            }
            "power-cut" if args.takes("now").is_some() => {
                for id in &ids {
                    self.world.cut_now(id);
                }
                Ok(String::new())
            }
            "power-cut" => {
                let share = args.share_after("at-write")?.ok_or(ArgsError::Missing("at-write"))?;
                self.each_device(&ids, |device| device.faults.cut_at_write = Some(share))
            }
            "power-cuts" => {
                let share = args.share()?;
                self.each_device(&ids, |device| device.faults.cuts = share)
            }
            "torn" => {
                let share = args.share()?;
                self.each_device(&ids, |device| device.faults.torn = share)
            }
            "off" => {
                let span = args.span()?;
                self.each_device(&ids, |device| device.faults.off = Some((span, span)))
            }
            "dies" => {
                self.each_device(&ids, |device| device.faults.dies = true)?;
                for id in &ids {
                    self.world.cut_now(id);
                }
                Ok(String::new())
            }
            "heals" => self.each_device(&ids, |device| device.faults = crate::device::Faults::default()),
            other => Err(ArgsError::TooMuch(other.to_owned()).into()),
        }
    }

    /// `network IDS drops every SIZE | loses SHARE | latency SPAN | speed SIZE | offline SPAN | late-copies SHARE |
    /// replays ORDER`
    pub(super) fn network(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let ids = args.devices()?;
        let now = self.world.now;
        match args.word("a trouble")?.as_str() {
            "drops" => {
                let bytes = args.size_after("every")?.ok_or(ArgsError::Missing("every"))?;
                self.each_device(&ids, |device| device.link.drops_every = Some(bytes.0))
            }
            "loses" => {
                let share = args.share()?;
                self.each_device(&ids, |device| device.link.loss = share)
            }
            "latency" => {
                let span = args.span()?;
                self.each_device(&ids, |device| device.link.latency_millis = span.0.saturating_mul(1000))
            }
            "speed" => {
                let bytes = args.size()?;
                self.each_device(&ids, |device| device.link.bytes_per_second = bytes.0.max(1))
            }
            "offline" => {
                let span = args.span()?;
                self.each_device(&ids, |device| device.link.out_until = Some(now.plus(span)))
            }
            "late-copies" => {
                let share = args.share()?;
                self.each_device(&ids, |device| device.link.late_copies = share)
            }
            "replays" => {
                let action: u64 = args.next("order")?;
                self.replays(&ids, action)
            }
            other => Err(ArgsError::TooMuch(other.to_owned()).into()),
        }
    }

    /// A cache on the way serves an order again that passed it once.
    fn replays(&mut self, ids: &[DeviceId], action: u64) -> Result<String, Refusal> {
        for id in ids {
            let device = self.world.devices.get_mut(id);
            let passed = device.as_ref().and_then(|device| device.passed.get(&action)).cloned();
            let (Some(device), Some(order)) = (device, passed) else {
                return Err(Refusal::Missing(format!("order {action} never passed to {id}")));
            };
            device.replay = Some(order);
            let what = format!("a cache on the way will serve order {action} again");
            self.world.log.world(self.world.now, id, what);
        }
        Ok(String::new())
    }

    /// `server down SPAN | crashes SHARE down SPAN | backs-up | restores | polls-every SPAN`
    pub(super) fn server(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let now = self.world.now;
        match args.word("what the server does")?.as_str() {
            "down" => self.world.server.down_until = Some(now.plus(args.span()?)),
            "crashes" => {
                let share = args.share()?;
                let down = args.span_after("down")?.unwrap_or(Seconds(60));
                let seed = self.world.chance.draw();
                self.world.server.crash_sometimes(seed, share, down);
            }
            "backs-up" => self.world.server.back_up(),
            "restores" => {
                let missing = || Refusal::Missing("there is no backup".to_owned());
                self.world.server.restore().ok_or_else(missing)?;
                self.world.wake();
            }
            "polls-every" => self.world.server.state.poll = args.span()?,
            other => return Err(ArgsError::TooMuch(other.to_owned()).into()),
        }
        Ok(String::new())
    }
}
