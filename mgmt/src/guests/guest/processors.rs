//! Processors that come to a guest and go while it runs.

use cim_domain::{Event, MachineError};
use vmm_board::{Effect, Listening};

use super::Guest;

impl Guest {
    /// How many processors it has.
    pub fn processors(&self) -> u32 {
        self.processors.get()
    }

    /// The hypervisor gives it so many from now on.
    pub fn set_processors(&self, count: u32) {
        self.processors.set(count);
    }

    /// Whether it hears of processors that come and go.
    ///
    /// # Errors
    /// It does not.
    pub fn must_listen(&self) -> Result<(), MachineError> {
        match self.with_board(|board| board.listening()) {
            Some(Listening::Yes) => Ok(()),
            _ => Err(MachineError::Guest(
                "the guest's operating system does not listen to processors that come and go"
                    .into(),
            )),
        }
    }

    /// Tells it that it has so many, and that none of them is wanted back.
    pub fn offer_processors(&self, count: u32) {
        self.returning.set(None);
        self.with_board(|board| board.offer_processors(count));
        self.keep();
    }

    /// Asks it to give back all but so many.
    pub fn ask_back_processors(&self, count: u32) {
        let returning = self.processors.get().saturating_sub(count);
        self.returning.set(Some(returning));
        self.with_board(|board| board.ask_back_processors(count));
        self.keep();
    }

    /// What became of one that it was asked for.
    pub(super) fn returned(&self, effect: Effect) {
        let Some(returning) = self.returning.get() else {
            return;
        };
        if matches!(effect, Effect::ProcessorEjected(_)) {
            let left = returning.saturating_sub(1);
            self.returning.set((left > 0).then_some(left));
            if left == 0 {
                self.tell(Event::ProcessorsLeft);
            }
        } else {
            self.returning.set(None);
            let what = "The guest cannot give its processors back";
            self.tell(Event::ProcessorsKept(what.into()));
        }
    }
}
