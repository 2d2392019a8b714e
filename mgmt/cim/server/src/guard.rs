//! [`Guard`]: waiting times after wrong passwords.
//!
//! Failures are counted per account and peer address, and per peer alone with a larger allowance, so that a
//! stranger can neither guess fast nor lock an account for its owner elsewhere.

use crate::settings::ServerSettings;
use alloc::collections::BTreeMap;
use cim_model::Text;
use core::time::Duration;

/// Counters that are kept; the oldest go when there are more.
const MAX_ENTRIES: usize = 512;
/// How many times the allowance of one account a peer has over all accounts.
const PEER_FACTOR: u32 = 4;
/// After this time without failure a counter starts anew.
const FORGET: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug)]
struct Counter {
    failures: u32,
    last: Duration,
    blocked_until: Duration,
}

/// Failure counters by peer and account; the empty account counts for the peer.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    counters: BTreeMap<(Text, Text), Counter>,
}

impl Guard {
    /// How long this peer has to wait before it may try this account; `None` if not at all.
    pub(crate) fn wait(&self, peer: &Text, user: &Text, now: Duration) -> Option<Duration> {
        [Text::EMPTY, user.clone()]
            .into_iter()
            .filter_map(|user| self.counters.get(&(peer.clone(), user)))
            .map(|counter| counter.blocked_until.saturating_sub(now))
            .max()
            .filter(|wait| !wait.is_zero())
    }

    /// Counts a wrong password.
    pub(crate) fn failed(
        &mut self,
        settings: &ServerSettings,
        peer: &Text,
        user: &Text,
        now: Duration,
    ) {
        self.count(
            settings,
            (peer.clone(), user.clone()),
            settings.free_failures,
            now,
        );
        let allowance = settings.free_failures.saturating_mul(PEER_FACTOR);
        self.count(settings, (peer.clone(), Text::EMPTY), allowance, now);
    }

    /// A right password clears the counter of the account, but not that of the peer.
    pub(crate) fn succeeded(&mut self, peer: &Text, user: &Text) {
        self.counters.remove(&(peer.clone(), user.clone()));
    }

    fn count(
        &mut self,
        settings: &ServerSettings,
        key: (Text, Text),
        allowance: u32,
        now: Duration,
    ) {
        if self.counters.len() >= MAX_ENTRIES && !self.counters.contains_key(&key) {
            let oldest = self.counters.iter().min_by_key(|(_, counter)| counter.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.counters.remove(&oldest);
            }
        }
        let fresh = Counter {
            failures: 0,
            last: now,
            blocked_until: Duration::ZERO,
        };
        let counter = self.counters.entry(key).or_insert(fresh);
        if now.saturating_sub(counter.last) > FORGET {
            *counter = fresh;
        }
        counter.failures = counter.failures.saturating_add(1);
        counter.last = now;
        if let Some(over) = counter.failures.checked_sub(allowance.max(1)) {
            let factor = 1u32.checked_shl(over.min(16)).unwrap_or(u32::MAX);
            let wait = settings
                .first_wait
                .saturating_mul(factor)
                .min(settings.longest_wait);
            counter.blocked_until = now.saturating_add(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn text(text: &'static str) -> Text {
        Text::from_static(text)
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let settings = ServerSettings::default();
        let mut guard = Guard::default();
        let (peer, user) = (text("p"), text("u"));
        for _ in 0..4 {
            guard.failed(&settings, &peer, &user, SECOND);
        }
        assert_eq!(guard.wait(&peer, &user, SECOND), None);
        let mut waits = Vec::new();
        for _ in 0..8 {
            guard.failed(&settings, &peer, &user, SECOND);
            waits.push(guard.wait(&peer, &user, SECOND).unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(guard.wait(&text("other"), &user, SECOND), None);
        assert_eq!(guard.wait(&peer, &text("other"), SECOND), None);
        assert_eq!(guard.wait(&peer, &user, SECOND * 61), None);
        guard.succeeded(&peer, &user);
        guard.failed(&settings, &peer, &user, SECOND * 62);
        assert_eq!(guard.wait(&peer, &user, SECOND * 62), None);
    }

    #[test]
    fn trying_many_accounts_blocks_the_peer() {
        let settings = ServerSettings::default();
        let mut guard = Guard::default();
        for user in 0..20 {
            guard.failed(
                &settings,
                &text("p"),
                &Text::from(format!("u{user}")),
                SECOND,
            );
        }
        assert!(guard.wait(&text("p"), &text("anybody"), SECOND).is_some());
    }

    #[test]
    fn the_table_does_not_grow_without_bound() {
        let settings = ServerSettings::default();
        let mut guard = Guard::default();
        for peer in 0..5_000 {
            guard.failed(
                &settings,
                &Text::from(format!("p{peer}")),
                &text("u"),
                SECOND,
            );
        }
        assert!(guard.counters.len() <= MAX_ENTRIES);
    }
}
