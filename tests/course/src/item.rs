//! Items: how a function (or a type, a constant) of the course is named, and where it is in its file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use syn::spanned::Spanned;
use syn::{Attribute, Block, Ident, ImplItem, Item, ReturnType, Signature, TraitItem, Type};

/// The most files that are kept parsed: more than the course has.
const KEPT: usize = 500;

thread_local! {
    /// Parsed files by their text, because the book asks for many items of one file, and for the tests of each exercise.
    static PARSED: RefCell<HashMap<String, Rc<syn::File>>> = RefCell::default();
}

/// The name of an item, like `stage3-epoll/src/client.rs::Client::send`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemPath {
    /// The file, relative to the workspace.
    pub file: PathBuf,
    /// The type whose `impl` holds the item, or the trait that declares it.
    owner: Option<String>,
    name: String,
}

/// A function's source text, as byte ranges of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// From the first attribute or doc comment to the closing brace.
    pub whole: Range<usize>,
    /// From `fn`, or a word that belongs to it, to the end of the return type.
    pub signature: Range<usize>,
    /// From the opening brace to the closing one.
    pub body: Range<usize>,
}

/// The place of any kind of item in its file, as byte ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// From the first attribute or doc comment to the end.
    pub whole: Range<usize>,
    /// Its doc comments, one a line.
    pub docs: Vec<Range<usize>>,
}

impl FromStr for ItemPath {
    type Err = Error;

    /// Parses `FILE.rs::function` or `FILE.rs::Type::function`.
    fn from_str(text: &str) -> Result<Self> {
        let (file, rest) = text
            .split_once(".rs::")
            .with_context(|| format!("{text:?} is not of the form FILE.rs::Type::function"))?;
        let (owner, name) = match rest.rsplit_once("::") {
            Some((owner, name)) => (Some(owner.to_owned()), name),
            None => (None, rest),
        };
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        let words = is_word(name) && owner.as_deref().is_none_or(is_word);
        ensure!(words, "{rest:?} in {text:?} is not the name of an item");
        Ok(Self {
            file: PathBuf::from(format!("{file}.rs")),
            owner,
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for ItemPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}::{}", self.file.display(), self.function())
    }
}

impl ItemPath {
    /// Returns the name without the file: `Client::send`.
    pub fn function(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{owner}::{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns the folder of the package that the file belongs to.
    pub fn package(&self) -> Option<&str> {
        self.file.components().next()?.as_os_str().to_str()
    }

    /// Reads the file below `root` and finds the function in it.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or [`ItemPath::find`] fails.
    pub fn read(&self, root: &Path) -> Result<(String, Function)> {
        let file = root.join(&self.file);
        let source = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {} of {self}", self.file.display()))?;
        let function = self.find(&source)?;
        Ok((source, function))
    }

    /// Finds the function in the text of its file.
    ///
    /// # Errors
    ///
    /// Fails if there is no such function or more than one, or when its body cannot be replaced by `todo!`.
    pub fn find(&self, source: &str) -> Result<Function> {
        let file = self.parse(source)?;
        let mut found = self.all(&file);
        found.retain(|named| named.function.is_some());
        let named = self.only(found, "function")?;
        let (signature, block) = named.function.context("not a function")?;
        self.can_be_blanked(signature)?;
        Ok(Function {
            whole: named.whole,
            signature: signature.span().byte_range(),
            body: block.span().byte_range(),
        })
    }

    /// Finds the item, of whatever kind, in the text of its file.
    ///
    /// # Errors
    ///
    /// Fails if there is no such item or more than one.
    pub fn locate(&self, source: &str) -> Result<Located> {
        let file = self.parse(source)?;
        let named = self.only(self.all(&file), "item")?;
        let docs = named
            .attributes
            .iter()
            .filter(|one| one.path().is_ident("doc"));
        Ok(Located {
            docs: docs.map(|one| one.span().byte_range()).collect(),
            whole: named.whole,
        })
    }

    fn parse(&self, source: &str) -> Result<Rc<syn::File>> {
        parse(source).with_context(|| format!("{} is not Rust", self.file.display()))
    }

    /// Returns everything in a file that this path names.
    fn all<'a>(&self, file: &'a syn::File) -> Vec<Named<'a>> {
        let mut found: Vec<_> = file.items.iter().flat_map(named).collect();
        found.retain(|one| one.owner == self.owner && one.name == self.name);
        found
    }

