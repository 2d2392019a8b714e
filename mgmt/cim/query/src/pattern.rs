//! LIKE patterns: regular expressions in CQL and FQL (DSP0202 annex, DSP0212), wildcards in WQL.
//!
//! A pattern compiles into a small program that is run over the text with a set of active states, so the time
//! is at most text length times pattern length: a hostile pattern cannot stall the server.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::iter::Peekable;
use core::str::Chars;

const MAX_STATES: usize = 2_048;
const MAX_GROUPS: usize = 32;

/// A compiled pattern; it must match the whole text.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    program: Vec<Step>,
}

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternError(pub &'static str);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for PatternError {}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    One(char),
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Continue at both places.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// The parsed pattern, before it becomes steps.
#[derive(Clone)]
enum Node {
    Atom(Step),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// At least `min` times, at most `max` times.
    Repeat(alloc::boxed::Box<Node>, usize, Option<usize>),
}

impl Pattern {
    /// A regular expression: `.`, `*`, `+`, `?`, `{m,n}`, `[a-z]`, `[^a-z]`, `|`, `(...)` and `\` before a
    /// special character. It matches the whole text.
    ///
    /// # Errors
    /// [`PatternError`] when the expression is malformed or too large.
    pub fn regular(text: &str) -> Result<Self, PatternError> {
        let mut reader = Reader {
            chars: text.chars().peekable(),
            depth: 0,
        };
        let node = reader.alternatives()?;
        if reader.chars.peek().is_some() {
            return Err(PatternError("a closing parenthesis has no opening one"));
        }
        Self::compile(&node)
    }

    /// A WQL pattern: `%` for any text, `_` for one character, `[a-z]`, `[=a-z]` and `[^a-z]`.
    ///
    /// # Errors
    /// [`PatternError`] when the pattern is malformed or too large.
    pub fn wildcard(text: &str) -> Result<Self, PatternError> {
        let mut reader = Reader {
            chars: text.chars().peekable(),
            depth: 0,
        };
        let mut nodes = Vec::new();
        while let Some(c) = reader.chars.next() {
            nodes.push(match c {
                '%' => Node::Repeat(Node::Atom(Step::Any).into(), 0, None),
                '_' => Node::Atom(Step::Any),
                '[' => {
                    reader.chars.next_if_eq(&'=');
                    Node::Atom(reader.class()?)
                }
                '\\' => Node::Atom(Step::One(reader.chars.next().unwrap_or('\\'))),
                c => Node::Atom(Step::One(c)),
            });
        }
        Self::compile(&Node::Sequence(nodes))
    }

    fn compile(node: &Node) -> Result<Self, PatternError> {
        let mut program = Vec::new();
        emit(node, &mut program, &mut (4 * MAX_STATES))?;
        program.push(Step::Match);
        Ok(Pattern { program })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut current = States::new(self.program.len());
        let mut next = States::new(self.program.len());
        self.activate(0, &mut current);
        for c in text.chars() {
            if current.list.is_empty() {
                return false;
            }
            for state in core::mem::take(&mut current.list) {
                let accepts = match self.program.get(state) {
                    Some(Step::One(one)) => *one == c,
                    Some(Step::Any) => true,
                    Some(Step::Class { negated, ranges }) => {
                        ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
                    }
                    _ => false,
                };
                if accepts {
                    self.activate(state + 1, &mut next);
                }
            }
            core::mem::swap(&mut current, &mut next);
            next.clear();
        }
        current
            .list
            .iter()
            .any(|state| self.program.get(*state) == Some(&Step::Match))
    }

    /// Adds a state and all that follow it without consuming a character.
    fn activate(&self, start: usize, states: &mut States) {
        let mut pending = vec![start];
        while let Some(state) = pending.pop() {
            match states.seen.get_mut(state) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.program.get(state) {
                Some(Step::Split(a, b)) => pending.extend([*b, *a]),
                Some(Step::Jump(to)) => pending.push(*to),
                Some(_) => states.list.push(state),
                None => {}
            }
        }
    }
}

struct States {
    seen: Vec<bool>,
    list: Vec<usize>,
}

impl States {
    fn new(len: usize) -> Self {
        States {
            seen: vec![false; len],
            list: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.seen.fill(false);
        self.list.clear();
    }
}

fn emit(node: &Node, program: &mut Vec<Step>, budget: &mut usize) -> Result<(), PatternError> {
    // Empty groups emit nothing, so the work is counted, not only the steps.
    *budget = budget.saturating_sub(1);
    if *budget == 0 || program.len() > MAX_STATES {
        return Err(PatternError("the pattern is too large"));
    }
    match node {
        Node::Atom(step) => program.push(step.clone()),
        Node::Sequence(nodes) => nodes
            .iter()
            .try_for_each(|node| emit(node, program, budget))?,
        Node::Either(nodes) => {
            let mut jumps = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                if index + 1 == nodes.len() {
                    emit(node, program, budget)?;
                    continue;
                }
                let split = push(program);
                emit(node, program, budget)?;
                jumps.push(push(program));
                let end = program.len();
                set(program, split, Step::Split(split + 1, end));
            }
            for jump in jumps {
                let end = program.len();
                set(program, jump, Step::Jump(end));
            }
        }
        Node::Repeat(node, min, max) => {
            for _ in 0..*min {
                emit(node, program, budget)?;
            }
            match max {
                None => {
                    let split = push(program);
                    emit(node, program, budget)?;
                    program.push(Step::Jump(split));
                    let end = program.len();
                    set(program, split, Step::Split(split + 1, end));
                }
                Some(max) => {
                    for _ in *min..*max {
                        let split = push(program);
                        emit(node, program, budget)?;
                        let end = program.len();
                        set(program, split, Step::Split(split + 1, end));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Reserves a step that is filled in when its target is known.
fn push(program: &mut Vec<Step>) -> usize {
    program.push(Step::Match);
    program.len() - 1
}

fn set(program: &mut [Step], at: usize, step: Step) {
    if let Some(slot) = program.get_mut(at) {
        *slot = step;
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Result<Node, PatternError> {
        let mut nodes = vec![self.sequence()?];
        while self.chars.next_if_eq(&'|').is_some() {
            nodes.push(self.sequence()?);
        }
        Ok(Node::Either(nodes))
    }

    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '|' | ')')) {
            let atom = match c {
                '(' => {
                    self.depth += 1;
                    if self.depth > MAX_GROUPS {
                        return Err(PatternError("groups are nested too deeply"));
                    }
                    let group = self.alternatives()?;
                    self.depth -= 1;
                    if self.chars.next() != Some(')') {
                        return Err(PatternError("a group is not closed"));
                    }
                    group
                }
                '[' => Node::Atom(self.class()?),
                '.' => Node::Atom(Step::Any),
                // The whole text must match anyway.
                '^' if nodes.is_empty() => continue,
                '$' if self.chars.peek().is_none() => continue,
                '\\' => {
                    let c = self
                        .chars
                        .next()
                        .ok_or(PatternError("a backslash ends the pattern"))?;
                    Node::Atom(Step::One(c))
                }
                '*' | '+' | '?' | '{' => {
                    return Err(PatternError("there is nothing to repeat"));
                }
                c => Node::Atom(Step::One(c)),
            };
            nodes.push(self.repeated(atom)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn repeated(&mut self, node: Node) -> Result<Node, PatternError> {
        let (min, max) = match self.chars.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.chars.next();
                let min = self.count()?;
                let max = match self.chars.next() {
                    Some('}') => return Ok(Node::Repeat(node.into(), min, Some(min))),
                    Some(',') if self.chars.peek() == Some(&'}') => None,
                    Some(',') => Some(self.count()?),
                    _ => return Err(PatternError("a repetition reads {m}, {m,} or {m,n}")),
                };
                if self.chars.peek() != Some(&'}') || max.is_some_and(|max| max < min) {
                    return Err(PatternError("a repetition reads {m}, {m,} or {m,n}"));
                }
                (min, max)
            }
            _ => return Ok(node),
        };
        self.chars.next();
        Ok(Node::Repeat(node.into(), min, max))
    }

    fn count(&mut self) -> Result<usize, PatternError> {
        let mut count = 0;
        let mut digits = 0;
        while let Some(digit) = self.chars.peek().and_then(|c| c.to_digit(10)) {
            self.chars.next();
            digits += 1;
            count = count * 10 + digit as usize;
            if count > MAX_STATES {
                return Err(PatternError("a repetition is too large"));
            }
        }
        if digits == 0 {
            Err(PatternError("a repetition needs a number"))
        } else {
            Ok(count)
        }
    }

    /// A character class after its opening bracket.
    fn class(&mut self) -> Result<Step, PatternError> {
        let negated = self.chars.next_if(|c| matches!(c, '^' | '!')).is_some();
        let mut ranges = Vec::new();
        loop {
            let low = match self.chars.next() {
                None => return Err(PatternError("a character class is not closed")),
                Some(']') if !ranges.is_empty() => return Ok(Step::Class { negated, ranges }),
                Some('\\') => self.chars.next().unwrap_or('\\'),
                Some(c) => c,
            };
            let mut ahead = self.chars.clone();
            let high = match (ahead.next(), ahead.next()) {
                (Some('-'), Some(high)) if high != ']' => {
                    self.chars = ahead;
                    high
                }
                _ => low,
            };
            ranges.push((low, high));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(pattern: &str, text: &str) -> bool {
        Pattern::regular(pattern)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .matches(text)
    }

    #[test]
    fn regular_expressions_match_whole_texts() {
        for (pattern, yes, no) in [
            ("vm1", "vm1", "vm10"),
            ("vm.*", "vm10", "xvm"),
            ("a+b?", "aab", "bb"),
            ("(ab|cd)*x", "abcdx", "abcx"),
            ("[a-c]{2,3}", "abc", "abcd"),
            ("[^0-9]*", "abc", "ab1"),
            ("^a\\.b$", "a.b", "axb"),
            ("x{2}", "xx", "x"),
            ("x{2,}", "xxxxx", "x"),
            ("", "", "a"),
            ("a|", "", "b"),
            ("[]-]+", "]-]", "a"),
        ] {
            assert!(regular(pattern, yes), "{pattern} {yes}");
            assert!(!regular(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn wildcards_are_those_of_wql() {
        let matches = |pattern: &str, text: &str| Pattern::wildcard(pattern).unwrap().matches(text);
        assert!(matches("vm%", "vm"));
        assert!(matches("%m_", "vm1"));
        assert!(matches("[a-f]%.x", "beta.x"));
        assert!(!matches("[^a-f]%", "beta"));
        assert!(!matches("vm.%", "vm1"));
        assert!(matches("a\\%", "a%"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in [
            "*",
            "a(b",
            "a)b",
            "[a",
            "a{",
            "a{3,2}",
            "a{9999}",
            "a\\",
            "(((x{99}){99}){99})",
            "((((){99}){99}){99}){99}",
        ] {
            assert!(Pattern::regular(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::regular(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn nested_repetitions_do_not_stall() {
        let text = "a".repeat(5_000);
        assert!(!regular("(a*)*(a*)*b", &text));
        assert!(regular("((a?){20}a*)*", &text));
    }
}
