//! What every task needs: time, timers, other tasks, the hypervisor.

use alloc::rc::Rc;
use core::cell::{RefCell, RefMut};

use mgmt_executor::{Executor, Instant, Progress, Spawner, Timers};

use crate::apic;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::hypervisor::Hypervisor;
use crate::interrupts::{self, Wish};
use crate::paging::PageTables;
use crate::vectors::Vectors;

/// Handles to the runtime; clones share it.
#[derive(Clone)]
pub struct Root {
    clock: Clock,
    timers: Timers,
    spawner: Spawner,
    hypervisor: Hypervisor,
    tables: Rc<RefCell<PageTables>>,
}

impl Root {
    /// The handles to this executor.
    pub fn new(
        clock: Clock,
        hypervisor: Hypervisor,
        executor: &Executor,
        tables: PageTables,
    ) -> Self {
        Root {
            clock,
            timers: Timers::default(),
            spawner: executor.spawner(),
            hypervisor,
            tables: Rc::new(RefCell::new(tables)),
        }
    }

    /// This partition's page tables; not to be held while waiting.
    pub fn tables(&self) -> RefMut<'_, PageTables> {
        self.tables.borrow_mut()
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The timers.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Starts tasks.
    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// The hypervisor.
    pub fn hypervisor(&self) -> Hypervisor {
        self.hypervisor
    }

    /// Unix time in microseconds at instant 0; 0 where the machine's clock is not known.
    pub fn unix_base(&self) -> i64 {
        self.clock.unix_base()
    }

    /// A number that nobody can guess, where the CPU makes random numbers; else one that differs at each start.
    pub fn seed(&self) -> u64 {
        let mut seed = [0; 8];
        if let Some(entropy) = Entropy::detect() {
            entropy.fill(&mut seed);
        }
        u64::from_le_bytes(seed) ^ self.now().nanoseconds()
    }

    /// Runs the tasks, for ever.
    pub fn run(&self, mut executor: Executor, vectors: &Vectors) -> ! {
        loop {
            self.timers.fire(self.now());
            vectors.dispatch();
            if executor.run_ready() == Progress::Ran {
                continue;
            }
            interrupts::halt_unless_pending(|| {
                let Some(next) = self.timers.next() else {
                    return Wish::Halt;
                };
                let now = self.now();
                if next <= now {
                    return Wish::GoOn;
                }
                // An interval beyond the timer's range only means one more look.
                apic::arm_timer(self.clock.timer_ticks(now, next));
                Wish::Halt
            });
        }
    }
}
