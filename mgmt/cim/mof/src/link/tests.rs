//! One test for each rule between declarations: a text that keeps it and texts that break it.

use super::*;
use crate::compiler::{Compiler, NoIncludes};
use crate::error::MofError;
use crate::schema::{ClassKind, Type, Value};
use crate::types::{Flavors, OverrideFlavor, Propagation};

mod instances;

/// The qualifiers that the texts below use.
const QUALIFIERS: &str = r#"
Qualifier Abstract : boolean = false, Scope(class, association, indication), Flavor(Restricted);
Qualifier Association : boolean = false, Scope(association), Flavor(DisableOverride, ToSubclass);
Qualifier BitMap : string[], Scope(property);
Qualifier BitValues : string[], Scope(property);
Qualifier Description : string = null, Scope(any), Flavor(Translatable);
Qualifier EmbeddedInstance : string = null, Scope(property, parameter);
Qualifier EmbeddedObject : boolean = false, Scope(property), Flavor(DisableOverride, ToSubclass);
Qualifier Indication : boolean = false, Scope(class, indication), Flavor(DisableOverride, ToSubclass);
Qualifier Key : boolean = false, Scope(property, reference), Flavor(DisableOverride, ToSubclass);
Qualifier Max : uint8 = null, Scope(reference, property);
Qualifier Override : string = null, Scope(property, reference, method), Flavor(Restricted);
Qualifier Terminal : boolean = false, Scope(class), Flavor(DisableOverride, ToSubclass);
Qualifier ValueMap : string[], Scope(property, method, parameter);
Qualifier Values : string[], Scope(property, method, parameter), Flavor(Translatable);
"#;

fn compile(text: &str) -> Result<Schema, Vec<MofError>> {
    let mut compiler = Compiler::new(NoIncludes);
    compiler.add("qualifiers.mof", QUALIFIERS);
    compiler.add("test.mof", text);
    compiler.finish()
}

fn accepted(text: &str) -> Schema {
    compile(text).unwrap_or_else(|errors| panic!("{text}\n{}", errors[0]))
}

/// The text has exactly this error, at this line and column.
fn breaks(text: &str, rule: Rule, line: u32, column: u32) {
    let errors = compile(text).expect_err(text);
    let shown: Vec<_> = errors.iter().map(|e| (e.rule, e.line, e.column)).collect();
    assert_eq!(shown, [(rule, line, column)], "{text}\n{}", errors[0]);
}

#[test]
fn classes_are_resolved_in_any_order() {
    let schema = accepted(
        "class c : b { }; class B : A { [Override(\"x\")] uint8 x; }; class A { uint8 X; };",
    );
    let names: Vec<_> = schema.classes().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["A", "B", "c"]);
    assert_eq!(schema.class("C").unwrap().superclass.as_deref(), Some("B"));
    assert!(schema.is_a("c", "a") && !schema.is_a("a", "c"));
    assert_eq!(schema.property("c", "X").unwrap().0.name, "B");
}

#[test]
fn superclasses_exist() {
    breaks("class A : B { };", Rule::UnknownClass, 1, 11);
    // A class below the broken one is not reported as well.
    breaks(
        "class A : B { }; class C : A { };",
        Rule::UnknownClass,
        1,
        11,
    );
}

#[test]
fn cyclic_inheritance_is_refused() {
    let errors = compile("class A : B { };\nclass B : A { };").unwrap_err();
    assert!(errors.iter().all(|e| e.rule == Rule::CyclicInheritance));
    breaks("class A : A { };", Rule::CyclicInheritance, 1, 11);
    // A class that only hangs below the cycle must not loop the check.
    let errors = compile("class C : A { }; class A : B { }; class B : A { };").unwrap_err();
    assert!(errors.iter().any(|e| e.rule == Rule::CyclicInheritance));
}

#[test]
fn inheritance_depth_is_bounded() {
    use core::fmt::Write;
    let mut text = "class C0 { };".to_string();
    for n in 1..=limits::INHERITANCE + 1 {
        write!(text, "class C{n} : C{} {{ }};", n - 1).unwrap();
    }
    assert_eq!(compile(&text).unwrap_err()[0].rule, Rule::Limit);
}

