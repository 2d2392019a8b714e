//! Entry points for fuzzers: each takes any bytes and must not panic. What was understood must come out the
//! same after writing and reading; that is checked on the bytes, because NaN is not equal to itself.
//!
//! Driven by the unit tests below with a seeded generator, and by the fuzzing tool.

use crate::{
    CimHeaders, Origin, Outcome, Reader, Response, ResponseWriter, Returns, Token, parse_embedded,
    parse_request, parse_response, write_error, write_export_response, write_method_response,
    write_request,
};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Tokenizes the bytes.
pub fn fuzz_tokens(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else {
        return;
    };
    let mut depth = 0usize;
    loop {
        match reader.next_token() {
            Ok(Token::Start(_)) => depth += 1,
            Ok(Token::End(_)) => depth -= 1,
            Ok(Token::Text(_)) => assert!(depth > 0, "text must be inside the root"),
            Ok(Token::Eof) => break,
            Err(error) => {
                assert!(
                    error.offset <= data.len(),
                    "the fault must be inside the message"
                );
                return;
            }
        }
    }
    assert_eq!(depth, 0, "a complete document has all its end tags");
}

/// Decodes the bytes as a request.
pub fn fuzz_request(data: &[u8]) {
    let request = match parse_request(data) {
        Ok(request) => request,
        Err(error) => {
            assert!(
                error.offset <= data.len(),
                "the fault must be inside the message"
            );
            return;
        }
    };
    let write = |request| {
        let mut bytes = Vec::new();
        assert!(
            write_request(&mut bytes, request).is_ok(),
            "a Vec takes all"
        );
        bytes
    };
    let first = write(&request);
    match parse_request(&first) {
        Ok(again) => assert_eq!(write(&again), first, "a request must survive"),
        Err(error) => assert!(data.is_empty(), "our own request is refused: {error}"),
    }
}

/// Decodes the bytes as a response.
pub fn fuzz_response(data: &[u8]) {
    let Ok(response) = parse_response(data) else {
        return;
    };
    let first = write(&response);
    match parse_response(&first) {
        Ok(again) => assert_eq!(write(&again), first, "a response must survive"),
        Err(error) => assert!(data.is_empty(), "our own response is refused: {error}"),
    }
}

fn write(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    let (id, method) = (&response.message_id, response.method.as_str());
    let written = match &response.outcome {
        Err(error) => write_error(&mut out, id, method, error),
        Ok(Outcome::Export) => write_export_response(&mut out, id, method, Ok(())),
        Ok(Outcome::Extrinsic { value, params }) => {
            write_method_response(&mut out, id, method, Ok((value.as_ref(), params)))
        }
        Ok(Outcome::Intrinsic { items, params }) => {
            let returns = if items.is_empty() {
                Returns::Nothing
            } else {
                Returns::Objects
            };
            let origin = Origin::new("h", "n");
            ResponseWriter::begin(&mut out, id, method, returns, origin).and_then(|writer| {
                items
                    .iter()
                    .try_for_each(|item| writer.item(&mut out, item.as_ref()))?;
                writer.finish(&mut out, params)
            })
        }
    };
    assert!(written.is_ok(), "a Vec takes all");
    out
}

/// Decodes the bytes as an embedded object.
pub fn fuzz_embedded(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        let _ = parse_embedded(text);
    }
}

