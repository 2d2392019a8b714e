//! Tests of the grammar: what each construct becomes, and where wrong ones are refused.

use super::*;
use crate::ast::{Literal, TypeItem};
use crate::types::{FlavorSpec, OverrideFlavor, Propagation, Scope, Scopes};

fn items(text: &str) -> Result<Vec<Item>, Fault> {
    let mut parser = Parser::new(FileId::default(), text)?;
    let mut found = Vec::new();
    while let Some(item) = parser.next_item()? {
        found.push(item);
    }
    Ok(found)
}

fn one(text: &str) -> Item {
    let mut found = items(text).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn class(text: &str) -> crate::ast::ClassItem {
    match one(text) {
        Item::Class(class) => class,
        other => panic!("{other:?}"),
    }
}

fn refused(text: &str) -> (u32, String, String) {
    let fault = items(text).unwrap_err();
    (fault.at.column, fault.found, fault.expected)
}

#[test]
fn a_class_has_features_in_order() {
    let class = class(
        "[Abstract, Version (\"1.\" \"0\")] class A : B {
            [Key] string Name;
            uint16 Sizes[] = { 1, 0x2 };
            datetime Times[3];
            boolean On = true;
            [Override(\"Go\")] uint32 Go([In, Out(false)] string Where[], A REF Whom);
            sint8 Stop();
        };",
    );
    assert_eq!(class.name.text, "A");
    assert_eq!(class.superclass.unwrap().text, "B");
    assert_eq!(class.qualifiers.len(), 2);
    assert_eq!(
        class.qualifiers[1].value.as_ref().unwrap().literal,
        Literal::Text("1.0".into())
    );
    let shapes: Vec<_> = class.properties.iter().map(|p| p.array).collect();
    assert_eq!(
        shapes,
        [
            None,
            Some(ArraySize::Variable),
            Some(ArraySize::Fixed(3)),
            None
        ]
    );
    let Some(Literal::Array(sizes)) = class.properties[1].default.as_ref().map(|d| &d.literal)
    else {
        panic!("no array");
    };
    assert_eq!(sizes[1].literal, Literal::Integer(2));
    let go = &class.methods[0];
    assert_eq!(go.returns, TypeName::Uint32);
    assert_eq!(go.parameters[0].qualifiers.len(), 2);
    assert!(matches!(&go.parameters[1].ty, TypeItem::Reference(name) if name.text == "A"));
    assert!(class.methods[1].parameters.is_empty());
}

#[test]
fn keywords_have_any_case_and_are_names_elsewhere() {
    let class = class("CLASS Class { String String; Reference REF Reference; uint8 Ref; };");
    let names: Vec<_> = class
        .properties
        .iter()
        .map(|p| p.name.text.as_str())
        .collect();
    assert_eq!(names, ["String", "Reference", "Ref"]);
}

#[test]
fn qualifier_declarations_have_scopes_and_flavors() {
    let Item::Qualifier(item) = one("Qualifier Values : string[], Scope(property, METHOD), \
         Flavor(EnableOverride, Restricted, Translatable);")
    else {
        panic!("no qualifier");
    };
    assert_eq!(item.array, Some(ArraySize::Variable));
    assert_eq!(
        item.scopes,
        Scopes::NONE.with(Scope::Property).with(Scope::Method)
    );
    assert_eq!(
        item.flavors,
        FlavorSpec {
            overriding: Some(OverrideFlavor::Enable),
            propagation: Some(Propagation::Restricted),
            translatable: true,
        }
    );
    let Item::Qualifier(item) = one("qualifier Max : uint32 = null, scope(any);") else {
        panic!("no qualifier");
    };
    assert_eq!(item.scopes, Scopes::ANY);
    assert_eq!(item.default.unwrap().literal, Literal::Null);
}

#[test]
fn qualifiers_on_elements_take_values_and_flavors() {
    let class = class(
        "[A, B(1), C{\"x\", \"y\"}, D({\"x\"}), E(false) : DisableOverride ToSubclass ToInstance] \
         class X { };",
    );
    let values: Vec<_> = class
        .qualifiers
        .iter()
        .map(|q| q.value.as_ref().map(|v| v.literal.clone()))
        .collect();
    assert_eq!(values[0], None);
    assert_eq!(values[1], Some(Literal::Integer(1)));
    assert!(matches!(&values[2], Some(Literal::Array(e)) if e.len() == 2));
    assert!(matches!(&values[3], Some(Literal::Array(e)) if e.len() == 1));
    assert_eq!(
        class.qualifiers[4].flavors.overriding,
        Some(OverrideFlavor::Disable)
    );
}

#[test]
fn contradicting_flavors_are_refused() {
    for text in [
        "[A : EnableOverride DisableOverride] class X { };",
        "[A : ToSubclass Restricted] class X { };",
        "Qualifier A : string, Scope(any), Flavor(Restricted, ToSubclass);",
    ] {
        assert_eq!(items(text).unwrap_err().rule, Rule::Flavor, "{text}");
    }
}

#[test]
fn instances_have_aliases_and_nested_values() {
    let Item::Instance(instance) = one(
        "instance of A as $One { Name = \"x\"; Other = $Two; Many = { $Two, null };
          In = instance of B { C = 'c'; D = -1.5; }; };",
    ) else {
        panic!("no instance");
    };
    assert_eq!(instance.alias.unwrap().text, "One");
    assert_eq!(instance.values.len(), 4);
    assert_eq!(
        instance.values[1].value.literal,
        Literal::Alias("Two".into())
    );
    let Literal::Instance(inner) = &instance.values[3].value.literal else {
        panic!("no inner instance");
    };
    assert_eq!(inner.class.text, "B");
}

#[test]
fn pragmas_keep_their_parameters() {
    let Item::Pragma(pragma) = one("#pragma include (\"a.mof\")") else {
        panic!("no pragma");
    };
    assert_eq!(pragma.name.text, "include");
    assert_eq!(pragma.parameters[0].text, "a.mof");
    let Item::Pragma(pragma) = one("# PRAGMA other (a = \"b\", c)") else {
        panic!("no pragma");
    };
    assert_eq!(pragma.parameters.len(), 3);
}

#[test]
fn old_class_aliases_are_read_over() {
    assert!(class("class A as $X : B { };").superclass.is_some());
}

#[test]
fn wrong_tokens_are_named_with_what_was_expected() {
    let (column, found, expected) = refused("class A { uint16 ; };");
    assert_eq!((column, found.as_str()), (18, "`;`"));
    assert_eq!(expected, "the name of a property or method");
    let (column, found, expected) = refused("class A { uint16 Size }");
    assert_eq!((column, found.as_str()), (23, "`}`"));
    assert_eq!(expected, "`;` after a property");
    let (_, found, expected) = refused("class A { } ");
    assert_eq!(
        (found.as_str(), expected.as_str()),
        ("the end of the text", "`;`")
    );
    let (_, _, expected) = refused("class A B { };");
    assert_eq!(expected, "`:` and a superclass, or `{`");
    let (_, _, expected) = refused("class A : B C { };");
    assert_eq!(expected, "`{`");
    let (column, found, _) = refused("class A { CIM_X Size; };");
    assert_eq!((column, found.as_str()), (11, "`CIM_X`"));
}

#[test]
fn every_construct_is_refused_when_broken() {
    for text in [
        "clas A { };",
        "class { };",
        "class A B { };",
        "class A : { };",
        "class A { uint16 Size[0]; };",
        "class A { uint16 Size[-1]; };",
        "class A { uint16 Size[x]; };",
        "class A { uint16 Size = ; };",
        "class A { uint16 Size = { 1 2 }; };",
        "class A { uint16 Size = { { 1 } }; };",
        "class A { B REF Go(); };",
        "class A { uint16 Go( };",
        "class A { uint16 Go(string); };",
        "class A { uint16 Go(string X Y); };",
        "class A { uint16 Go() };",
        "class A as X { };",
        "[ class A { };",
        "[] class A { };",
        "[Key(] class A { };",
        "[Key : Odd] class A { };",
        "[Key Weak] class A { };",
        "Qualifier : string, Scope(any);",
        "Qualifier A string, Scope(any);",
        "Qualifier A : strin, Scope(any);",
        "Qualifier A : string;",
        "Qualifier A : string, Scope();",
        "Qualifier A : string, Scope(klass);",
        "Qualifier A : string, Scope(any), Flavor();",
        "Qualifier A : string, Scope(any), Flavor(Odd);",
        "Qualifier A : string, Scope(any)",
        "instance A { };",
        "instance of A as B { };",
        "instance of A { B 1; };",
        "instance of A { B = 1 };",
        "instance of A { B = ; };",
        "instance of A { }",
        "#include (\"a\")",
        "#pragma (\"a\")",
        "#pragma include \"a\"",
        "#pragma include (\"a\"",
        "#pragma include (1)",
        "42",
    ] {
        let fault = items(text).expect_err(text);
        assert_eq!(fault.rule, Rule::Syntax, "{text}: {fault:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let open = "instance of A { B = ".repeat(depth);
        let close = "; }".repeat(depth);
        format!("{open}1{close};")
    };
    assert!(items(&nested(limits::NESTING)).is_ok());
    let fault = items(&nested(limits::NESTING + 1)).unwrap_err();
    assert_eq!(fault.rule, Rule::Limit);
}

#[test]
fn joined_strings_are_bounded() {
    let part = format!("\"{}\" ", "x".repeat(1 << 16));
    let text = format!("instance of A {{ B = {}; }};", part.repeat(17));
    assert_eq!(items(&text).unwrap_err().rule, Rule::Limit);
}

#[test]
fn embedded_text_must_hold_instances_only() {
    assert_eq!(parse_instances("").unwrap(), []);
    let two = parse_instances("instance of A { }; instance of B { };").unwrap();
    assert_eq!(two.len(), 2);
    let error = parse_instances("class A { };").unwrap_err();
    assert_eq!(error.found, "a declaration");
    assert_eq!(error.file, "embedded instance");
}

#[test]
fn embedded_text_is_bounded() {
    let text = " ".repeat(limits::EMBEDDED_BYTES + 1);
    assert_eq!(parse_instances(&text).unwrap_err().rule, Rule::Limit);
    assert!(parse_instances(&text[1..]).is_ok());
}

#[test]
fn syntax_trees_take_a_bounded_multiple_of_their_text() {
    // The bound that limits::EMBEDDED_BYTES is chosen by: two bytes of text for an element.
    assert!(size_of::<crate::ast::Initializer>() <= 64);
}