#[test]
fn names_are_declared_once() {
    breaks("class A { };\nclass a { };", Rule::Duplicate, 2, 7);
    breaks("class A { uint8 X; string x; };", Rule::Duplicate, 1, 27);
    breaks("class A { uint8 X; uint8 X(); };", Rule::Duplicate, 1, 26);
    breaks(
        "class A { uint8 X(uint8 P, uint8 p); };",
        Rule::Duplicate,
        1,
        34,
    );
    breaks("[Abstract, abstract] class A { };", Rule::Duplicate, 1, 12);
    breaks(
        "Qualifier KEY : boolean, Scope(any);",
        Rule::Duplicate,
        1,
        11,
    );
    breaks(
        "class A { uint8 X; }; instance of A as $x { X = 1; }; instance of A as $X { X = 2; };",
        Rule::Duplicate,
        1,
        72,
    );
    breaks(
        "class A { uint8 X; }; instance of A { X = 1; x = 2; };",
        Rule::Duplicate,
        1,
        46,
    );
}

#[test]
fn qualifiers_are_declared_and_in_scope() {
    breaks("[Odd] class A { };", Rule::UnknownQualifier, 1, 2);
    breaks("[Key] class A { };", Rule::QualifierScope, 1, 2);
    breaks(
        "class A { [Abstract] uint8 X; };",
        Rule::QualifierScope,
        1,
        12,
    );
    breaks(
        "class A { uint8 X([Key] uint8 P); };",
        Rule::QualifierScope,
        1,
        20,
    );
    breaks(
        "class T { }; [Association, Terminal] class A { T REF X; T REF Y; };",
        Rule::QualifierScope,
        1,
        28,
    );
}

#[test]
fn qualifier_values_have_the_declared_type() {
    breaks("[Abstract(1)] class A { };", Rule::ValueType, 1, 11);
    breaks("[Description(true)] class A { };", Rule::ValueType, 1, 14);
    breaks("class A { [Max(256)] uint8 X; };", Rule::ValueType, 1, 16);
    breaks(
        "class A { [ValueMap(\"x\")] uint8 X; };",
        Rule::ValueType,
        1,
        21,
    );
    breaks("class A { [Max { 1 }] uint8 X; };", Rule::ValueType, 1, 16);
    breaks(
        "class A { [ValueMap { 1 }] uint8 X; };",
        Rule::ValueType,
        1,
        23,
    );
    breaks(
        "Qualifier Odd : uint8 = -1, Scope(any);",
        Rule::ValueType,
        1,
        25,
    );
}

#[test]
fn qualifiers_without_value_take_what_their_type_says() {
    let schema = accepted("[Abstract] class A { [ValueMap, Max] uint8 X; };");
    let class = schema.class("A").unwrap();
    assert_eq!(class.qualifiers[0].value, Value::Boolean(true));
    let list = &class.properties[0].qualifiers;
    assert_eq!(list[0].value, Value::Array(Vec::new()));
    assert_eq!(list[1].value, Value::Null);
}

#[test]
fn flavors_come_from_the_declaration_unless_stated() {
    let schema = accepted("class A { [Key, Max(1) : Restricted DisableOverride] uint8 X; };");
    let list = &schema.class("A").unwrap().properties[0].qualifiers;
    assert_eq!(list[0].flavors.overriding, OverrideFlavor::Disable);
    assert_eq!(list[1].flavors.propagation, Propagation::Restricted);
    assert_eq!(list[1].flavors.overriding, OverrideFlavor::Disable);
    let max = schema.qualifier_type("max").unwrap();
    assert_eq!(max.flavors, Flavors::default());
}

#[test]
fn fixed_qualifiers_keep_their_value_below() {
    accepted("class A { [Key] uint8 X; }; class B : A { [Override(\"X\"), Key] uint8 X; };");
    breaks(
        "class A { [Key] uint8 X; }; class B : A { [Override(\"X\"), Key(false)] uint8 X; };",
        Rule::QualifierOverride,
        1,
        77,
    );
    accepted("class A { [Max(1)] uint8 X; }; class B : A { [Override(\"X\"), Max(2)] uint8 X; };");
}

