//! Values against their types: defaults of properties, instances and aliases.

use super::{accepted, breaks, compile};
use crate::error::Rule;
use crate::schema::Value;

#[test]
fn defaults_fit_their_types() {
    let schema = accepted(
        "class A { uint8 U = 255; sint8 S = -128; real32 R = 1.5; real64 Q = 2; char16 C = 'x';
         boolean B = TRUE; string T = \"t\"; string N = null; uint8 L[2] = { 1, null };
         datetime D = \"20240229123000.000000+060\"; datetime I = \"00000001******.******:000\"; };",
    );
    let defaults: Vec<_> = schema
        .class("A")
        .unwrap()
        .properties
        .iter()
        .map(|p| p.default.clone())
        .collect();
    assert_eq!(defaults[0], Some(Value::Integer(255)));
    assert_eq!(defaults[3], Some(Value::Real(2.0)));
    assert_eq!(
        defaults[8],
        Some(Value::Array(vec![Value::Integer(1), Value::Null]))
    );
    for default in [
        "uint8 X = 256",
        "uint8 X = -1",
        "sint8 X = 128",
        "uint64 X = 18446744073709551616",
        "uint8 X = 1.0",
        "uint8 X = \"1\"",
        "uint8 X = true",
        "boolean X = 1",
        "string X = 1",
        "string X = $a",
        "char16 X = \"x\"",
        "real32 X = 1.0e39",
        "real32 X = \"1\"",
        "real64 X = 99999999999",
        "uint8 X[] = 1",
        "uint8 X = { 1 }",
        "uint8 X[2] = { 1 }",
        "datetime X = \"yesterday\"",
        "datetime X = \"20241329123000.000000+060\"",
        "datetime X = \"20240229243000.000000+060\"",
        "datetime X = \"20240229123000.000000:060\"",
        "datetime X = \"2024022912300x.000000+060\"",
        "datetime X = \"20240229123000.00000x+060\"",
        "datetime X = \"20240229123000.000000+0x0\"",
    ] {
        let errors = compile(&format!("class A {{ {default}; }};")).expect_err(default);
        assert_eq!(errors[0].rule, Rule::ValueType, "{default}");
    }
}

#[test]
fn type_errors_say_which_values_are_possible() {
    let expected = |default: &str| {
        let errors = compile(&format!("class A {{ {default}; }};")).expect_err(default);
        errors[0].expected.clone()
    };
    assert_eq!(
        expected("uint8 X = 256"),
        "a value of type uint8: a number from 0 to 255"
    );
    assert!(expected("datetime X = \"x\"").starts_with("a datetime: yyyymmdd"));
    assert_eq!(expected("boolean X = 1"), "a value of type boolean");
}

#[test]
fn instances_fit_their_class() {
    let base = "class A { [Key] string K; uint8 N[]; }; [Abstract] class B : A { };\n";
    let schema = accepted(&format!(
        "{base} instance of a as $x {{ k = \"1\"; N = {{ 1, 2 }}; }};"
    ));
    let instance = &schema.instances()[0];
    assert_eq!(instance.class, "A");
    assert_eq!(instance.values[0].0, "K");
    breaks(
        &format!("{base}instance of C {{ }};"),
        Rule::UnknownClass,
        2,
        13,
    );
    breaks(
        &format!("{base}instance of B {{ }};"),
        Rule::Instance,
        2,
        13,
    );
    breaks(
        &format!("{base}instance of A {{ X = 1; }};"),
        Rule::Instance,
        2,
        17,
    );
    breaks(
        &format!("{base}instance of A {{ K = null; }};"),
        Rule::Instance,
        2,
        21,
    );
    breaks(
        &format!("{base}instance of A {{ N = 1; }};"),
        Rule::ValueType,
        2,
        21,
    );
    breaks(
        &format!("{base}instance of A {{ N = {{ 256 }}; }};"),
        Rule::ValueType,
        2,
        23,
    );
}

#[test]
fn aliases_are_declared_and_used_for_references() {
    let base = "class T { string X; };
        [Association] class A { [Key] T REF L; [Key] T REF R; };
        class E { [EmbeddedInstance(\"T\")] string I; };\n";
    let schema = accepted(&format!(
        "{base}instance of A {{ L = $one; R = \"T.X=\\\"y\\\"\"; }};
         instance of T as $One {{ X = \"x\"; }}; instance of E {{ I = $ONE; }};
         instance of E {{ I = instance of T {{ }}; }};"
    ));
    assert_eq!(
        schema.instances()[0].values[0].1,
        Value::Alias("one".into())
    );
    assert!(matches!(&schema.instances()[0].values[1].1, Value::Path(_)));
    assert!(matches!(
        &schema.instances()[3].values[0].1,
        Value::Instance(_)
    ));
    breaks(
        &format!("{base}instance of A {{ L = $two; }};"),
        Rule::Alias,
        4,
        21,
    );
    breaks(
        &format!("{base}instance of A {{ L = 1; }};"),
        Rule::ValueType,
        4,
        21,
    );
    breaks(
        &format!("{base}instance of T as $a {{ X = $a; }};"),
        Rule::Alias,
        4,
        27,
    );
    breaks(
        &format!("{base}instance of E {{ I = instance of E {{ }}; }};"),
        Rule::Embedded,
        4,
        21,
    );
}
