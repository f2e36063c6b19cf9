//! What the code of a module mentions of other files: by path, and by calling methods.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, FnArg, Item, Member, Pat, Token, Visibility};

use super::graph::Graph;
use super::known::{Known, Shape, WELL_KNOWN};
use super::source::{Crate, Defined, Method, attributes, leaves, only_for_tests};

/// The arrows between the files of a crate. `elsewhere` are the methods of other crates: a call of one of them on
/// something whose type is unknown says nothing.
pub(super) fn arrows(of: &Crate<'_>, elsewhere: &BTreeSet<String>) -> Graph {
    let mut graph = Graph::default();
    let unique = unique_methods(of, elsewhere);
    let prefix = format!("{}/src/", of.folder);
    let files = of.modules.iter().map(|module| graph.node(module.file.strip_prefix(&prefix).unwrap_or(&module.file)));
    let files: Vec<usize> = files.collect();
    for (module, content) in of.modules.iter().enumerate() {
        let mut reader =
            Reader { of, unique: &unique, files: &files, module, owner: None, scopes: Vec::new(), graph: &mut graph };
        for item in content.items {
            reader.visit_item(item);
        }
    }
    graph
}

/// Methods whose name alone says which type they are of, with that type.
fn unique_methods(of: &Crate<'_>, elsewhere: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let well_known: BTreeSet<&str> = WELL_KNOWN.split_whitespace().collect();
    // By name: the files that define such a method, with one of the types that have it.
    let mut definitions: BTreeMap<&String, BTreeMap<&str, usize>> = BTreeMap::new();
    for (number, definition) in of.types.iter().enumerate() {
        for (name, method) in &definition.methods {
            definitions.entry(name).or_default().insert(&of.modules[method.module].file, number);
        }
    }
    let says_nothing =
        |name: &String| elsewhere.contains(name) || of.of_traits.contains(name) || well_known.contains(name.as_str());
    definitions.retain(|name, files| files.len() == 1 && !says_nothing(name));
    definitions.into_iter().filter_map(|(name, files)| Some((name.clone(), *files.values().next()?))).collect()
}

struct Reader<'r, 'a> {
    of: &'r Crate<'a>,
    unique: &'r BTreeMap<String, usize>,
    /// The node of each module's file.
    files: &'r [usize],
    module: usize,
    /// What `Self` is.
    owner: Option<usize>,
    /// The types of variables, the innermost scope last.
    scopes: Vec<BTreeMap<String, Option<Known>>>,
    graph: &'r mut Graph,
}

impl Reader<'_, '_> {
    fn mention(&mut self, module: usize, name: String, line: usize) {
        self.graph.mention((self.files[self.module], self.files[module]), name, line);
    }

    /// A path in the code, without what follows it in `<>`.
    fn path(&mut self, segments: &[String], line: usize) {
        if let [single] = segments
            && self.scopes.iter().any(|scope| scope.contains_key(single))
        {
            return;
        }
        if let [first, name, ..] = segments
            && first == "Self"
        {
            if let Some(owner) = self.owner {
                self.method(owner, name, line);
            }
            return;
        }
        let Some(found) = self.of.resolve(self.module, segments) else { return };
        let Some(name) = &found.name else { return };
        self.mention(found.module, name.clone(), line);
        if let Some(Defined::Type(number)) = self.of.defined(&found)
            && found.rest > 0
            && let Some(place) = segments.len().checked_sub(found.rest)
            && let Some(name) = segments.get(place)
        {
            self.method(*number, name, line);
        }
    }

    /// A mention of a type's method, if it has one of that name.
    fn method(&mut self, owner: usize, name: &str, line: usize) {
        let of = self.of;
        let definition = &of.types[owner];
        if let Some(method) = definition.methods.get(name) {
            self.mention(method.module, format!("{}::{name}", definition.name), line);
        }
    }

