//! A flag that one task waits for: set by interrupts and by other tasks.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::{Instant, Sleep, Timers};

#[derive(Default)]
struct Inner {
    raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

/// A flag with at most one waiting task. Raising it while nobody waits is remembered, so no wake-up is lost; raising
/// it several times before the task looks counts once.
#[derive(Clone, Default)]
pub struct Signal(Rc<Inner>);

impl Signal {
    /// A signal that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes the waiter.
    pub fn raise(&self) {
        self.0.raised.set(true);
        if let Some(waker) = self.0.waiter.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Takes the flag: whether it was raised since it was last taken.
    pub fn take(&self) -> bool {
        self.0.raised.replace(false)
    }

    /// Waits until the flag is raised, and takes it.
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            signal: self,
            sleep: None,
        }
    }

    /// Waits until the flag is raised or `deadline` has come; `None` waits without limit.
    pub fn wait_until(&self, timers: &Timers, deadline: Option<Instant>) -> Wait<'_> {
        Wait {
            signal: self,
            sleep: deadline.map(|at| timers.sleep_until(at)),
        }
    }
}

/// The future of [`Signal::wait`] and [`Signal::wait_until`].
#[must_use = "a future does nothing unless awaited"]
pub struct Wait<'a> {
    signal: &'a Signal,
    sleep: Option<Sleep>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.signal.take() {
            return Poll::Ready(());
        }
        if let Some(sleep) = &mut self.sleep
            && Pin::new(sleep).poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        *self.signal.0.waiter.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
