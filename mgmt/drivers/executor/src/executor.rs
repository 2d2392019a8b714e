//! The executor: a list of tasks, each with a flag that its wakers set.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task's wake-up flag. Atomic because `Waker` must be `Sync`; all accesses come from one CPU.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Task {
    future: TaskFuture,
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    fn new(future: TaskFuture) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        Task {
            future,
            flag,
            waker,
        }
    }
}

/// Starts tasks; clones feed the same executor.
#[derive(Clone, Default)]
pub struct Spawner(Rc<RefCell<Vec<TaskFuture>>>);

impl Spawner {
    /// Adds a task; it runs at the executor's next pass.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(future));
    }
}

/// Whether a pass of the executor did anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// At least one task ran; another may be ready because of it.
    Ran,
    /// No task was ready.
    Idle,
}

/// Runs tasks, each when its waker was called. A pass looks at every task's flag: right for the tens of tasks of
/// this program, each of which serves many connections.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<Task>,
    spawner: Spawner,
}

impl Executor {
    /// An executor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle that starts tasks.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// How many tasks have not ended, those not yet started included.
    pub fn tasks(&self) -> usize {
        self.tasks.len() + self.spawner.0.borrow().len()
    }

    /// Polls every woken task once.
    pub fn run_ready(&mut self) -> Progress {
        let new = core::mem::take(&mut *self.spawner.0.borrow_mut());
        self.tasks.extend(new.into_iter().map(Task::new));
        let mut progress = Progress::Idle;
        self.tasks.retain_mut(|task| {
            // Cleared before the poll, so that a wake-up during it counts for the next pass.
            if !task.flag.0.swap(false, Ordering::Acquire) {
                return true;
            }
            progress = Progress::Ran;
            let mut context = Context::from_waker(&task.waker);
            task.future.as_mut().poll(&mut context) == Poll::Pending
        });
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Instant, Signal, Timers};
    use std::cell::Cell;
    use std::time::Duration;

    fn run(executor: &mut Executor) {
        while executor.run_ready() == Progress::Ran {}
    }

    #[test]
    fn a_signal_raised_before_the_wait_is_not_lost() {
        let mut executor = Executor::new();
        let signal = Signal::new();
        signal.raise();
        let done = Rc::new(Cell::new(0));
        let (inner, count) = (signal.clone(), done.clone());
        executor.spawner().spawn(async move {
            loop {
                inner.wait().await;
                count.set(count.get() + 1);
            }
        });
        run(&mut executor);
        assert_eq!(done.get(), 1);
        signal.raise();
        signal.raise();
        run(&mut executor);
        assert_eq!(done.get(), 2);
        assert_eq!(executor.run_ready(), Progress::Idle);
    }

    #[test]
    fn tasks_can_start_tasks_and_end() {
        let mut executor = Executor::new();
        let spawner = executor.spawner();
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        executor.spawner().spawn(async move {
            spawner.spawn(async move { flag.set(true) });
        });
        assert_eq!(executor.tasks(), 1);
        run(&mut executor);
        run(&mut executor);
        assert!(done.get());
        assert_eq!(executor.tasks(), 0);
    }

    #[test]
    fn timers_fire_in_order_and_a_dropped_one_is_gone() {
        let mut executor = Executor::new();
        let timers = Timers::default();
        let order = Rc::new(RefCell::new(Vec::new()));
        for milliseconds in [30u64, 10, 20] {
            let (timers, order) = (timers.clone(), order.clone());
            executor.spawner().spawn(async move {
                let at = Instant::default().after(Duration::from_millis(milliseconds));
                timers.sleep_until(at).await;
                order.borrow_mut().push(milliseconds);
            });
        }
        run(&mut executor);
        let ms = |n: u64| Instant::from_nanoseconds(n * 1_000_000);
        assert_eq!(timers.next(), Some(ms(10)));
        timers.fire(ms(9));
        run(&mut executor);
        assert!(order.borrow().is_empty());
        timers.fire(ms(25));
        run(&mut executor);
        assert_eq!(*order.borrow(), [10, 20]);
        drop(executor);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let mut executor = Executor::new();
        let timers = Timers::default();
        let signal = Signal::new();
        let done = Rc::new(Cell::new(false));
        let (inner, clock, flag) = (signal.clone(), timers.clone(), done.clone());
        executor.spawner().spawn(async move {
            let at = Instant::from_nanoseconds(5);
            inner.wait_until(&clock, Some(at)).await;
            flag.set(true);
        });
        run(&mut executor);
        assert!(!done.get());
        timers.fire(Instant::from_nanoseconds(5));
        run(&mut executor);
        assert!(done.get());
        assert_eq!(timers.next(), None);
    }
}
