//! The world of virtual systems: the domain with its providers over a machine made of timers.

mod directory;
mod machine;

use crate::MemoryImages;
use crate::options::Options;
use cim_domain::{Domain, HostEnd, ImageName, Keep, MemoryKeep, Now, Uuid};
use cim_ops::interop::Profile;
use cim_ops::{Builder, Clock};
use cim_providers::Model;
use directory::Directory;
use machine::{Machine, Timeline};
use std::time::Duration;

/// The world; clones share it.
#[derive(Clone)]
pub struct World {
    model: Model,
    timeline: Timeline,
}

impl World {
    /// Opens the world over the directory that the options name, or over memory.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(
        options: &Options,
        name: &str,
        images: &MemoryImages,
        mut random: impl FnMut(&mut [u8]) + 'static,
        clock: Clock,
    ) -> Result<Self, String> {
        let keep: Box<dyn Keep> = match &options.store {
            Some(path) => Box::new(Directory::open(path)?),
            None => Box::new(MemoryKeep::default()),
        };
        let timeline = Timeline::default();
        let machine = Machine::new(name, timeline.clone(), options.adopt, &*keep);
        let make_uuid = move || {
            let mut bytes = [0; 16];
            random(&mut bytes);
            Uuid::from_random(bytes)
        };
        let (domain, problems) = Domain::open(
            Box::new(machine),
            keep,
            Box::new(images.clone()),
            Box::new(make_uuid),
            now(clock),
        );
        for problem in problems {
            eprintln!("cim-sim: {problem}");
        }
        let model = Model::new(domain);
        let users = model.clone();
        images.refuse_changes_if(move |image| user_of(&users, image));
        Ok(World { model, timeline })
    }

    /// Adds the providers to a server and tells their profiles.
    pub fn install(&self, builder: Builder) -> (Builder, Vec<Profile>) {
        cim_providers::install(&self.model, builder)
    }

    /// Tells the machine the time.
    pub fn set_time(&self, clock: Clock) {
        self.timeline.set(clock.monotonic);
    }

    /// Lets everything happen that is due.
    pub fn advance(&self, clock: Clock) {
        self.set_time(clock);
        while let Some((system, event)) = self.timeline.take() {
            self.model.event(system, event, clock);
        }
        let due = self.model.next_tick();
        if due.is_some_and(|due| due <= clock.monotonic) {
            self.model.tick(clock);
        }
    }

    /// How the machine ends, once it was told to.
    pub fn host_end(&self) -> Option<HostEnd> {
        self.timeline.host_end()
    }

    /// When something happens next, on the monotonic clock.
    pub fn next(&self) -> Option<Duration> {
        let model = self.model.next_tick();
        self.timeline.next().into_iter().chain(model).min()
    }
}

/// Who boots from an image.
fn user_of(model: &Model, image: &str) -> Option<String> {
    let name = ImageName::new(image)?;
    model.read(|domain| {
        let system = domain.users_of(&name).next()?;
        Some(format!("the system {}", system.defined.name))
    })
}

fn now(clock: Clock) -> Now {
    Now {
        monotonic: clock.monotonic,
        unix_micros: clock.unix_micros,
    }
}
