//! The crates of a checkout: their modules, what each module defines and imports, and the methods of their types.

use std::collections::{BTreeMap, BTreeSet};

use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Attribute, Fields, Ident, Item, Meta, ReturnType, Token, Type, UseTree};

use crate::tree::Tree;

/// The parsed source files of all crates, by path.
pub(crate) struct Sources(BTreeMap<String, syn::File>);

impl Sources {
    /// Parses what stands in a folder `src` of the host, the plugins or the tasks.
    pub(crate) fn of(tree: &Tree) -> Self {
        let of_a_crate = |path: &str| {
            ["host/", "plugins/", "xtask/"].iter().any(|top| path.starts_with(top)) && path.contains("/src/")
        };
        let files = tree.texts().filter(|(file, _)| file.ends(&["rs"]) && of_a_crate(&file.path));
        // A file that is not Rust by itself is a template: if a crate names it as a module, that fails by name below.
        Self(files.filter_map(|(file, text)| Some((file.path.clone(), syn::parse_file(text).ok()?))).collect())
    }
}

/// A crate.
pub(crate) struct Crate<'a> {
    /// The folder of its manifest.
    pub(crate) folder: String,
    pub(crate) modules: Vec<Module<'a>>,
    pub(crate) types: Vec<TypeDefinition>,
    /// Names of the functions in its traits and in its implementations of traits.
    pub(crate) of_traits: BTreeSet<String>,
}

/// A module. An inline one has the same file as the module around it.
pub(crate) struct Module<'a> {
    /// The path of its file.
    pub(crate) file: String,
    pub(crate) items: &'a [Item],
    pub(super) parent: usize,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) defined: BTreeMap<String, Defined>,
    /// Imported names, with the path of each.
    pub(super) imported: BTreeMap<String, Vec<String>>,
    /// Paths that end with `*`.
    pub(super) globs: Vec<Vec<String>>,
}

/// What a name is.
pub(crate) enum Defined {
    /// A struct, an enum or a union, by its number.
    Type(usize),
    Alias(Type),
    Function(Option<Type>),
    /// A constant or a static.
    Value(Type),
    Other,
}

/// A struct, an enum or a union.
pub(crate) struct TypeDefinition {
    pub(crate) name: String,
    pub(crate) module: usize,
    pub(crate) fields: BTreeMap<String, Type>,
    /// Its inherent methods and associated functions.
    pub(crate) methods: BTreeMap<String, Method>,
}

/// An inherent method.
pub(crate) struct Method {
    /// The module in which its `impl` stands.
    pub(crate) module: usize,
    pub(crate) output: Option<Type>,
    /// How many arguments it takes beside `self`; none if it takes no `self`.
    pub(crate) arguments: Option<usize>,
}

impl<'a> Crate<'a> {
    /// Every crate of the host, the plugins and the tasks.
    pub(crate) fn all(tree: &Tree, sources: &'a Sources) -> Vec<Self> {
        let manifests = tree.files().filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
        manifests.filter_map(|folder| Self::read(folder, sources)).collect()
    }

    fn read(folder: &str, sources: &'a Sources) -> Option<Self> {
        let roots = ["lib", "main"].map(|name| format!("{folder}/src/{name}.rs"));
        let root = roots.into_iter().find(|path| sources.0.contains_key(path))?;
        let mut read =
            Self { folder: folder.to_owned(), modules: Vec::new(), types: Vec::new(), of_traits: BTreeSet::new() };
        let module = read.module(root.clone(), &sources.0[&root].items, 0);
        read.collect(module, &format!("{folder}/src"), &format!("{folder}/src"), sources);
        read.implementations();
        Some(read)
    }

    fn module(&mut self, file: String, items: &'a [Item], parent: usize) -> usize {
        self.modules.push(Module {
            file,
            items,
            parent,
            children: BTreeMap::new(),
            defined: BTreeMap::new(),
            imported: BTreeMap::new(),
            globs: Vec::new(),
        });
        self.modules.len() - 1
    }