/// Takes the bytes as a CIMObject header, then a zero byte, then a request.
pub fn fuzz_headers(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(header), Some(body)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(text) = core::str::from_utf8(header) else {
        return;
    };
    let headers = CimHeaders::collect(|_| Some(Cow::Borrowed(text)));
    let _ = headers.check_head();
    match parse_request(body) {
        Ok(request) => drop(headers.check_body(&request)),
        Err(error) => drop(headers.refuse_body(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A xorshift generator; deterministic, so a failure repeats.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    const WORDS: [&str; 40] = [
        "<",
        ">",
        "/>",
        "</",
        "&",
        "&lt;",
        "&#13;",
        "&#x0;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?p ?>",
        "<!DOCTYPE a>",
        "\"",
        "'",
        "=",
        " ",
        "\r\n",
        "\0",
        "\u{feff}",
        "ä",
        "<VALUE>",
        "</VALUE>",
        "<VALUE.NULL/>",
        "<VALUE.ARRAY>",
        "<INSTANCE CLASSNAME=\"C\">",
        "</INSTANCE>",
        "<KEYBINDING NAME=\"k\">",
        "<VALUE.REFERENCE>",
        " TYPE=\"uint8\"",
        " TYPE=\"real32\"",
        " EmbeddedObject=\"object\"",
        "NaN",
        " ISARRAY=\"true\"",
        " PARAMTYPE=\"instance\"",
        "-1",
        "0x7F",
        "<CLASS NAME=\"C\"/>",
        "/",
    ];

    fn mutate(seeds: &[Vec<u8>], rounds: usize, target: fn(&[u8])) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut data = seeds[round % seeds.len()].clone();
            for _ in 0..=random.below(4) {
                let at = random.below(data.len() + 1);
                match random.below(5) {
                    0 if at < data.len() => data[at] = random.below(256) as u8,
                    1 => {
                        let end = (at + random.below(40)).min(data.len());
                        data.drain(at..end);
                    }
                    2 => {
                        // Copy a piece from elsewhere: repeats elements and attributes.
                        let from = random.below(data.len() + 1);
                        let end = (from + random.below(120)).min(data.len());
                        let piece = data[from..end].to_vec();
                        data.splice(at..at, piece);
                    }
                    3 => data.truncate(at.max(1)),
                    _ => {
                        let word = WORDS[random.below(WORDS.len())].bytes();
                        data.splice(at..at, word);
                    }
                }
            }
            target(&data);
        }
    }

    fn requests() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests");
        let mut bodies = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let end = bytes
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap();
            bodies.push(bytes[end + 4..].to_vec());
        }
        // The order of a directory is not fixed, but the run must be.
        bodies.sort();
        bodies
    }

    fn responses() -> Vec<Vec<u8>> {
        let wrap = |kind: &str, content: &str| {
            format!(
                "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.4\"><MESSAGE ID=\"1\" \
                 PROTOCOLVERSION=\"1.4\"><SIMPLERSP><{kind} NAME=\"M\">{content}</{kind}></SIMPLERSP>\
                 </MESSAGE></CIM>"
            )
            .into_bytes()
        };
        vec![
            wrap(
                "IMETHODRESPONSE",
                "<ERROR CODE=\"4\" DESCRIPTION=\"no\"><INSTANCE CLASSNAME=\"CIM_Error\"/></ERROR>",
            ),
            wrap(
                "IMETHODRESPONSE",
                "<IRETURNVALUE><VALUE.INSTANCEWITHPATH><INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>\
                 <LOCALNAMESPACEPATH><NAMESPACE NAME=\"n\"/></LOCALNAMESPACEPATH></NAMESPACEPATH>\
                 <INSTANCENAME CLASSNAME=\"C\"><KEYBINDING NAME=\"k\"><KEYVALUE VALUETYPE=\"numeric\" \
                 TYPE=\"real32\">NaN</KEYVALUE></KEYBINDING></INSTANCENAME></INSTANCEPATH>\
                 <INSTANCE CLASSNAME=\"C\"><PROPERTY NAME=\"a\" TYPE=\"real64\"><VALUE>NaN</VALUE></PROPERTY>\
                 <PROPERTY.ARRAY NAME=\"b\" TYPE=\"string\" EmbeddedObject=\"object\"><VALUE.ARRAY>\
                 <VALUE>&lt;CLASS NAME=\"D\"/&gt;</VALUE><VALUE.NULL/></VALUE.ARRAY></PROPERTY.ARRAY>\
                 </INSTANCE></VALUE.INSTANCEWITHPATH></IRETURNVALUE><PARAMVALUE NAME=\"EndOfSequence\" \
                 PARAMTYPE=\"boolean\"><VALUE>TRUE</VALUE></PARAMVALUE>",
            ),
            wrap(
                "METHODRESPONSE",
                "<RETURNVALUE PARAMTYPE=\"uint32\"><VALUE>4096</VALUE></RETURNVALUE><PARAMVALUE NAME=\"Job\" \
                 PARAMTYPE=\"reference\"><VALUE.REFERENCE><INSTANCENAME CLASSNAME=\"J\"><VALUE.REFERENCE>\
                 <CLASSNAME NAME=\"X\"/></VALUE.REFERENCE></INSTANCENAME></VALUE.REFERENCE></PARAMVALUE>",
            ),
            wrap(
                "IMETHODRESPONSE",
                "<IRETURNVALUE><CLASS NAME=\"C\" SUPERCLASS=\"B\"><QUALIFIER NAME=\"Q\" TYPE=\"sint8\" \
                 TOSUBCLASS=\"false\"><VALUE>-1</VALUE></QUALIFIER><PROPERTY NAME=\"p\" TYPE=\"char16\">\
                 <VALUE>x</VALUE></PROPERTY><METHOD NAME=\"m\" TYPE=\"uint32\"><PARAMETER.REFARRAY NAME=\"r\" \
                 REFERENCECLASS=\"C\"/></METHOD></CLASS><QUALIFIER.DECLARATION NAME=\"Q\" TYPE=\"sint8\" \
                 ISARRAY=\"true\"><SCOPE CLASS=\"true\"/><VALUE.ARRAY/></QUALIFIER.DECLARATION></IRETURNVALUE>",
            ),
        ]
    }

    #[test]
    fn mutated_requests() {
        let mut seeds = requests();
        mutate(&seeds, 20_000, fuzz_request);
        mutate(&seeds, 10_000, fuzz_tokens);
        for seed in &mut seeds {
            seed.splice(0..0, *b"root/cimv2:CIM_ComputerSystem.Name=\"vm%31\"\0");
        }
        mutate(&seeds, 5_000, fuzz_headers);
    }

    #[test]
    fn mutated_responses() {
        mutate(&responses(), 30_000, fuzz_response);
    }

    #[test]
    fn mutated_embedded_objects() {
        let seeds = [
            b"<INSTANCE CLASSNAME=\"C\"><PROPERTY NAME=\"a\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>\
              &lt;INSTANCE CLASSNAME=&quot;D&quot;/&gt;</VALUE></PROPERTY></INSTANCE>"
                .to_vec(),
            b"<CLASS NAME=\"C\"><PROPERTY.REFERENCE NAME=\"r\"/></CLASS>".to_vec(),
        ];
        mutate(&seeds, 10_000, fuzz_embedded);
    }
}
