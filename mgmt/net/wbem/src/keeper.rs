//! The keeper: named blobs that survive a restart, shared by all who keep something.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use mgmt_executor::Signal;
use store::{Commit, Store, StoreError};

/// Where the blobs are.
enum Medium {
    /// Nowhere but here: there is no disk.
    Memory(BTreeMap<String, Vec<u8>>),
    Disk(Store),
}

struct Inner {
    medium: RefCell<Medium>,
    changes: Cell<u64>,
    durable: Cell<u64>,
    /// Changes that the commit under way contains.
    under_way: Cell<u64>,
    failed: Cell<bool>,
    /// Commits that failed.
    failures: Cell<u64>,
    due: Signal,
    waiting: RefCell<Vec<Signal>>,
    /// Tasks that wait for the next commit's end.
    tasks: RefCell<Vec<Waker>>,
}

/// A moment in the history of changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Mark(u64);

/// Whether the changes up to a mark survive a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// They do.
    Durable,
    /// A commit has still to be done.
    Pending,
    /// The last commit failed.
    Lost,
}

/// The keeper; clones share it.
#[derive(Clone)]
pub struct Keeper(Rc<Inner>);

impl Keeper {
    /// A keeper over the store on a disk. Its owner commits whenever [`Keeper::due`] is raised.
    pub fn on_disk(store: Store) -> Self {
        Self::new(Medium::Disk(store))
    }

    /// A keeper that forgets with the partition's end: there is no disk.
    pub fn in_memory() -> Self {
        Self::new(Medium::Memory(BTreeMap::new()))
    }

    fn new(medium: Medium) -> Self {
        Keeper(Rc::new(Inner {
            medium: RefCell::new(medium),
            changes: Cell::new(0),
            durable: Cell::new(0),
            under_way: Cell::new(0),
            failed: Cell::new(false),
            failures: Cell::new(0),
            due: Signal::new(),
            waiting: RefCell::default(),
            tasks: RefCell::default(),
        }))
    }

