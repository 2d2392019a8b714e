//! The M-POST form (RFC 2774, DSP0200 7.2): CIM headers under a numeric prefix that the Man field declares.

use crate::refusal::Refusal;
use crate::request::RequestHead;
use crate::response::ResponseHead;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// The identifier of the CIM mapping in a Man field.
pub const CIM_EXTENSION: &str = "http://www.dmtf.org/cim/mapping/http/v1.0";

impl RequestHead {
    /// The header prefix, such as `73-`, that an M-POST request declares for the CIM extension; empty for a
    /// POST request.
    ///
    /// # Errors
    /// 510 when an M-POST request does not declare the CIM extension, or demands another one.
    pub fn cim_prefix(&self) -> Result<String, Refusal> {
        if &*self.method != "M-POST" {
            return Ok(String::new());
        }
        let mut prefix = None;
        for declaration in self.headers.all("Man").flat_map(|line| line.split(',')) {
            let mut parts = declaration.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().trim_matches('"');
            if name != CIM_EXTENSION {
                return Err(Refusal::new(
                    510,
                    "the request demands an unknown extension",
                ));
            }
            let number = parts.find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim()
                    .eq_ignore_ascii_case("ns")
                    .then(|| value.trim().trim_matches('"'))
            });
            // Without ns the headers are used as they are.
            let number = number.unwrap_or_default();
            let is_number = number.len() <= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number {
                return Err(Refusal::new(400, "the ns of the Man field is not a number"));
            }
            prefix = Some(if number.is_empty() {
                String::new()
            } else {
                format!("{number}-")
            });
        }
        prefix.ok_or(Refusal::new(
            510,
            "an M-POST request must declare the CIM extension",
        ))
    }

    /// The value of a CIM header under the prefix of [`RequestHead::cim_prefix`]. Fields without prefix
    /// (Content-Type and other standard ones) are looked up by their plain name.
    pub fn cim_header(&self, prefix: &str, name: &str) -> Option<Cow<'_, str>> {
        if prefix.is_empty() || !is_cim(name) {
            return self.headers.get(name);
        }
        self.headers.get(&format!("{prefix}{name}"))
    }
}

impl ResponseHead {
    /// Puts the CIM headers of an answer to an M-POST request under its prefix and adds the fields that RFC
    /// 2774 demands; nothing for a POST request (empty prefix and method).
    #[must_use]
    pub fn for_request(mut self, request: &RequestHead, prefix: &str) -> Self {
        if &*request.method != "M-POST" {
            return self;
        }
        if !prefix.is_empty() {
            for (name, _) in self.fields_mut() {
                if is_cim(name) {
                    *name = Cow::Owned(format!("{prefix}{name}"));
                }
            }
            let number = prefix.trim_end_matches('-');
            self = self.with("Man", format!("{CIM_EXTENSION};ns={number}"));
        }
        self.with("Ext", "")
    }
}

fn is_cim(name: &str) -> bool {
    name.get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("CIM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::request::parse_head;

    fn head(method: &str, fields: &str) -> RequestHead {
        let text =
            format!("{method} /cimom HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{fields}\r\n");
        parse_head(text.as_bytes(), &Limits::default()).unwrap().0
    }

    #[test]
    fn prefixed_headers_are_found() {
        for man in [
            "Man: http://www.dmtf.org/cim/mapping/http/v1.0;ns=73\r\n",
            "MAN: \"http://www.dmtf.org/cim/mapping/http/v1.0\" ; ns=73\r\n",
        ] {
            let head = head(
                "M-POST",
                &format!("{man}73-CIMOperation: MethodCall\r\nCIMMethod: x\r\n"),
            );
            let prefix = head.cim_prefix().unwrap();
            assert_eq!(prefix, "73-");
            assert_eq!(
                head.cim_header(&prefix, "CIMOperation").as_deref(),
                Some("MethodCall")
            );
            assert_eq!(head.cim_header(&prefix, "CIMMethod"), None);
            assert_eq!(head.cim_header(&prefix, "Host").as_deref(), Some("h"));
        }
        let plain = head("POST", "CIMOperation: MethodCall\r\n");
        assert_eq!(
            plain
                .cim_header(&plain.cim_prefix().unwrap(), "cimoperation")
                .as_deref(),
            Some("MethodCall")
        );
    }

    #[test]
    fn other_extensions_are_not_met() {
        let status = |fields: &str| head("M-POST", fields).cim_prefix().unwrap_err().status;
        assert_eq!(status(""), 510);
        assert_eq!(status("Man: http://example.org/;ns=1\r\n"), 510);
        assert_eq!(
            status("Man: http://www.dmtf.org/cim/mapping/http/v1.0;ns=x\r\n"),
            400
        );
    }

    #[test]
    fn answers_carry_the_prefix_too() {
        let request = head(
            "M-POST",
            "Man: http://www.dmtf.org/cim/mapping/http/v1.0;ns=73\r\n",
        );
        let answer = ResponseHead::new(200)
            .with("Content-Type", "application/xml")
            .with("CIMOperation", "MethodResponse")
            .for_request(&request, "73-");
        let fields: Vec<_> = answer.fields().collect();
        assert_eq!(
            fields,
            [
                ("Content-Type", "application/xml"),
                ("73-CIMOperation", "MethodResponse"),
                ("Man", "http://www.dmtf.org/cim/mapping/http/v1.0;ns=73"),
                ("Ext", ""),
            ]
        );
    }
}