    /// The type whose method is called.
    fn called(&self, call: &syn::ExprMethodCall) -> Option<usize> {
        let name = call.method.to_string();
        match self.type_of(&call.receiver).map(|known| self.of.shape(&known)) {
            Some(Shape::Defined(owner)) => self.of.types[owner].methods.contains_key(&name).then_some(owner),
            Some(Shape::Foreign(..)) => None,
            Some(Shape::Unknown) | None => {
                let owner = *self.unique.get(&name)?;
                let arguments = self.of.types[owner].methods[&name].arguments?;
                (arguments == call.args.len() && !self.is_static(&call.receiver)).then_some(owner)
            }
        }
    }

    /// Whether something is neither computed nor a variable. A static whose type is unknown comes from a macro of
    /// another crate.
    fn is_static(&self, receiver: &Expr) -> bool {
        let Expr::Path(path) = receiver else { return false };
        !path.path.get_ident().is_some_and(|name| {
            let name = name.to_string();
            name == "self" || self.scopes.iter().any(|scope| scope.contains_key(&name))
        })
    }

    fn output(&self, method: &Method, owner: Option<usize>) -> Option<Known> {
        Some(Known::written(method.output.as_ref()?, method.module, owner))
    }

    fn type_of(&self, expression: &Expr) -> Option<Known> {
        match expression {
            Expr::Path(path) if path.qself.is_none() => self.type_of_path(&path.path),
            Expr::Field(field) => self.of.field(&self.type_of(&field.base)?, &member(&field.member)),
            Expr::MethodCall(call) => {
                let name = call.method.to_string();
                if let Some(owner) = self.called(call) {
                    return self.output(&self.of.types[owner].methods[&name], Some(owner));
                }
                self.of.passed(&self.type_of(&call.receiver)?, &name)
            }
            Expr::Call(call) => self.type_of_call(call),
            Expr::Reference(inner) => self.type_of(&inner.expr),
            Expr::Paren(inner) => self.type_of(&inner.expr),
            Expr::Group(inner) => self.type_of(&inner.expr),
            Expr::Unary(inner) => self.type_of(&inner.expr),
            Expr::Await(inner) => self.type_of(&inner.base),
            Expr::Try(inner) => self.of.opened(&self.type_of(&inner.expr)?),
            Expr::Index(inner) => self.of.opened(&self.type_of(&inner.expr)?),
            Expr::Struct(literal) => self.type_named(&segments(&literal.path)),
            Expr::Cast(cast) => Some(Known::written(&cast.ty, self.module, self.owner)),
            _ => None,
        }
    }

    fn type_of_path(&self, path: &syn::Path) -> Option<Known> {
        let segments = segments(path);
        if let [single] = segments.as_slice() {
            if single == "self" || single == "Self" {
                return self.owner.map(Known::Defined);
            }
            if let Some(known) = self.scopes.iter().rev().find_map(|scope| scope.get(single)) {
                return known.clone();
            }
        }
        let found = self.of.resolve(self.module, &segments)?;
        match self.of.defined(&found)? {
            Defined::Value(ty) if found.rest == 0 => Some(Known::written(ty, found.module, None)),
            Defined::Type(number) if found.rest == 0 => Some(Known::Defined(*number)),
            _ => None,
        }
    }

    fn type_of_call(&self, call: &syn::ExprCall) -> Option<Known> {
        let Expr::Path(function) = &*call.func else { return None };
        let segments = segments(&function.path);
        if let [pointer, made] = segments.as_slice()
            && ["Arc", "Box", "Rc"].contains(&pointer.as_str())
            && ["new", "clone"].contains(&made.as_str())
        {
            return self.type_of(call.args.first()?);
        }
        if let [first, name] = segments.as_slice()
            && first == "Self"
        {
            return self.output(self.of.types[self.owner?].methods.get(name)?, self.owner);
        }
        let found = self.of.resolve(self.module, &segments)?;
        match self.of.defined(&found)? {
            Defined::Function(output) => Some(Known::written(output.as_ref()?, found.module, None)),
            // `Type(...)` makes one; `Type::name(...)` is a method, or a variant of an enum.
            Defined::Type(number) if found.rest == 0 => Some(Known::Defined(*number)),
            Defined::Type(number) => {
                let method = self.of.types[*number].methods.get(segments.last()?)?;
                self.output(method, Some(*number))
            }
            _ => None,
        }
    }