#[test]
fn overrides_name_a_feature_above_of_the_same_shape() {
    breaks(
        "class A { [Override(\"X\")] uint8 X; };",
        Rule::OverrideMismatch,
        1,
        12,
    );
    breaks(
        "class A { uint8 Y; }; class B : A { [Override(\"Y\")] uint8 X; };",
        Rule::OverrideMismatch,
        1,
        38,
    );
    breaks(
        "class A { uint8 X; }; class B : A { [Override(\"X\")] uint16 X; };",
        Rule::OverrideMismatch,
        1,
        60,
    );
    breaks(
        "class A { uint8 X; }; class B : A { [Override(\"X\")] uint8 X[]; };",
        Rule::OverrideMismatch,
        1,
        59,
    );
    accepted("class A { uint8 X; }; class B : A { [Override(\"A.X\")] uint8 X; };");
}

#[test]
fn references_may_be_narrowed_only() {
    let base = "class T { }; class S : T { }; class U { };
        [Association] class A { [Key] T REF X; [Key] T REF Y; };";
    accepted(&format!(
        "{base} [Association] class B : A {{ [Override(\"X\")] S REF X; }};"
    ));
    breaks(
        &format!("{base}\n[Association] class B : A {{ [Override(\"X\")] U REF X; }};"),
        Rule::OverrideMismatch,
        3,
        51,
    );
}

#[test]
fn overriding_methods_keep_the_signature() {
    let base = "class A { uint8 Go(string X, uint8 Y[]); };\nclass B : A { [Override(\"Go\")] ";
    accepted(&format!("{base}uint8 Go(string X, uint8 Y[]); }};"));
    for signature in [
        "uint16 Go(string X, uint8 Y[])",
        "uint8 Go(string X)",
        "uint8 Go(uint8 Y[], string X)",
        "uint8 Go(string X, uint8 Y)",
        "uint8 Go(string X, uint16 Y[])",
    ] {
        let column = 33 + u32::try_from(signature.find("Go").unwrap()).unwrap() - 1;
        breaks(
            &format!("{base}{signature}; }};"),
            Rule::OverrideMismatch,
            2,
            column,
        );
    }
}

#[test]
fn reference_parameters_may_be_narrowed_or_widened() {
    let base = "class T { }; class S : T { }; class U { };";
    let method = |above: &str, below: &str| {
        format!(
            "{base}\nclass A {{ uint8 Go({above} REF X); }}; \
             class B : A {{ [Override(\"Go\")] uint8 Go({below} REF X); }};"
        )
    };
    accepted(&method("T", "S"));
    accepted(&method("S", "T"));
    breaks(&method("T", "U"), Rule::OverrideMismatch, 2, 70);
}

#[test]
fn hiding_a_feature_needs_override() {
    breaks(
        "class A { uint8 X; }; class B : A { uint8 X; };",
        Rule::MissingOverride,
        1,
        43,
    );
    breaks(
        "class A { uint8 X(); }; class B : A { uint8 X(); };",
        Rule::MissingOverride,
        1,
        45,
    );
}

#[test]
fn keys_are_not_redefined() {
    breaks(
        "class A { [Key] uint8 X; }; class B : A { [Key] uint8 Y; };",
        Rule::Key,
        1,
        55,
    );
    breaks(
        "class A { [Key] uint8 X; uint8 Y; };\nclass B : A { [Key, Override(\"Y\")] uint8 Y; };",
        Rule::Key,
        2,
        42,
    );
    breaks("class A { [Key] uint8 X[]; };", Rule::Key, 1, 23);
    breaks(
        "class A { [Key, EmbeddedObject] string X; };",
        Rule::Key,
        1,
        40,
    );
    // The first keys of a line of classes may stand anywhere in it.
    accepted("class A { uint8 X; }; class B : A { [Key, Override(\"X\")] uint8 X; };");
}

#[test]
fn terminal_classes_end_their_line() {
    breaks(
        "[Terminal] class A { }; class B : A { };",
        Rule::Superclass,
        1,
        35,
    );
}

