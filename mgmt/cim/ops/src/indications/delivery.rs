//! The delivery queue: order, sequence numbers, retries and giving up.

use super::IndicationSettings;
use super::matching::Matched;
use crate::Clock;
use crate::interop::Identity;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use cim_model::{Instance, InstancePath, Text};
use core::time::Duration;

/// Identifies a delivery under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryId(u64);

/// An indication to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// To report the outcome with.
    pub id: DeliveryId,
    /// The http URL of the listener.
    pub url: Text,
    /// The indication.
    pub indication: Instance,
}

/// An indication that was given up.
pub(super) struct Failure {
    pub(super) subscription: InstancePath,
    pub(super) destination: InstancePath,
    /// How long the destination has failed.
    pub(super) failing_for: Duration,
}

struct Waiting {
    subscription: InstancePath,
    url: Text,
    indication: Instance,
}

/// The indications for one destination.
struct Line {
    destination: InstancePath,
    context: Text,
    next_number: i64,
    waiting: VecDeque<Waiting>,
    under_way: Option<DeliveryId>,
    attempts: u16,
    due: Duration,
    failing_since: Option<Duration>,
}

/// The lines to all destinations.
pub(super) struct Queue {
    lines: Vec<Line>,
    last_id: u64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Queue {
            lines: Vec::new(),
            last_id: 0,
        }
    }

    /// Queues an indication and gives it its place in the sequence. When the line is full the indication is
    /// lost, and the listener sees the gap in the numbers.
    pub(super) fn push(&mut self, matched: Matched, identity: &Identity, now: Clock, limit: usize) {
        let index = match self
            .lines
            .iter()
            .position(|line| line.destination.same_object(&matched.destination))
        {
            Some(index) => index,
            None => {
                self.lines
                    .push(Line::new(&matched.destination, identity, now));
                self.lines.len() - 1
            }
        };
        let Some(line) = self.lines.get_mut(index) else {
            return;
        };
        let number = line.next_number;
        // DSP1054 7.10: the number wraps to zero behind the largest sint64.
        line.next_number = number.checked_add(1).unwrap_or(0);
        if line.waiting.len() >= limit {
            return;
        }
        let indication = matched
            .indication
            .with("SequenceContext", line.context.clone())
            .with("SequenceNumber", number);
        line.waiting.push_back(Waiting {
            subscription: matched.subscription,
            url: matched.url,
            indication,
        });
    }

    pub(super) fn next(&mut self, now: Duration) -> Option<Delivery> {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.under_way.is_none() && line.due <= now && !line.waiting.is_empty())?;
        let waiting = line.waiting.front()?;
        self.last_id = self.last_id.wrapping_add(1);
        let id = DeliveryId(self.last_id);
        line.under_way = Some(id);
        Some(Delivery {
            id,
            url: waiting.url.clone(),
            indication: waiting.indication.clone(),
        })
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let idle = self
            .lines
            .iter()
            .filter(|line| line.under_way.is_none() && !line.waiting.is_empty());
        idle.map(|line| line.due).min()
    }

    /// Takes the outcome of a delivery; tells when the indication was given up.
    pub(super) fn outcome(
        &mut self,
        id: DeliveryId,
        confirmed: bool,
        now: Duration,
        settings: &IndicationSettings,
    ) -> Option<Failure> {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.under_way == Some(id))?;
        line.under_way = None;
        if confirmed {
            line.waiting.pop_front();
            line.attempts = 0;
            line.due = now;
            line.failing_since = None;
            return None;
        }
        let since = *line.failing_since.get_or_insert(now);
        line.attempts = line.attempts.saturating_add(1);
        line.due = now.saturating_add(settings.retry_interval);
        if line.attempts <= settings.retry_attempts {
            return None;
        }
        line.attempts = 0;
        let lost = line.waiting.pop_front()?;
        Some(Failure {
            subscription: lost.subscription,
            destination: line.destination.clone(),
            failing_for: now.saturating_sub(since),
        })
    }

    /// Forgets the lines to destinations that are gone, and what waits for those without subscription. The
    /// sequence of a destination goes on when it is subscribed to again.
    pub(super) fn retain(
        &mut self,
        exists: impl Fn(&InstancePath) -> bool,
        is_wanted: impl Fn(&InstancePath) -> bool,
    ) {
        self.lines.retain(|line| exists(&line.destination));
        for line in &mut self.lines {
            if !is_wanted(&line.destination) {
                line.waiting.clear();
            }
        }
    }

    /// Whether the last attempt to reach a destination has failed.
    pub(super) fn is_failing(&self, destination: &InstancePath) -> bool {
        self.lines
            .iter()
            .any(|line| line.failing_since.is_some() && line.destination.same_object(destination))
    }

    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum()
    }
}

impl Line {
    fn new(destination: &InstancePath, identity: &Identity, now: Clock) -> Self {
        let name = destination
            .key("Name")
            .and_then(|key| key.as_str())
            .unwrap_or_default();
        Line {
            destination: destination.clone(),
            // Unique per start of the server and per destination, as DSP1054 wants it.
            context: Text::from(format!("{}-{:x}-{name}", identity.manager, now.unix_micros)),
            next_number: 0,
            waiting: VecDeque::new(),
            under_way: None,
            attempts: 0,
            due: Duration::ZERO,
            failing_since: None,
        }
    }
}
