//! Whatever the model can say is the same after writing and reading; tried with generated values.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where it is surprised"
)]

use cim_model::{
    ArrayValue, CimError, CimStatus, CimType, ClassDecl, ClassName, ClassPath, DateTime,
    EmbeddedKind, Flavors, Instance, InstancePath, Interval, KeyValue, MethodDecl, ObjectPath,
    ParameterDecl, ParameterName, Property, PropertyDecl, PropertyName, Qualifier, QualifierDecl,
    Scalar, Scopes, Shape, Text, Value, ValueType,
};
use cim_xml::{
    Call, ChunkSink, CimHeaders, Item, Origin, OutParam, Outcome, ParamValue, Request, Response,
    ResponseWriter, Returns, parse_request, parse_response, write_error, write_export_response,
    write_indication, write_method_response, write_request,
};

/// A deterministic generator of model values (xorshift64).
struct Gen(u64);

impl Gen {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Text with everything that needs care on the way through XML.
    fn text(&mut self) -> String {
        const PIECES: [&str; 16] = [
            "a",
            "VM 1",
            "<",
            ">",
            "&",
            "\"",
            "'",
            "\n",
            "\r",
            "\t",
            "]]>",
            "&amp;",
            "ä",
            "\u{1f600}",
            " ",
            "\u{fffd}",
        ];
        (0..self.below(6))
            .map(|_| PIECES[self.below(PIECES.len())])
            .collect()
    }

    fn name(&mut self, prefix: &str, index: usize) -> String {
        let tail = ["", "_x", "Größe", "Name"][self.below(4)];
        format!("{prefix}{index}{tail}")
    }

    fn scalar_type(&mut self) -> CimType {
        CimType::ALL[self.below(CimType::ALL.len() - 1)]
    }

    fn datetime(&mut self) -> DateTime {
        if self.chance(2) {
            return Interval::from_micros(self.bits() >> 12).unwrap().into();
        }
        let text = [
            "20240229120000.123456+060",
            "2024**********.******-300",
            "00000101000000.000000+000",
        ];
        text[self.below(3)].parse().unwrap()
    }

    fn scalar(&mut self, ty: CimType) -> Scalar {
        let bits = self.bits();
        match ty {
            CimType::Boolean => (bits & 1 == 1).into(),
            CimType::Uint8 => (bits as u8).into(),
            CimType::Uint16 => (bits as u16).into(),
            CimType::Uint32 => (bits as u32).into(),
            CimType::Uint64 => bits.into(),
            CimType::Sint8 => (bits as i8).into(),
            CimType::Sint16 => (bits as i16).into(),
            CimType::Sint32 => (bits as i32).into(),
            CimType::Sint64 => (bits as i64).into(),
            CimType::Real32 => match f32::from_bits(bits as u32) {
                value if value.is_nan() => f32::INFINITY.into(),
                value => value.into(),
            },
            CimType::Real64 => match f64::from_bits(bits) {
                value if value.is_nan() => f64::NEG_INFINITY.into(),
                value => value.into(),
            },
            CimType::Char16 => {
                let unit = ['x', '<', '&', ' ', '\n', 'ä', '\u{ff01}'][self.below(7)];
                Scalar::Char16(unit as u16)
            }
            CimType::String => self.text().into(),
            CimType::DateTime => self.datetime().into(),
            CimType::Reference => self.object_path(2).into(),
        }
    }

    fn key(&mut self, depth: usize) -> KeyValue {
        if depth > 0 && self.chance(4) {
            return KeyValue::from(self.object_path(depth - 1));
        }
        loop {
            let ty = self.scalar_type();
            if let Ok(key) = KeyValue::try_from(self.scalar(ty)) {
                return key;
            }
        }
    }

