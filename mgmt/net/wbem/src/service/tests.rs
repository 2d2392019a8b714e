use super::*;
use crate::keeper::tests::on_blank_disk;
use crate::{Keeper, WbemConfig};
use std::net::SocketAddr;

const PASSWORD_LETTERS: usize = 8;

fn at(seconds: u64) -> Instant {
    Instant::from_nanoseconds(seconds * 1_000_000_000)
}

/// A server over this keeper, and the first administrator's password.
fn open(keeper: &Keeper) -> (Wbem, Option<String>) {
    open_with(keeper, None)
}

fn open_with(keeper: &Keeper, password: Option<&str>) -> (Wbem, Option<String>) {
    let mut count = 0u8;
    let (wbem, first) = Wbem::open(WbemConfig {
        keeper: keeper.clone(),
        version: "1.0",
        greeting: "hello\n".into(),
        unix_base: 1_700_000_000_000_000,
        password,
        entropy: &mut |bytes| {
            for byte in bytes {
                count = count.wrapping_add(1);
                *byte = count;
            }
        },
        images: None,
        install: &mut |builder| (builder, Vec::new()),
    })
    .unwrap();
    (wbem, first.map(|first| first.password))
}

fn connect(wbem: &Wbem) -> Box<dyn Connection> {
    let peer = Peer::Network("192.0.2.1:1024".parse().unwrap());
    WbemService::for_network(wbem.clone()).connect(peer, at(1))
}

fn take(connection: &mut dyn Connection) -> String {
    let mut all = Vec::new();
    loop {
        let bytes = connection.output(at(1)).to_vec();
        if bytes.is_empty() {
            return String::from_utf8(all).unwrap();
        }
        connection.sent(bytes.len(), at(1));
        all.extend(bytes);
    }
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0u32, |bits, index| {
            bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0))
        });
        for index in 0..4 {
            out.push(match index <= chunk.len() {
                true => LETTERS[(bits >> (18 - 6 * index)) as usize & 63] as char,
                false => '=',
            });
        }
    }
    out
}

/// A CIM-XML request of `admin`.
fn request(password: &str, method: &str, namespace: &str, params: &str) -> String {
    let path: String = namespace
        .split('/')
        .map(|part| format!("<NAMESPACE NAME=\"{part}\"/>"))
        .collect();
    let body = format!(
        "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" \
         PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"{method}\"><LOCALNAMESPACEPATH>{path}\
         </LOCALNAMESPACEPATH>{params}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
    );
    format!(
        "POST /cimom HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\r\nCIMOperation: MethodCall\r\n\
         CIMMethod: {method}\r\nCIMObject: {namespace}\r\nContent-Type: application/xml; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        base64(&format!("admin:{password}")),
        body.len()
    )
}

fn create_class(password: &str) -> String {
    let params = "<IPARAMVALUE NAME=\"NewClass\"><CLASS NAME=\"X_Kept\"><PROPERTY NAME=\"A\" TYPE=\"string\">\
                  <QUALIFIER NAME=\"Key\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></QUALIFIER></PROPERTY></CLASS>\
                  </IPARAMVALUE>";
    request(password, "CreateClass", "root/cimv2", params)
}

fn get_class(password: &str) -> String {
    let params = "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"X_Kept\"/></IPARAMVALUE>";
    request(password, "GetClass", "root/cimv2", params)
}

#[test]
fn people_are_greeted_and_strangers_refused() {
    let (wbem, password) = open(&Keeper::in_memory());
    assert!(password.unwrap().len() >= PASSWORD_LETTERS);
    let mut connection = connect(&wbem);
    connection.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", at(1));
    assert!(take(&mut *connection).ends_with("\r\n\r\nhello\n"));
    connection.receive(get_class("wrong").as_bytes(), at(1));
    assert!(take(&mut *connection).starts_with("HTTP/1.1 401"));
}

#[test]
fn the_operator_may_give_the_first_password_and_only_the_first() {
    let keeper = Keeper::in_memory();
    let greets = |wbem: &Wbem, password: &str| {
        let mut connection = connect(wbem);
        connection.receive(get_class(password).as_bytes(), at(1));
        take(&mut *connection).starts_with("HTTP/1.1 200")
    };
    let (wbem, first) = open_with(&keeper, Some("given=word"));
    assert_eq!(first.as_deref(), Some("given=word"));
    assert!(greets(&wbem, "given=word"));
    let (wbem, first) = open_with(&keeper, Some("another"));
    assert_eq!(first, None, "the account is there already");
    assert!(greets(&wbem, "given=word"));
    assert!(!greets(&wbem, "another"));
}

