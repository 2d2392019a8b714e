//! A text screen on a linear framebuffer. Draws only from slow paths: the memory behind it is slow.

mod font;

use core::{fmt, ptr};

use bulkhead_boot::Framebuffer;
use bulkhead_core::addr::Hva;

/// Pixels of a character cell.
const CELL_WIDTH: usize = font::WIDTH + 2;
const CELL_HEIGHT: usize = 2 * font::HEIGHT + 2;

/// Grey on black.
const INK: u8 = 0xc0;

/// A text screen: lines of ASCII that scroll up.
#[derive(Debug)]
pub struct TextScreen {
    buffer: Framebuffer,
    base: usize,
    column: usize,
    row: usize,
}

impl TextScreen {
    /// A cleared screen on `buffer`, which is mapped at `base`.
    ///
    /// # Safety
    /// The framebuffer's bytes must be mapped writable at `base` for as long as the value lives,
    /// and nothing but this screen may use them.
    pub unsafe fn new(buffer: Framebuffer, base: Hva) -> Self {
        let mut screen = TextScreen {
            buffer,
            base: base.as_u64() as usize,
            column: 0,
            row: 0,
        };
        screen.clear_lines(0, screen.buffer.height as usize);
        screen
    }

    /// The framebuffer that is drawn to.
    pub fn framebuffer(&self) -> &Framebuffer {
        &self.buffer
    }

    /// Goes on drawing at another mapping of the same framebuffer.
    ///
    /// # Safety
    /// As for [`TextScreen::new`].
    pub unsafe fn move_to(&mut self, base: Hva) {
        self.base = base.as_u64() as usize;
    }

    /// Writes text; a line feed starts a new line, long lines wrap.
    pub fn write(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte == b'\n' || self.column >= self.columns() {
                self.column = 0;
                self.row += 1;
            }
            if self.row >= self.rows() {
                self.scroll();
            }
            if byte != b'\n' {
                self.glyph(byte);
                self.column += 1;
            }
        }
    }

    /// Writes formatted text.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        let _infallible = fmt::Write::write_fmt(self, text);
    }

    fn columns(&self) -> usize {
        (self.buffer.width as usize / CELL_WIDTH).max(1)
    }

    fn rows(&self) -> usize {
        (self.buffer.height as usize / CELL_HEIGHT).max(1)
    }

    fn glyph(&mut self, byte: u8) {
        let rows = font::glyph(byte);
        let left = self.column * CELL_WIDTH + 1;
        let top = self.row * CELL_HEIGHT + 1;
        // Each font row is drawn twice: the cell is about twice as high as wide.
        for (index, bits) in rows.iter().flat_map(|bits| [bits, bits]).enumerate() {
            for column in 0..font::WIDTH {
                let lit = bits >> (font::WIDTH - 1 - column) & 1 == 1;
                self.pixel(left + column, top + index, if lit { INK } else { 0 });
            }
        }
    }

    fn pixel(&mut self, x: usize, y: usize, grey: u8) {
        if x >= self.buffer.width as usize || y >= self.buffer.height as usize {
            return;
        }
        let bytes = usize::from(self.buffer.pixel_bytes);
        let address = self.base + y * self.buffer.pitch as usize + x * bytes;
        let shifted = self.buffer.shifts.map(|shift| u32::from(grey) << shift);
        let pixel = shifted.iter().fold(0, |sum, part| sum | part).to_le_bytes();
        for (offset, byte) in pixel.iter().take(bytes).enumerate() {
            // SAFETY: x and y are inside the framebuffer, whose mapping the creator promised.
            unsafe {
                ptr::write_volatile(ptr::with_exposed_provenance_mut(address + offset), *byte);
            }
        }
    }

    /// Moves the text up by one row.
    fn scroll(&mut self) {
        let pitch = self.buffer.pitch as usize;
        let last = (self.rows() - 1) * CELL_HEIGHT;
        let target = ptr::with_exposed_provenance_mut::<u8>(self.base);
        let source = ptr::with_exposed_provenance::<u8>(self.base + CELL_HEIGHT * pitch);
        if self.buffer.height as usize >= last + CELL_HEIGHT {
            // SAFETY: source and target lie in the framebuffer: `last` lines from line
            // CELL_HEIGHT end at line `last + CELL_HEIGHT`, which is not past its height.
            unsafe { ptr::copy(source, target, last * pitch) };
        }
        self.clear_lines(last, CELL_HEIGHT);
        self.row = self.rows() - 1;
    }

    fn clear_lines(&mut self, first: usize, count: usize) {
        let pitch = self.buffer.pitch as usize;
        let end = (first + count).min(self.buffer.height as usize);
        if first < end {
            let start = ptr::with_exposed_provenance_mut::<u8>(self.base + first * pitch);
            // SAFETY: the lines are inside the framebuffer, whose mapping the creator promised.
            unsafe { ptr::write_bytes(start, 0, (end - first) * pitch) };
        }
    }
}

impl fmt::Write for TextScreen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