#[test]
fn kinds_do_not_mix() {
    breaks(
        "class T { }; [Association] class A : T { T REF X; T REF Y; };",
        Rule::Superclass,
        1,
        38,
    );
    let schema = accepted(
        "class T { }; [Association(true)] class A { T REF X; T REF Y; };
         [Indication(false)] class B { };",
    );
    assert_eq!(schema.class("A").unwrap().kind, ClassKind::Association);
    assert_eq!(schema.class("B").unwrap().kind, ClassKind::Class);
    let schema = accepted("[Indication] class A { }; class B : A { };");
    assert_eq!(schema.class("B").unwrap().kind, ClassKind::Indication);
}

#[test]
fn value_maps_have_as_many_names_as_values() {
    accepted(
        "class A { [ValueMap{\"1\", \"..\", \"9\", \"..\"}, Values{\"a\",\"b\",\"c\",\"d\"}] uint8 X; };",
    );
    breaks(
        "class A { [ValueMap{\"1\"}, Values{\"a\",\"b\"}] uint8 X; };",
        Rule::ValueMap,
        1,
        50,
    );
    breaks(
        "class A { [ValueMap{\"1\",\"1\"}, Values{\"a\",\"b\"}] uint8 X; };",
        Rule::ValueMap,
        1,
        54,
    );
    breaks(
        "class A { [BitMap{\"1\"}, BitValues{\"a\",\"b\"}] uint8 X; };",
        Rule::ValueMap,
        1,
        51,
    );
    breaks(
        "class A { uint8 X([ValueMap{\"1\"}, Values{\"a\",\"b\"}] uint8 P); };",
        Rule::ValueMap,
        1,
        58,
    );
    // An override that leaves the map alone is not blamed for it.
    breaks(
        "class A { [ValueMap{\"1\"}, Values{\"a\",\"b\"}] uint8 X; };\n\
         class B : A { [Override(\"X\")] uint8 X; };",
        Rule::ValueMap,
        1,
        50,
    );
    // Half of the pair may be inherited; the lengths must still agree.
    breaks(
        "class A { [ValueMap{\"1\"}, Values{\"a\"}] uint8 X; };\n\
         class B : A { [Override(\"X\"), ValueMap{\"1\",\"2\"}] uint8 X; };",
        Rule::ValueMap,
        2,
        56,
    );
}

#[test]
fn references_belong_to_associations_of_two_or_more() {
    breaks(
        "class T { }; class A { T REF X; };",
        Rule::Association,
        1,
        30,
    );
    breaks(
        "class T { }; [Association] class A { T REF X; };",
        Rule::Association,
        1,
        34,
    );
    breaks(
        "class T { }; [Association] class A { T REF X; T REF Y; T REF Z[]; };",
        Rule::Association,
        1,
        62,
    );
    let schema = accepted("class T { }; class A { uint8 Go(t REF X[]); };");
    let method = &schema.class("A").unwrap().methods[0];
    assert_eq!(method.parameters[0].ty, Type::Reference("T".into()));
}

#[test]
fn referenced_classes_exist() {
    breaks("class A { uint8 Go(B REF X); };", Rule::UnknownClass, 1, 20);
    let errors = compile("[Association] class A { A REF X; B REF Y; };").unwrap_err();
    assert_eq!((errors[0].rule, errors[0].column), (Rule::UnknownClass, 34));
}

#[test]
fn embedded_classes_exist_and_are_strings() {
    accepted("class A { [EmbeddedInstance(\"A\")] string X; };");
    breaks(
        "class A { [EmbeddedInstance(\"B\")] string X; };",
        Rule::Embedded,
        1,
        42,
    );
    breaks(
        "class A { [EmbeddedObject] uint8 X; };",
        Rule::Embedded,
        1,
        34,
    );
    breaks(
        "class A { [EmbeddedObject, EmbeddedInstance(\"A\")] string X; };",
        Rule::Embedded,
        1,
        58,
    );
    breaks(
        "class A { uint8 Go([EmbeddedInstance(\"B\")] string X); };",
        Rule::Embedded,
        1,
        51,
    );
}

#[test]
fn several_errors_are_reported_at_once() {
    let errors = compile("class A { [Odd] uint8 X = 300; };\nclass B : C { };").unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
    let many = "class A : B { };".repeat(limits::ERRORS * 2);
    assert_eq!(compile(&many).unwrap_err().len(), limits::ERRORS);
}