    fn instance_path(&mut self, depth: usize) -> InstancePath {
        let mut path = InstancePath::new(ClassName::from(self.name("CIM_P", 0)));
        for index in 0..self.below(4) {
            let name = PropertyName::from(self.name("Key", index));
            let value = self.key(depth);
            path.set_key(name, value);
        }
        if self.chance(2) {
            path.namespace = Some("root/cimv2".into());
            if self.chance(2) {
                path.host = Some("192.0.2.1:5989".into());
            }
        }
        path
    }

    fn object_path(&mut self, depth: usize) -> ObjectPath {
        let path = self.instance_path(depth);
        if self.chance(4) {
            ClassPath {
                host: path.host,
                namespace: path.namespace,
                class: path.class,
            }
            .into()
        } else {
            path.into()
        }
    }

    fn value(&mut self, ty: ValueType) -> Value {
        if self.chance(6) {
            return Value::Null(ty);
        }
        match ty.shape {
            Shape::Scalar => Value::Scalar(self.scalar(ty.ty)),
            Shape::Array => {
                let items = (0..self.below(4))
                    .map(|_| {
                        if self.chance(5) {
                            None
                        } else {
                            Some(self.scalar(ty.ty))
                        }
                    })
                    .collect();
                Value::Array(ArrayValue { ty: ty.ty, items })
            }
        }
    }

    fn value_type(&mut self) -> ValueType {
        if self.chance(6) {
            return ValueType::scalar(CimType::Reference);
        }
        let ty = self.scalar_type();
        if self.chance(3) {
            ValueType::array(ty)
        } else {
            ValueType::scalar(ty)
        }
    }

    fn embedded(&mut self, depth: usize) -> Scalar {
        if self.chance(4) {
            Scalar::from(self.class(depth))
        } else {
            Scalar::from(self.instance(depth))
        }
    }

    fn instance(&mut self, depth: usize) -> Instance {
        let mut instance = Instance::new(ClassName::from(self.name("CIM_C", 0)));
        if self.chance(8) {
            instance.qualifiers = self.qualifiers();
        }
        for index in 0..self.below(6) {
            let name = PropertyName::from(self.name("Prop", index));
            let ty = self.value_type();
            let mut property = Property::new(name, self.value(ty));
            if depth > 0 && self.chance(4) {
                let value = self.embedded(depth - 1);
                property.value = match self.chance(2) {
                    true => Value::Scalar(value),
                    false => Value::Array(ArrayValue {
                        ty: CimType::String,
                        items: vec![None, Some(value)],
                    }),
                };
                property.embedded = Some(EmbeddedKind::Object);
            }
            if self.chance(3) {
                property.class_origin = Some("CIM_Origin".into());
            }
            property.propagated = self.chance(4);
            if ty == ValueType::scalar(CimType::Reference) && self.chance(2) {
                property.reference_class = property
                    .value
                    .as_reference()
                    .map(|path| path.class().clone());
            }
            if property.value.shape() == Shape::Array && self.chance(3) {
                property.array_size = Some(self.bits() as u32);
            }
            instance.properties.push(property);
        }
        instance
    }

    fn flavors(&mut self) -> Flavors {
        Flavors {
            overridable: self.chance(2),
            to_subclass: self.chance(2),
            to_instance: self.chance(2),
            translatable: self.chance(2),
        }
    }

    fn qualifiers(&mut self) -> Vec<Qualifier> {
        (0..self.below(3))
            .map(|index| {
                let mut ty = ValueType::scalar(self.scalar_type());
                if self.chance(3) {
                    ty.shape = Shape::Array;
                }
                let value = match self.value(ty) {
                    // QUALIFIER does not say whether its NULL is an array.
                    Value::Null(_) => Value::null(ty.ty),
                    value => value,
                };
                let mut qualifier = Qualifier::new(self.name("Q", index), value);
                qualifier.propagated = self.chance(2);
                qualifier.flavors = self.flavors();
                qualifier
            })
            .collect()
    }

