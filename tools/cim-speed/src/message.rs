//! The requests that are measured, as HTTP messages.

use anyhow::{Context, Result};
use cim_http::{ClientRequest, Credentials};
use cim_xml::{CimHeaders, parse_request};

/// Instances in one answer to a pull.
pub const PULLED: usize = 100;

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Message(pub Vec<u8>);

/// Makes messages for one account.
#[derive(Debug, Clone)]
pub struct Composer {
    host: String,
    authorization: String,
}

impl Composer {
    /// Messages to `host` from a user.
    pub fn new(host: &str, user: &str, password: &str) -> Self {
        let credentials = Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        Self {
            host: host.to_owned(),
            authorization: credentials.to_authorization(),
        }
    }

    /// An operation in a namespace with parameters in CIM-XML.
    ///
    /// # Errors
    /// The parameters are no CIM-XML.
    pub fn message(
        &self,
        namespace: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Message> {
        let names: String = namespace
            .split('/')
            .map(|name| format!("<NAMESPACE NAME=\"{name}\"/>"))
            .collect();
        let parameters: String = parameters
            .iter()
            .map(|(name, value)| format!("<IPARAMVALUE NAME=\"{name}\">{value}</IPARAMVALUE>"))
            .collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" \
             PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"{operation}\"><LOCALNAMESPACEPATH>{names}\
             </LOCALNAMESPACEPATH>{parameters}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
        );
        let request = parse_request(body.as_bytes()).context("a request of ours is no CIM-XML")?;
        let headers = CimHeaders::for_request(&request);
        let mut http = ClientRequest::new("POST", "/cimom", &self.host)
            .with("Authorization", self.authorization.as_str());
        for (name, value) in headers.fields() {
            http = http.with(name, value);
        }
        let mut bytes = Vec::new();
        http.write(&mut bytes, body.as_bytes());
        Ok(Message(bytes))
    }

    /// GetInstance of the virtual system vm1 of the demonstration world.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn get_instance(&self) -> Result<Message> {
        self.message("root/cimv2", "GetInstance", &[("InstanceName", SYSTEM)])
    }

    /// All processors at once.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn enumerate(&self) -> Result<Message> {
        self.message(
            "root/cimv2",
            "EnumerateInstances",
            &[("ClassName", PROCESSOR)],
        )
    }

    /// The processors of vm1.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn associators(&self) -> Result<Message> {
        let association = "<CLASSNAME NAME=\"CIM_SystemDevice\"/>";
        self.message(
            "root/cimv2",
            "Associators",
            &[("ObjectName", SYSTEM), ("AssocClass", association)],
        )
    }

    /// The first processors of an enumeration.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn open(&self) -> Result<Message> {
        let count = format!("<VALUE>{PULLED}</VALUE>");
        self.message(
            "root/cimv2",
            "OpenEnumerateInstances",
            &[("ClassName", PROCESSOR), ("MaxObjectCount", &count)],
        )
    }

    /// The next ones of the enumeration that `answer` began or went on with; `None` at its end.
    ///
    /// # Errors
    /// The answer is none to a pull.
    pub fn pull(&self, answer: &[u8]) -> Result<Option<Message>> {
        let text = String::from_utf8_lossy(answer);
        if parameter(&text, "EndOfSequence").is_some_and(|end| end.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let context = parameter(&text, "EnumerationContext")
            .with_context(|| format!("no pull can follow {}", text.get(..600).unwrap_or(&text)))?;
        let context = format!("<VALUE>{context}</VALUE>");
        let count = format!("<VALUE>{PULLED}</VALUE>");
        let parameters = [
            ("EnumerationContext", context.as_str()),
            ("MaxObjectCount", &count),
        ];
        self.message("root/cimv2", "PullInstancesWithPath", &parameters)
            .map(Some)
    }
}

const PROCESSOR: &str = "<CLASSNAME NAME=\"CIM_Processor\"/>";
const SYSTEM: &str = "<INSTANCENAME CLASSNAME=\"CIM_ComputerSystem\"><KEYBINDING NAME=\"CreationClassName\"><KEYVALUE \
                      VALUETYPE=\"string\">CIM_ComputerSystem</KEYVALUE></KEYBINDING><KEYBINDING NAME=\"Name\">\
                      <KEYVALUE VALUETYPE=\"string\">vm1</KEYVALUE></KEYBINDING></INSTANCENAME>";

/// The text of an output parameter.
fn parameter<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(&format!("<PARAMVALUE NAME=\"{name}\""))?;
    let (element, _) = rest.split_once("</PARAMVALUE>")?;
    let (_, rest) = element.split_once("<VALUE>")?;
    rest.split_once("</VALUE>").map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_parameters_are_found() {
        let answer = "<PARAMVALUE NAME=\"A\" PARAMTYPE=\"string\"><VALUE>x</VALUE></PARAMVALUE><PARAMVALUE \
                      NAME=\"B\"/><PARAMVALUE NAME=\"C\"><VALUE>y</VALUE></PARAMVALUE>";
        assert_eq!(parameter(answer, "A"), Some("x"));
        assert_eq!(parameter(answer, "C"), Some("y"));
        assert_eq!(parameter(answer, "D"), None);
    }

    #[test]
    fn a_pull_ends_with_the_sequence() {
        let composer = Composer::new("h", "u", "p");
        let end = "<PARAMVALUE NAME=\"EndOfSequence\"><VALUE>TRUE</VALUE></PARAMVALUE>";
        assert!(composer.pull(end.as_bytes()).unwrap().is_none());
        assert!(composer.pull(b"<ERROR/>").is_err());
        let more = "<PARAMVALUE NAME=\"EnumerationContext\"><VALUE>7</VALUE></PARAMVALUE>";
        assert!(composer.pull(more.as_bytes()).unwrap().is_some());
    }
}
