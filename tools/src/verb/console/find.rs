//! Asks the CIM server where the console of a system is.
//!
//! The system is found by its ElementName, its CIM_TextRedirectionSAP by the key SystemName, and the TCP port is that of
//! the CIM_TCPProtocolEndpoint with which the access point is associated (DSP1024).

use anyhow::{Context, Result, anyhow, bail, ensure};
use cim_http::{ClientEvent, ClientRequest, Credentials, Limits, ResponseReader};
use cim_model::{Instance, InstancePath, NamespaceName, Value};
use cim_xml::{Call, Item, Outcome, ParamValue, Request, parse_response, write_request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const NAMESPACE: &str = "root/cimv2";
const PATIENCE: Duration = Duration::from_secs(60);
const DEFAULT_PORT: u16 = 5988;

/// A CIM server and an account of it.
pub struct Server {
    host: String,
    port: u16,
    authorization: String,
}

impl Server {
    /// The server at this URL.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let authority = rest.split('/').next().unwrap_or_default();
        // The colons of an IPv6 address are in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse();
                (host, port.with_context(|| format!("{url} has no port"))?)
            }
            _ => (authority, DEFAULT_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ensure!(
            !host.is_empty() && !url.starts_with("https:"),
            "{url} is no URL of a CIM server: it is like http://127.0.0.1:5988"
        );
        let credentials = Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            authorization: credentials.to_authorization(),
        })
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port of the console of the system with this ElementName, or Name.
    pub fn console_port(&self, system: &str) -> Result<u16> {
        let systems = self.enumerate("CIM_ComputerSystem")?;
        let id = system_name(&systems, system)?;
        let consoles = self.enumerate("CIM_TextRedirectionSAP")?;
        let path = consoles
            .iter()
            .filter_map(|console| console.path.as_ref())
            .find(|path| key(path, "SystemName") == id)
            .with_context(|| format!("the system {system} has no console"))?;
        let endpoints = self.endpoints(path.clone())?;
        let port = endpoints.iter().find_map(port_number);
        port.with_context(|| {
            format!("the console of {system} cannot be reached now: is the system running?")
        })
    }

    fn enumerate(&self, class: &'static str) -> Result<Vec<Instance>> {
        let class = ParamValue::ClassName(class.into());
        self.call("EnumerateInstances", vec![("ClassName", class)])
    }

    fn endpoints(&self, mut path: InstancePath) -> Result<Vec<Instance>> {
        path.namespace = None;
        path.host = None;
        let object = ParamValue::InstanceName(path);
        let class = ParamValue::ClassName("CIM_TCPProtocolEndpoint".into());
        let params = vec![("ObjectName", object), ("ResultClass", class)];
        self.call("Associators", params)
    }

    /// Carries out an operation that returns instances.
    fn call(
        &self,
        method: &'static str,
        params: Vec<(&'static str, ParamValue)>,
    ) -> Result<Vec<Instance>> {
        let params = params.into_iter();
        let call = Call::Intrinsic {
            method: method.into(),
            namespace: NamespaceName::from_static(NAMESPACE),
            params: params.map(|(name, value)| (name.into(), value)).collect(),
        };
        let mut body = Vec::new();
        write_request(&mut body, &Request::new("1", call))
            .map_err(|_| anyhow!("a request that cannot be written"))?;
        let answer = self.post(method, &body)?;
        let response = parse_response(&answer)
            .map_err(|error| anyhow!("the server's answer is no CIM-XML: {error}"))?;
        let items = match response.outcome {
            Ok(Outcome::Intrinsic { items, .. }) => items,
            Ok(_) => bail!("the server answers {method} with something else"),
            Err(error) => bail!("the server refuses {method}: {error}"),
        };
        let instances = items.into_iter().filter_map(|item| match item {
            Item::NamedInstance(instance) | Item::InstanceObject(instance) => Some(instance),
            _ => None,
        });
        Ok(instances.collect())
    }

    fn post(&self, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        let at = format!("{}:{}", self.host, self.port);
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))
            .with_context(|| format!("no CIM server answers at {at}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = Vec::new();
        ClientRequest::new("POST", "/cimom", &at)
            .with("Authorization", self.authorization.as_str())
            .with("Content-Type", "application/xml; charset=\"utf-8\"")
            .with("CIMOperation", "MethodCall")
            .with("CIMMethod", method)
            .with("CIMObject", NAMESPACE)
            .write(&mut request, body);
        stream.write_all(&request)?;
        let mut reader = ResponseReader::new(Limits {
            body: 64 << 20,
            ..Limits::default()
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match reader.poll()? {
                Some(ClientEvent::Head { status: 200, .. }) => {}
                Some(ClientEvent::Head { status: 401, .. }) => {
                    bail!("the CIM server at {at} does not accept this name and password")
                }
                Some(ClientEvent::Head { status, .. }) => {
                    bail!("the CIM server at {at} answers with HTTP status {status}")
                }
                Some(ClientEvent::Body(bytes)) => answer.extend_from_slice(bytes),
                Some(ClientEvent::End(_)) => return Ok(answer),
                None => match stream.read(&mut buffer)? {
                    0 => reader.push_end(),
                    count => reader.push(buffer.get(..count).unwrap_or_default()),
                },
            }
        }
    }
}

/// The Name of the system with this ElementName or Name.
fn system_name(systems: &[Instance], wanted: &str) -> Result<String> {
    let text = |system: &Instance, property: &str| {
        let value = system.get(property).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let mut found = systems.iter().filter(|system| {
        ["ElementName", "Name"]
            .iter()
            .any(|p| text(system, p) == wanted)
    });
    match (found.next(), found.next()) {
        (Some(system), None) => Ok(text(system, "Name")),
        (Some(_), Some(_)) => {
            bail!("several systems are called {wanted}: give the Name of one instead")
        }
        (None, _) => {
            let names: Vec<_> = systems.iter().map(|one| text(one, "ElementName")).collect();
            bail!(
                "there is no system called {wanted}, only {}",
                names.join(", ")
            )
        }
    }
}

fn key(path: &InstancePath, name: &str) -> String {
    let value = path.key(name).and_then(|key| key.as_str());
    value.unwrap_or_default().to_owned()
}

fn port_number(instance: &Instance) -> Option<u16> {
    let port = instance.get("PortNumber")?.as_u64()?;
    u16::try_from(port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_found_by_its_element_name_or_its_name() {
        let system = |name: &'static str, element: &'static str| {
            Instance::new("CIM_ComputerSystem")
                .with("Name", name)
                .with("ElementName", element)
        };
        let systems = [
            system("1", "web"),
            system("2", "db"),
            system("3", "twin"),
            system("4", "twin"),
        ];
        assert_eq!(system_name(&systems, "db").unwrap(), "2");
        assert_eq!(system_name(&systems, "4").unwrap(), "4");
        let twin = system_name(&systems, "twin").unwrap_err();
        assert!(twin.to_string().contains("several systems"), "{twin}");
        let none = system_name(&systems, "x").unwrap_err();
        assert!(none.to_string().contains("only web, db, twin"), "{none}");
    }
}
