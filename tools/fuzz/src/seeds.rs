//! Where inputs begin: the repository's own fixtures, and lines that use every part of a grammar.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes the seeds of a target.
pub type Seeds = fn() -> Result<Vec<Vec<u8>>>;

/// Longer seeds slow the fuzzer more than they teach it.
const LONGEST: usize = 6_000;

/// No seed.
pub fn nothing() -> Result<Vec<Vec<u8>>> {
    Ok(Vec::new())
}

/// What cuts the input and how it is answered, then requests as clients send them.
pub fn http_connections() -> Result<Vec<Vec<u8>>> {
    let mut all = captured()?;
    all.extend(lines(&[
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: y\r\n\r\n",
        "POST /a HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabcGET /b HTTP/1.0\r\n\r\n",
        "M-POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nMan: \"http://www.dmtf.org/cim/mapping/http/v1.0\"; ns=48\r\n48-CIMOperation: MethodCall\r\nContent-Length: 3\r\n\r\nabc",
        "GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ]));
    Ok(all
        .into_iter()
        .flat_map(|request| {
            [(255, 0), (7, 5), (64, 3)].map(|(cut, mode)| prefixed(&[cut, mode], &request))
        })
        .collect())
}

/// A byte that cuts the input, then responses.
pub fn http_responses() -> Result<Vec<Vec<u8>>> {
    let all = lines(&[
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ]);
    Ok(all.iter().map(|one| prefixed(&[9], one)).collect())
}

/// Authorization values.
pub fn authorizations() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        "Basic dTpw",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "basic  w6Q6w7Y=",
        "Digest username=\"x\"",
    ]))
}

/// Bodies of captured CIM-XML requests.
pub fn requests() -> Result<Vec<Vec<u8>>> {
    let bodies = captured()?.into_iter().filter_map(|message| {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
        Some(message.get(end + 4..)?.to_vec())
    });
    Ok(bodies.collect())
}

/// A CIMObject header, a zero byte, and a request.
pub fn headers_and_requests() -> Result<Vec<Vec<u8>>> {
    let headers: [&[u8]; 2] = [
        b"root/cimv2:CIM_ComputerSystem.Name=\"vm%31\"\0",
        b"root%2Fcimv2\0",
    ];
    let all = requests()?;
    Ok(all
        .iter()
        .flat_map(|body| headers.map(|header| prefixed(header, body)))
        .collect())
}

