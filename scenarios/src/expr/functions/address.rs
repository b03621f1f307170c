//! Addresses and networks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Function, bytes, fixed, string};
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("IsIP", 1, |_, a| {
        Ok(Value::Bool(address("IsIP", &a[0])?.is_some()))
    }),
    fixed("IsIPV4", 1, |_, a| {
        Ok(Value::Bool(
            address("IsIPV4", &a[0])?.is_some_and(|address| address.is_ipv4()),
        ))
    }),
    fixed("IsIPV6", 1, |_, a| {
        Ok(Value::Bool(
            address("IsIPV6", &a[0])?.is_some_and(|address| address.is_ipv6()),
        ))
    }),
    fixed("IpInRange", 2, |_, a| {
        let (address, range) = (address("IpInRange", &a[0])?, string("IpInRange", &a[1])?);
        let net = range.parse::<IpNet>().ok().map(canonical_net);
        Ok(Value::Bool(
            matches!((address, net), (Some(address), Some(net)) if net.contains(&address)),
        ))
    }),
    fixed("IpToRange", 2, ip_to_range),
    fixed("Distance", 4, distance),
];

/// The address, as IPv4 where it is one in IPv6's clothes, as Go compares them.
fn address(function: &'static str, of: &Value<'_>) -> Result<Option<IpAddr>, EvalError> {
    let text = bytes(function, of)?;
    let address = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() <= 45)
        .and_then(|text| text.parse().ok());
    Ok(address.map(|address: IpAddr| address.to_canonical()))
}

fn canonical_net(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(net) = IpNet::new(v4.into(), length)
    {
        return net;
    }
    net
}

/// The network of that many bits around an address; nothing if there is none.
fn ip_to_range<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let (address, bits) = (
        string("IpToRange", &arguments[0])?,
        string("IpToRange", &arguments[1])?,
    );
    let bits = bits.strip_prefix('/').unwrap_or(&bits);
    let net = match (address.parse::<IpAddr>(), bits.parse::<u8>()) {
        (Ok(address), Ok(bits)) => IpNet::new(address, bits).ok(),
        _ => None,
    };
    match net {
        Some(net) => frame.text(net.trunc().to_string().into_bytes()),
        None => Ok(Value::from("")),
    }
}

/// Kilometres between two points of the earth, 0 if one of them is 0,0: a place that nobody knows.
fn distance<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    let mut degrees = [0.0; 4];
    for (degrees, argument) in degrees.iter_mut().zip(arguments) {
        let text = bytes("Distance", argument)?;
        let Some(value) = super::number::parse_float(text) else {
            return Err(EvalError::argument(
                "Distance",
                format!("{:?} is no number", String::from_utf8_lossy(text)),
            ));
        };
        *degrees = value;
    }
    let [latitude, longitude, other_latitude, other_longitude] = degrees;
    if (latitude == 0.0 && longitude == 0.0) || (other_latitude == 0.0 && other_longitude == 0.0) {
        return Ok(Value::Float(0.0));
    }
    let (from, to) = (latitude.to_radians(), other_latitude.to_radians());
    let half_sine = |angle: f64| (angle / 2.0).sin().powi(2);
    let across = (other_longitude - longitude).to_radians();
    let a = half_sine(to - from) + from.cos() * to.cos() * half_sine(across);
    Ok(Value::Float(
        2.0 * EARTH_RADIUS_KM * a.sqrt().atan2((1.0 - a).sqrt()),
    ))
}