    /// The type that a path names.
    fn type_named(&self, segments: &[String]) -> Option<Known> {
        if segments == ["Self"] {
            return self.owner.map(Known::Defined);
        }
        let found = self.of.resolve(self.module, segments)?;
        match self.of.defined(&found)? {
            Defined::Type(number) => Some(Known::Defined(*number)),
            Defined::Alias(ty) => Some(Known::written(ty, found.module, None)),
            _ => None,
        }
    }

    /// Introduces the variables of a pattern for something of a type.
    fn bind(&mut self, pattern: &Pat, known: Option<Known>) {
        match pattern {
            Pat::Ident(variable) => {
                let name = variable.ident.to_string();
                // `None` and the like are not variables.
                if name.starts_with(|c: char| c.is_lowercase() || c == '_')
                    && let Some(scope) = self.scopes.last_mut()
                {
                    scope.insert(name, known.clone());
                }
                if let Some((_, inner)) = &variable.subpat {
                    self.bind(inner, known);
                }
            }
            Pat::Type(typed) => {
                let known = Known::written(&typed.ty, self.module, self.owner);
                self.bind(&typed.pat, Some(known));
            }
            Pat::Reference(inner) => self.bind(&inner.pat, known),
            Pat::Paren(inner) => self.bind(&inner.pat, known),
            Pat::Guard(inner) => self.bind(&inner.pat, known),
            Pat::TupleStruct(tuple) => {
                let path = segments(&tuple.path);
                let last = path.last().map(String::as_str);
                let opened = matches!(last, Some("Some" | "Ok"));
                let of = if opened { known.and_then(|known| self.of.opened(&known)) } else { self.type_named(&path) };
                for (place, part) in tuple.elems.iter().enumerate() {
                    let part_of = if opened {
                        of.clone()
                    } else {
                        of.as_ref().and_then(|of| self.of.field(of, &place.to_string()))
                    };
                    self.bind(part, part_of);
                }
            }
            Pat::Struct(structure) => {
                let of = self.type_named(&segments(&structure.path));
                for field in &structure.fields {
                    let known = of.as_ref().and_then(|of| self.of.field(of, &member(&field.member)));
                    self.bind(&field.pat, known);
                }
            }
            Pat::Tuple(tuple) => {
                for (place, part) in tuple.elems.iter().enumerate() {
                    let of = known.as_ref().and_then(|known| self.of.field(known, &place.to_string()));
                    self.bind(part, of);
                }
            }
            Pat::Slice(slice) => slice.elems.iter().for_each(|part| self.bind(part, None)),
            Pat::Or(or) => or.cases.iter().for_each(|part| self.bind(part, None)),
            _ => {}
        }
    }

    fn within(&mut self, read: impl FnOnce(&mut Self)) {
        self.scopes.push(BTreeMap::new());
        read(self);
        self.scopes.pop();
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.visit_signature(signature);
        self.within(|this| {
            for input in &signature.inputs {
                if let FnArg::Typed(input) = input {
                    let known = Known::written(&input.ty, this.module, this.owner);
                    this.bind(&input.pat, Some(known));
                }
            }
            this.visit_block(block);
        });
    }

