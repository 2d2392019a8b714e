//! An upload and its task.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use cim_server::images::{ImageFacts, ImageRefusal, Sha256, Stored, Upload};
use image_library::{Catalog, Medium, Outcome, Sha256Sum};
use mgmt_executor::{Signal, Spawner};

use super::{facts, refusal};
use crate::Keeper;

/// Bytes that wait for the disk; then the client has to wait.
const BUFFER_BYTES: usize = 256 * 1024;

type Ended = Result<(ImageFacts, Stored), ImageRefusal>;

/// What the connection has said.
#[derive(Clone, Copy)]
enum Wish {
    /// There will be more.
    Open,
    /// That is all, and this is its checksum.
    End(Option<Sha256>),
    /// Nothing is to be kept.
    Abort,
}

struct Shared {
    waiting: Vec<u8>,
    wish: Wish,
    outcome: Option<Ended>,
}

/// The connection's end.
pub(super) struct Writer {
    shared: Rc<RefCell<Shared>>,
    task: Signal,
}

impl Writer {
    /// Starts the task of an upload.
    pub(super) fn start<M: Medium + 'static, C: Catalog + 'static>(
        upload: image_library::Upload<M, C>,
        keeper: &Keeper,
        spawner: &Spawner,
    ) -> Self {
        let writer = Writer {
            shared: Rc::new(RefCell::new(Shared {
                waiting: Vec::new(),
                wish: Wish::Open,
                outcome: None,
            })),
            task: Signal::new(),
        };
        let (shared, signal) = (writer.shared.clone(), writer.task.clone());
        let keeper = keeper.clone();
        spawner.spawn(async move {
            let outcome = write(upload, &shared, &signal, &keeper).await;
            shared.borrow_mut().outcome = outcome;
            keeper.news();
        });
        writer
    }
}

/// Writes what comes; `None` where the upload was given up.
async fn write<M: Medium, C: Catalog>(
    mut upload: image_library::Upload<M, C>,
    shared: &RefCell<Shared>,
    signal: &Signal,
    keeper: &Keeper,
) -> Option<Ended> {
    loop {
        let (bytes, wish) = {
            let mut shared = shared.borrow_mut();
            (core::mem::take(&mut shared.waiting), shared.wish)
        };
        match wish {
            Wish::Abort => return None,
            Wish::Open | Wish::End(_) if !bytes.is_empty() => {
                // There is room again before the disk is done with these.
                keeper.news();
                if let Err(error) = upload.write(&bytes).await {
                    return Some(Err(refusal(error)));
                }
            }
            Wish::Open => signal.wait().await,
            Wish::End(sum) => {
                let stored = upload.finish(sum.map(Sha256Sum)).await;
                return Some(stored.map(stored_facts).map_err(refusal));
            }
        }
    }
}

fn stored_facts((found, outcome): (image_library::ImageFacts, Outcome)) -> (ImageFacts, Stored) {
    let stored = match outcome {
        Outcome::Added => Stored::Added,
        Outcome::Replaced => Stored::Replaced,
    };
    (facts(&found), stored)
}

impl Upload for Writer {
    fn room(&self) -> usize {
        BUFFER_BYTES.saturating_sub(self.shared.borrow().waiting.len())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.shared.borrow_mut().waiting.extend_from_slice(bytes);
        self.task.raise();
    }

    fn end(&mut self, sha256: Option<Sha256>) {
        self.shared.borrow_mut().wish = Wish::End(sha256);
        self.task.raise();
    }

    fn outcome(&mut self) -> Option<Result<(ImageFacts, Stored), ImageRefusal>> {
        self.shared.borrow_mut().outcome.take()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        if let Wish::Open = shared.wish {
            shared.wish = Wish::Abort;
        }
        self.task.raise();
    }
}
