//! The names a server goes by: what stands in its certificate; pure.

use std::{fmt, net::IpAddr, str::FromStr};

use rustls::pki_types::DnsName;

/// A DNS name or an address that clients use for the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    Dns(String),
    Ip(IpAddr),
}

/// Neither a DNS name nor an address.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a DNS name nor an IP address")]
pub struct BadName(String);

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let dns = text.to_ascii_lowercase();
        match DnsName::try_from(dns.as_str()) {
            Ok(_) => Ok(Self::Dns(dns)),
            Err(_) => Err(BadName(text.to_owned())),
        }
    }
}

impl From<IpAddr> for Name {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_taken_for_a_dns_name() {
        assert_eq!("127.0.0.1".parse::<Name>().unwrap(), Name::Ip([127, 0, 0, 1].into()));
        assert_eq!("::1".parse::<Name>().unwrap(), Name::Ip("::1".parse().unwrap()));
    }

    #[test]
    fn dns_names_compare_without_case() {
        assert_eq!("Webhook.NS.svc".parse::<Name>().unwrap(), Name::Dns("webhook.ns.svc".into()));
    }

    #[test]
    fn what_no_certificate_can_hold_is_refused_by_name() {
        let refused = "not a name".parse::<Name>().unwrap_err();
        assert_eq!(refused.to_string(), "\"not a name\" is neither a DNS name nor an IP address");
    }
}