    /// Paths, `self.method(` and the texts of attributes, in tokens that are not expressions.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is =
            |place: usize, mark: char| matches!(tokens.get(place), Some(TokenTree::Punct(p)) if p.as_char() == mark);
        let ident = |place: usize| match tokens.get(place) {
            Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
            _ => None,
        };
        let mut place = 0;
        while let Some(token) = tokens.get(place) {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path = text.trim_matches('"');
                    if ["crate::", "super::", "self::"].iter().any(|start| path.starts_with(start)) {
                        self.text(path, literal.span().start().line);
                    }
                }
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    let mut path = vec![first.to_string()];
                    while is(place + 1, ':')
                        && is(place + 2, ':')
                        && let Some(name) = ident(place + 3)
                    {
                        path.push(name);
                        place += 3;
                    }
                    let of_self = path == ["self"] && is(place + 1, '.');
                    if of_self
                        && let (Some(name), Some(TokenTree::Group(_)), Some(owner)) =
                            (ident(place + 2), tokens.get(place + 3), self.owner)
                    {
                        self.method(owner, &name, line);
                    } else if path.len() > 1 {
                        self.path(&path, line);
                    }
                }
                TokenTree::Punct(_) => {}
            }
            place += 1;
        }
    }

    /// A path in the text of an attribute, as `#[serde(with = "crate::module")]`.
    fn text(&mut self, path: &str, line: usize) {
        let segments: Vec<String> = path.split("::").map(str::to_owned).collect();
        if let Some(found) = self.of.resolve(self.module, &segments) {
            self.mention(found.module, path.to_owned(), line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_, '_> {
    fn visit_item(&mut self, item: &'ast Item) {
        // The modules are read one by one.
        if !matches!(item, Item::Mod(_)) && !only_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // What is re-exported is needed by whoever uses it, and the file that re-exports it only if it does so itself.
        if !matches!(item.vis, Visibility::Inherited) {
            return;
        }
        for leaf in leaves(&mut Vec::new(), &item.tree) {
            if leaf.alias.is_some() {
                self.path(&leaf.path, leaf.line);
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let before = self.owner;
        self.owner = self.of.implemented(self.module, &item.self_ty);
        visit::visit_item_impl(self, item);
        self.owner = before;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !only_for_tests(&item.attrs) {
            item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => self.function(&item.sig, block),
            None => self.visit_signature(&item.sig),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            self.path(&segments(path), first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && !list.path.is_ident("doc")
        {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, used: &'ast syn::Macro) {
        match used.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            Ok(expressions) => expressions.iter().for_each(|expression| self.visit_expr(expression)),
            Err(_) => self.tokens(used.tokens.clone()),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some(owner) = self.called(call) {
            self.method(owner, &call.method.to_string(), call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.within(|this| visit::visit_block(this, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        let known = local.init.as_ref().and_then(|init| self.type_of(&init.expr));
        self.bind(&local.pat, known);
    }

    fn visit_expr_let(&mut self, binding: &'ast syn::ExprLet) {
        visit::visit_expr_let(self, binding);
        let known = self.type_of(&binding.expr);
        self.bind(&binding.pat, known);
    }

    fn visit_expr_if(&mut self, choice: &'ast syn::ExprIf) {
        self.within(|this| {
            this.visit_expr(&choice.cond);
            this.visit_block(&choice.then_branch);
        });
        if let Some((_, otherwise)) = &choice.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, repeated: &'ast syn::ExprWhile) {
        self.within(|this| visit::visit_expr_while(this, repeated));
    }

    fn visit_expr_match(&mut self, choice: &'ast syn::ExprMatch) {
        self.visit_expr(&choice.expr);
        let known = self.type_of(&choice.expr);
        for arm in &choice.arms {
            self.within(|this| {
                this.bind(&arm.pat, known.clone());
                this.visit_arm(arm);
            });
        }
    }

    fn visit_expr_for_loop(&mut self, repeated: &'ast syn::ExprForLoop) {
        self.visit_expr(&repeated.expr);
        let known = self.type_of(&repeated.expr).and_then(|known| self.of.opened(&known));
        self.within(|this| {
            this.bind(&repeated.pat, known);
            this.visit_pat(&repeated.pat);
            this.visit_block(&repeated.body);
        });
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.within(|this| {
            for input in &closure.inputs {
                this.bind(input, None);
            }
            visit::visit_expr_closure(this, closure);
        });
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn member(member: &Member) -> String {
    match member {
        Member::Named(name) => name.to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}