#[test]
fn a_change_is_answered_when_it_is_durable_and_there_after_a_restart() {
    let keeper = on_blank_disk();
    let (wbem, password) = open(&keeper);
    let password = password.unwrap();
    keeper.finish(keeper.begin().unwrap());
    let mut connection = connect(&wbem);
    let request = create_class(&password);
    assert_eq!(connection.receive(request.as_bytes(), at(1)), request.len());
    assert!(connection.output(at(1)).is_empty());
    assert_eq!(connection.phase(), Phase::Open);
    keeper.finish(keeper.begin().unwrap());
    let answer = take(&mut *connection);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("ERROR"), "{answer}");
    drop((wbem, connection));

    let (wbem, first) = open(&keeper);
    assert_eq!(first, None);
    let mut connection = connect(&wbem);
    connection.receive(get_class(&password).as_bytes(), at(1));
    let answer = take(&mut *connection);
    assert!(answer.contains("<CLASS NAME=\"X_Kept\""), "{answer}");
}

#[test]
fn a_change_that_is_lost_is_not_answered() {
    let keeper = on_blank_disk();
    let (wbem, password) = open(&keeper);
    keeper.finish(keeper.begin().unwrap());
    let mut connection = connect(&wbem);
    connection.receive(create_class(&password.unwrap()).as_bytes(), at(1));
    keeper.begin().unwrap();
    keeper.fail();
    assert!(connection.output(at(1)).is_empty());
    assert_eq!(connection.phase(), Phase::Failed);
}

#[test]
fn the_server_keeps_its_name() {
    let keeper = Keeper::in_memory();
    open(&keeper);
    let name = keeper.get("mgmt/name").unwrap();
    assert!(name.starts_with(b"bulkhead-"));
    open(&keeper);
    assert_eq!(keeper.get("mgmt/name").unwrap(), name);
}

#[test]
fn indications_go_out_to_subscribers() {
    let (wbem, password) = open(&Keeper::in_memory());
    let password = password.unwrap();
    let mut connection = connect(&wbem);
    let mut send = |method: &str, params: &str| {
        let request = request(&password, method, "interop", params);
        connection.receive(request.as_bytes(), at(1));
        let answer = take(&mut *connection);
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("ERROR"),
            "{answer}"
        );
    };
    let property = |name: &str, value: &str| {
        format!("<PROPERTY NAME=\"{name}\" TYPE=\"string\"><VALUE>{value}</VALUE></PROPERTY>")
    };
    let create = |class: &str, properties: String| {
        format!(
            "<IPARAMVALUE NAME=\"NewInstance\"><INSTANCE CLASSNAME=\"{class}\">{properties}</INSTANCE></IPARAMVALUE>"
        )
    };
    let keys = |class: &str| {
        let system = String::from_utf8(wbem.keeper().get("mgmt/name").unwrap()).unwrap();
        [
            ("SystemCreationClassName", "CIM_ComputerSystem".to_string()),
            ("SystemName", system),
            ("CreationClassName", class.to_string()),
            ("Name", "one".to_string()),
        ]
    };
    let named = |class: &str, more: &str| {
        let keys = keys(class)
            .map(|(name, value)| property(name, &value))
            .concat();
        create(class, keys + more)
    };
    let query = property("Query", "SELECT * FROM CIM_InstCreation")
        + &property("QueryLanguage", "WQL")
        + "<PROPERTY.ARRAY NAME=\"SourceNamespaces\" TYPE=\"string\"><VALUE.ARRAY><VALUE>interop</VALUE>\
           </VALUE.ARRAY></PROPERTY.ARRAY>";
    send("CreateInstance", &named("CIM_IndicationFilter", &query));
    let listener = property("Destination", "http://192.0.2.9:8888/in");
    send(
        "CreateInstance",
        &named("CIM_ListenerDestinationCIMXML", &listener),
    );
    let reference = |name: &str, class: &str| {
        let keys: String = keys(class)
            .map(|(key, value)| {
                format!("<KEYBINDING NAME=\"{key}\"><KEYVALUE VALUETYPE=\"string\">{value}</KEYVALUE></KEYBINDING>")
            })
            .concat();
        format!(
            "<PROPERTY.REFERENCE NAME=\"{name}\" REFERENCECLASS=\"{class}\"><VALUE.REFERENCE><INSTANCENAME \
             CLASSNAME=\"{class}\">{keys}</INSTANCENAME></VALUE.REFERENCE></PROPERTY.REFERENCE>"
        )
    };
    let subscription = reference("Filter", "CIM_IndicationFilter")
        + &reference("Handler", "CIM_ListenerDestinationCIMXML");
    send(
        "CreateInstance",
        &create("CIM_IndicationSubscription", subscription),
    );
    // Another filter: its creation is what the first one is about.
    let mut service = WbemService::for_network(wbem.clone());
    wbem.maintain(at(2));
    let second = named("CIM_IndicationFilter", &query).replace(">one<", ">two<");
    send("CreateInstance", &second);
    wbem.maintain(at(3));
    assert!(WbemService::for_channel(wbem.clone()).dial(at(3)).is_none());
    let (peer, mut exporter) = service.dial(at(3)).expect("an indication is due");
    assert_eq!(peer, SocketAddr::from(([192, 0, 2, 9], 8888)));
    let text = take(&mut *exporter);
    assert!(
        text.starts_with("POST /in HTTP/1.1") && text.contains("CIM_InstCreation"),
        "{text}"
    );
    exporter.expire(at(30));
    assert_eq!(exporter.phase(), Phase::Failed);
}