    /// A blob.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        match &*self.0.medium.borrow() {
            Medium::Memory(blobs) => blobs.get(name).cloned(),
            Medium::Disk(store) => store.get(name).map(<[u8]>::to_vec),
        }
    }

    /// The blobs whose names begin with `prefix`, in order.
    pub fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let owned = |(name, value): (&str, &[u8])| (String::from(name), value.to_vec());
        match &*self.0.medium.borrow() {
            Medium::Memory(blobs) => blobs
                .range(String::from(prefix)..)
                .take_while(|(name, _)| name.starts_with(prefix))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            Medium::Disk(store) => store.entries(prefix).map(owned).collect(),
        }
    }

    /// Sets a blob; it is durable later, see [`Keeper::durability`].
    ///
    /// # Errors
    /// There is no room; nothing has changed.
    pub fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        match &mut *self.0.medium.borrow_mut() {
            Medium::Memory(blobs) => {
                blobs.insert(name.into(), value);
            }
            Medium::Disk(store) => store.put(name, value)?,
        }
        self.changed();
        Ok(())
    }

    /// Removes a blob, if it is there.
    pub fn remove(&self, name: &str) {
        match &mut *self.0.medium.borrow_mut() {
            Medium::Memory(blobs) => {
                blobs.remove(name);
            }
            Medium::Disk(store) => store.remove(name),
        }
        self.changed();
    }

    fn changed(&self) {
        let changes = self.0.changes.get() + 1;
        self.0.changes.set(changes);
        match &*self.0.medium.borrow() {
            Medium::Memory(_) => self.0.durable.set(changes),
            Medium::Disk(_) => self.0.due.raise(),
        }
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(self.0.changes.get())
    }

    /// Whether all changes up to `mark` are durable.
    pub fn durability(&self, mark: Mark) -> Durability {
        if self.0.durable.get() >= mark.0 {
            Durability::Durable
        } else if self.0.failed.get() {
            Durability::Lost
        } else {
            Durability::Pending
        }
    }

    /// Waits until the changes up to `mark` are durable, or a commit fails.
    pub async fn settled(&self, mark: Mark) -> Durability {
        let failures = self.0.failures.get();
        poll_fn(|context| {
            if self.0.durable.get() >= mark.0 {
                return Poll::Ready(Durability::Durable);
            }
            if self.0.failures.get() > failures {
                return Poll::Ready(Durability::Lost);
            }
            self.0.tasks.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Raises `signal` after each commit, done or failed, and at any other [news](Keeper::news).
    pub fn tell(&self, signal: Signal) {
        self.0.waiting.borrow_mut().push(signal);
    }

    /// Raised when there are changes to commit.
    pub fn due(&self) -> &Signal {
        &self.0.due
    }

    /// The commit of all changes so far; `None` where there is nothing to do. One at a time.
    pub fn begin(&self) -> Option<Commit> {
        self.0.under_way.set(self.0.changes.get());
        match &*self.0.medium.borrow() {
            Medium::Memory(_) => None,
            Medium::Disk(store) => store.begin(),
        }
    }

    /// The commit's steps are done.
    pub fn finish(&self, commit: Commit) {
        if let Medium::Disk(store) = &mut *self.0.medium.borrow_mut() {
            store.finish(commit);
        }
        self.0.durable.set(self.0.under_way.get());
        self.0.failed.set(false);
        self.wake();
    }

    /// The commit failed. Its changes are tried again with the next change.
    pub fn fail(&self) {
        self.0.failed.set(true);
        self.0.failures.set(self.0.failures.get().saturating_add(1));
        self.wake();
    }

    fn wake(&self) {
        self.0.tasks.take().into_iter().for_each(Waker::wake);
        self.news();
    }

    /// Has everybody look who was [told](Keeper::tell) about commits: something that a connection waits for may be there.
    pub fn news(&self) {
        for signal in &*self.0.waiting.borrow() {
            signal.raise();
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use store::{Opened, SECTOR_BYTES, Sectors, open};

    /// A blank disk.
    struct Blank;

    impl Sectors for Blank {
        type Error = ();

        fn sectors(&self) -> u64 {
            16_384
        }

        async fn read(&self, _: u64, into: &mut [u8]) -> Result<(), ()> {
            assert!(into.len().is_multiple_of(SECTOR_BYTES));
            into.fill(0);
            Ok(())
        }
    }

    /// A keeper on a blank disk.
    pub fn on_blank_disk() -> Keeper {
        let opened = std::pin::pin!(open(&Blank));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match opened.poll(&mut context) {
            std::task::Poll::Ready(Ok(Opened::Blank(store))) => Keeper::on_disk(store),
            _ => panic!("the disk is blank and answers at once"),
        }
    }

    use std::future::Future;

    #[test]
    fn without_a_disk_changes_are_as_durable_as_they_get() {
        let keeper = Keeper::in_memory();
        keeper.put("a/1", vec![1]).unwrap();
        keeper.put("b", vec![2]).unwrap();
        assert_eq!(keeper.durability(keeper.mark()), Durability::Durable);
        assert_eq!(keeper.entries("a/"), [("a/1".into(), vec![1])]);
        keeper.remove("a/1");
        assert_eq!(keeper.get("a/1"), None);
        assert!(keeper.begin().is_none());
    }

    #[test]
    fn changes_are_durable_when_their_commit_is_done() {
        let keeper = on_blank_disk();
        let signal = Signal::new();
        keeper.tell(signal.clone());
        keeper.put("a", vec![1]).unwrap();
        let first = keeper.mark();
        assert!(keeper.due().take());
        let commit = keeper.begin().unwrap();
        keeper.put("a", vec![2]).unwrap();
        let second = keeper.mark();
        assert_eq!(keeper.durability(first), Durability::Pending);
        keeper.finish(commit);
        assert!(signal.take());
        assert_eq!(keeper.durability(first), Durability::Durable);
        assert_eq!(keeper.durability(second), Durability::Pending);
        drop(keeper.begin().unwrap());
        keeper.fail();
        assert_eq!(keeper.durability(second), Durability::Lost);
        keeper.finish(keeper.begin().unwrap());
        assert_eq!(keeper.durability(second), Durability::Durable);
    }
}