    /// Reads what a module defines, and the modules in it. `folder` is where the files of its modules are, and `beside`
    /// the folder of its own file, which `#[path]` starts from.
    fn collect(&mut self, module: usize, folder: &str, beside: &str, sources: &'a Sources) {
        for item in self.modules[module].items {
            if only_for_tests(attributes(item)) {
                continue;
            }
            match item {
                Item::Mod(inner) => self.collect_module(module, inner, (folder, beside), sources),
                Item::Struct(item) => self.define_type(module, &item.ident, fields(&item.fields)),
                Item::Enum(item) => self.define_type(module, &item.ident, BTreeMap::new()),
                Item::Union(item) => self.define_type(module, &item.ident, BTreeMap::new()),
                Item::Type(item) => self.define(module, &item.ident, Defined::Alias((*item.ty).clone())),
                Item::Fn(item) => {
                    let output = output(&item.sig.output);
                    self.define(module, &item.sig.ident, Defined::Function(output));
                    self.imports_within(module, item);
                }
                Item::Const(item) => self.define(module, &item.ident, Defined::Value((*item.ty).clone())),
                Item::Static(item) => self.define(module, &item.ident, Defined::Value((*item.ty).clone())),
                Item::Trait(item) => {
                    self.define(module, &item.ident, Defined::Other);
                    let names = item.items.iter().filter_map(|item| match item {
                        syn::TraitItem::Fn(function) => Some(function.sig.ident.to_string()),
                        _ => None,
                    });
                    self.of_traits.extend(names);
                }
                Item::Use(item) => self.import(module, &mut Vec::new(), &item.tree),
                Item::Impl(item) => {
                    for function in item.items.iter().filter_map(function) {
                        self.imports_within_block(module, &function.block);
                    }
                }
                _ => {}
            }
        }
    }

    fn collect_module(&mut self, parent: usize, item: &'a syn::ItemMod, at: (&str, &str), sources: &'a Sources) {
        let (folder, beside) = at;
        let name = item.ident.to_string();
        let inner = format!("{folder}/{name}");
        let module = if let Some((_, items)) = &item.content {
            let module = self.module(self.modules[parent].file.clone(), items, parent);
            self.collect(module, &inner, &inner, sources);
            module
        } else {
            let candidates = match written_path(&item.attrs) {
                Some(path) => vec![joined(beside, &path)],
                None => vec![format!("{inner}.rs"), format!("{inner}/mod.rs")],
            };
            let found = candidates.iter().find_map(|path| sources.0.get_key_value(path));
            let (path, file) = found.unwrap_or_else(|| {
                panic!("{}: the module {name} is missing, or is not Rust", self.modules[parent].file)
            });
            let module = self.module(path.clone(), &file.items, parent);
            let its_folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            self.collect(module, &inner, its_folder, sources);
            module
        };
        self.modules[parent].children.insert(name, module);
    }

    fn define(&mut self, module: usize, name: &Ident, what: Defined) {
        self.modules[module].defined.insert(name.to_string(), what);
    }

    fn define_type(&mut self, module: usize, name: &Ident, fields: BTreeMap<String, Type>) {
        self.define(module, name, Defined::Type(self.types.len()));
        self.types.push(TypeDefinition { name: name.to_string(), module, fields, methods: BTreeMap::new() });
    }

    fn import(&mut self, module: usize, before: &mut Vec<String>, tree: &UseTree) {
        for leaf in leaves(before, tree) {
            let module = &mut self.modules[module];
            match leaf.alias {
                Some(alias) => {
                    module.imported.entry(alias).or_insert(leaf.path);
                }
                None => module.globs.push(leaf.path),
            }
        }
    }

    fn imports_within(&mut self, module: usize, function: &syn::ItemFn) {
        self.imports_within_block(module, &function.block);
    }

