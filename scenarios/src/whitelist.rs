//! Allowlists inside rules (`whitelist:`): lines that are understood and harmless.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use lymph_protocol::{Timestamp, canonical_address};

use crate::data::DataFiles;
use crate::document::{LoadError, Text, WhitelistDocument, line_of};
use crate::event::{Event, Keys, Kind, Slot, parse_address};
use crate::expr::{Env, Expr, Globals, StashRead};
use crate::scenario::compile_expression;

/// One `whitelist:` block.
#[derive(Clone, Debug)]
pub(crate) struct Whitelist {
    reason: Arc<str>,
    nets: Vec<IpNet>,
    expressions: Vec<Expr>,
}

impl Whitelist {
    pub(crate) fn compile(
        file: &str,
        document: &WhitelistDocument,
        keys: &mut Keys,
        data: &DataFiles,
    ) -> Result<Whitelist, LoadError> {
        let address = |text: &Text| {
            let address: IpAddr = text.value.trim().parse().map_err(|_| {
                LoadError::new(
                    file,
                    line_of(text),
                    "whitelist.ip",
                    format!("{:?} is not an address", text.value),
                )
            })?;
            Ok(IpNet::from(canonical_address(address)))
        };
        let net = |text: &Text| {
            text.value
                .trim()
                .parse::<IpNet>()
                .map(|net| net.trunc())
                .map_err(|_| {
                    LoadError::new(
                        file,
                        line_of(text),
                        "whitelist.cidr",
                        format!("{:?} is not a network", text.value),
                    )
                })
        };
        let mut nets = document
            .ip
            .iter()
            .map(address)
            .collect::<Result<Vec<_>, LoadError>>()?;
        nets.extend(
            document
                .cidr
                .iter()
                .map(net)
                .collect::<Result<Vec<_>, LoadError>>()?,
        );
        let mut expressions = Vec::new();
        for text in &document.expression {
            let key = "whitelist.expression";
            expressions.push(compile_expression(
                file,
                text,
                key,
                Globals::Parser,
                keys,
                data,
            )?);
        }
        Ok(Whitelist {
            reason: document.reason.clone().unwrap_or_default().into(),
            nets,
            expressions,
        })
    }

    /// Whether it names anything at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.nets.is_empty() && self.expressions.is_empty()
    }

    /// Mark the event if it is listed. Whether it is.
    pub(crate) fn apply(
        &self,
        event: &mut Event,
        now: Timestamp,
        stash: &dyn StashRead,
        source_ip: Slot,
    ) -> bool {
        let env = Env::of(event, now).with_stash(stash);
        let listed = self.lists_address(event, source_ip)
            || self
                .expressions
                .iter()
                .any(|expression| expression.eval_bool(&env) == Ok(true));
        if listed && event.whitelisted.is_none() {
            event.whitelisted = Some(Arc::clone(&self.reason));
        }
        listed
    }

    fn lists_address(&self, event: &Event, source_ip: Slot) -> bool {
        if self.nets.is_empty() {
            return false;
        }
        let listed = |address: IpAddr| self.nets.iter().any(|net| net.contains(&address));
        match &event.kind {
            Kind::Log => parse_address(event.field(source_ip)).is_some_and(listed),
            Kind::Overflow(overflow) => {
                let mut addresses = overflow
                    .attackers
                    .iter()
                    .map(|attacker| attacker.address.is_some_and(listed));
                !overflow.attackers.is_empty() && addresses.all(|listed| listed)
            }
        }
    }
}
