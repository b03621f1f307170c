//! Paths to an element of an XML document: the part of XPath that Go's `etree` understands.
//!
//! `/a/b`, `//b`, `*`, `.`, `..`, and in brackets `n`, `@name`, `@name='value'`, `name`, `name='value'`,
//! `text()='value'`. Names are compared without their namespace unless the path has one.

use roxmltree::Node;

/// Most nodes of a document.
pub(super) const NODES_MAX: u32 = 65_536;

/// Most steps of a path.
const STEPS_MAX: usize = 64;

/// The first element that the path leads to.
pub(super) fn find<'d, 'i>(root: Node<'d, 'i>, path: &str) -> Option<Node<'d, 'i>> {
    let mut here = vec![root];
    let steps = steps(path)?;
    for step in &steps {
        let (select, filters) = parts(step)?;
        if select.is_empty() && filters.is_empty() {
            here = with_all_below(&here);
            continue;
        }
        let mut next = Vec::new();
        for node in here {
            let mut candidates = selected(node, select)?;
            for filter in &filters {
                candidates = filtered(candidates, filter)?;
            }
            next.extend(candidates);
        }
        // Two ways may lead to one element.
        next.sort_by_key(|node| node.id().get());
        next.dedup();
        here = next;
    }
    here.into_iter().find(Node::is_element)
}

/// Steps between slashes that stand outside of quotes and brackets; an empty one is for `//`.
fn steps(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (mut steps, mut start, mut quote, mut depth) = (Vec::new(), 0, None, 0_usize);
    for (at, c) in path.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) => {
                if c == open {
                    quote = None;
                }
            }
            ('[', None) => depth += 1,
            (']', None) => depth = depth.checked_sub(1)?,
            ('/', None) if depth == 0 => {
                steps.push(&path[start..at]);
                start = at + 1;
            }
            (_, None) => {}
        }
    }
    steps.push(&path[start..]);
    (quote.is_none() && depth == 0 && steps.len() <= STEPS_MAX).then_some(steps)
}

/// What a step selects, and its filters.
fn parts(step: &str) -> Option<(&str, Vec<&str>)> {
    let open = step.find('[').unwrap_or(step.len());
    let (select, mut rest) = step.split_at(open);
    let mut filters = Vec::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let close = closing(inner)?;
        filters.push(&inner[..close]);
        rest = &inner[close + 1..];
    }
    rest.is_empty().then_some((select, filters))
}

fn closing(inner: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (c, quote) {
            (']', None) => return Some(at),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// Between two slashes: these elements, which are in the document's order, and all below them, each once.
fn with_all_below<'d, 'i>(nodes: &[Node<'d, 'i>]) -> Vec<Node<'d, 'i>> {
    let mut all: Vec<Node<'d, 'i>> = Vec::new();
    for node in nodes {
        // What lies below one that was seen was seen with it.
        if all
            .last()
            .is_some_and(|last| node.id().get() <= last.id().get())
        {
            continue;
        }
        all.extend(
            node.descendants()
                .filter(|below| below.is_element() || below == node),
        );
    }
    all
}

fn selected<'d, 'i>(node: Node<'d, 'i>, select: &str) -> Option<Vec<Node<'d, 'i>>> {
    Some(match select {
        "." => vec![node],
        ".." => node.parent().into_iter().collect(),
        "*" => node.children().filter(Node::is_element).collect(),
        "" => return None,
        name => node
            .children()
            .filter(|child| child.is_element() && is_named(*child, name))
            .collect(),
    })
}

fn is_named(node: Node<'_, '_>, name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, name)) => {
            let namespace = node.tag_name().namespace();
            node.tag_name().name() == name
                && namespace.is_some()
                && namespace == node.lookup_namespace_uri(Some(prefix))
        }
        None => node.tag_name().name() == name,
    }
}

fn filtered<'d, 'i>(nodes: Vec<Node<'d, 'i>>, filter: &str) -> Option<Vec<Node<'d, 'i>>> {
    if let Ok(number) = filter.parse::<i64>() {
        let index =
            super::access::position(if number > 0 { number - 1 } else { number }, nodes.len());
        return Some(index.map(|index| nodes[index]).into_iter().collect());
    }
    let (key, value) = match filter.split_once('=') {
        Some((key, value)) => (key, Some(unquoted(value)?)),
        None => (filter, None),
    };
    let passes = |node: &Node<'d, 'i>| match key {
        key if key.starts_with('@') => attribute(*node, &key[1..])
            .is_some_and(|found| value.is_none_or(|value| found == value)),
        "text()" => {
            let text = leading_text(*node);
            value.map_or(!text.is_empty(), |value| text == value)
        }
        name => node.children().any(|child| {
            child.is_element()
                && is_named(child, name)
                && value.is_none_or(|value| leading_text(child) == value)
        }),
    };
    Some(nodes.into_iter().filter(passes).collect())
}

fn unquoted(value: &str) -> Option<&str> {
    let single = value
        .strip_prefix('\'')
        .and_then(|value| value.strip_suffix('\''));
    single.or_else(|| {
        value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
    })
}

/// The text between an element's tag and the first element in it.
pub(super) fn leading_text(node: Node<'_, '_>) -> String {
    let leading = node
        .children()
        .take_while(|child| child.is_text() || child.is_comment());
    leading
        .filter(Node::is_text)
        .filter_map(|child| child.text())
        .collect()
}

/// The attribute with that name.
pub(super) fn attribute<'d>(node: Node<'d, '_>, name: &str) -> Option<&'d str> {
    let name = name.rsplit(':').next().unwrap_or(name);
    node.attributes()
        .find(|attribute| attribute.name() == name)
        .map(|attribute| attribute.value())
}