    fn only<'a>(&self, mut found: Vec<Named<'a>>, kind: &str) -> Result<Named<'a>> {
        match found.len() {
            0 => bail!("there is no {kind} {self}"),
            1 => Ok(found.remove(0)),
            count => bail!("{self} names {count} {kind}s: one is needed"),
        }
    }

    /// Refuses a function that would not compile with `todo!()` as its body.
    fn can_be_blanked(&self, signature: &Signature) -> Result<()> {
        ensure!(
            signature.constness.is_none(),
            "{self} is a const fn: it may run while its user is compiled, so it cannot be an exercise"
        );
        if let ReturnType::Type(_, kind) = &signature.output {
            ensure!(
                !matches!(**kind, Type::ImplTrait(_)),
                "{self} returns impl Trait, which todo!() is not (E0277)"
            );
        }
        Ok(())
    }
}

/// Something in a file that a path can name.
struct Named<'a> {
    owner: Option<String>,
    name: String,
    whole: Range<usize>,
    /// Its signature and body, if it is a function and so can be an exercise.
    function: Option<(&'a Signature, &'a Block)>,
    attributes: &'a [Attribute],
}

impl<'a> Named<'a> {
    fn new(name: &Ident, attributes: &'a [Attribute], item: &impl Spanned) -> Self {
        Self {
            owner: None,
            name: name.to_string(),
            whole: item.span().byte_range(),
            function: None,
            attributes,
        }
    }

    fn of(self, owner: Option<&String>) -> Self {
        Self {
            owner: owner.cloned(),
            ..self
        }
    }

    fn with(self, signature: &'a Signature, block: &'a Block) -> Self {
        Self {
            function: Some((signature, block)),
            ..self
        }
    }
}

/// Returns an item and its members.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn may add kinds of items; the others have no name that we use"
)]
fn named(item: &Item) -> Vec<Named<'_>> {
    let one = |name, attributes| vec![Named::new(name, attributes, item)];
    match item {
        Item::Fn(it) => vec![Named::new(&it.sig.ident, &it.attrs, it).with(&it.sig, &it.block)],
        Item::Struct(it) => one(&it.ident, &it.attrs),
        Item::Enum(it) => one(&it.ident, &it.attrs),
        Item::Const(it) => one(&it.ident, &it.attrs),
        Item::Static(it) => one(&it.ident, &it.attrs),
        Item::Type(it) => one(&it.ident, &it.attrs),
        Item::Trait(it) => {
            let owner = it.ident.to_string();
            let methods = it.items.iter().filter_map(|item| in_trait(item, &owner));
            one(&it.ident, &it.attrs)
                .into_iter()
                .chain(methods)
                .collect()
        }
        Item::Impl(it) if !is_test(&it.attrs) => {
            let owner = type_name(&it.self_ty);
            let members = it.items.iter().filter_map(in_impl);
            members.map(|one| one.of(owner.as_ref())).collect()
        }
        _ => Vec::new(),
    }
}

fn in_trait<'a>(item: &'a TraitItem, owner: &String) -> Option<Named<'a>> {
    let TraitItem::Fn(method) = item else {
        return None;
    };
    let found = Named::new(&method.sig.ident, &method.attrs, method);
    Some(found.of(Some(owner)))
}

fn in_impl(item: &ImplItem) -> Option<Named<'_>> {
    if let ImplItem::Fn(it) = item {
        return Some(Named::new(&it.sig.ident, &it.attrs, it).with(&it.sig, &it.block));
    }
    let ImplItem::Const(it) = item else {
        return None;
    };
    Some(Named::new(&it.ident, &it.attrs, it))
}

fn type_name(kind: &Type) -> Option<String> {
    let Type::Path(path) = kind else {
        return None;
    };
    Some(path.path.segments.last()?.ident.to_string())
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|one| one.path().is_ident("cfg"))
}

