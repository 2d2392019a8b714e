//! Timers: futures that become ready at a moment.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::Instant;

/// Ordered by time, then by creation, so that equal deadlines fire first come, first served.
type Key = (Instant, u64);

#[derive(Default)]
struct Inner {
    sleeping: BTreeMap<Key, Waker>,
    now: Instant,
    created: u64,
}

/// The set of timers; clones share it.
#[derive(Clone, Default)]
pub struct Timers(Rc<RefCell<Inner>>);

impl Timers {
    /// Moves the clock to `now` and wakes what is due.
    pub fn fire(&self, now: Instant) {
        let mut inner = self.0.borrow_mut();
        inner.now = inner.now.max(now);
        while let Some(entry) = inner.sleeping.first_entry() {
            if entry.key().0 > now {
                break;
            }
            entry.remove().wake();
        }
    }

    /// When the next timer is due.
    pub fn next(&self) -> Option<Instant> {
        let inner = self.0.borrow();
        inner.sleeping.first_key_value().map(|(key, _)| key.0)
    }

    /// The moment of the last [`Timers::fire`].
    pub fn now(&self) -> Instant {
        self.0.borrow().now
    }

    /// A future that is ready from `at` on.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        let mut inner = self.0.borrow_mut();
        inner.created += 1;
        Sleep {
            timers: self.clone(),
            key: (at, inner.created),
        }
    }
}

/// The future of [`Timers::sleep_until`]; dropping it cancels the timer.
#[must_use = "a future does nothing unless awaited"]
pub struct Sleep {
    timers: Timers,
    key: Key,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.timers.0.borrow_mut();
        if inner.now >= self.key.0 {
            return Poll::Ready(());
        }
        inner.sleeping.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timers.0.borrow_mut().sleeping.remove(&self.key);
    }
}
