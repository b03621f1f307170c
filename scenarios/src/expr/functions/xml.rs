//! XML: the text or an attribute of the first element on a path.

use super::{Function, bytes, fixed, string};
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::value::Value;
use crate::expr::xml_path;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("XMLGetNodeValue", 2, |frame, a| {
        look_up(frame, "XMLGetNodeValue", a, |element| {
            Some(xml_path::leading_text(element))
        })
    }),
    fixed("XMLGetAttributeValue", 3, |frame, a| {
        let name = string("XMLGetAttributeValue", &a[2])?;
        look_up(frame, "XMLGetAttributeValue", a, |element| {
            xml_path::attribute(element, &name).map(str::to_owned)
        })
    }),
];

/// Nothing where the XML or the path is broken, or nothing is found.
fn look_up<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    read: impl FnOnce(roxmltree::Node<'_, '_>) -> Option<String>,
) -> Evaluated<'a> {
    let (text, path) = (
        string(function, &arguments[0])?,
        string(function, &arguments[1])?,
    );
    let text_bytes = bytes(function, &arguments[0])?.len();
    // A tree of nodes is larger than its text.
    frame.work(1 + text_bytes)?;
    let options = roxmltree::ParsingOptions {
        nodes_limit: xml_path::NODES_MAX,
        ..Default::default()
    };
    let Ok(document) = roxmltree::Document::parse_with_options(&text, options) else {
        return Ok(Value::from(""));
    };
    match xml_path::find(document.root(), &path).and_then(read) {
        Some(found) => frame.text(found.into_bytes()),
        None => Ok(Value::from("")),
    }
}