    fn class(&mut self, depth: usize) -> ClassDecl {
        let mut class = ClassDecl::new(ClassName::from(self.name("CIM_D", 0)), None);
        if self.chance(2) {
            class.superclass = Some("CIM_Super".into());
        }
        class.qualifiers = self.qualifiers();
        for index in 0..self.below(4) {
            let ty = self.value_type();
            let mut property = PropertyDecl::new(PropertyName::from(self.name("P", index)), ty);
            property.default = self.value(ty);
            property.qualifiers = self.qualifiers();
            property.propagated = self.chance(2);
            class.properties.push(property);
        }
        for index in 0..self.below(3) {
            let mut method = MethodDecl::new(self.name("M", index), CimType::Uint32);
            method.class_origin = Some("CIM_Super".into());
            for index in 0..self.below(3) {
                let ty = self.value_type();
                let mut parameter =
                    ParameterDecl::new(ParameterName::from(self.name("A", index)), ty);
                parameter.qualifiers = self.qualifiers();
                if ty.ty == CimType::Reference {
                    parameter.reference_class = Some("CIM_R".into());
                }
                if ty.is_array() && depth == 0 {
                    parameter.array_size = Some(4);
                }
                method.parameters.push(parameter);
            }
            class.methods.push(method);
        }
        class
    }

    fn qualifier_decl(&mut self) -> QualifierDecl {
        let ty = ValueType {
            ty: self.scalar_type(),
            shape: if self.chance(3) {
                Shape::Array
            } else {
                Shape::Scalar
            },
        };
        let scopes = Scopes::from_bits_truncate(self.bits() as u8);
        let mut decl = QualifierDecl::new(self.name("Q", 0), ty, scopes);
        decl.flavors = self.flavors();
        decl.value = self.value(ty);
        if ty.is_array() && self.chance(2) {
            decl.array_size = Some(3);
        }
        decl
    }

    fn param_value(&mut self) -> ParamValue {
        match self.below(9) {
            0 => ParamValue::Null,
            1 => ParamValue::Value(Text::from(self.text())),
            2 => ParamValue::Array(vec![Some(Text::from(self.text())), None]),
            3 => ParamValue::Reference(self.object_path(2)),
            4 => ParamValue::ClassName("CIM_Class".into()),
            5 => ParamValue::InstanceName(self.instance_path(2).to_local()),
            6 => ParamValue::Class(self.class(1)),
            7 => ParamValue::QualifierDecl(self.qualifier_decl()),
            _ => {
                let mut instance = self.instance(2);
                if self.chance(2) {
                    instance.path = Some(self.instance_path(1).to_local());
                }
                ParamValue::Instance(instance)
            }
        }
    }

    fn method_value(&mut self) -> Value {
        if self.chance(4) {
            return Value::Scalar(self.embedded(2));
        }
        if self.chance(6) {
            let items = vec![Some(self.scalar(CimType::Reference)), None];
            return Value::Array(ArrayValue {
                ty: CimType::Reference,
                items,
            });
        }
        let ty = self.value_type();
        match self.value(ty) {
            // PARAMVALUE does not say whether its NULL is an array.
            Value::Null(ty) => Value::null(ty.ty),
            value => value,
        }
    }

    fn call(&mut self) -> Call {
        let params = (0..self.below(4))
            .map(|index| self.name("Param", index))
            .collect::<Vec<_>>();
        let intrinsic = |gen_: &mut Self, names: Vec<String>| {
            names
                .into_iter()
                .map(|name| (ParameterName::from(name), gen_.param_value()))
                .collect()
        };
        match self.below(3) {
            0 => Call::Intrinsic {
                method: "GetThing".into(),
                namespace: "root/cimv2".into(),
                params: intrinsic(self, params),
            },
            1 => {
                let mut target = self.object_path(1);
                target.set_host(None);
                target.set_namespace(Some("root/cimv2".into()));
                let params = params
                    .into_iter()
                    .map(|name| (name.into(), self.method_value()))
                    .collect();
                Call::Extrinsic {
                    method: "DoThing".into(),
                    target,
                    params,
                }
            }
            _ => Call::Export {
                method: "ExportIndication".into(),
                params: intrinsic(self, params),
            },
        }
    }

