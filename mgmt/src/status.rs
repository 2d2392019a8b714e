//! The status page: what answers until a client speaks CIM.

use alloc::format;
use alloc::string::String;

use mgmt_executor::Instant;
use mgmt_status::StatusPage;

use crate::clock::Clock;

/// The page.
#[derive(Clone)]
pub struct Status {
    /// For the time of day.
    pub clock: Clock,
    /// When the partition started.
    pub started: Instant,
    /// How often it was started before.
    pub restarts: u32,
}

impl StatusPage for Status {
    fn text(&self, now: Instant) -> String {
        let mut text = format!(
            "Bulkhead management partition {}\ncontract version {}\nup {} s\nrestarts {}\n",
            env!("CARGO_PKG_VERSION"),
            bulkhead_abi::VERSION,
            now.since(self.started).as_secs(),
            self.restarts,
        );
        if let Some(time) = self.clock.unix_time(now) {
            text += &format!("unix time {time}\n");
        }
        text
    }
}
