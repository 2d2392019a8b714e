//! [`Mutator`]: makes new inputs from old ones.

use crate::random::Random;
use crate::targets::Form;
use std::collections::BTreeSet;

/// Longer inputs are cut.
pub const LONGEST: usize = 8_192;
/// Words of the dictionary; more would each come too rarely.
const WORDS: usize = 4_000;
/// One in so many texts stays as the mutations left it, be it UTF-8 or not.
const LEFT_BROKEN: usize = 20;
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "256",
    "32768",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
];
const CHARACTERS: [&str; 12] = [
    "\0", "\n", "\r", "\t", " ", "\u{7f}", "\u{85}", "ä", "\u{2028}", "\u{feff}", "\u{fffd}", "😀",
];

/// Changes inputs at random.
#[derive(Debug)]
pub struct Mutator {
    words: Vec<Vec<u8>>,
    form: Form,
}

impl Mutator {
    /// A mutator whose dictionary is what the seeds are made of.
    pub fn new(seeds: &[Vec<u8>], form: Form) -> Self {
        let mut words: BTreeSet<Vec<u8>> = BTreeSet::new();
        for seed in seeds {
            let parts = seed.chunk_by(|a, b| is_word(*a) == is_word(*b));
            let short = parts.filter(|part| (1..=40).contains(&part.len()));
            words.extend(short.map(<[u8]>::to_vec));
            // Whole tags and clauses: from one bracket or line end to the next.
            let clauses = seed.split_inclusive(|byte| b">;\n,)}".contains(byte));
            let short = clauses.filter(|clause| (2..=60).contains(&clause.len()));
            words.extend(short.map(<[u8]>::to_vec));
        }
        Self {
            words: words.into_iter().take(WORDS).collect(),
            form,
        }
    }

    /// A new input from `data`, with pieces of `other`.
    pub fn mutate(&self, data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
        for _ in 0..(1 << random.below(5)) {
            self.once(data, other, random);
        }
        data.truncate(LONGEST);
        if self.form == Form::Text && random.below(LEFT_BROKEN) > 0 && str::from_utf8(data).is_err()
        {
            *data = String::from_utf8_lossy(data).into_owned().into_bytes();
        }
    }

    fn once(&self, data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
        let at = random.below(data.len() + 1);
        let range = |random: &mut Random, data: &[u8]| {
            // Mostly short pieces, at times long ones.
            let longest = [8, 40, 200, LONGEST];
            let longest = random.one(&longest).copied().unwrap_or(LONGEST);
            let length = 1 + random.below(longest);
            at..(at + length).min(data.len())
        };
        match random.below(12) {
            0 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = random.byte();
                }
            }
            2 | 3 => drop(data.drain(range(random, data))),
            4 => {
                let piece = data.get(range(random, data)).unwrap_or_default().to_vec();
                let to = random.below(data.len() + 1);
                insert(data, to, &piece);
            }
            5 => {
                // Depth and number: the same piece many times in a row.
                let piece = data.get(range(random, data)).unwrap_or_default();
                let piece = piece.repeat(1 << random.below(10));
                insert(data, at, piece.get(..LONGEST).unwrap_or(&piece));
            }
            6 | 7 => {
                if let Some(word) = random.one(&self.words) {
                    insert(data, at, word);
                }
            }
            8 => {
                if let Some(word) = random.one(&self.words) {
                    let end = (at + word.len()).min(data.len());
                    data.splice(at..end, word.iter().copied());
                }
            }
            9 => {
                let from = random.below(other.len() + 1);
                let end = (from + 1 + random.below(300)).min(other.len());
                insert(data, at, other.get(from..end).unwrap_or_default());
            }
            10 => number(data, at, random),
            _ => {
                if let Some(character) = random.one(&CHARACTERS) {
                    insert(data, at, character.as_bytes());
                }
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.".contains(&byte) || !byte.is_ascii()
}

fn insert(data: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let at = at.min(data.len());
    data.splice(at..at, piece.iter().copied());
}

/// Replaces the next number behind `at` by one at the edge of a type.
fn number(data: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(rest) = data.get(at..) else { return };
    let Some(start) = rest.iter().position(u8::is_ascii_digit) else {
        return;
    };
    let length = rest
        .iter()
        .skip(start)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if let Some(number) = random.one(&NUMBERS) {
        data.splice(at + start..at + start + length, number.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds() -> Vec<Vec<u8>> {
        vec![b"<NAME a=\"12\">x</NAME>".to_vec()]
    }

    #[test]
    fn mutations_repeat_and_keep_their_limit() {
        let mutator = Mutator::new(&seeds(), Form::Bytes);
        let run = || {
            let mut random = Random::new(3);
            let mut data = seeds()[0].clone();
            for _ in 0..2_000 {
                mutator.mutate(&mut data, b"other", &mut random);
                assert!(data.len() <= LONGEST);
            }
            data
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn the_dictionary_has_names_and_tags() {
        let words = Mutator::new(&seeds(), Form::Text).words;
        for word in ["NAME", "12", "x</NAME>", "</"] {
            assert!(words.contains(&word.as_bytes().to_vec()), "{word}");
        }
    }

    #[test]
    fn most_texts_stay_texts() {
        let mutator = Mutator::new(&seeds(), Form::Text);
        let mut random = Random::new(1);
        let good = (0..1_000).filter(|_| {
            let mut data = seeds()[0].clone();
            mutator.mutate(&mut data, b"\xff\xfe", &mut random);
            str::from_utf8(&data).is_ok()
        });
        assert!(good.count() > 900);
    }

    #[test]
    fn numbers_go_to_the_edges() {
        let mut data = b"a 17 b".to_vec();
        number(&mut data, 0, &mut Random::new(1));
        let text = String::from_utf8(data).unwrap();
        let middle = text
            .strip_prefix("a ")
            .and_then(|rest| rest.strip_suffix(" b"));
        assert!(NUMBERS.contains(&middle.unwrap()), "{text}");
    }
}