/// CIM-XML responses with every kind of content.
pub fn responses() -> Result<Vec<Vec<u8>>> {
    let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.4\">\
                <MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.4\">";
    let simple = |kind: &str, content: &str| {
        format!(
            "{head}<SIMPLERSP><{kind} NAME=\"M\">{content}</{kind}></SIMPLERSP></MESSAGE></CIM>"
        )
    };
    let path = "<NAMESPACEPATH><HOST>h</HOST><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"n\"/>\
                </LOCALNAMESPACEPATH></NAMESPACEPATH>";
    let name = "<INSTANCENAME CLASSNAME=\"C\"><KEYBINDING NAME=\"k\"><KEYVALUE VALUETYPE=\"numeric\" \
                TYPE=\"uint16\">7</KEYVALUE></KEYBINDING><KEYBINDING NAME=\"l\"><VALUE.REFERENCE><CLASSPATH>\
                <NAMESPACEPATH><HOST>h</HOST><LOCALNAMESPACEPATH><NAMESPACE NAME=\"n\"/></LOCALNAMESPACEPATH>\
                </NAMESPACEPATH><CLASSNAME NAME=\"D\"/></CLASSPATH></VALUE.REFERENCE></KEYBINDING></INSTANCENAME>";
    let class = "<CLASS NAME=\"C\" SUPERCLASS=\"B\"><QUALIFIER NAME=\"Q\" TYPE=\"sint8\" TOSUBCLASS=\"false\" \
                 OVERRIDABLE=\"true\" PROPAGATED=\"true\"><VALUE>-1</VALUE></QUALIFIER><PROPERTY NAME=\"p\" \
                 TYPE=\"char16\" CLASSORIGIN=\"B\"><VALUE>x</VALUE></PROPERTY><PROPERTY.REFERENCE NAME=\"r\" \
                 REFERENCECLASS=\"D\"/><METHOD NAME=\"m\" TYPE=\"uint32\"><PARAMETER NAME=\"a\" TYPE=\"string\"/>\
                 <PARAMETER.ARRAY NAME=\"b\" TYPE=\"datetime\" ARRAYSIZE=\"4\"/><PARAMETER.REFERENCE NAME=\"c\"/>\
                 <PARAMETER.REFARRAY NAME=\"d\" REFERENCECLASS=\"C\"/></METHOD></CLASS>";
    let instance = "<INSTANCE CLASSNAME=\"C\"><PROPERTY NAME=\"a\" TYPE=\"real64\"><VALUE>-1.5E3</VALUE></PROPERTY>\
                    <PROPERTY NAME=\"e\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>&lt;INSTANCE \
                    CLASSNAME=&quot;D&quot;/&gt;</VALUE></PROPERTY><PROPERTY.ARRAY NAME=\"b\" TYPE=\"datetime\">\
                    <VALUE.ARRAY><VALUE>20240229235959.123456+060</VALUE><VALUE.NULL/></VALUE.ARRAY>\
                    </PROPERTY.ARRAY><PROPERTY.REFERENCE NAME=\"r\"><VALUE.REFERENCE><LOCALCLASSPATH>\
                    <LOCALNAMESPACEPATH><NAMESPACE NAME=\"n\"/></LOCALNAMESPACEPATH><CLASSNAME NAME=\"D\"/>\
                    </LOCALCLASSPATH></VALUE.REFERENCE></PROPERTY.REFERENCE></INSTANCE>";
    let all = [
        simple(
            "IMETHODRESPONSE",
            &format!("<ERROR CODE=\"4\" DESCRIPTION=\"no\">{instance}</ERROR>"),
        ),
        simple(
            "IMETHODRESPONSE",
            &format!(
                "<IRETURNVALUE><VALUE.INSTANCEWITHPATH><INSTANCEPATH>{path}{name}</INSTANCEPATH>{instance}\
                 </VALUE.INSTANCEWITHPATH></IRETURNVALUE><PARAMVALUE NAME=\"EndOfSequence\" PARAMTYPE=\"boolean\">\
                 <VALUE>TRUE</VALUE></PARAMVALUE><PARAMVALUE NAME=\"EnumerationContext\"/>"
            ),
        ),
        simple(
            "IMETHODRESPONSE",
            &format!(
                "<IRETURNVALUE><VALUE.NAMEDINSTANCE>{name}{instance}</VALUE.NAMEDINSTANCE></IRETURNVALUE>"
            ),
        ),
        simple(
            "IMETHODRESPONSE",
            &format!("<IRETURNVALUE>{name}{name}</IRETURNVALUE>"),
        ),
        simple(
            "IMETHODRESPONSE",
            &format!("<IRETURNVALUE>{class}</IRETURNVALUE>"),
        ),
        simple(
            "IMETHODRESPONSE",
            &format!(
                "<IRETURNVALUE><VALUE.OBJECTWITHPATH><CLASSPATH>{path}<CLASSNAME NAME=\"C\"/></CLASSPATH>{class}\
                 </VALUE.OBJECTWITHPATH><OBJECTPATH><INSTANCEPATH>{path}{name}</INSTANCEPATH></OBJECTPATH>\
                 </IRETURNVALUE>"
            ),
        ),
        simple(
            "IMETHODRESPONSE",
            "<IRETURNVALUE><QUALIFIER.DECLARATION NAME=\"Q\" TYPE=\"sint8\" ISARRAY=\"true\" ARRAYSIZE=\"2\">\
             <SCOPE CLASS=\"true\" METHOD=\"false\"/><VALUE.ARRAY/></QUALIFIER.DECLARATION></IRETURNVALUE>",
        ),
        simple(
            "METHODRESPONSE",
            &format!(
                "<RETURNVALUE PARAMTYPE=\"uint32\"><VALUE>4096</VALUE></RETURNVALUE><PARAMVALUE NAME=\"Job\" \
                 PARAMTYPE=\"reference\"><VALUE.REFERENCE>{name}</VALUE.REFERENCE></PARAMVALUE>\
                 <PARAMVALUE NAME=\"A\" PARAMTYPE=\"string\"><VALUE.ARRAY><VALUE>a</VALUE></VALUE.ARRAY></PARAMVALUE>"
            ),
        ),
        format!(
            "{head}<SIMPLEEXPRSP><EXPMETHODRESPONSE NAME=\"ExportIndication\"><IRETURNVALUE/></EXPMETHODRESPONSE>\
             </SIMPLEEXPRSP></MESSAGE></CIM>"
        ),
    ];
    Ok(all.into_iter().map(String::into_bytes).collect())
}

