//! A download and its task, which reads ahead of the client.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use cim_server::images::{Download, Piece};
use image_library::{Catalog, Image, Medium};
use mgmt_executor::{Signal, Spawner};

use crate::Keeper;

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 64 * 1024;
/// Pieces that wait for the client.
const AHEAD: usize = 3;

struct Shared {
    pieces: VecDeque<Piece>,
    is_wanted: bool,
}

/// The connection's end.
pub(super) struct Reader {
    shared: Rc<RefCell<Shared>>,
    task: Signal,
}

impl Reader {
    /// Starts the task that reads an image.
    pub(super) fn start<M: Medium + 'static, C: Catalog + 'static>(
        image: Image<M, C>,
        keeper: &Keeper,
        spawner: &Spawner,
    ) -> Self {
        let reader = Reader {
            shared: Rc::new(RefCell::new(Shared {
                pieces: VecDeque::new(),
                is_wanted: true,
            })),
            task: Signal::new(),
        };
        let (shared, signal) = (reader.shared.clone(), reader.task.clone());
        let keeper = keeper.clone();
        spawner.spawn(async move { read(&image, &shared, &signal, &keeper).await });
        reader
    }
}

async fn read<M: Medium, C: Catalog>(
    image: &Image<M, C>,
    shared: &RefCell<Shared>,
    signal: &Signal,
    keeper: &Keeper,
) {
    let bytes = image.facts().bytes;
    let mut at = 0;
    while at < bytes {
        loop {
            let (waiting, is_wanted) = {
                let shared = shared.borrow();
                (shared.pieces.len(), shared.is_wanted)
            };
            if !is_wanted {
                return;
            }
            if waiting < AHEAD {
                break;
            }
            signal.wait().await;
        }
        let length = PIECE_BYTES.min(bytes - at);
        let mut piece: Vec<u8> = vec![0; length as usize];
        let piece = match image.read(at, &mut piece).await {
            Ok(()) => Piece::Bytes(piece),
            Err(_) => Piece::Failed,
        };
        at = match piece {
            Piece::Failed => bytes,
            _ => at + length,
        };
        shared.borrow_mut().pieces.push_back(piece);
        keeper.news();
    }
}

impl Download for Reader {
    fn next(&mut self) -> Piece {
        let piece = self.shared.borrow_mut().pieces.pop_front();
        self.task.raise();
        piece.unwrap_or(Piece::Later)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.borrow_mut().is_wanted = false;
        self.task.raise();
    }
}
