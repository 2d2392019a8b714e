use bulkhead_core::addr::Hpa;

use super::*;

const WIDTH: u32 = 70;
const HEIGHT: u32 = 50;
const PITCH: u32 = 300;

/// A screen on a buffer with guard bytes around it.
fn screen() -> (TextScreen, Vec<u8>) {
    let mut memory = vec![0xee_u8; 64 + (PITCH * HEIGHT) as usize + 64];
    let buffer = Framebuffer {
        address: Hpa::new(0),
        pitch: PITCH,
        width: WIDTH,
        height: HEIGHT,
        pixel_bytes: 4,
        shifts: [16, 8, 0],
    };
    let base = Hva::new(memory[64..].as_mut_ptr().expose_provenance() as u64);
    // SAFETY: the vector outlives the screen in every test and is not touched while it draws.
    (unsafe { TextScreen::new(buffer, base) }, memory)
}

fn lit_lines(memory: &[u8]) -> Vec<usize> {
    memory[64..64 + (PITCH * HEIGHT) as usize]
        .chunks(PITCH as usize)
        .enumerate()
        .filter(|(_, line)| line.contains(&INK))
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn text_is_drawn_in_its_row() {
    let (mut screen, memory) = screen();
    assert_eq!(lit_lines(&memory), []);
    screen.write("\nH");
    let lines = lit_lines(&memory);
    assert_eq!(lines.first(), Some(&(CELL_HEIGHT + 1)));
    assert_eq!(lines.len(), 2 * font::HEIGHT);
}

#[test]
fn any_amount_of_text_stays_inside_the_framebuffer() {
    let (mut screen, memory) = screen();
    for number in 0..200 {
        screen.write(&format!("line {number} that wraps at the edge\n"));
    }
    assert!(memory[..64].iter().all(|byte| *byte == 0xee));
    assert!(memory[memory.len() - 64..].iter().all(|byte| *byte == 0xee));
}

#[test]
fn scrolling_moves_text_up() {
    let (mut screen, memory) = screen();
    screen.write("\n\nH");
    screen.write("\n\n");
    // Row 2 went up by two rows.
    assert_eq!(lit_lines(&memory).first(), Some(&1));
}

#[test]
fn every_printable_character_has_its_own_glyph() {
    let mut seen = std::collections::HashMap::new();
    for byte in b' '..=b'~' {
        if let Some(other) = seen.insert(font::glyph(byte), byte) {
            panic!("{} looks like {}", char::from(byte), char::from(other));
        }
    }
}