/// Embedded objects, one inside another.
pub fn embedded_objects() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        "<INSTANCE CLASSNAME=\"C\"><QUALIFIER NAME=\"Q\" TYPE=\"boolean\"><VALUE>true</VALUE></QUALIFIER><PROPERTY \
         NAME=\"a\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>&lt;INSTANCE CLASSNAME=&quot;D&quot;/&gt;\
         </VALUE></PROPERTY></INSTANCE>",
        "<CLASS NAME=\"C\"><PROPERTY.REFERENCE NAME=\"r\"/><METHOD NAME=\"m\" TYPE=\"uint8\"/></CLASS>",
        "<INSTANCE CLASSNAME=\"C\"><PROPERTY.ARRAY NAME=\"a\" TYPE=\"string\" EmbeddedObject=\"object\"><VALUE.ARRAY>\
         <VALUE><![CDATA[<CLASS NAME=\"D\"/>]]></VALUE><VALUE.NULL/></VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>",
    ]))
}

/// WBEM URIs.
pub fn uris() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        r#"//host:5989/root/cimv2:CIM_A.B="c\"d",E=5,F=TRUE,G='x'"#,
        r#"/root/cimv2:CIM_A.Ref="n:B.k=\"v\"""#,
        "root/cimv2:CIM_A",
        "https://h/n:C.x=1.5e3,y=-INF,z=0x7F",
        "//[::1]:5988/n:C.d=\"20240229235959.123456+060\"",
        "n:C.\"v\"",
    ]))
}

/// Datetimes.
pub fn datetimes() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        "20240229235959.123456+060",
        "00000001******.******:000",
        "2024**********.******-300",
        "99999999235959.999999:000",
        "20240229235959.1234**-000",
    ]))
}

/// Literals.
pub fn literals() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        "TRUE",
        "false",
        "-128",
        "0xFF",
        "0101b",
        "017",
        "1.5e3",
        "-INF",
        "NaN",
        "ä",
        "18446744073709551615",
        "-9223372036854775808",
        "4.9e-324",
        "20240229235959.123456+060",
    ]))
}

/// The shorter files of the schema, and a text with all that MOF has.
pub fn mof_files() -> Result<Vec<Vec<u8>>> {
    let mut all = files("mgmt/cim/schema/mof", "mof")?;
    all.extend(lines(&[
        "#pragma locale(\"en_US\")\n/* c */ // d\nQualifier Key : boolean = false, Scope(property, reference), \
         Flavor(DisableOverride, ToSubclass);\nQualifier Values : string[], Scope(any), Flavor(EnableOverride);\n\
         [Values{\"a\", \"b\" \"c\"}] class A { [key] string k = \"\\x41\\n\"; uint8 u[3] = {1, 0x2, 011b}; real32 r \
         = -1.5e3; char16 c = 'x'; datetime d; boolean b = null; uint32 m([IN] A ref a, uint8 z[]); };\n\
         class B : A { };\n[Association] class R { A ref l; A ref r; };\n\
         instance of A as $X { k = \"v\"; u = {1, 2}; };\ninstance of R { l = $X; r = \"n:A.k=\\\"v\\\"\"; };",
    ]));
    Ok(all)
}

/// Queries and patterns.
pub fn queries() -> Result<Vec<Vec<u8>>> {
    Ok(lines(&[
        "SELECT * FROM CIM_ComputerSystem",
        "SELECT * FROM Event WITHIN 10 WHERE SourceInstance ISA \"System\" AND NOT (a = 1 OR b <> 'x')",
        "SELECT Name, System.RequestedState, Status[1] AS Second, ClassName() FROM System s",
        "SELECT a.Name, b[0] AS c FROM System a WHERE NOT (x.S::y[1] >= -1.5e3 OR ANY z IN q SATISFIES (z = 0x7F))",
        "SELECT * FROM System WHERE Name LIKE 'a(b|c)*[^d-f]{2,3}.+' AND Name IS NOT NULL",
        "SourceInstance.CIM_System::EnabledState <> PreviousInstance.CIM_System::EnabledState",
        "UpperCase(Name) = \"X\" AND EVERY i IN Status[*] SATISFIES (i < 5)",
        "a%b_c[0-9]^%",
        "((a|b)+c?)*\\.[\\]\\-x]{0,9}",
    ]))
}

fn captured() -> Result<Vec<Vec<u8>>> {
    files("mgmt/cim/xml/tests/requests", "http")
}

fn lines(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn prefixed(prefix: &[u8], data: &[u8]) -> Vec<u8> {
    [prefix, data].concat()
}

/// The files below `folder` of the checkout whose names end in `.extension`, in a fixed order.
fn files(folder: &str, extension: &str) -> Result<Vec<Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = Vec::new();
    collect(&root.join(folder), extension, &mut paths)?;
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if bytes.len() <= LONGEST {
            all.push(bytes);
        }
    }
    Ok(all)
}

fn collect(folder: &Path, extension: &str, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, paths)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
    Ok(())
}
