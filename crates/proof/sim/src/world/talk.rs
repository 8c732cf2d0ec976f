//! Talk: messages between devices and the server, as the links let them pass.

use warden_agent::machine::{Input, Output, PollAnswer};
use warden_model::{DeviceId, Seconds, Timestamp};

use super::World;
use crate::agenda::{Happening, Life, later};
use crate::link::Request;
use crate::rules;

/// How long a device waits for an answer, in milliseconds.
const ANSWER_MILLIS: u64 = 20_000;
/// How long a late copy of a report is held up.
const LATE: (Seconds, Seconds) = (Seconds(60), Seconds(3_600));

impl World {
    /// Says whether a device can reach the server now.
    pub(super) fn reachable(&self, id: &DeviceId) -> bool {
        let out = self.devices.get(id).is_none_or(|device| device.link.is_out(self.now));
        !out && self.server.is_up(self.now)
    }

    /// Sends a message and waits for the answer.
    pub(super) fn ask(&mut self, id: &DeviceId, output: Output, request: Request) {
        let Some(device) = self.devices.get(id) else { return };
        let life = device.life;
        let round_trip = 2 * device.link.latency_millis;
        self.start(id, output, round_trip, None);
        let deadline = later(self.now, ANSWER_MILLIS);
        self.send(id, request, Some((life, deadline)));
    }

    /// Sends a message.
    pub(super) fn send(&mut self, id: &DeviceId, request: Request, reply: Option<(Life, Timestamp)>) {
        let now = self.now;
        let Some(device) = self.devices.get(id) else { return };
        let link = &device.link;
        let lost = link.is_out(now) || self.chance.happens(link.loss);
        let arrives = later(now, self.chance.between(link.latency_millis / 2, link.latency_millis));
        let copied = matches!(request, Request::Report(_)) && self.chance.happens(link.late_copies);
        let held = self.chance.between(LATE.0.0 * 1000, LATE.1.0 * 1000);
        let device = id.clone();
        if copied {
            let request = Box::new(request.clone());
            let copy = Happening::Arrives { device: device.clone(), request, reply: None };
            self.agenda.at(later(now, held), copy);
        }
        if lost {
            self.nobody_answers(id, &request, reply);
        } else {
            self.agenda.at(arrives, Happening::Arrives { device, request: Box::new(request), reply });
        }
    }

    fn nobody_answers(&mut self, id: &DeviceId, request: &Request, reply: Option<(Life, Timestamp)>) {
        if let (Some((life, deadline)), Some(input)) = (reply, request.unanswered()) {
            let happening = Happening::Answered { device: id.clone(), life, input: Box::new(input) };
            self.agenda.at(deadline.max(later(self.now, 1)), happening);
        }
    }

    /// A message arrives at the server.
    pub(super) fn arrives(&mut self, id: &DeviceId, request: &Request, reply: Option<(Life, Timestamp)>) {
        if !self.server.is_up(self.now) {
            return self.nobody_answers(id, request, reply);
        }
        if let (Request::Report(report), Some(device)) = (request, self.devices.get(id)) {
            let broken = rules::of_report(report, device);
            self.note_broken(broken);
        }
        let answer = self.server.take(id, request, self.now);
        self.tell_events();
        if self.server.take_wake() {
            self.wake();
        }
        let (Some((life, deadline)), Some(mut input)) = (reply, answer) else { return };
        let Some(device) = self.devices.get_mut(id) else { return };
        if let Input::Polled(answer) = &mut input {
            device.passes(answer);
        }
        let lost = device.link.is_out(self.now) || self.chance.happens(device.link.loss);
        if lost {
            return self.nobody_answers(id, request, Some((life, deadline)));
        }
        let back = later(self.now, device.link.latency_millis.max(1));
        let happening = Happening::Answered { device: id.clone(), life, input: Box::new(input) };
        self.agenda.at(back, happening);
    }
}

impl crate::device::SimDevice {
    /// An answer passes the cache on the way, which remembers it, or serves an old one instead.
    fn passes(&mut self, answer: &mut PollAnswer) {
        if let Some(old) = self.replay.take() {
            answer.deployment = Some(old);
            answer.cancel = None;
        } else if let Some(deployment) = &answer.deployment
            && let Ok(action) = deployment.id.parse()
        {
            self.passed.entry(action).or_insert_with(|| deployment.clone());
        }
    }
}