/// Returns the names of all functions in a file, with the types that own them: `Client::send`.
///
/// # Errors
///
/// Fails if the text is not Rust.
pub fn functions(source: &str) -> Result<Vec<String>> {
    let file = parse(source)?;
    let all = file.items.iter().flat_map(named);
    let name = |one: Named<'_>| match one.owner {
        Some(owner) => format!("{owner}::{}", one.name),
        None => one.name,
    };
    Ok(all.filter(|one| one.function.is_some()).map(name).collect())
}

/// Returns the names of the functions with `#[test]` in a file, at any depth.
///
/// # Errors
///
/// Fails if the text is not Rust.
pub fn test_names(source: &str) -> Result<Vec<String>> {
    let file = parse(source)?;
    let mut names = Vec::new();
    collect_tests(&file.items, &mut names);
    Ok(names)
}

/// Parses the text of a file, unless the same text was parsed before.
pub(crate) fn parse(source: &str) -> Result<Rc<syn::File>> {
    if let Some(file) = PARSED.with_borrow(|parsed| parsed.get(source).cloned()) {
        return Ok(file);
    }
    let file = Rc::new(syn::parse_file(source)?);
    PARSED.with_borrow_mut(|parsed| {
        if parsed.len() == KEPT {
            parsed.clear();
        }
        parsed.insert(source.to_owned(), Rc::clone(&file));
    });
    Ok(file)
}

fn collect_tests(items: &[Item], names: &mut Vec<String>) {
    for item in items {
        if let Item::Fn(function) = item {
            if function.attrs.iter().any(|one| one.path().is_ident("test")) {
                names.push(function.sig.ident.to_string());
            }
        } else if let Item::Mod(module) = item
            && let Some((_, items)) = &module.content
        {
            collect_tests(items, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
//! Größe: text before the items that is not ASCII moves bytes and characters apart.

/// Doc.
fn free(x: u8) -> u8 { x + 1 }

struct Thing;
impl Thing {
    /// Doc of the method.
    pub fn free(&self) -> Option<u8> {
        Some(2) // ü
    }
    const fn fixed() -> u8 { 3 }
    fn opaque() -> impl Iterator<Item = u8> { [4].into_iter() }
}
impl Default for Thing { fn default() -> Self { Thing } }
impl Clone for Thing { fn clone(&self) -> Self { Thing } }
#[test]
fn e11_one() {}
mod inner { #[test] #[ignore] fn e12_two() {} fn helper() {} }
"#;

    fn find(item: &str) -> Result<String> {
        let path: ItemPath = format!("a/src/b.rs::{item}").parse()?;
        Ok(SOURCE[path.find(SOURCE)?.body].to_owned())
    }

    #[test]
    fn functions_and_methods_are_told_apart() {
        assert_eq!(find("free").unwrap(), "{ x + 1 }");
        assert!(find("Thing::free").unwrap().contains("Some(2) // ü"));
        assert_eq!(find("Thing::default").unwrap(), "{ Thing }");
    }

    #[test]
    fn what_cannot_be_an_exercise_is_refused_with_its_reason() {
        let refused = |item: &str| find(item).unwrap_err().to_string();
        assert!(refused("nowhere").contains("no function a/src/b.rs::nowhere"));
        assert!(refused("Other::free").contains("no function"));
        assert!(refused("Thing::fixed").contains("const fn"));
        assert!(refused("Thing::opaque").contains("impl Trait"));
    }

    #[test]
    fn paths_are_read_and_written() {
        let path: ItemPath = "stage1-server/src/line.rs::LineBuffer::rest"
            .parse()
            .unwrap();
        assert_eq!(
            path.to_string(),
            "stage1-server/src/line.rs::LineBuffer::rest"
        );
        assert_eq!(path.package(), Some("stage1-server"));
        for wrong in [
            "line.rs",
            "line::rest",
            "line.rs::",
            "line.rs::a b",
            "x.rs::::f",
        ] {
            assert!(wrong.parse::<ItemPath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        assert_eq!(test_names(SOURCE).unwrap(), ["e11_one", "e12_two"]);
    }

    #[test]
    fn the_whole_begins_with_the_doc_comment() {
        let path: ItemPath = "b.rs::free".parse().unwrap();
        assert!(SOURCE[path.find(SOURCE).unwrap().whole].starts_with("/// Doc.\nfn free"));
    }
}
