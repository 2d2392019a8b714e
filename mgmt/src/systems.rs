//! The virtual systems: the domain over the hypervisor, shown by the providers.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cim_domain::{Domain, Keep, KeepError, Now, Uuid};
use cim_ops::interop::Profile;
use cim_ops::{Builder, Clock};
use cim_providers::Model;
use mgmt_wbem::{Keeper, Wbem, clock_at, server_name};

use crate::entropy::Entropy;
use crate::guests::{ConsoleDesk, GuestMachine, Host, Shelf};
use crate::images::{DiskLibrary, DomainImages};
use crate::report;
use crate::root::Root;

/// The virtual systems; clones share them.
#[derive(Clone)]
pub struct Systems {
    model: Model,
    shelf: Shelf,
    desk: ConsoleDesk,
}

impl Systems {
    /// The systems that the keeper knows, in a partition that was started again so often.
    ///
    /// # Errors
    /// Why there cannot be any, in words.
    pub fn open(
        root: &Root,
        host: &Host,
        keeper: &Keeper,
        library: &DiskLibrary,
        desk: ConsoleDesk,
        restarts: u32,
    ) -> Result<Self, String> {
        let entropy = Entropy::detect().ok_or("the CPU makes no random numbers")?;
        let shelf = Shelf::new(library.clone(), desk.clone());
        let name = server_name(keeper, &mut |buffer| entropy.fill(buffer));
        let machine = GuestMachine::new(root, host, &shelf, name.as_str(), restarts);
        let machine = machine.map_err(|refusal| refusal.to_string())?;
        let images = DomainImages {
            library: library.clone(),
            spawner: root.spawner().clone(),
        };
        let make_uuid = move || {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            Uuid::from_random(bytes)
        };
        let clock = clock_at(root.unix_base(), root.now());
        let now = Now {
            monotonic: clock.monotonic,
            unix_micros: clock.unix_micros,
        };
        let (domain, problems) = Domain::open(
            Box::new(machine),
            Box::new(DomainKeep(keeper.clone())),
            Box::new(images),
            Box::new(make_uuid),
            now,
        );
        for problem in problems {
            report!("virtual systems: {problem}");
        }
        report!("virtual systems: {}", domain.systems().count());
        let model = Model::new(domain);
        let users = model.clone();
        library.refuse_changes_if(move |image| user_of(&users, image));
        Ok(Systems { model, shelf, desk })
    }

    /// Adds the systems to a server.
    pub fn install(&self, builder: Builder) -> (Builder, Vec<Profile>) {
        cim_providers::install(&self.model, builder)
    }

    /// Opens the consoles, and starts the tasks that keep the model true.
    pub fn run(&self, root: &Root, wbem: &Wbem, keeper: &Keeper) {
        self.desk.let_in(Rc::new(wbem.clone()));
        root.spawner().spawn(self.shelf.clone().work());
        let (root, wbem, keeper) = (root.clone(), wbem.clone(), keeper.clone());
        let spawner = root.spawner().clone();
        spawner.spawn(self.clone().end_host(root.clone(), keeper.clone()));
        spawner.spawn(self.clone().report(root, wbem, keeper));
    }

    /// Does what is due.
    pub fn tick(&self, clock: Clock) {
        self.model.tick(clock);
    }

    /// Ends the machine when the domain says so.
    async fn end_host(self, root: Root, keeper: Keeper) {
        loop {
            self.shelf.host_end().carry_out(&root, &keeper).await;
            self.model.host_stays();
        }
    }

    /// Tells the domain what happens to its systems, for ever.
    async fn report(self, root: Root, wbem: Wbem, keeper: Keeper) {
        loop {
            let mut any = false;
            while let Some((system, event)) = self.shelf.reports().take() {
                self.model.event(system, event, wbem.clock(root.now()));
                any = true;
            }
            if any {
                for line in wbem.maintain(root.now()) {
                    report!("{line}");
                }
                // Indications may be on their way, and clients wait for jobs.
                keeper.news();
            }
            self.shelf.reports().signal().wait().await;
        }
    }
}

/// Who boots from an image.
fn user_of(model: &Model, image: &str) -> Option<String> {
    let name = cim_domain::ImageName::new(image)?;
    model.read(|domain| {
        let system = domain.users_of(&name).next()?;
        Some(alloc::format!("system {}", system.defined.name))
    })
}

/// The keeper as the domain sees it.
struct DomainKeep(Keeper);

impl Keep for DomainKeep {
    fn put(&mut self, name: &str, value: &[u8]) -> Result<(), KeepError> {
        let put = self.0.put(name, value.to_vec());
        put.map_err(|_| KeepError::Full)
    }

    fn remove(&mut self, name: &str) -> Result<(), KeepError> {
        self.0.remove(name);
        Ok(())
    }

    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        self.0.entries(prefix)
    }
}
