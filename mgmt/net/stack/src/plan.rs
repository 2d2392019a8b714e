//! How the partition gets its IPv4 address.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

/// Where the address comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AddressPlan {
    /// A DHCP server gives it.
    #[default]
    Dhcp,
    /// The operator gave it.
    Static {
        /// The partition's address.
        address: Ipv4Addr,
        /// Length of the network's prefix, 0 to 32.
        prefix: u8,
        /// The router to other networks.
        gateway: Option<Ipv4Addr>,
    },
}

/// What is wrong with an address plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanError;

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip= needs dhcp or ADDRESS/PREFIX or ADDRESS/PREFIX,GATEWAY, as in ip=192.0.2.7/24,192.0.2.1")
    }
}

impl FromStr for AddressPlan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        if text == "dhcp" {
            return Ok(AddressPlan::Dhcp);
        }
        let (address, gateway) = match text.split_once(',') {
            Some((address, gateway)) => (address, Some(gateway)),
            None => (text, None),
        };
        let (address, prefix) = address.split_once('/').ok_or(PlanError)?;
        let address: Ipv4Addr = address.parse().map_err(|_| PlanError)?;
        let prefix: u8 = prefix.parse().map_err(|_| PlanError)?;
        let usable =
            !(address.is_unspecified() || address.is_multicast() || address.is_broadcast());
        if prefix > 32 || !usable {
            return Err(PlanError);
        }
        let gateway = gateway.map(|text| text.parse().map_err(|_| PlanError));
        Ok(AddressPlan::Static {
            address,
            prefix,
            gateway: gateway.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_parsed() {
        assert_eq!("dhcp".parse(), Ok(AddressPlan::Dhcp));
        assert_eq!(
            "192.0.2.7/24,192.0.2.1".parse(),
            Ok(AddressPlan::Static {
                address: Ipv4Addr::new(192, 0, 2, 7),
                prefix: 24,
                gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
            })
        );
        assert!(matches!(
            "192.0.2.7/32".parse(),
            Ok(AddressPlan::Static { gateway: None, .. })
        ));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "192.0.2.7",
            "192.0.2.7/33",
            "192.0.2.7/24,",
            "224.0.0.1/4",
            "a/8",
        ] {
            assert_eq!(text.parse::<AddressPlan>(), Err(PlanError), "{text}");
        }
    }
}
