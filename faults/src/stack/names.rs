//! From the addresses on a stack to a site: a place in the code, which is the same in each process, each command and each program that is linked of it.

/// Between the functions of a site.
const BETWEEN: &str = " < ";

/// What is written here: a function that is named by one of these crates is ours.
const OURS: [&str; 4] = ["libcontainer", "nsinit", "library_host", "containerd_shim_nsinit"];
/// What the libraries of the language make for our types.
const GENERIC: [&str; 3] = ["_ZN4core", "_ZN5alloc", "_ZN3std"];

fn is_ours(symbol: &str) -> bool {
    let ours = OURS.iter().any(|name| symbol.contains(name));
    ours && !GENERIC.iter().any(|name| symbol.starts_with(name))
}

/// A function and a place in it; the name as the linker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) symbol: String,
    pub(super) within: u64,
}

/// A stack, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) frames: Vec<Frame>,
    /// It leads to the first function of its thread.
    pub(super) whole: bool,
}

/// The site of a stack, innermost first: what others wrote as one, then each function of ours. None if nothing of ours was found on a stack that was not
/// walked to its end.
pub(super) fn site(walked: &Walked) -> Option<String> {
    let first = walked.frames.iter().position(|frame| is_ours(&frame.symbol));
    let first = first.or(walked.whole.then_some(walked.frames.len()))?;
    let (others, rest) = walked.frames.split_at_checked(first)?;
    let others: Vec<_> = others.iter().map(text).collect();
    let ours = rest.iter().filter(|frame| is_ours(&frame.symbol)).map(text);
    Some([others.join("<")].into_iter().chain(ours).collect::<Vec<_>>().join(BETWEEN))
}

/// A site as far as its innermost modules, each with all of its functions: who calls a file of ours is told apart, and not by whom that is called.
pub(crate) fn innermost(site: &str, modules: usize) -> String {
    let mut parts = site.split(BETWEEN);
    let mut all = vec![parts.next().unwrap_or_default()];
    let (mut last, mut had) = (None, 0);
    for part in parts {
        let own = module(part);
        if last.as_ref() != Some(&own) {
            had += 1;
            last = Some(own);
        }
        if had > modules {
            break;
        }
        all.push(part);
    }
    all.join(BETWEEN)
}

/// The module of a function: `crate::dir` of `crate::dir::Dir::open` and of `crate::dir::open::{closure}`, as the linker writes them.
fn module(function: &str) -> String {
    let first = function.split("::").next().unwrap_or_default();
    let (mut path, named) = match first.trim_start_matches('_').strip_prefix("$LT$") {
        // A type that does something as a trait.
        Some(rest) => (rest.split('$').next().unwrap_or_default().split("..").collect::<Vec<_>>(), false),
        None => {
            let is_type = |part: &&str| part.starts_with(|first: char| first.is_uppercase() || first == '_');
            let path: Vec<_> = function.split("::").take_while(|part| !is_type(part)).collect();
            let next = function.split("::").nth(path.len()).unwrap_or_default();
            let of_type = !next.is_empty() && !next.starts_with("_$u7b$");
            (path, of_type)
        }
    };
    if !named {
        path.pop();
    }
    path.join("::")
}

fn text(frame: &Frame) -> String {
    format!("{}+{:#x}", name(&frame.symbol), frame.within)
}

/// `_ZN3std2fs4read17h0123456789abcdefE` is `std::fs::read`: the digits are another in each program.
fn name(symbol: &str) -> String {
    let part = |rest: &str| {
        let digits = rest.find(|one: char| !one.is_ascii_digit())?;
        let length = rest.get(..digits)?.parse::<usize>().ok()?;
        let end = digits.checked_add(length)?;
        Some((rest.get(digits..end)?.to_owned(), rest.get(end..)?.to_owned()))
    };
    let Some(rest) = symbol.strip_prefix("_ZN") else { return symbol.to_owned() };
    let (mut rest, mut parts) = (rest.to_owned(), Vec::new());
    while let Some((one, more)) = part(&rest) {
        parts.push(one);
        rest = more;
    }
    if parts.last().is_some_and(|last| last.len() == 17 && last.starts_with('h')) {
        parts.pop();
    }
    if parts.is_empty() { symbol.to_owned() } else { parts.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(all: &[(&str, u64)], whole: bool) -> Walked {
        let frame = |(symbol, within): &(&str, u64)| Frame { symbol: (*symbol).to_owned(), within: *within };
        Walked { frames: all.iter().map(frame).collect(), whole }
    }

    #[test]
    fn a_site_is_told_by_our_functions_and_what_they_call_last() {
        let stack = [
            ("__open64", 4),
            ("_ZN3std2fs4open17h0123456789abcdefE", 16),
            ("_ZN12libcontainer3dir3Dir4read17h1123456789abcdefE", 32),
            ("_ZN12libcontainer3dir4read28_$u7b$$u7b$closure$u7d$$u7d$17h1123456789abcdefE", 33),
            ("_ZN4core3ops8FnOnce17h2123456789abcdefE", 1),
            ("_ZN6nsinit3run4main17h3123456789abcdefE", 2),
        ];
        let whole = site(&walked(&stack, true)).unwrap();
        let dir = "__open64+0x4<std::fs::open+0x10 < libcontainer::dir::Dir::read+0x20 < libcontainer::dir::read::_$u7b$$u7b$closure$u7d$$u7d$+0x21";
        assert_eq!(innermost(&whole, 1), dir);
        assert_eq!(innermost(&whole, 2), format!("{dir} < nsinit::run::main+0x2"));
        assert_eq!(innermost(&whole, 9), whole);
    }

    #[test]
    fn without_a_function_of_ours_only_a_whole_stack_says_something() {
        let generic = "_ZN4core3ptr42drop_in_place$LT$libcontainer..X$GT$17h0123456789abcdefE";
        let stack = [("read", 4), (generic, 1)];
        assert_eq!(site(&walked(&stack, false)), None);
        assert_eq!(site(&walked(&[], false)), None);
        assert!(site(&walked(&stack, true)).is_some_and(|site| site.starts_with("read+0x4<core::ptr")));
    }

    #[test]
    fn a_function_has_a_module() {
        for (function, wanted) in [
            ("nsinit::run::main+0x2", "nsinit::run"),
            (
                "libcontainer_cgroups::dir::Dir::open_scoped::_$u7b$$u7b$closure$u7d$$u7d$+0x35",
                "libcontainer_cgroups::dir",
            ),
            (
                "libcontainer_cgroups::group::make::_$LT$impl$u20$libcontainer_cgroups..group..plan..Plan$GT$::make_node",
                "libcontainer_cgroups::group::make",
            ),
            ("libcontainer_cgroups::dir::patient::_$u7b$$u7b$closure$u7d$$u7d$", "libcontainer_cgroups::dir"),
            (
                "_$LT$libcontainer..template..worker..Ending$u20$as$u20$libcontainer..Undertaker$GT$::take",
                "libcontainer::template::worker",
            ),
        ] {
            assert_eq!(module(function), wanted, "{function}");
        }
    }
}