    fn item(&mut self, kind: usize) -> Item {
        let mut full = self.instance_path(1);
        full.namespace = Some("root/cimv2".into());
        full.host = Some("h".into());
        let local = full.to_local();
        match kind {
            0 => Item::Class(self.class(1)),
            1 => Item::ClassName("CIM_Class".into()),
            2 => Item::NamedInstance(self.instance(2).with_path(local)),
            3 => Item::InstanceName(local),
            4 => Item::Instance(self.instance(2)),
            5 => Item::InstanceObject(self.instance(2).with_path(full)),
            6 => {
                let mut class = self.class(1);
                class.path = Some(full.class_path());
                Item::ClassObject(class)
            }
            7 => Item::ObjectPath(full.into()),
            8 => Item::InstanceWithPath(self.instance(2).with_path(full)),
            9 => Item::InstancePath(full),
            10 => Item::QualifierDecl(self.qualifier_decl()),
            _ => Item::Value(Value::from(self.text())),
        }
    }
}

/// The bytes that a writer produces, taken in small chunks on the way.
fn written(write: impl Fn(&mut dyn cim_xml::Sink) -> Result<(), cim_xml::SinkError>) -> Vec<u8> {
    let mut chunked = Vec::new();
    let mut sink = ChunkSink::<61, _>::new(|chunk: &[u8]| {
        chunked.extend_from_slice(chunk);
        Ok(())
    });
    write(&mut sink).unwrap();
    sink.finish().unwrap();
    let mut whole = Vec::new();
    write(&mut whole).unwrap();
    assert_eq!(whole, chunked);
    whole
}

