//! Attributes within attributes.
#![no_main]

use libcontainer_netlink::{Attributes, LinkView, RouteView, reading};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reading::attributes(bytes, 8);
    let total: usize = Attributes::new(bytes).map(|attribute| attribute.value.len() + 4).sum();
    assert!(total <= bytes.len());
    if let Ok(view) = LinkView::parse(bytes) {
        let link = view.to_link();
        // What is kept is what came, in its order.
        let mut came = view.attributes();
        assert!(link.unknown().all(|kept| came.any(|attribute| attribute == kept)));
    }
    if let Ok(Some(view)) = RouteView::parse(bytes) {
        let route = view.to_route();
        let mut came = view.attributes();
        assert!(route.unknown().all(|kept| came.any(|attribute| attribute == kept)));
        assert!(view.attributes().count() < 2 || view.hops().len() <= bytes.len() / 8);
    }
});
