//! The link between one device and the server: how long, how lossy, how often it breaks.
//!
//! In: messages. Out: when, whether and how often they arrive. Refuses nothing; chance decides, with the world's seed.

use warden_agent::machine::{Channel, Input, MetadataFailure};
use warden_model::report::StateReport;
use warden_model::{ActionId, PerMille, Sha256Digest, Timestamp};
use warden_wire::ddi::Feedback;

/// What a device asks of the server.
#[derive(Debug, Clone)]
pub enum Request {
    /// A poll, with the links of its answer.
    Poll,
    /// The signed metadata about an image.
    Metadata {
        /// The image.
        image: Sha256Digest,
    },
    /// A state report.
    Report(Box<StateReport>),
    /// Feedback about an order.
    Feedback {
        /// The order.
        action: ActionId,
        /// The address.
        channel: Channel,
        /// The feedback.
        feedback: Feedback,
    },
    /// The attributes of the device.
    Attributes,
}

impl Request {
    /// Returns what the machine hears when no answer comes; nothing for what has no answer.
    pub fn unanswered(&self) -> Option<Input> {
        match self {
            Self::Poll => Some(Input::PollFailed),
            Self::Metadata { .. } => Some(Input::MetadataFailed(MetadataFailure::Unreachable)),
            Self::Report(_) | Self::Feedback { .. } => Some(Input::NotDelivered),
            Self::Attributes => None,
        }
    }
}

/// A link.
#[derive(Debug, Clone)]
pub struct Link {
    /// One way, in milliseconds.
    pub latency_millis: u64,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// How often a message is lost, each way.
    pub loss: PerMille,
    /// How often a report arrives a second time, minutes later.
    pub late_copies: PerMille,
    /// After how many bytes a download breaks off, each time.
    pub drops_every: Option<u64>,
    /// Bytes that the present connection has carried.
    pub carried: u64,
    /// How often a download has broken off.
    pub breaks: u64,
    /// Cut off until then.
    pub out_until: Option<Timestamp>,
}

impl Default for Link {
    /// A plain link: 40 ms one way, 128 KiB a second, nothing lost.
    fn default() -> Self {
        Self {
            latency_millis: 40,
            bytes_per_second: 128 * 1024,
            loss: PerMille::ZERO,
            late_copies: PerMille::ZERO,
            drops_every: None,
            carried: 0,
            breaks: 0,
            out_until: None,
        }
    }
}

impl Link {
    /// Says whether the link is cut off.
    pub fn is_out(&self, now: Timestamp) -> bool {
        self.out_until.is_some_and(|until| now < until)
    }

    /// Returns how many of so many bytes the connection carries before it breaks.
    pub fn carries(&self, bytes: u64) -> u64 {
        match self.drops_every {
            Some(every) => bytes.min(every.max(1).saturating_sub(self.carried)),
            None => bytes,
        }
    }

    /// Notes what was carried.
    pub fn carry(&mut self, bytes: u64) {
        self.carried = self.carried.saturating_add(bytes);
    }

    /// Notes a break: the next connection starts anew.
    pub fn broke(&mut self) {
        self.carried = 0;
        self.breaks += 1;
    }
}