fn show(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

#[test]
fn requests_survive() {
    let mut random = Gen(0x1234_5678_9abc_def1);
    for _ in 0..3_000 {
        let request = Request::new(random.text(), random.call());
        let bytes = written(|mut out| write_request(&mut out, &request));
        match parse_request(&bytes) {
            Ok(back) => {
                assert_eq!(back, request, "{}", show(&bytes));
                let headers = CimHeaders::for_request(&request);
                assert!(headers.check_head().is_ok());
                assert_eq!(headers.check_body(&back), Ok(()), "{headers:?}");
            }
            Err(error) => panic!("{error}\n{}", show(&bytes)),
        }
    }
}

#[test]
fn intrinsic_responses_survive() {
    let mut random = Gen(0xfeed_beef_1234_5678);
    for round in 0..3_000 {
        let kind = round % 12;
        let items: Vec<Item> = (0..random.below(4)).map(|_| random.item(kind)).collect();
        let params = vec![
            OutParam {
                name: "EndOfSequence".into(),
                value: Value::from(round % 2 == 0),
            },
            OutParam {
                name: "EnumerationContext".into(),
                value: Value::from(random.text()),
            },
        ];
        let bytes = written(|mut out| {
            let origin = Origin::new("h", "root/cimv2");
            let writer = ResponseWriter::begin(&mut out, "7", "Get", Returns::Objects, origin)?;
            for item in &items {
                writer.item(&mut out, item.as_ref())?;
            }
            writer.finish(&mut out, &params)
        });
        let expected = Response {
            message_id: "7".into(),
            method: "Get".into(),
            outcome: Ok(Outcome::Intrinsic { items, params }),
        };
        assert_eq!(parse_response(&bytes), Ok(expected), "{}", show(&bytes));
    }
}

#[test]
fn method_responses_survive() {
    let mut random = Gen(0x0dd0_5eed_0dd0_5eed);
    for _ in 0..3_000 {
        let value = match random.scalar_type() {
            CimType::String => None,
            ty => Some(Value::Scalar(random.scalar(ty))),
        };
        let params: Vec<OutParam> = (0..random.below(4))
            .map(|index| OutParam {
                name: random.name("Out", index).into(),
                value: random.method_value(),
            })
            .collect();
        let bytes = written(|mut out| {
            write_method_response(&mut out, "7", "DefineSystem", Ok((value.as_ref(), &params)))
        });
        let expected = Response {
            message_id: "7".into(),
            method: "DefineSystem".into(),
            outcome: Ok(Outcome::Extrinsic { value, params }),
        };
        assert_eq!(parse_response(&bytes), Ok(expected), "{}", show(&bytes));
    }
}

#[test]
fn errors_survive_in_every_kind_of_response() {
    let mut random = Gen(0xabcd_ef01_2345_6789);
    for status in CimStatus::ALL {
        let error = CimError::new(*status, random.text()).with_instance(random.instance(2));
        let answers = [
            written(|mut out| write_error(&mut out, "1", "M", &error)),
            written(|mut out| write_method_response(&mut out, "1", "M", Err(&error))),
            written(|mut out| write_export_response(&mut out, "1", "M", Err(&error))),
        ];
        for bytes in answers {
            let response = parse_response(&bytes).unwrap();
            assert_eq!(response.outcome, Err(error.clone()), "{}", show(&bytes));
        }
    }
}

#[test]
fn indications_survive_the_export() {
    let mut random = Gen(0x1111_2222_3333_4444);
    for _ in 0..500 {
        let indication = random.instance(3);
        let bytes = written(|mut out| write_indication(&mut out, "42", &indication));
        let Call::Export { method, params } = parse_request(&bytes).unwrap().call else {
            panic!("an export")
        };
        assert_eq!(method, "ExportIndication");
        assert_eq!(
            params,
            [("NewIndication".into(), ParamValue::Instance(indication))]
        );
    }
    let bytes =
        written(|mut out| write_export_response(&mut out, "42", "ExportIndication", Ok(())));
    assert_eq!(parse_response(&bytes).unwrap().outcome, Ok(Outcome::Export));
}

#[test]
fn an_operation_without_result_has_an_explicit_end_tag() {
    // wbemcli cannot parse <IMETHODRESPONSE NAME="ModifyInstance"/>.
    let bytes = written(|mut out| {
        let origin = Origin::new("h", "n");
        let writer =
            ResponseWriter::begin(&mut out, "1", "ModifyInstance", Returns::Nothing, origin)?;
        writer.finish(&mut out, &[])
    });
    assert!(show(&bytes).contains("<IMETHODRESPONSE NAME=\"ModifyInstance\"></IMETHODRESPONSE>"));
    let expected = Ok(Outcome::Intrinsic {
        items: vec![],
        params: vec![],
    });
    assert_eq!(parse_response(&bytes).unwrap().outcome, expected);
}

#[test]
fn paths_are_completed_from_the_origin() {
    let path = InstancePath::new("C").with_key("k", 1u8);
    let items = [
        Item::InstancePath(path.clone()),
        Item::InstancePath(path.clone().with_namespace("other")),
    ];
    let bytes = written(|mut out| {
        let origin = Origin::new("h:5989", "root/cimv2");
        let writer = ResponseWriter::begin(&mut out, "1", "X", Returns::Objects, origin)?;
        items
            .iter()
            .try_for_each(|item| writer.item(&mut out, item.as_ref()))?;
        writer.finish(&mut out, &[])
    });
    let Ok(Outcome::Intrinsic { items, .. }) = parse_response(&bytes).unwrap().outcome else {
        panic!("an intrinsic response")
    };
    let full = path.with_host("h:5989");
    assert_eq!(
        items,
        [
            Item::InstancePath(full.clone().with_namespace("root/cimv2")),
            Item::InstancePath(full.with_namespace("other")),
        ]
    );
}
