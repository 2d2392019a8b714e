//! The log ring: fixed slots, the newest record replaces the oldest.

use core::fmt::{self, Write};

use bulkhead_core::time::Instant;

/// Records that the ring holds.
const SLOTS: usize = 512;
/// Bytes of text in a record; longer lines are cut.
const TEXT_BYTES: usize = 240;

/// How severe a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 0,
    /// Something is odd.
    Warn = 1,
    /// Normal progress.
    Info = 2,
    /// For developers.
    Debug = 3,
    /// A partition printed it; never filtered.
    Partition = 4,
}

impl Level {
    /// The level with this name.
    pub fn named(name: &str) -> Option<Level> {
        Some(match name {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }

    const fn prefix(self) -> &'static str {
        match self {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
            Level::Partition => "",
        }
    }
}

/// A log line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(256))]
pub struct Record {
    /// When.
    pub time: Instant,
    /// How severe.
    pub level: Level,
    length: u8,
    text: [u8; TEXT_BYTES],
}

impl Record {
    const EMPTY: Record = Record {
        time: Instant(0),
        level: Level::Error,
        length: 0,
        text: [0; TEXT_BYTES],
    };

    /// The text, valid UTF-8 unless a cut went through a character.
    pub fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level != Level::Partition {
            f.write_str("bulkhead: ")?;
        }
        f.write_str(self.level.prefix())?;
        for chunk in self.text().utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        Ok(())
    }
}

impl Write for Record {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match self.text.get_mut(usize::from(self.length)) {
                Some(slot) => {
                    // Control characters would let one line pass for two.
                    *slot = if byte.is_ascii_control() { b' ' } else { byte };
                    self.length += 1;
                }
                None => {
                    if let Some(end) = self.text.last_chunk_mut() {
                        *end = *b"...";
                    }
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}

const _: () = assert!(size_of::<Record>() == 256);

/// The ring. Records have consecutive sequence numbers from 0.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Ring {
    slots: [Record; SLOTS],
    next: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring {
    /// The empty ring.
    pub const fn new() -> Self {
        Ring {
            slots: [Record::EMPTY; SLOTS],
            next: 0,
        }
    }

    /// Adds a record; text that does not fit is cut.
    pub fn push(&mut self, time: Instant, level: Level, text: fmt::Arguments<'_>) {
        let Some(slot) = self.slots.get_mut(self.next as usize % SLOTS) else {
            return;
        };
        slot.time = time;
        slot.level = level;
        slot.length = 0;
        let _cut = slot.write_fmt(text);
        self.next += 1;
    }

    /// The oldest record with a sequence number of at least `sequence`, and its number.
    pub fn read(&self, sequence: u64) -> Option<(u64, Record)> {
        let oldest = self.next.saturating_sub(SLOTS as u64);
        let sequence = sequence.max(oldest);
        if sequence >= self.next {
            return None;
        }
        let record = self.slots.get(sequence as usize % SLOTS)?;
        Some((sequence, *record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ring: &Ring, sequence: u64) -> String {
        ring.read(sequence).unwrap().1.to_string()
    }

    #[test]
    fn records_come_out_in_order_with_their_level() {
        let mut ring = Box::new(Ring::new());
        assert!(ring.read(0).is_none());
        ring.push(Instant(1), Level::Info, format_args!("one {}", 1));
        ring.push(Instant(2), Level::Warn, format_args!("two\nlines"));
        assert_eq!(text(&ring, 0), "bulkhead: one 1");
        assert_eq!(text(&ring, 1), "bulkhead: warning: two lines");
        assert!(ring.read(2).is_none());
    }

    #[test]
    fn the_newest_replace_the_oldest_and_the_gap_shows() {
        let mut ring = Box::new(Ring::new());
        for number in 0..SLOTS + 3 {
            ring.push(Instant(0), Level::Info, format_args!("{number}"));
        }
        let (sequence, record) = ring.read(0).unwrap();
        assert_eq!((sequence, record.text()), (3, &b"3"[..]));
        assert_eq!(ring.read(SLOTS as u64 + 2).unwrap().1.text(), b"514");
    }

    #[test]
    fn a_long_line_is_cut_visibly() {
        let mut ring = Box::new(Ring::new());
        ring.push(Instant(0), Level::Info, format_args!("{:a>300}", ""));
        let (_, record) = ring.read(0).unwrap();
        assert_eq!(record.text().len(), TEXT_BYTES);
        assert!(record.text().ends_with(b"a..."));
    }
}
