//! Tests of includes, pragmas and limits, and of texts that nobody would write.

use std::collections::BTreeMap;

use super::*;

/// Texts by path, includes relative to nothing.
struct Texts(BTreeMap<&'static str, &'static str>);

impl Include for Texts {
    fn read(&mut self, _from: &str, name: &str) -> Result<Included, String> {
        let text = self.0.get(name).ok_or("no such text")?;
        Ok(Included {
            path: name.into(),
            text: (*text).into(),
        })
    }
}

fn compile(texts: &[(&'static str, &'static str)]) -> Result<Schema, Vec<MofError>> {
    let mut compiler = Compiler::new(Texts(texts.iter().copied().collect()));
    let (path, text) = texts[0];
    compiler.add(path, text);
    compiler.finish()
}

#[test]
fn includes_are_read_in_place() {
    let schema = compile(&[
        ("main.mof", "#pragma include (\"a.mof\")\nclass B : A { };"),
        ("a.mof", "class A { };"),
    ])
    .unwrap();
    assert_eq!(schema.classes().len(), 2);
}

#[test]
fn errors_name_the_included_file() {
    let errors = compile(&[
        ("main.mof", "#pragma include (\"a.mof\")"),
        ("a.mof", "\n class A { uint8 };"),
    ])
    .unwrap_err();
    assert_eq!(
        (errors[0].file.as_str(), errors[0].line, errors[0].column),
        ("a.mof", 2, 18)
    );
}

#[test]
fn missing_and_endless_includes_are_refused() {
    let errors = compile(&[("main.mof", "\n#pragma include (\"b.mof\")")]).unwrap_err();
    assert_eq!((errors[0].rule, errors[0].line), (Rule::Include, 2));
    assert!(errors[0].found.ends_with("no such text"));
    let errors = compile(&[("main.mof", "#pragma include (\"main.mof\")")]).unwrap_err();
    assert_eq!(errors[0].rule, Rule::Include);
    let mut alone = Compiler::new(NoIncludes);
    alone.add("x.mof", "#pragma include (\"y.mof\")");
    assert_eq!(alone.finish().unwrap_err()[0].rule, Rule::Include);
}

#[test]
fn pragmas_are_obeyed_or_ignored() {
    let mut compiler = Compiler::new(NoIncludes);
    compiler.add(
        "x.mof",
        "#pragma locale (\"en_US\")\n#pragma Namespace (\"root/x\")\n#pragma odd (\"z\")",
    );
    assert_eq!(compiler.locale(), Some("en_US"));
    assert_eq!(compiler.namespace(), Some("root/x"));
    assert!(compiler.finish().is_ok());
    for text in [
        "#pragma include ()",
        "#pragma locale ()",
        "#pragma namespace ()",
    ] {
        let mut compiler = Compiler::new(NoIncludes);
        compiler.add("x.mof", text);
        assert_eq!(
            compiler.finish().unwrap_err()[0].rule,
            Rule::Pragma,
            "{text}"
        );
    }
}

#[test]
fn a_syntax_error_hides_no_other_file() {
    let mut compiler = Compiler::new(NoIncludes);
    compiler.add("a.mof", "class A {");
    compiler.add("b.mof", "class B }");
    let errors = compiler.finish().unwrap_err();
    let files: Vec<_> = errors.iter().map(|e| e.file.as_str()).collect();
    assert_eq!(files, ["a.mof", "b.mof"]);
}

#[test]
fn errors_of_many_texts_are_bounded() {
    let mut compiler = Compiler::new(NoIncludes);
    for _ in 0..limits::ERRORS * 2 {
        compiler.add("x.mof", "class");
    }
    assert_eq!(compiler.finish().unwrap_err().len(), limits::ERRORS);
}

#[test]
fn too_many_texts_are_refused() {
    let mut compiler = Compiler::new(NoIncludes);
    for _ in 0..limits::FILES {
        compiler.add("x.mof", "");
    }
    compiler.add("last.mof", "");
    let errors = compiler.finish().unwrap_err();
    assert_eq!(
        (errors[0].rule, errors[0].file.as_str()),
        (Rule::Limit, "last.mof")
    );
}

/// A text with every construct, from which the next test makes broken ones.
const SAMPLE: &str = r#"
#pragma locale ("en_US")
Qualifier Key : boolean = false, Scope(property, reference), Flavor(DisableOverride, ToSubclass);
Qualifier Association : boolean = false, Scope(association);
Qualifier ValueMap : string[], Scope(property, parameter);
Qualifier EmbeddedInstance : string = null, Scope(property);
/* classes */
class A { [Key, ValueMap { "1", "2" }] uint16 X = 0x1; real32 R[] = { 1.5, -2.0e3 }; char16 C = '\x41'; };
class B : A { uint32 Go([ValueMap { "a" }] string P[3], A REF Q[]); }; // a method
[Association] class L { [Key] A REF One; [Key] B REF Two; };
class E { [EmbeddedInstance("A")] string I; datetime T = "00000000000000.000000:000"; };
instance of A as $a { X = 1; R = { 1.0, null }; };
instance of L { One = $a; Two = "B.X=1"; };
instance of E { I = instance of A { X = 101b; }; };
"#;

/// Small and repeatable; xorshift by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn try_all(text: &str) -> bool {
    crate::fuzz::fuzz_mof(text.as_bytes());
    let mut compiler = Compiler::new(NoIncludes);
    compiler.add("sample.mof", text);
    compiler.finish().is_ok()
}

#[test]
fn damaged_texts_never_panic() {
    assert!(try_all(SAMPLE));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let characters: Vec<char> = SAMPLE.chars().collect();
    let spice: Vec<char> = "{}[]()\";:,=$#'\\/*+-.09xeb\u{e4}\u{1f600}\n\0"
        .chars()
        .collect();
    let mut compiled = 0;
    for _ in 0..4000 {
        let mut text = characters.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(text.len());
            match random.below(4) {
                0 => {
                    text.remove(at);
                }
                1 => text.insert(at, spice[random.below(spice.len())]),
                2 => text[at] = spice[random.below(spice.len())],
                _ => text.truncate(at.max(1)),
            }
        }
        compiled += usize::from(try_all(&text.iter().collect::<String>()));
    }
    assert!(compiled > 0, "some damage is harmless, as in comments");
}

#[test]
fn shuffled_tokens_never_panic() {
    let words: Vec<&str> = SAMPLE.split_inclusive([' ', '\n', ';', '{']).collect();
    let mut random = Random(0xdead_beef_cafe_f00d);
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..random.below(60) {
            text.push_str(words[random.below(words.len())]);
        }
        try_all(&text);
    }
}