    /// Imports inside of a function count as the module's.
    fn imports_within_block(&mut self, module: usize, block: &syn::Block) {
        struct Imports<'b>(Vec<&'b UseTree>);
        impl<'b> Visit<'b> for Imports<'b> {
            fn visit_item_use(&mut self, item: &'b syn::ItemUse) {
                self.0.push(&item.tree);
            }
        }
        let mut imports = Imports(Vec::new());
        imports.visit_block(block);
        for tree in imports.0 {
            self.import(module, &mut Vec::new(), tree);
        }
    }

    /// Reads the methods of all types.
    fn implementations(&mut self) {
        for module in 0..self.modules.len() {
            for item in self.modules[module].items {
                let Item::Impl(item) = item else { continue };
                if only_for_tests(&item.attrs) {
                    continue;
                }
                let functions = item.items.iter().filter_map(function);
                if item.trait_.is_some() {
                    self.of_traits.extend(functions.map(|function| function.sig.ident.to_string()));
                    continue;
                }
                let Some(number) = self.implemented(module, &item.self_ty) else { continue };
                for function in functions {
                    let signature = &function.sig;
                    let arguments = signature.receiver().map(|_| signature.inputs.len() - 1);
                    let method = Method { module, output: output(&signature.output), arguments };
                    self.types[number].methods.entry(function.sig.ident.to_string()).or_insert(method);
                }
            }
        }
    }

    /// The type that an `impl` in a module is for, if this crate defines it.
    pub(crate) fn implemented(&self, module: usize, ty: &Type) -> Option<usize> {
        let Type::Path(path) = ty else { return None };
        let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let found = self.resolve(module, &segments)?;
        match self.defined(&found)? {
            Defined::Type(number) => Some(*number),
            _ => None,
        }
    }
}

/// One name that a `use` brings.
pub(crate) struct Leaf {
    pub(crate) path: Vec<String>,
    /// What it is called here; none for everything (`*`).
    pub(crate) alias: Option<String>,
    pub(crate) line: usize,
}

/// What a `use` brings.
pub(crate) fn leaves(before: &mut Vec<String>, tree: &UseTree) -> Vec<Leaf> {
    let with = |before: &[String], name: &Ident| {
        let mut path = before.to_vec();
        if name != "self" || path.is_empty() {
            path.push(name.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            let found = leaves(before, &path.tree);
            before.pop();
            found
        }
        UseTree::Name(name) => {
            let path = with(before, &name.ident);
            let line = name.ident.span().start().line;
            vec![Leaf { alias: path.last().cloned(), path, line }]
        }
        UseTree::Rename(name) => {
            let line = name.ident.span().start().line;
            vec![Leaf { path: with(before, &name.ident), alias: Some(name.rename.to_string()), line }]
        }
        UseTree::Glob(_) => vec![Leaf { path: before.clone(), alias: None, line: 0 }],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(before, tree)).collect(),
    }
}

fn function(item: &syn::ImplItem) -> Option<&syn::ImplItemFn> {
    match item {
        syn::ImplItem::Fn(function) if !only_for_tests(&function.attrs) => Some(function),
        _ => None,
    }
}

fn output(output: &ReturnType) -> Option<Type> {
    match output {
        ReturnType::Type(_, ty) => Some((**ty).clone()),
        ReturnType::Default => None,
    }
}

fn fields(fields: &Fields) -> BTreeMap<String, Type> {
    let name = |(place, field): (usize, &syn::Field)| {
        (field.ident.as_ref().map_or_else(|| place.to_string(), Ident::to_string), field.ty.clone())
    };
    fields.iter().enumerate().map(name).collect()
}

/// `#[cfg(test)]`, `#[cfg(all(test, ...))]` or `#[test]`.
pub(crate) fn only_for_tests(attributes: &[Attribute]) -> bool {
    fn needs_test(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .is_ok_and(|parts| parts.iter().any(needs_test)),
            _ => false,
        }
    }
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => list.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta)),
        _ => false,
    })
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The text of `#[path = "..."]`.
fn written_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// A path from a folder, with each `..` taken away.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
